"""The packet numbers of a viewer that doesn't follow a stream step by step: left-out pictures and changed streams leave no gap."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtcc_video.engine.frames import Frame

if TYPE_CHECKING:
    from rtcc_video.engine.stream import LiveStream


@dataclass(frozen=True, slots=True)
class Segment:
    """From own packet `own_start` on, packets come from `stream`: its index is ours plus `shift`, its time stamp ours plus `ticks`."""

    own_start: int
    stream: "LiveStream"
    shift: int = 0
    ticks: int = 0


class Numbering:
    """Maps between a stream's packets and a viewer's own.

    While nothing was left out both are the same, and the viewer shares headers with everybody. A receiver that saw gaps would ask
    for what was left out on purpose, and count it as lost.
    """

    def __init__(self, stream: "LiveStream") -> None:
        self.home = stream
        self.home_ssrc = stream.ssrc
        self._segments = [Segment(0, stream)]
        self._squeezed: dict[int, int] = {}
        self.first_index: int | None = None
        self.next_own: int | None = None
        self._last_timestamp = 0

    @property
    def shared(self) -> bool:
        """Whether the viewer's packets are still the stream's own."""
        return len(self._segments) == 1 and not self._segments[0].shift and not self._segments[0].ticks

    @property
    def keeps_old(self) -> bool:
        """Whether `forget_old` could find something: of most viewers nothing is kept after their first seconds."""
        return bool(self._squeezed) or len(self._segments) > 1

    @property
    def ticks(self) -> int:
        """How far the stream's time stamps are ahead of the viewer's."""
        return self._segments[-1].ticks

    def follow(self, frame: Frame, stream: "LiveStream", elapsed_ticks: int = 0) -> Frame:
        """The next frame as the viewer gets it; `elapsed_ticks` count since its last one, for a stream with another clock."""
        if self.next_own is None:
            self.first_index = self.next_own = frame.first_index
            self._segments = [Segment(0, stream)]
        segment = self._segments[-1]
        ticks = segment.ticks
        if stream is not segment.stream:
            ticks = (frame.timestamp - self._last_timestamp - max(1, elapsed_ticks)) & 0xFFFFFFFF
        shift = frame.first_index - self.next_own
        if stream is not segment.stream or shift != segment.shift:
            segment = Segment(self.next_own, stream, shift, ticks)
            self._segments.append(segment)
        self.next_own += frame.count
        renamed = self._rename(frame, segment)
        self._last_timestamp = renamed.timestamp
        return renamed

    def catch_up(self, next_index: int, timestamp: int) -> None:
        """The stream's own packets were sent up to `next_index`, without being looked at one by one."""
        self.next_own, self._last_timestamp = next_index, timestamp & 0xFFFFFFFF

    def squeeze(self, frame: Frame, timestamp: int) -> Frame:
        """Like `follow`, for a frame of the group so far, with a time stamp of its own that holds for resends too."""
        self._squeezed[frame.first_index] = timestamp
        return self.follow(frame, self._segments[-1].stream)

    def repeat(self, frame: Frame) -> Frame | None:
        """A frame that was sent before, with the very packets first sent; None when it wasn't sent."""
        first, segment = self.first_index, self._segments[-1]
        own = frame.first_index - segment.shift
        if first is None or own < max(segment.own_start, first) or self.next_own is None or own >= self.next_own:
            return None
        return self._rename(frame, segment)

    def find(self, sequence: int) -> tuple[Frame, int] | None:
        """The sent packet of this 16 bit sequence number, as first sent, and its position in its frame; None when it isn't kept."""
        if self.next_own is None or self.first_index is None:
            return None
        newest = self.next_own - 1
        own = newest - ((newest - sequence) & 0xFFFF)
        if own < self.first_index:
            return None
        position = bisect_right(self._segments, own, key=lambda known: known.own_start) - 1
        if position < 0:
            # Of a segment that was dropped: another one would give other bytes under the same number.
            return None
        segment = self._segments[position]
        found = segment.stream.ring.find_index(own + segment.shift)
        return None if found is None else (self._rename(found[0], segment), found[1])

    def forget_old(self) -> None:
        """Drops what can't be asked for any more."""
        while len(self._segments) > 1:
            segment, following = self._segments[0], self._segments[1]
            if segment.stream is self._segments[-1].stream and following.own_start + segment.shift > segment.stream.ring.oldest_index:
                return
            if segment.stream is not self._segments[-1].stream and len(self._segments) <= 16:
                return
            del self._segments[0]
        stream = self._segments[-1].stream
        if self._squeezed:
            group = stream.group
            kept_from = min(stream.ring.oldest_index, group[0].first_index) if group else stream.ring.oldest_index
            self._squeezed = {index: stamp for index, stamp in self._squeezed.items() if index >= kept_from}

    def _rename(self, frame: Frame, segment: Segment) -> Frame:
        stamp = self._squeezed.get(frame.first_index) if segment.stream is self.home else None
        if stamp is None and not segment.shift and not segment.ticks and frame.ssrc == self.home_ssrc:
            return frame
        timestamp = frame.timestamp - segment.ticks if stamp is None else stamp
        return frame.renamed(frame.first_index - segment.shift, timestamp, self.home_ssrc)
