"""What the relay's socket serves beside viewers: who sends pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rtcc_video.engine import stun
from rtcc_video.engine.ice import IceSession
from rtcc_video.engine.intake import Intake
from rtcc_video.engine.paths import Address, Path
from rtcc_video.engine.viewer import CloseReason


class Peer(Protocol):
    """One that sends. Everything is called on the event loop; datagrams come from validated addresses alone."""

    @property
    def identifier(self) -> str: ...

    @property
    def ice(self) -> IceSession:
        """A check is routed by its user fragments."""
        ...

    @property
    def mid(self) -> str:
        """The media section that all is bundled with."""
        ...

    @property
    def wants_close(self) -> CloseReason | None:
        """Why it is to be closed at once."""
        ...

    @property
    def patient(self) -> bool:
        """Whether what it sends may be read some hundredths of a second later."""
        ...

    def on_check(self, message: stun.StunMessage, path: Path) -> bool: ...

    def uses(self, path: Path) -> bool: ...

    def lose_path(self, path: Path) -> None: ...

    def on_dtls(self, datagram: bytes, path: Path) -> None: ...

    def on_rtcp(self, datagram: bytes) -> None: ...

    def on_rtp(self, datagram: bytes) -> None: ...

    def take_together(self, intake: Intake, first: int, count: int) -> int:
        """How many of the helper's datagrams from `first` on were taken; 0: what the first one is has yet to be seen."""
        ...

    def tick(self) -> None:
        """Once a second."""
        ...

    def due(self) -> CloseReason | None:
        """Why it is to be closed by now; asked once a second."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class PeerEntry:
    """A peer, who is told of its end, and the addresses by which it is known."""

    viewer: Peer
    on_closed: Callable[[CloseReason], None]
    paths: dict[Address, Path]
