"""A clip in a file as a source, looped with rising time stamps: demonstrations, exercises and tests."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.stream import VideoStream

from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b
from rtcc_video.engine.rtp import CLOCK_HZ
from rtcc_video.sources.source import Sink, SourceFailed

_READ_AHEAD_S: Final = 1.0
_UNITS_PER_READ: Final = 120
_SHORTEST_STEP_TICKS: Final = CLOCK_HZ // 1000
_B_FRAMES = "The clip has B-frames, which browsers can't show over WebRTC. Encode it again without them (x264: bframes=0)."


def find_clip(folder: Path | None, name: str) -> Path:
    """The file of that name below `folder`. Raises `SourceFailed`, also for a name that leads out of the folder."""
    if folder is None:
        raise SourceFailed("Clips as cameras are switched off. Set the video service's files_folder.", lasting=True)
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root) or path == root or "\x00" in name:
        raise SourceFailed("A clip must lie inside the video service's files_folder: use file:<name>.", lasting=True)
    if not path.is_file():
        raise SourceFailed(f"There is no clip {name[:80]!r} in the video service's files_folder.", lasting=True)
    return path


class ClipSource:
    """Plays a file's first H.264 stream in real time, again and again. Demuxing runs in a thread, a second ahead."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, sink: Sink) -> None:
        """See `Source.run`."""
        units = self._endless_units()
        sink.on_parameter_sets(())
        started_s: float | None = None
        first_timestamp = 0
        while batch := await asyncio.to_thread(_take, units):
            for unit in batch:
                if started_s is None:
                    started_s, first_timestamp = time.monotonic(), unit.timestamp
                wait_s = started_s + (unit.timestamp - first_timestamp) / CLOCK_HZ - time.monotonic()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                elif wait_s < -_READ_AHEAD_S:
                    # The machine slept: go on from here instead of catching up in fast motion.
                    started_s -= wait_s
                sink.on_unit(unit)

    def _endless_units(self) -> Iterator[AccessUnit]:
        offset = 0
        while True:
            last, step = 0, CLOCK_HZ // 25
            for unit in self._units():
                step = max(unit.timestamp - last, _SHORTEST_STEP_TICKS) if last else step
                last = unit.timestamp
                yield AccessUnit(unit.nals, offset + unit.timestamp, unit.key)
            if not last:
                raise SourceFailed("The clip has fewer than two pictures.", lasting=True)
            offset += last + step

    def _units(self) -> Iterator[AccessUnit]:
        try:
            with av.open(str(self._path)) as container:
                yield from _read_units(container)
        except (av.error.FFmpegError, OSError, IndexError) as error:
            why = getattr(error, "strerror", None) or "it has no video"
            raise SourceFailed(f"The clip can't be read: {why}.", lasting=True) from error


def _read_units(container: InputContainer) -> Iterator[AccessUnit]:
    stream: VideoStream = container.streams.video[0]
    if stream.codec_context.name != "h264":
        raise SourceFailed(f"The clip is {stream.codec_context.name}; H.264 is needed.", lasting=True)
    # MP4 and Matroska store lengths instead of start codes, and the parameter sets apart.
    to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
    ticks_per_unit = float(stream.time_base or 1) * CLOCK_HZ
    first: int | None = None
    distance = 0
    for packet in container.demux(stream):
        if packet.size == 0 or packet.pts is None:
            continue
        if first is None:
            # An edit list shifts every picture alike; only a changing distance means reordering.
            first, distance = packet.pts, packet.pts - packet.dts if packet.dts is not None else 0
        elif packet.dts is not None and packet.pts - packet.dts != distance:
            raise SourceFailed(_B_FRAMES, lasting=True)
        # Read before the filter takes the packet over and empties it.
        timestamp = round((packet.pts - first) * ticks_per_unit)
        nals = [nal for part in to_annex_b.filter(packet) for nal in split_annex_b(bytes(part))]
        unit = make_access_unit(nals, timestamp)
        if unit is not None:
            yield unit


def _take(units: Iterator[AccessUnit]) -> list[AccessUnit]:
    batch: list[AccessUnit] = []
    for unit in units:
        batch.append(unit)
        if len(batch) >= _UNITS_PER_READ or unit.timestamp - batch[0].timestamp > _READ_AHEAD_S * CLOCK_HZ:
            break
    return batch
