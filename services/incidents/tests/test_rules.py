"""The rules of incidents without any server: every order of acts, places, signals."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.event.v1 import event_pb2
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import Conflict, InvalidInput
from rtcc_chassis.geometry import distance_m
from rtcc_incidents.domain import incidents, units
from rtcc_incidents.domain.incidents import Happening, Record
from rtcc_incidents.domain.places import address_key, box_around

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ME = ("dina", "Dina D")
UNITS = st.sampled_from(["e1", "e2"])
ACTS = st.one_of(
    st.tuples(st.just("assign"), UNITS),
    st.tuples(st.just("status"), UNITS, st.sampled_from(list(pb.UnitStatus.values()))),
    st.tuples(st.just("close"), st.sampled_from([*incidents.OUTCOMES, "bored"])),
    st.tuples(st.just("reopen"), st.sampled_from(["", "new facts"])),
    st.tuples(st.just("call"), st.sampled_from(["new", "closed", "cancelled"]), st.integers(-60, 600)),
)


def reported(status: str, seconds: float, **more: object) -> event_pb2.Event:
    event = event_pb2.Event(
        event_id="e",
        agency_id="east",
        kind="call_for_service",
        call_for_service=event_pb2.CallForService(call_id="c", status=status, **more),
    )
    event.occurred_at.FromDatetime(NOW + timedelta(seconds=seconds))
    return event


def act(record: Record, step: int, what: tuple[object, ...]) -> None:
    now, incident = NOW + timedelta(seconds=step), record.incident
    match what:
        case ("assign", str() as unit_id):
            units.assign(incident, f"a{step}", unit_id, unit_id.upper(), ME, now)
        case ("status", str() as unit_id, int() as status):
            units.set_status(incident, unit_id, status, now)
        case ("close", str() as outcome):
            incidents.close(incident, outcome, "", ME, now)
        case ("reopen", str() as reason):
            incidents.reopen(incident, reason)
        case ("call", str() as status, int() as seconds):
            incidents.apply_call(record, reported(status, seconds), now)


@given(st.lists(ACTS, max_size=25))
def test_any_order_of_acts_keeps_the_rules(acts: list[tuple[object, ...]]) -> None:
    record = incidents.of_call(reported("new", 0, call_type="Burglary"), "i1", "26-0001", NOW)
    for step, what in enumerate(acts):
        before = {work.assignment_id: work.status for work in record.incident.assignments}
        call_at = record.call_at
        try:
            act(record, step, what)
        except (Conflict, InvalidInput):
            continue
        incident = record.incident
        closed = incident.state == pb.INCIDENT_STATE_CLOSED
        assert closed == bool(incident.outcome) == incident.HasField("closed_at")
        assert not (closed and units.working(incident))
        assert all(work.status >= before.get(work.assignment_id, 0) for work in incident.assignments)
        assert all(work.status == pb.UNIT_STATUS_CLEAR or not work.HasField("clear_at") for work in incident.assignments)
        for unit_id in ("e1", "e2"):
            assert sum(work.unit_id == unit_id for work in units.working(incident)) <= 1
        assert record.call_at is not None and call_at is not None and record.call_at >= call_at


@given(st.permutations(range(5)))
def test_reports_in_any_order_end_in_the_newest_state(order: list[int]) -> None:
    first, *rest = order
    record = incidents.of_call(reported(f"s{first}", first), "i1", "26-0001", NOW)
    for at in rest:
        incidents.apply_call(record, reported(f"s{at}", at), NOW)
    assert record.incident.call_status == "s4"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Mannerheimintie 12 A 5, Helsinki", "MANNERHEIMINTIE 12"),
        ("Fleminginkatu  12b, 00510 Helsinki", "fleminginkatu 12B"),
        ("216 Peachtree St NW, Atlanta", "216 Peachtree St. NW"),
        ("Railway Station", "railway station, platform 3"),
    ],
)
def test_one_building_written_in_two_ways(one: str, two: str) -> None:
    assert address_key(one) == address_key(two) != ""


@pytest.mark.parametrize(
    ("one", "two"), [("Kaarlenkatu 3", "Kaarlenkatu 13"), ("Kaarlenkatu 3", "Kaarlenkatu 3b"), ("216 Peachtree St", "217 Peachtree St")]
)
def test_neighbours_are_not_one_building(one: str, two: str) -> None:
    assert address_key(one) != address_key(two)


@given(st.text(max_size=80))
def test_a_key_is_its_own_key(address: str) -> None:
    assert address_key(address_key(address)) == address_key(address)


PLACES = st.builds(lambda lat, lon: Coordinate(latitude_deg=lat, longitude_deg=lon), st.floats(60, 60.01), st.floats(24.9, 24.92))
HAPPENINGS = st.builds(
    lambda i, place, s: Happening(str(i), place, NOW + timedelta(seconds=s)), st.integers(0, 99), st.none() | PLACES, st.integers(-300, 300)
)


@given(HAPPENINGS, st.lists(HAPPENINGS, max_size=8))
def test_a_signal_joins_the_nearest_within_200_m_and_120_s(happening: Happening, others: list[Happening]) -> None:
    def metres(other: Happening) -> float:
        a, b = happening.coordinate, other.coordinate
        return 1e9 if a is None or b is None else distance_m(a.latitude_deg, a.longitude_deg, b.latitude_deg, b.longitude_deg)

    fitting = [other for other in others if metres(other) <= 200 and abs((other.at - happening.at).total_seconds()) <= 120]
    found = incidents.nearest_signal(happening, others)
    assert found == (min(fitting, key=lambda other: (metres(other), other.identifier)).identifier if fitting else "")


@given(st.floats(-89, 89), st.floats(-179, 179), st.floats(1, 2_000), st.floats(-1, 1), st.floats(-1, 1))
def test_a_box_holds_all_that_is_near(latitude: float, longitude: float, metres: float, up: float, right: float) -> None:
    south, west, north, east = box_around(Coordinate(latitude_deg=latitude, longitude_deg=longitude), metres)
    other = (latitude + up * (north - latitude) * 1.2, longitude + right * (east - longitude) * 1.2)
    if -90 <= other[0] <= 90 and distance_m(latitude, longitude, *other) <= metres:
        assert south <= other[0] <= north and west <= other[1] <= east
