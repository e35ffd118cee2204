"""The table of rules and the words of messages, for whatever an event holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.airspace.v1 import airspace_pb2
from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.event.v1 import event_pb2
from rtcc_alerting import rules
from rtcc_alerting.findings import RuleSetting, Threshold
from rtcc_alerting.notification import (
    ESCALATED,
    MOST_ATTEMPTS,
    RAISED,
    back_off,
    digest_of,
    filled,
    is_over_bound,
    message_of,
    reason_for,
)
from rtcc_alerting.rule_table import BY_EVENT, CAMERA_STATE, UNIT_PANIC, classify_measurement, classify_warning

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TEXT = st.text(max_size=300)
_WORD = st.sampled_from(
    ["", "panic", "fire", "Actual", "Test", "Extreme", "Severe", "Immediate", "Future", "threat", "SHOTS FIRED", "closed"]
)
_ANY = st.one_of(_WORD, _TEXT)
_NUMBER = st.floats(allow_nan=True, allow_infinity=True)
_BODIES: dict[str, Any] = {
    "alarm": st.builds(event_pb2.Alarm, alarm_id=_ANY, alarm_type=_ANY, state=st.integers(0, 3), zone=_ANY, site_name=_ANY, address=_ANY),
    "warning": st.builds(
        event_pb2.Warning, warning_id=_ANY, status=_WORD, message_type=st.integers(0, 3), urgency=_ANY, severity=_ANY, headline=_ANY
    ),
    "measurement": st.builds(
        event_pb2.Measurement, sensor_id=_ANY, sensor_name=_ANY, quantity=_ANY, value=_NUMBER, unit=_ANY, level=st.integers(0, 3)
    ),
    "tip": st.builds(event_pb2.Tip, category=_ANY, reference_code=_ANY),
    "marker": st.builds(event_pb2.Marker, uid=_ANY, marker_type=_ANY, call_sign=_ANY, emergency=_ANY),
    "call_for_service": st.builds(event_pb2.CallForService, call_id=_ANY, call_type=_ANY, status=_ANY, address=_ANY),
    "gunshot": st.builds(event_pb2.Gunshot, incident_id=_ANY, stage=st.integers(0, 3), classification=_ANY, rounds=st.integers(0, 99)),
    "drone_alarm": st.builds(event_pb2.DroneAlarm, track_id=_ANY, visit_id=_ANY, zone_id=_ANY, zone_name=_ANY),
}


def test_every_kind_of_event_of_the_contract_that_needs_somebody_has_a_rule() -> None:
    bodies = {field.name for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert bodies == set(BY_EVENT) - {UNIT_PANIC, CAMERA_STATE}


@pytest.mark.parametrize("kind", sorted(_BODIES))
@given(data=st.data())
def test_whatever_a_body_holds_its_finding_can_be_stored_and_shown(kind: str, data: st.DataObject) -> None:
    event = event_pb2.Event(event_id="e", agency_id="east", source_id="s", kind=kind, **{kind: data.draw(_BODIES[kind])})
    rule = BY_EVENT[kind]
    assert rule.classify is not None
    finding = rule.classify(event, RuleSetting(thresholds=(Threshold("", above=0),)))
    if finding is None:
        return
    assert finding.kind == rule.name and 1 <= finding.severity <= 4 and len(finding.title) <= 200 and finding.group
    assert finding.raises or finding.ends or kind in ("alarm", "marker")
    assert rule.classify(event, RuleSetting(thresholds=(Threshold("", above=0),))) == finding
    alert = rules.raise_finding(event, finding, finding.severity, NOW)
    assert pb.Alert.FromString(alert.SerializeToString()) == alert
    if kind == "tip":
        assert not (alert.event.tip.text or alert.event.tip.contact)


_SEVERITIES, _URGENCIES = ("Extreme", "Severe", "Moderate", "Minor", "Unknown"), ("Immediate", "Expected", "Future", "Past")


def test_a_warning_is_never_more_urgent_for_being_milder_or_later() -> None:
    def severity(severe: str, urgency: str, certainty: str = "Likely") -> int:
        warning = event_pb2.Warning(warning_id="w", status="Actual", severity=severe, urgency=urgency, certainty=certainty)
        finding = classify_warning(event_pb2.Event(kind="warning", warning=warning), RuleSetting())
        assert finding is not None
        return finding.severity

    table = [[severity(severe, urgency) for urgency in _URGENCIES] for severe in _SEVERITIES]
    assert table[0][0] == 1 and sum(row.count(1) for row in table) == 1
    assert all(row == sorted(row) for row in table)
    assert all(list(column) == sorted(column) for column in zip(*table, strict=True))
    assert severity("Extreme", "Immediate", "Unlikely") == 2


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_threshold_is_breached_as_arithmetic_says(value: float, below: float, above: float) -> None:
    measured = event_pb2.Measurement(sensor_id="s", quantity="Level", value=value)
    setting = RuleSetting(thresholds=(Threshold("level", above, below), Threshold("other", above=-1e9)))
    finding = classify_measurement(event_pb2.Event(kind="measurement", measurement=measured), setting)
    assert finding is not None
    assert finding.raises == (value > above or value < below)


@given(title=st.text(max_size=200), template=st.text(max_size=100), place=st.text(max_size=50))
def test_no_text_of_an_event_breaks_out_of_its_line_or_is_read_as_a_template(title: str, template: str, place: str) -> None:
    alert = pb.Alert(alert_id="a", title=f"{{link}} {title}", severity=1, kind="gunshot", context=pb.AlertContext(place=place))
    contact = pb.Contact(contact_id="c", name="n", subject_template="{title}", body_template=f"{{title}}|{template}")
    message = message_of(contact, alert, ESCALATED, "id", "East\r\nBcc: x@example.org", "https://rtcc.example.org/secret")
    assert not set(message.subject) & {"\r", "\n"}
    assert message.text.split("|")[0].endswith(f"{{link}} {title}".split("|")[0])
    assert len(message.short) <= 480 and "\n" not in message.short
    assert filled("{title} {unknown}", {"title": "{unknown}"}) == "{unknown} {unknown}"
    assert "\n" not in digest_of("d", [message] * 60, "East\nWest").subject


def test_a_take_off_point_is_not_called_the_pilot() -> None:
    alarm = event_pb2.DroneAlarm(pilot_place=airspace_pb2.PILOT_PLACE_TAKE_OFF)
    alarm.pilot.latitude_deg = 60.0
    alert = pb.Alert(alert_id="a", title="Drone", event=event_pb2.Event(drone_alarm=alarm))
    text = message_of(pb.Contact(), alert, RAISED, "id", "East", "").text
    assert "Take-off point: 60.00000" in text and "Pilot" not in text


def test_who_is_told_when() -> None:
    alert = pb.Alert(kind="gunshot", severity=1, state=pb.ALERT_STATE_NEW)
    alert.raised_at.FromDatetime(NOW)
    usual, patient = pb.Contact(enabled=True), pb.Contact(enabled=True, only_escalated=True)
    assert reason_for(usual, alert, NOW, inside=True) == RAISED
    assert reason_for(usual, alert, NOW, inside=False) == ""
    assert reason_for(usual, alert, NOW + timedelta(minutes=61), inside=True) == ""
    assert reason_for(patient, alert, NOW, inside=True) == ""
    alert.escalation.level = 1
    assert reason_for(patient, alert, NOW, inside=True) == ESCALATED
    alert.state = pb.ALERT_STATE_ACKNOWLEDGED
    assert reason_for(patient, alert, NOW, inside=True) == reason_for(usual, alert, NOW, inside=True) == ""


def test_tries_end_and_bounds_hold() -> None:
    waits = [back_off(attempt) for attempt in range(1, MOST_ATTEMPTS + 1)]
    assert waits[-1] is None and None not in waits[:-1]
    assert [wait for wait in waits if wait] == sorted(wait for wait in waits if wait)
    contact = pb.Contact(maximum_per_hour=2)
    assert [is_over_bound(contact, 2, sent) for sent in (1, 2)] == [False, True]
    assert [is_over_bound(contact, 1, sent) for sent in (5, 6)] == [False, True]
