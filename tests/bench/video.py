"""What a viewer costs: CPU of our relay and of aiortc's pass-through, side by side in one run.

Each relay runs in a process of its own and sends one 1280x720, 30 fps, 2 Mbit/s stream, paced from memory, to viewers in a third
process that do real ICE and DTLS and then drop SRTP in a socket filter, so that only the relay is measured. Loopback charges the
receiver's half of each packet to the sender.

`./rtcc bench video [--viewers 20 50] [--seconds 8] [--no-aiortc]`
"""

import argparse
import asyncio
import contextlib
import ctypes
import itertools
import json
import os
import resource
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from rtcc_video.engine import stun
from rtcc_video.engine.dtls import DtlsIdentity, DtlsSession
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b
from rtcc_video.engine.sdp import SessionDescription, parse_session
from rtcc_video.engine.stream import LiveStream, StreamLimits

FRAMES_PER_SECOND = 30
CLIP_SECONDS = 6
CHECK_EVERY_S = 2.0
# linux/filter.h: drop datagrams whose first byte, behind the 8 of the UDP header, is 128 or more: SRTP and SRTCP.
DROP_MEDIA = ((0x30, 0, 0, 8), (0x35, 0, 1, 128), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF))
SO_ATTACH_FILTER = 26


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Measures and prints; the figures are CPU-milliseconds of the relay per second of stream and viewer."""
    parser = argparse.ArgumentParser(prog="bench video", description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, nargs="+", default=[20, 50])
    parser.add_argument("--seconds", type=float, default=8.0, help="measured time for each relay and number of viewers")
    parser.add_argument("--no-aiortc", action="store_true", help="only our relay")
    arguments = parser.parse_args(list(argv))
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        print(f"encoding {CLIP_SECONDS} s of 1280x720 at 2 Mbit/s", file=sys.stderr)
        encode_clip(clip)
        return asyncio.run(_measure(clip, arguments))


async def _measure(clip: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    size = sum(len(nal) for unit in read_units(clip) for nal in unit.nals)
    figures: dict[str, Any] = {
        "stream_kbit_per_s": round(size * 8 / CLIP_SECONDS / 1000),
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "conditions": "1280x720, 30 fps, loopback UDP, AES-128-GCM; relays and viewers in separate processes",
    }
    for count in arguments.viewers:
        ours = await measure_relay("ours", clip, count, arguments.seconds)
        print(
            f"{count:4} viewers, our relay:  {ours['ms']:6.2f} ms/s each, {ours['mb']:.0f} MB, set-up {ours['setup_ms']:.1f} ms",
            file=sys.stderr,
        )
        figures |= {
            f"relay_ms_per_viewer_second_{count}": round(ours["ms"], 3),
            f"relay_setup_ms_{count}": round(ours["setup_ms"], 2),
            f"relay_mb_{count}": round(ours["mb"]),
            "relay_ms_per_viewer_second": round(ours["ms"], 3),
            "viewers_per_core": round(1000 / ours["ms"]),
        }
        if arguments.no_aiortc:
            continue
        theirs = await measure_relay("aiortc", clip, count, arguments.seconds)
        print(
            f"{count:4} viewers, aiortc:     {theirs['ms']:6.2f} ms/s each, {theirs['mb']:.0f} MB, set-up {theirs['setup_ms']:.1f} ms",
            file=sys.stderr,
        )
        figures |= {
            f"aiortc_ms_per_viewer_second_{count}": round(theirs["ms"], 3),
            # How many times cheaper ours is.
            f"ratio_vs_aiortc_{count}": round(theirs["ms"] / ours["ms"], 1),
            "ratio_vs_aiortc": round(theirs["ms"] / ours["ms"], 1),
        }
    return figures


async def measure_relay(kind: str, clip: Path, count: int, seconds: float) -> dict[str, float]:
    """CPU and memory of one relay process while `count` viewers watch."""
    async with relay_process(kind, clip) as ask:
        idle = await ask({"do": "usage"})
        viewers = [await Viewer.connect(ask) for _ in range(count)]
        try:
            await asyncio.gather(*(viewer.media_seen() for viewer in viewers))
            joined = await ask({"do": "usage"})
            await asyncio.sleep(1.0)
            before, begun = await ask({"do": "usage"}), time.monotonic()
            await asyncio.sleep(seconds)
            after, elapsed = await ask({"do": "usage"}), time.monotonic() - begun
        finally:
            for viewer in viewers:
                viewer.close()
    return {
        "ms": (after["cpu_s"] - before["cpu_s"]) * 1000 / elapsed / count,
        "setup_ms": (joined["cpu_s"] - idle["cpu_s"]) * 1000 / count,
        "mb": after["mb"],
    }


Ask = Callable[[dict[str, Any]], Any]


@asynccontextmanager
async def relay_process(kind: str, clip: Path) -> AsyncIterator[Ask]:
    """A child that relays the clip and answers JSON lines."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, __file__, kind, str(clip), stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 20
    )
    assert child.stdin is not None
    assert child.stdout is not None
    requests, answers = child.stdin, child.stdout

    async def ask(request: dict[str, Any]) -> Any:
        requests.write(json.dumps(request).encode() + b"\n")
        await requests.drain()
        async with asyncio.timeout(30):
            line = await answers.readline()
        assert line, f"the {kind} relay ended: see its error above"
        return json.loads(line)

    try:
        yield ask
    finally:
        requests.close()
        try:
            async with asyncio.timeout(5):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


