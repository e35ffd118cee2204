"""The table of rules: which event raises which alert. Indexed by what a rule tests, so cost follows the events it matches."""

import re
from collections.abc import Mapping
from datetime import timedelta

from rtcc.event.v1 import event_pb2 as events
from rtcc_alerting.domain import (
    ALARM,
    CAMERA_DOWN,
    DRONE,
    GUNSHOT,
    HOT_LIST_STALE,
    MEASUREMENT,
    OFFICER_EMERGENCY,
    PLATE_HIT,
    SHOTS_FIRED_CALL,
    TIP,
    WARNING,
    gunshot_severity,
)
from rtcc_alerting.findings import Finding, Near, Rule, RuleSetting

# events that this service makes itself, of what doesn't come as an event
UNIT_PANIC, CAMERA_STATE = "unit_panic", "camera_state"

_STAGES = {
    events.GUNSHOT_STAGE_NEW: "new",
    events.GUNSHOT_STAGE_RECLASSIFIED: "reclassified",
    events.GUNSHOT_STAGE_CLOSED: "closed",
}
_ALARM_SEVERITY = {"panic": 1, "duress": 1, "robbery": 1, "fire": 2, "gas": 2, "medical": 2, "burglary": 2, "tamper": 3, "technical": 4}
_ALARM_WORDS = {"panic": "Panic alarm", "duress": "Duress alarm", "robbery": "Hold-up alarm", "burglary": "Burglar alarm"}
_WARNING_SEVERITY = {"Extreme": 1, "Severe": 2, "Moderate": 3}
_WARNING_DELAY = {"Immediate": 0, "Expected": 1, "Unknown": 1}
_CLOSED_CALL = ("closed", "cancelled")
URGENT_TIPS = frozenset(
    {"urgent", "emergency", "threat", "violence", "weapon", "shooting", "kidnapping", "missing_person", "missing person"}
)
SHOTS = re.compile(r"shot|gun ?fire|fire ?arm|ampum|laukau", re.IGNORECASE)
# a caller hears what a sensor measured, and what other callers hear; two incidents of a sensor network are two
NEAR_A_CALL = Near((SHOTS_FIRED_CALL,), metres=200.0, within=timedelta(seconds=120))
NEAR_SHOTS = Near((GUNSHOT, SHOTS_FIRED_CALL), metres=200.0, within=timedelta(seconds=120))
# CoT's cancellation of an emergency
_EMERGENCY_CANCELLED = "b-a-o-can"
_TITLE_CHARACTERS = 200


def classify_gunshot(event: events.Event, setting: RuleSetting) -> Finding | None:
    """A sensor network's incident in stages: new, reclassified, closed."""
    shot = event.gunshot
    name = {"gunfire": "Gunshot", "fireworks": "Fireworks"}.get(shot.classification, "Loud noise")
    rounds = f"{shot.rounds} rounds" if shot.rounds > 1 else "1 round" if shot.rounds else ""
    stage = "" if shot.stage == events.GUNSHOT_STAGE_NEW else _STAGES.get(shot.stage, "unknown stage")
    title, group = _joined(name, rounds, stage), f"gunshot:{event.source_id}:{shot.incident_id}"
    severity = gunshot_severity(shot.classification)
    if shot.stage == events.GUNSHOT_STAGE_CLOSED:
        outcome = "resolved" if shot.classification == "gunfire" else "false_alarm"
        note = f"Closed by the sensor network as {shot.classification}."
        return Finding(GUNSHOT, severity, title, group, raises=False, ends=outcome, note=note, once=True, final=True)
    return Finding(GUNSHOT, severity, title, group, near=NEAR_A_CALL, once=True)


def classify_alarm(event: events.Event, setting: RuleSetting) -> Finding | None:
    """A panel's alarm; a test is nobody's business, a restored one is told on the open alert: the cause may have walked in."""
    alarm = event.alarm
    kind = alarm.alarm_type or "other"
    if alarm.state == events.ALARM_STATE_TEST or (setting.words and kind not in setting.words):
        return None
    restored = alarm.state == events.ALARM_STATE_RESTORED
    name = _ALARM_WORDS.get(kind, f"{kind.replace('_', ' ').capitalize()} alarm")
    title = _joined(name, alarm.site_name or alarm.address, alarm.zone, "restored" if restored else "")
    group = f"alarm:{event.source_id}:{alarm.alarm_id or f'{alarm.panel_id}:{kind}:{alarm.zone}'}"
    within = None if alarm.alarm_id else timedelta(minutes=10)
    return Finding(ALARM, _ALARM_SEVERITY.get(kind, 3), title, group, within, raises=not restored, once=bool(alarm.alarm_id))


