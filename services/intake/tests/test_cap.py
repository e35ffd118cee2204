"""CAP 1.2: real messages become warnings, updates and cancellations belong to what they refer to, and nothing dangerous is read."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc.event.v1 import event_pb2
from rtcc_chassis.geometry import MAXIMUM_CORNERS, polygon_violations
from rtcc_intake.adapters import adapter_for
from rtcc_intake.adapters.cap_area import simplified
from rtcc_intake.domain import NotUnderstood, ParsedEvent

NOW = datetime(2003, 6, 17, 15, 0, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[3] / "docs" / "integrators" / "cap.md"

# appendix A.2 of the standard (severe thunderstorm warning), without its white space
THUNDERSTORM = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>KSTO1055887203</identifier><sender>KSTO@NWS.NOAA.GOV</sender><sent>2003-06-17T14:57:00-07:00</sent>
  <status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
  <info>
    <category>Met</category><event>SEVERE THUNDERSTORM</event><responseType>Shelter</responseType><urgency>Immediate</urgency>
    <severity>Severe</severity><certainty>Observed</certainty>
    <eventCode><valueName>SAME</valueName><value>SVR</value></eventCode>
    <expires>2003-06-17T16:00:00-07:00</expires><senderName>NATIONAL WEATHER SERVICE SACRAMENTO CA</senderName>
    <headline>SEVERE THUNDERSTORM WARNING</headline>
    <description>AT 254 PM PDT NATIONAL WEATHER SERVICE DOPPLER RADAR INDICATED A SEVERE THUNDERSTORM.</description>
    <instruction>TAKE COVER IN A SUBSTANTIAL SHELTER UNTIL THE STORM PASSES.</instruction>
    <contact>BARUFFALDI/JUSKIE</contact>
    <area>
      <areaDesc>EXTREME NORTH CENTRAL TUOLUMNE COUNTY</areaDesc>
      <polygon>38.47,-120.14 38.34,-119.95 38.52,-119.74 38.62,-119.89 38.47,-120.14</polygon>
      <geocode><valueName>SAME</valueName><value>006109</value></geocode>
    </area>
  </info>
</alert>"""
LATER = datetime(2003, 6, 17, 22, 0, tzinfo=UTC)


def parse(xml: str | bytes, now: datetime = LATER) -> ParsedEvent:
    (parsed,) = adapter_for("cap").parse(xml if isinstance(xml, bytes) else xml.encode(), now)
    return parsed


def test_the_standards_own_example_becomes_a_warning() -> None:
    event = parse(THUNDERSTORM).event
    warning = event.warning
    assert (event.kind, warning.identifier, warning.sender) == ("warning", "KSTO1055887203", "KSTO@NWS.NOAA.GOV")
    assert (warning.severity, warning.urgency, warning.certainty, warning.status) == ("Severe", "Immediate", "Observed", "Actual")
    assert warning.event_name == "SEVERE THUNDERSTORM"
    assert event.occurred_at.ToDatetime(UTC) == datetime(2003, 6, 17, 21, 57, tzinfo=UTC)
    assert warning.expires_at.ToDatetime(UTC) == datetime(2003, 6, 17, 23, 0, tzinfo=UTC)
    assert warning.message_type == event_pb2.WARNING_MESSAGE_TYPE_ALERT
    assert list(warning.categories) == ["Met"]
    (area,) = warning.areas
    assert area.geocodes == ["SAME=006109"]
    assert len(area.polygons[0].corners) == 4
    assert abs(event.position.coordinate.latitude_deg - 38.48) < 0.01
    assert event.position.accuracy_m > 10_000


