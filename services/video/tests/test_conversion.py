"""Streams that a process of their own reads or converts: other codecs, B-frames, HTTP, MPEG-TS over UDP; real libav, real sources."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from rtcc.registry.v1.registry_pb2 import CAMERA_PULL_ALWAYS, CAMERA_PULL_ON_DEMAND, Camera
from rtcc_chassis.testing import free_port, poll
from rtcc_demo.clip import Clip, Frame, packetise, split_annex_b
from rtcc_demo.rtsp_server import RtspServer
from rtcc_video.domain import CameraHealth, CameraState, StreamAddresses
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.sound import LiveSound
from rtcc_video.feeds import Feeds
from rtcc_video.settings import VideoSettings
from rtcc_video.sources.libav import LibavRequest, LibavSource, TranscoderSlots, options_of, place_of
from rtcc_video.sources.libav_messages import HEAD, KIND_UNIT
from rtcc_video.sources.sound_conversion import SoundConverters
from rtcc_video.sources.sound_inlet import SoundReport, SoundWay
from rtcc_video.sources.source import Conversion, SourceFailed

from .sites import serving


def encode(path: Path, codec: str, frames: int = 60, size: tuple[int, int] = (320, 240), **options: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = 15
        stream.codec_context.options = options
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), number * 4 % 255, np.uint8)
            picture[:, : number * 5 % size[0]] = 200
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other-codecs")
    encode(folder / "hevc.mp4", "libx265", preset="ultrafast", **{"x265-params": "log-level=none"})
    encode(folder / "mjpeg.avi", "mjpeg")
    encode(folder / "plain.mp4", "libx264", preset="ultrafast", tune="zerolatency", profile="baseline")
    encode(folder / "reordered.mp4", "libx264", preset="veryfast", profile="main", bf="2", **{"x264-params": "b-adapt=0"})
    (folder / "noise.mp4").write_bytes(b"no clip" * 1000)
    return folder


@pytest_asyncio.fixture
async def site(clips: Path) -> AsyncIterator[str]:
    async with serving(clips) as address:
        yield address


class Cameras:
    """Feeds, each camera with a watcher that keeps its pictures."""

    def __init__(self, addresses: dict[str, str], settings: VideoSettings) -> None:
        async def read(agency_id: str, camera_id: str) -> StreamAddresses:
            return StreamAddresses(addresses[camera_id])

        self.feeds = Feeds(settings, read)
        self.seen: dict[str, list[AccessUnit]] = {}

    def add(self, camera_id: str, *, always: bool = True, watched: bool = True) -> None:
        pull = CAMERA_PULL_ALWAYS if always else CAMERA_PULL_ON_DEMAND
        self.feeds.apply(camera_id, Camera(camera_id=camera_id, agency_id="east", enabled=True, has_stream=True, pull=pull))
        feed = self.feeds.get(camera_id)
        assert feed is not None
        if watched:
            feed.stream.taps.append(self.seen.setdefault(camera_id, []).append)
            feed.want()

    def leave(self, camera_id: str) -> None:
        feed = self.feeds.get(camera_id)
        assert feed is not None
        feed.stream.taps.clear()

    def health(self, camera_id: str) -> CameraHealth:
        return next(health for health in self.feeds.measure({}) if health.camera_id == camera_id)

    async def until(self, camera_id: str, condition: Callable[[CameraHealth], bool], deadline_s: float = 40) -> CameraHealth:
        async def ask() -> CameraHealth | None:
            health = self.health(camera_id)
            return health if condition(health) else None

        return await poll(ask, deadline_s=deadline_s)


def live(health: CameraHealth) -> bool:
    return health.state is CameraState.LIVE


def decoded(units: list[AccessUnit]) -> list[av.VideoFrame]:
    """By a decoder that knows nothing of ours."""
    decoder = av.CodecContext.create("h264", "r")
    return [frame for unit in units for frame in decoder.decode(av.Packet(unit.annex_b()))]


@pytest.mark.parametrize(("name", "codec"), [("hevc.mp4", "HEVC"), ("mjpeg.avi", "MJPEG")])
async def test_other_codecs_are_converted_while_somebody_watches_and_the_cost_is_shown(site: str, name: str, codec: str) -> None:
    cameras = Cameras({"c1": f"{site}/{name}"}, VideoSettings(source_idle_s=0.3))
    cameras.add("c1", always=False)
    health = await cameras.until("c1", lambda health: live(health) and health.transcoder_cores > 0)
    assert (health.codec, health.width_px, health.height_px) == (codec, 320, 240)
    await cameras.until("c1", lambda _: len(cameras.seen["c1"]) > 40)
    pictures = decoded(cameras.seen["c1"][:40])
    assert len(pictures) > 30
    assert len({frame.to_ndarray().tobytes() for frame in pictures}) > 20
    cameras.leave("c1")
    await cameras.until("c1", lambda health: health.state is CameraState.IDLE)
    await cameras.feeds.stop()


async def test_h264_without_b_frames_is_only_forwarded(site: str, clips: Path) -> None:
    cameras = Cameras({"c1": f"{site}/plain.mp4"}, VideoSettings(transcoder_limit=0))
    cameras.add("c1")
    await cameras.until("c1", lambda health: live(health) and len(cameras.seen["c1"]) > 70)
    assert cameras.health("c1").transcoder_cores == 0
    with av.open(str(clips / "plain.mp4")) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    # byte for byte: lengths became start codes, nothing else
    assert cameras.seen["c1"][5].nals[-1] in packets[5]
    await cameras.feeds.stop()


async def test_a_full_house_says_so_and_a_freed_place_is_taken(site: str) -> None:
    addresses = {"c1": f"{site}/hevc.mp4", "c2": f"{site}/mjpeg.avi"}
    cameras = Cameras(addresses, VideoSettings(transcoder_limit=1, source_idle_s=0.3))
    cameras.add("c1", always=False)
    await cameras.until("c1", live)
    cameras.add("c2", always=False)
    refused = await cameras.until("c2", lambda health: health.state is CameraState.FAILED)
    assert "All 1 converters are in use" in refused.reason
    cameras.leave("c1")
    await cameras.until("c1", lambda health: health.state is CameraState.IDLE)
    await cameras.until("c2", live)
    await cameras.feeds.stop()


async def test_a_camera_with_b_frames_is_converted_over_rtsp_and_only_while_watched(clips: Path) -> None:
    async with RtspServer({"north": reordered(clips / "reordered.mp4")}, "viewer", "hidden-secret") as server:
        cameras = Cameras({"c1": server.url("north")}, VideoSettings(source_idle_s=0.3))
        cameras.add("c1", watched=False)
        resting = await cameras.until("c1", lambda health: health.state is CameraState.IDLE and bool(health.reason))
        assert "B-frames" in resting.reason
        cameras.add("c1")
        await cameras.until("c1", lambda health: live(health) and health.transcoder_cores > 0)
        await cameras.until("c1", lambda _: len(cameras.seen["c1"]) > 30)
        assert decoded(cameras.seen["c1"][:30])
        # any user of the machine may read the words that a process was started with
        started = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
        assert any(b"libav_child" in words for words in started)
        assert not any(b"hidden-secret" in words for words in started)
        await cameras.feeds.stop()


def reordered(path: Path) -> Clip:
    """A clip in decoding order, B-frames and all, as a camera would send it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        frames, sets = [], {}
        for number, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
            nals = [nal for part in to_annex_b.filter(packet) for nal in split_annex_b(bytes(part))]
            sets.update({nal[0] & 31: nal for nal in nals if nal[0] & 31 in (7, 8)})
            payloads = tuple(payload for nal in nals for payload in packetise(nal))
            frames.append(Frame(number * 3000, any(nal[0] & 31 == 5 for nal in nals), payloads))
        return Clip(tuple(frames), len(frames) * 3000, sets[7], sets[8], 320, 240, 30.0)


