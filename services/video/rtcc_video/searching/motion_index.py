"""The motion of every recorded camera: measured as its segments are kept, written a few seconds later."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from prometheus_client import Counter

from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope
from rtcc_video.recording.fmp4 import TIMESCALE
from rtcc_video.recording.segmenter import RawSegment
from rtcc_video.searching.domain import MINUTE, SCENE_CHANGE, MotionMinute
from rtcc_video.searching.key_motion import KeyMotion
from rtcc_video.searching.motion import MotionMeter, Second
from rtcc_video.searching.slices import SliceReader

_log = logging.getLogger(__name__)

_EVERY_S: Final = 5.0
_SWEEP_S: Final = 3600.0
_LONGEST_SILENCE_US: Final = 5_000_000
_FORGOTTEN_AFTER_US: Final = 3_600_000_000
_MOST_WAITING: Final = 200_000
# a minute whose segments never came into the index: their spool was damaged or lost
_ORPHANED_AFTER: Final = timedelta(days=2)

MEASURED = Counter("rtcc_video_motion_seconds", "Seconds of recordings whose motion was measured.")
UNMEASURED = Counter(
    "rtcc_video_motion_dropped_seconds", "Seconds whose motion could not be written down, for the index was away too long."
)


class Store(Protocol):
    """Where minutes are kept."""

    async def put_motion(self, scope: Scope, minutes: Sequence[tuple[str, MotionMinute]]) -> None: ...

    async def remove_orphans(self, scope: Scope, before: datetime) -> int: ...


class _Camera:
    def __init__(self) -> None:
        self.reader, self.meter, self.reached_us = SliceReader(), MotionMeter(), 0


class MotionIndex:
    """`measure` is called by the thread that writes segments, one at a time; everything else runs on the event loop."""

    def __init__(self, store: Store, clock: Callable[[], datetime], *, key_pictures: bool = False) -> None:
        self._store = store
        self._keys = KeyMotion(self._add) if key_pictures else None
        self._clock = clock
        self._cameras: dict[tuple[str, str], _Camera] = {}
        self._ready: deque[tuple[str, str, Second]] = deque()

    def measure(self, agency_id: str, camera_id: str, raw: RawSegment) -> None:
        """A segment that is kept; segments of a camera come in order. Raises nothing: the recording goes on whatever is wrong here."""
        try:
            self._measure(agency_id, camera_id, raw)
        except Exception:  # a mistake of ours in what only helps to find must not cost what is recorded
            _log.exception("the motion of camera %s isn't measured", camera_id)
            self._cameras.pop((agency_id, camera_id), None)

    def _measure(self, agency_id: str, camera_id: str, raw: RawSegment) -> None:
        camera = self._cameras.setdefault((agency_id, camera_id), _Camera())
        seconds: list[Second] = []
        if not 0 <= raw.started_us - camera.reached_us < _LONGEST_SILENCE_US:
            seconds += camera.meter.finish()
        at_us = raw.started_us
        for nals, ticks, _ in raw.pictures:
            seconds += camera.meter.take(camera.reader.read(nals), camera.reader.macroblocks, at_us)
            at_us += ticks * 1_000_000 // TIMESCALE
        camera.reached_us = raw.ended_us
        self._add(agency_id, camera_id, seconds)
        if self._keys is not None:
            self._keys.offer(agency_id, camera_id, raw)

    def _add(self, agency_id: str, camera_id: str, seconds: Sequence[Second]) -> None:
        self._ready.extend((agency_id, camera_id, second) for second in seconds)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write_for_ever())
            if self._keys is not None:
                tasks.create_task(self._keys.run())

    async def _write_for_ever(self) -> None:
        sweep_due_s = time.monotonic()
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.write()
                if time.monotonic() >= sweep_due_s:
                    sweep_due_s = time.monotonic() + _SWEEP_S
                    await self._store.remove_orphans(Scope.platform("video"), self._clock() - _ORPHANED_AFTER)
            except RtccError as error:
                _log.warning("the index of motion waits: %s", error.message)

    async def write(self) -> None:
        """Everything measured until now. Raises `RtccError`; then it is kept for the next try, within a bound."""
        batch = [self._ready.popleft() for _ in range(len(self._ready))]
        if not batch:
            return
        try:
            await self._store.put_motion(Scope.platform("video"), minutes_of(batch))
        except RtccError:
            room = max(0, _MOST_WAITING - len(self._ready))
            UNMEASURED.inc(max(0, len(batch) - room))
            self._ready.extendleft(reversed(batch[-room:] if room else []))
            raise
        MEASURED.inc(len({(agency_id, camera_id, second.number) for agency_id, camera_id, second in batch}))
        self._forget_cameras()

    def _forget_cameras(self) -> None:
        now_us = int(self._clock().timestamp() * 1_000_000)
        for key, camera in list(self._cameras.items()):
            if now_us - camera.reached_us > _FORGOTTEN_AFTER_US:
                self._cameras.pop(key, None)


def minutes_of(seconds: Sequence[tuple[str, str, Second]]) -> list[tuple[str, MotionMinute]]:
    """(agency, camera, second) as rows, in an order that is the same for everybody who writes them."""
    rows: dict[tuple[str, str, int], bytearray] = {}
    for agency_id, camera_id, second in seconds:
        minute, offset = divmod(second.number, 60)
        row = rows.setdefault((agency_id, camera_id, minute), bytearray(60))
        value = SCENE_CHANGE if second.scene_change else 0 if second.score is None else second.score + 1
        row[offset] = max(row[offset], value)
    return [
        (agency_id, MotionMinute(camera_id, datetime.fromtimestamp(0, UTC) + minute * MINUTE, bytes(row)))
        for (agency_id, camera_id, minute), row in sorted(rows.items())
        if any(row)
    ]
