"""What a WHIP publisher costs the receiver: CPU of our receiver and of aiortc as shipped, side by side in one run.

Each receiver runs in a process of its own; publishers with real ICE, DTLS and SRTP run in this one and send a 1280x720, 30 fps,
2 Mbit/s H.264 stream from memory. aiortc decodes whatever it receives and has no way around it; ours makes access units for the relay:
as for a recorder alone ("ours"), when the socket is read some times a second, and for somebody who waits for each ("ours-watched");
"python" is without the C helper. Ours runs on the event loop that the service runs on (uvloop), aiortc on asyncio's own.

`./rtcc bench whip-ingest [--publishers 4] [--seconds 8] [--rounds 1] [--no-aiortc]`
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import secrets
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
from pylibsrtp import Policy, Session
from rtsp_ingest import load_helper

from rtcc_chassis.event_loop import run_on_event_loop
from rtcc_video.engine import stun
from rtcc_video.engine.accelerator import Accelerator
from rtcc_video.engine.dtls import DtlsIdentity, DtlsSession
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b
from rtcc_video.engine.packetizer import packetize
from rtcc_video.engine.rtp import build_rtp_header
from rtcc_video.engine.sdp import parse_session
from rtcc_video.publishing.offer import OurSide, build_publisher_answer, parse_publisher_offer
from rtcc_video.publishing.publisher import Publisher, PublisherSettings

FRAMES_PER_SECOND = 30
CLIP_SECONDS = 4
KINDS = ("ours", "ours-watched", "ours-python", "ours-python-watched", "aiortc")


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Measures and prints; the figures are CPU-milliseconds of the receiver per second of stream."""
    parser = argparse.ArgumentParser(prog="bench whip-ingest", description=__doc__.splitlines()[0])
    parser.add_argument("--publishers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--no-aiortc", action="store_true", help="only our receiver")
    parser.add_argument("--rounds", type=int, default=1, help="so often, in turn; the median counts")
    arguments = parser.parse_args(list(argv))
    units = encoded_units()
    kbps = sum(len(nal) for unit in units for nal in unit.nals) * 8 / CLIP_SECONDS / 1000
    figures: dict[str, Any] = {
        "publishers": arguments.publishers,
        "stream_kbit_per_s": round(kbps),
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "conditions": "1280x720, 30 fps, loopback UDP, AES-128-GCM; receiver and publishers in separate processes",
    }
    kinds = [kind for kind in KINDS if kind != "aiortc" or not arguments.no_aiortc]
    seen: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for kind in kinds * arguments.rounds:
        found = asyncio.run(measure(kind, units, arguments.publishers, arguments.seconds))
        load = os.getloadavg()[0]
        print(
            f"{kind:20} {found['ms']:6.2f} ms/s a publisher, {found['pictures']:.1f} pictures/s each, "
            f"woke up {found['wakeups']:.0f} times a second, load {load:.1f}",
            file=sys.stderr,
        )
        seen[kind].append(found)
    for kind, rounds in seen.items():
        name = kind.replace("-", "_")
        figures[f"{name}_ms_per_stream_second"] = round(statistics.median(found["ms"] for found in rounds), 2)
        figures[f"{name}_pictures_per_s"] = round(statistics.median(found["pictures"] for found in rounds), 1)
        figures[f"{name}_wakeups_per_s"] = round(statistics.median(found["wakeups"] for found in rounds))
    if "aiortc_ms_per_stream_second" in figures:
        theirs = figures["aiortc_ms_per_stream_second"]
        figures["ratio_vs_aiortc"] = round(theirs / figures["ours_ms_per_stream_second"], 1)
        for kind in ("watched", "python", "python_watched"):
            figures[f"ratio_vs_aiortc_{kind}"] = round(theirs / figures[f"ours_{kind}_ms_per_stream_second"], 1)
    figures["load_average"] = round(os.getloadavg()[0], 1)
    return figures


async def measure(kind: str, units: list[AccessUnit], count: int, seconds: float) -> dict[str, float]:
    """CPU of one receiver process while `count` publishers send."""
    async with receiver_process(kind) as ask:
        publishers = [await Sender.connect(ask, units) for _ in range(count)]
        try:
            await asyncio.sleep(3.0)
            before, begun = await ask({"do": "usage"}), time.monotonic()
            await asyncio.sleep(seconds)
            after, elapsed = await ask({"do": "usage"}), time.monotonic() - begun
        finally:
            for publisher in publishers:
                publisher.close()
    return {
        "ms": (after["cpu_s"] - before["cpu_s"]) * 1000 / elapsed / count,
        "pictures": (after["pictures"] - before["pictures"]) / elapsed / count,
        "wakeups": (after["wakeups"] - before["wakeups"]) / elapsed,
    }


