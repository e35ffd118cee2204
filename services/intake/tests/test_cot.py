"""Cursor on Target: XML and TAK protocol version 1 give the same marker; streams are cut into messages; nothing else gets through."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import takproto
from hypothesis import given, settings
from hypothesis import strategies as st
from takproto.proto import TakMessage

from rtcc.event.v1 import event_pb2
from rtcc_intake.adapters import adapter_for
from rtcc_intake.cot_listener import MAXIMUM_MESSAGE_BYTES, next_message
from rtcc_intake.domain import NotUnderstood, thing_of

NOW = datetime(2026, 3, 1, 10, 0, 10, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[3] / "docs" / "integrators" / "cursor-on-target.md"
# as ATAK sends its own position (device and version shortened)
POSITION = (
    '<event version="2.0" uid="ANDROID-359975090666199" type="a-f-G-U-C" time="2026-03-01T10:00:00.000Z" start="2026-03-01T10:00:00.000Z" '
    'stale="2026-03-01T10:06:15.000Z" how="m-g"><point lat="60.1699" lon="24.9384" hae="18.5" ce="6.3" le="9999999.0"/><detail>'
    '<takv os="33" version="5.2.0" device="PHONE" platform="ATAK-CIV"/><contact endpoint="*:-1:stcp" callsign="EAST 12"/>'
    '<uid Droid="EAST 12"/><precisionlocation altsrc="GPS" geopointsrc="GPS"/><__group role="Team Member" name="Cyan"/>'
    '<status battery="78"/><track course="87.5" speed="4.2"/></detail></event>'
)
EMERGENCY = POSITION.replace("a-f-G-U-C", "b-a-o-tbl").replace("</detail>", '<emergency type="911 Alert">EAST 12</emergency></detail>')


def parse(body: str | bytes) -> list[event_pb2.Event]:
    return [parsed.event for parsed in adapter_for("cot").parse(body if isinstance(body, bytes) else body.encode(), NOW)]


def test_an_atak_position_becomes_a_marker() -> None:
    (event,) = parse(POSITION)
    marker = event.marker
    assert (event.kind, marker.uid, marker.marker_type, marker.affiliation) == ("marker", "ANDROID-359975090666199", "a-f-G-U-C", "friend")
    assert (marker.call_sign, marker.team, marker.role, marker.how) == ("EAST 12", "Cyan", "Team Member", "m-g")
    assert event.position.coordinate.latitude_deg == 60.1699
    assert abs(event.position.accuracy_m - 6.3) < 1e-5
    assert (event.position.altitude_m, event.position.heading_deg) == (18.5, 87.5)
    assert marker.stale_at.ToDatetime(UTC) == datetime(2026, 3, 1, 10, 6, 15, tzinfo=UTC)


@pytest.mark.parametrize("version", [takproto.TAKProtoVer.MESH, takproto.TAKProtoVer.STREAM])
@pytest.mark.parametrize("xml", [POSITION, EMERGENCY])
def test_protobuf_gives_what_xml_gives(version: takproto.TAKProtoVer, xml: str) -> None:
    assert parse(bytes(takproto.xml2proto(xml, version))) == parse(xml)


def test_the_documented_event_becomes_a_marker() -> None:
    example = re.search(r"```xml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    assert example is not None
    (event,) = parse(example.group(1))
    assert (event.marker.affiliation, event.marker.remarks) == ("unknown", "Rucksack left at the platform")


def test_unknown_values_stay_unknown() -> None:
    xml = re.sub(r'hae="[^"]+" ce="[^"]+"', 'hae="9999999.0" ce="9999999.0"', POSITION).replace('speed="4.2"', 'speed="-1.0"')
    position = parse(xml)[0].position
    assert position.accuracy_m == 0
    assert not position.HasField("altitude_m") and not position.HasField("speed_mps")
    without_fix = parse(re.sub(r'lat="[^"]+" lon="[^"]+"', 'lat="0.0" lon="0.0"', POSITION))[0]
    assert not without_fix.position.HasField("coordinate")


@pytest.mark.parametrize(
    ("cot_type", "affiliation"),
    [("a-h-G", "hostile"), ("a-s-A", "hostile"), ("a-n-S", "neutral"), ("a-u-G", "unknown"), ("a-p-G", "unknown"), ("b-m-p-s-m", "")],
)
def test_affiliation_is_read_from_the_type(cot_type: str, affiliation: str) -> None:
    assert parse(POSITION.replace("a-f-G-U-C", cot_type))[0].marker.affiliation == affiliation


def test_an_emergency_is_told_and_its_cancellation_too() -> None:
    assert parse(EMERGENCY)[0].marker.emergency == "911 Alert"
    assert parse(EMERGENCY.replace('911 Alert"', '911 Alert" cancel="true"'))[0].marker.emergency == ""


def test_what_was_deleted_is_over() -> None:
    deletion = POSITION.replace("a-f-G-U-C", "t-x-d-d").replace("</detail>", '<link uid="spot-7" relation="none" type="none"/></detail>')
    (event,) = parse(deletion)
    assert (event.marker.uid, event.marker.removed) == ("spot-7", True)
    thing = thing_of(event)
    assert thing is not None and thing.over


@pytest.mark.parametrize("cot_type", ["t-x-c-t", "t-x-c-t-r", "t-x-takp-v", "b-t-f", "b-f-t-r"])
def test_pings_offers_chat_and_files_give_nothing(cot_type: str) -> None:
    assert parse(POSITION.replace("a-f-G-U-C", cot_type)) == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (POSITION.replace('uid="ANDROID-359975090666199"', 'uid=""'), "event@uid"),
        (POSITION.replace('time="2026-03-01T10:00:00.000Z"', 'time="yesterday"'), "event@time"),
        (POSITION.replace('time="2026-03-01T10:00:00.000Z"', 'time="2026-03-01T10:06:00.000Z"'), "event@time"),
        (POSITION.replace('lat="60.1699"', 'lat="90.5"'), "event/point@lat"),
        (POSITION.replace('lat="60.1699"', 'lat="nan"'), "event/point@lat"),
        (POSITION.replace('lon="24.9384"', 'lon="east"'), "event/point@lon"),
        (re.sub(r"<point[^>]*/>", "", POSITION), "event/point"),
        (POSITION.replace("EAST 12", "E" * 200), "event/detail/contact@callsign"),
        ('<!DOCTYPE event [<!ENTITY x "y">]>' + POSITION, "document"),
        ("<alert/>", "document"),
        (b"\xbf\x05abc", "byte 1"),
        (b"\xbf\x01\xbf\xff\xff\xff", "document"),
        (b"\xbf\xff\xff\xff\xff\xff\xff", "byte 1"),
        (b"\xbf\x01\xbf" + TakMessage().SerializeToString(), "cotEvent.type"),
    ],
)
def test_what_is_wrong_is_not_understood_and_named(body: str | bytes, place: str) -> None:
    with pytest.raises(NotUnderstood) as caught:
        parse(body)
    assert caught.value.place == place


def test_the_same_word_is_the_same_event() -> None:
    first, second = (adapter_for("cot").parse(body.encode(), NOW)[0].own_id for body in (POSITION, POSITION.replace("4.2", "4.3")))
    assert first == second
    assert adapter_for("cot").parse(POSITION.replace("10:00:00", "10:00:01").encode(), NOW)[0].own_id != first


MESSAGES = [
    POSITION.encode(),
    b'<?xml version="1.0"?>\n' + EMERGENCY.encode(),
    bytes(takproto.xml2proto(POSITION, takproto.TAKProtoVer.STREAM)),
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(MESSAGES), max_size=6), st.data())
def test_a_stream_is_cut_into_its_messages_wherever_the_network_cut_it(sent: list[bytes], data: st.DataObject) -> None:
    stream, waiting, got = b"\n".join(sent), b"", []
    while stream:
        size = data.draw(st.integers(1, max(1, len(stream))))
        waiting, stream = waiting + stream[:size], stream[size:]
        while True:
            message, waiting = next_message(waiting)
            if not message:
                break
            got.append(message)
    assert got == sent
    assert not waiting


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1", b"\x16\x03\x01", b"\xbf" + b"\xff\xff\xff\x7f", b"\xbf" + b"\xff" * 6])
def test_a_stream_that_is_none_is_left(start: bytes) -> None:
    with pytest.raises(NotUnderstood):
        next_message(start + b"x" * 16)
    assert MAXIMUM_MESSAGE_BYTES < 0x0FFFFFFF


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_events_or_not_understood(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from([EMERGENCY.encode(), bytes(takproto.xml2proto(EMERGENCY))])))
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(body) - 1))
        end = data.draw(st.integers(start, min(len(body), start + 30)))
        body[start:end] = data.draw(st.binary(min_size=1, max_size=20))
    try:
        events = parse(bytes(body))
    except NotUnderstood as error:
        assert error.reason
        return
    for event in events:
        assert event_pb2.Event.FromString(event.SerializeToString()) == event
