"""What a unit should know before it arrives."""

from collections.abc import Iterable
from datetime import UTC

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.access import touched
from rtcc_chassis.errors import Refused, RtccError, Unavailable
from rtcc_chassis.scope import Scope
from rtcc_incidents.app.incidents import IncidentsApp
from rtcc_incidents.app.ports import Incidents, Records
from rtcc_incidents.domain.places import address_key, box_around, coordinate_of, metres_between

NEAR_M = 30.0
EARLIER_MOST = 20
DISPATCH = "dispatch"


class BriefingApp:
    """Each part with the caller's own rights; a part that isn't to be had is named instead of failing the rest."""

    def __init__(self, incidents: IncidentsApp, store: Incidents, records: Records) -> None:
        self._incidents = incidents
        self._store = store
        self._records = records

    async def brief(self, scope: Scope, incident_id: str) -> pb.GetArrivalBriefingResponse:
        """Raises NotFound, Refused. Purpose "dispatch" is bound to this incident: its number is the case number, and it is open."""
        incident = await self._incidents.get(scope, incident_id, "incident.brief")
        if scope.purpose.strip().lower() == DISPATCH:
            if scope.case_number.strip() != incident.number:
                raise Refused("incident.brief", f"With the purpose dispatch the case number is the incident's own, {incident.number}.")
            if incident.state == pb.INCIDENT_STATE_CLOSED:
                raise Refused("incident.brief", "The incident is closed: nobody is on the way to it. Ask with another purpose.")
        answer = pb.GetArrivalBriefingResponse(incident=incident, floor_plans=await self._incidents.plans_of(scope, incident))
        answer.hazards.extend(self._hazards(incident, answer.floor_plans))
        answer.prior_incidents.extend(await self._earlier(scope, incident))
        try:
            answer.arrival_card.CopyFrom(await self._records.arrival_card(scope, incident))
        except (Unavailable, Refused) as error:
            answer.missing.append(f"people and vehicles: {error.message}")
        except RtccError as error:
            answer.missing.append(f"people and vehicles can't be told: {error.message}")
        return answer

    def _hazards(self, incident: pb.Incident, plans: Iterable[pb.FloorPlan]) -> list[pb.FloorPlanMark]:
        own = coordinate_of(incident.position)
        marks = [mark for plan in plans for mark in plan.marks if mark.kind == "hazard"]
        return sorted(marks, key=lambda mark: (metres_between(own, mark.coordinate) or 0.0, mark.mark_id))

    async def _earlier(self, scope: Scope, incident: pb.Incident) -> list[pb.PriorIncident]:
        own, key = coordinate_of(incident.position), address_key(incident.address)
        box = box_around(own, NEAR_M) if own is not None else None
        found = []
        for other in await self._store.earlier(scope, incident, key, box, 5 * EARLIER_MOST):
            same_address, metres = key != "" and key == address_key(other.address), metres_between(own, coordinate_of(other.position))
            if not same_address and (metres is None or metres > NEAR_M):
                continue
            prior = pb.PriorIncident(
                incident_id=other.incident_id, number=other.number, kind=other.kind, title=other.title, outcome=other.outcome,
                distance_m=metres or 0.0, same_address=same_address,
            )  # fmt: skip
            prior.occurred_at.FromDatetime(other.occurred_at.ToDatetime(UTC))
            found.append(prior)
        touched(*(f"incident:{prior.incident_id}" for prior in found[:EARLIER_MOST]))
        return found[:EARLIER_MOST]
