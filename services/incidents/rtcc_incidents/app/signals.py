"""What comes by itself: calls for service become incidents, alerts near a call in place and time join its incident."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rtcc.event.v1 import event_pb2
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import Conflict, NotFound
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.scope import Scope
from rtcc_incidents.app.acting import Acting
from rtcc_incidents.app.counted import JOINED, OPENED
from rtcc_incidents.app.ports import Incidents, IncidentTransaction, KnownAlert
from rtcc_incidents.domain import incidents, timeline
from rtcc_incidents.domain.incidents import SIGNAL, Happening, Record
from rtcc_incidents.domain.places import coordinate_of


@dataclass(frozen=True, slots=True)
class Attachment:
    """`other_incident_id`: where the alert is already; then nothing was changed."""

    won: bool
    other_incident_id: str = ""


async def attach_alert(
    transaction: IncidentTransaction, record: Record, alert_id: str, entry: pb.TimelineEntry, now: datetime, *, automatic: bool = False
) -> Attachment:
    """The alert joins the locked incident, which is saved with the entry. The first wins. Raises NotFound, Conflict when it is closed."""
    known = await transaction.lock_alert(alert_id)
    if known is None or known.agency_id != record.incident.agency_id:
        raise NotFound("alert", alert_id)
    if known.incident_id:
        own = known.incident_id == record.incident.incident_id
        return Attachment(own, "" if own else known.incident_id)
    incidents.require_open(record.incident, "attaching an alert")
    await transaction.bind_alert(alert_id, record.incident.incident_id, entry.entry_id, detached=False)
    record.incident.alert_ids.append(alert_id)
    incidents.count_signals(record.incident)
    entry.occurred_at.FromDatetime(known.occurred_at)
    entry.alert.CopyFrom(known.reference)
    entry.alert.automatic = automatic
    entry.position.CopyFrom(known.reference.position)
    await transaction.save(record, [entry], now)
    JOINED.labels("automatic" if automatic else "by_hand").inc()
    return Attachment(True)


class Signals:
    """Idempotent: an event or alert that comes again changes nothing."""

    def __init__(self, store: Incidents, acting: Acting) -> None:
        self._store = store
        self._acting = acting

    async def take_call(self, event: event_pb2.Event) -> None:
        """A call's first report opens an incident, each later one is its next state."""
        scope, now = Scope.service("incidents", event.agency_id), self._acting.clock()
        call_id = event.call_for_service.call_id
        entry_id = derived_id(event.agency_id, "entry of event", event.event_id)
        async with self._store.transaction(scope) as transaction:
            await transaction.lock_signals(event.agency_id)
            if (await transaction.entry(entry_id))[0] is not None:
                return
            incident_id = await transaction.incident_of_call(event.agency_id, call_id)
            if incident_id:
                record = await transaction.lock(incident_id)
                if record is None:
                    raise Conflict(f"the call {call_id} names an incident that isn't there")
                was = record.incident.state
                incidents.apply_call(record, event, now)
                entries = [timeline.of_call(entry_id, incident_id, event, now), *_ending(record, was, event, now)]
                await transaction.save(record, entries, now)
                return
            incident_id = derived_id(event.agency_id, "incident of call", call_id)
            number = await self._acting.next_number(transaction, event.agency_id, now)
            record = incidents.of_call(event, incident_id, number, now)
            incidents.count_signals(record.incident)
            entries = [timeline.of_call(entry_id, incident_id, event, now), *_ending(record, pb.INCIDENT_STATE_OPEN, event, now)]
            await transaction.insert(record, entries, now)
            await transaction.bind_call(event.agency_id, call_id, incident_id)
            await self._join_earlier_alerts(transaction, record, now)
        OPENED.labels("call").inc()

    async def _join_earlier_alerts(self, transaction: IncidentTransaction, record: Record, now: datetime) -> None:
        incident = record.incident
        if incident.state == pb.INCIDENT_STATE_CLOSED:
            return
        own = happening_of(incident)
        for known in await transaction.free_alerts(incident.agency_id, own.at - SIGNAL, own.at + SIGNAL):
            if incidents.nearest_signal(known.happening, [own]):
                await self._join(transaction, record, known, now)

    async def take_alerts(self, agency_id: str, alerts: Sequence[KnownAlert]) -> None:
        """New alerts of one agency: remembered, and joined to the nearest incident within 200 m and 120 s."""
        scope, now = Scope.service("incidents", agency_id), self._acting.clock()
        async with self._store.transaction(scope) as transaction:
            await transaction.lock_signals(agency_id)
            new = await transaction.note_alerts(alerts)
            fresh = [alert for alert in alerts if alert.reference.alert_id in new]
            if not fresh:
                return
            times = [alert.occurred_at for alert in fresh]
            open_ones = await transaction.open_incidents(agency_id, min(times) - SIGNAL, max(times) + SIGNAL)
            joining = {alert.reference.alert_id: incidents.nearest_signal(alert.happening, open_ones) for alert in fresh}
            records: dict[str, Record | None] = {}
            for incident_id in sorted(set(joining.values()) - {""}):
                records[incident_id] = await transaction.lock(incident_id)
            for alert in fresh:
                record = records.get(joining[alert.reference.alert_id])
                # it may have been closed while we waited for it
                if record is not None and record.incident.state == pb.INCIDENT_STATE_OPEN:
                    await self._join(transaction, record, alert, now)

    async def _join(self, transaction: IncidentTransaction, record: Record, known: KnownAlert, now: datetime) -> None:
        incident_id, alert_id = record.incident.incident_id, known.reference.alert_id
        entry = timeline.entry(
            derived_id(record.incident.agency_id, "entry of alert", incident_id, alert_id), incident_id, "alert", timeline.PLATFORM,
            known.occurred_at, now,
        )  # fmt: skip
        await attach_alert(transaction, record, alert_id, entry, now, automatic=True)


def happening_of(incident: pb.Incident) -> Happening:
    return Happening(incident.incident_id, coordinate_of(incident.position), incident.occurred_at.ToDatetime(UTC))


def _ending(record: Record, was: pb.IncidentState.ValueType, event: event_pb2.Event, now: datetime) -> list[pb.TimelineEntry]:
    """An entry when the dispatch system's word closed the incident, or opened it again."""
    incident = record.incident
    if incident.state == was:
        return []
    entry = timeline.entry(
        derived_id(incident.agency_id, "entry of state", event.event_id), incident.incident_id, "state", timeline.PLATFORM,
        event.occurred_at.ToDatetime(UTC), now, incident.outcome_note or "opened again by dispatch",
    )  # fmt: skip
    entry.state.state, entry.state.outcome = incident.state, incident.outcome
    return [entry]
