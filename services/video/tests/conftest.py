"""Clips encoded on the spot, and the relay without a service around it."""

import asyncio
import itertools
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import pytest_asyncio
from aiortc import MediaStreamTrack

from rtcc_chassis.testing import TestPlatform
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b
from rtcc_video.engine.stream import LiveStream, StreamLimits

from .center import Center, serving

MakeClip = Callable[..., Path]


def write_clip(
    path: Path,
    frames: int = 60,
    fps: int = 30,
    gop: int = 30,
    size: tuple[int, int] = (320, 240),
    b_frames: int = 0,
    bit_rate: int = 400_000,
    profile: str = "baseline",
) -> Path:
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", bit_rate
        stream.time_base = Fraction(1, fps)
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.gop_size = gop
        options = {"profile": profile, "preset": "veryfast", "sc_threshold": "0", "keyint_min": str(gop)}
        stream.codec_context.options = options if b_frames else options | {"tune": "zerolatency"}
        ramp = np.add.outer(np.arange(height), np.arange(width))
        noise = np.random.default_rng(7).integers(0, 40, (height, width))
        for index in range(frames):
            red = (ramp + index * 4) % 256
            picture = np.stack([red, np.full_like(red, index * 255 // frames), noise + (index * 13) % 200], axis=2).astype(np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> MakeClip:
    """`make_clip(frames=.., gop=..)` -> an MP4; the same arguments give the same file."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[str, Path] = {}

    def make(**options: object) -> Path:
        key = repr(sorted(options.items()))
        if key not in made:
            suffix = options.pop("suffix", "mp4")
            made[key] = write_clip(folder / f"clip{len(made)}.{suffix}", **options)  # type: ignore[arg-type] # passed through
        return made[key]

    return make


def read_units(path: Path) -> list[AccessUnit]:
    """The access units of a clip by another way than the product's: PyAV's own Annex B filter on raw packets."""
    units = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            if packet.size:
                timestamp = round(float(packet.pts * packet.time_base) * 90_000)
                nals = [nal for part in to_annex_b.filter(packet) for nal in split_annex_b(bytes(part))]
                unit = make_access_unit(nals, timestamp)
                assert unit is not None
                units.append(unit)
    return units


@pytest.fixture(scope="session")
def units(make_clip: MakeClip) -> list[AccessUnit]:
    """Two seconds, 30 fps, a key picture each second, about 1.5 Mbit/s."""
    return read_units(make_clip(frames=60, gop=30, size=(640, 480), bit_rate=1_500_000))


@pytest.fixture(scope="session")
def small_units(make_clip: MakeClip) -> list[AccessUnit]:
    """One second of another size."""
    return read_units(make_clip(frames=30, gop=30, size=(320, 240)))


class Player:
    """Publishes units to a stream in real time, round and round."""

    def __init__(self, units: list[AccessUnit]) -> None:
        self.stream = LiveStream(StreamLimits(), time.monotonic)
        self._units = units
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        started = time.monotonic()
        for number in itertools.count():
            unit = self._units[number % len(self._units)]
            self.stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
            await asyncio.sleep(max(0.0, started + (number + 1) / 30 - time.monotonic()))


class ClipTrack(MediaStreamTrack):
    """A clip's coded pictures in real time, round and round, as aiortc sends them without touching them."""

    kind = "video"

    def __init__(self, units: list[AccessUnit]) -> None:
        super().__init__()
        self._units = units
        self._number = 0
        self._began_s = time.monotonic()

    async def recv(self) -> av.Packet:
        await asyncio.sleep(max(0.0, self._began_s + self._number / 30 - time.monotonic()))
        packet = av.Packet(self._units[self._number % len(self._units)].annex_b())
        packet.pts, packet.time_base = self._number * 3000, Fraction(1, 90_000)
        self._number += 1
        return packet


@pytest.fixture
def clip_track() -> Callable[[Path], MediaStreamTrack]:
    """A track of a clip's own H.264 for aiortc to publish."""
    return lambda clip: ClipTrack(read_units(clip))


@pytest_asyncio.fixture
async def player(units: list[AccessUnit]) -> AsyncIterator[Player]:
    playing = Player(units)
    playing.start()
    yield playing
    await playing.stop()


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """The relay's sockets on loopback."""
    opened = Endpoint(EndpointSettings())
    await opened.start()
    yield opened
    await opened.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    """The browser's executable; the test is skipped where none is installed."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: ./rtcc test installs one where it can")
    yield found


@pytest_asyncio.fixture
async def center(small_platform: TestPlatform, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Center]:
    """The whole service, with a camera and callers."""
    async with serving(small_platform, make_clip, monkeypatch) as found:
        yield found
