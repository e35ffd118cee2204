"""Low-latency media playlists (RFC 8216bis) of a live window, and what players may ask of them.

Addresses in them are relative to the playlist's own.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from rtcc_chassis.errors import InvalidInput
from rtcc_video.hls.window import INIT_DIGITS, TARGET_S, LiveSegment, Part, Window, part_id
from rtcc_video.recording.fmp4 import TIMESCALE

# so far ahead of the newest segment one may be asked for (6.2.5.2), and parts for so many seconds
_SEGMENTS_AHEAD: Final = 2
_PARTS_AHEAD_S: Final = 3.0
# parts are named for segments of so many target durations from the end (4.4.4.9)
_PARTS_LISTED: Final = 3
_SHORTEST_PART_S: Final = 0.1
# PART-HOLD-BACK in parts (4.4.3.8)
_HOLD_BACK_PARTS: Final = 3
_MEDIA_ID: Final = re.compile(
    rf"(?:i(?P<init>[0-9a-f]{{{INIT_DIGITS}}})|s(?P<segment>[0-9]{{1,12}})|p(?P<part>[0-9]{{1,12}})-(?P<of>[0-9a-f]{{{INIT_DIGITS}}}))"
)


@dataclass(frozen=True, slots=True)
class MediaId:
    """What an address names: an initialisation segment by its digits, a segment by its number, or a part by its number and the digits of
    its initialisation segment."""

    kind: Literal["init", "segment", "part"]
    number: int = -1
    init: str = ""


def read_media_id(text: str) -> MediaId:
    """Raises `InvalidInput`."""
    found = _MEDIA_ID.fullmatch(text)
    if found is None:
        raise InvalidInput.one("media_id", "is no name of a part, a segment or an initialisation segment: take it from the playlist")
    if found["init"] is not None:
        return MediaId("init", init=found["init"])
    if found["segment"] is not None:
        return MediaId("segment", int(found["segment"]))
    return MediaId("part", int(found["part"]), found["of"])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a playlist must have before it is given out: a segment, or a part of one. None: whatever is there."""

    sequence: int | None = None
    part: int | None = None

    def check(self, window: Window) -> None:
        """Raises `InvalidInput` for a part of no segment, and for what is too far in the future to be waited for (6.2.5.2)."""
        if self.sequence is None:
            if self.part is not None:
                raise InvalidInput.one("_HLS_part", "is a part of the segment that _HLS_msn names: send both")
            return
        last = window.last_sequence
        if self.sequence > last + _SEGMENTS_AHEAD:
            raise InvalidInput.one("_HLS_msn", f"at most {_SEGMENTS_AHEAD} segments after {last}, the newest, can be waited for")
        if self.part is not None and self.sequence >= last:
            there = len(window.segments[-1].parts) if window.segments and self.sequence == last else 0
            if self.part > there + _PARTS_AHEAD_S / part_target_s(window):
                raise InvalidInput.one("_HLS_part", "lies too far in the future to be waited for")

    def satisfied(self, window: Window) -> bool:
        """Whether the window has it, or what comes after it."""
        if not window.segments:
            return False
        if self.sequence is None or self.sequence < window.segments[0].sequence:
            return True
        newest = window.segments[-1]
        if self.sequence > newest.sequence:
            return False
        segment = window.segments[self.sequence - window.segments[0].sequence]
        if self.part is None:
            return segment.complete
        if self.part < len(segment.parts):
            return True
        # behind the last part of a complete segment: the first one of the next (6.2.5.2)
        return segment is not newest


def part_target_s(window: Window) -> float:
    """The longest part that is listed, rounded up to a millisecond."""
    ticks = max((part.ticks for segment in window.segments for part in segment.parts), default=0)
    return max(_SHORTEST_PART_S, math.ceil(ticks * 1000 / TIMESCALE) / 1000)


def playlist(window: Window) -> str:
    """The media playlist of what the window has now. A picture that stands for long makes parts long, and the hold-back with them."""
    target_s = part_target_s(window)
    segments = window.segments
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        f"#EXT-X-TARGETDURATION:{TARGET_S}",
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={_HOLD_BACK_PARTS * target_s:.3f}",
        f"#EXT-X-PART-INF:PART-TARGET={target_s:.3f}",
        f"#EXT-X-MEDIA-SEQUENCE:{segments[0].sequence if segments else 0}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{window.discontinuities_gone}",
    ]
    if all(segment.starts_with_key for segment in segments):
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    end = segments[-1].parts[-1].start_ticks + segments[-1].parts[-1].ticks if segments else 0
    init_id = ""
    for segment in segments:
        if segment.discontinuity:
            lines.append("#EXT-X-DISCONTINUITY")
        if segment.init.init_id != init_id:
            init_id = segment.init.init_id
            lines.append(f'#EXT-X-MAP:URI="media/i{init_id[:INIT_DIGITS]}"')
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_time(segment.started_us)}")
        if end - segment.parts[0].start_ticks - segment.ticks < _PARTS_LISTED * TARGET_S * TIMESCALE:
            lines += map(_part, segment.parts)
        if segment.complete:
            lines += (f"#EXTINF:{_seconds(segment.ticks)},", f"media/s{segment.sequence}")
    if window.init is not None:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="media/{part_id(window.next_part, window.init)}"')
    return "\n".join(lines) + "\n"


def segment_bytes(segment: LiveSegment) -> bytes:
    """A segment is its parts, one after the other (RFC 8216bis, 3.2)."""
    return b"".join(part.data for part in segment.parts)


def _part(part: Part) -> str:
    independent = ",INDEPENDENT=YES" if part.independent else ""
    return f'#EXT-X-PART:DURATION={_seconds(part.ticks)},URI="media/{part.media_id}"{independent}'


def _seconds(ticks: int) -> str:
    return f"{ticks / TIMESCALE:.5f}"


def _time(unix_us: int) -> str:
    return datetime.fromtimestamp(unix_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
