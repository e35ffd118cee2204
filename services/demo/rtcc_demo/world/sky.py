"""What flies over the city: a drone whose pilot stands in a park, and aircraft on their way. Everything is invented."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtcc_demo.world.city import EAST, WEST, Corner
from rtcc_demo.world.geometry import Metres, ahead, bearing_deg, distance_m, to_metres
from rtcc_demo.world.script import DRONE_PILOT, DRONE_TAKES_OFF_S, DRONE_WAY

RECEIVERS: dict[str, Corner] = {EAST: (24.9500, 60.1702), WEST: (24.9410, 60.1690)}
"""Where each agency's aerials stand: on the roofs of its stations."""
REACH_M = 1_500.0
"""How far a drone's Wi-Fi is heard in a city."""
GROUND_M = 20.0
"""Of the city above the ellipsoid."""
CLIMB_MPS = 3.0


@dataclass(frozen=True, slots=True)
class Drone:
    """What a drone says of itself. The manufacturer's code RTCC belongs to nobody."""

    serial_number: str
    operator_id: str
    description: str
    mac: str


KESTREL = Drone("RTCCF00000000000042", "FIN87astrdge12k8", "Sightseeing", "02:52:54:43:43:01")


@dataclass(frozen=True, slots=True)
class DroneFix:
    """The drone as one agency's receiver hears it. `rssi_dbm` falls with the distance (Friis)."""

    agency_id: str
    drone: Drone
    at: Metres
    height_m: float
    ground_m: float
    heading_deg: float
    speed_mps: float
    vertical_mps: float
    pilot_at: Metres
    rssi_dbm: float
    heard_s: float


@dataclass(frozen=True, slots=True)
class Aircraft:
    """One aircraft as a receiver of ADS-B lists it."""

    address: str
    flight: str
    registration: str
    type_code: str
    at: Metres
    altitude_m: float
    speed_mps: float
    heading_deg: float


@dataclass(frozen=True, slots=True)
class AircraftSeen:
    """All aircraft that one agency's receiver hears at a moment."""

    agency_id: str
    aircraft: tuple[Aircraft, ...]
    heard_s: float


@dataclass(frozen=True, slots=True)
class _Leg:
    begins_s: float
    lasts_s: float
    start: Metres
    end: Metres
    start_height_m: float
    end_height_m: float


class DroneFlight:
    """The scripted flight: up at the pilot's, along the way with its waits, back, and down."""

    def __init__(self) -> None:
        self._pilot = to_metres(*DRONE_PILOT)
        self._legs = _legs(self._pilot)
        self.lasts_s = self._legs[-1].begins_s + self._legs[-1].lasts_s

    def heard(self, flown_s: float, now_s: float) -> list[DroneFix]:
        """By each receiver in reach, `flown_s` seconds after take-off; nothing before and after the flight."""
        leg = next((leg for leg in self._legs if leg.begins_s <= flown_s < leg.begins_s + leg.lasts_s), None)
        if leg is None:
            return []
        share = (flown_s - leg.begins_s) / leg.lasts_s
        at = leg.start[0] + (leg.end[0] - leg.start[0]) * share, leg.start[1] + (leg.end[1] - leg.start[1]) * share
        moves_m = distance_m(leg.start, leg.end)
        heading = bearing_deg(leg.start, leg.end) if moves_m else 0.0
        height_m = leg.start_height_m + (leg.end_height_m - leg.start_height_m) * share
        # pacing up and down beside the take-off place
        pilot = ahead(self._pilot, 75.0, 12.0 + 6.0 * math.sin(flown_s / 9.0))
        found = []
        for agency_id, corner in RECEIVERS.items():
            away_m = math.hypot(distance_m(at, to_metres(*corner)), height_m)
            if away_m <= REACH_M:
                rssi = -38.0 - 20.0 * math.log10(max(1.0, away_m / 10.0))
                vertical = (leg.end_height_m - leg.start_height_m) / leg.lasts_s
                found.append(
                    DroneFix(
                        agency_id, KESTREL, at, height_m, GROUND_M, heading, moves_m / leg.lasts_s, vertical, pilot, round(rssi, 1), now_s
                    )
                )
        return found


def _legs(pilot: Metres) -> list[_Leg]:
    """Straight lines between the way's points, up first and down last."""
    top_m = DRONE_WAY[0].height_m
    legs = [_Leg(0.0, top_m / CLIMB_MPS, pilot, pilot, 0.5, top_m)]
    for point in DRONE_WAY:
        before, goal = legs[-1], to_metres(*point.place)
        begins_s = before.begins_s + before.lasts_s
        flies_s = distance_m(before.end, goal) / point.speed_mps
        legs.append(_Leg(begins_s, flies_s, before.end, goal, before.end_height_m, point.height_m))
        if point.waits_s:
            legs.append(_Leg(begins_s + flies_s, point.waits_s, goal, goal, point.height_m, point.height_m))
    last = legs[-1]
    begins_s = last.begins_s + last.lasts_s
    home_s = distance_m(last.end, pilot) / DRONE_WAY[-1].speed_mps
    legs.append(_Leg(begins_s, home_s, last.end, pilot, last.end_height_m, top_m))
    legs.append(_Leg(begins_s + home_s, top_m / CLIMB_MPS, pilot, pilot, top_m, 0.5))
    return legs


def aircraft_at(now_s: float) -> tuple[Aircraft, ...]:
    """A helicopter that circles over the harbour, and two airliners that come and go every six minutes."""
    angle = now_s / 25.0
    harbour = to_metres(24.9560, 60.1665)
    circling = harbour[0] + 450.0 * math.sin(angle), harbour[1] + 450.0 * math.cos(angle)
    heading = (math.degrees(angle) + 90.0) % 360.0
    found = [Aircraft("461f7a", "RAJA21", "OH-HVX", "AS32", circling, 280.0, 18.0, heading)]
    for number, (address, flight, registration, start, course, altitude_m) in enumerate(
        (
            ("461e2b", "FIN4XT", "OH-LXM", (-14_000.0, -9_000.0), 45.0, 1_900.0),
            ("4ac9e3", "SAS72B", "SE-ROX", (12_000.0, 10_000.0), 230.0, 3_100.0),
        )
    ):
        flown_s = (now_s + number * 180.0) % 360.0
        if flown_s < 300.0:
            found.append(Aircraft(address, flight, registration, "A20N", ahead(start, course, flown_s * 95.0), altitude_m, 95.0, course))
    return tuple(found)


def take_off_due(now_s: float, cycle_s: float) -> float:
    """Seconds since the last scripted take-off; negative before the first."""
    since_s = now_s - DRONE_TAKES_OFF_S
    return since_s % cycle_s if since_s >= 0 else since_s
