"""A population that nobody belongs to, and the ways in which its people are asked for wrongly.

Names are drawn with the frequencies of real ones (Zipf-Mandelbrot: the commonest surname has about 1 %, the commonest given name about
4 %), surnames are put together from parts, so that many differ by a letter only: harder than life.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import accumulate

from rtcc_identity.domain.nicknames import _GROUPS


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ROOTS = _words(
    "ab ad al ash bar bel ben ber black bol brad bran bren brook bur cal cam car chan clark col cor cran dal dan dar del den dor "
    "dun ed el em er fair fal far fen fer fin for gal gar gil glen gor gran green gru hal ham han har hart haw hed hel hen hol hop "
    "hub hud ing jar jen kal kar kel ken ker kin kor lan lar law lei len lin lof lor lun mac mal man mar mat mel mer mil mon mor "
    "mus nel nes nor nu ol or os pal par pen per pet pil por pres quin rad ral ran red rei ren ric rin rod rom ros rud sal san sar "
    "sel ser shel sil sor stan ster sul sun tal tan tar tel thom thorn tol tor tur ul val van ver vil vir wal war wat wel wes whit "
    "wil win wol wor yar zel zim"
)
_MIDDLES = ("", "", "", "a", "e", "i", "o", "ar", "en", "in", "ber", "der", "ming")
_ENDINGS = _words(
    "son ton ley man field worth ford well wood land ham by berg stein er nen la inen ez es ov ski ic sen sson dottir ucci elli "
    "ard eau is as os us ian ell ett itt ock ow ey"
)
_FIRST_DAY, _DAYS = date(1940, 1, 1), 25_000
SURNAMES, HYPHENATED = 60_000, 0.04


@dataclass(frozen=True, slots=True)
class Invented:
    """One person; `birth` "1984-03-07"."""

    given: str
    surname: str
    birth: str


@dataclass(frozen=True, slots=True)
class Wrongly:
    """A query that means person number `truth`, and in which way it is wrong."""

    kind: str
    name: str
    birth: str
    truth: int


@cache
def surnames() -> tuple[str, ...]:
    """In order of how common they are."""
    chance, found = random.Random(71), dict[str, None]()
    while len(found) < SURNAMES:
        found[(chance.choice(_ROOTS) + chance.choice(_MIDDLES) + chance.choice(_ENDINGS)).capitalize()] = None
    return tuple(found)


@cache
def given_names() -> tuple[str, ...]:
    """Formal names first in each of the nickname groups, shuffled."""
    names = [line.split()[0].capitalize() for line in _GROUPS.split("\n") if line.strip()]
    names += [f"{root}{ending}".capitalize() for root in _ROOTS[:70] for ending in ("ia", "o", "ette", "win")]
    random.Random(72).shuffle(names)
    return tuple(dict.fromkeys(names))


@cache
def nicknames() -> dict[str, tuple[str, ...]]:
    """formal -> what people say."""
    return {words[0]: tuple(words[1:]) for line in _GROUPS.split("\n") if (words := line.split())}


def _weights(count: int, shift: float) -> list[float]:
    return list(accumulate(1 / (rank + shift) for rank in range(1, count + 1)))


def population(size: int, seed: int = 1) -> list[Invented]:
    """`size` persons."""
    chance = random.Random(seed)
    last, first = surnames(), given_names()
    surname_weights, given_weights = _weights(len(last), 10), _weights(len(first), 5)
    chosen = chance.choices(last, cum_weights=surname_weights, k=size)
    given = chance.choices(first, cum_weights=given_weights, k=size)
    second = chance.choices(last, cum_weights=surname_weights, k=size)
    middle = chance.choices(first, cum_weights=given_weights, k=size)
    people = []
    for number in range(size):
        surname = f"{chosen[number]}-{second[number]}" if chance.random() < HYPHENATED else chosen[number]
        names = f"{given[number]} {middle[number]}" if chance.random() < 0.3 else given[number]
        people.append(Invented(names, surname, (_FIRST_DAY + timedelta(days=chance.randrange(_DAYS))).isoformat()))
    return people


def typo(chance: random.Random, word: str) -> str:
    """One letter wrong, missing, too many, or two swapped; never the same word."""
    while True:
        at, letter = chance.randrange(len(word)), chance.choice("abcdefghijklmnopqrstuvwxyz")
        made = chance.choice(
            (
                word[:at] + letter + word[at + 1 :],
                word[:at] + word[at + 1 :],
                word[:at] + letter + word[at:],
                word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :] if at else word,
            )
        )
        if made.lower() != word.lower() and len(made) > 1 and made.isalpha():
            return made


_HEARD = (
    ("ph", "f"), ("f", "ph"), ("ck", "k"), ("c", "k"), ("k", "c"), ("y", "i"), ("i", "y"), ("w", "v"), ("v", "w"), ("z", "s"), ("s", "z"),
    ("th", "t"), ("t", "tt"), ("l", "ll"), ("n", "nn"), ("nn", "n"), ("ll", "l"), ("ei", "ai"), ("ou", "u"), ("e", "a"), ("o", "u"),
)  # fmt: skip


def misheard(chance: random.Random, word: str) -> str:
    """Spelt as it sounds."""
    able = [pair for pair in _HEARD if pair[0] in word.lower()]
    if not able:
        return typo(chance, word)
    heard, written = chance.choice(able)
    return word.lower().replace(heard, written, 1).capitalize()


def slipped(chance: random.Random, birth: str) -> str:
    """Day and month swapped, a neighbouring day, month or year, a digit wrong."""
    known = date.fromisoformat(birth)
    while True:
        kind = chance.randrange(5)
        try:
            if kind == 0:
                made = known.replace(month=known.day, day=known.month)
            elif kind == 1:
                made = known + timedelta(days=chance.choice((-1, 1)))
            elif kind == 2:
                made = known.replace(year=known.year + chance.choice((-10, -1, 1, 10)))
            elif kind == 3:
                made = known.replace(day=known.day // 10 * 10 + chance.randrange(10))
            else:
                made = known.replace(month=known.month + chance.choice((-1, 1)))
        except ValueError:
            continue
        if made != known:
            return made.isoformat()


def _parts(person: Invented) -> tuple[str, str]:
    return person.given.split()[0], person.surname


def _hyphen(chance: random.Random, person: Invented) -> tuple[str, str]:
    """One half of a double name, or a single name made double."""
    given, surname = _parts(person)
    if "-" in surname:
        return given, chance.choice(surname.split("-"))
    other = chance.choice(surnames()[:5_000])
    return given, chance.choice((f"{surname}-{other}", f"{other}-{surname}"))


def _half(chance: random.Random, surname: str, change: object) -> str:
    """The change in one half of a double name."""
    halves = surname.split("-")
    at = chance.randrange(len(halves))
    assert callable(change)
    halves[at] = change(chance, halves[at])
    return "-".join(halves)


def asked_wrongly(people: Sequence[Invented], count: int, seed: int = 2) -> list[Wrongly]:
    """`count` queries, each kind equally often, about persons drawn evenly."""
    chance, made = random.Random(seed), []
    while len(made) < count:
        kind = KINDS[len(made) % len(KINDS)]
        truth = chance.randrange(len(people))
        person = people[truth]
        query = _wrong(chance, kind, person)
        if query is not None:
            made.append(Wrongly(kind, query[0], query[1], truth))
    return made


KINDS = (
    "typo in the surname", "typo in the given name", "typo in both", "slipped date", "slipped date and a typo", "year only and a typo",
    "nickname", "nickname and slipped date", "swapped and a typo", "half a double name", "misheard", "misheard and slipped date",
)  # fmt: skip


def _wrong(chance: random.Random, kind: str, person: Invented) -> tuple[str, str] | None:
    given, surname = _parts(person)
    birth = person.birth
    if kind.startswith("typo"):
        surname = surname if kind.endswith("given name") else _half(chance, surname, typo)
        given = given if kind.endswith("surname") else typo(chance, given)
    elif kind.startswith("slipped"):
        birth = slipped(chance, birth)
        if kind.endswith("typo"):
            surname = _half(chance, surname, typo)
    elif kind.startswith("year"):
        birth, surname = birth[:4], _half(chance, surname, typo)
    elif kind.startswith("nickname"):
        known = nicknames().get(given.lower())
        if not known:
            return None
        given = chance.choice(known).capitalize()
        birth = slipped(chance, birth) if kind.endswith("date") else birth
    elif kind.startswith("swapped"):
        return f"{_half(chance, surname, typo)} {given}", birth
    elif kind.startswith("half"):
        given, surname = _hyphen(chance, person)
    else:
        surname = _half(chance, surname, misheard)
        birth = slipped(chance, birth) if kind.endswith("date") else birth
    return f"{given} {surname}", birth
