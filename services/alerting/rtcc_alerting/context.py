"""What opening an alert needs, put together while it is raised: the best cameras, the nearest units, the place.

Everything comes from memory: cameras, units and zones from the directory's mirrors, positions from the position stream.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc.registry.v1.registry_pb2 import Camera, Unit, Zone
from rtcc_chassis.directory import Mirror
from rtcc_chassis.geometry import DEFAULT_RANGE_M, EARTH_RADIUS_M, polygon_contains

BEST_CAMERAS = 4
NEAREST_UNITS = 4
# beyond it a camera or unit says nothing about the place
CAMERA_REACH_M = 2_000.0
UNIT_REACH_M = 20_000.0
# an older fix says where a unit was, not where it is
UNIT_AGE = timedelta(minutes=10)

Floats = NDArray[np.float64]


def distances_m(latitudes: Floats, longitudes: Floats, coordinate: Coordinate) -> Floats:
    """Haversine distances to one point, as `rtcc_chassis.geometry.distance_m` for a whole column."""
    phi, point = np.radians(latitudes), np.radians(coordinate.latitude_deg)
    half_phi = (phi - point) / 2
    half_lambda = np.radians(longitudes - coordinate.longitude_deg) / 2
    root = np.sin(half_phi) ** 2 + np.cos(phi) * np.cos(point) * np.sin(half_lambda) ** 2
    result: Floats = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, root)))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class CameraIndex:
    """The enabled cameras of one agency as columns; made anew when one changes."""

    cameras: Sequence[Camera]
    latitudes: Floats
    longitudes: Floats
    bearings_deg: Floats
    half_views_deg: Floats
    ranges_m: Floats

    @classmethod
    def of(cls, cameras: Sequence[Camera]) -> "CameraIndex":
        usable = sorted(
            (camera for camera in cameras if camera.enabled and camera.HasField("coordinate")), key=lambda camera: camera.camera_id
        )

        def column(values: list[float]) -> Floats:
            return np.array(values, dtype=np.float64)

        return cls(
            usable,
            column([camera.coordinate.latitude_deg for camera in usable]),
            column([camera.coordinate.longitude_deg for camera in usable]),
            column([camera.bearing_deg for camera in usable]),
            column([180.0 if camera.field_of_view_deg >= 360 else camera.field_of_view_deg / 2 for camera in usable]),
            column([camera.range_m or DEFAULT_RANGE_M for camera in usable]),
        )

    def best(self, coordinate: Coordinate, seen_by: str = "", limit: int = BEST_CAMERAS) -> list[tuple[Camera, float, bool]]:
        """(camera, metres, in view): the camera that saw it first, then those that see the place, then by distance."""
        if not len(self.cameras):
            return []
        metres = distances_m(self.latitudes, self.longitudes, coordinate)
        reachable = np.flatnonzero(metres <= CAMERA_REACH_M)
        in_view = self._in_view(coordinate, metres)
        rows = [
            (self.cameras[row].camera_id != seen_by, not in_view[row], metres[row], self.cameras[row].camera_id, row)
            for row in reachable[np.lexsort((metres[reachable], ~in_view[reachable]))][: limit + 1].tolist()
        ]
        own = next((row for row, camera in enumerate(self.cameras) if camera.camera_id == seen_by), None) if seen_by else None
        if own is not None and own not in [row[-1] for row in rows] and metres[own] <= CAMERA_REACH_M:
            rows.append((False, not in_view[own], metres[own], seen_by, own))
        return [
            (self.cameras[row], float(distance), camera_id == seen_by or bool(in_view[row]))
            for _, _, distance, camera_id, row in sorted(rows)[:limit]
        ]

    def _in_view(self, coordinate: Coordinate, metres: Floats) -> NDArray[np.bool_]:
        phi, point = np.radians(self.latitudes), np.radians(coordinate.latitude_deg)
        difference = np.radians(coordinate.longitude_deg - self.longitudes)
        east = np.sin(difference) * np.cos(point)
        north = np.cos(phi) * np.sin(point) - np.sin(phi) * np.cos(point) * np.cos(difference)
        off_axis = np.abs((np.degrees(np.arctan2(east, north)) - self.bearings_deg + 180) % 360 - 180)
        seen: NDArray[np.bool_] = (metres <= self.ranges_m) & ((off_axis <= self.half_views_deg) | (metres < 1))
        return seen


class UnitPositions:
    """Where every unit was last, from the position stream."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, tuple[float, float, int]]] = {}

    def apply(self, batch: PositionBatch) -> None:
        """Newer fixes replace older ones."""
        rows = self._rows.setdefault(batch.agency_id, {})
        for unit_id, latitude, longitude, fixed_at_us in zip(
            batch.unit_ids, batch.latitude_e7, batch.longitude_e7, batch.fixed_at_us, strict=True
        ):
            known = rows.get(unit_id)
            if known is None or known[2] <= fixed_at_us:
                rows[unit_id] = (latitude / 1e7, longitude / 1e7, fixed_at_us)

    def nearest(
        self,
        agency_id: str,
        coordinate: Coordinate,
        now: datetime,
        limit: int = NEAREST_UNITS,
        can_be_sent: Callable[[str], bool] = lambda unit_id: True,
    ) -> list[tuple[str, float, float]]:
        """(unit id, metres, age in seconds), nearest first."""
        rows = self._rows.get(agency_id)
        if not rows:
            return []
        oldest_us = int((now - UNIT_AGE).timestamp() * 1e6)
        names = [unit_id for unit_id, row in rows.items() if row[2] >= oldest_us]
        if not names:
            return []
        columns = np.array([rows[name] for name in names], dtype=np.float64)
        metres = distances_m(columns[:, 0], columns[:, 1], coordinate)
        now_us = now.timestamp() * 1e6
        found: list[tuple[str, float, float]] = []
        for row in np.argsort(metres, kind="stable").tolist():
            if len(found) == limit or metres[row] > UNIT_REACH_M:
                break
            if can_be_sent(names[row]):
                found.append((names[row], float(metres[row]), max(0.0, (now_us - float(columns[row, 2])) / 1e6)))
        return found