async def test_mpeg_ts_over_udp_is_taken_as_drones_send_it(clips: Path) -> None:
    port, ended = free_port(), threading.Event()
    url = f"udp://127.0.0.1:{port}?pkt_size=1316"
    sending = asyncio.create_task(asyncio.to_thread(send, clips / "plain.mp4", url, "mpegts", {}, ended))
    cameras = Cameras({"c1": f"udp://127.0.0.1:{port}"}, VideoSettings())
    cameras.add("c1")
    try:
        await cameras.until("c1", lambda health: live(health) and len(cameras.seen["c1"]) > 30)
    finally:
        ended.set()
        await sending
        await cameras.feeds.stop()


async def test_rtmp_is_taken_as_encoders_serve_it(clips: Path) -> None:
    """libav's own RTMP server, which serves one client and then ends."""
    ended = threading.Event()
    url = f"rtmp://127.0.0.1:{free_port()}/live/encoder"
    cameras = Cameras({"c1": url}, VideoSettings())
    sending = asyncio.create_task(asyncio.to_thread(send, clips / "plain.mp4", url, "flv", {"listen": "1", "timeout": "90"}, ended))
    cameras.add("c1")
    try:
        health = await cameras.until("c1", lambda health: live(health) and len(cameras.seen["c1"]) > 30)
        assert not health.transcoder_cores
        assert decoded(cameras.seen["c1"][:30])
    finally:
        ended.set()
        await cameras.feeds.stop()
        # its client is gone: it ends by itself, or with a broken pipe
        with contextlib.suppress(OSError):
            await sending


