"""The use cases of views over HTTPS: open one, fetch its playlist and its media; and ending those that nobody fetches any more."""

import asyncio
from collections import Counter as Tally
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from rtcc_chassis.errors import Exhausted, NotFound, Unavailable
from rtcc_chassis.scope import Scope
from rtcc_video.app import SMALL_WIDTH_PX, Rights, VideoApp
from rtcc_video.engine.stream import LiveStream
from rtcc_video.engine.viewer import CloseReason, ViewerCounters
from rtcc_video.feed import Feed
from rtcc_video.hls.limits import HlsLimits
from rtcc_video.hls.packager import Packager
from rtcc_video.hls.playlist import MediaId, Wanted, read_media_id, segment_bytes
from rtcc_video.hls.window import INIT_DIGITS, TARGET_S

# RFC 8216bis, 6.2.5.2: who waits for longer than three target durations is told to come again
_LONGEST_WAIT_S: Final = 3.0 * TARGET_S
# a player waits for the playlist and for the part that it hints at; some open both twice
_WAITS_AT_ONCE: Final = 6
# so long a camera's smaller stream is waited for
_SMALLER_COMES_S: Final = 2.0
# a part that is hinted at, or follows that
_PARTS_AHEAD: Final = 2


@dataclass(slots=True)
class _Session:
    """One view. Seconds are of the monotonic clock."""

    packager: Packager
    # of the camera's main stream
    feed: Feed
    person: tuple[str, str]
    opened_s: float
    heard_s: float
    octets: int = 0
    waiting: int = 0


