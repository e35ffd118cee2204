"""Motion by comparing key pictures, for cameras whose encoders hide it: decoded in a process of its own, one in two seconds of a camera.

It adds to what coded pictures tell; a second has the higher of both scores.
"""

import asyncio
import hashlib
import logging
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter

from rtcc_video.recording.fmp4 import TIMESCALE
from rtcc_video.recording.segmenter import RawSegment
from rtcc_video.searching.child import Child, ChildDied, ChildFailed
from rtcc_video.searching.motion import HIGHEST, SCORE_PER_SPREAD, STEP_US, Baseline, Second

_log = logging.getLogger(__name__)

_REQUEST = struct.Struct("!QBI")
_VALUE = struct.Struct("!d")
_EVERY_US: Final = 1_900_000
_APART_US: Final = 15_000_000
_WAITING_LIMIT: Final = 200
_LARGEST_BYTES: Final = 4_000_000
_LOOK_EVERY_S: Final = 0.5
_FAILED_PAUSE_S: Final = 30.0
# a key picture stands for the seconds around it
_AROUND: Final = (-1, 0, 1)

COMPARED = Counter("rtcc_video_compared_pictures", "Key pictures that were to be compared for motion.", ["outcome"])
for _outcome in ("done", "failed", "dropped"):
    # a series that begins with its first loss would hide that one from every rate
    COMPARED.labels(_outcome)


@dataclass(frozen=True, slots=True)
class _Waiting:
    agency_id: str
    camera_id: str
    at_us: int
    picture: bytes


class _Camera:
    def __init__(self) -> None:
        self.baseline, self.before_us, self.offered_us = Baseline(), 0, 0


class KeyMotion:
    """`offer` is called by the thread that writes segments; `found(agency, camera, seconds)` on the event loop."""

    def __init__(self, found: Callable[[str, str, list[Second]], None]) -> None:
        self._found = found
        self._child = Child("rtcc_video.searching.key_motion_child")
        self._cameras: dict[tuple[str, str], _Camera] = {}
        self._offered: dict[tuple[str, str], int] = {}
        self._waiting: deque[_Waiting] = deque()

    def offer(self, agency_id: str, camera_id: str, raw: RawSegment) -> None:
        """Takes the key pictures of a segment, as far as there is room: the oldest that wait give way."""
        at_us, key = raw.started_us, (agency_id, camera_id)
        for nals, ticks, is_key in raw.pictures:
            if is_key and not 0 <= at_us - self._offered.get(key, 0) < _EVERY_US:
                self._offered[key] = at_us
                picture = b"".join(b"\0\0\0\1" + nal for nal in nals)
                if len(picture) <= _LARGEST_BYTES:
                    self._waiting.append(_Waiting(agency_id, camera_id, at_us, picture))
            at_us += ticks * 1_000_000 // TIMESCALE
        if len(self._offered) > 2000:
            self._offered.clear()
        while len(self._waiting) > _WAITING_LIMIT:
            self._waiting.popleft()
            COMPARED.labels("dropped").inc()

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                try:
                    await self.work()
                except ChildFailed as error:
                    _log.error("key pictures aren't compared: %s", error)
                    await asyncio.sleep(_FAILED_PAUSE_S)
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Ends the process."""
        await self._child.stop()

    async def work(self) -> None:
        """Everything that waits. Raises `ChildFailed`."""
        while self._waiting:
            await self._compare(self._waiting.popleft())

    async def _compare(self, one: _Waiting) -> None:
        key = (one.agency_id, one.camera_id)
        camera = self._cameras.setdefault(key, _Camera())
        anew = not 0 < one.at_us - camera.before_us < _APART_US
        name = int.from_bytes(hashlib.sha256("/".join(key).encode()).digest()[:8], "big")
        try:
            status, body = await self._child.ask(_REQUEST.pack(name, anew, len(one.picture)) + one.picture)
        except ChildDied as error:
            _log.warning("a key picture of camera %s isn't compared: %s", one.camera_id, error)
            status, body = 2, b""
        COMPARED.labels("failed" if status == 2 else "done").inc()
        of_us, camera.before_us = camera.before_us, one.at_us
        if status == 0:
            above = camera.baseline.above(_VALUE.unpack(body)[0])
            if above is not None:
                score = max(0, min(HIGHEST - 1, round(above * SCORE_PER_SPREAD)))
                self._found(*key, [Second(of_us // STEP_US + offset, score, False) for offset in _AROUND])
        if len(self._cameras) > 1000:
            self._cameras.pop(next(iter(self._cameras)))
