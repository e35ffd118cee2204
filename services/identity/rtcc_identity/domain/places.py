"""Addresses as they are compared: street and house number, and the locality apart."""

import math
import re

from rtcc_identity.domain.names import fold

MAXIMUM_ADDRESS_CHARACTERS = 300
# about 111 m by 111 m at the equator; narrower in the north: the neighbours are looked at too
CELL_DEG = 0.001
_CELLS_OF_A_ROW = 360_001
_WORDS = re.compile(r"[\w]+")
_NUMBER = re.compile(r"\d{1,6}[a-z]?\Z")
# what different writers shorten differently; one word stands for all
_STREET_WORDS = {
    "street": "st", "str": "st", "strasse": "st", "avenue": "ave", "av": "ave", "road": "rd", "drive": "dr", "lane": "ln",
    "boulevard": "blvd", "court": "ct", "place": "pl", "square": "sq", "terrace": "ter", "highway": "hwy", "parkway": "pkwy",
    "north": "n", "south": "s", "east": "e", "west": "w", "katu": "k", "tie": "t", "saint": "st",
}  # fmt: skip
_ENDINGS = (("strasse", "str"), ("gatan", "g"), ("katu", "k"))
# after these comes a dwelling, not the house
_UNIT_WORDS = frozenset({"apt", "apartment", "unit", "suite", "ste", "flat", "as", "room", "rm", "floor", "fl", "lot", "no"})


def address_key(text: str) -> tuple[str, str]:
    """(street and house number, locality), folded: ("mannerheimintie 12", "00100 helsinki"); ("", "") when there is no house number.

    Reads "12 Main Street Apt 4, Springfield" and "Mannerheimintie 12 A 4, 00100 Helsinki" alike: the first number with a street's name
    beside it is the house; what follows up to the first comma is the dwelling and left out.
    """
    head, _, tail = text[:MAXIMUM_ADDRESS_CHARACTERS].partition(",")
    words = _WORDS.findall(fold(head))
    at = next((place for place, word in enumerate(words) if _NUMBER.match(word)), None)
    if at is None:
        return "", ""
    before = words[:at]
    street = before or _until_unit(words[at + 1 :])
    if not street:
        return "", ""
    return f"{' '.join(_street_word(word) for word in street)} {words[at]}", " ".join(_WORDS.findall(fold(tail)))


def _until_unit(words: list[str]) -> list[str]:
    for place, word in enumerate(words):
        if word in _UNIT_WORDS or (place and _NUMBER.match(word)):
            return words[:place]
    return words


def _street_word(word: str) -> str:
    if word in _STREET_WORDS:
        return _STREET_WORDS[word]
    for ending, short in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word.removesuffix(ending) + short
    return word


def same_locality(a: str, b: str) -> bool:
    """Whether two localities may be the same: one is empty, or they share a word (town or postcode)."""
    return not a or not b or not set(a.split()).isdisjoint(b.split())


def cell_of(latitude_deg: float, longitude_deg: float) -> int:
    """The number of the cell that holds a point."""
    return math.floor((latitude_deg + 90) / CELL_DEG) * _CELLS_OF_A_ROW + math.floor((longitude_deg + 180) / CELL_DEG)


def cells_around(latitude_deg: float, longitude_deg: float, radius_m: float) -> list[int]:
    """All cells that a circle touches (and some more): at most some hundred for 200 m anywhere but at the poles."""
    rows = math.ceil(radius_m / 111_000 / CELL_DEG)
    metres_per_deg = max(1_000.0, 111_000 * math.cos(math.radians(latitude_deg)))
    columns = min(500, math.ceil(radius_m / metres_per_deg / CELL_DEG))
    centre = cell_of(latitude_deg, longitude_deg)
    return [centre + row * _CELLS_OF_A_ROW + column for row in range(-rows, rows + 1) for column in range(-columns, columns + 1)]


def phone_digits(text: str) -> str:
    """The last nine digits at most: with and without country code or leading zero they are the same; "" for fewer than five."""
    digits = "".join(letter for letter in fold(text) if letter.isascii() and letter.isdigit())
    return digits[-9:].lstrip("0") if len(digits) >= 5 else ""
