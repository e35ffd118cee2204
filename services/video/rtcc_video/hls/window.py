"""The newest seconds of a stream as parts and segments of MP4. No I/O, no clock: the times are arguments."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from rtcc_video.engine.h264 import AccessUnit, MalformedBitstream, parse_sps
from rtcc_video.hls.limits import WindowLimits
from rtcc_video.recording.fmp4 import TIMESCALE, Init, make_init, parameter_sets, write_segment

# A segment's length as playlists round it never exceeds this (RFC 8216bis, 4.4.3.1).
TARGET_S: Final = 2
# A silence longer than this, or time stamps that go back: what follows doesn't continue what was before.
_SILENCE_TICKS: Final = 2 * TIMESCALE
_USUAL_TICKS: Final = TIMESCALE // 25
# The server's clock against the pictures' time stamps; beyond it the time of day is taken anew.
_APART_US: Final = 1_000_000
# ISO/IEC 14496-15, 5.3.3.1: counted in one byte, their sizes in two
_MOST_PICTURE_SETS: Final = 255
_LARGEST_SET_BYTES: Final = 0xFFFF
# of an initialisation segment's SHA-256, in the names of what belongs to it
INIT_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Part:
    """Some pictures as a fragment of their own. `number` counts on for ever; `independent`: it begins with a key picture."""

    number: int
    init: Init
    start_ticks: int
    ticks: int
    independent: bool
    data: bytes

    @property
    def media_id(self) -> str:
        """Its name in addresses."""
        return part_id(self.number, self.init)


@dataclass(slots=True)
class LiveSegment:
    """Parts that follow each other under one number. `started_us`: Unix microseconds; `discontinuity`: it continues nothing."""

    sequence: int
    init: Init
    started_us: int
    discontinuity: bool
    parts: list[Part] = field(default_factory=list)
    complete: bool = False
    ticks: int = 0
    size_bytes: int = 0

    @property
    def starts_with_key(self) -> bool:
        return self.parts[0].independent

    @property
    def has_key(self) -> bool:
        """Whether a player can begin somewhere in it."""
        return any(part.independent for part in self.parts)


def part_id(number: int, init: Init) -> str:
    """How a part is called, before it exists too. It names its initialisation segment, which another one follows at any time."""
    return f"p{number}-{init.init_id[:INIT_DIGITS]}"


class Window:
    """One stream. Pictures go in by `take`; what is there stands in `segments`, the newest of them growing."""

    def __init__(self, limits: WindowLimits) -> None:
        self._limits = limits
        self._part_ticks = int(limits.part_s * TIMESCALE)
        self._segment_ticks = int(limits.segment_s * TIMESCALE)
        self._longest_ticks = int(limits.longest_s * TIMESCALE)
        self.segments: deque[LiveSegment] = deque()
        # how many discontinuities have left the window (RFC 8216bis, 4.4.3.3)
        self.discontinuities_gone = 0
        self.next_part = 0
        self.init: Init | None = None
        self._sets: tuple[bytes, tuple[bytes, ...]] | None = None
        self._next_sequence = 0
        self._bytes = 0
        # pictures whose part isn't complete, with their places on our time line; the last one's length isn't known before the next
        self._pending: list[tuple[AccessUnit, int]] = []
        self._pending_bytes = 0
        self._step_ticks = _USUAL_TICKS
        # a time stamp of the stream, its place on our time line, and the time of day of the same moment
        self._anchor: tuple[int, int, int] | None = None
        self._waits_for_key = True
        self._discontinuity = False

    @property
    def size_bytes(self) -> int:
        """What is in memory."""
        return self._bytes + self._pending_bytes

    @property
    def last_sequence(self) -> int:
        """The number of the newest segment; -1 before the first."""
        return self.segments[-1].sequence if self.segments else -1

    def take(self, unit: AccessUnit, unix_us: int) -> bool:
        """The next picture, received at `unix_us`. Whether there is a new part now. Raises `MalformedBitstream`."""
        before = self.next_part
        fresh = self._fresh_sets(unit)
        if self._pending and self._breaks_off(unit):
            self._close_part(self._pending[-1][1] + self._step_ticks)
            self._close_segment()
            self._discontinuity = self._waits_for_key = True
        if self._waits_for_key:
            if not unit.key or (fresh is None and self.init is None):
                return self.next_part > before
            self._waits_for_key = False
            self._begin(unit, unix_us)
        place = self._place(unit, unix_us)
        if self._pending:
            self._step_ticks = place - self._pending[-1][1]
            if self._ends_part(unit, place, fresh is not None):
                self._close_part(place)
            if unit.key and not self._pending and (fresh is not None or self._segment_is_long_enough()):
                self._close_segment()
        if fresh is not None:
            self._sets = fresh
            self.init = make_init(*fresh, parse_sps(fresh[0]))
        self._pending.append((unit, place))
        self._pending_bytes += sum(map(len, unit.nals))
        return self.next_part > before

    def part(self, number: int) -> Part | None:
        """The part of that number, while it is kept."""
        for segment in reversed(self.segments):
            if segment.parts[0].number <= number:
                at = number - segment.parts[0].number
                return segment.parts[at] if at < len(segment.parts) else None
        return None

    def segment(self, sequence: int) -> LiveSegment | None:
        """The segment of that number, while it is kept."""
        at = sequence - self.segments[0].sequence if self.segments else -1
        return self.segments[at] if 0 <= at < len(self.segments) else None

    def known_init(self, digits: str) -> Init | None:
        """An initialisation segment of what is kept, by the first digits of its identifier."""
        inits = (segment.init for segment in self.segments)
        return next((init for init in inits if init.init_id[:INIT_DIGITS] == digits), None)

    def _fresh_sets(self, unit: AccessUnit) -> tuple[bytes, tuple[bytes, ...]] | None:
        """The picture's parameter sets where they are others than before."""
        if not unit.key:
            return None
        sets = parameter_sets(unit.nals)
        if sets is None or sets == self._sets:
            return None
        parse_sps(sets[0])
        if len(sets[1]) > _MOST_PICTURE_SETS or any(len(one) > _LARGEST_SET_BYTES for one in (sets[0], *sets[1])):
            raise MalformedBitstream("parameter sets", "there are more, or larger ones, than an MP4 can hold")
        return sets

    def _breaks_off(self, unit: AccessUnit) -> bool:
        return not 0 <= unit.timestamp - self._pending[-1][0].timestamp <= _SILENCE_TICKS

    def _begin(self, unit: AccessUnit, unix_us: int) -> None:
        """Anchors the time line, which goes on by the time of day where the stream broke off."""
        place = 0
        if self._anchor is not None and self.segments:
            last = self.segments[-1].parts[-1]
            _, anchor_place, anchor_us = self._anchor
            place = max(last.start_ticks + last.ticks, anchor_place + (unix_us - anchor_us) * TIMESCALE // 1_000_000)
        self._anchor = (unit.timestamp, place, unix_us)

    def _place(self, unit: AccessUnit, unix_us: int) -> int:
        assert self._anchor is not None  # begun
        stamp, anchor_place, anchor_us = self._anchor
        place = anchor_place + unit.timestamp - stamp
        if abs(unix_us - anchor_us - (place - anchor_place) * 1_000_000 // TIMESCALE) > _APART_US:
            self._anchor = (unit.timestamp, place, unix_us)
        return max(place, self._pending[-1][1] + 1) if self._pending else place

    def _ends_part(self, unit: AccessUnit, place: int, fresh: bool) -> bool:
        if fresh or self._pending_bytes >= self._limits.part_bytes:
            return True
        first = self._pending[0]
        if unit.key and (not first[0].key or self._segment_is_long_enough(place - first[1])):
            return True
        return place - first[1] + self._step_ticks > self._part_ticks

    def _segment_is_long_enough(self, more_ticks: int = 0) -> bool:
        return self._open is not None and self._open.ticks + more_ticks >= self._segment_ticks

    @property
    def _open(self) -> LiveSegment | None:
        return self.segments[-1] if self.segments and not self.segments[-1].complete else None

    def _close_part(self, end_ticks: int) -> None:
        init, pending = self.init, self._pending
        if init is None:
            raise MalformedBitstream("stream", "pictures without parameter sets")
        starts = [place for _, place in pending]
        pictures = [(unit.nals, until - place, unit.key) for (unit, place), until in zip(pending, [*starts[1:], end_ticks], strict=True)]
        number = self.next_part
        data = write_segment(number, starts[0], pictures)
        part = Part(number, init, starts[0], end_ticks - starts[0], pending[0][0].key, data)
        self.next_part += 1
        self._pending, self._pending_bytes = [], 0
        segment = self._open
        if segment is not None and (
            segment.ticks + part.ticks > self._longest_ticks or segment.size_bytes + len(data) > self._limits.segment_bytes
        ):
            self._close_segment()
            segment = None
        if segment is None:
            segment = LiveSegment(self._next_sequence, init, self._time_of(part), self._discontinuity or self._other_init(init))
            self._next_sequence += 1
            self._discontinuity = False
            self.segments.append(segment)
        segment.parts.append(part)
        segment.ticks += part.ticks
        segment.size_bytes += len(data)
        self._bytes += len(data)
        self._trim()

    def _other_init(self, init: Init) -> bool:
        return bool(self.segments) and self.segments[-1].init.init_id != init.init_id

    def _time_of(self, part: Part) -> int:
        assert self._anchor is not None  # begun
        return self._anchor[2] + (part.start_ticks - self._anchor[1]) * 1_000_000 // TIMESCALE

    def _close_segment(self) -> None:
        if self._open is not None:
            self._open.complete = True
            self._trim()

    def _trim(self) -> None:
        """Lets go of the oldest segments."""
        segments = self.segments
        total = sum(segment.ticks for segment in segments)
        kept, most = int(self._limits.kept_s * TIMESCALE), int(self._limits.most_s * TIMESCALE)
        keys = sum(segment.has_key for segment in segments)
        while len(segments) > 1:
            oldest = segments[0]
            left = total - oldest.ticks
            unneeded = left >= kept and keys - oldest.has_key > 0
            if not unneeded and total <= most and self._bytes <= self._limits.window_bytes:
                return
            segments.popleft()
            total, keys = left, keys - oldest.has_key
            self._bytes -= oldest.size_bytes
            self.discontinuities_gone += oldest.discontinuity
