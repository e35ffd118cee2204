"""From events to alerts: what raises one, what joins one, what changes one. Pure: messages in, messages out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.event.v1 import event_pb2
from rtcc_alerting.domain import (
    GROUP_WITHIN,
    GUNSHOT,
    HOT_LIST_STALE,
    LATE_AFTER,
    PLATE_HIT,
    plate_severity,
)
from rtcc_alerting.findings import Finding, Near
from rtcc_alerting.messages import apply_life_cycle, life_cycle_of
from rtcc_chassis.geometry import distance_m
from rtcc_chassis.identifiers import derived_id

MOST_JOINED_EVENTS = 20


@dataclass(frozen=True, slots=True)
class WantedEntry:
    """A hot-list entry with what its list says about it."""

    entry_number: int
    entry_id: str
    agency_id: str
    hot_list_id: str
    hot_list_name: str
    severity: int
    plate: str
    state: str
    reason: str
    entry_source: str
    entered_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlateMatch:
    """The entry that a read is held against."""

    entry: WantedEntry
    exact: bool


def event_time(event: event_pb2.Event) -> datetime:
    return event.occurred_at.ToDatetime(UTC)


def is_late(event: event_pb2.Event, now: datetime) -> bool:
    """Too long ago to call anybody now, or old news already when it came."""
    return event.late or now - event_time(event) > LATE_AFTER


def best_match(event: event_pb2.Event, matches: Iterable[PlateMatch]) -> PlateMatch | None:
    """One alert a read: an exact match before a tolerant one, the same state before another, then the more severe list, then the name."""
    return min(
        matches,
        key=lambda match: (
            not match.exact,
            _state_differs(event, match),
            match.entry.severity,
            match.entry.hot_list_name,
            match.entry.plate,
        ),
        default=None,
    )


def _state_differs(event: event_pb2.Event, match: PlateMatch) -> bool:
    read, listed = event.plate_read.state.upper(), match.entry.state.upper()
    return bool(read and listed and read != listed)


def plate_group(match: PlateMatch) -> str:
    return f"plate:{match.entry.plate}"


def joins(alert: pb.Alert, event: event_pb2.Event) -> bool:
    """Whether a read of the same plate belongs to this open alert: within 60 s of its newest event, or of its first."""
    at = event_time(event)
    newest, first = event_time(alert.event), alert.occurred_at.ToDatetime(UTC)
    return first - GROUP_WITHIN <= at <= newest + GROUP_WITHIN


def raise_plate_hit(event: event_pb2.Event, match: PlateMatch, now: datetime) -> pb.Alert:
    """A new alert; its id follows from the event's, so a redelivered event can't raise another."""
    alert = _raised(event, PLATE_HIT, now)
    _set_match(alert, event, match)
    return alert


def _raised(event: event_pb2.Event, kind: str, now: datetime) -> pb.Alert:
    alert = pb.Alert(
        alert_id=derived_id("alert", event.event_id),
        agency_id=event.agency_id,
        kind=kind,
        state=pb.ALERT_STATE_NEW,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        revision=1,
        signals=1,
        event=event,
        position=event.position,
    )
    alert.raised_at.FromDatetime(now)
    alert.changed_at.FromDatetime(now)
    return alert


def add_read(alert: pb.Alert, event: event_pb2.Event, match: PlateMatch) -> bool:
    """Another read of the same plate; the answer is whether the alert has moved. Late data never rewrites what is shown."""
    alert.signals += 1
    newer = event_time(event) >= event_time(alert.event)
    better = match.exact and alert.plate_match.match != pb.MATCH_KIND_EXACT
    if newer:
        alert.position.CopyFrom(event.position)
    if better or (newer and (event.plate_read.image_object or not alert.event.plate_read.image_object)):
        # an image that a person may be looking at is only replaced by another image
        alert.event.CopyFrom(event)
    if better:
        _set_match(alert, event, match)
    return newer


def raise_finding(event: event_pb2.Event, finding: Finding, severity: int, now: datetime) -> pb.Alert:
    alert = _raised(presented(event), finding.kind, now)
    _set_finding(alert, finding, severity)
    return alert


def joins_in_time(alert: pb.Alert, event: event_pb2.Event, finding: Finding) -> bool:
    """Whether an event of the alert's group belongs to it still."""
    return finding.within is None or abs(event_time(event) - event_time(alert.event)) <= finding.within


def is_near(alert: pb.Alert, event: event_pb2.Event, near: Near) -> bool:
    """Whether an event of another group tells of the same happening: by place and time."""
    here, there = event.position, alert.position
    if alert.kind not in near.kinds or not (here.HasField("coordinate") and there.HasField("coordinate")):
        return False
    metres = distance_m(
        here.coordinate.latitude_deg, here.coordinate.longitude_deg, there.coordinate.latitude_deg, there.coordinate.longitude_deg
    )
    return metres <= near.metres and abs(event_time(event) - alert.occurred_at.ToDatetime(UTC)) <= near.within


