"""The connector kit's rules: a mapping is checked with the place of each mistake, and reads foreign JSON as the built-in adapters would."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc.event.v1 import event_pb2
from rtcc_chassis.errors import InvalidInput
from rtcc_intake.document import read_document
from rtcc_intake.domain import NotUnderstood, ParsedEvent
from rtcc_intake.mapping import checked_mapping, differences, read_mapped
from rtcc_intake.mapping.targets import TARGETS

NOW = datetime(2026, 3, 1, 10, 0, 30, tzinfo=UTC)
ALARMS: dict[str, Any] = {
    "event": "alarm",
    "each": "/events",
    "fields": {
        "alarm_id": "/nr",
        "panel_id": {"path": "/panel/serial", "from": "document"},
        "type": {"path": "/code", "map": {"130": "burglary", "110": "fire"}, "otherwise": "other"},
        "state": {"path": "/restore", "map": {"false": "active", "true": "restored"}},
        "raised_at": {"path": "/at", "time": "%d.%m.%Y %H:%M:%S", "time_zone": "Europe/Helsinki"},
        "zone": {"path": "/zone/name", "default": "unknown zone"},
        "lat": {"path": "/pos/0", "unit": "deg_e7"},
        "lon": {"path": "/pos/1", "unit": "deg_e7"},
        "note": {"constant": "by phone line"},
    },
}
BODY: dict[str, Any] = {
    "panel": {"serial": 4711},
    "events": [
        {
            "nr": 17,
            "code": 130,
            "restore": False,
            "at": "01.03.2026 12:00:00",
            "zone": {"name": "Back door"},
            "pos": [601699000, 249384000],
        },
        {"nr": 18, "code": 999, "restore": True, "at": "01.03.2026 12:00:05", "pos": [601699000, 249384000]},
    ],
}
WEATHER: dict[str, Any] = {
    "event": "measurement",
    "fields": {
        "sensor_id": "/dev",
        "quantity": {"constant": "temperature"},
        "value": {"path": "/temp", "unit": "F"},
        "measured_at": {"path": "/ts", "time": "unix_ms"},
    },
}


def read(mapping: dict[str, Any], body: dict[str, Any]) -> list[ParsedEvent]:
    return read_mapped(checked_mapping(mapping), read_document(json.dumps(body).encode()), NOW)


def test_foreign_alarms_become_alarms() -> None:
    first, second = (parsed.event for parsed in read(ALARMS, BODY))
    assert (first.alarm.alarm_id, first.alarm.panel_id, first.alarm.alarm_type) == ("17", "4711", "burglary")
    assert (first.alarm.zone, second.alarm.zone) == ("Back door", "unknown zone")
    assert first.occurred_at.ToDatetime(UTC) == datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    assert abs(first.position.coordinate.latitude_deg - 60.1699) < 1e-9
    assert (second.alarm.alarm_type, second.alarm.state) == ("other", event_pb2.ALARM_STATE_RESTORED)
    assert second.alarm.note == "by phone line"


def test_units_are_converted_and_told() -> None:
    (parsed,) = read(WEATHER, {"dev": "w1", "temp": "98,6", "ts": 1_772_359_200_000})
    assert abs(parsed.event.measurement.value - 37) < 1e-9
    assert parsed.event.measurement.unit == "Cel"
    assert parsed.event.occurred_at.ToDatetime(UTC) == datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def test_members_of_inner_objects_and_numbers_as_ids() -> None:
    mapping = {
        "event": "plate_read",
        "fields": {
            "read_id": "/id", "camera_id": {"constant": "c1"}, "plate": "/lp", "confidence": {"path": "/score", "unit": "%"},
            "captured_at": "/t", "vehicle.make": "/car/brand",
        },
    }  # fmt: skip
    body = {"id": 5, "lp": "abc 123", "score": 87, "t": "2026-03-01T10:00:00Z", "car": {"brand": "Volvo"}}
    read_event = read(mapping, body)[0].event.plate_read
    assert (read_event.plate, read_event.vehicle_make) == ("ABC123", "Volvo")
    assert abs(read_event.confidence - 0.87) < 1e-6


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda m: m.pop("event"), "mapping.event"),
        (lambda m: m.update(event="alarms"), "mapping.event"),
        (lambda m: m.update(feilds={}), "mapping.feilds"),
        (lambda m: m.update(each="events"), "mapping.each"),
        (lambda m: m.update(fields=[]), "mapping.fields"),
        (lambda m: m["fields"].pop("alarm_id"), "mapping.fields.alarm_id"),
        (lambda m: m["fields"].pop("lat"), "mapping.fields.lat"),
        (lambda m: m["fields"].update(zoen="/zone"), "mapping.fields.zoen"),
        (lambda m: m["fields"].update(zone="zone/name"), "mapping.fields.zone"),
        (lambda m: m["fields"].update(zone=7), "mapping.fields.zone"),
        (lambda m: m["fields"].update(zone={"path": "/a", "constant": "b"}), "mapping.fields.zone"),
        (lambda m: m["fields"].update(zone={"defualt": "b", "path": "/a"}), "mapping.fields.zone.defualt"),
        (lambda m: m["fields"]["type"]["map"].update({"120": "burglry"}), "mapping.fields.type.map.120"),
        (lambda m: m["fields"]["type"].update(otherwise="alien"), "mapping.fields.type.otherwise"),
        (lambda m: m["fields"]["state"].update(map={}), "mapping.fields.state.map"),
        (lambda m: m["fields"].update(state={"constant": "on"}), "mapping.fields.state.constant"),
        (lambda m: m["fields"]["raised_at"].update(time="iso"), "mapping.fields.raised_at.time"),
        (lambda m: m["fields"]["raised_at"].update(time="%H:%M"), "mapping.fields.raised_at.time"),
        (lambda m: m["fields"]["raised_at"].pop("time_zone"), "mapping.fields.raised_at.time_zone"),
        (lambda m: m["fields"]["raised_at"].update(time_zone="Europe/Helsingfors"), "mapping.fields.raised_at.time_zone"),
        (lambda m: m["fields"]["lat"].update(unit="degree"), "mapping.fields.lat.unit"),
        (lambda m: m["fields"]["lat"].update(unit="F"), "mapping.fields.lat.unit"),
        (lambda m: m["fields"]["zone"].update(time="unix_s"), "mapping.fields.zone.time"),
        (lambda m: m["fields"]["zone"].update(otherwise="x"), "mapping.fields.zone.otherwise"),
        (lambda m: m["fields"]["panel_id"].update({"from": "root"}), "mapping.fields.panel_id.from"),
    ],
)
def test_each_mistake_is_named_with_its_place(change: Any, place: str) -> None:
    mapping = copy.deepcopy(ALARMS)
    change(mapping)
    with pytest.raises(InvalidInput) as caught:
        checked_mapping(mapping)
    assert place in [violation.field for violation in caught.value.violations]


def test_all_mistakes_are_named_at_once_with_what_was_probably_meant() -> None:
    mapping = copy.deepcopy(ALARMS)
    mapping["fields"]["zoen"] = mapping["fields"].pop("zone")
    mapping["fields"]["type"]["map"]["120"] = "burglry"
    with pytest.raises(InvalidInput) as caught:
        checked_mapping(mapping)
    reasons = {violation.field: violation.reason for violation in caught.value.violations}
    assert "did you mean 'zone'?" in reasons["mapping.fields.zoen"]
    assert "did you mean 'burglary'?" in reasons["mapping.fields.type.map.120"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda b: b.pop("events"), "/events"),
        (lambda b: b.update(events={}), "/events"),
        (lambda b: b.update(events=[{}] * 501), "/events"),
        (lambda b: b["events"][1].pop("nr"), "/events/1/nr (alarm_id)"),
        (lambda b: b["events"][1].update(nr=[1]), "/events/1/nr (alarm_id)"),
        (lambda b: b["events"][0].update(restore="maybe"), "/events/0/restore (state)"),
        (lambda b: b["events"][0].update(at="2026-03-01"), "/events/0/at (raised_at)"),
        (lambda b: b["events"][0].update(at="01.03.2026 12:09:00"), "/events/0/at (raised_at)"),
        (lambda b: b["events"][0].update(pos=["north", 1]), "/events/0/pos/0 (lat)"),
        (lambda b: b["events"][0].update(pos=[950000000, 1]), "/events/0/pos/0 (lat)"),
    ],
)
def test_what_a_body_has_wrong_is_named_by_its_pointer_and_no_half_is_taken(change: Any, place: str) -> None:
    body = copy.deepcopy(BODY)
    change(body)
    with pytest.raises(NotUnderstood) as caught:
        read(ALARMS, body)
    assert caught.value.place == place


def test_differences_name_each_field() -> None:
    before = read(ALARMS, BODY)[0].event
    after = event_pb2.Event()
    after.CopyFrom(before)
    after.alarm.alarm_type, after.alarm.site_name = "fire", "Shop"
    assert differences(before, before) == []
    assert differences(before, after) == [("alarm.alarm_type", "burglary", "fire"), ("alarm.site_name", "", "Shop")]
    assert ("kind", "alarm", "") in differences(before, None)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
JSON = st.recursive(SCALARS, lambda i: st.lists(i, max_size=3) | st.dictionaries(st.text(max_size=6), i, max_size=3), max_leaves=10)
WORDS = st.sampled_from(["path", "constant", "default", "map", "otherwise", "time", "time_zone", "unit", "from"])
SPECS = (
    st.sampled_from(["/nr", "/at", "/pos/0", ""])
    | st.dictionaries(WORDS, SCALARS | st.sampled_from(["/nr", "unix_s", "%d.%m.%Y", "m"]), max_size=4)
    | JSON
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(TARGETS)), st.data())
def test_any_mapping_is_taken_or_refused_and_a_taken_one_reads_or_refuses_any_body(event: str, data: st.DataObject) -> None:
    names = st.sampled_from(sorted(TARGETS[event].fields)) | st.text(max_size=6)
    fields = data.draw(st.dictionaries(names, SPECS, max_size=6))
    needed = {name: "/nr" for name, field in TARGETS[event].fields.items() if field.required and data.draw(st.booleans())}
    document = {"event": event, "fields": {**needed, **fields}} | data.draw(
        st.dictionaries(st.sampled_from(["each", "x"]), SPECS, max_size=1)
    )
    try:
        mapping = checked_mapping(document)
    except InvalidInput as error:
        assert all(violation.field.startswith("mapping") and violation.reason for violation in error.violations)
        return
    body = data.draw(st.dictionaries(st.sampled_from(["nr", "at", "pos"]), JSON, max_size=3))
    try:
        found = read_mapped(mapping, read_document(json.dumps(body).encode("utf-8", "surrogatepass")), NOW)
    except NotUnderstood as error:
        assert error.reason
        return
    for parsed in found:
        assert event_pb2.Event.FromString(parsed.event.SerializeToString()) == parsed.event
