"""Live positions of every unit of the installation in arrays, and their frames: one encoding per agency, view and tick."""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from rtcc.geo.v1.geo_pb2 import BoundingBox, Polygon
from rtcc.live.v1 import live_pb2 as pb
from rtcc.location.v1.location_pb2 import PositionBatch, UnitPosition

_GROW = 256
_UNKNOWN_HEADING_CDEG = 36_000
_UNKNOWN_SPEED_CMPS = 65_535
PANIC, SHARED = 1, 2
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class UnitShare:
    """Units of `agency_id` within `area` (no corners: everywhere), under one agreement."""

    agency_id: str
    agreement_id: str
    area: Polygon


class UnitTable:
    """A unit's number is its row; it never changes while this process lives. Late data never rewrites a newer fix."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.unit_ids: list[str] = []
        self.agency_ids: list[str] = []
        self._agency_codes: dict[str, int] = {}
        self._latitude_e7 = np.zeros(_GROW, np.int64)
        self._longitude_e7 = np.zeros(_GROW, np.int64)
        self._before_latitude_e7 = np.zeros(_GROW, np.int64)
        self._before_longitude_e7 = np.zeros(_GROW, np.int64)
        self._heading_deg = np.full(_GROW, 360, np.int64)
        self._speed_cmps = np.zeros(_GROW, np.int64)
        self._fixed_at_us = np.zeros(_GROW, np.int64)
        self._panic = np.zeros(_GROW, bool)
        self._changed = np.zeros(_GROW, bool)
        self._agency = np.zeros(_GROW, np.int64)

    def __len__(self) -> int:
        return len(self.unit_ids)

    def number_of(self, unit_id: str) -> int | None:
        """None: it never sent a fix."""
        return self._numbers.get(unit_id)

    def apply(self, batch: PositionBatch) -> bool:
        """Take a batch over; whether a panic is in it."""
        if not batch.unit_ids:
            return False
        count = len(batch.unit_ids)
        rows = np.array([self._row(unit_id, batch.agency_id) for unit_id in batch.unit_ids], np.int64)
        columns = [
            np.array(column, np.int64)
            for column in (batch.latitude_e7, batch.longitude_e7, batch.heading_cdeg, batch.speed_cmps, batch.fixed_at_us)
        ]
        if any(len(column) != count for column in columns):
            return False
        latitude, longitude, heading, speed, fixed_at = columns
        panic = np.array(batch.panic, bool) if len(batch.panic) == count else np.zeros(count, bool)
        # several fixes of one unit in a batch: the last one of the newest time stays
        order = np.argsort(fixed_at, kind="stable")
        rows, latitude, longitude, heading, speed, fixed_at, panic = (
            column[order] for column in (rows, latitude, longitude, heading, speed, fixed_at, panic)
        )
        fresh = (fixed_at > self._fixed_at_us[rows]) & (np.abs(latitude) <= 900_000_000) & (np.abs(longitude) <= 1_800_000_000)
        rows = rows[fresh]
        self._latitude_e7[rows], self._longitude_e7[rows] = latitude[fresh], longitude[fresh]
        self._heading_deg[rows] = np.where(heading[fresh] >= _UNKNOWN_HEADING_CDEG, 360, heading[fresh] // 100)
        self._speed_cmps[rows] = np.where(speed[fresh] >= _UNKNOWN_SPEED_CMPS, 0, speed[fresh])
        self._fixed_at_us[rows], self._panic[rows], self._changed[rows] = fixed_at[fresh], panic[fresh], True
        return bool(panic.any())

    def seed(self, position: UnitPosition) -> None:
        """A last known position from the location service; a newer fix stays."""
        row = self._row(position.unit_id, position.agency_id)
        fixed_at_us = position.fixed_at.ToMicroseconds()
        if fixed_at_us <= self._fixed_at_us[row]:
            return
        place = position.position
        first = self._fixed_at_us[row] == 0
        self._latitude_e7[row] = round(place.coordinate.latitude_deg * 1e7)
        self._longitude_e7[row] = round(place.coordinate.longitude_deg * 1e7)
        self._heading_deg[row] = int(place.heading_deg) % 360 if place.HasField("heading_deg") else 360
        self._speed_cmps[row] = max(0, round(place.speed_mps * 100)) if place.HasField("speed_mps") else 0
        self._fixed_at_us[row], self._panic[row] = fixed_at_us, position.panic
        self._changed[row] = not first or self._changed[row]

    def changed(self) -> Rows:
        """Rows with a new fix since the last `settle`."""
        return np.flatnonzero(self._changed[: len(self)])

    def settle(self) -> None:
        """The tick is over."""
        rows = self.changed()
        self._before_latitude_e7[rows], self._before_longitude_e7[rows] = self._latitude_e7[rows], self._longitude_e7[rows]
        self._changed[rows] = False

    def of_agency(self, agency_id: str) -> Mask:
        """Which rows are that agency's own."""
        code = self._agency_codes.get(agency_id, -1)
        return np.asarray(self._agency[: len(self)] == code) & (self._fixed_at_us[: len(self)] > 0)

    def shared(self, share: UnitShare) -> Mask:
        """Which rows an agreement shows now."""
        mask = self.of_agency(share.agency_id)
        if share.area.corners:
            mask = mask & polygon_mask(share.area, self._latitude_e7[: len(self)] / 1e7, self._longitude_e7[: len(self)] / 1e7)
        return mask

    def inside(self, rows: Rows, box: BoundingBox) -> Mask:
        """Which of `rows` are in the box now or were at the last tick, so that one leaving is seen to leave."""
        return in_box(self._latitude_e7[rows], self._longitude_e7[rows], box) | in_box(
            self._before_latitude_e7[rows], self._before_longitude_e7[rows], box
        )

    def columns(self, rows: Rows, shared: Mask, now: datetime, *, snapshot: bool) -> bytes:
        """An encoded Positions without names; `shared` is over the whole table."""
        latitude, longitude = self._latitude_e7[rows], self._longitude_e7[rows]
        age_us = int(now.timestamp() * 1e6) - self._fixed_at_us[rows]
        message = pb.Positions(
            snapshot=snapshot,
            unit_numbers=rows.tolist(),
            latitude_delta_e7=np.diff(latitude, prepend=0).tolist(),
            longitude_delta_e7=np.diff(longitude, prepend=0).tolist(),
            heading_deg=self._heading_deg[rows].tolist(),
            speed_cmps=self._speed_cmps[rows].tolist(),
            age_ds=np.clip(age_us // 100_000, 0, 2**32 - 1).tolist(),
            flags=(self._panic[rows] * PANIC + shared[rows] * SHARED).tolist(),
        )
        return message.SerializeToString()

    def _row(self, unit_id: str, agency_id: str) -> int:
        row = self._numbers.get(unit_id)
        if row is None:
            row = self._numbers[unit_id] = len(self.unit_ids)
            self.unit_ids.append(unit_id)
            self.agency_ids.append(agency_id)
            if row >= len(self._latitude_e7):
                self._grow()
            self._agency[row] = self._agency_codes.setdefault(agency_id, len(self._agency_codes))
        return row

    def _grow(self) -> None:
        for name in (
            "_latitude_e7", "_longitude_e7", "_before_latitude_e7", "_before_longitude_e7", "_heading_deg", "_speed_cmps", "_fixed_at_us",
            "_panic", "_changed", "_agency",
        ):  # fmt: skip
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))


