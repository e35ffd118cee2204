"""NATS: acknowledged publishing, resumable consumers, ephemeral subjects. One connection a process."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nats
from google.protobuf.message import Message
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, BadRequestError, NotFoundError

from rtcc_chassis.consumer import ConsumerSpec, Delivery, DurableConsumer
from rtcc_chassis.errors import Exhausted, RtccError, Unavailable
from rtcc_chassis.settings import ChassisSettings
from rtcc_chassis.streams import ALL, StreamSpec
from rtcc_chassis.tail import Start, StreamTail
from rtcc_chassis.telemetry import inject_trace

_LOG = logging.getLogger(__name__)
_ACKNOWLEDGE_TIMEOUT_S = 5.0
# JetStream error codes (server/errors.json): no space by stream, by account, by server
_FULL_CODES = {10047, 10077, 10122, 10113, 10002, 10023}
_LOG_EVERY_S = 10.0
# JetStream error codes for a message that is not there (any more): 10043 by sequence, 10057 while erasing it
_GONE_CODES = {10037, 10043, 10057}
_ERASED_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class PublishReceipt:
    """Durable at `sequence`; `duplicate`: the same message id was there before."""

    sequence: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish: `message_id` makes a repeat harmless inside the stream's duplicate window."""

    subject: str
    message: Message | bytes
    message_id: str
    agency_id: str
    event_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        return self.message if isinstance(self.message, bytes) else self.message.SerializeToString()

    def all_headers(self) -> dict[str, str]:
        """CloudEvents 1.0 NATS binding, the duplicate key, and the trace."""
        kind = self.event_type or (self.message.DESCRIPTOR.full_name if isinstance(self.message, Message) else "bytes")
        headers = {
            "Nats-Msg-Id": self.message_id,
            "ce-specversion": "1.0",
            "ce-id": self.message_id,
            "ce-type": kind,
            "ce-source": "openrtcc",
            "ce-time": f"{time.time():.6f}",
            "rtcc-agency": self.agency_id,
            **self.headers,
        }
        if "traceparent" not in headers:
            # a message from the outbox keeps the trace in which it was written
            inject_trace(headers)
        return headers


