"""Alerts in, shared alerts out, and the changes of the directory that end a share."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from rtcc.alerting.v1.alerting_pb2 import Alert
from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Agreement
from rtcc_chassis.bus import Bus, ConsumerSpec, Delivery, Outgoing
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import RtccError
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.streams import ALERTS, SHARED
from rtcc_exchange.app.delivery import Deliveries
from rtcc_exchange.app.ports import Message

_LOG = logging.getLogger(__name__)
_RETRY_S = 0.25
EVENT_TYPE = "openrtcc.shared_alert.v1"

ALERTS_CONSUMER = ConsumerSpec(stream=ALERTS, service="exchange", durable="exchange-alerts", subjects=("alert.*",), batch=200)


class SharedStream:
    """The stream SHARED. Its subject shared.<agency>.> is what that agency's own NATS account imports."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, messages: Sequence[Message]) -> list[int]:
        """Durable when it returns. A message that was published before keeps the sequence that it got then."""
        receipts = await self._bus.publish_many(
            [Outgoing(message.subject, message.body, message.message_id, message.grantee_agency_id, EVENT_TYPE) for message in messages]
        )
        return [receipt.sequence for receipt in receipts]

    async def delete(self, sequences: Sequence[int]) -> None:
        """Overwrite and remove messages; those that are gone already are fine. Raises Unavailable when NATS is away."""
        await self._bus.erase(SHARED, sequences)


class AlertsHandler:
    """Batches of the stream ALERTS. Later revisions of one alert in a batch replace earlier ones."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    async def __call__(self, messages: Sequence[Delivery]) -> None:
        newest: dict[str, Alert] = {}
        for message in messages:
            alert = message.parse(Alert)
            # the owner is who may publish on the subject, not who the body says
            if alert.agency_id != message.agency_id:
                raise ValueError(f"an alert of {alert.agency_id!r} on the subject of {message.agency_id!r}")
            known = newest.get(alert.alert_id)
            if known is None or known.revision < alert.revision:
                newest[alert.alert_id] = alert
        await self._deliveries.share(list(newest.values()))


class ShareOpen(Protocol):
    """Gives a new subscriber what is open now."""

    async def share_open(self, subscription: pb.Subscription) -> None: ...


class Changes:
    """Follows agreements and subscriptions; a revocation is acted on as soon as the directory tells it."""

    def __init__(self, deliveries: Deliveries, neighbours: ShareOpen) -> None:
        self._deliveries = deliveries
        self._neighbours = neighbours
        self._agreements: dict[str, None] = {}
        self._subscriptions: Mirror[pb.Subscription] | None = None
        self._subscribed: dict[str, pb.Subscription] = {}
        self._arrived = asyncio.Event()

    def follow(self, agreements: Mirror[Agreement], subscriptions: Mirror[pb.Subscription]) -> None:
        """Call it once the mirrors are complete: what stood before is the sweep's work."""
        self._subscriptions = subscriptions
        agreements.on_change(self._on_agreement)
        subscriptions.on_change(self._on_subscription)

    def _on_agreement(self, agreement_id: str, old: Agreement | None, new: Agreement | None) -> None:
        if old is not None and new is not None:
            self._agreements[agreement_id] = None
            # an attestation grants what is open already
            subscription = self._subscriptions.get(derived_id("subscription", agreement_id)) if self._subscriptions is not None else None
            if subscription is not None and not old.HasField("attested_at") and new.HasField("attested_at"):
                self._subscribed[subscription.subscription_id] = subscription
            self._arrived.set()

    def _on_subscription(self, subscription_id: str, old: pb.Subscription | None, new: pb.Subscription | None) -> None:
        if new is not None:
            self._subscribed[subscription_id] = new
            self._arrived.set()

    async def run(self) -> None:
        """For ever; what fails is tried again."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            try:
                await self._act()
            except RtccError as error:
                _LOG.warning("a changed agreement: trying again, %s", error.message)
                self._arrived.set()
                await asyncio.sleep(_RETRY_S)

    async def _act(self) -> None:
        while self._agreements:
            agreement_id, _ = self._agreements.popitem()
            try:
                await self._deliveries.agreement_changed(agreement_id)
            except RtccError:
                self._agreements[agreement_id] = None
                raise
        while self._subscribed:
            _, subscription = self._subscribed.popitem()
            await self._neighbours.share_open(subscription)


async def sweep(deliveries: Deliveries, every_s: float) -> None:
    """What time ends, for ever."""
    while True:
        try:
            await deliveries.sweep()
        except RtccError as error:
            _LOG.warning("sweep of shares: %s", error.message)
        await asyncio.sleep(every_s)
