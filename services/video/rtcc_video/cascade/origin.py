"""The origin's half of a cascade: edges come with a ticket and get a stream's pictures as they are, the cached group first."""

import asyncio
import contextlib
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from prometheus_client import Counter, Gauge

from rtcc_chassis.errors import Exhausted
from rtcc_video.cascade import wire
from rtcc_video.cascade.group import group_of
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.sound import SoundPacket
from rtcc_video.feed import HAND_OVER_S, Feed
from rtcc_video.feeds import Feeds

_log = logging.getLogger(__name__)

TICKET_LIFE_S: Final = 10.0
_TICKETS_MOST: Final = 4096
_FIRST_WORD_S: Final = 5.0
_WAITING_MOST: Final = 256
_TICK_S: Final = 1.0
# what an edge may be behind: beyond it pictures are left out up to the next key picture
_BACKLOG_BYTES: Final = 4_000_000

BRANCHES = Gauge("rtcc_video_cascade_branches", "Streams that other relays take from this one now.")
LEFT_OUT = Counter("rtcc_video_cascade_pictures_left_out", "Pictures that another relay was too slow to take.")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What it opens, for whom, and until when (monotonic seconds)."""

    camera_id: str
    stream_id: str
    relay_id: str
    until_s: float


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the certificate between services; renewed ones are read again."""

    certificate: Path
    key: Path


