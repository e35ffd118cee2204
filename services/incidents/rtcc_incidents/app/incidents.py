"""Incidents and their units: open, change, send, close, reopen."""

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.access import Resource, touched
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, Refused
from rtcc_chassis.scope import Scope
from rtcc_incidents.app.acting import Acting, author_of, by, id_for, told
from rtcc_incidents.app.counted import OPENED
from rtcc_incidents.app.ports import FloorPlans, Incidents, IncidentTransaction
from rtcc_incidents.app.signals import attach_alert
from rtcc_incidents.domain import incidents, timeline, units
from rtcc_incidents.domain.checks import moment
from rtcc_incidents.domain.floor_plans import is_of_place
from rtcc_incidents.domain.incidents import Record
from rtcc_incidents.domain.places import coordinate_of

LIST_MOST, LIST_DEFAULT = 500, 200


class IncidentsApp:
    """Each act is one transaction: the incident, its entries and the message about it are written together or not at all."""

    def __init__(self, store: Incidents, floor_plans: FloorPlans, acting: Acting) -> None:
        self._store = store
        self._floor_plans = floor_plans
        self._acting = acting

    async def list_incidents(self, scope: Scope, *, include_closed: bool, number: str, limit: int) -> list[pb.Incident]:
        """Open ones by priority, newest first; with closed ones, or by number, by time."""
        bound = incidents.list_bound(limit, LIST_MOST, LIST_DEFAULT)
        found = await self._store.list_incidents(scope, include_closed=include_closed or bool(number), number=number, limit=bound)
        touched(*(f"incident:{incident.incident_id}" for incident in found))
        return found

    async def get(self, scope: Scope, incident_id: str, action: str = "incident.read") -> pb.Incident:
        """Raises NotFound, Refused."""
        incident = await self._store.get(scope, incident_id)
        if incident is None:
            raise NotFound("incident", incident_id)
        self._acting.require(scope, action, incident)
        return incident

    async def plans_of(self, scope: Scope, incident: pb.Incident) -> list[pb.FloorPlan]:
        """Floor plans of the incident's building, by floor."""
        coordinate = coordinate_of(incident.position)
        plans = [plan for plan in await self._floor_plans.list_plans(scope) if is_of_place(plan, incident.address, coordinate)]
        touched(*(f"floor_plan:{plan.floor_plan_id}" for plan in plans))
        return plans

    async def create(self, scope: Scope, request: pb.CreateIncidentRequest) -> pb.Incident:
        """By hand. A repeated request finds the incident that it made before."""
        now, incident_id = self._acting.clock(), id_for(scope, "incident")
        occurred_at = moment("occurred_at", request.occurred_at if request.HasField("occurred_at") else None, now)
        self._acting.access.require(scope, "incident.create", Resource("incident", "", scope.agency_id))
        async with self._store.transaction(scope) as transaction:
            if (before := await transaction.lock(incident_id)) is not None:
                return before.incident
            incidents.by_hand(request, incident_id, scope.agency_id, "", occurred_at, now)
            number = await self._acting.next_number(transaction, scope.agency_id, now)
            record = incidents.by_hand(request, incident_id, scope.agency_id, number, occurred_at, now)
            record.incident.opened_by, record.incident.opened_by_name = by(scope)
            incidents.count_signals(record.incident)
            opened = self._entry(scope, record, "state", "opened", request.narrative.strip())
            opened.state.state = pb.INCIDENT_STATE_OPEN
            await transaction.insert(record, [opened], now)
            if request.alert_id:
                entry = self._entry(scope, record, "alert", request.alert_id)
                if not (await attach_alert(transaction, record, request.alert_id, entry, now)).won:
                    raise Conflict("The alert belongs to another incident already: open that one, or take the alert off it first.")
        OPENED.labels("manual").inc()
        told(record.incident, new={"number": number, "kind": record.incident.kind, "priority": record.incident.priority})
        return record.incident

    async def update(self, scope: Scope, request: pb.UpdateIncidentRequest) -> pb.Incident:
        """What a person decides stays: later reports of the call don't change it."""
        now = self._acting.clock()
        async with self._store.transaction(scope) as transaction:
            record = await self._acting.locked(transaction, scope, "incident.update", request.incident_id)
            incidents.require_open(record.incident, "a change")
            if changes := incidents.update(record, request, now):
                entry = self._entry(scope, record, "change", str(record.incident.revision), "; ".join(changes))
                if record.incident.HasField("position"):
                    entry.position.CopyFrom(record.incident.position)
                await transaction.save(record, [entry], now)
        told(record.incident, new={"changes": changes})
        return record.incident

    async def assign(self, scope: Scope, request: pb.AssignUnitRequest) -> pb.AssignUnitResponse:
        """The first assignment wins; `take_over` clears the unit where it works now."""
        now, unit_id = self._acting.clock(), request.unit_id
        unit = self._acting.facts.unit(unit_id)
        if unit is None or unit.agency_id != scope.agency_id:
            raise NotFound("unit", unit_id)
        if not unit.enabled:
            raise InvalidInput.one("unit_id", f"{unit.call_sign} is switched off")
        async with self._store.transaction(scope) as transaction:
            busy_id = await transaction.lock_unit(unit_id)
            # two incidents are locked in one order everywhere, so that nobody waits in a circle
            records: dict[str, Record] = {}
            for incident_id in sorted({busy_id, request.incident_id} - {""}):
                records[incident_id] = await self._acting.locked(transaction, scope, "incident.assign_unit", incident_id)
            record = records.get(request.incident_id)
            if record is None:
                raise NotFound("incident", request.incident_id)
            busy = records.get(busy_id) if busy_id != request.incident_id else None
            if busy is not None and not request.take_over:
                told(record.incident)
                return pb.AssignUnitResponse(incident=record.incident, busy_incident_id=busy_id, busy_incident_number=busy.incident.number)
            made = units.assign(record.incident, id_for(scope, "assignment", unit_id), unit_id, unit.call_sign, by(scope), now)
            if made is None:
                told(record.incident)
                return pb.AssignUnitResponse(incident=record.incident, won=True)
            if busy is not None:
                await self._leave(transaction, scope, busy, unit_id, record.incident.number)
            await transaction.set_work(scope.agency_id, unit_id, request.incident_id)
            entry = timeline.of_unit(self._entry(scope, record, "unit", made.assignment_id), made)
            await transaction.save(record, [entry], now)
        told(record.incident, new={"unit": unit_id, "status": "dispatched"})
        touched(f"unit:{unit_id}")
        return pb.AssignUnitResponse(incident=record.incident, won=True)

    async def _leave(self, transaction: IncidentTransaction, scope: Scope, busy: Record, unit_id: str, number: str) -> None:
        now = self._acting.clock()
        report = units.set_status(busy.incident, unit_id, pb.UNIT_STATUS_CLEAR, now)
        entry = self._entry(scope, busy, "unit", f"left {report.assignment.assignment_id}", f"sent on to incident {number}")
        await transaction.save(busy, [timeline.of_unit(entry, report.assignment)], now)

    async def set_status(self, scope: Scope, request: pb.SetUnitStatusRequest) -> pb.SetUnitStatusResponse:
        """Who may assign units sets the status of any, an officer that of the unit they ride with."""
        now = self._acting.clock()
        at = moment("occurred_at", request.occurred_at if request.HasField("occurred_at") else None, now)
        async with self._store.transaction(scope) as transaction:
            record = await self._acting.locked(transaction, scope, "incident.set_unit_status", request.incident_id)
            self._require_own_unit(scope, record.incident, request.unit_id)
            report = units.set_status(record.incident, request.unit_id, request.status, at)
            if report.changed:
                if request.status == pb.UNIT_STATUS_CLEAR:
                    await transaction.end_work(request.incident_id, [request.unit_id])
                entry = self._entry(scope, record, "unit", f"{report.assignment.assignment_id} {request.status}")
                entry.occurred_at.FromDatetime(at)
                timeline.of_unit(entry, report.assignment)
                entry.unit.status = request.status
                await transaction.save(record, [entry], now)
        told(record.incident, new={"unit": request.unit_id, "status": units.WORDS[request.status], "won": report.won})
        touched(f"unit:{request.unit_id}")
        return pb.SetUnitStatusResponse(incident=record.incident, won=report.won)

    def _require_own_unit(self, scope: Scope, incident: pb.Incident, unit_id: str) -> None:
        resource = Resource("incident", incident.incident_id, incident.agency_id)
        if self._acting.access.decide(scope, "incident.assign_unit", resource).allowed:
            return
        person = self._acting.facts.person(scope.principal_id)
        if person is None or not person.unit_id or person.unit_id != unit_id:
            raise Refused("incident.set_unit_status", "You set the status of the unit that you ride with.")

    async def close(self, scope: Scope, request: pb.CloseIncidentRequest) -> pb.Incident:
        """With an outcome. Repeating it is harmless; another outcome is refused with who closed it."""
        now = self._acting.clock()
        async with self._store.transaction(scope) as transaction:
            record = await self._acting.locked(transaction, scope, "incident.close", request.incident_id)
            incident, entries = record.incident, []
            if request.clear_units and incident.state == pb.INCIDENT_STATE_OPEN:
                for assignment in units.clear_all(incident, now):
                    entry = self._entry(scope, record, "unit", f"{assignment.assignment_id} {pb.UNIT_STATUS_CLEAR}")
                    entries.append(timeline.of_unit(entry, assignment))
            if incidents.close(incident, request.outcome, request.note, by(scope), now):
                entry = self._entry(scope, record, "state", f"closed {incident.revision}", request.note.strip())
                entry.state.state, entry.state.outcome = pb.INCIDENT_STATE_CLOSED, request.outcome
                await transaction.end_work(incident.incident_id, [assignment.unit_id for assignment in incident.assignments])
                await transaction.save(record, [*entries, entry], now)
        told(incident, old={"state": "open"}, new={"state": "closed", "outcome": request.outcome})
        return incident

    async def reopen(self, scope: Scope, request: pb.ReopenIncidentRequest) -> pb.Incident:
        """By a supervisor, with the reason."""
        now = self._acting.clock()
        async with self._store.transaction(scope) as transaction:
            record = await self._acting.locked(transaction, scope, "incident.reopen", request.incident_id)
            outcome = record.incident.outcome
            incidents.reopen(record.incident, request.reason)
            entry = self._entry(scope, record, "state", f"reopened {record.incident.revision}", request.reason.strip())
            entry.state.state = pb.INCIDENT_STATE_OPEN
            await transaction.save(record, [entry], now)
        told(record.incident, old={"state": "closed", "outcome": outcome}, new={"state": "open", "reason": request.reason})
        return record.incident

    def _entry(self, scope: Scope, record: Record, kind: str, part: str, text: str = "") -> pb.TimelineEntry:
        now, incident_id = self._acting.clock(), record.incident.incident_id
        return timeline.entry(id_for(scope, "entry", incident_id, kind, part), incident_id, kind, author_of(scope), now, now, text)
