"""The life cycle inside an Alert message, both ways."""

from datetime import UTC, datetime

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.domain import Disposition, LifeCycle, State

_STATES = {
    State.NEW: pb.ALERT_STATE_NEW,
    State.ACKNOWLEDGED: pb.ALERT_STATE_ACKNOWLEDGED,
    State.WORKING: pb.ALERT_STATE_WORKING,
    State.CLOSED: pb.ALERT_STATE_CLOSED,
}
_DISPOSITIONS = {
    Disposition.NONE: pb.PLATE_DISPOSITION_UNSPECIFIED,
    Disposition.CORRECT: pb.PLATE_DISPOSITION_CORRECT,
    Disposition.WRONG_STATE: pb.PLATE_DISPOSITION_WRONG_STATE,
    Disposition.MISREAD: pb.PLATE_DISPOSITION_MISREAD,
    Disposition.STALE_ENTRY: pb.PLATE_DISPOSITION_STALE_ENTRY,
}
_STATE_OF = {number: state for state, number in _STATES.items()}
_DISPOSITION_OF = {number: disposition for disposition, number in _DISPOSITIONS.items()}


def state_of(alert: pb.Alert) -> State:
    return _STATE_OF[alert.state]


def disposition_of(number: pb.PlateDisposition.ValueType) -> Disposition:
    """Unknown numbers are none."""
    return _DISPOSITION_OF.get(number, Disposition.NONE)


def life_cycle_of(alert: pb.Alert) -> LifeCycle:
    return LifeCycle(
        kind=alert.kind,
        state=state_of(alert),
        disposition=disposition_of(alert.plate_disposition),
        acknowledged_by=alert.acknowledged_by,
        acknowledged_by_name=alert.acknowledged_by_name,
        acknowledged_at=alert.acknowledged_at.ToDatetime(UTC) if alert.HasField("acknowledged_at") else None,
        outcome=alert.outcome,
        note=alert.note,
    )


def apply_life_cycle(alert: pb.Alert, life_cycle: LifeCycle) -> None:
    """Write it back; revision and time of change are the caller's."""
    alert.state = _STATES[life_cycle.state]
    alert.plate_disposition = _DISPOSITIONS[life_cycle.disposition]
    alert.acknowledged_by = life_cycle.acknowledged_by
    alert.acknowledged_by_name = life_cycle.acknowledged_by_name
    if life_cycle.acknowledged_at is not None:
        alert.acknowledged_at.FromDatetime(life_cycle.acknowledged_at)
    alert.outcome = life_cycle.outcome
    alert.note = life_cycle.note


def mark_changed(alert: pb.Alert, at: datetime) -> None:
    """One revision up."""
    alert.revision += 1
    alert.changed_at.FromDatetime(at)
