"""The secured way to a peer that sends: ICE-lite checks, then DTLS, then keys. Without media."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from rtcc_video.engine import stun
from rtcc_video.engine.dtls import DtlsFailed, DtlsIdentity, DtlsSession
from rtcc_video.engine.ice import IceSession
from rtcc_video.engine.paths import Path
from rtcc_video.engine.srtp import SrtpKeys

_TIMER_SLACK_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class RemotePeer:
    """What a peer's offer says of it. `is_dtls_server`: it waits for our first flight (setup:passive)."""

    ice_ufrag: str
    fingerprints: Sequence[tuple[str, str]]
    is_dtls_server: bool = False


@dataclass(slots=True)
class PeerLink:
    """See the module. `on_secured` is called once with the keys; `failure` says why there are none."""

    remote: RemotePeer
    identity: DtlsIdentity
    clock: Callable[[], float]
    schedule: Callable[[float, Callable[[], None]], object]
    on_secured: Callable[[SrtpKeys], None]
    ice: IceSession = field(init=False)
    path: Path | None = None
    heard_s: float = 0.0
    failure: str = ""
    left: bool = False
    _secured: bool = False
    _dtls: DtlsSession = field(init=False)

    def __post_init__(self) -> None:
        self.heard_s = self.clock()
        self.ice = IceSession(self.remote.ice_ufrag)
        self._dtls = DtlsSession(self.identity, self.remote.fingerprints, is_server=not self.remote.is_dtls_server)

    @property
    def ice_ufrag(self) -> str:
        """The user fragment of our newest credentials."""
        return self.ice.current.ice_ufrag

    @property
    def ice_pwd(self) -> str:
        """Their password."""
        return self.ice.current.ice_pwd

    @property
    def secured(self) -> bool:
        """Whether the handshake is done."""
        return self._secured

    def on_check(self, message: stun.StunMessage, path: Path) -> bool:
        """Answers a connectivity check on its path; True when it was authentic and the address may be learnt."""
        if not self.ice.answer(message, path):
            return False
        self.heard_s = self.clock()
        # Only the controlling side's nomination moves the link; the first good check starts it, so that DTLS needn't wait.
        if self.path is None or message.nominates:
            first, self.path = self.path is None, path
            if first and self.remote.is_dtls_server and not self._secured:
                self._step(self._dtls.start)
        return True

    def lose_path(self, path: Path) -> None:
        """The path is gone; the next good check on another one takes its place."""
        if self.path is path:
            self.path = None

    def on_dtls(self, datagram: bytes) -> None:
        """Takes a DTLS datagram from a validated address."""
        self._step(lambda: self._dtls.receive(datagram))

    def close(self) -> None:
        """Says goodbye in DTLS."""
        path, self.path = self.path, None
        if path is not None:
            for datagram in self._dtls.close():
                path.send(datagram)

    def _step(self, act: Callable[[], list[bytes]]) -> None:
        try:
            outgoing = act()
        except DtlsFailed as error:
            self.failure = str(error)
            return
        self._send(outgoing)
        if self._dtls.closed_by_peer:
            self.left = True
        elif not self._secured:
            keys = self._dtls.keys
            if keys is None:
                self._watch_handshake()
            else:
                self._secured = True
                self.on_secured(keys)

    def _watch_handshake(self) -> None:
        wait_s = self._dtls.timeout_s()
        if wait_s is not None:
            self.schedule(wait_s + _TIMER_SLACK_S, self._on_handshake_timer)

    def _on_handshake_timer(self) -> None:
        if not self._secured and not self.failure and self.path is not None:
            self._step(self._dtls.on_timeout)

    def _send(self, datagrams: list[bytes]) -> None:
        if self.path is not None:
            for datagram in datagrams:
                self.path.send(datagram)
