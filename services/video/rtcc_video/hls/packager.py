"""One camera's stream packed for HLS while somebody watches it so: one window for all of them, and those who wait for its next part."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from rtcc_video.engine.frames import Frame
from rtcc_video.engine.h264 import AccessUnit, MalformedBitstream
from rtcc_video.engine.rtp import CLOCK_HZ
from rtcc_video.engine.stream import LiveStream
from rtcc_video.hls.limits import WindowLimits
from rtcc_video.hls.playlist import playlist
from rtcc_video.hls.window import Window

_log = logging.getLogger(__name__)


class Packager:
    """A viewer of the stream (`engine.stream.StreamViewer`), so that the camera is pulled as for any other. `unix_us` is the time of day in
    microseconds; `on_part` is told of each part's bytes. Begins with the group of pictures so far."""

    def __init__(self, stream: LiveStream, limits: WindowLimits, unix_us: Callable[[], int], on_part: Callable[[int], None]) -> None:
        self.window = Window(limits)
        self.stream = stream
        self._unix_us = unix_us
        self._on_part = on_part
        self._last_timestamp: int | None = None
        # without wrap
        self._ticks = 0
        self._changed = asyncio.Event()
        self._text: str | None = None
        stream.attach(self)

    def begin(self, group: list[Frame]) -> None:
        """See `StreamViewer`."""
        now_us = self._unix_us()
        newest = group[-1].timestamp if group else 0
        for frame in group:
            age_ticks = (newest - frame.timestamp) & 0xFFFFFFFF
            self._take(frame, now_us - age_ticks * 1_000_000 // CLOCK_HZ)

    def deliver(self, frame: Frame, stream: LiveStream) -> None:
        """See `StreamViewer`."""
        self._take(frame, self._unix_us())

    @property
    def text(self) -> str:
        """The playlist, made once for all who ask."""
        if self._text is None:
            self._text = playlist(self.window)
        return self._text

    async def until(self, ready: Callable[[], bool], longest_s: float) -> None:
        """Waits until `ready`, which is asked after each part and each `wake`, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                while not ready():
                    await self._changed.wait()

    def wake(self) -> None:
        """Has all who wait look again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def stop(self) -> None:
        """Nobody watches so any more."""
        self.stream.detach(self)
        self.wake()

    def _take(self, frame: Frame, unix_us: int) -> None:
        if self._last_timestamp is not None:
            step = (frame.timestamp - self._last_timestamp) & 0xFFFFFFFF
            self._ticks += step - 0x100000000 if step >= 0x80000000 else step
        self._last_timestamp = frame.timestamp
        before = self.window.next_part
        try:
            self.window.take(AccessUnit(tuple(frame.nals), self._ticks, frame.key), unix_us)
        except MalformedBitstream as error:
            # one damaged picture is dropped like a lost one
            _log.info("a picture isn't packed: %s", error)
            return
        if self.window.next_part > before:
            self._text = None
            made = self.window.part(before)
            self._on_part(len(made.data) if made is not None else 0)
            self.wake()
