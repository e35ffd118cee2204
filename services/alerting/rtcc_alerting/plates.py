"""Plates as numbers: base-37 keys, and the look-alike variants of a whole batch at once."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtcc_chassis.errors import RtccError

MAXIMUM_CHARACTERS = 12
# What plate readers mistake for one another; a character may be read as any other of its group.
CONFUSIONS = ("O0QD", "1I", "8B", "5S", "2Z")

Keys = NDArray[np.int64]
Digits = NDArray[np.uint8]

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SEPARATORS = re.compile(r"[\s\-–—·•.,_'/:]+")
_PLATE = re.compile(rf"[A-Z0-9]{{1,{MAXIMUM_CHARACTERS}}}\Z")
# 37**12 = 6.58e18 fits a signed 64-bit integer, so a key is a PostgreSQL bigint too. Left aligned, 0 pads: no two plates share a key.
_WEIGHTS = np.array([37 ** (MAXIMUM_CHARACTERS - 1 - place) for place in range(MAXIMUM_CHARACTERS)], dtype=np.int64)


def _digit_table() -> Digits:
    table = np.zeros(256, dtype=np.uint8)
    for digit, character in enumerate(_ALPHABET, start=1):
        table[ord(character)] = digit
    return table


def _shift_table() -> Keys:
    """Row of a digit: the differences to the digits it can be mistaken for, 0 where there are fewer than three."""
    shifts = np.zeros((37, 3), dtype=np.int64)
    for group in CONFUSIONS:
        digits = [_ALPHABET.index(character) + 1 for character in group]
        for digit in digits:
            others = [other - digit for other in digits if other != digit]
            shifts[digit, : len(others)] = others
    return shifts


_DIGITS = _digit_table()
_SHIFTS = _shift_table()


class NotAPlate(RtccError):
    """Text that is no plate even without separators and accents."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:24]!r} is not a plate: 1 to {MAXIMUM_CHARACTERS} of A-Z and 0-9 must remain without separators")


def normalise(text: str) -> str:
    """The form that intake writes into every read: upper case, separators and accents gone. Raises NotAPlate."""
    if _PLATE.match(text):
        return text
    decomposed = unicodedata.normalize("NFKD", text).upper()
    plate = _SEPARATORS.sub("", "".join(character for character in decomposed if not unicodedata.combining(character)))
    if not _PLATE.match(plate):
        raise NotAPlate(text)
    return plate


def digits_of(plates: Sequence[str]) -> Digits:
    """One row of 12 base-37 digits a plate; plates must be normalised."""
    raw = np.array([plate.encode("ascii") for plate in plates], dtype=f"S{MAXIMUM_CHARACTERS}")
    return _DIGITS[raw.view(np.uint8).reshape(len(plates), MAXIMUM_CHARACTERS)]


def keys_of(plates: Sequence[str]) -> Keys:
    """One 64-bit key a plate; different plates have different keys."""
    if not plates:
        return np.zeros(0, dtype=np.int64)
    keys: Keys = digits_of(plates).astype(np.int64) @ _WEIGHTS
    return keys


def variants_of(plates: Sequence[str]) -> tuple[NDArray[np.intp], Keys]:
    """Every plate that differs from one given by one look-alike character: (index of the plate given, key of the variant)."""
    digits = digits_of(plates)
    keys = digits.astype(np.int64) @ _WEIGHTS
    shifts = _SHIFTS[digits]
    variants = keys[:, None, None] + shifts * _WEIGHTS[None, :, None]
    rows, _, _ = indices = np.nonzero(shifts)
    return rows, variants[indices]
