"""Viewers for measurements: real ICE, DTLS and RTCP, then a filter that drops all media, so that only the relay is measured."""

import asyncio
import contextlib
import ctypes
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from _video_stream import own_address

from rtcc_video.engine import stun
from rtcc_video.engine.dtls import DtlsIdentity, DtlsSession
from rtcc_video.engine.sdp import SessionDescription, parse_session
from rtcc_video.engine.srtp import RtcpProtector

CHECK_EVERY_S = 2.0
REPORT_EVERY_S = 1.0
SETUP_LIMIT_S = 40
OWN_SSRC = 0x0BADCAFE
# linux/filter.h: drop datagrams whose first byte, behind the 8 of the UDP header, is 128 or more: SRTP and SRTCP.
DROP_MEDIA = ((0x30, 0, 0, 8), (0x35, 0, 1, 128), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF))
SO_ATTACH_FILTER = 26
SO_TIMESTAMPNS = 35
CODECS = {
    "H264": ("a=rtpmap:96 H264/90000", "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    "VP8": ("a=rtpmap:96 VP8/90000",),
}

# Hands our description to the relay and gives back its own.
type Exchange = Callable[[str], Awaitable[str]]


class Viewer:
    """A controlling ICE agent with one socket and a DTLS client, that reports once a second what it received.

    `keeps_media`: every SRTP datagram goes there with the time of day at which the kernel had it, instead of being dropped.
    """

    def __init__(self, codec: str = "H264", keeps_media: Callable[[bytes, float], None] | None = None) -> None:
        self._codec, self._keeps_media = codec, keeps_media
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setblocking(False)
        self._udp.bind(("0.0.0.0", 0))
        if keeps_media is not None:
            self._udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._identity = shared_identity()
        self._ufrag, self._password = secrets.token_hex(4), secrets.token_hex(12)
        self._remote: tuple[str, int] = ("", 0)
        self._remote_ufrag, self._remote_password = "", b""
        self._dtls: DtlsSession | None = None
        self._rtcp: RtcpProtector | None = None
        self._seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._media_packets, self._media_ssrc, self._highest = 0, 0, 0
        self._tasks: list[asyncio.Task[None]] = []

    async def offer_to(self, exchange: Exchange) -> "Viewer":
        """Offers, reads the relay's answer and begins to check; media comes when ICE and DTLS are through."""
        self._begin(parse_session(await exchange(self._description("active"))))
        return self

    def answer(self, offer: str) -> str:
        """Answers a relay that offers."""
        description = parse_session(offer)
        formats = description.media[0].formats
        self._begin(description)
        return self._description("active", description.media[0].first("mid") or "0", formats[0])

    async def media_seen(self) -> None:
        """Until twenty packets of media came."""
        async with asyncio.timeout(SETUP_LIMIT_S):
            await asyncio.shield(self._seen)

    def close(self) -> None:
        """Leaves without a word."""
        asyncio.get_running_loop().remove_reader(self._udp.fileno())
        for task in self._tasks:
            task.cancel()
        self._udp.close()

    def _begin(self, remote: SessionDescription) -> None:
        video = remote.media[0]

        def found(name: str) -> str:
            return video.first(name) or next(iter(remote.session(name)), "")

        self._remote_ufrag, self._remote_password = found("ice-ufrag"), found("ice-pwd").encode()
        candidates = [value.split() for value in video.all("candidate")]
        usable = [parts for parts in candidates if parts[2].lower() == "udp" and ":" not in parts[4] and parts[1] == "1"]
        self._remote = (usable[0][4], int(usable[0][5]))
        prints = [tuple(value.split()) for value in video.all("fingerprint") or remote.session("fingerprint")]
        expected = [(str(algorithm).lower(), str(digest).upper()) for algorithm, digest in prints]
        self._dtls = DtlsSession(self._identity, expected, is_server=False)
        asyncio.get_running_loop().add_reader(self._udp.fileno(), self._on_readable)
        self._tasks = [asyncio.create_task(self._check_forever()), asyncio.create_task(self._report_forever())]

    def _description(self, setup: str, mid: str = "0", payload_type: str = "96") -> str:
        host, port = own_address(), self._udp.getsockname()[1]
        codec = [line.replace(":96 ", f":{payload_type} ") for line in CODECS[self._codec]]
        lines = [
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mid}", "a=msid-semantic:WMS *",
            f"m=video {port} UDP/TLS/RTP/SAVPF {payload_type}", f"c=IN IP4 {host}", "a=recvonly", f"a=mid:{mid}", "a=rtcp-mux",
            *codec, f"a=rtcp-fb:{payload_type} nack", f"a=rtcp-fb:{payload_type} nack pli", f"a=rtcp-fb:{payload_type} goog-remb",
            f"a=ice-ufrag:{self._ufrag}", f"a=ice-pwd:{self._password}",
            f"a=fingerprint:sha-256 {self._identity.fingerprint_sha256}", f"a=setup:{setup}",
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
            await asyncio.sleep(0.1 if self._dtls is not None and self._dtls.keys is None else CHECK_EVERY_S)

    async def _report_forever(self) -> None:
        """A receiver report with one block and an estimate of plenty, as a browser sends them."""
        await self._seen
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            if self._rtcp is None and self._dtls is not None and self._dtls.keys is not None:
                self._rtcp = RtcpProtector(self._dtls.keys)
            if self._rtcp is not None:
                block = struct.pack("!IIIIII", self._media_ssrc, 0, self._highest, 0, 0, 0)
                report = struct.pack("!BBHI", 0x81, 201, 7, OWN_SSRC) + block
                estimate = struct.pack("!BBHII4sII", 0x8F, 206, 5, OWN_SSRC, 0, b"REMB", 1 << 24 | 6 << 18 | 200_000, self._media_ssrc)
                self._send(self._rtcp.protect(report + estimate))

    def _on_readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _, address = self._udp.recvmsg(2048, 64)
                stamp = next((value for level, kind, value in ancillary if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)), None)
                seconds, nanoseconds = struct.unpack("qq", stamp) if stamp else (0, 0)
                self._on_datagram(data, address, seconds + nanoseconds / 1e9)

    def _on_datagram(self, data: bytes, address: tuple[str, int], received_s: float) -> None:
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
        elif data[0] >= 128 and not 192 <= data[1] <= 223:
            self._on_media(data, received_s)

    def _on_media(self, data: bytes, received_s: float) -> None:
        self._media_packets += 1
        self._highest, self._media_ssrc = int.from_bytes(data[2:4], "big"), int.from_bytes(data[8:12], "big")
        if self._keeps_media is not None:
            self._keeps_media(data, received_s)
        if self._media_packets >= 20 and not self._seen.done():
            if self._keeps_media is None:
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
