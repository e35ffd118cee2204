"""An ordered, self-healing reader of a stream: for live feeds and mirrors that keep their own place."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from rtcc_chassis.consumer import Delivery
from rtcc_chassis.pull import PullEnded, pulling
from rtcc_chassis.streams import StreamSpec
from rtcc_chassis.telemetry import consumed

_LOG = logging.getLogger(__name__)

# a stream sequence to begin with, only what comes from now on, everything, or the newest of each subject and then what comes
Start = int | Literal["new", "all", "last_per_subject"]


class StreamTail:
    """Delivers in stream order, each message once per life of this object; a lost consumer is made again at the next sequence."""

    def __init__(
        self,
        client: Client,
        jetstream: JetStreamContext,
        stream: StreamSpec,
        subjects: tuple[str, ...],
        handler: Callable[[Sequence[Delivery]], Awaitable[None]],
        start: Start,
    ) -> None:
        self._client = client
        self._jetstream = jetstream
        self._stream = stream
        self._subjects = subjects
        self._handler = handler
        self._start = start
        self._caught_up = asyncio.Event()
        self._to_catch_up = 0
        self.last_sequence = start - 1 if isinstance(start, int) else 0

    async def caught_up(self) -> None:
        """Wait until everything that stood in the stream at the start was handled."""
        await self._caught_up.wait()

    async def run(self) -> None:
        """For ever; cancel to stop."""
        while True:
            try:
                consumer = await self._create()
                async with pulling(self._client, self._stream.name, consumer, 512) as pull:
                    while True:
                        messages = await pull.next_batch(256)
                        if messages:
                            await self._deliver([Delivery.of(message) for message in messages])
                            # what was waited for may have been erased or pushed out meanwhile: the server's own count decides too
                            if messages[-1].metadata.num_pending == 0:
                                self._caught_up.set()
            except (PullEnded, NatsError, APIError, OSError, TimeoutError) as error:
                _LOG.info("tail of %s: starting again after %s", self._stream.name, error)
                await asyncio.sleep(0.25)

    async def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        fresh = [d for d in deliveries if d.sequence > self.last_sequence]
        if fresh:
            try:
                with consumed(f"tail {self._stream.name}", fresh[0].headers):
                    await self._handler(fresh)
            except Exception:
                _LOG.exception("tail of %s: a handler failed and its batch was passed over", self._stream.name)
            self.last_sequence = fresh[-1].sequence
        self._to_catch_up -= len(deliveries)
        if self._to_catch_up <= 0:
            self._caught_up.set()

    async def _create(self) -> str:
        config = ConsumerConfig(filter_subjects=list(self._subjects), ack_policy=AckPolicy.NONE, inactive_threshold=30.0, mem_storage=True)
        if self.last_sequence or isinstance(self._start, int):
            config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, self.last_sequence + 1
        elif self._start == "last_per_subject":
            config.deliver_policy = DeliverPolicy.LAST_PER_SUBJECT
        elif self._start == "all":
            config.deliver_policy = DeliverPolicy.ALL
        else:
            state = (await self._jetstream.stream_info(self._stream.name)).state
            self.last_sequence = state.last_seq
            config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, self.last_sequence + 1
        info = await self._jetstream.add_consumer(self._stream.name, config)
        self._to_catch_up = info.num_pending or 0
        if self._to_catch_up == 0:
            self._caught_up.set()
        return info.name
