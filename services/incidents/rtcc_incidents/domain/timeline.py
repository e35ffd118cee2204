"""Entries of an incident's timeline: how each kind is made. They are written once; what was wrong is corrected by a later one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rtcc.event.v1 import event_pb2
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_incidents.domain.checks import place_violations, require, text_violations

MAXIMUM_TEXT = 8_000
RECORD_KINDS = ("person", "vehicle")
RECORD_ROLES = ("reporting_party", "victim", "witness", "suspect", "subject", "owner", "other")
LONGEST_CLIP = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes; the platform itself has no id."""

    person_id: str = ""
    name: str = ""


PLATFORM = Author()


def entry(
    entry_id: str, incident_id: str, kind: str, author: Author, occurred_at: datetime, recorded_at: datetime, text: str = ""
) -> pb.TimelineEntry:
    """An entry without a reference; its sequence is given when it is written."""
    made = pb.TimelineEntry(
        entry_id=entry_id, incident_id=incident_id, kind=kind, author_id=author.person_id, author_name=author.name, text=text
    )
    made.occurred_at.FromDatetime(occurred_at)
    made.recorded_at.FromDatetime(recorded_at)
    return made


def of_call(entry_id: str, incident_id: str, event: event_pb2.Event, recorded_at: datetime) -> pb.TimelineEntry:
    """What the dispatch system said."""
    made = pb.TimelineEntry(entry_id=entry_id, incident_id=incident_id, kind="call", text=event.call_for_service.narrative)
    made.occurred_at.CopyFrom(event.occurred_at)
    made.recorded_at.FromDatetime(recorded_at)
    made.call.call_id, made.call.event_id = event.call_for_service.call_id, event.event_id
    made.call.status = event.call_for_service.status
    if event.position.HasField("coordinate"):
        made.position.CopyFrom(event.position)
    return made


def of_unit(made: pb.TimelineEntry, assignment: pb.Assignment) -> pb.TimelineEntry:
    """A unit was sent, or reached a status."""
    made.unit.unit_id, made.unit.call_sign, made.unit.status = assignment.unit_id, assignment.call_sign, assignment.status
    return made


def checked_addition(request: pb.AddTimelineEntryRequest) -> str:
    """The kind of a person's entry. Raises InvalidInput."""
    violations = text_violations("text", request.text, MAXIMUM_TEXT)
    kind = request.WhichOneof("reference") or "note"
    if kind == "note" and not request.text.strip():
        violations.append(Violation("text", "is missing: a note says something"))
    if request.HasField("position"):
        violations += place_violations("position", request.position)
    if len(request.corrects) > 64:
        violations.append(Violation("corrects", "is no entry's id"))
    if kind == "clip":
        violations += clip_violations(request.clip)
    if kind == "record":
        violations += _record_violations(request.record)
    if kind == "floor_plan":
        violations += text_violations("floor_plan.floor_plan_id", request.floor_plan.floor_plan_id, 64, least=1)
    require(violations)
    return kind


def clip_violations(clip: pb.ClipReference, field: str = "clip") -> list[Violation]:
    """What is wrong with a reference to a stretch of a camera's recording."""
    violations = text_violations(f"{field}.camera_id", clip.camera_id, 64, least=1)
    violations += text_violations(f"{field}.camera_name", clip.camera_name, 200) + text_violations(f"{field}.clip_id", clip.clip_id, 64)
    if not clip.HasField("from") or not clip.HasField("until"):
        violations.append(Violation(field, "needs from and until"))
        return violations
    start_us, end_us = getattr(clip, "from").ToMicroseconds(), clip.until.ToMicroseconds()
    if not 0 < end_us - start_us <= LONGEST_CLIP // timedelta(microseconds=1):
        violations.append(Violation(f"{field}.until", "must be after from, by at most 4 hours"))
    return violations


def _record_violations(record: pb.RecordReference) -> list[Violation]:
    violations = text_violations("record.record_id", record.record_id, 128, least=1)
    if record.record_kind not in RECORD_KINDS:
        violations.append(Violation("record.record_kind", f"is not one of {', '.join(RECORD_KINDS)}"))
    if record.role and record.role not in RECORD_ROLES:
        violations.append(Violation("record.role", f"is not one of {', '.join(RECORD_ROLES)}"))
    if record.label:
        violations.append(Violation("record.label", "isn't stored here: the identity service shows it to those who may see it"))
    return violations


def check_correction(corrected: pb.TimelineEntry | None, corrects: str, incident_id: str, already: bool) -> None:
    """An entry corrects one of its own incident, and each is corrected once: the correction itself can be corrected again."""
    if corrected is None or corrected.incident_id != incident_id:
        raise InvalidInput.one("corrects", f"{corrects[:64]!r} is no entry of this incident")
    if already:
        raise InvalidInput.one("corrects", "was corrected before: correct the newer entry")


def in_order(entries: Sequence[pb.TimelineEntry]) -> list[pb.TimelineEntry]:
    """By time of occurrence; what happened at the same moment in the order of writing."""
    return sorted(entries, key=lambda item: (item.occurred_at.ToMicroseconds(), item.sequence))
