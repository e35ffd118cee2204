"""Who is told of an alert, when, how often, and in which words. Pure: no I/O, no clock."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from rtcc.airspace.v1 import airspace_pb2
from rtcc.alerting.v1 import alerting_pb2 as pb

RAISED, ESCALATED, TEST = "raised", "escalated", "test"
DEFAULT_PER_HOUR, MOST_PER_HOUR = 30, 3_600
DEFAULT_LEAST_SEVERITY = 2
# severity 1 is held back only where something is badly wrong
URGENT_FACTOR = 3
# what is held back is told together so often
DIGEST_EVERY = timedelta(minutes=10)
# an alert that was raised longer ago calls nobody: the service was away, or everything was restored from a backup
TOO_OLD = timedelta(hours=1)
_BACK_OFF_S = (5, 15, 60, 300, 900, 1_800, 3_600)
MOST_ATTEMPTS = len(_BACK_OFF_S) + 1
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
FIELDS = (
    "title", "severity", "severity_word", "kind", "state", "place", "latitude", "longitude", "time", "agency", "link", "drone_model",
    "drone_serial", "drone_height_m", "pilot_latitude", "pilot_longitude",
)  # fmt: skip
_SEVERITY_WORDS = {1: "LIFE", 2: "URGENT", 3: "CAUTION", 4: "INFORMATION"}
_STATE_WORDS = {pb.ALERT_STATE_ACKNOWLEDGED: "acknowledged", pb.ALERT_STATE_WORKING: "being worked on", pb.ALERT_STATE_CLOSED: "closed"}
_SUBJECT = "[{severity_word}] {title}"
_BODY = "{title}\nWhen: {time}\nWhere: {place} {latitude} {longitude}\n"
_DRONE = "Drone: {drone_model} {drone_serial}, height {drone_height_m} m\nPilot: {pilot_latitude} {pilot_longitude}\n"
_END = "Agency: {agency}, state: {state}\n{link}\n"
_SMS_CHARACTERS, _SUBJECT_CHARACTERS = 480, 200
_DIGEST_LINES = 50


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    HELD = "held"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Message:
    """What leaves: `subject` of a mail, `text` of a mail or SMS, `data` of a webhook's JSON."""

    message_id: str
    subject: str
    text: str
    data: Mapping[str, Any]

    @property
    def short(self) -> str:
        """For an SMS."""
        one_line = " ".join(self.text.split())
        return one_line if len(one_line) <= _SMS_CHARACTERS else f"{one_line[: _SMS_CHARACTERS - 1]}…"


def reason_for(contact: pb.Contact, alert: pb.Alert, now: datetime, *, inside: bool) -> str:
    """Why this contact is told of this alert now, "" if it isn't. `inside`: the alert is in the contact's zones. Told once per reason."""
    if not contact.enabled or not inside or now - alert.raised_at.ToDatetime(UTC) > TOO_OLD:
        return ""
    if alert.severity > (contact.least_severity or DEFAULT_LEAST_SEVERITY):
        return ""
    if contact.alert_kinds and alert.kind not in contact.alert_kinds:
        return ""
    if contact.only_escalated:
        return ESCALATED if alert.escalation.level and alert.state == pb.ALERT_STATE_NEW else ""
    return RAISED if alert.state == pb.ALERT_STATE_NEW else ""


def back_off(attempts: int) -> timedelta | None:
    """Until the next try after `attempts` failed ones; None: it is given up."""
    return timedelta(seconds=_BACK_OFF_S[attempts - 1]) if attempts < MOST_ATTEMPTS else None


def is_over_bound(contact: pb.Contact, severity: int, sent_last_hour: int) -> bool:
    """Whether one more message now would be too many."""
    bound = contact.maximum_per_hour or DEFAULT_PER_HOUR
    return sent_last_hour >= (bound * URGENT_FACTOR if severity == 1 else bound)


def unknown_placeholders(template: str) -> list[str]:
    """Names in braces that no alert has."""
    return sorted({name for name in _PLACEHOLDER.findall(template) if name not in FIELDS})


