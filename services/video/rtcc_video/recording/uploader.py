"""From the spool to the object store and the index, in order, for as long as it takes."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from prometheus_client import Counter, Gauge

from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope
from rtcc_video.recording.domain import Segment
from rtcc_video.recording.fmp4 import Init
from rtcc_video.recording.sound_fmp4 import MEDIA_TYPE as SOUND_MEDIA_TYPE
from rtcc_video.recording.spool import Spool, Spooled, Taken

_log = logging.getLogger(__name__)

_WORKERS: Final = 3
_FIRST_RETRY_S: Final = 0.5
_LONGEST_RETRY_S: Final = 10.0
# a transaction a second: a player hardly sees that a segment of four seconds is found later by half of one
_GATHER_S: Final = 1.0
# what was just written needn't be read again, as long as little waits
_HELD_LIMIT_BYTES: Final = 32 * 1024 * 1024
MEDIA_TYPE: Final = "video/mp4"

SPOOL_BYTES = Gauge("rtcc_video_spool_bytes", "Recorded video that waits on the local disk for the object store.")
SPOOL_LIMIT_BYTES = Gauge("rtcc_video_spool_limit_bytes", "How much may wait there.")
STORED = Counter("rtcc_video_stored_segments", "Segments stored and indexed.")
STORE_FAILURES = Counter("rtcc_video_store_failures", "Tries to store or index a segment that failed.")


class Index(Protocol):
    """Where segments are found again."""

    async def add_segments(self, scope: Scope, segments: list[Segment], inits: list[tuple[str, Init]]) -> None: ...


class Store(Protocol):
    """Where the bytes go."""

    async def put(self, scope: Scope, agency_id: str, key: str, data: bytes, content_type: str, sha256: str = "") -> str: ...


class Uploader:
    """A segment leaves the spool when its bytes are stored and its row is committed; a repeat after a crash changes nothing."""

    def __init__(self, spool: Spool, objects: Store, index: Index, clock: Callable[[], float]) -> None:
        self._spool = spool
        self._objects = objects
        self._index = index
        self._clock = clock
        # with its bytes, where they are held
        self._waiting: deque[tuple[Spooled, Taken | None]] = deque()
        self._held_bytes = 0
        self._indexing: deque[tuple[Spooled, Taken]] = deque()
        self._wake = asyncio.Event()
        self._wake_index = asyncio.Event()
        self._known: set[tuple[str, str]] = set()
        self._busy = 0
        self.failing_since_s: float | None = None
        self.failure = ""

    def put(self, spooled: Spooled, taken: Taken | None = None) -> None:
        """Takes what is in the spool; `taken`: what was written there just now."""
        if taken is not None and self._held_bytes + _held(taken) > _HELD_LIMIT_BYTES:
            taken = None
        self._held_bytes += _held(taken)
        self._waiting.append((spooled, taken))
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether everything is stored and indexed."""
        return not (self._waiting or self._indexing or self._busy)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_WORKERS):
                tasks.create_task(self._store_for_ever())
            tasks.create_task(self._index_for_ever())

    async def _store_for_ever(self) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            spooled, taken = self._waiting.popleft()
            self._held_bytes -= _held(taken)
            self._busy += 1
            try:
                await self._store(spooled, taken)
                retry_s = _FIRST_RETRY_S
            except (RtccError, OSError) as error:
                self._failed(str(error))
                self._waiting.appendleft((spooled, None))
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
            except asyncio.CancelledError:
                self._waiting.appendleft((spooled, None))
                raise
            finally:
                self._busy -= 1

    async def _store(self, spooled: Spooled, taken: Taken | None) -> None:
        taken = taken or await asyncio.to_thread(self._spool.read, spooled)
        if taken is None:
            return
        segment = taken.segment
        scope = Scope.service("video", segment.agency_id)
        await self._objects.put(scope, segment.agency_id, segment.object_key, taken.data, MEDIA_TYPE, segment.sha256)
        if taken.sound:
            await self._objects.put(scope, segment.agency_id, segment.sound_key, taken.sound, SOUND_MEDIA_TYPE, segment.sound_sha256)
        # the bytes are no longer needed, and several wait here at once
        self._indexing.append((spooled, Taken(taken.segment, taken.init, b"")))
        self._wake_index.set()

    async def _index_for_ever(self) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            self._wake_index.clear()
            if not self._indexing:
                await self._wake_index.wait()
                # what is stored meanwhile goes into the same transaction
                await asyncio.sleep(_GATHER_S)
            batch = list(self._indexing)
            try:
                await self._add(batch)
            except RtccError as error:
                self._failed(str(error))
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
                continue
            retry_s = _FIRST_RETRY_S
            for _ in batch:
                self._indexing.popleft()
            await asyncio.to_thread(self._remove, batch)
            STORED.inc(len(batch))
            self.failing_since_s, self.failure = None, ""

    async def _add(self, batch: list[tuple[Spooled, Taken]]) -> None:
        inits = {(taken.segment.agency_id, taken.init.init_id): taken.init for _, taken in batch}
        fresh = [(agency_id, one) for (agency_id, init_id), one in inits.items() if (agency_id, init_id) not in self._known]
        await self._index.add_segments(Scope.platform("video"), [taken.segment for _, taken in batch], fresh)
        self._known.update((agency_id, one.init_id) for agency_id, one in fresh)
        if len(self._known) > 10_000:
            self._known.clear()

    def _remove(self, batch: list[tuple[Spooled, Taken]]) -> None:
        for spooled, _ in batch:
            self._spool.remove(spooled)

    def _failed(self, why: str) -> None:
        STORE_FAILURES.inc()
        if self.failing_since_s is None:
            self.failing_since_s = self._clock()
            _log.warning("recorded segments wait in the spool: %s", why)
        self.failure = why


def _held(taken: Taken | None) -> int:
    return len(taken.data) + len(taken.sound) if taken is not None else 0
