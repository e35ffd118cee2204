"""Nobody takes a severity 1: after a while the supervisors are told, then every desk. Pure: messages in, messages out."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rtcc.alerting.v1 import alerting_pb2 as pb

SUPERVISORS, EVERY_DESK = 1, 2


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a severity 1 may wait unacknowledged, counted from when it was raised or became one."""

    supervisors_after: timedelta = timedelta(seconds=30)
    every_desk_after: timedelta = timedelta(seconds=60)


def waits(alert: pb.Alert) -> bool:
    """Whether somebody must acknowledge it at once."""
    return alert.severity == 1 and alert.state == pb.ALERT_STATE_NEW


def next_at(alert: pb.Alert) -> datetime | None:
    """When the next level is due."""
    return alert.escalation.next_at.ToDatetime(UTC) if alert.escalation.HasField("next_at") else None


def plan(alert: pb.Alert, patience: Patience, now: datetime) -> None:
    """Call it after every change: begins to wait, goes on waiting, or stops. The level that was reached stays as history."""
    if not waits(alert):
        if alert.HasField("escalation"):
            alert.escalation.ClearField("next_at")
        if alert.escalation.level == 0:
            alert.ClearField("escalation")
    elif alert.escalation.level < EVERY_DESK and next_at(alert) is None:
        after = patience.supervisors_after if alert.escalation.level == 0 else patience.every_desk_after - patience.supervisors_after
        alert.escalation.next_at.FromDatetime(now + after)


def escalate(alert: pb.Alert, patience: Patience, now: datetime) -> bool:
    """One level up if that is due; the answer is whether anything changed. After an outage longer than both, both are due at once."""
    due = next_at(alert)
    if not waits(alert) or due is None or due > now:
        return False
    while due is not None and due <= now and alert.escalation.level < EVERY_DESK:
        alert.escalation.level += 1
        alert.escalation.escalated_at.FromDatetime(now)
        alert.escalation.ClearField("next_at")
        if alert.escalation.level < EVERY_DESK:
            due = due + patience.every_desk_after - patience.supervisors_after
            alert.escalation.next_at.FromDatetime(due)
    return True
