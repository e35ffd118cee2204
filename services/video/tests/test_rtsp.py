"""The RTSP client against a real RTSP server, against servers that misbehave, and its parsers against noise."""

import asyncio
import hashlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_chassis.testing import free_port, poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_standalone.certificates import ensure_certificates
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.sources.rtsp import RtspSettings, RtspSource
from rtcc_video.sources.rtsp_messages import (
    Authentication,
    Interleaved,
    MalformedRtsp,
    RtspReader,
    RtspResponse,
    UnusableAddress,
    digest_header,
    parse_address,
    parse_challenge,
)
from rtcc_video.sources.rtsp_udp import UdpPair
from rtcc_video.sources.source import SourceFailed


class Collected:
    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.parameter_sets: tuple[bytes, ...] = ()
        self.starts = 0

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        self.parameter_sets, self.starts = nals, self.starts + 1

    def on_unit(self, unit: AccessUnit) -> None:
        self.units.append(unit)


async def collect(url: str, count: int, settings: RtspSettings | None = None) -> Collected:
    collected = Collected()
    task = asyncio.create_task(RtspSource(parse_address(url), settings or RtspSettings()).run(collected))

    async def enough() -> bool:
        if task.done():
            task.result()
        return len(collected.units) >= count

    try:
        await poll(enough, deadline_s=30)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return collected


async def test_pictures_of_a_camera_with_digest_authentication(make_clip: Any) -> None:
    clip = make_clip(frames=30, gop=15, size=(640, 480), bit_rate=1_500_000)
    async with RtspServer({"north": clip}, "viewer", "a secret/with:signs") as server:
        collected = await collect(server.url("north"), 40)

        async def left() -> bool:
            return server.connections == 0

        await poll(left)
    assert [nal[0] & 0x1F for nal in collected.parameter_sets] == [7, 8]
    assert collected.units[0].key
    steps = {later.timestamp - earlier.timestamp for earlier, later in zip(collected.units, collected.units[1:], strict=False)}
    assert all(2500 <= step <= 3500 for step in steps)
    # the camera's own time of day, from its sender reports: here the same machine's
    timed = [unit.captured_us for unit in collected.units if unit.captured_us is not None]
    assert timed
    assert all(abs(captured_us / 1e6 - time.time()) < 5 for captured_us in timed)


@pytest.mark.parametrize("shuffle", [False, True])
async def test_a_camera_that_knows_only_udp_is_taken_over_udp(make_clip: Any, shuffle: bool) -> None:
    clip = make_clip(frames=30, gop=15, size=(640, 480), bit_rate=1_500_000)
    async with RtspServer({"north": clip}, "viewer", "secret", transports=("udp",), shuffle=shuffle) as server:
        collected = await collect(server.url("north"), 40)

        async def left() -> bool:
            return server.connections == 0

        await poll(left)
    steps = {later.timestamp - earlier.timestamp for earlier, later in zip(collected.units, collected.units[1:], strict=False)}
    assert all(2500 <= step <= 3500 for step in steps), "a picture was lost"


async def test_rtspu_asks_for_udp_where_both_are_offered_and_strangers_packets_are_dropped(make_clip: Any) -> None:
    async with RtspServer({"north": make_clip(frames=30, gop=15)}, "viewer", "secret", transports=("tcp", "udp")) as server:
        collected = await collect(server.url("north").replace("rtsp:", "rtspu:"), 20)
        assert collected.units[0].key
    taken: list[bytes] = []
    pair = UdpPair("127.0.0.1", "127.0.0.2", taken.append, taken.append)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        stranger.bind(("127.0.0.1", 0))
        one.bind(("127.0.0.2", 0))
        stranger.sendto(b"mine", ("127.0.0.1", pair.port))
        one.sendto(b"camera", ("127.0.0.1", pair.port))

        async def heard() -> bool:
            return bool(taken)

        await poll(heard)
    pair.close()
    assert taken == [b"camera"]