def classify_warning(event: events.Event, setting: RuleSetting) -> Finding | None:
    """CAP 1.2: severity by how bad and how soon it is; a cancellation closes. Exercises and tests raise nothing (status, 3.2.1)."""
    warning = event.warning
    if warning.status != "Actual" or (setting.words and warning.event_name.lower() not in setting.words):
        return None
    group = f"warning:{warning.sender}:{warning.warning_id}"
    title = _joined(warning.headline or warning.event_name or "Public warning", warning.sender_name)
    severity = _WARNING_SEVERITY.get(warning.severity, 4) + _WARNING_DELAY.get(warning.urgency, 2) + (warning.certainty == "Unlikely")
    if warning.message_type == events.WARNING_MESSAGE_TYPE_CANCEL:
        note = "Cancelled by its sender."
        return Finding(WARNING, min(4, severity), title, group, raises=False, ends="resolved", note=note, once=True, final=True)
    return Finding(WARNING, min(4, severity), title, group, once=True)


def classify_measurement(event: events.Event, setting: RuleSetting) -> Finding | None:
    """A breach of the agency's threshold or of the sensor's own judgement; back to normal closes."""
    measured = event.measurement
    quantity = measured.quantity.lower()
    if setting.words and quantity not in setting.words:
        return None
    thresholds = [threshold for threshold in setting.thresholds if threshold.quantity == quantity]
    own = any(threshold.breached(measured.value) for threshold in thresholds)
    severity = {events.MEASUREMENT_LEVEL_CRITICAL: 2, events.MEASUREMENT_LEVEL_WARNING: 3}.get(measured.level, 3 if own else 0)
    group = f"measurement:{event.source_id}:{measured.sensor_id}:{quantity}"
    name = measured.sensor_name or measured.sensor_id
    value = f"{quantity.replace('_', ' ')} {measured.value:.6g} {measured.unit}".rstrip()
    title = _joined(name, value)
    if severity:
        return Finding(MEASUREMENT, severity, title, group)
    if measured.level == events.MEASUREMENT_LEVEL_NORMAL or thresholds:
        return Finding(MEASUREMENT, 4, title, group, raises=False, ends="resolved", note=f"Back to normal: {value}.")
    return None


def classify_tip(event: events.Event, setting: RuleSetting) -> Finding | None:
    """Only a tip of an urgent category: every other one waits in the incidents' own list."""
    category = event.tip.category.strip().lower()
    if category not in (setting.words or URGENT_TIPS):
        return None
    title = _joined(f"Urgent tip: {category.replace('_', ' ')}", event.tip.reference_code)
    return Finding(TIP, 2, title, f"tip:{event.event_id}", once=True)


def classify_drone(event: events.Event, setting: RuleSetting) -> Finding | None:
    """A drone in a zone: one alert a visit."""
    alarm, identity = event.drone_alarm, event.drone_alarm.identity
    model = " ".join(part for part in (identity.manufacturer, identity.model) if part)
    title = _joined(
        f"Drone in {alarm.zone_name or 'a zone'}", model, identity.serial_number or identity.registration or identity.session_id
    )
    return Finding(DRONE, 2, title, f"drone:{alarm.track_id}:{alarm.zone_id}:{alarm.visit_id}", once=True)


def classify_marker(event: events.Event, setting: RuleSetting) -> Finding | None:
    """Somebody with a TAK device calls for help."""
    marker = event.marker
    cancelled = marker.marker_type == _EMERGENCY_CANCELLED
    if not marker.emergency and not cancelled:
        return None
    title = _joined("Officer emergency", marker.call_sign or marker.uid, "cancelled by the device" if cancelled else marker.emergency)
    return Finding(OFFICER_EMERGENCY, 1, title, f"emergency:{event.source_id}:{marker.uid}", raises=not cancelled)


def classify_panic(event: events.Event, setting: RuleSetting) -> Finding | None:
    """A unit's panic button or officer-down sensor: `unit_watch` tells it as a marker of the unit."""
    return Finding(OFFICER_EMERGENCY, 1, _joined("Officer emergency", event.marker.call_sign), f"panic:{event.marker.uid}")


