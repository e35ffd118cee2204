"""The search index of persons: each person has some thirty keys, and who shares one with a query is looked at closer.

A key is 32 bits of CRC-32 over a short text, so that the index holds integers; the first letter of the text is its kind:

  e  surname + given name with one letter left out, or none: finds one mistake anywhere in the whole name (letter wrong, missing, too
     many, or two swapped), as both sides leave one out
  p  sound of a surname + sound of a given name, whichever comes first      n  sound of the surname + formal given name ("Bob", "Robert")
  y  sound of the surname + birth year        z  sound of the given name + birth year + first letter of the surname
  d  sound of the surname + two of day, month and year: finds any slip in the third
  t  sound of the given name + birth date     l  first letter of a name + birth date
  i  sound of the surname + first letter of the given name                  f  sound of the given name + first two of the surname
  o  sound of one word alone
"""

from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

from rtcc_identity.domain.dates import AGE_SLACK_YEARS, BirthDate
from rtcc_identity.domain.names import Name, sound
from rtcc_identity.domain.nicknames import formal_names

MAXIMUM_NAMES = 20
MAXIMUM_KEYS = 400
# of the whole name; beyond, its head identifies well enough
_LONGEST_DELETED = 24


def key(text: str) -> int:
    """As PostgreSQL's integer: signed."""
    value = crc32(text.encode())
    return value - 0x1_0000_0000 if value & 0x8000_0000 else value


def deletions(text: str) -> Iterator[str]:
    """The text, and each text with one letter left out."""
    text = text[:_LONGEST_DELETED]
    yield text
    for position in range(len(text)):
        yield text[:position] + text[position + 1 :]


def keys_of_person(names: Sequence[Name], birth: BirthDate | None) -> list[int]:
    """All keys of a record, sorted, each once."""
    texts: set[str] = set()
    for name in names[:MAXIMUM_NAMES]:
        for surname in _surnames(name):
            if name.given:
                texts.update("e" + left for left in deletions(surname + name.first))
            texts.update(_keys_of_pair(name.given, surname))
        texts.update("o" + sound(word) for word in (*name.surname, *name.given[:1]))
        if birth is not None:
            texts.update(_keys_of_birth(name, birth))
    return sorted({key(text) for text in texts})[:MAXIMUM_KEYS]


def keys_of_query(readings: Sequence[Name], birth: BirthDate | None, years: range | None) -> tuple[list[int], list[int]]:
    """(strong, weak) keys to ask for: who shares a strong one is likely meant; weak ones are asked when hardly anybody does.

    `years`: when only an age is known.
    """
    strong: set[str] = set()
    weak: set[str] = set()
    if birth is not None and not birth.whole:
        years = range(birth.year - 1, birth.year + 2)
    whole = birth if birth is not None and birth.whole else None
    for name in readings:
        for surname in _surnames(name):
            if name.given:
                strong.update("e" + left for left in deletions(surname + name.first))
            strong.update(_pairs_of_sounds(name.given, surname))
            if whole is None and years is None:
                weak.update(_keys_of_pair(name.given, surname))
        if whole is not None:
            strong.update(_keys_of_exact_date(name, whole))
            weak.update(_keys_of_year(name, whole.year))
        elif years is not None:
            for year in years:
                weak.update(_keys_of_year(name, year))
        elif not (name.given and name.surname):
            # one word and no date: everybody who has it
            strong.update("o" + sound(word) for word in (*name.surname, *name.given))
    if whole is not None and readings:
        # swapped parts are found by their sounds, whatever the date is
        strong.update(_keys_of_date(readings[0], whole))
        if 1 <= whole.day <= 12:
            strong.update(_keys_of_date(readings[0], BirthDate(whole.year, whole.day, whole.month), swapped=True))
    asked = {key(text) for text in strong}
    return sorted(asked)[:MAXIMUM_KEYS], sorted({key(text) for text in weak} - asked)[:MAXIMUM_KEYS]


def years_around(age_years: int, this_year: int) -> range:
    """The birth years that a guessed age allows."""
    return range(this_year - age_years - AGE_SLACK_YEARS - 1, this_year - age_years + AGE_SLACK_YEARS + 1)


def sounds_of(names: Iterable[Name]) -> tuple[list[int], list[int]]:
    """(of surnames, of given names) as keys, for the rough order of candidates."""
    surnames: set[int] = set()
    given: set[int] = set()
    for name in names:
        surnames.update(key(sound(surname)) for surname in _surnames(name))
        given.update(key(sound(word)) for word in name.given[:2])
        given.update(key("=" + formal) for word in name.given[:1] for formal in formal_names(word))
    return sorted(surnames), sorted(given)


def _surnames(name: Name) -> list[str]:
    """Each part of a double surname is one by itself, and so is the whole."""
    return list(dict.fromkeys((name.joined_surname, *name.surname))) if name.surname else []


def _pairs_of_sounds(given: Sequence[str], surname: str) -> Iterator[str]:
    sounds = sound(surname)
    for word in given[:3]:
        yield "p" + "|".join(sorted((sounds, sound(word))))
    for formal in formal_names(given[0]) if given else ():
        yield f"n{sounds}|{formal}"


def _keys_of_pair(given: Sequence[str], surname: str) -> Iterator[str]:
    yield from _pairs_of_sounds(given, surname)
    if given:
        yield f"i{sound(surname)}|{given[0][0]}"
        yield f"f{sound(given[0])}|{surname[:2]}"


def _keys_of_year(name: Name, year: int) -> Iterator[str]:
    for surname in _surnames(name):
        yield f"y{sound(surname)}|{year}"
    if name.given and name.surname:
        yield f"z{sound(name.first)}|{year}|{name.surname[0][0]}"


def _keys_of_birth(name: Name, birth: BirthDate) -> Iterator[str]:
    yield from _keys_of_year(name, birth.year)
    if birth.whole:
        yield from _keys_of_date(name, birth)
        yield from _keys_of_exact_date(name, birth)


def _keys_of_date(name: Name, birth: BirthDate, *, swapped: bool = False) -> Iterator[str]:
    year, month, day = birth.year, birth.month, birth.day
    for word in _surnames(name)[:3] or name.given[:1]:
        heard = sound(word)
        yield f"d{heard}|{month}-{day}"
        if not swapped:
            yield f"d{heard}|{year}-{month}-"
            yield f"d{heard}|{year}--{day}"


def _keys_of_exact_date(name: Name, birth: BirthDate) -> Iterator[str]:
    for word in name.given[:1]:
        yield f"t{sound(word)}|{birth.number}"
    for word in (*name.given[:1], *name.surname[:2]):
        yield f"l{word[0]}|{birth.number}"
