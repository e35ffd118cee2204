"""An incident from its first call to its outcome."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from rtcc.event.v1 import event_pb2
from rtcc.geo.v1.geo_pb2 import Coordinate, Position
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import Conflict, InvalidInput, Violation
from rtcc_incidents.domain.checks import place_violations, require, text_violations
from rtcc_incidents.domain.places import coordinate_of, metres_between
from rtcc_incidents.domain.timeline import MAXIMUM_TEXT
from rtcc_incidents.domain.units import working

OUTCOMES = ("resolved", "report_taken", "arrest", "unfounded", "duplicate", "handed_over", "cancelled")
MAXIMUM_NOTE = 2_000
# an alert and a call this near in place and time are signals of one thing (console design, section 3)
SIGNAL_M = 200.0
SIGNAL = timedelta(seconds=120)
# what a source says of its own location; the label is set by intake's adapters
SUPPLEMENTAL = "supplemental_location"
_ENDED = {"closed": "resolved", "cancelled": "cancelled", "canceled": "cancelled"}


@dataclass(slots=True)
class Record:
    """An incident and what only the service needs to know of it.

    `held`: fields that a person decided about; the source doesn't change them any more. `call_at`: the newest call update applied.
    """

    incident: pb.Incident
    held: set[str] = field(default_factory=set)
    call_at: datetime | None = None


def number_of(year: int, count: int) -> str:
    """ "26-0001"; above 9999 it grows."""
    return f"{year % 100:02}-{count:04}"


def ended_by_source(event: event_pb2.Event) -> str:
    """The outcome, when the dispatch system says that the call is over; else ""."""
    return _ENDED.get(event.call_for_service.status.strip().lower(), "")


def of_call(event: event_pb2.Event, incident_id: str, number: str, now: datetime) -> Record:
    """The incident of a call that is seen for the first time."""
    incident = pb.Incident(incident_id=incident_id, agency_id=event.agency_id, number=number, origin="call", state=pb.INCIDENT_STATE_OPEN)
    incident.call_ids.append(event.call_for_service.call_id)
    incident.occurred_at.CopyFrom(event.occurred_at)
    incident.opened_at.FromDatetime(now)
    record = Record(incident)
    apply_call(record, event, now)
    return record


def apply_call(record: Record, event: event_pb2.Event, now: datetime) -> bool:
    """Take over a call's newer state; False: it is older than what is known, a fact for the timeline alone.

    R32: a supplemental location is kept beside the regulated one and never replaces it. What a person decided stays.
    """
    incident, call, at = record.incident, event.call_for_service, event.occurred_at.ToDatetime(UTC)
    if record.call_at is not None and at < record.call_at:
        return False
    record.call_at = at
    for name, value in (("kind", call.call_type), ("priority", call.priority), ("address", call.address)):
        if value and name not in record.held:
            setattr(incident, name, value)
    incident.call_status = call.status or incident.call_status
    incident.narrative = call.narrative or incident.narrative
    incident.caller_number = call.caller_number or incident.caller_number
    if event.position.HasField("coordinate"):
        if SUPPLEMENTAL in event.labels:
            take_supplemental(incident, event.position, at)
        elif "position" not in record.held:
            incident.position.CopyFrom(event.position)
    if "title" not in record.held:
        incident.title = title_of(incident)
    _end_with_source(record, event, now)
    return True


def take_supplemental(incident: pb.Incident, position: Position, at: datetime) -> None:
    """The newest supplemental location; an older one changes nothing."""
    if not incident.HasField("supplemental_at") or incident.supplemental_at.ToDatetime(UTC) <= at:
        incident.supplemental_position.CopyFrom(position)
        incident.supplemental_at.FromDatetime(at)


def _end_with_source(record: Record, event: event_pb2.Event, now: datetime) -> None:
    """The dispatch system's word closes an incident that nobody of ours works on, and opens one again that it closed itself."""
    incident, outcome = record.incident, ended_by_source(event)
    if outcome and incident.state == pb.INCIDENT_STATE_OPEN and not working(incident) and not incident.reopened:
        incident.state, incident.outcome = pb.INCIDENT_STATE_CLOSED, outcome
        incident.outcome_note = f"closed by dispatch: {event.call_for_service.status}"
        incident.closed_at.FromDatetime(now)
    elif not outcome and incident.state == pb.INCIDENT_STATE_CLOSED and not incident.closed_by:
        _open_again(incident)


def title_of(incident: pb.Incident) -> str:
    """ "Burglary, Fleminginkatu 12"."""
    return ", ".join(part for part in (incident.kind, incident.address.split(",", 1)[0].strip()) if part)[:200]


def by_hand(
    request: pb.CreateIncidentRequest, incident_id: str, agency_id: str, number: str, occurred_at: datetime, now: datetime
) -> Record:
    """An incident that a person opens. Raises InvalidInput."""
    violations = text_violations("kind", request.kind, 200, least=1) + text_violations("title", request.title, 200)
    violations += text_violations("address", request.address, 500) + text_violations("narrative", request.narrative, MAXIMUM_TEXT)
    violations += _priority_violations(request.priority)
    if request.HasField("position"):
        violations += place_violations("position", request.position)
    require(violations)
    incident = pb.Incident(
        incident_id=incident_id, agency_id=agency_id, number=number, origin="manual", kind=request.kind.strip(),
        title=request.title.strip(), priority=request.priority, address=request.address.strip(), narrative=request.narrative.strip(),
        state=pb.INCIDENT_STATE_OPEN,
    )  # fmt: skip
    if request.HasField("position"):
        incident.position.CopyFrom(request.position)
    incident.title = incident.title or title_of(incident)
    incident.occurred_at.FromDatetime(occurred_at)
    incident.opened_at.FromDatetime(now)
    return Record(incident, held={"kind", "priority", "title", "address", "position"})