def test_the_documented_message_becomes_a_warning() -> None:
    example = re.search(r"```xml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    assert example is not None
    event = parse(example.group(1), datetime(2026, 3, 1, 10, 5, tzinfo=UTC)).event
    assert event.warning.language == "en-GB"
    assert event.warning.areas[0].circles[0].radius_m == 1_500


def test_an_update_and_a_cancellation_carry_the_first_messages_warning() -> None:
    references = (
        "<references>KSTO@NWS.NOAA.GOV,second,2003-06-17T14:58:00-07:00 KSTO@NWS.NOAA.GOV,first,2003-06-17T14:57:00-07:00</references>"
    )
    update = THUNDERSTORM.replace("<msgType>Alert", "<msgType>Update").replace("</scope>", f"</scope>{references}")
    warning = parse(update).event.warning
    assert warning.warning_id == "KSTO@NWS.NOAA.GOV,first"
    assert [reference.identifier for reference in warning.references] == ["second", "first"]
    cancel = re.sub(r"<info>.*</info>", "", update.replace("<msgType>Update", "<msgType>Cancel"), flags=re.S)
    assert parse(cancel).event.warning.message_type == event_pb2.WARNING_MESSAGE_TYPE_CANCEL


def test_the_english_block_is_taken_else_the_first() -> None:
    block = re.search(r"<info>.*</info>", THUNDERSTORM, re.S)
    assert block is not None
    finnish = block.group().replace("<info>", "<info><language>fi-FI</language>").replace("SEVERE THUNDERSTORM WARNING", "RAJU UKKONEN")
    assert parse(THUNDERSTORM.replace("<info>", finnish + "<info>")).event.warning.headline == "SEVERE THUNDERSTORM WARNING"
    assert parse(THUNDERSTORM.replace(block.group(), finnish)).event.warning.headline == "RAJU UKKONEN"


def test_the_same_message_in_another_delivery_is_the_same_event() -> None:
    assert parse(THUNDERSTORM).own_id == parse(THUNDERSTORM.replace("\n", " ")).own_id
    assert parse(THUNDERSTORM).own_id != parse(THUNDERSTORM.replace("KSTO1055887203", "KSTO2")).own_id


LAUGHS = '<!DOCTYPE alert [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda xml: xml.replace("<alert", LAUGHS + "<alert", 1).replace("KSTO1055887203", "&b;"), "document"),
        (lambda xml: xml.replace("<alert", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><alert', 1), "document"),
        (lambda xml: xml.replace("UTF-8", "UTF-16", 1).encode("utf-16"), "byte 0"),
        (lambda xml: xml[:400], "line"),
        (lambda xml: "", "line"),
        (lambda xml: "{}", "line"),
        (lambda xml: xml.replace("cap:1.2", "cap:1.1"), "document"),
        (lambda xml: xml.replace("Severe<", "Terrible<"), "line"),
        (lambda xml: xml.replace("<sender>KSTO@NWS.NOAA.GOV</sender>", ""), "line"),
        (lambda xml: xml.replace("14:57:00-07:00", "14:57:00Z"), "line"),
        (lambda xml: xml.replace("2003-06-17T14:57", "2003-06-17T15:57"), "alert/sent"),
        (lambda xml: xml.replace("<msgType>Alert", "<msgType>Update"), "alert/references"),
        (lambda xml: xml.replace("<msgType>Alert", "<msgType>Ack"), "alert/msgType"),
        (lambda xml: xml.replace("</scope>", "</scope><references>a,b</references>"), "alert/references"),
        (lambda xml: re.sub(r"<info>.*</info>", "", xml, flags=re.S), "alert/info"),
        (lambda xml: xml.replace("38.47,-120.14 38.34", "98.47,-120.14 38.34"), "alert/info/area[1]/polygon"),
        (lambda xml: xml.replace(" 38.47,-120.14</polygon>", "</polygon>"), "alert/info/area[1]/polygon"),
        (lambda xml: xml.replace("38.34,-119.95", "38.34"), "alert/info/area[1]/polygon"),
        (lambda xml: xml.replace("</polygon>", "</polygon><circle>38.5,-120 many</circle>"), "alert/info/area[1]/circle"),
        (lambda xml: xml.replace("</polygon>", "</polygon><circle>38.5,-120 30000</circle>"), "alert/info/area[1]/circle"),
        (lambda xml: xml.replace("</areaDesc>", "</areaDesc>" + "<polygon></polygon>" * 101), "alert/info/area[1]/polygon"),
    ],
)
def test_what_is_wrong_or_dangerous_is_not_understood_and_named(change, place: str) -> None:  # type: ignore[no-untyped-def] # a table of lambdas
    with pytest.raises(NotUnderstood) as caught:
        parse(change(THUNDERSTORM))
    assert caught.value.place.startswith(place)
    assert caught.value.reason


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-89, 89), st.floats(-179, 179)), min_size=3, max_size=700))
def test_a_ring_keeps_its_corners_up_to_the_bound(ring: list[tuple[float, float]]) -> None:
    kept = simplified(ring, 50)
    assert len(kept) == min(50, len(ring))
    remaining = iter(ring)
    assert all(any(corner == other for other in remaining) for corner in kept), "in their order"


def test_a_coast_of_a_thousand_corners_is_taken_with_the_five_hundred_that_shape_it() -> None:
    import math

    points = [(60 + math.sin(i / 160), 25 + math.cos(i / 160) + (0.2 if i == 500 else 0.0)) for i in range(1000)]
    points.append(points[0])
    text = " ".join(f"{latitude:.5f},{longitude:.5f}" for latitude, longitude in points)
    polygon = parse(re.sub(r"<polygon>.*</polygon>", f"<polygon>{text}</polygon>", THUNDERSTORM)).event.warning.areas[0].polygons[0]
    assert len(polygon.corners) == MAXIMUM_CORNERS
    assert not polygon_violations(polygon, "polygon")
    spike = round(points[500][1], 5)
    assert any(abs(corner.longitude_deg - spike) < 1e-9 for corner in polygon.corners), "the cape stays"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_is_an_event_or_not_understood(data: st.DataObject) -> None:
    body = bytearray(THUNDERSTORM.encode())
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(body) - 1))
        end = data.draw(st.integers(start, min(len(body), start + 40)))
        body[start:end] = data.draw(st.binary(max_size=20) | st.text(max_size=10).map(str.encode))
    try:
        parsed = parse(bytes(body))
    except NotUnderstood as error:
        assert error.reason
        return
    assert event_pb2.Event.FromString(parsed.event.SerializeToString()) == parsed.event