class Bus:
    """All traffic with NATS. Raises Unavailable when it is away and Exhausted when a bound is reached."""

    def __init__(self, client: Client, *, size_factor: float = 1.0) -> None:
        self._client = client
        self._jetstream: JetStreamContext = client.jetstream(timeout=_ACKNOWLEDGE_TIMEOUT_S, publish_async_max_pending=8192)
        self._size_factor = size_factor

    @classmethod
    async def connect(cls, settings: ChassisSettings, name: str) -> "Bus":
        """Connect and keep reconnecting for ever; waits up to 60 s for the first connection."""
        log = _ThrottledLog()

        async def on_error(error: Exception) -> None:
            log.warning("NATS: %s", error)

        async def on_disconnect() -> None:
            log.warning("NATS: disconnected, reconnecting")

        options: dict[str, Any] = {
            "servers": [settings.nats_url], "name": name, "error_cb": on_error, "disconnected_cb": on_disconnect,
            "max_reconnect_attempts": -1, "reconnect_time_wait": 0.25, "ping_interval": 10, "max_outstanding_pings": 3,
            "pending_size": 64 * 1024 * 1024, "flusher_queue_size": 65536, "connect_timeout": 5,
        }  # fmt: skip
        if settings.nats_credentials:
            options["user_credentials"] = settings.nats_credentials
        elif settings.nats_user:
            options |= {"user": settings.nats_user, "password": settings.nats_password}
        if settings.nats_authority:
            import ssl

            options["tls"] = ssl.create_default_context(cafile=settings.nats_authority)
        deadline = time.monotonic() + 60
        while True:
            try:
                async with asyncio.timeout(10):
                    client = await nats.connect(**options)
                return cls(client, size_factor=settings.stream_size_factor)
            except (NatsError, OSError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise Unavailable("NATS", f"no connection to {settings.nats_url} in 60 s ({error})") from error
                await asyncio.sleep(0.2)

    @property
    def client(self) -> Client:
        """The raw connection, for the parts of NATS that have no wrapper here."""
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        return self._jetstream

    async def ensure_streams(self, specs: Sequence[StreamSpec] = ALL) -> None:
        """Create or update every stream; safe to call from several services at once."""
        for spec in specs:
            config = StreamConfig(
                name=spec.name,
                subjects=list(spec.subjects),
                max_bytes=int(spec.size_bytes * self._size_factor),
                max_age=spec.age_s,
                storage=StorageType.FILE,
                discard=DiscardPolicy.NEW if spec.when_full == "refuse" else DiscardPolicy.OLD,
                max_msgs_per_subject=1 if spec.last_per_subject else -1,
                duplicate_window=min(spec.duplicate_window_s, spec.age_s or spec.duplicate_window_s),
                allow_direct=True,
                allow_msg_schedules=spec.schedules or None,
            )
            if spec.last_per_subject:
                # a mirror keeps the newest value, so a full directory must still take updates
                config.discard = DiscardPolicy.OLD
            await self._ensure_stream(config)

    async def _ensure_stream(self, config: StreamConfig) -> None:
        try:
            await self._jetstream.add_stream(config)
        except BadRequestError:
            await self._jetstream.update_stream(config)
        except (NatsError, APIError, TimeoutError) as error:
            raise _mapped(f"the stream {config.name}", error) from error

    async def publish(
        self,
        subject: str,
        message: Message | bytes,
        *,
        message_id: str,
        agency_id: str,
        event_type: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> PublishReceipt:
        """Durable when it returns."""
        receipts = await self.publish_many([Outgoing(subject, message, message_id, agency_id, event_type, headers or {})])
        return receipts[0]

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[PublishReceipt]:
        """All durable when it returns; on an error some may be, and repeating with the same ids is harmless."""
        try:
            async with asyncio.timeout(_ACKNOWLEDGE_TIMEOUT_S):
                futures = [await self._jetstream.publish_async(m.subject, m.body(), headers=m.all_headers()) for m in messages]
                acknowledgements = await asyncio.gather(*futures)
        except (NatsError, APIError, TimeoutError, OSError) as error:
            raise _mapped(f"the stream of {messages[0].subject}", error) from error
        return [PublishReceipt(ack.seq, bool(ack.duplicate)) for ack in acknowledgements]

    async def publish_core(self, subject: str, message: Message | bytes, headers: Mapping[str, str] | None = None) -> None:
        """Fire and forget: for state that is sent again anyway."""
        body = message if isinstance(message, bytes) else message.SerializeToString()
        try:
            await self._client.publish(subject, body, headers=dict(headers) if headers else None)
        except (NatsError, OSError) as error:
            raise _mapped("NATS", error) from error

    async def subscribe_core(self, subject: str, handler: Callable[[Msg], Awaitable[None]], *, queue: str = "") -> None:
        """Call `handler` for each message; its errors are logged, never fatal. Beyond 10,000 waiting messages the newest are lost."""

        async def guarded(message: Msg) -> None:
            try:
                await handler(message)
            except RtccError as error:
                _LOG.warning("%s: %s", message.subject, error.message)
            except Exception:
                _LOG.exception("handler of %s failed", subject)

        await self._client.subscribe(subject, queue=queue, cb=guarded, pending_msgs_limit=10_000, pending_bytes_limit=32 * 1024 * 1024)

    def consume(self, spec: ConsumerSpec, handler: Callable[[Sequence[Delivery]], Awaitable[None]]) -> Coroutine[Any, Any, None]:
        """A durable consumer that resumes where its last acknowledgement was; spawn the coroutine."""
        return DurableConsumer(self._client, self._jetstream, spec, handler, self._publish_quarantined).run()

    def tail(
        self, stream: StreamSpec, subjects: Sequence[str], handler: Callable[[Sequence[Delivery]], Awaitable[None]], *, start: Start
    ) -> StreamTail:
        """An ordered reader without acknowledgements that heals itself; spawn `.run()`."""
        return StreamTail(self._client, self._jetstream, stream, tuple(subjects), handler, start)

    async def _publish_quarantined(self, subject: str, body: bytes, headers: Mapping[str, str], message_id: str) -> None:
        await self.publish(subject, body, message_id=message_id, agency_id=headers.get("rtcc-agency", ""), headers=headers)

    async def drain(self) -> None:
        """Flush and close; messages in flight are acknowledged or come again."""
        try:
            async with asyncio.timeout(5):
                await self._client.drain()
        except Exception as error:
            # a connection that died while it drains fails inside the client in ways of its own: nothing is lost that was acknowledged
            _LOG.info("NATS: closed without a full drain (%s)", error)
            with contextlib.suppress(Exception):
                await self._client.close()

    async def erase(self, stream: StreamSpec, sequences: Collection[int]) -> None:
        """Overwrite and remove messages; those that are gone already are fine. Raises Unavailable when NATS is away."""
        waiting = list(sequences)
        for start in range(0, len(waiting), _ERASED_AT_ONCE):
            await asyncio.gather(*(self._erase(stream.name, sequence) for sequence in waiting[start : start + _ERASED_AT_ONCE]))

    async def _erase(self, stream: str, sequence: int) -> None:
        try:
            await self._jetstream.delete_msg(stream, sequence)
        except NotFoundError:
            return
        except APIError as error:
            if error.err_code not in _GONE_CODES:
                raise Unavailable(f"the stream {stream}") from error
        except (NatsError, OSError, TimeoutError) as error:
            raise Unavailable(f"the stream {stream}") from error

    async def delete_consumer(self, stream: str, durable: str) -> None:
        """Forget a durable consumer; absent is fine."""
        try:
            await self._jetstream.delete_consumer(stream, durable)
        except NotFoundError:
            return


def _mapped(what: str, error: BaseException) -> RtccError:
    code = getattr(error, "err_code", None)
    if code in _FULL_CODES:
        return Exhausted(what, "its size")
    if code is not None:
        return Unavailable(what, f"JetStream error {code}: {getattr(error, 'description', error)}")
    return Unavailable(what)


class _ThrottledLog:
    """At most one line every 10 s: a slow consumer calls back once per dropped message."""

    def __init__(self) -> None:
        self._next = 0.0
        self._suppressed = 0

    def warning(self, text: str, *values: object) -> None:
        now = time.monotonic()
        if now < self._next:
            self._suppressed += 1
            return
        _LOG.warning(text + " (%d similar before)", *values, self._suppressed)
        self._next, self._suppressed = now + _LOG_EVERY_S, 0


__all__ = ["Bus", "ConsumerConfig", "ConsumerSpec", "Delivery", "Outgoing", "PublishReceipt"]
