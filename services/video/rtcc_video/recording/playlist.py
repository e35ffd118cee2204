"""HLS playlists (RFC 8216) of recorded segments. Addresses are relative to the playlist's own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from itertools import pairwise
from typing import Final
from urllib.parse import urlencode

from rtcc_video.recording.domain import Segment
from rtcc_video.recording.fmp4 import Init
from rtcc_video.recording.sound_fmp4 import CODEC as SOUND_CODEC

MEDIA_TYPE: Final = "application/vnd.apple.mpegurl"


# before the id of a segment that has no sound
SILENCE: Final = "silence-"
# what a list names each by, in the address of the next one
_RENDITION: Final = "FOOTAGE_RENDITION_SOUND"


class Rendition(Enum):
    """What a playlist is of."""

    PICTURES = auto()
    WITH_SOUND = auto()
    SOUND = auto()


def playlist(segments: Sequence[Segment], inits: Mapping[str, Init], *, live: bool) -> str:
    """A playlist of version 7 (EXT-X-MAP with fMP4). Each stretch without a hole carries its time of day.

    A live one begins where its viewer began and only grows (EXT-X-PLAYLIST-TYPE:EVENT): nothing leaves it, so that every segment keeps the
    number that a player counts it by.
    """
    lines = _head(segments, live=live, independent=all(segment.starts_with_key for segment in segments))
    broken = _broken(segments)
    init_id = ""
    for number, segment in enumerate(segments):
        if segment.segment_id in broken:
            lines.append("#EXT-X-DISCONTINUITY")
        if segment.init_id != init_id and segment.init_id in inits:
            init_id = segment.init_id
            lines.append(f'#EXT-X-MAP:URI="media/{init_id}"')
        if number == 0 or segment.segment_id in broken:
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_time(segment.started_at)}")
        lines += (f"#EXTINF:{_length_s(segment):.3f},", f"media/{segment.segment_id}")
    if not live:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def sound_playlist(segments: Sequence[Segment], *, live: bool) -> str:
    """The sound beside a `playlist`, with the same segments, breaks and times. Where there is none stands silence: players jump over a gap
    (EXT-X-GAP), and over its pictures too."""
    lines = [*_head(segments, live=live, independent=True), '#EXT-X-MAP:URI="sound/init"']
    broken = _broken(segments)
    for number, segment in enumerate(segments):
        if segment.segment_id in broken:
            lines.append("#EXT-X-DISCONTINUITY")
        if number == 0 or segment.segment_id in broken:
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_time(segment.started_at)}")
        lines += (f"#EXTINF:{_length_s(segment):.3f},", f"sound/{'' if segment.sound_sha256 else SILENCE}{segment.segment_id}")
    if not live:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def entrance(segments: Sequence[Segment], inits: Mapping[str, Init], starts_at: datetime, ends_at: datetime | None) -> str:
    """A multivariant playlist that leads to the pictures of a window, and to its sound where there is any."""
    query = {"starts_at": _time(starts_at)} | ({"ends_at": _time(ends_at)} if ends_at is not None else {})
    about, lines = _about(segments, inits), ["#EXTM3U", "#EXT-X-VERSION:7"]
    if any(segment.sound_sha256 for segment in segments):
        about = [f'{one[:-1]},{SOUND_CODEC}"' if one.startswith("CODECS=") else one for one in about] + ['AUDIO="sound"']
        address = f"playlist?{urlencode(query | {'rendition': _RENDITION})}"
        lines.append(f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Microphone",AUTOSELECT=YES,DEFAULT=YES,CHANNELS="2",URI="{address}"')
    return "\n".join((*lines, f"#EXT-X-STREAM-INF:{','.join(about)}", f"playlist?{urlencode(query)}")) + "\n"


def live_entrance(segments: Sequence[Segment], inits: Mapping[str, Init], starts_at: datetime) -> str:
    """A multivariant playlist that leads a viewer who named no start to the live playlist from `starts_at` on: there its numbers stay."""
    about = _about(segments, inits)
    query = urlencode({"starts_at": _time(starts_at)})
    return "\n".join(("#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-STREAM-INF:{','.join(about)}", f"playlist?{query}")) + "\n"


def _head(segments: Sequence[Segment], *, live: bool, independent: bool) -> list[str]:
    longest_s = max((_length_s(segment) for segment in segments), default=1.0)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{max(1, round(longest_s + 0.49))}"]
    if independent:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    return [*lines, "#EXT-X-MEDIA-SEQUENCE:0", f"#EXT-X-PLAYLIST-TYPE:{'EVENT' if live else 'VOD'}"]


def _broken(segments: Sequence[Segment]) -> set[str]:
    """Those that don't go on where the one before ends."""
    return {after.segment_id for before, after in pairwise(segments) if not after.continues or after.init_id != before.init_id}


def _about(segments: Sequence[Segment], inits: Mapping[str, Init]) -> list[str]:
    bits_per_s = max((int(8 * (one.size_bytes + one.sound_bytes) / max(0.1, _length_s(one))) for one in segments), default=1)
    about = [f"BANDWIDTH={bits_per_s}"]
    if segments and (init := inits.get(segments[-1].init_id)) is not None:
        about += (f'CODECS="{init.codec}"', f"RESOLUTION={init.width_px}x{init.height_px}")
    return about


def _length_s(segment: Segment) -> float:
    return (segment.ended_at - segment.started_at).total_seconds()


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
