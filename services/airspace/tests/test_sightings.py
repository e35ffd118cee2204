"""From frames and documents to sightings: what is told is kept, what is damaged is said, nothing breaks."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_airspace.domain.aircraft import read_aircraft
from rtcc_airspace.domain.assembly import _LOCATION, TRANSMITTERS_MOST, Assembler, decoded_locations
from rtcc_airspace.domain.carriers import write_bluetooth
from rtcc_airspace.domain.messages import (
    HORIZONTAL_ACCURACY_M,
    BasicId,
    Location,
    Message,
    OperatorId,
    SelfId,
    Status,
    System,
    decode,
    encode,
)
from rtcc_airspace.domain.models import BadPrefixTable, SerialPrefixes
from rtcc_airspace.domain.observations import (
    ACCURACY,
    ALTITUDE,
    EMERGENCY,
    FLAGS,
    HEADING,
    HEIGHT,
    LATITUDE,
    LONGITUDE,
    OBSERVED_AT,
    ON_GROUND,
    PILOT_LATITUDE,
    PILOT_PLACE,
    SPEED,
    UNKNOWN_DM,
    UNKNOWN_HEADING_CDEG,
    UNKNOWN_SPEED_CMPS,
    UNKNOWN_VERTICAL_CMPS,
    VERTICAL,
    Observations,
    Refusals,
    microseconds,
)
from rtcc_airspace.domain.receptions import Frame, NotUnderstood, Receiver, read_json, read_reception

NOON = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
NOON_US = microseconds(NOON)
HERE = Location(2, 60.17, 24.94, tenths=300)
PREFIXES = SerialPrefixes.read("MFG1,Maker,\nMFG1F2,Maker,Hawk\n")


def taken(
    messages: list[Message], *, assembler: Assembler | None = None, at: datetime = NOON, mac: str = "600000000001", **receiver: float
) -> tuple[Observations, Refusals]:
    """One frame with these messages."""
    refusals = Refusals()
    frame = Frame(microseconds(at), mac, None, [encode(message) for message in messages])
    used = Assembler(PREFIXES) if assembler is None else assembler
    return used.take("source-1", Receiver(**receiver), [frame], NOON_US, refusals), refusals


@given(st.lists(st.binary(min_size=24, max_size=24), min_size=1, max_size=20))
def test_locations_decoded_all_at_once_are_those_decoded_one_by_one(bodies: list[bytes]) -> None:
    raws = [b"\x12" + body for body in bodies]
    numbers = decoded_locations(np.frombuffer(b"".join(raws), _LOCATION), np.full(len(raws), NOON_US), NOON_US)
    for column, raw in zip(numbers.T.tolist(), raws, strict=True):
        told = decode(raw)
        assert isinstance(told, Location)
        if told.latitude_deg is not None and told.longitude_deg is not None:
            assert (column[LATITUDE], column[LONGITUDE]) == (round(told.latitude_deg * 1e7), round(told.longitude_deg * 1e7))
        assert column[ALTITUDE] == (UNKNOWN_DM if told.altitude_m is None else told.altitude_m * 10)
        assert column[HEIGHT] == (UNKNOWN_DM if told.height_m is None else told.height_m * 10)
        assert column[HEADING] == (UNKNOWN_HEADING_CDEG if told.direction_deg is None else told.direction_deg * 100)
        assert column[SPEED] == (UNKNOWN_SPEED_CMPS if told.speed_mps is None else told.speed_mps * 100)
        assert column[VERTICAL] == (UNKNOWN_VERTICAL_CMPS if told.vertical_mps is None else told.vertical_mps * 100)
        accuracy = told.horizontal_accuracy
        assert column[ACCURACY] == (round(HORIZONTAL_ACCURACY_M[accuracy] * 10) if accuracy < len(HORIZONTAL_ACCURACY_M) else 0)
        trouble = told.status in (Status.EMERGENCY, Status.SYSTEM_FAILURE)
        assert column[FLAGS] == (told.status == Status.ON_GROUND) * ON_GROUND | trouble * EMERGENCY
        assert abs(column[OBSERVED_AT] - NOON_US) <= 30_000_000


@pytest.mark.parametrize(
    ("heard", "tenths", "observed"),
    [
        (NOON, 305, NOON + timedelta(seconds=0.5)),
        # over the full hour, both ways
        (datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC), 35_990, datetime(2026, 3, 1, 11, 59, 59, tzinfo=UTC)),
        (datetime(2026, 3, 1, 11, 59, 59, tzinfo=UTC), 5, datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)),
        # no clock, and one that is minutes off
        (NOON, None, NOON),
        (NOON, 6_000, NOON),
        (NOON, 60_000, NOON),
    ],
)
def test_tenths_after_the_hour_are_put_into_the_right_hour(heard: datetime, tenths: int | None, observed: datetime) -> None:
    seen, _ = taken([BasicId(1, 2, "MFG1F1"), Location(2, 60.17, 24.94, tenths=tenths)], at=heard)
    assert seen.numbers[OBSERVED_AT].tolist() == [microseconds(observed)]


def test_bluetooth_4_sends_in_pieces_that_are_put_together() -> None:
    assembler = Assembler(PREFIXES)
    assert len(taken([HERE], assembler=assembler)[0]) == 0
    for message in (BasicId(1, 2, "MFG1F2ABC"), SelfId(0, "Survey"), OperatorId(0, "OP1"), System(0, 60.16, 24.93)):
        assert len(taken([message], assembler=assembler)[0]) == 0
    seen, _ = taken([HERE], assembler=assembler, at=NOON + timedelta(seconds=1))
    (subject,) = seen.subjects.values()
    assert (subject.key, subject.kind) == ("serial:MFG1F2ABC", pb.TRACK_KIND_DRONE)
    identity = subject.identity
    assert (identity.manufacturer, identity.model, identity.description, identity.operator_id) == ("Maker", "Hawk", "Survey", "OP1")
    assert identity.aircraft_type == "multirotor"
    assert seen.numbers[[PILOT_LATITUDE, PILOT_PLACE], 0].tolist() == [601_600_000, pb.PILOT_PLACE_TAKE_OFF]


def test_a_drone_that_never_says_who_it_is_is_followed_by_its_address() -> None:
    assembler = Assembler(PREFIXES)
    assert len(taken([HERE], assembler=assembler)[0]) == 0
    seen, _ = taken([HERE], assembler=assembler, at=NOON + timedelta(seconds=4))
    assert seen.keys == ["mac:600000000001"]


@pytest.mark.parametrize(
    ("ids", "key"),
    [
        ([BasicId(4, 2, "01" + "ab" * 19), BasicId(1, 2, "MFG1F1")], "serial:MFG1F1"),
        ([BasicId(2, 2, "FIN.123"), BasicId(4, 2, "01" + "ab" * 19)], "session:01" + "ab" * 19),
        ([BasicId(2, 2, "FIN.123")], "registration:FIN.123"),
        ([BasicId(0, 2, "MFG1A0123456789")], "id:MFG1A0123456789"),
        ([BasicId(0, 0, "")], "mac:600000000001"),
    ],
    ids=["serial first", "session before registration", "registration", "of no type", "empty"],
)
def test_the_best_of_several_ids_names_the_drone(ids: list[Message], key: str) -> None:
    seen, _ = taken([*ids, HERE])
    assert seen.keys == [key]


def test_unknown_places_are_no_sightings_and_places_off_the_globe_are_damage() -> None:
    nowhere, refusals = taken([BasicId(1, 2, "MFG1F1"), Location(2, None, None)])
    assert (len(nowhere), refusals.count) == (0, 0)
    off, refusals = taken([BasicId(1, 2, "MFG1F1"), Location(2, 95.0, 24.94)])
    assert (len(off), refusals.count) == (0, 1)
    seen, _ = taken([BasicId(1, 2, "MFG1F1"), HERE, System(1, 200.0, 24.0)])
    assert seen.numbers[PILOT_PLACE].tolist() == [pb.PILOT_PLACE_UNSPECIFIED]


def test_a_reserved_operator_place_is_not_called_the_pilot() -> None:
    seen, _ = taken([BasicId(1, 2, "MFG1F1"), HERE, System(3, 60.0, 24.0)])
    assert seen.numbers[PILOT_PLACE].tolist() == [pb.PILOT_PLACE_TAKE_OFF]


def test_transmitters_are_bounded_and_the_longest_silent_go_first() -> None:
    assembler = Assembler(PREFIXES)
    for number in range(TRANSMITTERS_MOST + 10):
        taken([BasicId(1, 2, "MFG1F1")], assembler=assembler, at=NOON + timedelta(milliseconds=number), mac=f"{number:012x}")
    assert len(assembler) <= TRANSMITTERS_MOST
    # the newest is still known: its location has an owner at once
    seen, _ = taken([HERE], assembler=assembler, at=NOON + timedelta(seconds=6), mac=f"{TRANSMITTERS_MOST + 9:012x}")
    assert seen.keys == ["serial:MFG1F1"]


@given(st.lists(st.binary(min_size=25, max_size=25), max_size=30))
def test_no_messages_break_the_assembler(raws: list[bytes]) -> None:
    refusals = Refusals()
    frames = [Frame(NOON_US + index * 1_000_000, "600000000001", -60.0, [raw]) for index, raw in enumerate(raws)]
    seen = Assembler(PREFIXES).take("source-1", Receiver(60.17, 24.94), frames, NOON_US, refusals)
    assert set(seen.keys) <= set(seen.subjects)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=12,
)
frame_like = st.fixed_dictionaries(
    {},
    optional={
        "at": json_values | st.just("2026-03-01T12:00:00Z"),
        "carrier": st.sampled_from(["bluetooth", "wifi_beacon", "wifi_nan"]) | json_values,
        "mac": st.just("60:60:1f:00:00:01") | json_values, "rssi": json_values,
        "data": st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()) | json_values,
    },
)  # fmt: skip
aircraft_like = st.fixed_dictionaries(
    {},
    optional={
        name: json_values
        for name in ("lat", "lon", "alt_baro", "alt_geom", "gs", "track", "baro_rate", "rc", "squawk", "emergency", "flight", "seen_pos")
    }
    | {"hex": st.sampled_from(["461f30", "~461f30"]) | json_values},
)


@settings(max_examples=200)
@given(st.fixed_dictionaries({"frames": st.lists(frame_like, max_size=3) | json_values}, optional={"receiver": json_values}) | json_values)
def test_no_document_of_a_receiver_breaks_the_reader(document: Any) -> None:
    try:
        read = read_json(json.dumps(document).encode())
        reception = read_reception(read, NOON)
    except NotUnderstood as error:
        assert error.reason
        return
    assert reception.refusals.count + len(reception.frames) == len(read["frames"])


@settings(max_examples=200)
@given(st.fixed_dictionaries({"aircraft": st.lists(aircraft_like, max_size=4) | json_values}, optional={"now": json_values}) | json_values)
def test_no_aircraft_json_breaks_the_reader(document: Any) -> None:
    try:
        seen, refusals = read_aircraft(read_json(json.dumps(document).encode()), "source-1", NOON)
    except NotUnderstood as error:
        assert error.reason
        return
    assert len(seen) + refusals.count <= len(document["aircraft"])


@given(st.binary(max_size=200))
def test_no_bytes_break_the_json_reader(body: bytes) -> None:
    try:
        read_json(body)
    except NotUnderstood as error:
        assert error.reason


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a": NaN}', b'{"a": 1e999, "frames": []', b"\xff\xfe", b"[]"], ids=["deep", "nan", "cut", "utf-16", "list"]
)
def test_hostile_json_is_refused(body: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read_json(body)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "-1" + "0" * 4000, "1e308", "1e999"])
@pytest.mark.parametrize("name", ["lat", "alt_geom", "gs", "seen_pos", "rc"])
def test_numbers_beyond_all_measure_are_refused(name: str, number: str) -> None:
    craft = json.dumps({"hex": "461f30", "lat": 60, "lon": 24} | {name: "NUMBER"}).replace('"NUMBER"', number)
    seen, refusals = read_aircraft(read_json(f'{{"aircraft": [{craft}]}}'.encode()), "source-1", NOON)
    assert (len(seen), refusals.count) == (0, 1)
    assert len(refusals.reasons[0]) < 200
    with pytest.raises(NotUnderstood):
        read_aircraft(read_json(f'{{"now": {number}, "aircraft": []}}'.encode()), "source-1", NOON)


def test_a_receivers_clock_that_runs_ahead_is_told() -> None:
    data = base64.b64encode(write_bluetooth(encode(HERE), 0)).decode()
    frame = {"carrier": "bluetooth", "mac": "600000000001", "data": data}
    ahead = {**frame, "at": (NOON + timedelta(minutes=3)).isoformat()}
    reception = read_reception({"frames": [ahead, frame]}, NOON)
    assert len(reception.frames) == 1 and "in the future" in reception.refusals.reasons[0]


def test_serial_prefixes_take_the_longest_that_fits() -> None:
    assert PREFIXES.maker("MFG1F2ABC") == ("Maker", "Hawk")
    assert PREFIXES.maker("MFG1F1") == ("Maker", "")
    assert PREFIXES.maker("ABCD") == ("", "")
    assert SerialPrefixes.read("ABCD,One,\n", "ABCD,Two,Model\n").maker("ABCD1") == ("Two", "Model")
    with pytest.raises(BadPrefixTable, match="line 2"):
        SerialPrefixes.read("# fine\nAB,too short,\n")