Ask = Callable[[dict[str, Any]], Any]


@asynccontextmanager
async def receiver_process(kind: str) -> AsyncIterator[Ask]:
    """A child that receives and answers JSON lines."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, __file__, kind, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 20
    )
    assert child.stdin is not None
    assert child.stdout is not None
    requests, answers = child.stdin, child.stdout

    async def ask(request: dict[str, Any]) -> Any:
        requests.write(json.dumps(request).encode() + b"\n")
        await requests.drain()
        async with asyncio.timeout(30):
            line = await answers.readline()
        assert line, f"the {kind} receiver ended: see its error above"
        return json.loads(line)

    try:
        yield ask
    finally:
        requests.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await child.wait()
        if child.returncode is None:
            child.kill()
            await child.wait()


class Sender:
    """A controlling ICE agent with one socket and a DTLS client that sends SRTP from memory."""

    def __init__(self, units: list[AccessUnit], udp: socket.socket) -> None:
        self._packets = [packetize(unit) for unit in units]
        self._udp = udp
        self._identity = shared_identity()
        self._ufrag, self._password = secrets.token_hex(4), secrets.token_hex(12)
        self._remote: tuple[str, int] = ("", 0)
        self._remote_ufrag, self._remote_password = "", b""
        self._dtls: DtlsSession | None = None
        self._protector: Session | None = None
        self._ssrc = secrets.randbits(31) | 1
        self._index = 0
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def connect(cls, ask: Ask, units: list[AccessUnit]) -> "Sender":
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setblocking(False)
        udp.bind(("0.0.0.0", 0))
        sender = cls(units, udp)
        answer = parse_session((await ask({"do": "open", "offer": sender._offer()}))["answer"]).media[0]
        sender._remote_ufrag, sender._remote_password = answer.first("ice-ufrag") or "", (answer.first("ice-pwd") or "").encode()
        parts = next(p for p in (value.split() for value in answer.all("candidate")) if p[2].lower() == "udp" and ":" not in p[4])
        sender._remote = (parts[4], int(parts[5]))
        expected = [(str(algorithm), str(digest)) for algorithm, digest in (value.split() for value in answer.all("fingerprint"))]
        sender._dtls = DtlsSession(sender._identity, expected, is_server=False)
        asyncio.get_running_loop().add_reader(udp.fileno(), sender._on_readable)
        sender._tasks = [asyncio.create_task(sender._check_forever()), asyncio.create_task(sender._send_forever())]
        return sender

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._udp.fileno())
        for task in self._tasks:
            task.cancel()
        self._udp.close()

    def _offer(self) -> str:
        host, port = own_address(), self._udp.getsockname()[1]
        lines = [
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "a=msid-semantic:WMS *",
            f"m=video {port} UDP/TLS/RTP/SAVPF 96", f"c=IN IP4 {host}", "a=sendonly", "a=mid:0", "a=rtcp-mux",
            "a=rtpmap:96 H264/90000", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli",
            "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
            f"a=ssrc:{self._ssrc} cname:bench", f"a=ice-ufrag:{self._ufrag}", f"a=ice-pwd:{self._password}",
            f"a=fingerprint:sha-256 {self._identity.fingerprint_sha256}", "a=setup:active",
            f"a=candidate:1 1 udp 2130706431 {host} {port} typ host", "a=end-of-candidates",
        ]  # fmt: skip
        return "\r\n".join(lines) + "\r\n"

    async def _check_forever(self) -> None:
        while True:
            attributes = [
                (stun.ATTRIBUTE_USERNAME, f"{self._remote_ufrag}:{self._ufrag}".encode()),
                (stun.ATTRIBUTE_PRIORITY, struct.pack("!I", 1845501695)),
                (stun.ATTRIBUTE_CONTROLLING, b"\x01" * 8),
                (stun.ATTRIBUTE_USE_CANDIDATE, b""),
            ]
            self._send(stun.build_stun(stun.BINDING_REQUEST, secrets.token_bytes(12), attributes, self._remote_password))
            await asyncio.sleep(0.1 if self._protector is None else 2.0)

    async def _send_forever(self) -> None:
        number, begun = 0, time.monotonic()
        while True:
            if self._protector is not None:
                payloads = self._packets[number % len(self._packets)]
                for position, payload in enumerate(payloads):
                    marker = position == len(payloads) - 1
                    header = build_rtp_header(96, marker, self._index, number * 3000, self._ssrc)
                    self._send(self._protector.protect(header + payload))
                    self._index += 1
                number += 1
            else:
                number, begun = 0, time.monotonic()
            await asyncio.sleep(max(0.005, begun + number / FRAMES_PER_SECOND - time.monotonic()))

    def _on_readable(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
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
            if self._dtls.keys is not None and self._protector is None:
                keys = self._dtls.keys
                secret, outbound = keys.local_key + keys.local_salt, Policy.SSRC_ANY_OUTBOUND
                self._protector = Session(Policy(secret, outbound, srtp_profile=keys.profile.libsrtp_profile))

    def _send(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):
            self._udp.sendto(datagram, self._remote)


_identities: list[DtlsIdentity] = []


def shared_identity() -> DtlsIdentity:
    """One certificate for all senders of the process."""
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


def encoded_units() -> list[AccessUnit]:
    """A moving, noisy picture at about 2 Mbit/s, a key picture every 2 s, no B-frames."""
    noise = np.random.default_rng(3).integers(0, 24, (8, 720, 1280, 1), dtype=np.uint8)
    ramp = np.add.outer(np.arange(720), np.arange(1280))[..., None]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 1280, 720, "yuv420p", 2_000_000
            stream.codec_context.gop_size = 60
            stream.codec_context.options = {
                "profile": "baseline", "preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0", "maxrate": "2000k",
                "x264-params": "sliced-threads=0:slices=1", "bufsize": "2000k", "nal-hrd": "cbr",
            }  # fmt: skip
            for index in range(FRAMES_PER_SECOND * CLIP_SECONDS):
                picture = np.broadcast_to(((ramp + index * 3) % 232).astype(np.uint8) + noise[index % 8], (720, 1280, 3))
                for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
        units: list[AccessUnit] = []
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", video)
            for packet in container.demux(video):
                if packet.size:
                    unit = make_access_unit([nal for part in to_annex_b.filter(packet) for nal in split_annex_b(bytes(part))], 0)
                    assert unit is not None
                    units.append(unit)
    return units


class _Counted:
    """Takes pictures and counts them. `watched_live`: as for viewers, for whom each packet is read when it comes, or as for a recorder."""

    watched = True

    def __init__(self, watched_live: bool) -> None:
        self.watched_live = watched_live
        self.pictures = 0

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        """See `Sink`."""

    def on_unit(self, unit: AccessUnit) -> None:
        self.pictures += 1


async def receive(kind: str) -> None:
    """The child: one JSON line in, one out."""
    counted = _Counted(kind.endswith("-watched"))
    opens = await (receive_aiortc(counted) if kind == "aiortc" else receive_ours(counted, None if "python" in kind else load_helper()))
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        if request["do"] == "open":
            answer: dict[str, Any] = {"answer": await opens(request["offer"])}
        else:
            used = resource.getrusage(resource.RUSAGE_SELF)
            answer = {"cpu_s": used.ru_utime + used.ru_stime, "pictures": counted.pictures, "wakeups": used.ru_nvcsw}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


async def receive_ours(counted: _Counted, helper: Accelerator | None) -> Callable[[str], Any]:
    endpoint = Endpoint(EndpointSettings(bind_host="0.0.0.0", public_addresses=(own_address(),)), accelerator=helper)
    await endpoint.start()
    schedule = asyncio.get_running_loop().call_later

    async def opened(offer_sdp: str) -> str:
        offer = parse_publisher_offer(offer_sdp)
        publisher = Publisher(secrets.token_hex(4), offer, counted, PublisherSettings(), endpoint.identity, endpoint.clock, schedule)
        endpoint.adopt(publisher, lambda reason: None)
        addresses, port, tcp = endpoint.announced
        link = publisher.link
        return build_publisher_answer(
            offer, OurSide(link.ice_ufrag, link.ice_pwd, endpoint.identity.fingerprint_sha256, addresses, port, tcp), 1
        )

    return opened


async def receive_aiortc(counted: _Counted) -> Callable[[str], Any]:
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

    kept: list[Any] = []

    async def take(track: Any) -> None:
        while True:
            await track.recv()
            counted.pictures += 1

    async def opened(offer_sdp: str) -> str:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.on("track", lambda track: kept.append(asyncio.ensure_future(take(track))))
        await connection.setRemoteDescription(RTCSessionDescription(offer_sdp, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        kept.append(connection)
        return str(connection.localDescription.sdp)

    return opened


if __name__ == "__main__":
    # aiortc as it is shipped, ours as the service runs
    (asyncio.run if sys.argv[1] == "aiortc" else run_on_event_loop)(receive(sys.argv[1]))
