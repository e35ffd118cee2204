"""An RTSP camera as a source: RTP over the RTSP connection itself (RFC 2326, 10.12), so that one open port is enough."""

import asyncio
import contextlib
import os
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast
from urllib.parse import urlsplit

from rtcc_video.engine.depacketizer import Depacketizer
from rtcc_video.engine.h264 import AccessUnit, MalformedBitstream
from rtcc_video.engine.rtp import CLOCK_HZ, MalformedPacket, build_receiver_report, parse_rtp, parse_sender_clock
from rtcc_video.engine.sdp import CameraTrack, UnusableOffer, find_camera_track, parse_session
from rtcc_video.sources.rtsp_messages import (
    Authentication,
    Interleaved,
    MalformedRtsp,
    RtspAddress,
    RtspReader,
    RtspResponse,
    build_request,
)
from rtcc_video.sources.source import Sink, SourceFailed

_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404
_UNSUPPORTED_TRANSPORT: Final = 461
_DEFAULT_SESSION_S: Final = 60
_OWN_SSRC: Final = 0x52544343


@dataclass(frozen=True, slots=True)
class RtspSettings:
    """Times in seconds; `unit_limit_bytes` bounds one picture."""

    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 8.0
    silence_limit_s: float = 10.0
    unit_limit_bytes: int = 4_000_000
    verify_certificates: bool = True


class RtspSource:
    """Plays one camera. Each `run` is one session: connect, DESCRIBE, SETUP, PLAY, pictures until it breaks."""

    def __init__(self, address: RtspAddress, settings: RtspSettings) -> None:
        self._address = address
        self._settings = settings

    async def run(self, sink: Sink) -> None:
        """See `Source.run`."""
        session = await self._connect(sink)
        try:
            await session.play()
            await session.watch()
        except (MalformedRtsp, UnusableOffer, MalformedBitstream) as error:
            raise SourceFailed(f"The camera's RTSP can't be used: {error}", lasting=True) from error
        finally:
            session.close()

    async def _connect(self, sink: Sink) -> "_RtspSession":
        address, settings = self._address, self._settings
        loop = asyncio.get_running_loop()
        context = _tls_context(settings.verify_certificates) if address.encrypted else None
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                _, session = await loop.create_connection(
                    lambda: _RtspSession(address, settings, sink), address.host, address.port, ssl=context
                )
        except TimeoutError:
            raise SourceFailed("The camera doesn't answer. Check its power, network and address.") from None
        except ssl.SSLCertVerificationError as error:
            why = "Its certificate isn't trusted, has ended, or names another host."
            raise SourceFailed(f"The camera can't be reached safely: {why}", lasting=True) from error
        except OSError as error:
            # Neither host nor port: the reason is shown to whoever may see the camera, partners included.
            known = isinstance(error.errno, int) and error.errno > 0
            why = os.strerror(error.errno or 0) if known else "its name isn't known to the network or has no usable address"
            raise SourceFailed(f"The camera can't be reached: {why}. Check its power, network and address.") from error
        return session


