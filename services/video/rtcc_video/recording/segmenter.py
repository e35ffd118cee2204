"""Cuts a camera's pictures into segments with times of day. No I/O, no clock: the times are arguments."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from rtcc_video.engine.h264 import AccessUnit, MalformedBitstream, parse_sps
from rtcc_video.recording.fmp4 import TIMESCALE, Init, make_init, parameter_sets, write_segment
from rtcc_video.recording.sound import SegmentSound

# The server's clock against its monotonic clock: more than this between two pictures is a step, not a drift.
_STEP_US: Final = 500_000
# How far the camera's ticks may run from the server's clock before a new count begins. A picture held up by the network stays below it.
_APART_US: Final = 3_000_000
_SILENCE_TICKS: Final = 2 * TIMESCALE
# A segment's start follows the server's clock by an eighth of the difference, at most 40 ms and half a picture, as the last picture of
# the segment before stands for it: jitter is smoothed, drift is followed, no picture vanishes.
_FOLLOW_SHARE: Final = 8
_FOLLOW_LIMIT_US: Final = 40_000
_USUAL_TICKS: Final = TIMESCALE // 25
# about a second of pictures: one of them came without delay
_SEEN_PICTURES: Final = 32


def media_ticks(unix_us: int) -> int:
    """Unix microseconds as the time in a segment, 90 kHz."""
    return unix_us * TIMESCALE // 1_000_000


@dataclass(frozen=True, slots=True)
class SegmentLimits:
    """Cut at the first key picture after `target_s`; anywhere at `longest_s` or `longest_bytes`."""

    target_s: float = 4.0
    longest_s: float = 12.0
    longest_bytes: int = 8_000_000


@dataclass(frozen=True, slots=True)
class RawSegment:
    """Pictures of one segment before they are written. Times are Unix microseconds by the server's clock.

    `continues` says that no picture is missing between it and the segment before; `step_us` by how much the server's clock had jumped
    when it began.
    """

    number: int
    started_us: int
    ended_us: int
    camera_started_us: int | None
    received_us: int
    continues: bool
    step_us: int
    init: Init
    pictures: tuple[tuple[tuple[bytes, ...], int, bool], ...]
    sound: SegmentSound | None = None

    @property
    def size_bytes(self) -> int:
        """What it holds in memory."""
        pictures = sum(len(nal) for nals, _, _ in self.pictures for nal in nals)
        return pictures + (self.sound.size_bytes if self.sound is not None else 0)

    @property
    def starts_with_key(self) -> bool:
        return self.pictures[0][2]

    def sound_bytes(self) -> bytes:
        """The media segment of its sound; empty: it has none."""
        return self.sound.to_bytes(self.number) if self.sound is not None else b""

    def to_bytes(self) -> bytes:
        """That of its pictures; its decoding time is the server's time of day in ticks, so that players need no other index."""
        return write_segment(self.number, media_ticks(self.started_us), self.pictures)


# Called with each segment as it is complete.
type OnSegment = Callable[[RawSegment], None]