def classify_camera(event: events.Event, setting: RuleSetting) -> Finding | None:
    """A camera that sends nothing, or sends again: `camera_watch` tells it as a technical alarm of the camera."""
    alarm, group = event.alarm, f"camera:{event.alarm.panel_id}"
    if alarm.state == events.ALARM_STATE_RESTORED:
        title = f"Camera {alarm.site_name} sends again"
        return Finding(CAMERA_DOWN, 4, title, group, raises=False, ends="resolved", note="It sends again.")
    return Finding(CAMERA_DOWN, 4, _joined(f"Camera {alarm.site_name} is down", alarm.note), group)


def classify_call(event: events.Event, setting: RuleSetting) -> Finding | None:
    """A call that tells of shots: alone an alert, and a signal of the gunshot that a sensor measured nearby."""
    call = event.call_for_service
    if not SHOTS.search(call.call_type):
        return None
    group = f"call:{event.source_id}:{call.call_id or event.event_id}"
    title = _joined("Shots fired, told by a caller", call.address)
    if call.status.lower() in _CLOSED_CALL:
        return Finding(SHOTS_FIRED_CALL, 2, title, group, raises=False, ends="resolved", note=f"The call was {call.status.lower()}.")
    return Finding(SHOTS_FIRED_CALL, 2, title, group, near=NEAR_SHOTS, once=True)


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)[:_TITLE_CHARACTERS]


_PLATE_WORDS = "A plate read that fits an entry of a hot list. Severity is the list's, one step less for a doubtful fit."
_GUNSHOT_WORDS = "A gunshot sensor. Gunfire is severity 1, fireworks 4, anything else 2."
_CALL_WORDS = "A call whose type tells of shots: severity 2. Within 200 m and 120 s of a gunshot both are one alert."
_ALARM_RULE_WORDS = (
    "An alarm panel. Panic, duress and robbery are severity 1; fire, gas, medical and burglary 2; technical 4; others 3. "
    "Words choose types."
)
_WARNING_WORDS = "A public warning (CAP), by its severity and urgency: extreme and immediate is 1. Words choose event names."
_MEASUREMENT_WORDS = (
    "A sensor beyond a threshold (severity 3) or by its own judgement warning (3) or critical (2). Words choose quantities."
)
_TIP_WORDS = "A tip of an urgent category: severity 2. Words replace the categories that count as urgent."

RULES: tuple[Rule, ...] = (
    Rule(PLATE_HIT, ("plate_read",), _PLATE_WORDS, None, severity_settable=False),
    Rule(GUNSHOT, ("gunshot",), _GUNSHOT_WORDS, classify_gunshot),
    Rule(SHOTS_FIRED_CALL, ("call_for_service",), _CALL_WORDS, classify_call),
    Rule(ALARM, ("alarm",), _ALARM_RULE_WORDS, classify_alarm, words_settable=True),
    Rule(WARNING, ("warning",), _WARNING_WORDS, classify_warning, words_settable=True),
    Rule(DRONE, ("drone_alarm",), "A drone that comes into a zone in the air, once a visit: severity 2.", classify_drone),
    Rule(MEASUREMENT, ("measurement",), _MEASUREMENT_WORDS, classify_measurement, words_settable=True),
    Rule(TIP, ("tip",), _TIP_WORDS, classify_tip, words_settable=True),
    Rule(OFFICER_EMERGENCY, ("marker",), "A TAK user's emergency: severity 1.", classify_marker),
    Rule(OFFICER_EMERGENCY, (UNIT_PANIC,), "A unit's panic button or a fallen officer: severity 1.", classify_panic),
    Rule(CAMERA_DOWN, (CAMERA_STATE,), "A camera that sends no picture for a minute: severity 4.", classify_camera),
    Rule(HOT_LIST_STALE, (), "A hot list whose refresh didn't come: severity 3.", None),
)

BY_EVENT: Mapping[str, Rule] = {kind: rule for rule in RULES for kind in rule.events}
DESCRIPTIONS: Mapping[str, str] = {
    name: " ".join(rule.description for rule in RULES if rule.name == name) for name in dict.fromkeys(rule.name for rule in RULES)
}
BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in reversed(RULES)}
SUBJECTS: tuple[str, ...] = tuple(f"event.*.{kind}" for kind in BY_EVENT if kind not in (UNIT_PANIC, CAMERA_STATE))