async def test_rtsps_is_believed_only_with_a_certificate_of_a_known_authority(make_clip: Any, tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    async with RtspServer({"north": make_clip(frames=30, gop=15)}, "viewer", "secret", algorithm="SHA-256", tls=tls) as server:
        collected = await collect(server.url("north"), 20, RtspSettings(authority_file=files.authority))
        assert collected.units[0].key
        with pytest.raises(SourceFailed, match="certificate isn't trusted") as failure:
            await collect(server.url("north"), 1)
        assert failure.value.lasting
        await collect(server.url("north"), 5, RtspSettings(verify_certificates=False))

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"RTSP/1.0 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        with pytest.raises(SourceFailed, match="TLS"):
            await collect(f"rtsps://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", 1)


async def test_the_sha_256_digest_opens_and_a_wrong_password_doesnt(make_clip: Any) -> None:
    async with RtspServer({"north": make_clip(frames=30, gop=15)}, "viewer", "right", algorithm="SHA-256") as server:
        await collect(server.url("north"), 5)
        with pytest.raises(SourceFailed, match="user name or password"):
            await collect(server.url("north").replace("right", "wrong"), 1)


async def test_wrong_password_is_a_lasting_failure_that_names_no_secret(make_clip: Any) -> None:
    async with RtspServer({"north": make_clip()}, "viewer", "right") as server:
        url = server.url("north").replace("right", "wr0ng-secret")
        with pytest.raises(SourceFailed, match="user name or password") as failure:
            await collect(url, 1)
    assert failure.value.lasting
    assert "wr0ng-secret" not in failure.value.reason


async def test_unknown_path_is_a_lasting_failure(make_clip: Any) -> None:
    async with RtspServer({"north": make_clip()}, "viewer", "secret") as server:
        with pytest.raises(SourceFailed, match="path") as failure:
            await collect(server.url("north").replace("north", "south"), 1)
    assert failure.value.lasting


async def test_nobody_there_is_a_passing_failure() -> None:
    port = free_port()
    for host in ("127.0.0.1", "no-such-camera.invalid"):
        with pytest.raises(SourceFailed, match="can't be reached") as failure:
            await collect(f"rtsp://{host}:{port}/x", 1)
        assert not failure.value.lasting
        assert host not in failure.value.reason
        assert str(port) not in failure.value.reason


@asynccontextmanager
async def scripted(answer: Callable[[str, int], bytes | None]) -> AsyncIterator[str]:
    """A server that answers each request (method, CSeq) with whatever bytes the script gives."""
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lstrip(b"$").decode("latin-1")
                method = head[head.rfind("\r\n", 0, head.find(" RTSP/1.0")) + 1 :].split(" ")[0].strip()
                sequence = int(head.split("CSeq: ")[1].split("\r\n")[0])
                data = answer(method, sequence)
                if data is None:
                    break
                writer.write(data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"rtsp://user:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
    finally:
        server.close()
        for task in tasks:
            task.cancel()


def response(sequence: int, status: str = "200 OK", headers: str = "", body: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{headers}{length}\r\n{body}".encode()


H264_SDP = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda method, n: b"HTTP/1.1 400 Bad Request\r\nContent-Length: x\r\n\r\n", "body of"),
        (lambda method, n: b"\x00\x01\x02garbage\r\n\r\n", "neither"),
        (lambda method, n: b"RTSP/9 200\r\n\r\n", "status line"),
        (lambda method, n: None, "closed"),
        (lambda method, n: response(n, "500 Internal"), "500"),
        (lambda method, n: response(n, body="v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n"), "H265"),
        (lambda method, n: response(n, body="not sdp"), "v=0"),
        (lambda method, n: response(n, "461 Unsupported Transport") if method == "SETUP" else response(n, body=H264_SDP), "over UDP"),
        (lambda method, n: response(n, body=H264_SDP), "Session"),
        (lambda method, n: b"A" * 20_000, "head of more than"),
        (lambda method, n: response(n, "401 Unauthorized", "WWW-Authenticate: Negotiate\r\n"), "user name or password"),
    ],
)
async def test_a_misbehaving_camera_gives_a_reason(script: Callable[[str, int], bytes | None], reason: str) -> None:
    async with scripted(script) as url:
        with pytest.raises(SourceFailed) as failure:
            await collect(url, 1)
    assert reason in failure.value.reason
    assert "secret" not in failure.value.reason


async def test_a_camera_that_plays_but_sends_nothing_is_given_up() -> None:
    def script(method: str, sequence: int) -> bytes:
        return response(sequence, headers="Session: 7;timeout=10\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n", body=H264_SDP)

    async with scripted(script) as url:
        with pytest.raises(SourceFailed, match="no video") as failure:
            await collect(url, 1, RtspSettings(silence_limit_s=0.5))
    assert not failure.value.lasting


async def test_basic_authentication_is_sent_when_it_is_what_the_camera_wants() -> None:
    authentication = Authentication("user", "pass word")
    assert authentication.header("DESCRIBE", "rtsp://h/") == {}
    assert authentication.accept(RtspResponse(401, "", (("www-authenticate", 'Basic realm="x"'),), b""))
    assert authentication.header("DESCRIBE", "rtsp://h/") == {"Authorization": "Basic dXNlcjpwYXNzIHdvcmQ="}
    assert not Authentication("", "").accept(RtspResponse(401, "", (("www-authenticate", 'Basic realm="x"'),), b""))


