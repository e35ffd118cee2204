"""One open WebSocket: a bounded queue for what must arrive, latest-only places for what may be dropped."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import WSCloseCode, web

from rtcc.geo.v1.geo_pb2 import BoundingBox
from rtcc.live.v1 import live_pb2 as pb
from rtcc_chassis.scope import Scope
from rtcc_gateway.live.frames import frame

_LOG = logging.getLogger(__name__)
CLOSE_BAD_FRAME = 4400
CLOSE_SIGNED_OUT = 4401
CLOSE_NOT_ALLOWED = 4403
CLOSE_IDLE = 4408
CLOSE_TOO_SLOW = 4409
CLOSE_TOO_MANY = 4429
CLOSE_RESTART = WSCloseCode.SERVICE_RESTART
_SEND_TIMEOUT_S = 20.0
_LAST_WORDS_S = 2.0
# above this much unsent, positions and camera states are left out
_BEHIND_BYTES = 256 * 1024


@dataclass(slots=True, eq=False)
class LiveSocket:
    """`feeds` are the names of what the person may see; `floors` the newest sequence each feed has already sent here."""

    ws: web.WebSocketResponse
    session_id: str
    person_id: str
    agency_id: str
    scope: Scope
    feeds: frozenset[str]
    backlog_bytes: int
    # cuts the connection under the WebSocket: a peer that reads nothing can't be told politely
    abort: Callable[[], None]
    # the unit that the person rides in: shown wherever they look
    unit_id: str = ""
    box: BoundingBox | None = None
    floors: dict[str, int] = field(default_factory=dict)
    # unit numbers already named on this connection
    named: set[int] = field(default_factory=set)
    position_snapshot_due: bool = True
    position_audit_at: datetime | None = None
    # of the tracks that were named here, the revision of the name
    tracks_named: dict[int, int] = field(default_factory=dict)
    track_snapshot_due: bool = True
    track_audit_at: datetime | None = None
    closed: bool = False
    _queue: deque[bytes] = field(default_factory=deque)
    _waiting_bytes: int = 0
    _held: list[bytes] | None = None
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _close: tuple[int, str] | None = None

    def send(self, data: bytes) -> None:
        """Must arrive, in order. A socket too far behind is closed: its client comes back with the cursor."""
        if self.closed or self._close is not None:
            return
        if self._held is not None:
            self._held.append(data)
            return
        self._queue.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > self.backlog_bytes:
            self._queue.clear()
            self.end(CLOSE_TOO_SLOW, "too slow")
            asyncio.get_running_loop().call_later(_LAST_WORDS_S, self.abort)
        self._due.set()

    @property
    def behind(self) -> bool:
        """Whether what may be dropped should be."""
        return self.closed or self._close is not None or self._held is not None or self._waiting_bytes > _BEHIND_BYTES

    def hold(self) -> None:
        """Keep what is sent until `release`: while a snapshot is being audited, changes must not overtake it."""
        self._held = []

    def release(self, first: list[bytes]) -> None:
        """Send the snapshot, then what came meanwhile."""
        held, self._held = self._held or [], None
        # a large beginning is no sign of a slow client
        self.backlog_bytes += sum(len(data) for data in first)
        for data in (*first, *held):
            self.send(data)

    def end(self, code: int, reason: str) -> None:
        """Close after what is queued; a second reason is ignored."""
        if self._close is None:
            self._close = (code, reason)
            self._due.set()

    def end_session(self, reason: str, now: datetime) -> None:
        """Tell the console why, then close. Nothing that was held or queued leaves any more."""
        if self._close is not None:
            return
        self._queue.clear()
        self._held = None
        self._queue.append(frame("session_ending", pb.SessionEnding(reason=reason).SerializeToString(), now))
        self.end(CLOSE_SIGNED_OUT, reason)

    async def write(self) -> None:
        """Until the socket is closed."""
        try:
            while True:
                while self._queue:
                    data = self._queue.popleft()
                    async with asyncio.timeout(_SEND_TIMEOUT_S):
                        await self.ws.send_bytes(data)
                    self._waiting_bytes = max(0, self._waiting_bytes - len(data))
                if self._close is not None:
                    break
                self._due.clear()
                await self._due.wait()
        except TimeoutError:
            self.end(CLOSE_TOO_SLOW, "too slow")
        except (ConnectionError, RuntimeError):
            self.end(WSCloseCode.GOING_AWAY, "gone")
        finally:
            self.closed = True
            code, reason = self._close or (CLOSE_RESTART, "restart")
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self.ws.close(code=code, message=reason.encode()[:120])
            self.abort()
