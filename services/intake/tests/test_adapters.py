"""Each adapter gives the event it should, refuses what it must with the place, and never fails in another way."""

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc.event.v1 import event_pb2
from rtcc_intake.adapters import ADAPTERS, adapter_for
from rtcc_intake.document import read_document
from rtcc_intake.domain import MAXIMUM_BODY_BYTES, NotUnderstood, ParsedEvent, normalise_plate

NOW = datetime(2026, 3, 1, 10, 0, 30, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[3] / "docs" / "integrators" / "webhooks.md"
JPEG = b"\xff\xd8\xff\xe0" + b"0" * 20


def parse(adapter: str, body: dict[str, Any] | bytes) -> ParsedEvent:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return adapter_for(adapter).parse(data, NOW)[0]


def documented(adapter: str) -> dict[str, Any]:
    """The example of the documentation: what integrators copy must work."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"## Adapter `{adapter}`")[1]
    example = re.search(r"```json\n(.*?)```", section, re.S)
    assert example is not None
    text = example.group(1).replace("<base64 of a JPEG, at most 256 kB>", base64.b64encode(JPEG).decode())
    return dict(json.loads(text))


def changed(adapter: str, path: str, value: object) -> dict[str, Any]:
    document: dict[str, Any] = documented(adapter)
    *parents, last = path.split(".")
    inner: Any = document
    for name in parents:
        inner = inner[int(name)] if name.isdigit() else inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return document


def test_documented_tip_becomes_an_event_with_its_photo() -> None:
    parsed = parse("tip", documented("tip"))
    tip = parsed.event.tip
    assert (parsed.event.kind, tip.channel, tip.reference_code, tip.category) == ("tip", "webhook", "V-2026-0017", "crime")
    assert (tip.address, tip.contact) == ("Kaarlenkatu 3", "+358 40 000 0000") and tip.text.startswith("White van")
    assert parsed.image_jpeg == JPEG and parsed.event.position.coordinate.latitude_deg == 60.1866
    anonymous = parse("tip", {"tip_id": "1", "text": "A dog barks", "told_at": "2026-03-01T10:00:00Z"}).event
    assert anonymous.tip.contact == "" and not anonymous.HasField("position")


def test_a_supplemental_location_is_labelled() -> None:  # R32
    assert list(parse("eido", documented("eido")).event.labels) == []
    marked = changed("eido", "locationComponent.0.supplementalLocationIndicator", True)
    assert list(parse("eido", marked).event.labels) == ["supplemental_location"]


def test_documented_plate_read_becomes_an_event() -> None:
    parsed = parse("plate_read", documented("plate_read"))
    event = parsed.event
    assert event.kind == "plate_read"
    assert event.plate_read.plate == "ABC123"
    assert event.plate_read.state == "FI"
    assert [candidate.plate for candidate in event.plate_read.candidates] == ["A8C123"]
    assert event.plate_read.vehicle_make == "Volvo"
    assert event.occurred_at.ToDatetime(UTC) == datetime(2026, 3, 1, 10, 0, 0, 250_000, tzinfo=UTC)
    assert event.position.coordinate.latitude_deg == 60.1699
    assert parsed.image_jpeg == JPEG


def test_documented_gunshot_becomes_an_event() -> None:
    event = parse("gunshot", documented("gunshot")).event
    assert event.gunshot.stage == event_pb2.GUNSHOT_STAGE_NEW
    assert event.gunshot.classification == "gunfire"
    assert event.gunshot.rounds == 4
    assert event.position.accuracy_m == 25


def test_documented_eido_becomes_a_call() -> None:
    event = parse("eido", documented("eido")).event
    call = event.call_for_service
    assert (call.call_id, call.call_type, call.status) == ("26-0412", "Robbery", "Dispatched")
    assert call.priority == 1
    assert call.address == "Mannerheimintie 10"
    assert call.narrative == "Two men left on foot"
    assert call.caller_number == "+358401234567"
    assert event.position.coordinate.longitude_deg == 24.9384
    assert event.position.accuracy_m == 30


def test_documented_alarm_and_measurement_become_events() -> None:
    alarm = parse("alarm", documented("alarm"))
    assert (alarm.event.kind, alarm.event.alarm.alarm_type, alarm.event.alarm.zone) == ("alarm", "burglary", "Back door")
    assert alarm.event.alarm.state == event_pb2.ALARM_STATE_ACTIVE
    assert alarm.event.position.accuracy_m == 10
    measured = parse("sensor", documented("sensor")).event
    assert (measured.kind, measured.measurement.value, measured.measurement.unit) == ("measurement", 0.42, "m")
    assert measured.measurement.level == event_pb2.MEASUREMENT_LEVEL_WARNING


def test_an_alarms_next_state_is_another_event_and_its_repeat_the_same() -> None:
    first, again = parse("alarm", documented("alarm")), parse("alarm", documented("alarm") | {"note": "said again"})
    assert first.own_id == again.own_id
    assert parse("alarm", changed("alarm", "state", "restored")).own_id != first.own_id


PIDF = (
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gml="http://www.opengis.net/gml" '
    'xmlns:gs="http://www.opengis.net/pidflo/1.0" '
    'xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr"><tuple><status>'
    '<gp:geopriv xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10">'
    '<gp:location-info><gs:Circle srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>60.1699 24.9384</gml:pos>'
    '<gs:radius uom="urn:ogc:def:uom:EPSG::9001">30</gs:radius></gs:Circle><ca:civicAddress><ca:A1>Uusimaa</ca:A1><ca:A3>Helsinki</ca:A3>'
    "<ca:RD>Mannerheimintie</ca:RD><ca:HNO>10</ca:HNO></ca:civicAddress></gp:location-info></gp:geopriv></status></tuple></presence>"
)


def test_pidf_lo_gives_circle_and_civic_address() -> None:
    body = changed("eido", "locationComponent.0.locationByValue", PIDF)
    del body["locationComponent"][0]["locationDescriptionText"]
    event = parse("eido", body).event
    assert event.position.coordinate.latitude_deg == 60.1699
    assert event.position.accuracy_m == 30
    assert event.call_for_service.address == "Mannerheimintie 10, Helsinki, Uusimaa"


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        "<a>",
        PIDF.replace("60.1699", "north"),
        PIDF.replace("60.1699", "91"),
        PIDF.replace("60.1699 24.9384", "nan nan"),
        PIDF.replace(">30<", ">-1<"),
    ],
)
def test_pidf_lo_that_is_wrong_or_dangerous_is_not_understood(xml: str) -> None:
    with pytest.raises(NotUnderstood):
        parse("eido", changed("eido", "locationComponent.0.locationByValue", xml))


# the same table stands in alerting's tests: both sides must normalise alike
@pytest.mark.parametrize(
    ("text", "plate"),
    [("abc-123", "ABC123"), (" A B C·1 ", "ABC1"), ("äö-Å1", "AOA1"), ("ＡＢＣ１２", "ABC12"), ("ß12", "SS12"), ("A/B:C_1'2", "ABC12")],
)
def test_plates_are_normalised_as_alerting_does(text: str, plate: str) -> None:
    assert normalise_plate(text) == plate


@pytest.mark.parametrize(
    ("adapter", "path", "value", "place"),
    [
        ("plate_read", "plate", ..., "plate"),
        ("plate_read", "plate", "", "plate"),
        ("plate_read", "plate", 7, "plate"),
        ("plate_read", "plate", "ABCDEFGHIJKLM", "plate"),
        ("plate_read", "plate", "车牌", "plate"),
        ("plate_read", "plate", "AB\u0000C", "plate"),
        ("plate_read", "confidence", 1.01, "confidence"),
        ("plate_read", "confidence", True, "confidence"),
        ("plate_read", "confidence", "0.9", "confidence"),
        ("plate_read", "captured_at", "2026-03-01T12:00:00", "captured_at"),
        ("plate_read", "captured_at", "2026-02-30T12:00:00Z", "captured_at"),
        ("plate_read", "captured_at", "1970-01-01T00:00:00Z", "captured_at"),
        ("plate_read", "captured_at", "2026-03-01T10:05:31Z", "captured_at"),
        ("plate_read", "captured_at", 1767225600, "captured_at"),
        ("plate_read", "lat", 91, "lat"),
        ("plate_read", "lat", None, "lat"),
        ("plate_read", "lon", -180.5, "lon"),
        ("plate_read", "vehicle", "Volvo", "vehicle"),
        ("plate_read", "vehicle.make", ["Volvo"], "vehicle.make"),
        ("plate_read", "candidates", [{"plate": "A", "confidence": 0.1}] * 17, "candidates"),
        ("plate_read", "candidates", [{"plate": "?", "confidence": 0.1}], "candidates[0].plate"),
        ("plate_read", "image", "%%%", "image"),
        ("plate_read", "image", base64.b64encode(b"GIF89a").decode(), "image"),
        ("plate_read", "image", base64.b64encode(JPEG + b"0" * 300_000).decode(), "image"),
        ("gunshot", "stage", "maybe", "stage"),
        ("gunshot", "classification", "thunder", "classification"),
        ("gunshot", "rounds", 2.5, "rounds"),
        ("gunshot", "rounds", -1, "rounds"),
        ("gunshot", "lat", 0, "lat"),
        ("gunshot", "incident_id", "", "incident_id"),
        ("alarm", "alarm_id", ..., "alarm_id"),
        ("alarm", "type", "alien", "type"),
        ("alarm", "state", ..., "state"),
        ("alarm", "raised_at", "2026-03-01T12:05:31+02:00", "raised_at"),
        ("alarm", "lat", 95, "lat"),
        ("alarm", "lon", ..., "lon"),
        ("sensor", "value", "much", "value"),
        ("sensor", "value", 1e16, "value"),
        ("sensor", "quantity", "", "quantity"),
        ("sensor", "level", "panic", "level"),
        ("sensor", "measured_at", 5, "measured_at"),
        ("eido", "issuingElementIdentification", ..., "issuingElementIdentification"),
        ("eido", "incidentComponent", [], "incidentComponent"),
        ("eido", "incidentComponent.incidentCommonPriorityNumber", 11, "incidentComponent.incidentCommonPriorityNumber"),
        ("eido", "incidentComponent.incidentTrackingIdentifier", ..., "incidentComponent.incidentTrackingIdentifier"),
        ("eido", "incidentComponent.incidentTypeCommonRegistryText", "", "incidentComponent.incidentTypeCommonRegistryText"),
    ],
)
def test_wrong_values_are_not_understood_and_name_their_place(adapter: str, path: str, value: object, place: str) -> None:
    body = changed(adapter, path, value)
    if (adapter, path) == ("gunshot", "lat"):
        body["lon"] = 0
    with pytest.raises(NotUnderstood) as caught:
        parse(adapter, body)
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "line 1 column 1"),
        (b'{"plate": "ABC', "line 1 column 11"),
        (b'{"plate": "AB\xff"}', "byte 13"),
        (b'{"plate": "\\ud800"}', "line 1 column 12"),
        (b'{"confidence": NaN}', "line 1 column 16"),
        (b'{"confidence": Infinity}', "line 1 column 16"),
        (b"[1]", "document"),
        (b"null", "document"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "document"),
        (b'{"a":' + b"[" * 500_000, "line 1 column 1029"),
        (b'{"a":[' + b"1," * 30_000 + b"1]}", "document"),
    ],
)
def test_what_is_not_a_sound_document_names_its_place(body: bytes, place: str) -> None:
    with pytest.raises(NotUnderstood) as caught:
        read_document(body)
    assert caught.value.place.split(" column")[0] == place.split(" column", maxsplit=1)[0]


def test_unknown_members_are_left_out() -> None:
    body = documented("plate_read") | {"firmware": {"version": 7}, "plate_color": "white"}
    assert parse("plate_read", body).event == parse("plate_read", documented("plate_read")).event


@pytest.mark.parametrize(("eido", "ours"), [(10, 1), (9, 1), (8, 2), (5, 3), (3, 4), (1, 5), (0, 5), ("9", 1)])
def test_eido_priority_is_turned_around(eido: object, ours: int) -> None:
    event = parse("eido", changed("eido", "incidentComponent.incidentCommonPriorityNumber", eido)).event
    assert event.call_for_service.priority == ours


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("adapter", sorted(set(ADAPTERS) - {"cap", "cot"}))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_value_in_any_place_is_an_event_or_not_understood(adapter: str, data: st.DataObject) -> None:
    document = documented(adapter)
    for name in data.draw(st.lists(st.sampled_from(sorted(document)), min_size=1, max_size=3)):
        document[name] = data.draw(JSON)
    try:
        parsed = parse(adapter, json.dumps(document).encode("utf-8", errors="surrogatepass"))
    except NotUnderstood:
        return
    assert event_pb2.Event.FromString(parsed.event.SerializeToString()) == parsed.event


@pytest.mark.parametrize("adapter", sorted(set(ADAPTERS) - {"cap", "cot"}))
@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=300))
def test_any_bytes_are_not_understood(adapter: str, body: bytes) -> None:
    with pytest.raises(NotUnderstood):
        parse(adapter, body)


def test_largest_body_is_read_quickly_enough_to_refuse() -> None:
    with pytest.raises(NotUnderstood):
        parse("plate_read", b'{"plate": "' + b"A" * (MAXIMUM_BODY_BYTES - 13) + b'"}')
