"""Who is nearest: a grid of cells over numpy arrays, asked in growing circles."""

import math

import numpy as np
from numpy.typing import NDArray

from rtcc_chassis.geometry import EARTH_RADIUS_M

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_CELL_DEG = 0.005  # 556 m north to south
_COLUMNS = round(360 / _CELL_DEG)
_ROWS = round(180 / _CELL_DEG)
_FIRST_RADIUS_M = 500.0
_ROWS_PER_ASK = 96
# about 1 mm, so that rounding never leaves a point on the circle out
_MARGIN_DEG = 1e-8


class CellGrid:
    """Built once per change of the points (10,000 points: under a millisecond), then asked many times."""

    def __init__(self, latitude_deg: Floats, longitude_deg: Floats) -> None:
        """Shapes (n,); degrees."""
        self._latitude_deg, self._longitude_deg = latitude_deg, longitude_deg
        keys = _row(latitude_deg) * _COLUMNS + _column(longitude_deg)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def nearest(self, latitude_deg: float, longitude_deg: float, limit: int, allowed: Flags) -> tuple[Integers, Floats]:
        """The `limit` nearest among the allowed points, nearest first, and their distances in metres; ties by number."""
        radius_m = _FIRST_RADIUS_M
        while True:
            found = self._within_box(latitude_deg, longitude_deg, radius_m)
            everywhere = found is None
            candidates = np.flatnonzero(allowed) if found is None else found[allowed[found]]
            metres = distances_m(self._latitude_deg[candidates], self._longitude_deg[candidates], latitude_deg, longitude_deg)
            inside = candidates if everywhere else candidates[metres <= radius_m]
            if everywhere or len(inside) >= limit:
                order = np.lexsort((candidates, metres))[:limit]
                return candidates[order], metres[order]
            radius_m *= 4

    def _within_box(self, latitude_deg: float, longitude_deg: float, radius_m: float) -> Integers | None:
        """Every point in the cells that a circle touches; None when that is so wide that all points are as good."""
        angle = radius_m / EARTH_RADIUS_M
        reach = math.degrees(angle) + _MARGIN_DEG
        south, north = latitude_deg - reach, latitude_deg + reach
        if south <= -90 or north >= 90:
            return None
        rows = np.arange(int(_row(np.array([south]))[0]), int(_row(np.array([north]))[0]) + 1)
        if len(rows) > _ROWS_PER_ASK:
            return None
        # a circle is widest towards the pole, not at its centre: sin(dlon) = sin(r) / cos(lat) (right spherical triangle)
        reach_deg = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(latitude_deg))))) + _MARGIN_DEG
        west, east = longitude_deg - reach_deg, longitude_deg + reach_deg
        spans = [(west, east)]
        if west < -180:
            spans = [(-180.0, east), (west + 360, 180.0)]
        elif east > 180:
            spans = [(west, 180.0), (-180.0, east - 360)]
        parts = []
        for low, high in spans:
            first, last = _column(np.array([low, high]))
            starts = np.searchsorted(self._keys, rows * _COLUMNS + first, side="left")
            ends = np.searchsorted(self._keys, rows * _COLUMNS + last, side="right")
            parts += [self._order[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True) if end > start]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def distances_m(latitude_deg: Floats, longitude_deg: Floats, to_latitude_deg: float, to_longitude_deg: float) -> Floats:
    """Great-circle distances (haversine), as `rtcc_chassis.geometry.distance_m` for arrays."""
    phi, phi_to = np.radians(latitude_deg), math.radians(to_latitude_deg)
    half_phi, half_lambda = (phi_to - phi) / 2, np.radians(to_longitude_deg - longitude_deg) / 2
    root = np.sin(half_phi) ** 2 + np.cos(phi) * math.cos(phi_to) * np.sin(half_lambda) ** 2
    metres: Floats = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, root)))
    return metres


def _row(latitude_deg: Floats) -> Integers:
    return np.clip(np.floor((latitude_deg + 90) / _CELL_DEG), 0, _ROWS - 1).astype(np.int64)


def _column(longitude_deg: Floats) -> Integers:
    return np.clip(np.floor((longitude_deg + 180) / _CELL_DEG), 0, _COLUMNS - 1).astype(np.int64)
