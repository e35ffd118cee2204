"""What alerting consumes: events for the rules, positions for the context, timers, neighbours' acknowledgements, camera health."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg

from rtcc.alerting.v1.alerting_pb2 import Alert, GetAlertRequest
from rtcc.event.v1 import event_pb2
from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc.video.v1.video_pb2 import CameraHealth
from rtcc_alerting.contact_book import ContactBook
from rtcc_alerting.context import UnitPositions
from rtcc_alerting.engine import Engine
from rtcc_alerting.escalator import Escalator, PartnerNotices
from rtcc_alerting.notification_app import NotificationApp
from rtcc_alerting.rule_table import SUBJECTS
from rtcc_alerting.store import AlertStore
from rtcc_alerting.timers import ESCALATION_DUE
from rtcc_alerting.watches import CameraWatch, UnitWatch
from rtcc_chassis.clock import Clock
from rtcc_chassis.consumer import ConsumerSpec, Delivery
from rtcc_chassis.errors import InvalidInput, RtccError
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import ALERTS, EVENTS, POSITIONS, SHARED, TIMERS, agency_of

_LOG = logging.getLogger(__name__)
_SCOPE = Scope.platform("alerting")
Handler = Callable[[Sequence[Delivery]], Awaitable[None]]

ESCALATIONS = ConsumerSpec(TIMERS, "alerting", "alerting-escalations", (ESCALATION_DUE,))
NOTIFICATIONS = ConsumerSpec(ALERTS, "alerting", "alerting-notifications", ("alert.*",), batch=200)
PARTNERS = ConsumerSpec(SHARED, "alerting", "alerting-partners", ("shared.*.acknowledged",))
# a panic that came while this service was away must not be passed over: a reader of its own that remembers its place
PANICS = ConsumerSpec(POSITIONS, "alerting", "alerting-panics", ("position.*",), batch=50)


def rules_spec(batch: int) -> ConsumerSpec:
    return ConsumerSpec(EVENTS, "alerting", "alerting-rules", SUBJECTS, batch=batch)


def rules_handler(engine: Engine) -> Handler:
    """A body whose agency is not its subject's is refused: it would be matched against somebody else's lists."""

    async def handle(deliveries: Sequence[Delivery]) -> None:
        events = []
        for delivery in deliveries:
            event = delivery.parse(event_pb2.Event)
            if event.agency_id != delivery.agency_id or not event.event_id:
                raise InvalidInput.one("agency_id", f"{event.agency_id!r} in the body, {delivery.agency_id!r} in the subject")
            if event.kind != delivery.subject.rpartition(".")[2]:
                raise InvalidInput.one("kind", f"{event.kind!r} in the body, another in the subject {delivery.subject}")
            events.append(event)
        await engine.handle(_SCOPE, events)

    return handle


def positions_handler(positions: UnitPositions) -> Handler:
    async def handle(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            batch = delivery.parse(PositionBatch)
            if batch.agency_id == delivery.agency_id:
                positions.apply(batch)

    return handle


def panics_handler(watch: UnitWatch, engine: Engine) -> Handler:
    async def handle(deliveries: Sequence[Delivery]) -> None:
        events: list[event_pb2.Event] = []
        for delivery in deliveries:
            batch = delivery.parse(PositionBatch)
            if batch.agency_id == delivery.agency_id:
                events.extend(watch.events_of(batch))
        if events:
            await engine.handle(_SCOPE, events)

    return handle


def escalations_handler(escalator: Escalator) -> Handler:
    async def handle(deliveries: Sequence[Delivery]) -> None:
        await escalator.look_at([delivery.parse(GetAlertRequest).alert_id for delivery in deliveries])

    return handle


def notifications_handler(book: ContactBook) -> Handler:
    """Only of agencies that tell somebody. The agency is the subject's."""

    async def handle(deliveries: Sequence[Delivery]) -> None:
        alerts = []
        for delivery in deliveries:
            if book.tells(delivery.agency_id):
                alerts.append(delivery.parse(Alert))
                if alerts[-1].agency_id != delivery.agency_id:
                    raise InvalidInput.one("agency_id", f"{alerts[-1].agency_id!r} in the body, {delivery.agency_id!r} in the subject")
        if alerts:
            await book.tell(alerts)

    return handle


def partners_handler(notices: PartnerNotices) -> Handler:
    """The grantor is who the subject names."""

    async def handle(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            await notices.acknowledged(delivery.agency_id, delivery.parse(SharedAlert))

    return handle


def camera_health_handler(watch: CameraWatch, engine: Engine) -> Callable[[Msg], Awaitable[None]]:
    async def take(events: Sequence[event_pb2.Event]) -> None:
        await engine.handle(_SCOPE, events)

    async def handle(message: Msg) -> None:
        try:
            health = CameraHealth.FromString(message.data)
        except DecodeError:
            _LOG.error("%s: a camera's health can't be read", message.subject)
            return
        await watch.hear(agency_of(message.subject), health, take)

    return handle


async def forget(store: AlertStore, notifications: NotificationApp, clock: Clock, event_days: float, delivery_days: float) -> None:
    """What nobody needs any more, for ever, once an hour."""
    while True:
        try:
            await store.forget_handled_events(_SCOPE, clock(), timedelta(days=event_days))
            await notifications.forget(_SCOPE, delivery_days)
        except RtccError as error:
            _LOG.warning("forgetting: waiting, %s", error)
        await asyncio.sleep(3600)
