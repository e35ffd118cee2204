"""No sound is kept, forwarded or recorded: none is asked of a camera that has it, and what comes unasked isn't taken for pictures."""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import av
import pytest
from aiortc import VideoStreamTrack

from rtcc_chassis.testing import poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import Sound, SoundCodec, make_sound
from rtcc_video.domain import CameraState
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.engine.sdp import find_camera_track, parse_session
from rtcc_video.settings import VideoSettings

from .conftest import read_units
from .test_conversion import Cameras, encode, live, reordered
from .test_publishing import Collected, publishing, until
from .test_rtsp import collect

CODECS: list[SoundCodec] = ["PCMU", "OPUS", "AAC"]
DECODERS = {"PCMU": "pcm_mulaw", "OPUS": "opus", "AAC": "aac"}


def hear(url: str, packets: int) -> tuple[str, float]:
    """What any player gets from this camera: the sound's decoder and its loudest sample."""
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=(20.0, 20.0)) as container:
        stream = container.streams.audio[0]
        loudest = 0.0
        for number, packet in enumerate(container.demux(stream)):
            for frame in packet.decode():
                values = frame.to_ndarray()
                loudest = max(loudest, float(abs(values / (32_768 if values.dtype.kind == "i" else 1)).max()))
            if number >= packets:
                return stream.codec_context.name, loudest
    raise AssertionError("the sound ended")


async def all_left(server: RtspServer) -> None:
    async def left() -> bool:
        return server.connections == 0

    await poll(left, deadline_s=30)


@pytest.mark.parametrize("codec", CODECS)
async def test_a_camera_with_a_microphone_is_asked_for_its_pictures_alone(codec: SoundCodec, make_clip: Callable[..., Any]) -> None:
    clip, sound = make_clip(frames=30, gop=15), make_sound(codec)
    async with RtspServer({"north": clip}, "viewer", "secret", sounds={"north": sound}) as server:
        # the microphone works: a player that wants sound hears it
        decoder, loudest = await asyncio.to_thread(hear, server.url("north"), 20)
        assert decoder == DECODERS[codec]
        assert 0.3 < loudest < 0.7
        await all_left(server)
        assert server.set_ups == ["trackID=0", "trackID=1"]
        assert server.sound_packets > 0
        server.set_ups.clear()
        server.sound_packets = 0
        collected = await collect(server.url("north"), 20)
        await all_left(server)
        assert len(collected.units) >= 20
        assert server.set_ups == ["trackID=0"]
        assert server.sound_packets == 0


async def test_the_converter_asks_for_no_sound_either(tmp_path: Any) -> None:
    clip = encode(tmp_path / "reordered.mp4", "libx264", preset="veryfast", profile="main", bf="2", **{"x264-params": "b-adapt=0"})
    async with RtspServer({"north": reordered(clip)}, "viewer", "secret", sounds={"north": make_sound("AAC")}) as server:
        cameras = Cameras({"c1": server.url("north")}, VideoSettings(source_idle_s=0.3))
        cameras.add("c1", always=False)
        await cameras.until("c1", lambda health: live(health) and health.transcoder_cores > 0 and len(cameras.seen["c1"]) > 10)
        cameras.leave("c1")
        await cameras.until("c1", lambda health: health.state is CameraState.IDLE)
        await cameras.feeds.stop()
        await all_left(server)
        # once by our own reader, which found the B-frames, and by the converter
        assert len(server.set_ups) >= 2
        assert set(server.set_ups) == {"trackID=0"}
        assert server.sound_packets == 0


def overlong(sound: Sound) -> Sound:
    """The same with payloads that begin as a whole slice of a picture does: what would be taken for one."""
    return Sound(sound.codec, sound.clock_hz, sound.samples, tuple(b"\x41" + payload for payload in sound.payloads), sound.config)


@pytest.mark.parametrize(("codec", "transport"), [("PCMU", "tcp"), ("OPUS", "tcp"), ("AAC", "tcp"), ("AAC", "udp")])
async def test_sound_that_comes_unasked_among_the_pictures_is_dropped(
    codec: SoundCodec, transport: str, make_clip: Callable[..., Any]
) -> None:
    clip = make_clip(frames=30, gop=15)
    pictures = {nal for unit in read_units(clip) for nal in unit.nals}
    sounds = {"north": overlong(make_sound(codec))}
    settings: dict[str, Any] = {"sounds": sounds, "unasked_sound": True, "transports": (transport,)}
    async with RtspServer({"north": clip}, "viewer", "secret", **settings) as server:
        collected = await collect(server.url("north"), 40)
        await all_left(server)
    # one that refuses TCP is asked a second time
    assert set(server.set_ups) == {"trackID=0"}
    assert server.sound_packets > 20
    assert {nal for unit in collected.units for nal in unit.nals} <= pictures
    # none lost for it: the pictures follow each other as the clip has them
    steps = {later.timestamp - earlier.timestamp for earlier, later in zip(collected.units, collected.units[1:], strict=False)}
    assert all(2500 <= step <= 3500 for step in steps)


class Still(VideoStreamTrack):
    """A camera behind its shutter: it never gives a picture."""

    async def recv(self) -> Any:
        await asyncio.Event().wait()


async def test_a_publisher_that_sends_the_refused_sound_is_not_heard(endpoint: Endpoint) -> None:
    sink = Collected()
    async with publishing(endpoint, Still(), sink) as (publisher, connection, _):
        await until(lambda: publisher.link.secured and connection.connectionState == "connected")
        transport = connection.getSenders()[0].transport
        video_type = min(publisher._payload_types)

        async def send(payload_type: int) -> None:
            for number in range(10):
                head = struct.pack("!BBHII", 0x80, 0x80 | payload_type, number, number * 960, payload_type)
                await transport._send_rtp(head + b"\x41sound")

        # static PCMU, and the number that browsers give to Opus
        for payload_type in (0, 111):
            await send(payload_type)
        await send(video_type)
        # the same packets under the number of the pictures are taken: those before them came too, and began nothing
        await until(lambda: publisher._receiver is not None)
        assert publisher._receiver is not None
        assert publisher._receiver.ssrc == video_type
        assert sink.starts == 1


def test_the_pictures_own_payload_type_is_never_taken_for_sound() -> None:
    text = "v=0\r\nm=audio 0 RTP/AVP 97 96 x 1234\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    track = find_camera_track(parse_session(text))
    assert {0, 8, 97} <= track.sound_types
    assert 96 not in track.sound_types
