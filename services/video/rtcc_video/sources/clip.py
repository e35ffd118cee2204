"""A clip in a file as a source, looped with rising time stamps: demonstrations, exercises and tests.

What is in the file is cut into pictures and units of sound here, and nothing is decoded: that is left to other processes.
"""

import asyncio
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.stream import VideoStream

from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b
from rtcc_video.engine.opus import CLOCK_HZ as CLOCK_48_HZ
from rtcc_video.engine.rtp import CLOCK_HZ
from rtcc_video.engine.sound_track import SoundCodec, SoundKind
from rtcc_video.sources.sound_inlet import SoundInlet, SoundWay
from rtcc_video.sources.source import Sink, SourceFailed

_READ_AHEAD_S: Final = 1.0
_UNITS_PER_READ: Final = 240
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


_SOUND_CODECS: Final[dict[str, SoundCodec]] = {"opus": "OPUS", "libopus": "OPUS", "pcm_mulaw": "PCMU", "pcm_alaw": "PCMA", "aac": "AAC"}


class ClipSound(NamedTuple):
    """A unit of sound; `timestamp` counts 90 kHz, as the pictures' does."""

    unit: bytes
    timestamp: int


class ClipSource:
    """Plays a file's first H.264 stream in real time, again and again. Demuxing runs in a thread, a second ahead.

    `sound`: where the file's first stream of sound goes; None: it is left where it is.
    """

    def __init__(self, path: Path, sound: SoundWay | None = None) -> None:
        self._path = path
        self._sound = sound

    async def run(self, sink: Sink) -> None:
        """See `Source.run`."""
        kind = await asyncio.to_thread(self._find_sound) if self._sound is not None else None
        inlet = self._sound.inlet(kind) if self._sound is not None and kind is not None else None
        units = self._endless_units(with_sound=inlet is not None)
        sink.on_parameter_sets(())
        try:
            await self._play(units, sink, inlet)
        finally:
            if inlet is not None:
                inlet.close()

    async def _play(self, units: Iterator[AccessUnit | ClipSound], sink: Sink, inlet: SoundInlet | None) -> None:
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
                if isinstance(unit, AccessUnit):
                    sink.on_unit(unit)
                elif inlet is not None:
                    inlet.take(unit.unit, unit.timestamp * inlet.clock_hz // CLOCK_HZ)

    def _endless_units(self, *, with_sound: bool) -> Iterator[AccessUnit | ClipSound]:
        offset = 0
        while True:
            last, step = 0, CLOCK_HZ // 25
            for unit in self._units(with_sound):
                if isinstance(unit, ClipSound):
                    yield ClipSound(unit.unit, offset + unit.timestamp)
                    continue
                step = max(unit.timestamp - last, _SHORTEST_STEP_TICKS) if last else step
                last = unit.timestamp
                yield AccessUnit(unit.nals, offset + unit.timestamp, unit.key)
            if not last:
                raise SourceFailed("The clip has fewer than two pictures.", lasting=True)
            offset += last + step

    def _units(self, with_sound: bool) -> Iterator[AccessUnit | ClipSound]:
        try:
            with av.open(str(self._path)) as container:
                yield from _read_units(container, with_sound)
        except (av.error.FFmpegError, OSError, IndexError) as error:
            why = getattr(error, "strerror", None) or "it has no video"
            raise SourceFailed(f"The clip can't be read: {why}.", lasting=True) from error

    def _find_sound(self) -> SoundKind | None:
        """How the file's sound is coded; None: it has none that can be used, and the reason is told."""
        assert self._sound is not None  # asked only then
        try:
            with av.open(str(self._path)) as container:
                stream = _sound_stream(container)
                name = stream.codec_context.name if stream is not None else ""
                codec = _SOUND_CODECS.get(name)
                if stream is not None and codec is not None:
                    context = stream.codec_context
                    rate_hz = CLOCK_48_HZ if codec == "OPUS" else context.sample_rate
                    return SoundKind(codec, rate_hz, context.layout.nb_channels, bytes(context.extradata or b""))
        except (av.error.FFmpegError, OSError):
            name = ""
        self._sound.refuse(f"The clip's sound is {name}; Opus, G.711 or AAC is needed." if name else "The clip has no sound.")
        return None


def _sound_stream(container: InputContainer) -> AudioStream | None:
    """The first that libav knows: else it has no context."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def _read_units(container: InputContainer, with_sound: bool) -> Iterator[AccessUnit | ClipSound]:
    stream: VideoStream = container.streams.video[0]
    if stream.codec_context.name != "h264":
        raise SourceFailed(f"The clip is {stream.codec_context.name}; H.264 is needed.", lasting=True)
    # MP4 and Matroska store lengths instead of start codes, and the parameter sets apart.
    to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
    time_base = stream.time_base or Fraction(1)
    first: int | None = None
    distance = 0
    sound = _sound_stream(container) if with_sound else None
    for packet in container.demux([stream, sound] if sound is not None else stream):
        if packet.size == 0 or packet.pts is None:
            continue
        if packet.stream is not stream:
            if first is not None:
                yield ClipSound(bytes(packet), round((packet.pts * packet.time_base - first * time_base) * CLOCK_HZ))
            continue
        if first is None:
            # An edit list shifts every picture alike; only a changing distance means reordering.
            first, distance = packet.pts, packet.pts - packet.dts if packet.dts is not None else 0
        elif packet.dts is not None and packet.pts - packet.dts != distance:
            raise SourceFailed(_B_FRAMES, lasting=True)
        # Read before the filter takes the packet over and empties it.
        timestamp = round((packet.pts - first) * time_base * CLOCK_HZ)
        nals = [nal for part in to_annex_b.filter(packet) for nal in split_annex_b(bytes(part))]
        unit = make_access_unit(nals, timestamp)
        if unit is not None:
            yield unit


def _take(units: Iterator[AccessUnit | ClipSound]) -> list[AccessUnit | ClipSound]:
    batch: list[AccessUnit | ClipSound] = []
    for unit in units:
        batch.append(unit)
        if len(batch) >= _UNITS_PER_READ or unit.timestamp - batch[0].timestamp > _READ_AHEAD_S * CLOCK_HZ:
            break
    return batch