class Segmenter:
    """One camera. Pictures go in by `take`; segments come out by `on_segment`."""

    def __init__(self, limits: SegmentLimits, on_segment: OnSegment) -> None:
        self._limits = limits
        self._on_segment = on_segment
        self._target_ticks = int(limits.target_s * TIMESCALE)
        self._longest_ticks = int(limits.longest_s * TIMESCALE)
        self._pictures: list[AccessUnit] = []
        self._bytes = 0
        self._number = 0
        self._init: Init | None = None
        self._sets: tuple[bytes, tuple[bytes, ...]] | None = None
        # the camera's ticks and the server's time of the same moment
        self._anchor_ticks = 0
        self._anchor_us = 0
        self._offset_us: int | None = None
        self._received_us = 0
        self._continues = False
        self._step_us = 0
        self._step_ticks = _USUAL_TICKS
        self._behind_us: deque[int] = deque(maxlen=_SEEN_PICTURES)

    @property
    def behind_us(self) -> int:
        """How much later than the time that they get the latest pictures come, the quickest of them; negative: sooner.

        A camera that first sends what it has since its last key picture begins its recording too late; sound goes along with that.
        """
        return min(self._behind_us, default=0)

    @property
    def pending_bytes(self) -> int:
        """What is in memory and would be lost with the process."""
        return self._bytes

    def take(self, unit: AccessUnit, unix_us: int, monotonic_us: int) -> None:
        """The next picture, received at `unix_us`. Raises `MalformedBitstream` for unreadable parameter sets."""
        offset_us = unix_us - monotonic_us
        step_us = 0 if self._offset_us is None else offset_us - self._offset_us
        self._offset_us = offset_us
        if self._pictures:
            self._cut_where_needed(unit, unix_us, step_us)
        if not self._pictures:
            if not self._begin(unit, unix_us):
                return
            if abs(step_us) > _STEP_US:
                self._step_us = step_us
        self._behind_us.append(unix_us - self._time_of(unit.timestamp))
        self._pictures.append(unit)
        self._bytes += sum(map(len, unit.nals))

    def finish(self) -> None:
        """Gives out what is there: the source ended, or recording does. The next picture begins anew."""
        if self._pictures:
            self._emit(self._pictures[-1].timestamp + self._step_ticks)
        self._continues = False
        self._offset_us = None

    def drop(self) -> None:
        """Forgets what is there."""
        self._pictures, self._bytes, self._continues = [], 0, False

    def _cut_where_needed(self, unit: AccessUnit, unix_us: int, step_us: int) -> None:
        last, first = self._pictures[-1].timestamp, self._pictures[0].timestamp
        ticks = unit.timestamp - last
        apart_us = unix_us - self._time_of(unit.timestamp)
        stepped = abs(step_us) > _STEP_US
        if stepped or not 0 < ticks <= _SILENCE_TICKS or abs(apart_us) > _APART_US:
            self._emit(last + self._step_ticks)
            # a clock that jumped loses no picture; a silence or a new count of the source does
            self._continues = stepped and 0 < ticks <= _SILENCE_TICKS
            self._anchor_us = 0
            return
        self._step_ticks = ticks
        length = unit.timestamp - first
        full = length >= self._longest_ticks or self._bytes >= self._limits.longest_bytes
        if full or (unit.key and (length >= self._target_ticks or self._new_sets(unit))):
            limit_us = min(_FOLLOW_LIMIT_US, ticks * 1_000_000 // TIMESCALE // 2)
            follow_us = max(-limit_us, min(limit_us, apart_us // _FOLLOW_SHARE))
            next_us = self._time_of(unit.timestamp) + follow_us
            self._emit(unit.timestamp, next_us)
            self._anchor_ticks, self._anchor_us = unit.timestamp, next_us

    def _begin(self, unit: AccessUnit, unix_us: int) -> bool:
        """Whether a segment can begin with this picture."""
        if not unit.key and not self._continues:
            return False
        if unit.key and (sets := parameter_sets(unit.nals)) is not None and sets != self._sets:
            self._init = make_init(*sets, parse_sps(sets[0]))
            self._sets = sets
        if self._init is None:
            return False
        if not self._continues or self._anchor_us == 0:
            self._anchor_ticks, self._anchor_us = unit.timestamp, unix_us
            self._behind_us.clear()
        self._received_us = unix_us
        return True

    def _new_sets(self, unit: AccessUnit) -> bool:
        sets = parameter_sets(unit.nals)
        return sets is not None and sets != self._sets

    def _time_of(self, ticks: int) -> int:
        return self._anchor_us + (ticks - self._anchor_ticks) * 1_000_000 // TIMESCALE

    def _emit(self, end_ticks: int, ended_us: int = 0) -> None:
        """The segment up to `end_ticks`; where the next one begins at another time, the last picture stands for the difference."""
        units, init = self._pictures, self._init
        if init is None:
            raise MalformedBitstream("stream", "a segment without parameter sets")
        started_us = self._time_of(units[0].timestamp)
        ended_us = ended_us or self._time_of(end_ticks)
        durations = [after.timestamp - unit.timestamp for unit, after in pairwise(units)]
        # To the tick where the next one begins: a player that appends this one later than the next takes an overlap for a replacement.
        length = media_ticks(ended_us) - media_ticks(started_us)
        durations.append(max(1, length - sum(durations)))
        pictures = tuple((unit.nals, duration, unit.key) for unit, duration in zip(units, durations, strict=True))
        self._number += 1
        segment = RawSegment(
            number=self._number,
            started_us=started_us,
            ended_us=max(ended_us, started_us + 1),
            camera_started_us=units[0].captured_us,
            received_us=self._received_us,
            continues=self._continues and self._step_us == 0,
            step_us=self._step_us,
            init=init,
            pictures=pictures,
        )
        self._pictures, self._bytes, self._step_us, self._continues = [], 0, 0, True
        self._on_segment(segment)
