"""Where everybody is: one row a unit in numpy arrays, updated in whole batches."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from rtcc_location.domain.fixes import (
    COLUMNS,
    FIXED_AT,
    HEADING,
    LATITUDE,
    LONGITUDE,
    SPEED,
    UNKNOWN_HEADING_CDEG,
    UNKNOWN_SPEED_CMPS,
    Fixes,
    Flags,
    Integers,
)

# A panic button is pressed once, ordinary fixes follow within a second: the call for help stays up this long after the last press.
PANIC_HOLD = timedelta(minutes=2)
_PANIC_HOLD_US = PANIC_HOLD // timedelta(microseconds=1)
_NEVER_US = -(2**62)
_GROW = 1_024

FRESH, REPEATED, LATE = 0, 1, 2


class LiveState:
    """A unit's row never changes while this object lives. Late data never rewrites it."""

    def __init__(self) -> None:
        self.version = 0
        self.unit_ids: list[str] = []
        self._row_of: dict[str, int] = {}
        self._agency_codes: dict[str, int] = {}
        self._agency_code = np.zeros(_GROW, np.int64)
        # as `Fixes.numbers`: one column a unit
        self.numbers = _empty_numbers(_GROW)
        self.panic = np.zeros(_GROW, bool)
        self._panic_at_us = np.full(_GROW, _NEVER_US, np.int64)
        self._changed = np.zeros(_GROW, bool)

    def __len__(self) -> int:
        return len(self.unit_ids)

    def rows_of(self, unit_ids: Sequence[str], agency_ids: Sequence[str]) -> Integers:
        """Row numbers; unknown units get a new row, without a position yet."""
        rows = np.empty(len(unit_ids), np.int64)
        for index, unit_id in enumerate(unit_ids):
            row = self._row_of.get(unit_id)
            rows[index] = self._new_row(unit_id, agency_ids[index]) if row is None else row
        return rows

    def row_of(self, unit_id: str) -> int | None:
        """The row of a unit that has a position."""
        row = self._row_of.get(unit_id)
        return row if row is not None and self.numbers[FIXED_AT, row] > _NEVER_US else None

    def judged(self, fixes: Fixes, rows: Integers) -> tuple[Integers, Flags]:
        """For each fix FRESH, REPEATED or LATE against the state before the batch, and whether a panic is up at it. Changes nothing."""
        before = self.numbers[FIXED_AT, rows]
        verdict = np.where(fixes.fixed_at_us > before, FRESH, np.where(fixes.fixed_at_us == before, REPEATED, LATE))
        pressed_at = self._panic_at_us.copy()
        np.maximum.at(pressed_at, rows[fixes.panic], fixes.fixed_at_us[fixes.panic])
        since_us = fixes.fixed_at_us - pressed_at[rows]
        held = (since_us >= 0) & (since_us <= _PANIC_HOLD_US)
        return verdict.astype(np.int64), fixes.panic | held

    def apply(self, fixes: Fixes, rows: Integers, pressed: Flags | None = None) -> None:
        """Take over what is newer. Applying a batch twice, or an older one after it, changes nothing.

        `fixes.panic` says whether a call for help is up, `pressed` where the button was pressed; None: a batch from the
        stream, where only the first of a row of calls counts as a press, else each held call would prolong the next.
        """
        if not len(fixes):
            return
        if pressed is None:
            pressed = fixes.panic & (fixes.fixed_at_us > self._panic_at_us[rows] + _PANIC_HOLD_US)
        order = np.lexsort((np.arange(len(fixes)), fixes.fixed_at_us, rows))
        newest = order[np.append(rows[order][1:] != rows[order][:-1], True)]
        newest = newest[fixes.fixed_at_us[newest] > self.numbers[FIXED_AT, rows[newest]]]
        at = rows[newest]
        np.maximum.at(self._panic_at_us, rows[pressed], fixes.fixed_at_us[pressed])
        self.numbers[:, at] = fixes.numbers[:, newest]
        self.panic[at] = fixes.panic[newest]
        self._changed[at] = True
        self.version += 1

    def known(self) -> Flags:
        """Rows that have a position."""
        return self.column(FIXED_AT) > _NEVER_US

    def of_agency(self, agency_id: str) -> Flags:
        """Rows of an agency."""
        rows: Flags = self._agency_code[: len(self)] == self._agency_codes.get(agency_id, -1)
        return rows

    def column(self, column: int) -> Integers:
        """One of the columns of `Fixes.numbers` for every row."""
        return self.numbers[column, : len(self)]

    def agency_of(self, row: int) -> str:
        return list(self._agency_codes)[int(self._agency_code[row])]

    def coordinates_deg(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(latitude, longitude) of every row."""
        return self.column(LATITUDE) / 1e7, self.column(LONGITUDE) / 1e7

    def take_changed(self) -> Integers:
        """Rows changed since the last call."""
        changed: Integers = np.flatnonzero(self._changed)
        self._changed[changed] = False
        return changed

    def give_back_changed(self, rows: Integers) -> None:
        """Rows whose saving failed: they come again."""
        self._changed[rows] = True

    def fixes_of(self, rows: Integers) -> Fixes:
        """The rows as fixes."""
        return Fixes([self.unit_ids[row] for row in rows.tolist()], self.numbers[:, rows], self.panic[rows])

    def _new_row(self, unit_id: str, agency_id: str) -> int:
        row = len(self.unit_ids)
        if row == len(self.panic):
            self._grow()
        self.unit_ids.append(unit_id)
        self._row_of[unit_id] = row
        self._agency_code[row] = self._agency_codes.setdefault(agency_id, len(self._agency_codes))
        return row

    def _grow(self) -> None:
        more = len(self.panic)
        self.numbers = np.concatenate([self.numbers, _empty_numbers(more)], axis=1)
        self._agency_code = np.concatenate([self._agency_code, np.zeros(more, np.int64)])
        self._panic_at_us = np.concatenate([self._panic_at_us, np.full(more, _NEVER_US, np.int64)])
        self.panic = np.concatenate([self.panic, np.zeros(more, bool)])
        self._changed = np.concatenate([self._changed, np.zeros(more, bool)])


def _empty_numbers(count: int) -> Integers:
    numbers = np.zeros((COLUMNS, count), np.int64)
    numbers[FIXED_AT] = _NEVER_US
    numbers[HEADING], numbers[SPEED] = UNKNOWN_HEADING_CDEG, UNKNOWN_SPEED_CMPS
    return numbers