def _tls_context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _RtspSession(asyncio.Protocol):
    """One connection. Packets are handled as they arrive, without a task switch each."""

    def __init__(self, address: RtspAddress, settings: RtspSettings, sink: Sink) -> None:
        self._address = address
        self._settings = settings
        self._sink = sink
        self._authentication = Authentication(address.username, address.password)
        self._reader = RtspReader()
        self._depacketizer = Depacketizer(settings.unit_limit_bytes)
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[RtspResponse] | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence = 0
        self._session_id = ""
        self._session_s = _DEFAULT_SESSION_S
        self._control_uri = address.uri
        self._rtp_channel = 0
        self._heard_s = time.monotonic()
        # the camera's own time of day with the RTP time of the same moment, once it has told
        self._camera_clock: tuple[int, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports don't derive from asyncio.Transport: a check of the type would leave the session mute
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(SourceFailed("The camera closed the connection."))

    def data_received(self, data: bytes) -> None:
        try:
            for item in self._reader.feed(data):
                if isinstance(item, Interleaved):
                    if item.channel == self._rtp_channel:
                        self._on_rtp(item.data)
                    elif item.channel == self._rtp_channel + 1:
                        self._camera_clock = parse_sender_clock(item.data) or self._camera_clock
                elif self._waiting is not None and not self._waiting.done():
                    self._waiting.set_result(item)
        except (SourceFailed, MalformedRtsp, MalformedBitstream) as error:
            self._fail(error)

    async def play(self) -> None:
        """Brings the session up to PLAY. Raises `SourceFailed`, `MalformedRtsp`, `UnusableOffer`, `MalformedBitstream`."""
        description = await self._ask("DESCRIBE", self._address.uri, {"Accept": "application/sdp"})
        track = find_camera_track(parse_session(description.body.decode("utf-8", "replace")))
        base = description.first("content-base") or description.first("content-location") or self._address.uri
        self._control_uri = self._without_credentials(base)
        self._sink.on_parameter_sets(track.parameter_sets)
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        setup = await self._ask("SETUP", self._track_uri(track), transport)
        self._read_session(setup)
        await self._ask("PLAY", self._control_uri, {"Session": self._session_id, "Range": "npt=0.000-"})
        self._heard_s = time.monotonic()

    async def watch(self) -> None:
        """Waits until the session breaks or falls silent, and keeps it alive meanwhile. Raises like `play`."""
        keep_alive_s = max(2.0, min(self._session_s / 2, 30.0))
        method = "GET_PARAMETER"
        next_keep_alive_s = time.monotonic() + keep_alive_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.shield(self._ended)
            now_s = time.monotonic()
            silence_s = now_s - self._heard_s
            if silence_s > self._settings.silence_limit_s:
                raise SourceFailed(f"The camera sent no video for {silence_s:.0f} s.")
            if now_s >= next_keep_alive_s:
                next_keep_alive_s = now_s + keep_alive_s
                if await self._keep_alive(method) >= 400:
                    method = "OPTIONS"

    def close(self) -> None:
        """Says TEARDOWN without waiting for an answer and closes."""
        if self._transport is not None and not self._transport.is_closing():
            if self._session_id:
                self._write("TEARDOWN", self._control_uri, {"Session": self._session_id})
            self._transport.close()
        self._ended.cancel()

    def _on_rtp(self, data: bytes) -> None:
        try:
            packet = parse_rtp(data)
        except MalformedPacket:
            return
        self._heard_s = time.monotonic()
        for unit in self._depacketizer.push(packet):
            self._sink.on_unit(self._with_camera_time(unit) if unit.key else unit)

    def _with_camera_time(self, unit: AccessUnit) -> AccessUnit:
        if self._camera_clock is None:
            return unit
        unix_us, timestamp = self._camera_clock
        ticks = (unit.timestamp - timestamp) & 0xFFFFFFFF
        ticks -= 0x100000000 if ticks & 0x80000000 else 0
        return replace(unit, captured_us=unix_us + ticks * 1_000_000 // CLOCK_HZ)

    async def _ask(self, method: str, uri: str, headers: Mapping[str, str]) -> RtspResponse:
        response = await self._exchange(method, uri, headers)
        if response.status == _UNAUTHORIZED and self._authentication.accept(response):
            response = await self._exchange(method, uri, headers)
        if response.status == _UNAUTHORIZED:
            known = "refuses the user name or password" if self._address.username else "wants a user name and password"
            raise SourceFailed(f"The camera {known}. Correct them in the camera's stream address.", lasting=True)
        if response.status == _NOT_FOUND:
            raise SourceFailed("The camera doesn't know this stream path. Correct the stream address.", lasting=True)
        if response.status == _UNSUPPORTED_TRANSPORT:
            raise SourceFailed("The camera refuses RTP over TCP. Allow it in the camera's network settings.", lasting=True)
        if response.status >= 300:
            raise SourceFailed(f"The camera answered {method} with {response.status} {response.reason[:60]}.")
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
        if self._transport is not None:
            report = build_receiver_report(_OWN_SSRC)
            self._transport.write(b"$" + bytes((self._rtp_channel + 1,)) + len(report).to_bytes(2, "big") + report)
        response = await self._exchange(method, self._control_uri, {"Session": self._session_id})
        if response.status == _UNAUTHORIZED and self._authentication.accept(response):
            response = await self._exchange(method, self._control_uri, {"Session": self._session_id})
        return response.status

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
        channels = re.search(r"interleaved\s*=\s*([0-9]{1,3})", setup.first("transport") or "")
        if channels:
            self._rtp_channel = min(int(channels[1]), 254)

    def _track_uri(self, track: CameraTrack) -> str:
        control = track.control
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
        if self._transport is not None:
            self._transport.close()
