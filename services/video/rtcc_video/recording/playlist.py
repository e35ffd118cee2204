"""HLS playlists (RFC 8216) of recorded segments. Addresses are relative to the playlist's own."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final
from urllib.parse import urlencode

from rtcc_video.recording.domain import Segment
from rtcc_video.recording.fmp4 import Init

MEDIA_TYPE: Final = "application/vnd.apple.mpegurl"


def playlist(segments: Sequence[Segment], inits: Mapping[str, Init], *, live: bool) -> str:
    """A playlist of version 7 (EXT-X-MAP with fMP4). Each stretch without a hole carries its time of day.

    A live one begins where its viewer began and only grows (EXT-X-PLAYLIST-TYPE:EVENT): nothing leaves it, so that every segment keeps the
    number that a player counts it by.
    """
    longest_s = max((_length_s(segment) for segment in segments), default=1.0)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{max(1, round(longest_s + 0.49))}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if not all(segment.starts_with_key for segment in segments):
        lines.pop()
    lines += ("#EXT-X-MEDIA-SEQUENCE:0", f"#EXT-X-PLAYLIST-TYPE:{'EVENT' if live else 'VOD'}")
    broken = {after.segment_id for before, after in pairwise(segments) if not after.continues or after.init_id != before.init_id}
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


def live_entrance(segments: Sequence[Segment], inits: Mapping[str, Init], starts_at: datetime) -> str:
    """A multivariant playlist that leads a viewer who named no start to the live playlist from `starts_at` on: there its numbers stay."""
    bits_per_s = max((int(8 * segment.size_bytes / max(0.1, _length_s(segment))) for segment in segments), default=1)
    about = [f"BANDWIDTH={bits_per_s}"]
    if segments and (init := inits.get(segments[-1].init_id)) is not None:
        about += (f'CODECS="{init.codec}"', f"RESOLUTION={init.width_px}x{init.height_px}")
    query = urlencode({"starts_at": _time(starts_at)})
    return "\n".join(("#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-STREAM-INF:{','.join(about)}", f"playlist?{query}")) + "\n"


def _length_s(segment: Segment) -> float:
    return (segment.ended_at - segment.started_at).total_seconds()


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