class Viewer:
    """A controlling ICE agent with one socket, a DTLS client, and then a filter that drops all media."""

    def __init__(self, udp: socket.socket, identity: DtlsIdentity, ufrag: str, password: str) -> None:
        self._udp, self._identity, self._ufrag, self._password = udp, identity, ufrag, password
        self._remote: tuple[str, int] = ("", 0)
        self._remote_ufrag, self._remote_password = "", b""
        self._dtls: DtlsSession | None = None
        self._seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._media_packets = 0
        self._checker: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, ask: Ask) -> "Viewer":
        """Offers, reads the answer and begins to check; media comes when ICE and DTLS are through."""
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setblocking(False)
        udp.bind(("0.0.0.0", 0))
        viewer = cls(udp, shared_identity(), secrets.token_hex(4), secrets.token_hex(12))
        host, port = own_address(), udp.getsockname()[1]
        answer = await ask({"do": "open", "offer": viewer._offer(host, port)})
        viewer._read_answer(parse_session(answer["answer"]))
        asyncio.get_running_loop().add_reader(udp.fileno(), viewer._on_readable)
        viewer._checker = asyncio.create_task(viewer._check_forever())
        return viewer

    async def media_seen(self) -> None:
        """Until twenty packets of media came."""
        async with asyncio.timeout(30):
            await asyncio.shield(self._seen)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._udp.fileno())
        if self._checker:
            self._checker.cancel()
        self._udp.close()

    def _offer(self, host: str, port: int) -> str:
        lines = [
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "a=msid-semantic:WMS *",
            f"m=video {port} UDP/TLS/RTP/SAVPF 96", f"c=IN IP4 {host}", "a=recvonly", "a=mid:0", "a=rtcp-mux",
            "a=rtpmap:96 H264/90000", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli",
            "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
            f"a=ice-ufrag:{self._ufrag}", f"a=ice-pwd:{self._password}",
            f"a=fingerprint:sha-256 {self._identity.fingerprint_sha256}", "a=setup:active",
            f"a=candidate:1 1 udp 2130706431 {host} {port} typ host", "a=end-of-candidates",
        ]  # fmt: skip
        return "\r\n".join(lines) + "\r\n"

    def _read_answer(self, answer: SessionDescription) -> None:
        video = answer.media[0]
        self._remote_ufrag = video.first("ice-ufrag") or ""
        self._remote_password = (video.first("ice-pwd") or "").encode()
        candidates = [value.split() for value in video.all("candidate")]
        usable = [parts for parts in candidates if parts[2].lower() == "udp" and ":" not in parts[4] and parts[1] == "1"]
        self._remote = (usable[0][4], int(usable[0][5]))
        prints = [tuple(value.split()) for value in video.all("fingerprint")]
        expected = [(str(algorithm), str(digest)) for algorithm, digest in prints]
        self._dtls = DtlsSession(self._identity, expected, is_server=False)

    async def _check_forever(self) -> None:
        while True:
            attributes = [
                (stun.ATTRIBUTE_USERNAME, f"{self._remote_ufrag}:{self._ufrag}".encode()),
                (stun.ATTRIBUTE_PRIORITY, struct.pack("!I", 1845501695)),
                (stun.ATTRIBUTE_CONTROLLING, b"\x01" * 8),
                (stun.ATTRIBUTE_USE_CANDIDATE, b""),
            ]
            self._send(stun.build_stun(stun.BINDING_REQUEST, secrets.token_bytes(12), attributes, self._remote_password))
            await asyncio.sleep(0.1 if self._dtls is not None and self._dtls.keys is None else CHECK_EVERY_S)

    def _on_readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, address = self._udp.recvfrom(2048)
                self._on_datagram(data, address)

    def _on_datagram(self, data: bytes, address: tuple[str, int]) -> None:
        if data[0] < 4:
            message = stun.parse_stun(data)
            if message.kind == stun.BINDING_REQUEST:
                self._udp.sendto(stun.answer_check(message, self._password.encode(), *address), address)
            elif message.kind == stun.BINDING_SUCCESS and self._dtls is not None and self._dtls.keys is None:
                for datagram in self._dtls.start():
                    self._send(datagram)
        elif 20 <= data[0] <= 63 and self._dtls is not None:
            for datagram in self._dtls.receive(data):
                self._send(datagram)
        elif data[0] >= 128:
            self._media_packets += 1
            if self._media_packets >= 20 and not self._seen.done():
                drop_media(self._udp)
                self._seen.set_result(None)

    def _send(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):
            self._udp.sendto(datagram, self._remote)


