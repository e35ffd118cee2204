"""The relay's one UDP socket and one TCP port: tells checks, handshakes and feedback apart and hands them to viewers."""

import asyncio
import contextlib
import datetime
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine import stun
from rtcc_video.engine.accelerator import Accelerator
from rtcc_video.engine.answer import AnsweredSound, build_answer
from rtcc_video.engine.dtls import DtlsIdentity
from rtcc_video.engine.entries import Patience, ViewerEntry
from rtcc_video.engine.fragments import build_fragment
from rtcc_video.engine.intake import Intake
from rtcc_video.engine.paths import Address, Path, UdpPath, UdpSender
from rtcc_video.engine.peer import Peer, PeerEntry
from rtcc_video.engine.sdp import AnswerParameters, candidate_lines, parse_offer
from rtcc_video.engine.sockets import DATAGRAM_LIMIT_BYTES, TcpPeer, UdpReader, bind_tcp, bind_udp
from rtcc_video.engine.stream import LiveStream
from rtcc_video.engine.viewer import CloseReason, LinkFacts, Viewer, ViewerSetup

_log = logging.getLogger(__name__)

_ADDRESSES_PER_VIEWER: Final = 8
_TICK_S: Final = 1.0
_TURNS: Final = 10
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


class Endpoint:
    """See the module. Runs on one event loop; `clock` gives monotonic seconds."""

    def __init__(
        self, settings: EndpointSettings, clock: Callable[[], float] = time.monotonic, accelerator: Accelerator | None = None
    ) -> None:
        self._settings = settings
        self._accelerator = accelerator
        self._clock = clock
        self._identity = DtlsIdentity(datetime.datetime.now(datetime.UTC))
        self._entries: dict[str, ViewerEntry] = {}
        self._peers: dict[str, PeerEntry] = {}
        self._patience = Patience(clock)
        self._by_ufrag: dict[str, ViewerEntry | PeerEntry] = {}
        self._by_address: dict[Address, ViewerEntry | PeerEntry] = {}
        self._opened = 0
        self._reader: UdpReader | None = None
        self._sender: UdpSender | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[TcpPeer] = set()
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
            udp = bind_udp(self._settings.bind_host, self._settings.port, self._settings.send_buffer_bytes)
            port = udp.getsockname()[1]
            if not self._settings.tcp:
                break
            try:
                self._server = await loop.create_server(lambda: TcpPeer(self), sock=bind_tcp(self._settings.bind_host, port))
            except OSError:
                udp.close()
                if self._settings.port or attempt == _PORT_TRIES - 1:
                    raise NoFreePort(f"TCP port {port} is taken while UDP {port} is free; set another media port.") from None
            else:
                break
        self._sender, self.port = UdpSender(udp), port
        intake = None if self._accelerator is None else Intake(self._accelerator, DATAGRAM_LIMIT_BYTES)
        self._reader = UdpReader(udp, lambda data, sender: self.on_datagram(data, None, sender), self._wait_s, intake, self._take_together)
        self._ticker = loop.create_task(self._tick_forever(), name="video-endpoint-tick")

    async def stop(self) -> None:
        """Closes every view with a goodbye, then the sockets."""
        for entry in list(self._entries.values()):
            self._close(entry, CloseReason.SHUTDOWN)
        for peer_entry in list(self._peers.values()):
            self._close_peer(peer_entry, CloseReason.SHUTDOWN)
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        if self._server is not None:
            self._server.close()
            for connection in tuple(self._connections):
                connection.abort()
            await self._server.wait_closed()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def open(
        self,
        viewer_id: str,
        stream: LiveStream,
        offer_sdp: str,
        on_closed: OnClosed,
        expires_s: float | None = None,
        *,
        may_hear: bool = False,
    ) -> tuple[Viewer, str]:
        """A viewer of `stream` and the answer to its offer; `expires_s` is a moment of the monotonic clock.

        `may_hear`: sound that it offers to take is accepted, and silent until it is switched on. Raises `sdp.UnusableOffer`,
        `TooManyViewers`.
        """
        if len(self._entries) >= self._settings.viewer_limit:
            raise TooManyViewers(self._settings.viewer_limit)
        offer = parse_offer(offer_sdp)
        parameters = stream.sequence_parameters
        chosen = offer.choose_format(parameters.profile_level_id if parameters else None)
        heard = offer.sound if may_hear and stream.sound.allowed else None
        setup = ViewerSetup(viewer_id, offer, chosen, heard)
        viewer = Viewer(setup, stream, self._identity, self._clock, asyncio.get_running_loop().call_later, self._accelerator)
        self._opened += 1
        entry = ViewerEntry(viewer, on_closed, expires_s, {}, self._opened % _TURNS)
        self._entries[viewer_id] = entry
        self._patience.on_opened(viewer_id)
        self._hurry()
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
        return viewer, build_answer(offer, chosen, ours, AnsweredSound(heard, stream.sound.ssrc) if heard is not None else None)

    def close(self, viewer_id: str, reason: CloseReason) -> bool:
        """Ends one view now; False when there is none of that id."""
        entry = self._entries.get(viewer_id)
        if entry is not None:
            self._close(entry, reason)
        return entry is not None

    def link_facts(self, viewer_id: str) -> LinkFacts:
        """How well a viewer is reached; nothing is known of one that isn't there."""
        entry = self._entries.get(viewer_id)
        return entry.viewer.link_facts if entry is not None else LinkFacts()

    def update(self, identifier: str, etag: str, text: str) -> tuple[str, str]:
        """The PATCH of a viewer or peer: our fragment (empty unless ICE restarts) and the ICE session's name from now on.

        See `IceSession.update`. Raises `KeyError`, `OtherIceSession`, `UnusableFragment`.
        """
        entry = self._entries.get(identifier) or self._peers[identifier]
        ice, before = entry.viewer.ice, entry.viewer.ice.ufrags
        if not ice.update(etag, text, entry.viewer.mid):
            return "", ice.current.ice_ufrag
        for ufrag in set(before).difference(ice.ufrags):
            self._by_ufrag.pop(ufrag, None)
        fresh = ice.current
        self._by_ufrag[fresh.ice_ufrag] = entry
        candidates = candidate_lines(self._settings.public_addresses, self.port, self._settings.tcp)
        return build_fragment(fresh.ice_ufrag, fresh.ice_pwd, entry.viewer.mid, candidates), fresh.ice_ufrag

    def viewer(self, viewer_id: str) -> Viewer:
        """An open viewer. Raises `KeyError`."""
        return self._entries[viewer_id].viewer

    @property
    def identity(self) -> DtlsIdentity:
        """The certificate that peers are told to expect."""
        return self._identity

    @property
    def announced(self) -> tuple[tuple[str, ...], int, bool]:
        """Addresses, port, and whether ICE over TCP is spoken, as they stand in answers."""
        return self._settings.public_addresses, self.port, self._settings.tcp

    def adopt(self, peer: Peer, on_closed: Callable[[CloseReason], None]) -> None:
        """Serves a peer that isn't a viewer until it, or `release`, ends it."""
        entry = PeerEntry(peer, on_closed, {})
        self._peers[peer.identifier] = entry
        self._hurry()
        self._by_ufrag[peer.ice.current.ice_ufrag] = entry

    def release(self, identifier: str, reason: CloseReason) -> bool:
        """Ends a peer; False when there is none of that id."""
        entry = self._peers.get(identifier)
        if entry is not None:
            self._close_peer(entry, reason)
        return entry is not None

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
            if isinstance(entry, ViewerEntry) and entry.viewer.secured:
                self._patience.on_secured_or_closed(entry.viewer.setup.viewer_id)
        elif 128 <= first <= 191 and len(data) > 8:
            if isinstance(entry, ViewerEntry):
                if 192 <= data[1] <= 223 and entry.viewer.on_rtcp(data):
                    self._patience.on_missed()
            elif 192 <= data[1] <= 223:
                entry.viewer.on_rtcp(data)
            else:
                entry.viewer.on_rtp(data)
        if entry.viewer.wants_close is not None:
            self._close_either(entry, entry.viewer.wants_close)
        return None

    def _take_together(self, intake: Intake, first: int, count: int, address: Address) -> int:
        """What a peer sends, without an object for each packet; see `UdpReader`."""
        entry = self._by_address.get(address)
        if not isinstance(entry, PeerEntry):
            return 0
        taken = entry.viewer.take_together(intake, first, count)
        if entry.viewer.wants_close is not None:
            self._close_peer(entry, entry.viewer.wants_close)
        return taken

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

    def _learn(self, entry: ViewerEntry | PeerEntry, address: Address, path: Path) -> None:
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

    def _close(self, entry: ViewerEntry, reason: CloseReason) -> None:
        viewer = entry.viewer
        if self._entries.pop(viewer.setup.viewer_id, None) is None:
            return
        self._patience.on_secured_or_closed(viewer.setup.viewer_id)
        for ufrag in viewer.ice.ufrags:
            self._by_ufrag.pop(ufrag, None)
        viewer.close()
        for address, path in entry.paths.items():
            self._by_address.pop(address, None)
            path.close()
        entry.on_closed(viewer, reason)

    def _close_either(self, entry: ViewerEntry | PeerEntry, reason: CloseReason) -> None:
        if isinstance(entry, PeerEntry):
            self._close_peer(entry, reason)
        else:
            self._close(entry, reason)

    def _close_peer(self, entry: PeerEntry, reason: CloseReason) -> None:
        peer = entry.viewer
        if self._peers.pop(peer.identifier, None) is None:
            return
        for ufrag in peer.ice.ufrags:
            self._by_ufrag.pop(ufrag, None)
        peer.close()
        for address, path in entry.paths.items():
            self._by_address.pop(address, None)
            path.close()
        entry.on_closed(reason)

    async def _tick_forever(self) -> None:
        for turn in itertools.cycle(range(_TURNS)):
            await asyncio.sleep(_TICK_S / _TURNS)
            try:
                self._tick(turn)
            except Exception:
                _log.exception("A turn of the relay's ticks failed; it goes on with the next")

    def _tick(self, turn: int) -> None:
        """Looks after a tenth of the viewers: all at once would hold up the pictures."""
        now_s, unix_s = self._clock(), time.time()
        if turn == 0:
            self._tick_peers()
        reports: dict[int, bytes | None] = {}
        for entry in [entry for entry in self._entries.values() if entry.turn == turn]:
            reason = entry.due(now_s, self._settings.setup_timeout_s, self._settings.consent_timeout_s)
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

    def _tick_peers(self) -> None:
        for entry in list(self._peers.values()):
            reason = entry.viewer.due()
            if reason is not None:
                self._close_peer(entry, reason)
            else:
                entry.viewer.tick()

    def _wait_s(self) -> float:
        return self._patience.wait_s(bool(self._entries), self._peers.values())

    def _hurry(self) -> None:
        if self._reader is not None:
            self._reader.hurry()

    def add_connection(self, connection: TcpPeer) -> bool:
        """Counts a new TCP connection; False when there are too many."""
        if len(self._connections) >= 2 * self._settings.viewer_limit + 64:
            return False
        self._connections.add(connection)
        return True

    def remove_connection(self, connection: TcpPeer) -> None:
        """A TCP connection has ended."""
        self._connections.discard(connection)