def _priority_violations(priority: int) -> list[Violation]:
    return [Violation("priority", "is 1 (the most urgent) to 5; 0: unknown")] if priority > 5 else []


def update(record: Record, request: pb.UpdateIncidentRequest, now: datetime) -> list[str]:
    """What changed, in words for the timeline: "priority 3 -> 1". Raises InvalidInput, Conflict."""
    incident = record.incident
    if request.revision and request.revision != incident.revision:
        raise Conflict(f"Incident {incident.number} was changed meanwhile (revision {incident.revision}): read it again, then decide.")
    violations = text_violations("kind", request.kind, 200, least=1) if request.HasField("kind") else []
    violations += text_violations("title", request.title, 200) + text_violations("address", request.address, 500)
    violations += _priority_violations(request.priority)
    if request.HasField("position"):
        violations += place_violations("position", request.position)
    if request.HasField("supplemental_position"):
        violations += place_violations("supplemental_position", request.supplemental_position)
    require(violations)
    changes = []
    names: tuple[Literal["kind", "title", "priority", "address"], ...] = ("kind", "title", "priority", "address")
    for name in names:
        if request.HasField(name):
            value = getattr(request, name)
            value = value.strip() if isinstance(value, str) else value
            record.held.add(name)
            if value != getattr(incident, name):
                changes.append(f"{name}: {getattr(incident, name) or 'none'} -> {value or 'none'}")
                setattr(incident, name, value)
    if request.HasField("position"):
        record.held.add("position")
        if request.position != incident.position:
            changes.append(f"moved: {_place_text(incident.position)} -> {_place_text(request.position)}")
            incident.position.CopyFrom(request.position)
    if request.HasField("supplemental_position") and request.supplemental_position != incident.supplemental_position:
        changes.append(f"supplemental location: {_place_text(request.supplemental_position)}")
        take_supplemental(incident, request.supplemental_position, now)
    if not incident.title:
        incident.title = title_of(incident)
    return changes


def _place_text(position: Position) -> str:
    coordinate = coordinate_of(position)
    return f"{coordinate.latitude_deg:.5f}, {coordinate.longitude_deg:.5f}" if coordinate is not None else "no place"


def close(incident: pb.Incident, outcome: str, note: str, by: tuple[str, str], now: datetime) -> bool:
    """False: it was closed with this outcome before. Raises Conflict when it was closed otherwise, or units still work on it."""
    violations = text_violations("note", note, MAXIMUM_NOTE)
    if outcome not in OUTCOMES:
        violations.append(Violation("outcome", f"{outcome[:40]!r} is not one of {', '.join(OUTCOMES)}"))
    require(violations)
    if incident.state == pb.INCIDENT_STATE_CLOSED:
        if outcome == incident.outcome:
            return False
        who = incident.closed_by_name or "dispatch"
        raise Conflict(f"Incident {incident.number} was closed by {who} already ({incident.outcome}).")
    if units := working(incident):
        names = ", ".join(assignment.call_sign for assignment in units)
        raise Conflict(f"{names} still work on incident {incident.number}: clear them first, or send clear_units.")
    incident.state, incident.outcome, incident.outcome_note = pb.INCIDENT_STATE_CLOSED, outcome, note.strip()
    incident.closed_by, incident.closed_by_name = by
    incident.closed_at.FromDatetime(now)
    return True


def reopen(incident: pb.Incident, reason: str) -> None:
    """Raises Conflict when it is open, InvalidInput without a reason."""
    require(text_violations("reason", reason, MAXIMUM_NOTE, least=1))
    if incident.state != pb.INCIDENT_STATE_CLOSED:
        raise Conflict(f"Incident {incident.number} is open.")
    _open_again(incident)
    incident.reopened += 1


def _open_again(incident: pb.Incident) -> None:
    incident.state = pb.INCIDENT_STATE_OPEN
    incident.outcome = incident.outcome_note = incident.closed_by = incident.closed_by_name = ""
    incident.ClearField("closed_at")


def count_signals(incident: pb.Incident) -> None:
    """Calls, alerts and tips that stand behind it."""
    incident.signals = len(incident.call_ids) + len(incident.alert_ids) + len(incident.tip_ids)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something with a place and a time: an alert, or an incident by its call."""

    identifier: str
    coordinate: Coordinate | None
    at: datetime


def nearest_signal(happening: Happening, others: Iterable[Happening]) -> str:
    """The id of the nearest of `others` within 200 m and 120 s; "" when there is none."""
    best: tuple[float, str] | None = None
    for other in others:
        metres = metres_between(happening.coordinate, other.coordinate)
        if metres is not None and metres <= SIGNAL_M and abs(happening.at - other.at) <= SIGNAL:
            best = min(best or (metres, other.identifier), (metres, other.identifier))
    return best[1] if best else ""


def require_open(incident: pb.Incident, act: str) -> None:
    """Raises Conflict."""
    if incident.state == pb.INCIDENT_STATE_CLOSED:
        raise Conflict(f"Incident {incident.number} is closed: {act} needs an open one.")


def list_bound(limit: int, most: int, default: int) -> int:
    """The bound of a list. Raises InvalidInput above `most`."""
    if limit > most:
        raise InvalidInput.one("limit", f"at most {most} are listed")
    return limit or default
