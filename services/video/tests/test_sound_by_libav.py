"""Sound of what a process of its own reads, and of clips: MPEG-TS, HTTP, converted cameras; taken only where it is allowed."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio

from rtcc_chassis.testing import free_port
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import TONE_HZ, make_sound
from rtcc_video.sources.libav import LibavRequest, LibavSource, TranscoderSlots
from rtcc_video.sources.libav_messages import HEAD, KIND_INFO, KIND_SOUND, KIND_SOUND_USED
from rtcc_video.sources.source import Conversion, SourceFailed

from .ears import listening, tone_of
from .sites import serving
from .test_conversion import encode, live, reordered
from .test_publishing import Collected
from .test_sound_in import listened, until


def write_av(path: Path, sound: str, rate_hz: int, seconds: int = 3) -> Path:
    """H.264 without B-frames and a tone, interleaved as muxers do."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.codec_context.gop_size = 15
        video.codec_context.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        audio: Any = container.add_stream(sound, rate=rate_hz, layout="mono")
        form = audio.codec_context.format.name
        done = 0
        for number in range(30 * seconds):
            picture = np.full((240, 320, 3), number * 4 % 255, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            while done < (number + 1) * rate_hz / 30:
                wave = np.sin((np.arange(1024) + done) * 2 * np.pi * TONE_HZ / rate_hz) / 3
                samples = wave.astype(np.float32) if form.startswith("flt") else (wave * 32_767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(samples[None, :], format=form, layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = rate_hz, done, Fraction(1, rate_hz)
                container.mux(audio.encode(frame))
                done += 1024
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sounding")
    write_av(made / "aac.mp4", "aac", 44_100)
    write_av(made / "opus.mkv", "libopus", 48_000)
    return made


@pytest_asyncio.fixture
async def site(folder: Path) -> AsyncIterator[str]:
    async with serving(folder) as address:
        yield address


async def test_what_libav_reads_and_clips_are_heard_over_their_end(site: str, folder: Path) -> None:
    urls = {"aac": f"{site}/aac.mp4", "opus": f"{site}/opus.mkv", "clip": "file:aac.mp4", "plain": "file:opus.mkv"}
    async with listened(urls, files_folder=folder) as (feeds, found):
        ears = {name: listening(feed.stream.sound) for name, feed in found.items()}
        for name, one in ears.items():
            await one.until(180)
            found_hz, share = await tone_of(one.heard[10:130])
            assert abs(found_hz - TONE_HZ) < 5, name
            assert share > 0.9, name
            assert sorted(one.steps)[len(one.steps) // 2] == pytest.approx(960, rel=0.02), name
            # sound and pictures go the same way through a clip's end: a second is a second. An address is opened again: that takes time
            if urls[name].startswith("file:"):
                assert sum(one.steps) / len(one.steps) == pytest.approx(960, rel=0.02), name
        assert {name: feed.sound_report.codec for name, feed in found.items()} == {
            "aac": "AAC",
            "opus": "OPUS",
            "clip": "AAC",
            "plain": "OPUS",
        }
        await until(lambda: found["aac"].sound_report.cores > 0)
        # only while somebody hears it
        found["aac"].stream.sound.detach(ears["aac"])
        await until(lambda: found["aac"].sound_report.cores == 0 and not any(health.transcoder_cores for health in feeds.measure({})))


async def test_mpeg_ts_with_aac_is_heard_where_it_is_allowed_and_else_never_asked_for(folder: Path) -> None:
    port, ended = free_port(), threading.Event()
    sending = asyncio.create_task(asyncio.to_thread(send, folder / "aac.mp4", f"udp://127.0.0.1:{port}?pkt_size=1316", "mpegts", {}, ended))
    try:
        async with listened({"c1": f"udp://127.0.0.1:{port}"}) as (feeds, found):
            sound = found["c1"].stream.sound
            ears = listening(sound)
            await ears.until(60)
            found_hz, _ = await tone_of(ears.heard)
            assert abs(found_hz - TONE_HZ) < 5
            feeds.sound_allowed = lambda camera: False
            feeds.follow_sound("east")
            pictures, heard = found["c1"].stream.frames_total, sound.packets_total
            await until(lambda: found["c1"].stream.frames_total > pictures + 20)
            assert (sound.packets_total, found["c1"].sound_report.cores) == (heard, 0)
    finally:
        ended.set()
        await sending


async def test_rtmp_with_aac_is_heard_as_encoders_serve_it(folder: Path) -> None:
    """libav's own RTMP server, which serves one client and then ends."""
    ended = threading.Event()
    url = f"rtmp://127.0.0.1:{free_port()}/live/encoder"
    sending = asyncio.create_task(asyncio.to_thread(send, folder / "aac.mp4", url, "flv", {"listen": "1", "timeout": "90"}, ended))
    try:
        async with listened({"c1": url}) as (_, found):
            ears = listening(found["c1"].stream.sound)
            await ears.until(60)
            found_hz, _ = await tone_of(ears.heard)
            assert abs(found_hz - TONE_HZ) < 5
            assert found["c1"].sound_report.codec == "AAC"
    finally:
        ended.set()
        # its client is gone: it ends by itself, or with a broken pipe
        with contextlib.suppress(OSError):
            await sending


async def test_a_converted_camera_is_heard_too(tmp_path: Path) -> None:
    clip = encode(tmp_path / "reordered.mp4", "libx264", preset="veryfast", profile="main", bf="2", **{"x264-params": "b-adapt=0"})
    async with (
        RtspServer({"north": reordered(clip)}, "viewer", "secret", sounds={"north": make_sound("AAC")}) as server,
        listened({"c1": server.url("north")}) as (feeds, found),
    ):
        seen: list[Any] = []
        found["c1"].stream.taps.append(seen.append)
        ears = listening(found["c1"].stream.sound)
        await ears.until(60)
        await until(lambda: len(seen) > 10)
        found_hz, _ = await tone_of(ears.heard)
        assert abs(found_hz - TONE_HZ) < 5
        (health,) = feeds.measure({})
        assert live(health)


async def test_the_child_that_says_sound_unasked_is_not_heard() -> None:
    source = LibavSource(LibavRequest("http://camera"), TranscoderSlots(1), Conversion())
    output = asyncio.StreamReader()
    for kind, body in (
        (KIND_INFO, b'{"codec": "h264", "transcoded": false, "sound": "aac"}'),
        (KIND_SOUND, bytes(9)),
        (KIND_SOUND_USED, bytes(8)),
    ):
        output.feed_data(HEAD.pack(kind, len(body)) + body)
    output.feed_eof()
    with pytest.raises(SourceFailed, match="ended"):
        await source.listen(output, Collected())


def send(path: Path, url: str, container_format: str, options: dict[str, str], ended: threading.Event) -> None:
    """Pictures and sound in real time, round and round."""
    with av.open(str(path)) as source:
        packets = [packet for packet in source.demux() if packet.size]
        video, audio = source.streams.video[0], source.streams.audio[0]
        with av.open(url, "w", format=container_format, options=options) as container:
            outs = {stream: container.add_stream_from_template(stream) for stream in (video, audio)}
            times = [(packet, packet.dts * packet.time_base) for packet in packets]
            length = max(at for _, at in times) + Fraction(1, 30)
            turn, began_s = 0, time.monotonic()
            while not ended.is_set():
                for packet, at in times:
                    due = float(at + turn * length) - (time.monotonic() - began_s)
                    if ended.wait(max(0.0, due)):
                        return
                    copy = av.Packet(bytes(packet))
                    copy.stream, copy.time_base, copy.is_keyframe = outs[packet.stream], packet.time_base, packet.is_keyframe
                    copy.pts = copy.dts = round((at + turn * length) / packet.time_base)
                    container.mux(copy)
                turn += 1