class ContextBuilder:
    """Builds the context of an alert without asking anybody."""

    def __init__(self, cameras: Mirror[Camera], units: Mirror[Unit], zones: Mirror[Zone], positions: UnitPositions) -> None:
        self._cameras = cameras
        self._units = units
        self._zones = zones
        self._positions = positions
        self._indexes: dict[str, CameraIndex] = {}
        cameras.on_change(self._camera_changed)

    def build(self, alert: pb.Alert, now: datetime) -> pb.AlertContext:
        """For the alert's own agency and its present position."""
        context = pb.AlertContext()
        if not alert.position.HasField("coordinate"):
            return context
        coordinate = alert.position.coordinate
        seen_by = alert.event.plate_read.camera_id
        for camera, metres, in_view in self._index(alert.agency_id).best(coordinate, seen_by):
            context.cameras.add(
                camera_id=camera.camera_id,
                agency_id=camera.agency_id,
                name=camera.name,
                distance_m=metres,
                in_view=in_view,
                coordinate=camera.coordinate,
                bearing_deg=camera.bearing_deg,
            )
        # buses and trams of public feeds have positions too, but are no units of the registry: nobody sends a bus
        nearest = self._positions.nearest(
            alert.agency_id, coordinate, now, can_be_sent=lambda unit_id: self._units.get(unit_id) is not None
        )
        for unit_id, metres, age_s in nearest:
            if unit := self._units.get(unit_id):
                context.units.add(unit_id=unit_id, call_sign=unit.call_sign, distance_m=metres, age_s=age_s)
        context.place = self._place(alert.agency_id, coordinate, seen_by)
        return context

    def _place(self, agency_id: str, coordinate: Coordinate, seen_by: str) -> str:
        camera = self._cameras.get(seen_by) if seen_by else None
        if camera is not None and camera.agency_id == agency_id and camera.name:
            return camera.name
        return next((zone.name for zone in self._zones.of_agency(agency_id) if polygon_contains(zone.area, coordinate)), "")

    def _index(self, agency_id: str) -> CameraIndex:
        index = self._indexes.get(agency_id)
        if index is None:
            index = self._indexes[agency_id] = CameraIndex.of(self._cameras.of_agency(agency_id))
        return index

    def _camera_changed(self, camera_id: str, old: Camera | None, new: Camera | None) -> None:
        for camera in (old, new):
            if camera is not None:
                self._indexes.pop(camera.agency_id, None)