def test_digest_answers_of_rfc_7616_and_rfc_2617() -> None:
    challenge = {
        "realm": "http-auth@example.org",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "qop": "auth, auth-int",
        "algorithm": "SHA-256",
    }
    nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    answer = digest_header(challenge, "Mufasa", "Circle of Life", "GET", "/dir/index.html", 1, nonce)
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in answer
    old = {"realm": "testrealm@host.com", "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093"}
    a1, a2 = (hashlib.md5(text.encode()).hexdigest() for text in ("Mufasa:testrealm@host.com:Circle Of Life", "GET:/dir/index.html"))
    expected = hashlib.md5(f"{a1}:{old['nonce']}:{a2}".encode()).hexdigest()
    assert f'response="{expected}"' in digest_header(old, "Mufasa", "Circle Of Life", "GET", "/dir/index.html", 1, "x")


def test_the_stronger_digest_is_chosen() -> None:
    authentication = Authentication("user", "secret")
    headers = (
        ("www-authenticate", 'Digest realm="a", nonce="1", algorithm=MD5'),
        ("www-authenticate", 'Digest realm="a", nonce="2", algorithm=SHA-256'),
        ("www-authenticate", 'Basic realm="a"'),
    )
    assert authentication.accept(RtspResponse(401, "", headers, b""))
    assert "SHA-256" in authentication.header("PLAY", "rtsp://h/")["Authorization"]


@pytest.mark.parametrize(
    ("url", "host", "port", "uri", "account"),
    [
        ("rtsp://10.0.0.5/live", "10.0.0.5", 554, "rtsp://10.0.0.5/live", ("", "")),
        ("rtsp://a%40b:p%3Aw@cam.example:8554/x?y=1", "cam.example", 8554, "rtsp://cam.example:8554/x?y=1", ("a@b", "p:w")),
        ("rtspu://10.0.0.5/live", "10.0.0.5", 554, "rtsp://10.0.0.5/live", ("", "")),
        ("rtsps://u:hidden@[fd00::7]/", "fd00::7", 322, "rtsps://[fd00::7]/", ("u", "hidden")),
    ],
)
def test_addresses_are_cut_so_that_no_account_goes_on_the_wire(url: str, host: str, port: int, uri: str, account: tuple[str, str]) -> None:
    address = parse_address(url)
    assert (address.host, address.port, address.uri) == (host, port, uri)
    assert (address.username, address.password) == account
    assert account[1] == "" or account[1] not in repr(address)


@pytest.mark.parametrize(
    "url", ["http://x/", "rtsp://", "rtsp://h/a b", "rtsp://h/\r\nX: y", "rtsp://h:99999/", "rtsp://[::1/", "rtsp://hé/", ""]
)
def test_unusable_addresses_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(UnusableAddress):
        parse_address(url)


@given(st.text(max_size=80) | st.text(max_size=60).map("rtsp://".__add__))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except UnusableAddress:
        return
    assert "\r" not in address.uri
    assert "\n" not in address.uri


pieces = st.sampled_from(
    [b"RTSP/1.0 200 OK\r\n", b"Content-Length: 3\r\n", b"\r\n", b"abc", b"$\x00\x00\x03abc", b"OPTIONS * RTSP/1.0\r\n", b"$"]
)


@given(st.lists(pieces | st.binary(max_size=20), max_size=20))
def test_the_reader_gives_messages_or_malformed_and_nothing_worse(chunks: list[bytes]) -> None:
    reader = RtspReader()
    try:
        for chunk in chunks:
            list(reader.feed(chunk))
    except MalformedRtsp:
        return


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_the_reader_gives_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    wire = (
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4\r\n\r\nbody"
        + b"$\x02\x00\x05hello"
        + b"\r\nANNOUNCE * RTSP/1.0\r\nCSeq: 9\r\n\r\n"
    )
    wire += b"$\x00\x00\x00" + b"RTSP/1.0 404 Not Found\r\n\r\n"
    whole = list(RtspReader().feed(wire))
    assert [type(item) for item in whole] == [RtspResponse, Interleaved, Interleaved, RtspResponse]
    reader, found, offset = RtspReader(), [], 0
    for size in cuts:
        found += reader.feed(wire[offset : offset + size])
        offset += size
    assert found + list(reader.feed(wire[offset:])) == whole


@given(st.text(max_size=200))
def test_any_challenge_is_read(text: str) -> None:
    assert isinstance(parse_challenge(text), dict)
