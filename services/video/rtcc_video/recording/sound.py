"""A camera's sound cut along the segments of its pictures, on the server's clock. No I/O, no clock: the times are arguments."""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from rtcc_video.engine.opus import CLOCK_HZ
from rtcc_video.engine.sound import SoundPacket
from rtcc_video.recording.sound_fmp4 import write_sound

# Packets come in bursts; where they stand follows the quickest of them. Farther off than the first, at once; the second, where one begins
# anew.
_APART_US: Final = 500_000
_APART_ANEW_US: Final = 100_000
_SEEN_PACKETS: Final = 64
# At a cut what comes next follows the server's clock: by so much nobody hears it; what is farther off began with an odd packet.
_FOLLOW_LIMIT_US: Final = 5_000
_FOLLOW_AT_ONCE_US: Final = 25_000
# Sound that no picture goes with isn't kept.
_BEFORE_US: Final = 1_000_000
_MOST_SAMPLES: Final = 20 * CLOCK_HZ
_MOST_BYTES: Final = 1_500_000


def sound_ticks(unix_us: int) -> int:
    """Unix microseconds as the time in a segment of sound, 48 kHz."""
    return unix_us * CLOCK_HZ // 1_000_000


@dataclass(frozen=True, slots=True)
class SegmentSound:
    """What was heard in one segment: (Opus packet, duration in samples of 48 kHz). A duration reaches to where the next packet begins."""

    started_us: int
    packets: tuple[tuple[bytes, int], ...]

    @property
    def size_bytes(self) -> int:
        return sum(len(payload) for payload, _ in self.packets)

    def to_bytes(self, number: int) -> bytes:
        """The media segment; its decoding time is the server's time of day in ticks, like that of the pictures."""
        return write_sound(number, sound_ticks(self.started_us), self.packets)


class _Heard(NamedTuple):
    started_us: int
    payload: bytes
    samples: int


class SoundCutter:
    """Takes packets as they come, and gives out those of a segment when its pictures are complete.

    A packet belongs to the segment in which it begins, or to the next when it comes after the cut. At most 20 s and 1.5 MB wait.
    """

    def __init__(self) -> None:
        self._heard: deque[_Heard] = deque()
        self.pending_bytes = 0
        self._pending_samples = 0
        self._anchor_timestamp = 0
        self._anchor_us: int | None = None
        # how much later than thought the latest packets came
        self._late_us: deque[int] = deque(maxlen=_SEEN_PACKETS)

    def hear(self, packet: SoundPacket, unix_us: int) -> None:
        """The next packet, received at `unix_us`."""
        apart_us = unix_us - self._time_of(packet.timestamp)
        if self._anchor_us is None or abs(apart_us) > (_APART_ANEW_US if packet.began else _APART_US):
            self._anchor_timestamp, self._anchor_us, apart_us = packet.timestamp, unix_us, 0
            self._late_us.clear()
        self._late_us.append(apart_us)
        self._heard.append(_Heard(self._time_of(packet.timestamp), packet.payload, packet.samples))
        self.pending_bytes += len(packet.payload)
        self._pending_samples += packet.samples
        while self.pending_bytes > _MOST_BYTES or self._pending_samples > _MOST_SAMPLES:
            self._next()

    def cut(self, started_us: int, ended_us: int) -> SegmentSound | None:
        """What was heard in a segment of these times; None: nothing. What was heard before it is forgotten."""
        while self._heard and (self._heard[0].started_us < started_us - _BEFORE_US or self._is_stale(ended_us)):
            self._next()
        taken: list[_Heard] = []
        while self._heard and self._heard[0].started_us < ended_us:
            if taken and self._heard[0].started_us < taken[-1].started_us:
                # the server's clock was set back: this is of the next segment
                break
            taken.append(self._next())
        self._follow()
        if not taken:
            return None
        ticks = [sound_ticks(one.started_us) for one in taken]
        durations = [max(1, after - before) for before, after in pairwise(ticks)]
        durations.append(taken[-1].samples)
        return SegmentSound(taken[0].started_us, tuple((one.payload, time) for one, time in zip(taken, durations, strict=True)))

    def forget(self) -> None:
        """Drops what waits."""
        self._heard.clear()
        self._late_us.clear()
        self.pending_bytes, self._pending_samples, self._anchor_us = 0, 0, None

    def _is_stale(self, ended_us: int) -> bool:
        """Whether the oldest was heard before the server's clock was set back, and is still to come by the clock of now."""
        return self._heard[0].started_us >= ended_us and self._heard[-1].started_us < self._heard[0].started_us

    def _next(self) -> _Heard:
        one = self._heard.popleft()
        self.pending_bytes -= len(one.payload)
        self._pending_samples -= one.samples
        return one

    def _follow(self) -> None:
        if self._anchor_us is not None and self._late_us:
            late_us = min(self._late_us)
            far = abs(late_us) > _FOLLOW_AT_ONCE_US
            shift_us = late_us if far else max(-_FOLLOW_LIMIT_US, min(_FOLLOW_LIMIT_US, late_us))
            self._anchor_us += shift_us
            self._late_us.clear()
            # what waits goes along: the step lies between two segments
            self._heard = deque(one._replace(started_us=one.started_us + shift_us) for one in self._heard)

    def _time_of(self, timestamp: int) -> int:
        return (self._anchor_us or 0) + (timestamp - self._anchor_timestamp) * 1_000_000 // CLOCK_HZ
