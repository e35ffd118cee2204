"""How well a record fits a query, field by field, with the reason in words.

String similarity is 1 - distance / length of the longer, distance being Damerau-Levenshtein with adjacent transpositions (optimal string
alignment); for words that differ more, Jaro-Winkler, halved, so that alike beginnings still order candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA, JaroWinkler

from rtcc_identity.domain.dates import BirthDate, age_similarity, similarity
from rtcc_identity.domain.names import Name, sound
from rtcc_identity.domain.nicknames import used_for_each_other

NAME_WEIGHT, BIRTH_WEIGHT = 0.65, 0.35
# less than this is somebody else
LOWEST_SCORE = 0.45
_UNKNOWN = 0.5


@dataclass(frozen=True, slots=True)
class Field:
    """One compared field: `found` is what of the record was compared."""

    name: str
    score: float
    found: str
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, understood."""

    readings: tuple[Name, ...] = ()
    birth: BirthDate | None = None
    age_years: int = 0
    today: BirthDate = BirthDate(2000, 1, 1)  # noqa: RUF009 # frozen, so one for all is no trap


def name_score(readings: Sequence[Name], names: Sequence[Name]) -> tuple[float, int]:
    """(the best of all pairs, which of `names`). A reading after the first costs a little: it is the less likely one."""
    best, which = 0.0, 0
    for rank, asked in enumerate(readings):
        handicap = 0.04 if rank else 0.0
        for position, known in enumerate(names):
            score = _pair(asked, known) - handicap
            if score > best:
                best, which = score, position
    return best, which


def _pair(asked: Name, known: Name) -> float:
    if not asked.given or not known.given:
        part = _surname(asked, known) if asked.surname else max((_given(word, known) for word in asked.given), default=0.0)
        return 0.85 * part
    surname = _surname(asked, known)
    given = _given(asked.given[0], known)
    if given < 0.9 and len(asked.given) > 1:
        given = max(given, 0.95 * max(_given(word, known) for word in asked.given[1:]))
    return 0.55 * surname + 0.45 * given


def _surname(asked: Name, known: Name) -> float:
    a, b = asked.joined_surname, known.joined_surname
    if not a or not b:
        return 0.0
    whole = word_similarity(a, b)
    if whole < 0.9 and (len(asked.surname) > 1 or len(known.surname) > 1):
        # one part of a double name: certain, yet less than the whole
        part = max(word_similarity(x, y) for x in asked.surname for y in known.surname)
        whole = max(whole, 0.92 * part)
    return whole


def _given(asked: str, known: Name) -> float:
    best = 0.0
    for position, word in enumerate(known.given[:3]):
        if asked == word:
            score = 1.0
        elif used_for_each_other(asked, word):
            score = 0.94
        elif len(asked) == 1 or len(word) == 1:
            score = 0.75 if asked[0] == word[0] else 0.0
        else:
            score = word_similarity(asked, word)
        best = max(best, score if position == 0 else 0.93 * score)
    return best


@lru_cache(maxsize=65_536)
def word_similarity(a: str, b: str) -> float:
    """0 to 1 for two folded words."""
    if a == b:
        return 1.0
    near = float(OSA.normalized_similarity(a, b))
    if sound(a) == sound(b) and a[0] == b[0]:
        near = max(near, 0.85)
    return near if near >= 0.6 else max(near, 0.5 * float(JaroWinkler.similarity(a, b)))


def birth_score(asked: Asked, known: BirthDate | None) -> tuple[float, str]:
    """0.5 where the record has none: it speaks neither for nor against."""
    if known is None:
        return _UNKNOWN, "not recorded"
    if asked.birth is not None:
        return similarity(asked.birth, known)
    return age_similarity(asked.age_years, known, asked.today)


def total_score(asked: Asked, names: Sequence[Name], birth: BirthDate | None) -> float:
    """The order of candidates; `fields` says the same with reasons."""
    by_name, _ = name_score(asked.readings, names)
    if asked.birth is None and not asked.age_years:
        return by_name
    return NAME_WEIGHT * by_name + BIRTH_WEIGHT * birth_score(asked, birth)[0]


def fields(asked: Asked, names: Sequence[Name], birth: BirthDate | None, shown_names: Sequence[str]) -> list[Field]:
    """The parts of `total_score`; `shown_names` as written in the record, in the order of `names`."""
    found = []
    if asked.readings:
        score, which = name_score(asked.readings, names)
        shown = shown_names[which] if which < len(shown_names) else ""
        found.append(Field("name", max(0.0, score), f"{shown} (alias)" if which else shown, name_reason(asked.readings, names[which])))
    if asked.birth is not None or asked.age_years:
        score, reason = birth_score(asked, birth)
        found.append(Field("birth_date", score, str(birth) if birth else "", reason))
    return found


def name_reason(readings: Sequence[Name], known: Name) -> str:
    """Why they are thought to be the same, in words."""
    asked = max(readings, key=lambda reading: _pair(reading, known))
    swapped = readings.index(asked) > 0
    reasons = []
    if asked.surname and known.surname:
        reasons.append(_word_reason(asked.joined_surname, known.joined_surname, "surname", asked.surname, known.surname))
    if asked.given and known.given:
        a, b = asked.given[0], known.given[0]
        if a != b and used_for_each_other(a, b):
            reasons.append(f"{a} is used for {b}")
        else:
            reasons.append(_word_reason(a, b, "given name", asked.given, known.given))
    if swapped and len(asked.given) + len(asked.surname) > 1:
        reasons.append("the parts in another order")
    return "; ".join(filter(None, reasons)) or "the same name"


def _word_reason(a: str, b: str, what: str, asked: Sequence[str], known: Sequence[str]) -> str:
    if a == b:
        return ""
    distance = OSA.distance(a, b)
    if distance == 1:
        return f"one letter of the {what} differs"
    if set(asked) & set(known):
        return f"part of the {what}"
    if sound(a) == sound(b):
        return f"the {what} sounds alike"
    return f"{distance} letters of the {what} differ"
