"""Units on an incident: dispatched -> en route -> on scene -> clear. Each status is reached once; the first report of it wins."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import Conflict, InvalidInput

_Time = Literal["dispatched_at", "en_route_at", "on_scene_at", "clear_at"]
_TIMES: dict[int, _Time] = {
    pb.UNIT_STATUS_DISPATCHED: "dispatched_at",
    pb.UNIT_STATUS_EN_ROUTE: "en_route_at",
    pb.UNIT_STATUS_ON_SCENE: "on_scene_at",
    pb.UNIT_STATUS_CLEAR: "clear_at",
}
WORDS = {
    pb.UNIT_STATUS_DISPATCHED: "dispatched",
    pb.UNIT_STATUS_EN_ROUTE: "en route",
    pb.UNIT_STATUS_ON_SCENE: "on scene",
    pb.UNIT_STATUS_CLEAR: "clear",
}


def working(incident: pb.Incident) -> list[pb.Assignment]:
    """Units that aren't clear yet."""
    return [assignment for assignment in incident.assignments if assignment.status != pb.UNIT_STATUS_CLEAR]


def assignment_of(incident: pb.Incident, unit_id: str) -> pb.Assignment | None:
    """The unit's open work on this incident, else its newest that is clear."""
    own = [assignment for assignment in incident.assignments if assignment.unit_id == unit_id]
    return next((assignment for assignment in own if assignment.status != pb.UNIT_STATUS_CLEAR), own[-1] if own else None)


def assign(
    incident: pb.Incident, assignment_id: str, unit_id: str, call_sign: str, by: tuple[str, str], at: datetime
) -> pb.Assignment | None:
    """The new assignment; None when the unit works on this incident already."""
    if incident.state == pb.INCIDENT_STATE_CLOSED:
        raise Conflict(f"Incident {incident.number} is closed: reopen it before a unit is sent.")
    if any(assignment.unit_id == unit_id for assignment in working(incident)):
        return None
    made = incident.assignments.add(
        assignment_id=assignment_id, unit_id=unit_id, call_sign=call_sign, status=pb.UNIT_STATUS_DISPATCHED,
        assigned_by=by[0], assigned_by_name=by[1],
    )  # fmt: skip
    made.dispatched_at.FromDatetime(at)
    return made


@dataclass(frozen=True, slots=True)
class Report:
    """`changed`: something is to be written; `won`: the unit's status is this one because of this report."""

    assignment: pb.Assignment
    changed: bool
    won: bool


def set_status(incident: pb.Incident, unit_id: str, status: pb.UnitStatus.ValueType, at: datetime) -> Report:
    """A later status doesn't wait for those between: who forgot to press "en route" is on scene all the same.

    A report that comes after a later status (a phone that had no network) fills in its time and changes nothing else.
    """
    if status not in _TIMES or status == pb.UNIT_STATUS_DISPATCHED:
        raise InvalidInput.one("status", "is one of en route, on scene, clear; a unit is dispatched by assigning it")
    assignment = assignment_of(incident, unit_id)
    if assignment is None:
        raise Conflict(f"The unit isn't assigned to incident {incident.number}.")
    if assignment.HasField(_TIMES[status]):
        return Report(assignment, changed=False, won=False)
    getattr(assignment, _TIMES[status]).FromDatetime(max(at, assignment.dispatched_at.ToDatetime(UTC)))
    won = status > assignment.status
    if won:
        assignment.status = status
    return Report(assignment, changed=True, won=won)


def clear_all(incident: pb.Incident, at: datetime) -> list[pb.Assignment]:
    """Whoever still worked is clear now."""
    cleared = working(incident)
    for assignment in cleared:
        assignment.status = pb.UNIT_STATUS_CLEAR
        assignment.clear_at.FromDatetime(at)
    return cleared
