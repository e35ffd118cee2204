"""One RTSP session with a camera: DESCRIBE, SETUP, PLAY, packets, keep-alive (RFC 2326)."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from rtcc_video.engine.h264 import MalformedBitstream
from rtcc_video.engine.rtp import build_receiver_report
from rtcc_video.engine.sdp import SessionDescription, find_camera_track, parse_session
from rtcc_video.sources.leisure import Leisure, LeisurelyConnection
from rtcc_video.sources.rtsp_messages import (
    Authentication,
    Interleaved,
    MalformedRtsp,
    RtspAddress,
    RtspReader,
    RtspResponse,
    build_request,
)
from rtcc_video.sources.rtsp_sound import OVER_TCP, RtspSound
from rtcc_video.sources.rtsp_udp import TakeTogether, UdpPair
from rtcc_video.sources.rtsp_video import RtspVideo
from rtcc_video.sources.source import Sink, SourceFailed

_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404
_UNSUPPORTED_TRANSPORT: Final = 461
_DEFAULT_SESSION_S: Final = 60
_OWN_SSRC: Final = 0x52544343
_REPORT_EVERY_S: Final = 5.0
_FLOOD_AFTER_S: Final = 5
_READ_BYTES: Final = 64 * 1024
_OVER_TCP: Final = "RTP/AVP/TCP;unicast;interleaved=0-1"


@dataclass(frozen=True, slots=True)
class RtspSettings:
    """Times in seconds. `unit_limit_bytes` bounds one picture, `rate_limit_kbps` what one camera may send for 5 s on end.

    `authority_file`: further certificate authorities (PEM) whose cameras are believed; None: the system's only.
    """

    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 8.0
    silence_limit_s: float = 10.0
    unit_limit_bytes: int = 4_000_000
    rate_limit_kbps: int = 60_000
    verify_certificates: bool = True
    authority_file: Path | None = None


class RtspSession(asyncio.BufferedProtocol):
    """One connection. Packets are handled as they arrive, without a task switch each. `sound`: only where it is allowed."""

    def __init__(
        self, address: RtspAddress, settings: RtspSettings, sink: Sink, leisure: Leisure | None = None, sound: RtspSound | None = None
    ) -> None:
        self._address = address
        self._settings = settings
        self._sink = sink
        self._leisure = leisure
        self._sound = sound
        self._connection: LeisurelyConnection | None = None
        self._authentication = Authentication(address.username, address.password)
        self._reader = RtspReader()
        # where bytes arrive; a view, for asyncio's TLS fills it piece by piece and a slice of a bytearray would be a copy
        self._incoming = memoryview(bytearray(_READ_BYTES))
        self._video = RtspVideo(settings.unit_limit_bytes, sink, self._fail, leisure.intake if leisure is not None else None)
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[RtspResponse] | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence = 0
        self._session_id = ""
        self._session_s = _DEFAULT_SESSION_S
        self._control_uri = address.uri
        self._udp: UdpPair | None = None
        self._octets = 0
        self._flood_s = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports don't derive from asyncio.Transport: a check of the type would leave the session mute
        self._transport = cast(asyncio.Transport, transport)
        if self._leisure is not None:
            self._connection = LeisurelyConnection(self._leisure, self._transport, self._incoming, self.buffer_updated)

    def connection_lost(self, exc: Exception | None) -> None:
        self._read_at_once()
        self._fail(SourceFailed("The camera closed the connection."))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: one buffer for the session's life instead of a quarter of a megabyte asked for at each reading."""
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        """Acts on the bytes that came."""
        self._octets += nbytes
        try:
            for item in self._reader.feed(bytes(self._incoming[:nbytes]), self._video.take_interleaved):
                if isinstance(item, Interleaved):
                    if item.channel == self._video.channel:
                        self._video.on_rtp(item.data)
                    elif item.channel == self._video.channel + 1:
                        self._video.on_rtcp(item.data)
                    elif self._sound is not None:
                        self._sound.take(item.channel, item.data)
                elif self._waiting is not None and not self._waiting.done():
                    self._waiting.set_result(item)
        except (SourceFailed, MalformedRtsp, MalformedBitstream) as error:
            self._fail(error)

    async def play(self) -> None:
        """Brings the session up to PLAY. Raises `SourceFailed`, `MalformedRtsp`, `UnusableOffer`, `MalformedBitstream`."""
        description = await self._ask("DESCRIBE", self._address.uri, {"Accept": "application/sdp"})
        session = parse_session(description.body.decode("utf-8", "replace"))
        track = find_camera_track(session)
        base = description.first("content-base") or description.first("content-location") or self._address.uri
        self._control_uri = self._without_credentials(base)
        self._video.sound_types = track.sound_types
        self._sink.on_parameter_sets(track.parameter_sets)
        self._read_session(await self._set_up(self._track_uri(track.control)))
        if self._sound is not None:
            await self._set_up_sound(self._sound, session)
        await self._ask("PLAY", self._control_uri, {"Session": self._session_id, "Range": "npt=0.000-"})
        self._video.heard_s = time.monotonic()
        if self._sound is not None:
            self._sound.asked = False

    async def watch(self) -> None:
        """Waits until the session breaks or falls silent, and keeps it alive meanwhile. Raises like `play`."""
        keep_alive_s = max(2.0, min(self._session_s / 2, 30.0))
        method = "GET_PARAMETER"
        next_keep_alive_s = time.monotonic() + keep_alive_s
        next_report_s = time.monotonic() + _REPORT_EVERY_S
        while True:
            await asyncio.wait((self._ended,), timeout=1.0)
            if self._ended.done():
                self._ended.result()
            now_s = time.monotonic()
            silence_s = now_s - self._video.heard_s
            if silence_s > self._settings.silence_limit_s:
                raise SourceFailed(self._silence(silence_s))
            self._refuse_flood()
            if self._udp is not None:
                self._udp.rest()
                if self._sound is not None:
                    self._sound.rest()
            elif self._connection is not None:
                self._connection.rest()
            if now_s >= next_report_s:
                next_report_s = now_s + _REPORT_EVERY_S
                self._report()
            if now_s >= next_keep_alive_s:
                next_keep_alive_s = now_s + keep_alive_s
                if await self._keep_alive(method) >= 400:
                    method = "OPTIONS"

    def close(self) -> None:
        """Says TEARDOWN without waiting for an answer and closes."""
        self._read_at_once()
        if self._transport is not None and not self._transport.is_closing():
            if self._session_id:
                self._write("TEARDOWN", self._control_uri, {"Session": self._session_id})
            self._transport.close()
        if self._udp is not None:
            self._udp.close()
        if self._sound is not None:
            self._sound.close()
        self._ended.cancel()

    def _silence(self, silence_s: float) -> str:
        if self._udp is None:
            return f"The camera sent no video for {silence_s:.0f} s."
        return f"No video came over UDP for {silence_s:.0f} s. Check that no firewall is between, or use rtsp:// (TCP)."

    def _refuse_flood(self) -> None:
        """Called once a second: one camera gone wild mustn't take the others' share of this process."""
        limit_kbps = self._settings.rate_limit_kbps
        self._flood_s = self._flood_s + 1 if (self._octets + self._video.octets) * 8 > limit_kbps * 1000 else 0
        self._octets = self._video.octets = 0
        if self._flood_s >= _FLOOD_AFTER_S:
            reason = f"The camera sends more than {limit_kbps // 1000} Mbit/s. Lower the bit rate in its encoder settings."
            raise SourceFailed(reason, lasting=True)

    def _report(self) -> None:
        """An empty receiver report: some cameras end a session that sends none."""
        if self._udp is not None:
            self._udp.report(_OWN_SSRC)
            if self._sound is not None:
                self._sound.report(_OWN_SSRC)
        elif self._transport is not None and not self._transport.is_closing():
            report = build_receiver_report(_OWN_SSRC)
            self._transport.write(b"$" + bytes((self._video.channel + 1,)) + len(report).to_bytes(2, "big") + report)

    async def _set_up(self, uri: str) -> RtspResponse:
        """Over the connection itself unless the address asks for UDP or the camera knows nothing else."""
        if not self._address.udp:
            try:
                return await self._ask("SETUP", uri, {"Transport": _OVER_TCP})
            except _TransportRefused:
                if self._address.encrypted:
                    raise SourceFailed(
                        "The camera refuses RTP inside the encrypted connection, and nothing else is safe.", lasting=True
                    ) from None
        self._udp = self._open_pair(self._video.on_datagram, self._video.on_rtcp, self._video.take_datagrams)
        try:
            return await self._ask("SETUP", uri, {"Transport": self._udp.transport})
        except _TransportRefused:
            raise SourceFailed("The camera refuses RTP over TCP and over UDP. Check its network settings.", lasting=True) from None

    async def _set_up_sound(self, sound: RtspSound, description: SessionDescription) -> None:
        """A camera that answers no is left in peace; one that breaks off has `sound.asked` to show for it."""
        track = sound.find(description)
        if track is None:
            return
        sound.asked = True
        transport = OVER_TCP
        if self._udp is not None:
            sound.udp = self._open_pair(sound.on_datagram(self._count), lambda data: None)
            transport = sound.udp.transport
        response = await self._request("SETUP", self._track_uri(track.control), {"Session": self._session_id, "Transport": transport})
        if sound.begin(track, response, self._video.channel) and sound.udp is not None:
            sound.udp.learn_from(response.first("transport") or "", _OWN_SSRC)

    def _count(self, octets: int) -> None:
        self._octets += octets

    def _open_pair(
        self, on_rtp: Callable[[bytes], None], on_rtcp: Callable[[bytes], None], take_together: TakeTogether | None = None
    ) -> UdpPair:
        assert self._transport is not None  # SETUP follows DESCRIBE, which needed the connection
        local, camera = self._transport.get_extra_info("sockname"), self._transport.get_extra_info("peername")
        try:
            return UdpPair(local[0], camera[0], on_rtp, on_rtcp, self._leisure, take_together)
        except OSError as error:
            raise SourceFailed("This machine has no UDP ports left for what the camera sends.") from error

    async def _ask(self, method: str, uri: str, headers: Mapping[str, str]) -> RtspResponse:
        response = await self._request(method, uri, headers)
        if response.status == _UNAUTHORIZED:
            known = "refuses the user name or password" if self._address.username else "wants a user name and password"
            raise SourceFailed(f"The camera {known}. Correct them in the camera's stream address.", lasting=True)
        if response.status == _NOT_FOUND:
            raise SourceFailed("The camera doesn't know this stream path. Correct the stream address.", lasting=True)
        if response.status == _UNSUPPORTED_TRANSPORT:
            raise _TransportRefused
        if response.status >= 300:
            raise SourceFailed(f"The camera answered {method} with {response.status} {response.reason[:60]}.")
        return response

    async def _request(self, method: str, uri: str, headers: Mapping[str, str]) -> RtspResponse:
        """Asked again with the account when the camera wants one."""
        response = await self._exchange(method, uri, headers)
        if response.status == _UNAUTHORIZED and self._authentication.accept(response):
            response = await self._exchange(method, uri, headers)
        return response

    async def _exchange(self, method: str, uri: str, headers: Mapping[str, str]) -> RtspResponse:
        self._waiting = asyncio.get_running_loop().create_future()
        self._write(method, uri, headers)
        limit_s = self._settings.answer_timeout_s
        either: list[asyncio.Future[Any]] = [self._waiting, self._ended]
        await asyncio.wait(either, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            self._ended.result()
        if not self._waiting.done():
            raise SourceFailed(f"The camera didn't answer {method} within {limit_s:.0f} s.")
        return self._waiting.result()

    async def _keep_alive(self, method: str) -> int:
        return (await self._request(method, self._control_uri, {"Session": self._session_id})).status

    def _write(self, method: str, uri: str, headers: Mapping[str, str]) -> None:
        if self._transport is None:
            return
        self._sequence += 1
        self._transport.write(build_request(method, uri, self._sequence, {**headers, **self._authentication.header(method, uri)}))

    def _read_session(self, setup: RtspResponse) -> None:
        identifier, _, rest = (setup.first("session") or "").partition(";")
        if not re.fullmatch(r"[\x21-\x7e]{1,200}", identifier.strip()):
            raise MalformedRtsp("the answer to SETUP has no usable Session header")
        self._session_id = identifier.strip()
        timeout = re.search(r"timeout\s*=\s*([0-9]{1,5})", rest)
        if timeout:
            self._session_s = int(timeout[1])
        transport = setup.first("transport") or ""
        if self._udp is not None:
            self._udp.learn_from(transport, _OWN_SSRC)
            return
        channels = re.search(r"interleaved\s*=\s*([0-9]{1,3})", transport)
        if channels:
            self._video.channel = min(int(channels[1]), 254)

    def _track_uri(self, control: str) -> str:
        if control.startswith(("rtsp://", "rtsps://")):
            return self._without_credentials(control)
        if control in ("", "*"):
            return self._control_uri
        return f"{self._control_uri.rstrip('/')}/{control.lstrip('/')}"

    def _without_credentials(self, uri: str) -> str:
        """Some cameras repeat the account in their addresses, and some write nonsense: then the asked address stands."""
        try:
            parts = urlsplit(uri.strip())
        except ValueError:
            return self._address.uri
        if not parts.netloc or not uri.isascii() or re.search(r"[\x00-\x20\x7f]", uri.strip()):
            return self._address.uri
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def _fail(self, error: Exception) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)
            # The exception may find nobody waiting any more; that isn't worth a log line.
            self._ended.exception()
        self._read_at_once()
        if self._transport is not None:
            self._transport.close()

    def _read_at_once(self) -> None:
        if self._connection is not None:
            self._connection.hurry()


class _TransportRefused(Exception):
    """The camera answered SETUP with 461."""