class LiveHls:
    """`clock` gives monotonic seconds, `unix_us` the time of day in microseconds; `on_part` is told of the bytes of each part made,
    `on_sent` of the bytes of each answer."""

    def __init__(
        self,
        views: VideoApp,
        rights: Rights,
        limits: HlsLimits,
        clock: Callable[[], float],
        unix_us: Callable[[], int],
        on_part: Callable[[int], None],
        on_sent: Callable[[int], None],
    ) -> None:
        self._views = views
        self._rights = rights
        self._limits = limits
        self._clock = clock
        self._unix_us = unix_us
        self._on_part = on_part
        self._on_sent = on_sent
        self._sessions: dict[str, _Session] = {}
        self._packagers: dict[LiveStream, Packager] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def cameras(self) -> int:
        """How many streams are packed."""
        return len(self._packagers)

    @property
    def window_bytes(self) -> int:
        """What their windows hold."""
        return sum(packager.window.size_bytes for packager in self._packagers.values())

    async def open(self, scope: Scope, camera_id: str, shown_width_px: int = 0) -> tuple[str, bool]:
        """A live view of a camera over HTTPS: its id, and whether the camera has a smaller stream, which one that is shown small is given.
        Raises as `VideoApp.open_viewer`."""
        camera = self._rights.camera(camera_id)
        view, feed = self._views.admit(scope, camera)
        stream = feed.stream
        if 0 < shown_width_px <= SMALL_WIDTH_PX and stream.smaller is not None:
            stream = await self._flowing(stream.smaller()) or stream
            view, feed = self._views.admit(scope, camera)
        person = (scope.agency_id, scope.principal_id)
        if len(self._sessions) >= self._limits.viewers:
            raise Exhausted("the number of live views over HTTPS", self._limits.viewers)
        if Tally(session.person for session in self._sessions.values())[person] >= self._limits.person_viewers:
            raise Exhausted("the number of your live views over HTTPS", self._limits.person_viewers)
        packager = self._packagers.get(stream)
        if packager is None:
            if len(self._packagers) >= self._limits.cameras:
                raise Exhausted("the number of cameras shown over HTTPS at once", self._limits.cameras)
            packager = self._packagers[stream] = Packager(stream, self._limits.window, self._unix_us, self._on_part)
        feed.want()
        now_s = self._clock()
        self._sessions[view.viewer_id] = _Session(packager, feed, person, now_s, now_s)
        self._views.begin(view)
        return view.viewer_id, feed.stream.smaller is not None

    async def playlist(self, scope: Scope, camera_id: str, viewer_id: str, wanted: Wanted) -> bytes:
        """The playlist of the caller's own view, as soon as it has what is wanted.

        Raises `NotFound` for any other view, `Refused` when the right is gone, `InvalidInput`, `Unavailable` when it doesn't come in time.
        """
        session = self._session(scope, camera_id, viewer_id)
        window = session.packager.window
        wanted.check(window)
        await self._wait(scope, camera_id, viewer_id, lambda: wanted.satisfied(window))
        return self._sent(session, session.packager.text.encode())

    async def media(self, scope: Scope, camera_id: str, viewer_id: str, name: str) -> bytes:
        """An initialisation segment, a part or a segment of the caller's own view; the next part as soon as it is there. Raises as
        `playlist`, and `NotFound` for what has left the window or will never be."""
        asked = read_media_id(name)
        session = self._session(scope, camera_id, viewer_id)
        window = session.packager.window
        if asked.kind == "part" and self._may_come(session, asked):
            await self._wait(scope, camera_id, viewer_id, lambda: window.next_part > asked.number or not self._may_come(session, asked))
        data = self._find(session, asked)
        if data is None:
            raise NotFound("part of the live picture", name)
        return self._sent(session, data)

    def close(self, viewer_id: str, reason: CloseReason) -> bool:
        """Ends one view now; False when there is none of that id here."""
        session = self._sessions.pop(viewer_id, None)
        if session is None:
            return False
        packager = session.packager
        if all(other.packager is not packager for other in self._sessions.values()):
            self._packagers = {stream: one for stream, one in self._packagers.items() if one is not packager}
            packager.stop()
        else:
            packager.wake()
        self._views.ended(viewer_id, reason, ViewerCounters(octets_sent=session.octets))
        return True

    def end_idle(self) -> None:
        """Ends views that nobody fetches any more, and those whose time is over, and has those who wait look whether their camera failed.
        To be called about once a second."""
        now_s = self._clock()
        for packager in self._packagers.values():
            packager.wake()
        for viewer_id, session in list(self._sessions.items()):
            if session.packager.stream is not session.feed.stream:
                # nobody may watch the main stream, which says how the camera is
                session.feed.want()
            if now_s - session.opened_s > self._limits.view_s:
                self.close(viewer_id, CloseReason.EXPIRED)
            elif not session.waiting and now_s - session.heard_s > self._limits.idle_s:
                self.close(viewer_id, CloseReason.CLIENT_LEFT)

    def end_all(self) -> None:
        """The service stops."""
        for viewer_id in list(self._sessions):
            self.close(viewer_id, CloseReason.SHUTDOWN)

    async def _flowing(self, stream: LiveStream | None) -> LiveStream | None:
        """The stream, if it gives pictures now or in a moment."""
        if stream is None:
            return None
        with suppress(TimeoutError):
            await asyncio.wait_for(stream.first_key_picture.wait(), _SMALLER_COMES_S)
        return stream if stream.first_key_picture.is_set() else None

    def _session(self, scope: Scope, camera_id: str, viewer_id: str) -> _Session:
        """The caller's own view while the right lasts."""
        self._views.still_own(scope, camera_id, viewer_id)
        session = self._sessions.get(viewer_id)
        if session is None:
            # it goes by WebRTC
            raise NotFound("view over HTTPS", viewer_id[:80])
        session.heard_s = self._clock()
        return session

    async def _wait(self, scope: Scope, camera_id: str, viewer_id: str, ready: Callable[[], bool]) -> None:
        session = self._sessions[viewer_id]
        if ready():
            return
        if session.waiting >= _WAITS_AT_ONCE:
            raise Exhausted("the number of requests of this view that wait", _WAITS_AT_ONCE)
        session.waiting += 1
        try:
            await session.packager.until(
                lambda: self._sessions.get(viewer_id) is not session or ready() or bool(self._views.failure(camera_id)), _LONGEST_WAIT_S
            )
        finally:
            session.waiting -= 1
        # the right may have ended meanwhile
        self._session(scope, camera_id, viewer_id)
        if not ready():
            why = self._views.failure(camera_id) or "the camera sends no pictures now; ask again"
            raise Unavailable("the next part of the live picture", why)

    def _may_come(self, session: _Session, asked: MediaId) -> bool:
        window = session.packager.window
        init = window.init
        ahead = asked.number - window.next_part
        return 0 <= ahead < _PARTS_AHEAD and (init is None or init.init_id[:INIT_DIGITS] == asked.init)

    def _find(self, session: _Session, asked: MediaId) -> bytes | None:
        window = session.packager.window
        if asked.kind == "init":
            init = window.known_init(asked.init)
            return init.data if init is not None else None
        if asked.kind == "segment":
            segment = window.segment(asked.number)
            return segment_bytes(segment) if segment is not None and segment.complete else None
        part = window.part(asked.number)
        return part.data if part is not None and part.init.init_id[:INIT_DIGITS] == asked.init else None

    def _sent(self, session: _Session, data: bytes) -> bytes:
        session.octets += len(data)
        self._on_sent(len(data))
        return data
