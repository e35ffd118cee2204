"""Viewers as the relay's socket knows them, and for how long what comes to that socket may wait."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine.paths import Address, Path
from rtcc_video.engine.peer import PeerEntry
from rtcc_video.engine.sockets import AT_LEISURE_S
from rtcc_video.engine.viewer import CloseReason, Viewer

# Reports and checks, which nobody waits for; and what a viewer misses, whose way here and back takes longer anyway.
_REPORTS_S: Final = 0.03
_MISSED_S: Final = 0.01
# after somebody missed something
_ALERT_S: Final = 2.0


@dataclass(slots=True)
class ViewerEntry:
    """A viewer, who is told of its end, and the addresses by which it is known."""

    viewer: Viewer
    on_closed: Callable[[Viewer, CloseReason], None]
    expires_s: float | None
    paths: dict[Address, Path]
    # In which part of the second its turn comes.
    turn: int

    def due(self, now_s: float, setup_timeout_s: float, consent_timeout_s: float) -> CloseReason | None:
        """Why it is to be closed by now."""
        viewer = self.viewer
        if viewer.wants_close is not None:
            return viewer.wants_close
        if self.expires_s is not None and now_s >= self.expires_s:
            return CloseReason.EXPIRED
        if not viewer.secured:
            return CloseReason.NEVER_CONNECTED if now_s - viewer.times.opened_s > setup_timeout_s else None
        return CloseReason.CONSENT_LOST if now_s - viewer.times.heard_s > consent_timeout_s else None


class Patience:
    """How long datagrams may wait for others, so that one turn of the loop takes many: the first one after a while costs five times what
    each further one does. Handshakes and pictures that somebody watches never wait."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._joining: set[str] = set()
        self._alert_until_s = 0.0

    def on_opened(self, viewer_id: str) -> None:
        """A handshake is to come."""
        self._joining.add(viewer_id)

    def on_secured_or_closed(self, viewer_id: str) -> None:
        """It is over."""
        self._joining.discard(viewer_id)

    def on_missed(self) -> None:
        """A viewer asked for something again, authentically."""
        self._alert_until_s = self._clock() + _ALERT_S

    def wait_s(self, viewers: bool, peers: Collection[PeerEntry]) -> float:
        """Seconds; 0 when what comes must be read at once. `viewers`: whether there are any."""
        if self._joining or not all(entry.viewer.patient for entry in peers):
            return 0.0
        if not viewers:
            return AT_LEISURE_S if peers else 0.0
        return _MISSED_S if self._clock() < self._alert_until_s else _REPORTS_S