def fields_of(alert: pb.Alert, agency_name: str, link: str) -> dict[str, str]:
    """What a template may say; "unknown" and "" for what isn't known."""
    place = alert.position.coordinate if alert.position.HasField("coordinate") else None
    drone = alert.event.drone_alarm
    model = " ".join(part for part in (drone.identity.manufacturer, drone.identity.model) if part)
    pilot = drone.pilot if drone.HasField("pilot") else None
    return {
        "title": alert.title,
        "severity": str(alert.severity),
        "severity_word": _SEVERITY_WORDS.get(alert.severity, "INFORMATION"),
        "kind": alert.kind.replace("_", " "),
        "state": _STATE_WORDS.get(alert.state, "new"),
        "place": alert.context.place,
        "latitude": f"{place.latitude_deg:.5f}" if place else "",
        "longitude": f"{place.longitude_deg:.5f}" if place else "",
        "time": f"{alert.occurred_at.ToDatetime(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "agency": agency_name,
        "link": link,
        "drone_model": model or "unknown",
        "drone_serial": drone.identity.serial_number or drone.identity.registration or drone.identity.session_id or "unknown",
        "drone_height_m": f"{drone.height_m:.0f}" if drone.HasField("height_m") else "unknown",
        "pilot_latitude": f"{pilot.latitude_deg:.5f}" if pilot else "unknown",
        "pilot_longitude": f"{pilot.longitude_deg:.5f}" if pilot else "unknown",
    }


def filled(template: str, fields: Mapping[str, str]) -> str:
    """Values are put in as they are and never read as templates themselves."""
    return _PLACEHOLDER.sub(lambda found: fields.get(found[1], found[0]), template)


def message_of(contact: pb.Contact, alert: pb.Alert, reason: str, delivery_id: str, agency_name: str, link: str) -> Message:
    """In the contact's words, else in ours."""
    fields = fields_of(alert, agency_name, link)
    is_drone = alert.event.HasField("drone_alarm")
    body = contact.body_template or _BODY + (_DRONE if is_drone else "") + _END
    if is_drone and not contact.body_template and alert.event.drone_alarm.pilot_place == airspace_pb2.PILOT_PLACE_TAKE_OFF:
        # a broadcast module can't know where the pilot is
        body = body.replace("Pilot:", "Take-off point:")
    subject = _one_line(filled(contact.subject_template or _SUBJECT, fields))
    if reason == ESCALATED:
        subject = f"Nobody has acknowledged: {subject}"
    text = filled(body, fields) if reason != ESCALATED else f"Nobody has acknowledged this alert.\n{filled(body, fields)}"
    data = {"alert_id": alert.alert_id, "revision": alert.revision, "reason": reason, **fields}
    return Message(delivery_id, subject[:_SUBJECT_CHARACTERS], text, data)


def test_message(contact: pb.Contact, delivery_id: str, agency_name: str) -> Message:
    """Says that it is one."""
    text = f"This is a test of the contact {contact.name} of {agency_name}. Nothing has happened and nobody needs to act.\n"
    return Message(delivery_id, _one_line(f"[TEST] Notification of {agency_name}"), text, {"reason": TEST, "agency": agency_name})


def digest_of(digest_id: str, messages: Sequence[Message], agency_name: str) -> Message:
    """Several that a bound held back, as one."""
    lines = [f"- {message.subject}" for message in messages[:_DIGEST_LINES]]
    if len(messages) > _DIGEST_LINES:
        lines.append(f"- and {len(messages) - _DIGEST_LINES} more")
    subject = f"{len(messages)} more alerts of {agency_name}"
    text = f"{subject}, told together because more came than this contact takes one by one:\n" + "\n".join(lines) + "\n"
    return Message(
        digest_id, _one_line(subject), text, {"reason": "digest", "agency": agency_name, "alerts": [dict(m.data) for m in messages]}
    )


def _one_line(text: str) -> str:
    """A header holds no line break (RFC 5322, 2.2)."""
    return " ".join(text.split())[:_SUBJECT_CHARACTERS]
