"""The relay's one UDP socket and one TCP port: tells checks, handshakes and feedback apart and hands them to viewers."""

import asyncio
import contextlib
import datetime
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from rtcc_video.engine import stun
from rtcc_video.engine.accelerator import Accelerator
from rtcc_video.engine.dtls import DtlsIdentity
from rtcc_video.engine.paths import Address, Path, TcpPath, UdpPath, UdpSender
from rtcc_video.engine.sdp import AnswerParameters, build_answer, parse_offer
from rtcc_video.engine.stream import LiveStream
from rtcc_video.engine.viewer import CloseReason, Viewer, ViewerSetup

_log = logging.getLogger(__name__)

_DATAGRAMS_PER_WAKEUP: Final = 64
_DATAGRAM_LIMIT_BYTES: Final = 2048
_ADDRESSES_PER_VIEWER: Final = 8
_TICK_S: Final = 1.0
_TCP_INTRODUCTION_S: Final = 10.0
_PORT_TRIES: Final = 20

type OnClosed = Callable[[Viewer, CloseReason], None]


class TooManyViewers(Exception):
    """The relay's viewer limit is reached; `limit` is the setting."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"This relay already serves its limit of {limit} viewers. Close a view, or raise viewer_limit.")
        self.limit = limit


class NoFreePort(OSError):
    """UDP and TCP couldn't be bound to one port number."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """`public_addresses` are announced to viewers and must lead to `bind_host`; port 0 takes any free one."""

    bind_host: str = "127.0.0.1"
    port: int = 0
    public_addresses: tuple[str, ...] = ("127.0.0.1",)
    tcp: bool = True
    viewer_limit: int = 400
    send_buffer_bytes: int = 8_000_000
    consent_timeout_s: float = 30.0
    setup_timeout_s: float = 15.0


@dataclass(slots=True)
class _Entry:
    viewer: Viewer
    on_closed: OnClosed
    expires_s: float | None
    paths: dict[Address, Path]


