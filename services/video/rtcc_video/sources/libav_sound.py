"""The sound of a stream that libav reads, in the process that reads it: Opus as it is, the rest made Opus while somebody hears it."""

import threading
import time
from collections.abc import Callable
from typing import Any

import av

from rtcc_video.engine.opus import CLOCK_HZ
from rtcc_video.sources.libav_messages import KIND_SOUND, KIND_SOUND_USED, UNIT_HEAD, USAGE
from rtcc_video.sources.opus_coder import FrameCoder


class StreamSound:
    """Of one stream. `wanted`: whether somebody hears it; `write` gets kind and body of a message."""

    def __init__(self, stream: Any, wanted: threading.Event, write: Callable[[int, bytes], None]) -> None:
        self.stream = stream
        self._opus = stream.codec_context.name in ("opus", "libopus")
        self._wanted = wanted
        self._write = write
        self._coder = FrameCoder()
        self._spent_s = 0.0

    def take(self, packet: Any, offset: int) -> None:
        """The next packet; `offset` is added to its time, 90 kHz ticks."""
        at = packet.pts if packet.pts is not None else packet.dts
        if not packet.size or at is None:
            return
        timestamp = round(at * packet.time_base * CLOCK_HZ) + offset * CLOCK_HZ // 90_000
        if self._opus:
            self._write(KIND_SOUND, UNIT_HEAD.pack(timestamp) + bytes(packet))
        elif self._wanted.is_set():
            began_s = time.thread_time()
            self._convert(packet, timestamp)
            self._spent_s += time.thread_time() - began_s

    def tell(self) -> None:
        """What it has cost so far, processor seconds."""
        if self._spent_s:
            self._write(KIND_SOUND_USED, USAGE.pack(self._spent_s))

    def _convert(self, packet: Any, timestamp: int) -> None:
        try:
            for frame in packet.decode():
                for at, coded in self._coder.take(frame, timestamp):
                    self._write(KIND_SOUND, UNIT_HEAD.pack(at) + coded)
                timestamp += frame.samples * CLOCK_HZ // max(frame.sample_rate, 1)
        except (av.error.FFmpegError, ValueError):
            # damaged: the decoder goes on with what follows
            return
