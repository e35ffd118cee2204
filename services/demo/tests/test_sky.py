"""The demo's drone and aircraft, read by airspace's own readers."""

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_airspace.domain.aircraft import read_aircraft
from rtcc_airspace.domain.assembly import Assembler
from rtcc_airspace.domain.models import SerialPrefixes
from rtcc_airspace.domain.observations import (
    HEADING,
    HEIGHT,
    LATITUDE,
    LONGITUDE,
    OBSERVED_AT,
    PILOT_LATITUDE,
    PILOT_LONGITUDE,
    PILOT_PLACE,
    Refusals,
    microseconds,
)
from rtcc_airspace.domain.receptions import read_json, read_reception
from rtcc_demo.messages import Wording, encode_body
from rtcc_demo.world.city import EAST, WEST, ZONES
from rtcc_demo.world.geometry import distance_m, inside, to_degrees, to_metres
from rtcc_demo.world.script import CYCLE_S, DRONE_PILOT, DRONE_TAKES_OFF_S
from rtcc_demo.world.simulation import City
from rtcc_demo.world.sky import KESTREL, AircraftSeen, DroneFix, DroneFlight, take_off_due

BEGAN_AT = datetime(2026, 3, 1, 10, 59, 30, tzinfo=UTC)
FLIGHT = [fix for second in range(0, int(DroneFlight().lasts_s) + 5) for fix in DroneFlight().heard(second, DRONE_TAKES_OFF_S + second)]
AT_EAST = [fix for fix in FLIGHT if fix.agency_id == EAST]


def test_the_drone_flies_from_its_pilot_into_the_zone_and_home() -> None:
    zone = next(zone for zone in ZONES[EAST] if zone.kind == "air")
    ring = [to_metres(*corner) for corner in zone.corners]
    was_inside = [inside(fix.at, ring) for fix in AT_EAST]
    assert not was_inside[0] and not was_inside[-1] and sum(was_inside) > 60
    assert zone.ceiling_m is not None and max(fix.height_m for fix in AT_EAST) < zone.ceiling_m
    pilot = to_metres(*DRONE_PILOT)
    assert distance_m(AT_EAST[0].at, pilot) < 1 and distance_m(AT_EAST[-1].at, pilot) < 15
    assert all(distance_m(fix.pilot_at, pilot) < 20 for fix in AT_EAST)
    assert all(distance_m(a.at, b.at) < 15 for a, b in pairwise(AT_EAST))
    assert DroneFlight().lasts_s < CYCLE_S - 200
    assert {fix.agency_id for fix in FLIGHT} == {EAST, WEST}


def test_airspace_reads_every_frame_and_believes_it() -> None:
    wording, assembler, refusals = Wording(BEGAN_AT, "run"), Assembler(SerialPrefixes.read("RTCC,Demo,Kestrel\n")), Refusals()
    for fix in AT_EAST:
        received_at = wording.moment(fix.heard_s)
        delivery_id, body = wording.drone(fix)
        assert len(delivery_id) <= 128 and "." not in delivery_id
        reception = read_reception(read_json(encode_body(body)), received_at)
        assert reception.refusals.count == 0
        seen = assembler.take("s", reception.receiver, reception.frames, microseconds(received_at), refusals)
        (row,) = seen.numbers.T.tolist()
        longitude, latitude = to_degrees(fix.at)
        assert (row[LATITUDE], row[LONGITUDE]) == (round(latitude * 1e7), round(longitude * 1e7))
        assert row[HEIGHT] == pytest.approx(fix.height_m * 10, abs=2.6)
        assert row[HEADING] == round(fix.heading_deg) % 360 * 100
        assert abs(row[OBSERVED_AT] - microseconds(received_at)) <= 50_000
        pilot = to_degrees(fix.pilot_at)
        assert (row[PILOT_LONGITUDE], row[PILOT_LATITUDE]) == tuple(round(degrees * 1e7) for degrees in pilot)
        assert row[PILOT_PLACE] == pb.PILOT_PLACE_PILOT
    assert refusals.reasons == []
    (subject,) = seen.subjects.values()
    assert (subject.key, subject.identity.model) == (f"serial:{KESTREL.serial_number}", "Kestrel")
    assert (subject.identity.operator_id, subject.identity.description) == (KESTREL.operator_id, KESTREL.description)


def test_airspace_reads_the_aircraft() -> None:
    wording, city = Wording(BEGAN_AT, "run"), City(1, civil_vehicles=0)
    seen: list[AircraftSeen] = []
    drones: list[DroneFix] = []
    while city.now_s < 40:
        for happening in city.step():
            if isinstance(happening, AircraftSeen):
                seen.append(happening)
            elif isinstance(happening, DroneFix):
                drones.append(happening)
    assert {happening.agency_id for happening in seen} == {EAST, WEST} and drones
    _, body = wording.aircraft(seen[-1])
    received_at = wording.moment(city.now_s)
    sightings, refusals = read_aircraft(json.loads(encode_body(body)), "s", received_at)
    assert refusals.count == 0 and len(sightings) == len(seen[-1].aircraft) >= 2
    helicopter = sightings.subjects["icao:461f7a"].identity
    assert (helicopter.call_sign, helicopter.registration, helicopter.aircraft_type) == ("RAJA21", "OH-HVX", "AS32")


def test_the_flight_comes_again_each_cycle() -> None:
    assert take_off_due(DRONE_TAKES_OFF_S - 1, CYCLE_S) < 0
    assert take_off_due(DRONE_TAKES_OFF_S + CYCLE_S + 3, CYCLE_S) == pytest.approx(3)
