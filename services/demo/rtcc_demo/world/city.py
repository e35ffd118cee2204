"""The two agencies of the demo, what they own, and who works there. Names of people are invented."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from rtcc_demo.world.geometry import Metres, bearing_deg, distance_m, inside, to_metres, turn_deg

EAST, WEST = "helsinki-east", "helsinki-west"
AGENCIES = (EAST, WEST)
AGENCY_NAMES = {EAST: "Helsinki East", WEST: "Helsinki West"}
TIME_ZONE = "Europe/Helsinki"

Corner = tuple[float, float]
"""(longitude, latitude) in degrees."""

BORDER: tuple[Corner, ...] = (
    (24.94065, 60.17960),
    (24.94065, 60.17911),
    (24.94237, 60.17313),
    (24.94495, 60.17174),
    (24.94527, 60.17056),
    (24.94551, 60.16982),
    (24.94560, 60.16885),
    (24.94570, 60.16773),
    (24.94574, 60.16709),
    (24.94585, 60.16602),
    (24.94596, 60.16415),
    (24.94596, 60.16370),
)
"""From north to south: along the railway yard, then Mikonkatu and Kasarmikatu."""

AREAS: dict[str, tuple[Corner, ...]] = {
    WEST: (*BORDER, (24.93460, 60.16370), (24.93460, 60.17960)),
    EAST: (*BORDER, (24.95400, 60.16370), (24.95400, 60.17960)),
}
"""Each agency's district as a ring without repetition of its first corner."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera as its agency's import file describes it, placed in metres."""

    camera_id: str
    agency_id: str
    name: str
    plate_reader: bool
    at: Metres
    bearing_deg: float
    field_of_view_deg: float
    range_m: float
    scene: str

    def sees(self, point: Metres) -> bool:
        """Whether a point lies within range and field of view."""
        distance = distance_m(self.at, point)
        if distance > self.range_m:
            return False
        return abs(turn_deg(self.bearing_deg, bearing_deg(self.at, point))) <= self.field_of_view_deg / 2


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in."""

    login: str
    display_name: str
    roles: tuple[str, ...]
    unit_number: int | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A patrol car, an officer on foot or a command car, with the tracking device it carries."""

    unit_id: str
    agency_id: str
    call_sign: str
    kind: str
    device_id: str


@dataclass(frozen=True, slots=True)
class Zone:
    """An area with a meaning; one in the air has a ceiling above ground."""

    zone_id: str
    name: str
    kind: str
    corners: tuple[Corner, ...]
    ceiling_m: float | None = None


PEOPLE: dict[str, tuple[Person, ...]] = {
    EAST: (
        Person("aino.east", "Aino Salmela", ("operator",)),
        Person("eero.east", "Eero Lindqvist", ("supervisor",)),
        Person("iida.east", "Iida Korpi", ("officer",), unit_number=1),
        Person("ilona.east", "Ilona Saari", ("investigator",)),
        Person("otso.east", "Otso Hallamaa", ("auditor",)),
        Person("venla.east", "Venla Rautio", ("administrator",)),
    ),
    WEST: (
        Person("oskar.west", "Oskar Wiren", ("operator",)),
        Person("helmi.west", "Helmi Takala", ("supervisor",)),
        Person("niilo.west", "Niilo Kivelä", ("officer",), unit_number=1),
        Person("ilmari.west", "Ilmari Holm", ("investigator",)),
        Person("saga.west", "Saga Nyman", ("auditor",)),
        Person("toivo.west", "Toivo Ahola", ("administrator",)),
    ),
}

UNITS_PER_AGENCY = 12


def units_of(agency_id: str) -> list[Unit]:
    """Nine patrol cars, two officers on foot, one command car."""
    letter = agency_id.removeprefix("helsinki-")[0].upper()
    kinds = ["patrol"] * 9 + ["officer"] * 2 + ["command"]
    return [
        Unit(f"{agency_id}-unit-{number:02}", agency_id, f"{letter}{number + 10}", kind, f"{agency_id}-tracker-{number:02}")
        for number, kind in enumerate(kinds, start=1)
    ]


ZONES: dict[str, tuple[Zone, ...]] = {
    EAST: (
        Zone("helsinki-east-district", "East district", "district", AREAS[EAST]),
        Zone(
            "helsinki-east-senate",
            "Senate Square event",
            "event",
            ((24.9510, 60.1700), (24.9534, 60.1700), (24.9534, 60.1691), (24.9510, 60.1691)),
        ),
        Zone(
            "helsinki-east-air",
            "Senate Square, no drones",
            "air",
            ((24.9500, 60.1706), (24.9540, 60.1706), (24.9540, 60.1685), (24.9500, 60.1685)),
            ceiling_m=150.0,
        ),
        Zone("helsinki-east-campus", "Campus", "school", ((24.9486, 60.1720), (24.9502, 60.1720), (24.9502, 60.1712), (24.9486, 60.1712))),
    ),
    WEST: (
        Zone("helsinki-west-district", "West district", "district", AREAS[WEST]),
        Zone(
            "helsinki-west-station",
            "Station Square event",
            "event",
            ((24.9426, 60.1719), (24.9446, 60.1719), (24.9446, 60.1705), (24.9426, 60.1705)),
        ),
        Zone(
            "helsinki-west-school",
            "Bulevardi school",
            "school",
            ((24.9380, 60.1657), (24.9398, 60.1657), (24.9398, 60.1649), (24.9380, 60.1649)),
        ),
    ),
}


def agency_at(point: Metres) -> str:
    """Which agency's district a point lies in."""
    ring = [to_metres(*corner) for corner in AREAS[WEST]]
    return WEST if inside(point, ring) else EAST


def camera_features(agency_id: str) -> dict[str, Any]:
    """The agency's camera import file: a GeoJSON FeatureCollection in the registry's public format, without stream addresses."""
    text = (resources.files("rtcc_demo.world") / "data" / f"cameras-{agency_id}.geojson").read_text(encoding="utf-8")
    features: dict[str, Any] = json.loads(text)
    return features


@cache
def load_cameras() -> tuple[Camera, ...]:
    """All cameras of both agencies."""
    return tuple(_camera(agency_id, feature) for agency_id in AGENCIES for feature in camera_features(agency_id)["features"])


def _camera(agency_id: str, feature: dict[str, Any]) -> Camera:
    properties = feature["properties"]
    return Camera(
        camera_id=properties["camera_id"],
        agency_id=agency_id,
        name=properties["name"],
        plate_reader=properties["kind"] == "plate_reader",
        at=to_metres(*feature["geometry"]["coordinates"]),
        bearing_deg=properties["bearing_deg"],
        field_of_view_deg=properties["field_of_view_deg"],
        range_m=properties["range_m"],
        scene=feature["scene"],
    )