def drop_media(udp: socket.socket) -> None:
    """Lets the kernel drop what a viewer would decode: this process must cost nothing."""
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in DROP_MEDIA)
    buffer = ctypes.create_string_buffer(program)
    udp.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(DROP_MEDIA), ctypes.addressof(buffer)))


_identities: list[DtlsIdentity] = []


def shared_identity() -> DtlsIdentity:
    """One certificate for all viewers of the process, as in a browser."""
    if not _identities:
        _identities.append(DtlsIdentity(datetime.now(UTC)))
    return _identities[0]


def own_address() -> str:
    """This machine's own address; aiortc offers no loopback candidates."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def encode_clip(path: Path) -> None:
    """A moving, noisy picture at about 2 Mbit/s, a key picture every 2 s, no B-frames."""
    noise = np.random.default_rng(3).integers(0, 24, (8, 720, 1280, 1), dtype=np.uint8)
    ramp = np.add.outer(np.arange(720), np.arange(1280))[..., None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 1280, 720, "yuv420p", 2_000_000
        stream.codec_context.gop_size = 60
        stream.codec_context.options = {
            "profile": "baseline", "preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0",
            "x264-params": "sliced-threads=0:slices=1",
            "maxrate": "2000k", "bufsize": "2000k", "nal-hrd": "cbr",
        }  # fmt: skip
        for index in range(FRAMES_PER_SECOND * CLIP_SECONDS):
            picture = np.broadcast_to(((ramp + index * 3) % 232).astype(np.uint8) + noise[index % 8], (720, 1280, 3))
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def read_units(path: Path) -> list[AccessUnit]:
    """The clip's access units."""
    units: list[AccessUnit] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            if packet.size:
                nals = [nal for part in to_annex_b.filter(packet) for nal in split_annex_b(bytes(part))]
                unit = make_access_unit(nals, 0)
                assert unit is not None
                units.append(unit)
    return units


async def paced(units: list[AccessUnit], publish: Callable[[int, AccessUnit], None]) -> None:
    """Every unit at its time, round and round."""
    begun = time.monotonic()
    for number in itertools.count():
        publish(number, units[number % len(units)])
        await asyncio.sleep(max(0.0, begun + (number + 1) / FRAMES_PER_SECOND - time.monotonic()))


async def serve_ours(units: list[AccessUnit]) -> Callable[[str], Any]:
    """Our relay; the answer opens one viewer."""
    stream = LiveStream(StreamLimits(), time.monotonic)
    endpoint = Endpoint(EndpointSettings(bind_host="0.0.0.0", public_addresses=(own_address(),), viewer_limit=2000))
    await endpoint.start()

    def publish(number: int, unit: AccessUnit) -> None:
        stream.publish(AccessUnit(unit.nals, number * 90_000 // FRAMES_PER_SECOND, unit.key))

    BACKGROUND.append(asyncio.create_task(paced(units, publish)))

    async def open_viewer(offer: str) -> str:
        return endpoint.open(secrets.token_hex(8), stream, offer, lambda *_: None)[1]

    return open_viewer


async def serve_aiortc(units: list[AccessUnit]) -> Callable[[str], Any]:
    """aiortc forwarding the same encoded pictures without decoding them (what MediaPlayer(decode=False) does)."""
    from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
    from aiortc.contrib.media import MediaRelay

    class Source(MediaStreamTrack):
        kind = "video"

        def __init__(self) -> None:
            super().__init__()
            self.queue: asyncio.Queue[av.Packet] = asyncio.Queue()

        async def recv(self) -> av.Packet:
            return await self.queue.get()

    source, relay = Source(), MediaRelay()

    def publish(number: int, unit: AccessUnit) -> None:
        packet = av.Packet(unit.annex_b())
        packet.pts, packet.time_base = number * 90_000 // FRAMES_PER_SECOND, Fraction(1, 90_000)
        source.queue.put_nowait(packet)

    BACKGROUND.append(asyncio.create_task(paced(units, publish)))
    kept: list[RTCPeerConnection] = []

    async def open_viewer(offer: str) -> str:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        kept.append(connection)
        connection.addTrack(relay.subscribe(source, buffered=True))
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    return open_viewer


BACKGROUND: list[asyncio.Task[None]] = []


async def serve_relay(kind: str, clip: Path) -> None:
    """The child: opens viewers and reports its own use of the machine until its standard input ends."""
    units = read_units(clip)
    open_viewer = await (serve_ours if kind == "ours" else serve_aiortc)(units)
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        if request["do"] == "open":
            answer: dict[str, Any] = {"answer": await open_viewer(request["offer"])}
        else:
            used = resource.getrusage(resource.RUSAGE_SELF)
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            answer = {"cpu_s": used.ru_utime + used.ru_stime, "mb": pages * resource.getpagesize() / 1e6}
        print(json.dumps(answer), flush=True)
    # Taking leave of dozens of peers one by one is no part of the measurement.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve_relay(sys.argv[1], Path(sys.argv[2])))