class Origin:
    """Listens for edges. `here(camera)`: whether this relay is the camera's origin; a branch whose camera isn't any more ends."""

    def __init__(
        self, feeds: Feeds, here: Callable[[str], bool], tls: TlsFiles | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._feeds = feeds
        self._here = here
        self._tls = tls
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self._read_ns = 0
        self._tickets: dict[bytes, Ticket] = {}
        self._branches: set[Branch] = set()
        self._waiting: set[Branch] = set()
        self._server: asyncio.Server | None = None
        self._packed: tuple[AccessUnit, bytes] | None = None
        self._packed_sound: tuple[SoundPacket, bytes] | None = None
        self.port = 0

    def __len__(self) -> int:
        return len(self._branches)

    def taken(self, besides: Container[str]) -> int:
        """How many streams other relays take, of other cameras than these."""
        return sum(branch.ticket is not None and branch.ticket.camera_id not in besides for branch in self._branches)

    @property
    def now_s(self) -> float:
        """The clock."""
        return self._clock()

    async def start(self, host: str, port: int) -> None:
        """Raises `OSError`."""
        if self._tls is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_3
            self._read_certificate()
        self._server = await asyncio.get_running_loop().create_server(lambda: Branch(self), host, port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends every branch."""
        if self._server is not None:
            self._server.close()
            for branch in self._branches | self._waiting:
                branch.end("The relay was stopped.")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._server.wait_closed()

    def issue(self, camera_id: str, stream_id: str, relay_id: str) -> bytes:
        """A ticket for one connection. Raises `Exhausted`."""
        now_s = self._clock()
        if len(self._tickets) >= _TICKETS_MOST:
            self._tickets = {key: ticket for key, ticket in self._tickets.items() if ticket.until_s >= now_s}
            if len(self._tickets) >= _TICKETS_MOST:
                raise Exhausted("the number of streams that relays ask for at once", _TICKETS_MOST)
        key = secrets.token_bytes(wire.TICKET_BYTES)
        self._tickets[key] = Ticket(camera_id, stream_id, relay_id, now_s + TICKET_LIFE_S)
        return key

    def redeem(self, key: bytes) -> tuple[Ticket, Feed] | None:
        """What a ticket opens, once; None for one that is unknown, used, too old, or of a camera that this relay doesn't give any more."""
        ticket = self._tickets.pop(key, None)
        if ticket is None or ticket.until_s < self._clock() or not self._here(ticket.camera_id):
            return None
        feed = self._feeds.get(ticket.camera_id, ticket.stream_id)
        return None if feed is None else (ticket, feed)

    def viewers(self) -> dict[str, int]:
        """Camera -> how many watch its main stream at other relays."""
        found: dict[str, int] = {}
        for branch in self._branches:
            if branch.ticket is not None:
                found[branch.ticket.camera_id] = found.get(branch.ticket.camera_id, 0) + branch.viewers
        return found

    async def run(self) -> None:
        """For ever: says that it is there, and ends what isn't to be given any more."""
        while True:
            await asyncio.sleep(_TICK_S)
            with contextlib.suppress(OSError, ssl.SSLError):
                self._read_certificate()
            self.look()
            BRANCHES.set(len(self._branches))

    def look(self) -> None:
        """Ends the branches whose camera was removed, disabled, given away or moved to another origin; tells the others a sign of life."""
        for branch in tuple(self._branches):
            ticket = branch.ticket
            if ticket is None or self._feeds.get(ticket.camera_id, ticket.stream_id) is not branch.feed:
                branch.end("The camera was removed or disabled, or its streams were changed.")
            elif not self._here(ticket.camera_id) and self._clock() - branch.mine_s > HAND_OVER_S:
                branch.end("Another relay takes this camera from now on.")
            else:
                if self._here(ticket.camera_id):
                    branch.mine_s = self._clock()
                branch.tell_quiet()
                branch.follow_sound()

    def pack(self, unit: AccessUnit, timestamp: int) -> bytes:
        """The message of a picture, made once for all edges."""
        if self._packed is None or self._packed[0] is not unit:
            self._packed = (unit, wire.pack_picture(unit.nals, timestamp, unit.key, time.time_ns() // 1000))
        return self._packed[1]

    def pack_sound(self, packet: SoundPacket) -> bytes:
        """The message of a packet of sound, made once for all edges."""
        if self._packed_sound is None or self._packed_sound[0] is not packet:
            self._packed_sound = (packet, wire.pack_sound(packet.payload, packet.timestamp))
        return self._packed_sound[1]

    def add(self, branch: "Branch") -> bool:
        """A connection came; False: too many are there that haven't said what they want."""
        if len(self._waiting) >= _WAITING_MOST:
            return False
        self._waiting.add(branch)
        return True

    def settle(self, branch: "Branch") -> None:
        """Its ticket was good."""
        self._waiting.discard(branch)
        self._branches.add(branch)

    def remove(self, branch: "Branch") -> None:
        """It ended."""
        self._waiting.discard(branch)
        self._branches.discard(branch)

    def _read_certificate(self) -> None:
        if self._tls is None or self._context is None:
            return
        changed_ns = max(self._tls.certificate.stat().st_mtime_ns, self._tls.key.stat().st_mtime_ns)
        if changed_ns != self._read_ns:
            self._context.load_cert_chain(self._tls.certificate, self._tls.key)
            self._read_ns = changed_ns


class Branch(asyncio.Protocol):
    """One edge taking one stream."""

    def __init__(self, origin: Origin) -> None:
        self.ticket: Ticket | None = None
        self.feed: Feed | None = None
        self.viewers = 0
        # until when this relay was the camera's origin (monotonic seconds)
        self.mine_s = 0.0
        self._origin = origin
        self._transport: asyncio.Transport | None = None
        self._first = b""
        self._upward = wire.UpwardReader()
        self._timer: asyncio.TimerHandle | None = None
        self._waits_for_key = True
        self._sent = False
        self._wants_sound = False
        self._hears = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._origin.add(self):
            self._transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(_FIRST_WORD_S, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._let_go()
        self._origin.remove(self)

    def data_received(self, data: bytes) -> None:
        if self.feed is None:
            self._first += data
            if len(self._first) < wire.TICKET_BYTES:
                return
            data, ticket = self._first[wire.TICKET_BYTES :], self._first[: wire.TICKET_BYTES]
            self._first = b""
            if not self._begin(ticket):
                return
        try:
            said = self._upward.feed(data)
        except wire.MalformedCascade as error:
            _log.warning("a relay that takes camera %s sends %s", self.ticket.camera_id if self.ticket else "?", error)
            self._abort()
            return
        for kind, number in said:
            if kind is wire.Upward.VIEWERS:
                self.viewers = number
            elif kind is wire.Upward.SOUND_WANTED:
                self._wants_sound = number != 0
                self.follow_sound()
            elif self.feed is not None and self.feed.ask_for_key_picture is not None:
                self.feed.ask_for_key_picture()

    def take(self, unit: AccessUnit) -> None:
        """The next picture; see `LiveStream.taps`."""
        transport, feed = self._transport, self.feed
        if transport is None or feed is None or transport.is_closing():
            return
        if self._waits_for_key and not unit.key:
            return
        if transport.get_write_buffer_size() > _BACKLOG_BYTES:
            LEFT_OUT.inc()
            self._waits_for_key = True
            return
        self._waits_for_key = False
        self._sent = True
        transport.write(self._origin.pack(unit, feed.stream.last_timestamp))

    def follow_sound(self) -> None:
        """Gives sound while the edge wants it and it is allowed; asked again now and then, for it may be allowed later."""
        if self.feed is None or self._wants_sound == self._hears:
            return
        if self._wants_sound:
            self._hears = self.feed.stream.sound.attach(self)
        else:
            self._hears = False
            self.feed.stream.sound.detach(self)

    def hear(self, packet: SoundPacket) -> None:
        """See `SoundListener`; an edge that is behind gets none."""
        transport = self._transport
        if transport is not None and not transport.is_closing() and transport.get_write_buffer_size() <= _BACKLOG_BYTES:
            transport.write(self._origin.pack_sound(packet))

    def end_sound(self) -> None:
        """See `SoundListener`."""
        self._hears = False

    def tell_quiet(self) -> None:
        """A sign of life where no picture was sent since the last."""
        if not self._sent and self._transport is not None and self._transport.get_write_buffer_size() < _BACKLOG_BYTES:
            self._transport.write(wire.QUIET)
        self._sent = False

    def end(self, reason: str) -> None:
        """Says why, and closes."""
        self._let_go()
        if self._transport is not None:
            self._transport.write(wire.pack_end(reason))
            self._transport.close()

    def _begin(self, key: bytes) -> bool:
        found = self._origin.redeem(key)
        if self._timer is not None:
            self._timer.cancel()
        if found is None or self._transport is None:
            self._abort()
            return False
        self.ticket, feed = found
        self.feed, self.mine_s = feed, self._origin.now_s
        self._origin.settle(self)
        group = group_of(feed.stream)
        sent_us = time.time_ns() // 1000
        self._transport.writelines([wire.pack_picture(unit.nals, unit.timestamp, unit.key, sent_us) for unit in group])
        self._waits_for_key = not group
        feed.stream.taps.append(self.take)
        feed.want()
        return True

    def _let_go(self) -> None:
        self._wants_sound = False
        self.follow_sound()
        if self.feed is not None and self.take in self.feed.stream.taps:
            self.feed.stream.taps.remove(self.take)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
