"""What incidents consumes: calls and tips from EVENTS, alerts from ALERTS; and what it asks of identity."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, timedelta
from itertools import groupby
from typing import Any

import grpc

from rtcc.alerting.v1 import alerting_pb2
from rtcc.event.v1 import event_pb2
from rtcc.identity.v1 import identity_pb2, identity_pb2_grpc
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.clock import Clock
from rtcc_chassis.consumer import ConsumerSpec, Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import InvalidInput, RtccError, from_rpc
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import ALERTS, EVENTS
from rtcc_incidents.app.ports import KnownAlert
from rtcc_incidents.app.signals import Signals
from rtcc_incidents.app.tips import TipsApp
from rtcc_incidents.store.incidents import IncidentStore
from rtcc_incidents.store.tips import TipStore

_LOG = logging.getLogger(__name__)
_SCOPE = Scope.platform("incidents")
_IDENTITY_TIMEOUT_S = 4.0


def events_spec(batch: int) -> ConsumerSpec:
    return ConsumerSpec(EVENTS, "incidents", "incidents-events", ("event.*.call_for_service", "event.*.tip"), batch=batch)


def alerts_spec(batch: int) -> ConsumerSpec:
    return ConsumerSpec(ALERTS, "incidents", "incidents-alerts", ("alert.*",), batch=batch)


def events_handler(signals: Signals, tips: TipsApp) -> Callable[[Sequence[Delivery]], Awaitable[None]]:
    """In the order of the stream: a call's reports follow each other."""

    async def handle(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            event = delivery.parse(event_pb2.Event)
            if event.agency_id != delivery.agency_id or not event.event_id:
                raise InvalidInput.one("agency_id", f"{event.agency_id!r} in the body, {delivery.agency_id!r} in the subject")
            if event.HasField("tip"):
                await tips.take_event(event)
            elif event.HasField("call_for_service") and event.call_for_service.call_id:
                await signals.take_call(event)
            else:
                raise InvalidInput.one("call_for_service.call_id", "is missing: the call's next report couldn't be told from another call")

    return handle


def alerts_handler(signals: Signals) -> Callable[[Sequence[Delivery]], Awaitable[None]]:
    """Each change of an alert comes here; only its first one is news."""

    async def handle(deliveries: Sequence[Delivery]) -> None:
        known = []
        for delivery in deliveries:
            alert = delivery.parse(alerting_pb2.Alert)
            if alert.agency_id != delivery.agency_id or not alert.alert_id:
                raise InvalidInput.one("agency_id", f"{alert.agency_id!r} in the body, {delivery.agency_id!r} in the subject")
            known.append(_known(alert))
        for agency_id, alerts in groupby(sorted(known, key=lambda alert: alert.agency_id), key=lambda alert: alert.agency_id):
            await signals.take_alerts(agency_id, list(alerts))

    return handle


def _known(alert: alerting_pb2.Alert) -> KnownAlert:
    reference = pb.AlertReference(alert_id=alert.alert_id, kind=alert.kind, severity=alert.severity, title=alert.title)
    if alert.position.HasField("coordinate"):
        reference.position.CopyFrom(alert.position)
    return KnownAlert(alert.agency_id, reference, alert.occurred_at.ToDatetime(UTC))


class IdentityRecords:
    """Asks identity with the caller's own token: what they may see, and an entry in the log for it, is decided there."""

    def __init__(self, ctx: ServiceContext) -> None:
        self._ctx = ctx

    async def label(self, scope: Scope, record_kind: str, record_id: str) -> str:
        """A person's name in use; "" for what can't be shown or asked for by id."""
        if record_kind != "person":
            return ""
        try:
            answer = await self._call(scope, "GetPersonRecord", identity_pb2.GetPersonRecordRequest(record_id=record_id))
        except RtccError:
            return ""
        names = answer.person.person.names
        return ", ".join(part for part in (names[0].surname, names[0].given_names) if part) if names else ""

    async def arrival_card(self, scope: Scope, incident: pb.Incident) -> identity_pb2.GetArrivalCardResponse:
        request = identity_pb2.GetArrivalCardRequest(address=incident.address, incident_id=incident.incident_id)
        if incident.position.HasField("coordinate"):
            request.coordinate.CopyFrom(incident.position.coordinate)
        answer: identity_pb2.GetArrivalCardResponse = await self._call(scope, "GetArrivalCard", request)
        return answer

    async def _call(self, scope: Scope, method: str, request: Any) -> Any:
        stub = self._ctx.channels.stub("identity", identity_pb2_grpc.IdentityServiceStub)
        try:
            return await getattr(stub, method)(request, metadata=self._ctx.tokens.metadata(scope), timeout=_IDENTITY_TIMEOUT_S)
        except grpc.RpcError as error:
            raise from_rpc(error) from error


async def forget(store: IncidentStore, tips: TipStore, clock: Clock, alert_days: float) -> None:
    """For ever, every ten minutes."""
    while True:
        try:
            await tips.forget_senders(_SCOPE, clock())
            await store.forget_alerts(_SCOPE, clock(), timedelta(days=alert_days))
        except RtccError as error:
            _LOG.warning("what is old stays a while: %s", error)
        await asyncio.sleep(600)
