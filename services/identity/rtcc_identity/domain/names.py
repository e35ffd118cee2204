"""Names as they are compared: folded to plain letters, and by their sound.

Both are stored in the search index, so they are written here and don't come from a library whose next version might sound different:
`INDEX_VERSION` rises with every change of a rule, and the index is made anew.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

INDEX_VERSION = 2
MAXIMUM_TOKENS = 5
_LONGEST_TOKEN = 40

# letters that Unicode doesn't decompose
_SPECIAL = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ŋ": "n",
        # Cyrillic as in passports (ICAO Doc 9303 part 3, table B), hard and soft sign dropped
        "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "ё": "e", "є": "ie", "ж": "zh", "з": "z", "и": "i",
        "і": "i", "ї": "i", "й": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t",
        "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "iu",
        "я": "ia",
    }
)  # fmt: skip
_APOSTROPHES = re.compile(r"['’`ʼ´]")
_BREAKS = re.compile(r"[^\w]+|_+")
# spelling -> sound class, longest first; vowels and h are dropped later
_DIGRAPHS = (
    ("shch", "s"), ("tsch", "s"), ("sch", "s"), ("tch", "s"), ("ght", "t"), ("dge", "k"), ("dg", "k"), ("ck", "k"), ("ch", "k"),
    ("sh", "s"), ("zh", "s"), ("th", "t"), ("ph", "f"), ("kh", "k"), ("ts", "s"), ("tz", "s"), ("cz", "s"), ("sz", "s"),
    ("ce", "se"), ("ci", "si"), ("cy", "sy"), ("gh", ""),
)  # fmt: skip
_STARTS = (("kn", "n"), ("gn", "n"), ("wr", "r"), ("ps", "s"), ("pf", "f"), ("mac", "mk"), ("mc", "mk"), ("gh", "g"), ("x", "s"))
_CLASSES = str.maketrans({"p": "b", "v": "f", "w": "f", "d": "t", "c": "k", "q": "k", "g": "k", "z": "s", "x": "k", "j": "y"})
_VOWELS = "aeiouyh"


@dataclass(frozen=True, slots=True)
class Name:
    """One name of a person as folded tokens; either part may be empty."""

    given: tuple[str, ...]
    surname: tuple[str, ...]

    @property
    def joined_surname(self) -> str:
        return "".join(self.surname)

    @property
    def first(self) -> str:
        """The given name that is used."""
        return self.given[0] if self.given else ""


@lru_cache(maxsize=65_536)
def fold(text: str) -> str:
    """Lower case, no accents, no apostrophes: "Ó Néill-Łukasz" -> "o neill-lukasz" (separators stay)."""
    lowered = _APOSTROPHES.sub("", unicodedata.normalize("NFKC", text).casefold()).translate(_SPECIAL)
    return "".join(letter for letter in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(letter))


def tokens(text: str) -> tuple[str, ...]:
    """The words of a name, at most five, each at most 40 characters."""
    return tuple(word[:_LONGEST_TOKEN] for word in _BREAKS.split(fold(text)) if word)[:MAXIMUM_TOKENS]


def name_of(given_names: str, surname: str) -> Name:
    """A stored name."""
    return Name(tokens(given_names), tokens(surname))


def asked_names(text: str) -> tuple[Name, ...]:
    """What a typed name may mean, likeliest first: "Smyth, Jon" says which is which, "Jon Smyth" may be the wrong way round."""
    before, comma, after = text.partition(",")
    if comma:
        surname, given = tokens(before), tokens(after)
        return _without_empty((Name(given, surname), Name(surname, given)))
    # what a hyphen joins belongs together
    words = [found for word in text.split()[:MAXIMUM_TOKENS] if (found := tokens(word))]
    if len(words) < 2:
        alone = words[0] if words else ()
        return _without_empty((Name((), alone), Name(alone, ())))
    readings = [Name(_flat(words[:-1]), words[-1]), Name(_flat(words[1:]), words[0])]
    if len(words) > 2:
        readings.insert(1, Name(words[0], _flat(words[1:])))
    return tuple(readings)


def _flat(words: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(token for word in words for token in word)[:MAXIMUM_TOKENS]


def _without_empty(readings: tuple[Name, ...]) -> tuple[Name, ...]:
    return tuple(dict.fromkeys(name for name in readings if name.given or name.surname))


@lru_cache(maxsize=65_536)
def sound(token: str) -> str:
    """How a folded token sounds, coarsely and across languages: "smith", "smyth" and "schmidt" are alike; so are "kristina" and
    "christina". A first vowel is "a"; other vowels and h are dropped; doubled sounds are one; at most seven. Letters of other alphabets
    are kept.
    """
    for spelled, spoken in _STARTS:
        if token.startswith(spelled):
            token = spoken + token[len(spelled) :]
            break
    for spelled, spoken in _DIGRAPHS:
        if spelled in token:
            token = token.replace(spelled, spoken)
    if not token:
        return ""
    heard = ["a"] if token[0] in _VOWELS and token[0] != "y" else []
    previous = ""
    for position, letter in enumerate(token):
        if letter in _VOWELS and not (position == 0 and letter == "y"):
            # a vowel parts equal sounds: "anna" is one n, "nina" two
            previous = "" if letter != "h" else previous
            continue
        spoken = letter.translate(_CLASSES)
        if spoken != previous:
            heard.append(spoken)
        previous = spoken
    return "".join(heard)[:7]