def send(path: Path, url: str, container_format: str, options: dict[str, str], ended: threading.Event) -> None:
    """The clip in real time, round and round."""
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        with av.open(url, "w", format=container_format, options=options) as container:
            out = container.add_stream_from_template(stream)
            for number in range(10_000):
                if ended.wait(1 / 30):
                    return
                packet = packets[number % len(packets)]
                packet.stream, packet.time_base = out, Fraction(1, 90_000)
                packet.pts = packet.dts = number * 3000
                container.mux(packet)


async def test_what_is_no_video_gives_a_reason_and_no_address(site: str) -> None:
    cameras = Cameras({"c1": f"{site}/noise.mp4", "c2": f"{site}/none.mp4", "c3": "srt://user:secret@127.0.0.1:9"}, VideoSettings())
    for camera_id in ("c1", "c2", "c3"):
        cameras.add(camera_id)
        health = await cameras.until(camera_id, lambda health: health.state is CameraState.FAILED)
        assert "127.0.0.1" not in health.reason
        assert "secret" not in health.reason
    await cameras.feeds.stop()


@pytest.mark.parametrize("url", ["http://", "udp://127.0.0.1", "http://[::1/", "http://h:99999/", "http://h/\n", "rtmp:///x"])
def test_an_address_without_place_is_refused(url: str) -> None:
    with pytest.raises(SourceFailed):
        place_of(url)


def test_a_playlist_never_leads_to_a_file_of_this_machine() -> None:
    for url in ("http://h/x.m3u8", "rtmp://h/x", "udp://h:1"):
        assert "file" not in options_of(url)["protocol_whitelist"].split(",")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["codec", "transcoded", "sound", "reason", "lasting"]), inner)
    ),
    max_leaves=6,
)


class _Heard:
    """A sink that counts."""

    def __init__(self) -> None:
        self.units = 0

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        pass

    def on_unit(self, unit: Any) -> None:
        self.units += 1


@given(
    messages=st.lists(
        st.tuples(st.integers(0, 255), st.one_of(st.binary(max_size=64), st.builds(lambda value: json.dumps(value).encode(), _JSON))),
        max_size=8,
    )
)
async def test_whatever_the_child_says_ends_in_a_reason(messages: list[tuple[int, bytes]]) -> None:
    sound = LiveSound(lambda: 1.0)
    sound.allow(True)
    intake = sound.open()
    assert intake is not None
    way = SoundWay(intake, SoundConverters(0), SoundReport())
    source = LibavSource(LibavRequest("http://camera"), TranscoderSlots(1), Conversion(), sound=way)
    output = asyncio.StreamReader()
    output.feed_data(b"".join(HEAD.pack(kind, len(body)) + body for kind, body in messages))
    output.feed_eof()
    with pytest.raises(SourceFailed):
        await source.listen(output, _Heard())


async def test_a_message_too_large_is_not_waited_for() -> None:
    source = LibavSource(LibavRequest("http://camera"), TranscoderSlots(1), Conversion())
    output = asyncio.StreamReader()
    output.feed_data(HEAD.pack(KIND_UNIT, 1 << 31))
    with pytest.raises(SourceFailed, match="larger than 16 MB"):
        await source.listen(output, _Heard())


def test_only_bounded_places(monkeypatch: Any) -> None:
    assert place_of("https://cam.example/x") == ("cam.example", 443)
    assert place_of("udp://10.0.0.1:5000") == ("10.0.0.1", 5000)
