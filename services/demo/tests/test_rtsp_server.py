"""The camera server, with PyAV (FFmpeg) as an independent client."""

import asyncio
import base64
import hashlib
import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_demo.clip import UnusableClip, load_clip, packetise, split_annex_b
from rtcc_demo.rtsp_messages import BadRequest, DigestCheck, parse_request
from rtcc_demo.rtsp_server import RtspServer


def encode_clip(path: Path, *, seconds: int = 2, b_frames: int = 0, shade: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.gop_size = 15
        stream.codec_context.max_b_frames = b_frames
        stream.options = {"preset": "ultrafast" if not b_frames else "veryfast", "profile": "baseline" if not b_frames else "main"}
        noise = np.random.default_rng(1).integers(0, 40, (180, 320, 3), dtype=np.uint8)
        for index in range(15 * seconds):
            picture = np.full((180, 320, 3), shade, dtype=np.uint8) + noise
            picture[:, index * 5 : index * 5 + 40] = 255
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


def watch(url: str, frames: int) -> list[tuple[float, np.ndarray]]:
    """Decodes frames over TCP as any player would; (presentation time in seconds, picture)."""
    seen = []
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=30) as container:
        for frame in container.decode(video=0):
            seen.append((float(frame.time or 0), frame.to_ndarray(format="gray")))
            if len(seen) == frames:
                break
    return seen


async def test_ffmpeg_decodes_across_the_loop_with_rising_times(clip: Path) -> None:
    async with RtspServer({"north": clip}, "viewer", "a secret/with:signs") as server:
        seen = await asyncio.to_thread(watch, server.url("north"), 45)
    times = [time for time, _ in seen]
    assert len(seen) == 45  # the clip has 30 frames: it went round
    assert all(0.03 < later - earlier < 0.12 for earlier, later in itertools.pairwise(times))
    assert seen[0][1].shape == (180, 320)


async def test_two_clients_see_the_same_camera_at_once(clip: Path) -> None:
    async with RtspServer({"north": clip, "south": clip}, "viewer", "secret", offsets_s={"south": 1.0}) as server:
        watching = [asyncio.create_task(asyncio.to_thread(watch, server.url(path), 30)) for path in ("north", "north", "south")]
        first, second, _third = await asyncio.gather(*watching)
    assert len(first) == len(second) == 30


async def test_ffmpeg_falls_back_to_tcp_when_udp_is_refused(clip: Path) -> None:
    def open_by_default(url: str) -> int:
        with av.open(url, timeout=30) as container:
            return next(container.decode(video=0)).width

    async with RtspServer({"north": clip}, "viewer", "secret") as server:
        assert await asyncio.to_thread(open_by_default, server.url("north")) == 320


@pytest.mark.parametrize("wrong", ["password", "none", "path"])
async def test_wrong_credentials_and_unknown_paths_are_refused(clip: Path, wrong: str) -> None:
    async with RtspServer({"north": clip}, "viewer", "secret") as server:
        url = {
            "password": server.url("north").replace("secret", "guess"),
            "none": server.url("north", credentials=False),
            "path": server.url("elsewhere"),
        }[wrong]
        with pytest.raises(av.FFmpegError):
            await asyncio.to_thread(watch, url, 1)


async def test_closing_the_server_ends_its_clients(clip: Path) -> None:
    async with RtspServer({"north": clip}, "viewer", "secret") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        assert b"PLAY" in await reader.readuntil(b"\r\n\r\n")
    assert await reader.read() == b""
    writer.close()


async def test_garbage_gets_a_clear_refusal(clip: Path) -> None:
    async with RtspServer({"north": clip}, "viewer", "secret") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await reader.read()).startswith(b"RTSP/1.0 400")
        writer.close()


def test_b_frames_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UnusableClip, match="B-frames"):
        load_clip(encode_clip(tmp_path / "b.mp4", b_frames=2))


def test_sdp_announces_the_parameter_sets(clip: Path) -> None:
    loaded = load_clip(clip)
    assert base64.b64encode(loaded.sps).decode() in loaded.sdp("127.0.0.1")
    assert loaded.ticks == 2 * 90_000
    assert [frame.ticks for frame in loaded.frames[:2]] == [0, 6_000]


@given(st.binary(min_size=1, max_size=6_000).map(lambda body: b"\x65" + body))
def test_fragments_join_to_the_unit_again(nal: bytes) -> None:
    payloads = packetise(nal)
    if len(payloads) == 1:
        assert payloads == [nal]
        return
    assert payloads[0][1] & 0x80
    assert payloads[-1][1] & 0x40
    assert sum(bool(payload[1] & 0xC0) for payload in payloads) == 2
    joined = bytes([(payloads[0][0] & 0xE0) | (payloads[0][1] & 31)]) + b"".join(payload[2:] for payload in payloads)
    assert joined == nal


@given(st.lists(st.binary(min_size=1, max_size=50).map(lambda body: b"\x41" + body.replace(b"\x00", b"\x01")), min_size=1, max_size=5))
def test_access_units_are_split_at_start_codes(nals: list[bytes]) -> None:
    assert split_annex_b(b"".join(b"\x00\x00\x00\x01" + nal for nal in nals)) == nals


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(head: bytes) -> None:
    try:
        parse_request(head)
    except BadRequest as refused:
        assert refused.reason


def test_digest_with_qop_matches_rfc_2617() -> None:
    check = DigestCheck("viewer", "secret")
    nonce = check.challenge.split('nonce="')[1].split('"')[0]

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret, request_hash = md5("viewer:street camera:secret"), md5("PLAY:rtsp://x/north")
    response = md5(f"{secret}:{nonce}:00000001:abc:auth:{request_hash}")
    value = f'Digest username="viewer", realm="street camera", nonce="{nonce}", uri="rtsp://x/north", '
    value += f'qop=auth, nc=00000001, cnonce="abc", response="{response}"'
    head = f"PLAY rtsp://x/north RTSP/1.0\r\nCSeq: 4\r\nAuthorization: {value}\r\n\r\n"
    assert check.allows(parse_request(head.encode()))
    assert not check.allows(parse_request(head.replace("PLAY", "SETUP").encode()))