def join_finding(alert: pb.Alert, event: event_pb2.Event, finding: Finding, severity: int) -> bool:
    """Another event of the group; the answer is whether the alert has moved. What was received later says how it stands."""
    alert.signals += 1
    newer = event.received_at.ToNanoseconds() >= alert.event.received_at.ToNanoseconds()
    if newer:
        alert.event.CopyFrom(presented(event))
        alert.position.CopyFrom(event.position)
        _set_finding(alert, finding, severity)
    if finding.ends:
        apply_life_cycle(alert, life_cycle_of(alert).close_by_sensor(finding.ends, finding.note))
    return newer


def join_neighbour(alert: pb.Alert, event: event_pb2.Event, finding: Finding, severity: int) -> bool:
    """An event of another kind about the same happening. The sensor's word is what the alert shows, a caller's is a signal of it: so
    what an agreement grants of gunshots never holds a call."""
    alert.signals += 1
    shown, heard, heard_title = alert.event, event, finding.title
    becomes = finding.kind == GUNSHOT and alert.kind != GUNSHOT
    if becomes:
        heard, heard_title = event_pb2.Event(), alert.title
        heard.CopyFrom(shown)
        alert.kind = finding.kind
        alert.event.CopyFrom(presented(event))
        alert.position.CopyFrom(event.position)
        _set_finding(alert, finding, severity)
    joined = alert.joined_events.add(event_id=heard.event_id, kind=heard.kind, source_id=heard.source_id, title=heard_title)
    joined.occurred_at.CopyFrom(heard.occurred_at)
    del alert.joined_events[:-MOST_JOINED_EVENTS]
    return becomes


def presented(event: event_pb2.Event) -> event_pb2.Event:
    """As an alert carries it: who may read alerts need not be allowed to read a tip or to know who called."""
    if not (event.HasField("tip") or event.HasField("call_for_service")):
        return event
    copy = event_pb2.Event()
    copy.CopyFrom(event)
    if event.HasField("tip"):
        copy.tip.CopyFrom(event_pb2.Tip(reference_code=event.tip.reference_code, channel=event.tip.channel, category=event.tip.category))
    else:
        copy.call_for_service.ClearField("caller_number")
    return copy


def _set_finding(alert: pb.Alert, finding: Finding, severity: int) -> None:
    alert.severity = severity
    alert.title = finding.title


def _set_match(alert: pb.Alert, event: event_pb2.Event, match: PlateMatch) -> None:
    entry, read = match.entry, event.plate_read
    differs = _state_differs(event, match)
    alert.severity = plate_severity(entry.severity, exact=match.exact, state_differs=differs)
    title = f"Plate hit {entry.plate}" if match.exact else f"Possible plate {entry.plate}, read as {read.plate}"
    if differs:
        title += f" · state {read.state} read, {entry.state} listed"
    alert.title = f"{title} · {entry.reason}"[:200] if entry.reason else title[:200]
    alert.plate_match.CopyFrom(
        pb.PlateMatch(
            hot_list_id=entry.hot_list_id,
            hot_list_name=entry.hot_list_name,
            entry_id=entry.entry_id,
            listed_plate=entry.plate,
            listed_state=entry.state,
            reason=entry.reason,
            entry_source=entry.entry_source,
            match=pb.MATCH_KIND_EXACT if match.exact else pb.MATCH_KIND_MISREAD_TOLERANT,
        )
    )
    alert.plate_match.entered_at.FromDatetime(entry.entered_at)
    if entry.expires_at is not None:
        alert.plate_match.expires_at.FromDatetime(entry.expires_at)


def raise_stale_list(agency_id: str, hot_list_id: str, name: str, refreshed_at: datetime, stale_after_s: int, now: datetime) -> pb.Alert:
    """R24: once per refresh that didn't come."""
    due = refreshed_at + timedelta(seconds=stale_after_s)
    alert = pb.Alert(
        alert_id=derived_id("alert", HOT_LIST_STALE, hot_list_id, refreshed_at.isoformat()),
        agency_id=agency_id,
        kind=HOT_LIST_STALE,
        severity=3,
        title=f"Hot list {name} is stale: last refreshed {refreshed_at:%Y-%m-%d %H:%M} UTC, its hits may be out of date"[:200],
        state=pb.ALERT_STATE_NEW,
        revision=1,
        signals=1,
    )
    alert.occurred_at.FromDatetime(due)
    for stamp in (alert.raised_at, alert.changed_at, alert.received_at):
        stamp.FromDatetime(now)
    return alert


def stale_group(hot_list_id: str) -> str:
    return f"hot-list:{hot_list_id}"
