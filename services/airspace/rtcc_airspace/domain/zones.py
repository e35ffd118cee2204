"""Zones in the air: areas with a floor and a ceiling above ground."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rtcc.registry.v1.registry_pb2 import Zone
from rtcc_airspace.domain.observations import UNKNOWN_DM, Flags, Floats, Integers

AIR = "air"


@dataclass(frozen=True, slots=True)
class AirZone:
    """`latitudes`, `longitudes`: the corners in 1e-7 degree. Heights in dm above ground; None: no end there."""

    zone_id: str
    name: str
    latitudes: Floats
    longitudes: Floats
    floor_dm: int | None
    ceiling_dm: int | None

    @classmethod
    def of(cls, zone: Zone) -> "AirZone":
        return cls(
            zone.zone_id,
            zone.name,
            np.array([corner.latitude_deg for corner in zone.area.corners]) * 1e7,
            np.array([corner.longitude_deg for corner in zone.area.corners]) * 1e7,
            round(zone.floor_m * 10) if zone.HasField("floor_m") else None,
            round(zone.ceiling_m * 10) if zone.HasField("ceiling_m") else None,
        )

    def contains(self, latitude_e7: Integers, longitude_e7: Integers, height_dm: Integers) -> Flags:
        """Which points are inside. A drone that doesn't tell its height counts as inside: it might be."""
        inside: Flags = np.zeros(len(latitude_e7), bool)
        if len(self.latitudes) < 3:
            return inside
        near = (
            (latitude_e7 >= self.latitudes.min())
            & (latitude_e7 <= self.latitudes.max())
            & (longitude_e7 >= self.longitudes.min())
            & (longitude_e7 <= self.longitudes.max())
        )
        known = height_dm != UNKNOWN_DM
        if self.floor_dm is not None:
            near &= ~known | (height_dm >= self.floor_dm)
        if self.ceiling_dm is not None:
            near &= ~known | (height_dm <= self.ceiling_dm)
        rows = np.flatnonzero(near)
        if len(rows):
            inside[rows] = self._within(latitude_e7[rows].astype(np.float64), longitude_e7[rows].astype(np.float64))
        return inside

    def _within(self, latitude: Floats, longitude: Floats) -> Flags:
        """The even-odd rule of `rtcc_chassis.geometry.polygon_contains`, for many points at once."""
        inside: Flags = np.zeros(len(latitude), bool)
        for index in range(len(self.latitudes)):
            a_latitude, a_longitude = self.latitudes[index - 1], self.longitudes[index - 1]
            b_latitude, b_longitude = self.latitudes[index], self.longitudes[index]
            if a_latitude == b_latitude:
                continue
            spans = (a_latitude > latitude) != (b_latitude > latitude)
            crossing = (b_longitude - a_longitude) * (latitude - a_latitude) / (b_latitude - a_latitude) + a_longitude
            inside ^= spans & (longitude < crossing)
        return inside


def air_zones(zones: Iterable[Zone]) -> tuple[AirZone, ...]:
    """Those of the kind "air", in the order of their ids."""
    return tuple(AirZone.of(zone) for zone in sorted(zones, key=lambda zone: zone.zone_id) if zone.kind == AIR)