class Endpoint:
    """See the module. Runs on one event loop; `clock` gives monotonic seconds."""

    def __init__(
        self, settings: EndpointSettings, clock: Callable[[], float] = time.monotonic, accelerator: Accelerator | None = None
    ) -> None:
        self._settings = settings
        self._accelerator = accelerator
        self._clock = clock
        self._identity = DtlsIdentity(datetime.datetime.now(datetime.UTC))
        self._entries: dict[str, _Entry] = {}
        self._by_ufrag: dict[str, _Entry] = {}
        self._by_address: dict[Address, _Entry] = {}
        self._udp: socket.socket | None = None
        self._sender: UdpSender | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[_TcpPeer] = set()
        self._ticker: asyncio.Task[None] | None = None
        self.port = settings.port

    @property
    def viewers(self) -> list[Viewer]:
        """Every open viewer."""
        return [entry.viewer for entry in self._entries.values()]

    @property
    def clock(self) -> Callable[[], float]:
        """The monotonic clock that everything here runs on."""
        return self._clock

    async def start(self) -> None:
        """Binds both sockets. Raises `NoFreePort` or `OSError`."""
        loop = asyncio.get_running_loop()
        for attempt in range(_PORT_TRIES):
            udp = self._bind_udp()
            port = udp.getsockname()[1]
            if not self._settings.tcp:
                break
            try:
                self._server = await loop.create_server(lambda: _TcpPeer(self), self._settings.bind_host, port)
            except OSError:
                udp.close()
                if self._settings.port or attempt == _PORT_TRIES - 1:
                    raise NoFreePort(f"TCP port {port} is taken while UDP {port} is free; set another media port.") from None
            else:
                break
        self._udp, self._sender, self.port = udp, UdpSender(udp), port
        loop.add_reader(udp.fileno(), self._on_readable)
        self._ticker = loop.create_task(self._tick_forever(), name="video-endpoint-tick")

    async def stop(self) -> None:
        """Closes every view with a goodbye, then the sockets."""
        for entry in list(self._entries.values()):
            self._close(entry, CloseReason.SHUTDOWN)
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        if self._server is not None:
            self._server.close()
            for connection in tuple(self._connections):
                connection.abort()
            await self._server.wait_closed()
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp.fileno())
            self._udp.close()
            self._udp = None

    def open(
        self,
        viewer_id: str,
        stream: LiveStream,
        offer_sdp: str,
        on_closed: OnClosed,
        expires_s: float | None = None,
    ) -> tuple[Viewer, str]:
        """A viewer of `stream` and the answer to its offer; `expires_s` is a moment of the monotonic clock.

        Raises `sdp.UnusableOffer`, `TooManyViewers`.
        """
        if len(self._entries) >= self._settings.viewer_limit:
            raise TooManyViewers(self._settings.viewer_limit)
        offer = parse_offer(offer_sdp)
        parameters = stream.sequence_parameters
        chosen = offer.choose_format(parameters.profile_level_id if parameters else None)
        setup = ViewerSetup(viewer_id, offer, chosen)
        viewer = Viewer(setup, stream, self._identity, self._clock, asyncio.get_running_loop().call_later, self._accelerator)
        entry = _Entry(viewer, on_closed, expires_s, {})
        self._entries[viewer_id] = entry
        self._by_ufrag[setup.ice_ufrag] = entry
        ours = AnswerParameters(
            setup.ice_ufrag,
            setup.ice_pwd,
            self._identity.fingerprint_sha256,
            self._settings.public_addresses,
            self.port,
            self._settings.tcp,
            stream.ssrc,
            stream.cname,
            int(setup.ice_ufrag, 16) >> 2,
        )
        return viewer, build_answer(offer, chosen, ours)

    def close(self, viewer_id: str, reason: CloseReason) -> bool:
        """Ends one view now; False when there is none of that id."""
        entry = self._entries.get(viewer_id)
        if entry is None:
            return False
        self._close(entry, reason)
        return True

    def on_datagram(self, data: bytes, path: Path | None, address: Address) -> Path | None:
        """Routes one datagram by its first byte (RFC 7983) and source. Returns the path that it was learnt on, if any."""
        if not data:
            return None
        first = data[0]
        if first < 4:
            return self._on_stun(data, path, address)
        entry = self._by_address.get(address)
        if entry is None:
            return None
        if 20 <= first <= 63:
            entry.viewer.on_dtls(data, entry.paths[address])
        elif 128 <= first <= 191 and len(data) > 8 and 192 <= data[1] <= 223:
            entry.viewer.on_rtcp(data)
        if entry.viewer.wants_close is not None:
            self._close(entry, entry.viewer.wants_close)
        return None

    def forget_path(self, address: Address) -> None:
        """A TCP connection ended: its address leads nowhere any more."""
        entry = self._by_address.pop(address, None)
        if entry is not None:
            entry.viewer.lose_path(entry.paths.pop(address))

    def _on_stun(self, data: bytes, path: Path | None, address: Address) -> Path | None:
        try:
            message = stun.parse_stun(data)
        except stun.MalformedStun:
            return None
        username = message.username
        entry = self._by_ufrag.get(username.partition(":")[0]) if username else None
        if entry is None or self._sender is None:
            return None
        known = entry.paths.get(address)
        path = known or path or UdpPath(self._sender, address)
        if not entry.viewer.on_check(message, path):
            return None
        if known is None:
            self._learn(entry, address, path)
        return path

    def _learn(self, entry: _Entry, address: Address, path: Path) -> None:
        if len(entry.paths) >= _ADDRESSES_PER_VIEWER:
            oldest = next((known for known, used in entry.paths.items() if not entry.viewer.uses(used)), None)
            if oldest is not None:
                self._by_address.pop(oldest, None)
                entry.paths.pop(oldest).close()
        before = self._by_address.get(address)
        if before is not None and before is not entry:
            before.paths.pop(address, None)
        entry.paths[address] = path
        self._by_address[address] = entry

    def _close(self, entry: _Entry, reason: CloseReason) -> None:
        viewer = entry.viewer
        if self._entries.pop(viewer.setup.viewer_id, None) is None:
            return
        self._by_ufrag.pop(viewer.setup.ice_ufrag, None)
        viewer.close()
        for address, path in entry.paths.items():
            self._by_address.pop(address, None)
            path.close()
        entry.on_closed(viewer, reason)

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                self._tick()
            except Exception:
                _log.exception("The relay's second tick failed; it goes on with the next")

    def _tick(self) -> None:
        now_s, unix_s = self._clock(), time.time()
        reports: dict[int, bytes | None] = {}
        for entry in list(self._entries.values()):
            reason = self._due(entry, now_s)
            if reason is not None:
                self._close(entry, reason)
                continue
            viewer = entry.viewer
            viewer.forget_old()
            if viewer.secured:
                if viewer.stream.ssrc not in reports:
                    reports[viewer.stream.ssrc] = viewer.stream.sender_report(unix_s)
                viewer.judge_link()
                viewer.send_report(reports[viewer.stream.ssrc], unix_s)

    def _due(self, entry: _Entry, now_s: float) -> CloseReason | None:
        viewer = entry.viewer
        if viewer.wants_close is not None:
            return viewer.wants_close
        if entry.expires_s is not None and now_s >= entry.expires_s:
            return CloseReason.EXPIRED
        if not viewer.secured:
            return CloseReason.NEVER_CONNECTED if now_s - viewer.times.opened_s > self._settings.setup_timeout_s else None
        return CloseReason.CONSENT_LOST if now_s - viewer.times.heard_s > self._settings.consent_timeout_s else None

    def _bind_udp(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._settings.bind_host else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._settings.send_buffer_bytes)
            udp.bind((self._settings.bind_host, self._settings.port))
        except OSError:
            udp.close()
            raise
        return udp

    def _on_readable(self) -> None:
        udp = self._udp
        if udp is None:
            return
        for _ in range(_DATAGRAMS_PER_WAKEUP):
            try:
                data, address = udp.recvfrom(_DATAGRAM_LIMIT_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue
            self.on_datagram(data, None, address)

    def add_connection(self, connection: "_TcpPeer") -> bool:
        """Counts a new TCP connection; False when there are too many."""
        if len(self._connections) >= 2 * self._settings.viewer_limit + 64:
            return False
        self._connections.add(connection)
        return True

    def remove_connection(self, connection: "_TcpPeer") -> None:
        """A TCP connection has ended."""
        self._connections.discard(connection)


class _TcpPeer(asyncio.Protocol):
    """One accepted ICE-TCP connection (RFC 6544): packets behind two length bytes, checks first."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.Transport | None = None
        self._path: TcpPath | None = None
        self._address: Address = ("", 0)
        self._buffer = b""
        self._introduced = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._endpoint.add_connection(self):
            transport.close()
            return
        # uvloop's transports don't derive from asyncio.Transport: a check of the type would turn every peer away
        self._transport = cast(asyncio.Transport, transport)
        self._path = TcpPath(self._transport)
        # Prefixed, so that it never equals a UDP address of the same numbers.
        self._address = (f"tcp/{self._path.host}", self._path.port)
        asyncio.get_running_loop().call_later(_TCP_INTRODUCTION_S, self._end_if_silent)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        offset = 0
        while len(buffer) - offset >= 2:
            length = int.from_bytes(buffer[offset : offset + 2], "big")
            if length > _DATAGRAM_LIMIT_BYTES:
                self.abort()
                return
            if len(buffer) - offset - 2 < length:
                break
            learnt = self._endpoint.on_datagram(buffer[offset + 2 : offset + 2 + length], self._path, self._address)
            self._introduced |= learnt is not None
            offset += 2 + length
        self._buffer = buffer[offset:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._endpoint.remove_connection(self)
        self._endpoint.forget_path(self._address)

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _end_if_silent(self) -> None:
        if not self._introduced:
            self.abort()
