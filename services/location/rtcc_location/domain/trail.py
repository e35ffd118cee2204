"""Where a unit went: one packed row a unit and minute.

A row is a version byte, the number of fixes (2 bytes, big-endian) and zlib over byte planes: six columns (time within the minute,
latitude, longitude, heading, speed, accuracy with the panic flag as its lowest bit) as differences of neighbours, 8 bytes each, the
first bytes of all numbers first, so that the zeros of small differences lie together. Lossless; 7 to 11 bytes a fix for a moving car.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from rtcc_location.domain.fixes import ACCURACY, FIXED_AT, HEADING, LATITUDE, LONGITUDE, SPEED, Fixes, Flags, Integers

MINUTE_US = 60_000_000
# ten fixes a second; a device that sends more has its minute thinned
MOST_PER_MINUTE = 600
_VERSION = 1
_HEAD = 3
_COLUMNS = 6
_LEVEL = 6


class DamagedTrail(ValueError):
    """A packed minute that can't be read."""


@dataclass(frozen=True, slots=True, eq=False)
class Trail:
    """Fixes of one unit by time: `numbers` has shape (6, n): fixed at (us), latitude, longitude (1e-7 degree), heading (0.01 degree),
    speed (cm/s), accuracy (dm); `panic` has n entries."""

    numbers: Integers
    panic: Flags

    def __len__(self) -> int:
        return int(self.numbers.shape[1])

    @property
    def fixed_at_us(self) -> Integers:
        column: Integers = self.numbers[0]
        return column

    @classmethod
    def empty(cls) -> "Trail":
        return cls(np.zeros((_COLUMNS, 0), np.int64), np.zeros(0, bool))

    def rows(self, chosen: Integers | Flags) -> "Trail":
        return Trail(self.numbers[:, chosen], self.panic[chosen])

    def between(self, from_us: int, until_us: int) -> "Trail":
        """Both ends included."""
        return self.rows((self.fixed_at_us >= from_us) & (self.fixed_at_us <= until_us))


def by_unit_and_minute(fixes: Fixes) -> dict[tuple[str, int], Trail]:
    """(unit, minute since the epoch) -> its fixes, as they came."""
    numbers = fixes.numbers[[FIXED_AT, LATITUDE, LONGITUDE, HEADING, SPEED, ACCURACY]]
    minutes = fixes.fixed_at_us // MINUTE_US
    found: dict[tuple[str, int], list[int]] = {}
    for index, key in enumerate(zip(fixes.unit_ids, minutes.tolist(), strict=True)):
        found.setdefault(key, []).append(index)
    return {key: Trail(numbers[:, rows], fixes.panic[rows]) for key, rows in found.items()}


def merged(*parts: Trail) -> Trail:
    """One trail by time; of fixes with the same time the first counts, so a part may come twice."""
    numbers = np.concatenate([part.numbers for part in parts], axis=1)
    panic = np.concatenate([part.panic for part in parts])
    _, first = np.unique(numbers[0], return_index=True)
    return Trail(numbers[:, first], panic[first])


def thinned(trail: Trail, most: int) -> Trail:
    """At most `most` (2 or more), evenly chosen, the first and the last among them."""
    if len(trail) <= most:
        return trail
    return trail.rows(np.linspace(0, len(trail) - 1, most).round().astype(np.int64))


def pack(trail: Trail, minute: int) -> bytes:
    """At most 65,535 fixes of that minute."""
    columns = trail.numbers.copy()
    columns[0] -= minute * MINUTE_US
    columns[5] = columns[5] * 2 + trail.panic
    differences = np.diff(columns, axis=1, prepend=0).astype("<i8")
    planes = np.frombuffer(differences.tobytes(), np.uint8).reshape(-1, 8).T
    return bytes((_VERSION,)) + len(trail).to_bytes(2, "big") + zlib.compress(planes.tobytes(), _LEVEL)


def unpack(body: bytes, minute: int) -> Trail:
    """The fixes of a packed minute. Raises DamagedTrail."""
    if len(body) < _HEAD or body[0] != _VERSION:
        raise DamagedTrail("unknown version")
    count = int.from_bytes(body[1:_HEAD], "big")
    expected = count * _COLUMNS * 8
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(body[_HEAD:], expected + 1)
    except zlib.error as error:
        raise DamagedTrail(str(error)) from error
    if len(data) != expected or not reader.eof:
        raise DamagedTrail(f"{len(data)} bytes for {count} fixes")
    planes = np.frombuffer(data, np.uint8).reshape(8, -1).T
    columns = np.frombuffer(planes.tobytes(), "<i8").reshape(_COLUMNS, count).cumsum(axis=1).astype(np.int64)
    columns[0] += minute * MINUTE_US
    panic = (columns[5] & 1).astype(bool)
    columns[5] >>= 1
    return Trail(columns, panic)
