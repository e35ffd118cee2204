"""What alerting consumes: events for the rules, positions for the context."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from rtcc.event.v1 import event_pb2
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc_alerting.context import UnitPositions
from rtcc_alerting.engine import Engine
from rtcc_alerting.store import AlertStore
from rtcc_chassis.clock import Clock
from rtcc_chassis.consumer import ConsumerSpec, Delivery
from rtcc_chassis.errors import InvalidInput, RtccError
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import EVENTS

_LOG = logging.getLogger(__name__)
_SCOPE = Scope.platform("alerting")


def rules_spec(batch: int) -> ConsumerSpec:
    return ConsumerSpec(EVENTS, "alerting", "alerting-rules", ("event.*.plate_read", "event.*.gunshot"), batch=batch)


def rules_handler(engine: Engine) -> Callable[[Sequence[Delivery]], Awaitable[None]]:
    """A body whose agency is not its subject's is refused: it would be matched against somebody else's lists."""

    async def handle(deliveries: Sequence[Delivery]) -> None:
        events = []
        for delivery in deliveries:
            event = delivery.parse(event_pb2.Event)
            if event.agency_id != delivery.agency_id or not event.event_id:
                raise InvalidInput.one("agency_id", f"{event.agency_id!r} in the body, {delivery.agency_id!r} in the subject")
            events.append(event)
        await engine.handle(_SCOPE, events)

    return handle


def positions_handler(positions: UnitPositions) -> Callable[[Sequence[Delivery]], Awaitable[None]]:
    async def handle(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            batch = delivery.parse(PositionBatch)
            if batch.agency_id == delivery.agency_id:
                positions.apply(batch)

    return handle


async def forget_handled_events(store: AlertStore, clock: Clock, days: float) -> None:
    """For ever, once an hour."""
    while True:
        try:
            await store.forget_handled_events(_SCOPE, clock(), timedelta(days=days))
        except RtccError as error:
            _LOG.warning("handled events: waiting, %s", error)
        await asyncio.sleep(3600)
