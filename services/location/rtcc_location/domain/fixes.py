"""A device's fixes as columns: checked one by one, carried together.

Units of the columns are those of `PositionBatch`: 1e-7 degree, 0.01 degree, cm/s, dm, microseconds since the Unix epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from rtcc.location.v1 import location_pb2 as pb
from rtcc_chassis.geometry import position_violations

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

UNKNOWN_HEADING_CDEG = 36_000
UNKNOWN_SPEED_CMPS = 65_535
UNKNOWN_ACCURACY_DM = 0
# A device clock that runs ahead by more than this would block every honest fix after it.
FUTURE_MOST = timedelta(minutes=2)
# Receivers without a date start in 1970 or 1980; week roll-over lands in 1999 and 2019.
OLDEST_US = 946_684_800_000_000  # 2000-01-01
FASTEST_MPS = 600.0
REASONS_MOST = 20
FIXES_PER_MESSAGE = 1_000


LATITUDE, LONGITUDE, HEADING, SPEED, ACCURACY, FIXED_AT, RECEIVED_AT = range(7)
COLUMNS = 7


@dataclass(frozen=True, slots=True)
class Fixes:
    """`numbers` has shape (7, n): the columns above; `unit_ids` and `panic` have n entries."""

    unit_ids: list[str]
    numbers: Integers
    panic: Flags

    def __len__(self) -> int:
        return len(self.unit_ids)

    @property
    def fixed_at_us(self) -> Integers:
        column: Integers = self.numbers[FIXED_AT]
        return column

    def rows(self, chosen: Integers) -> "Fixes":
        """The rows of these numbers, in their order."""
        return Fixes([self.unit_ids[row] for row in chosen.tolist()], self.numbers[:, chosen], self.panic[chosen])

    def with_panic(self, panic: Flags) -> "Fixes":
        """The same rows with another panic column."""
        return replace(self, panic=panic)

    @classmethod
    def joined(cls, parts: Sequence["Fixes"]) -> "Fixes":
        """One after the other; at least one part."""
        if len(parts) == 1:
            return parts[0]
        unit_ids = [unit_id for part in parts for unit_id in part.unit_ids]
        return cls(unit_ids, np.concatenate([part.numbers for part in parts], axis=1), np.concatenate([part.panic for part in parts]))

    @classmethod
    def of(cls, unit_ids: list[str], rows: Sequence[tuple[int, ...]]) -> "Fixes":
        """Rows of (latitude, longitude, heading, speed, accuracy, fixed at, received at, panic 0 or 1)."""
        table = np.array(rows, np.int64).reshape(len(rows), COLUMNS + 1).T
        return cls(unit_ids, np.ascontiguousarray(table[:COLUMNS]), table[COLUMNS].astype(bool))


@dataclass(frozen=True, slots=True)
class Checked:
    """The believable fixes of a message, how many were refused, and the first 20 of those with the reasons."""

    fixes: Fixes
    rejected: int
    refused: list[pb.Fix]
    reasons: list[str]


def checked_fixes(unit_id: str, fixes: Sequence[pb.Fix], now: datetime) -> Checked:
    """Refuses what lies off the globe, on the null island, in the future or without a time; says why."""
    return checked_of_many([unit_id] * len(fixes), fixes, now)


def checked_of_many(unit_ids: Sequence[str], fixes: Sequence[pb.Fix], now: datetime) -> Checked:
    """As `checked_fixes`, for the fixes of several units."""
    now_us = microseconds(now)
    good_ids: list[str] = []
    rows: list[tuple[int, ...]] = []
    refused: list[pb.Fix] = []
    reasons: list[str] = []
    rejected = 0
    for index, fix in enumerate(fixes):
        reason = _problem(fix, now_us)
        if reason:
            rejected += 1
            if len(reasons) < REASONS_MOST:
                refused.append(fix)
                reasons.append(f"fixes[{index}]: {reason}")
        else:
            good_ids.append(unit_ids[index])
            rows.append(_row(fix, now_us))
    return Checked(Fixes.of(good_ids, rows), rejected, refused, reasons)


def microseconds(moment: datetime) -> int:
    """Since the Unix epoch; exact for aware datetimes."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _problem(fix: pb.Fix, now_us: int) -> str:
    position = fix.position
    if violations := position_violations(position, "position"):
        return f"{violations[0].field}: {violations[0].reason}"
    if position.coordinate.latitude_deg == 0 and position.coordinate.longitude_deg == 0:
        return "position.coordinate: 0, 0 is what receivers report without a fix"
    if position.speed_mps > FASTEST_MPS:
        return f"position.speed_mps: {position.speed_mps:.0f} m/s is faster than anything on our maps"
    if not fix.HasField("fixed_at"):
        return "fixed_at: is needed"
    fixed_at_us = _stamp_us(fix)
    if fixed_at_us < OLDEST_US:
        return "fixed_at: lies before the year 2000, so the device's clock isn't set"
    if fixed_at_us > now_us + FUTURE_MOST // timedelta(microseconds=1):
        ahead_s = (fixed_at_us - now_us) / 1e6
        return f"fixed_at: lies {ahead_s:.0f} s in the future, at most {FUTURE_MOST.seconds} s are taken: set the device's clock"
    return ""


def _stamp_us(fix: pb.Fix) -> int:
    return fix.fixed_at.seconds * 1_000_000 + fix.fixed_at.nanos // 1000


def _row(fix: pb.Fix, now_us: int) -> tuple[int, ...]:
    position = fix.position
    heading_known, speed_known = position.HasField("heading_deg"), position.HasField("speed_mps")
    return (
        round(position.coordinate.latitude_deg * 1e7),
        round(position.coordinate.longitude_deg * 1e7),
        round(position.heading_deg * 100) % 36_000 if heading_known else UNKNOWN_HEADING_CDEG,
        round(position.speed_mps * 100) if speed_known else UNKNOWN_SPEED_CMPS,
        min(round(position.accuracy_m * 10), 2**31) if position.accuracy_m < 1e9 else 2**31,
        _stamp_us(fix),
        now_us,
        int(fix.panic),
    )