def in_box(latitude_e7: NDArray[np.int64], longitude_e7: NDArray[np.int64], box: BoundingBox) -> Mask:
    """Which points lie in the box; west > east means across the antimeridian."""
    south, north = box.south_deg * 1e7, box.north_deg * 1e7
    west, east = box.west_deg * 1e7, box.east_deg * 1e7
    across = (longitude_e7 >= west) & (longitude_e7 <= east) if west <= east else (longitude_e7 >= west) | (longitude_e7 <= east)
    return (latitude_e7 >= south) & (latitude_e7 <= north) & across


def polygon_mask(polygon: Polygon, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> Mask:
    """The even-odd rule of `rtcc_chassis.geometry.polygon_contains` for many points at once."""
    inside = np.zeros(len(latitude), bool)
    corners = polygon.corners
    if len(corners) < 3:
        return inside
    for index in range(len(corners)):
        a, b = corners[index - 1], corners[index]
        if a.latitude_deg == b.latitude_deg:
            continue
        spans = (a.latitude_deg > latitude) != (b.latitude_deg > latitude)
        crossing = (b.longitude_deg - a.longitude_deg) * (latitude - a.latitude_deg) / (b.latitude_deg - a.latitude_deg) + a.longitude_deg
        inside ^= spans & (longitude < crossing)
    return inside


def cell_box(box: BoundingBox) -> BoundingBox:
    """The box widened to a grid that depends on its size, so that neighbours looking at about the same place share one encoding."""
    height = max(1e-4, box.north_deg - box.south_deg)
    width = max(1e-4, box.east_deg - box.west_deg if box.west_deg <= box.east_deg else 360 - box.west_deg + box.east_deg)
    cell = 2.0 ** math.ceil(math.log2(max(height, width) / 4))
    return BoundingBox(
        south_deg=max(-90.0, math.floor(box.south_deg / cell) * cell),
        west_deg=max(-180.0, math.floor(box.west_deg / cell) * cell),
        north_deg=min(90.0, math.ceil(box.north_deg / cell) * cell),
        east_deg=min(180.0, math.ceil(box.east_deg / cell) * cell),
    )
