"""Durable consumers: batches, in-place retry, poison messages to the quarantine, resume after any crash."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError
from prometheus_client import Counter, Gauge

from rtcc_chassis.errors import Unavailable
from rtcc_chassis.pull import PullEnded, pulling
from rtcc_chassis.streams import StreamSpec, agency_of
from rtcc_chassis.telemetry import consumed

_LOG = logging.getLogger(__name__)
PENDING = Gauge("rtcc_consumer_pending_messages", "Stored messages that a durable consumer has not been given yet.", ["consumer"])
OLDEST = Gauge(
    "rtcc_consumer_oldest_message_timestamp_seconds",
    "When the oldest message being handled was stored, Unix time; 0 while there is none. A stuck consumer keeps it.",
    ["consumer"],
)
QUARANTINED = Counter("rtcc_consumer_quarantined_total", "Messages that a consumer gave up on.", ["consumer"])
_BACK_OFF_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)

T = TypeVar("T", bound=Message)
Handler = Callable[[Sequence["Delivery"]], Awaitable[None]]
Quarantine = Callable[[str, bytes, Mapping[str, str], str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One stored message. `deliveries` counts from 1."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    sequence: int
    deliveries: int
    stored_at: float

    @property
    def agency_id(self) -> str:
        return agency_of(self.subject)

    @property
    def message_id(self) -> str:
        return self.headers.get("Nats-Msg-Id", "")

    def parse(self, message_type: type[T]) -> T:
        """The body; google.protobuf DecodeError when it isn't one."""
        message = message_type()
        message.ParseFromString(self.data)
        return message

    @classmethod
    def of(cls, message: Msg) -> "Delivery":
        metadata = message.metadata
        return cls(
            message.subject,
            message.data,
            message.headers or {},
            metadata.sequence.stream,
            metadata.num_delivered or 1,
            metadata.timestamp.timestamp(),
        )


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """`service` names the quarantine subject; `batch` bounds what one handler call gets."""

    stream: StreamSpec
    service: str
    durable: str
    subjects: tuple[str, ...]
    batch: int = 100
    max_deliveries: int = 5
    acknowledge_wait_s: float = 30.0


class DurableConsumer:
    """Pulls, handles, acknowledges. Infrastructure failures are waited out; a message that keeps failing is quarantined."""

    def __init__(self, client: Client, jetstream: JetStreamContext, spec: ConsumerSpec, handler: Handler, quarantine: Quarantine) -> None:
        self._client = client
        self._jetstream = jetstream
        self._spec = spec
        self._handler = handler
        self._quarantine = quarantine
        self._pending, self._oldest = PENDING.labels(spec.durable), OLDEST.labels(spec.durable)
        QUARANTINED.labels(spec.durable)

    async def run(self) -> None:
        """For ever; cancel to stop. What was not acknowledged comes again."""
        attempt = 0
        while True:
            try:
                await self._ensure()
                async with pulling(self._client, self._spec.stream.name, self._spec.durable, self._spec.batch * 2) as pull:
                    while True:
                        messages = await pull.next_batch(self._spec.batch)
                        attempt = 0
                        if messages:
                            self._oldest.set(messages[0].metadata.timestamp.timestamp())
                            await self._handle(messages)
                            self._pending.set(messages[-1].metadata.num_pending or 0)
                        self._oldest.set(0)
            except (PullEnded, NatsError, APIError, OSError, TimeoutError) as error:
                attempt += 1
                _LOG.info("consumer %s: binding again after %s", self._spec.durable, error)
                await asyncio.sleep(_back_off(attempt))

    async def _ensure(self) -> None:
        config = ConsumerConfig(
            durable_name=self._spec.durable,
            filter_subjects=list(self._spec.subjects),
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=self._spec.acknowledge_wait_s,
            max_deliver=-1,
            max_ack_pending=self._spec.batch * 8,
        )
        await self._jetstream.add_consumer(self._spec.stream.name, config)

    async def _handle(self, messages: Sequence[Msg]) -> None:
        deliveries = [Delivery.of(message) for message in messages]
        exhausted = [d.deliveries > self._spec.max_deliveries for d in deliveries]
        pairs = [(m, d) for m, d, spent in zip(messages, deliveries, exhausted, strict=True) if not spent]
        for message, delivery, spent in zip(messages, deliveries, exhausted, strict=True):
            if spent:
                await self._give_up(message, delivery, "its consumer ended before it was done, several times")
        if not pairs:
            return
        failure = await self._attempt([m for m, _ in pairs], [d for _, d in pairs])
        if failure is None:
            return
        for message, delivery in pairs:
            await self._handle_alone(message, delivery)

    async def _attempt(self, messages: Sequence[Msg], deliveries: Sequence[Delivery]) -> Exception | None:
        """None when handled and acknowledged. Waits out infrastructure failures in place, keeping the messages ours."""
        attempt = 0
        while True:
            try:
                with consumed(self._spec.durable, deliveries[0].headers):
                    await self._handler(deliveries)
                for message in messages:
                    await message.ack()
                return None
            except (Unavailable, OSError, TimeoutError) as error:
                attempt += 1
                _LOG.warning("consumer %s: waiting, %s", self._spec.durable, error)
                await asyncio.sleep(_back_off(attempt))
                for message in messages:
                    await message.in_progress()
            except NatsError:
                raise
            except Exception as error:
                return error

    async def _handle_alone(self, message: Msg, delivery: Delivery) -> None:
        failure: Exception | None = None
        for attempt in range(3):
            failure = await self._attempt([message], [delivery])
            if failure is None:
                return
            await asyncio.sleep(_back_off(attempt))
        _LOG.error("consumer %s: message %s of %s quarantined", self._spec.durable, delivery.sequence, delivery.subject, exc_info=failure)
        await self._give_up(message, delivery, f"{type(failure).__name__}: {failure}"[:500])

    async def _give_up(self, message: Msg, delivery: Delivery, reason: str) -> None:
        headers = {
            "rtcc-agency": delivery.agency_id,
            "rtcc-original-subject": delivery.subject,
            "rtcc-original-id": delivery.message_id,
            "rtcc-consumer": self._spec.durable,
            "rtcc-reason": reason.replace("\r", " ").replace("\n", " "),
            "rtcc-deliveries": str(delivery.deliveries),
        }
        identifier = f"{self._spec.durable}:{self._spec.stream.name}:{delivery.sequence}"
        await self._quarantine(f"quarantine.{self._spec.service}", delivery.data, headers, identifier)
        await message.term()
        QUARANTINED.labels(self._spec.durable).inc()


def _back_off(attempt: int) -> float:
    return _BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)]
