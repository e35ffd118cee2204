"""The edge's half of a cascade: another relay is the source of a camera's pictures."""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol, cast

from prometheus_client import Counter, Gauge, Histogram

from rtcc_video.cascade import wire
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.sound import SoundIntake
from rtcc_video.sources.source import Sink, SourceFailed

_log = logging.getLogger(__name__)

_CONNECT_S: Final = 2.0
_SILENCE_S: Final = 3.0
_WATCH_S: Final = 0.5
_KEY_EVERY_S: Final = 0.5
_ROOM_BYTES: Final = 64 * 1024
# another relay answers within moments or not at all, and viewers wait
RETRY_S: Final = 0.25

TAKEN = Gauge("rtcc_video_cascade_taken", "Streams that this relay takes from others now.")
BROKEN = Counter("rtcc_video_cascade_broken", "Times that a stream from another relay broke off or couldn't be had.")
LAG = Histogram(
    "rtcc_video_cascade_lag_seconds",
    "From when the origin sent a picture until it was here, by the clocks of both.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)


class StreamPlace(NamedTuple):
    """Where an origin gives a stream, and the ticket for it. `gives_sound`: it knows the wish for sound."""

    host: str
    port: int
    ticket: bytes
    gives_sound: bool = False


# Asks the origin. Raises `SourceFailed`.
type TakeTicket = Callable[[], Awaitable[StreamPlace]]


class Branched(Protocol):
    """What is needed of the feed that is filled."""

    ask_for_key_picture: Callable[[], None] | None


class CascadeSource:
    """A source (see `sources.source`). `viewers()`: how many watch here, which the origin counts too. `sound`: None: it isn't allowed."""

    def __init__(
        self,
        take: TakeTicket,
        feed: Branched,
        picture_limit_bytes: int,
        viewers: Callable[[], int],
        tls: Callable[[], ssl.SSLContext | None],
        sound: SoundIntake | None = None,
    ) -> None:
        self._take = take
        self._feed = feed
        self._limit_bytes = picture_limit_bytes
        self._viewers = viewers
        self._tls = tls
        self._sound = sound

    async def run(self, sink: Sink) -> None:
        """See `Source`."""
        try:
            await self._run(sink)
        except SourceFailed:
            BROKEN.inc()
            raise

    async def _run(self, sink: Sink) -> None:
        host, port, ticket, gives_sound = await self._take()
        loop, context = asyncio.get_running_loop(), self._tls()
        protocol = _Connection(sink, ticket, self._limit_bytes, self._viewers, self._sound if gives_sound else None)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await loop.create_connection(
                    lambda: protocol, host, port, ssl=context, server_hostname="rtcc.internal" if context is not None else None
                )
        except (OSError, TimeoutError, ssl.SSLError) as error:
            _log.warning("the relay at %s:%d can't be reached: %s", host, port, error)
            raise SourceFailed("The relay that takes this camera's pictures can't be reached.", retry_s=RETRY_S, cut_off=True) from error
        self._feed.ask_for_key_picture = protocol.ask_for_key_picture
        TAKEN.inc()
        try:
            await protocol.watch()
        finally:
            TAKEN.dec()
            if self._feed.ask_for_key_picture == protocol.ask_for_key_picture:
                self._feed.ask_for_key_picture = None
            protocol.close()


class _Connection(asyncio.BufferedProtocol):
    """Reads into one buffer that is used again: asyncio would else allocate 256 KiB for each picture."""

    def __init__(self, sink: Sink, ticket: bytes, limit_bytes: int, viewers: Callable[[], int], sound: SoundIntake | None) -> None:
        self._sink = sink
        self._sound = sound
        self._told_wanted = False
        self._ticket = ticket
        self._reader = wire.Reader(limit_bytes)
        self._room = memoryview(bytearray(_ROOM_BYTES))
        self._viewers = viewers
        self._told_viewers = 0
        self._transport: asyncio.Transport | None = None
        self._heard_s = time.monotonic()
        self._asked_s = 0.0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._ticket)
        try:
            self._sink.on_parameter_sets(())
        except SourceFailed as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(SourceFailed("The relay that takes this camera's pictures broke off.", retry_s=RETRY_S, cut_off=True))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        if self._over.done():
            return
        self._heard_s = time.monotonic()
        try:
            for message in self._reader.feed(self._room[:nbytes]):
                if isinstance(message, wire.Picture):
                    LAG.observe(max(0.0, time.time_ns() // 1000 - message.sent_us) / 1e6)
                    self._sink.on_unit(AccessUnit(message.nals, message.timestamp, message.key))
                elif isinstance(message, wire.Sound):
                    if self._sound is not None:
                        self._sound.give(message.payload, message.timestamp)
                elif isinstance(message, wire.End):
                    raise SourceFailed(message.reason, retry_s=RETRY_S)
        except wire.MalformedCascade as error:
            _log.error("another relay sends what can't be read: %s", error)
            self._fail(SourceFailed("What the relay that takes this camera's pictures sends can't be read."))
        except SourceFailed as error:
            self._fail(error)

    def ask_for_key_picture(self) -> None:
        """Passed on to the origin, at most twice a second."""
        now_s = time.monotonic()
        if self._transport is not None and now_s - self._asked_s >= _KEY_EVERY_S:
            self._asked_s = now_s
            self._transport.write(wire.pack_upward(wire.Upward.KEY_PICTURE_WANTED))

    async def watch(self) -> None:
        """Until the stream ends. Raises `SourceFailed`."""
        while True:
            done, _ = await asyncio.wait([self._over], timeout=_WATCH_S)
            if done:
                self._over.result()
                return
            if time.monotonic() - self._heard_s > _SILENCE_S:
                raise SourceFailed("The relay that takes this camera's pictures is silent.", retry_s=RETRY_S, cut_off=True)
            viewers = self._viewers()
            if viewers != self._told_viewers and self._transport is not None:
                self._told_viewers = viewers
                self._transport.write(wire.pack_upward(wire.Upward.VIEWERS, viewers))
            self._tell_wanted()

    def _tell_wanted(self) -> None:
        """Sound is sent while somebody hears it here."""
        if self._sound is not None and self._transport is not None and self._sound.wanted != self._told_wanted:
            self._told_wanted = not self._told_wanted
            self._transport.write(wire.pack_upward(wire.Upward.SOUND_WANTED, int(self._told_wanted)))

    def close(self) -> None:
        self._over.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: SourceFailed) -> None:
        if not self._over.done():
            self._over.set_exception(error)
        if self._transport is not None:
            self._transport.abort()
