"""Streams that our own readers don't take, through libav in a child process: other codecs, RTMP, HTTP, MPEG-TS over UDP."""

import asyncio
import contextlib
import json
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from rtcc_video.children import environment_without_secrets
from rtcc_video.engine.h264 import make_access_unit, split_annex_b
from rtcc_video.engine.sound_track import SoundKind
from rtcc_video.sources.libav_messages import (
    HEAD,
    KIND_DATA,
    KIND_FAILED,
    KIND_INFO,
    KIND_SOUND,
    KIND_SOUND_USED,
    KIND_UNIT,
    KIND_USAGE,
    UNIT_HEAD,
    UNWANTED,
    USAGE,
    WANTED,
)
from rtcc_video.sources.sound_inlet import SoundInlet, SoundWay
from rtcc_video.sources.source import Conversion, Sink, SourceFailed

_MESSAGE_LIMIT_BYTES: Final = 16_000_000
_SILENCE_LIMIT_S: Final = 20.0
_END_S: Final = 2.0
_CORES_MOST: Final = 64.0


# what the libav of our wheel opens beside RTSP; it has no SRT
LIBAV_SCHEMES: Final = frozenset({"rtmp", "rtmps", "http", "https", "udp"})
_PORTS: Final = {"rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}
# what a playlist may lead to: never a file of this machine
_PROTOCOLS: Final = "rtmp,rtmps,http,https,httpproxy,hls,tls,tcp,udp,rtp,rtsp,rtsps,crypto"


def place_of(url: str) -> tuple[str, int]:
    """Host and port of an address. Raises `SourceFailed`, which never repeats it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or len(url) > 2048 or not url.isprintable() or (port is None and urlsplit(url).scheme not in _PORTS):
        raise SourceFailed("The stream's address names no host, or no port where one is needed.", lasting=True)
    return host, port if port is not None else _PORTS[urlsplit(url).scheme]


def options_of(url: str) -> dict[str, str]:
    """What libav is told beside the address."""
    if url.startswith("udp:"):
        # MPEG-TS, as drones and encoders send it: a buffer for a burst, and an end to waiting, in microseconds
        return {
            "protocol_whitelist": _PROTOCOLS,
            "buffer_size": "2000000",
            "fifo_size": "50000",
            "overrun_nonfatal": "1",
            # how long it looks for what is in there before the first picture goes on
            "analyzeduration": "2000000",
            "timeout": "15000000",
        }
    return {"protocol_whitelist": _PROTOCOLS, "rw_timeout": "15000000"}


@dataclass(slots=True)
class TranscoderSlots:
    """How many streams may be converted at once: each takes a good part of a core."""

    limit: int
    used: int = 0

    def take(self) -> None:
        """Raises `SourceFailed` when all are in use."""
        if self.used >= self.limit:
            raise SourceFailed(
                f"All {self.limit} converters are in use, and browsers can't show this stream as it is. "
                "Set the camera to H.264 without B-frames, close another such view, or raise transcoder_limit."
            )
        self.used += 1

    def give_back(self) -> None:
        self.used -= 1


@dataclass(frozen=True, slots=True)
class LibavRequest:
    """What to open and how; `url` may hold credentials. `transcode`: also H.264, for it has B-frames."""

    url: str = field(repr=False)
    transcode: bool = False
    options: dict[str, str] = field(default_factory=dict)
    kbps: int = 2_500
    height_px: int = 1080


class LibavSource:
    """One child process a stream. `converts` takes a slot of the converters; what is only forwarded needs none.

    `on_data` gets the packets of a data stream (KLV metadata of drones). `sound`: where its sound goes; None: the process leaves it.
    """

    def __init__(
        self,
        request: LibavRequest,
        slots: TranscoderSlots,
        conversion: Conversion,
        on_data: Callable[[bytes], None] | None = None,
        sound: SoundWay | None = None,
    ) -> None:
        self._request = request
        self._slots = slots
        self._conversion = conversion
        self._on_data = on_data
        self._holds_slot = False
        self._cpu: tuple[float, float] | None = None
        self._sound = sound
        self._inlet: SoundInlet | None = None
        self._sound_cpu: tuple[float, float] | None = None
        self._told_wanted = False
        self._input: asyncio.StreamWriter | None = None
        self._unit_s = time.monotonic()

    async def run(self, sink: Sink) -> None:
        """See `Source.run`."""
        if self._request.transcode:
            self._take_slot()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rtcc_video.sources.libav_child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 20,
            # It decodes what strangers send: it gets none of our secrets but the stream's own address.
            env=environment_without_secrets(),
        )
        try:
            await self._follow(child, sink)
        finally:
            self._conversion.clear()
            if self._sound is not None:
                self._sound.report.cores = 0.0
            if self._holds_slot:
                self._holds_slot = False
                self._slots.give_back()
            await _end(child)

    async def _follow(self, child: asyncio.subprocess.Process, sink: Sink) -> None:
        if child.stdin is None or child.stdout is None:
            raise SourceFailed("The converter has no pipes.")
        request = self._request
        asked = {"url": request.url, "options": request.options, "transcode": request.transcode, "kbps": request.kbps}
        further = {"height_px": request.height_px, "sound": self._sound is not None}
        child.stdin.write(json.dumps(asked | further).encode() + b"\n")
        self._input = child.stdin
        await self.listen(child.stdout, sink)

    async def listen(self, output: asyncio.StreamReader, sink: Sink) -> None:
        """What the child tells, until it ends. Raises `SourceFailed`, whatever it says."""
        self._unit_s = time.monotonic()
        try:
            while True:
                async with asyncio.timeout(_SILENCE_LIMIT_S):
                    kind, size = HEAD.unpack(await output.readexactly(HEAD.size))
                    if size > _MESSAGE_LIMIT_BYTES:
                        raise SourceFailed("One picture of the stream is larger than 16 MB.", lasting=True)
                    body = await output.readexactly(size)
                try:
                    self._take(kind, body, sink)
                except (struct.error, ValueError, KeyError, TypeError) as error:
                    # it decodes what strangers send: one that was taken over may say anything
                    raise SourceFailed("The process that reads the stream said what can't be understood.") from error
                if time.monotonic() - self._unit_s > _SILENCE_LIMIT_S:
                    # sound alone
                    raise TimeoutError
        except TimeoutError:
            raise SourceFailed(f"The stream sent no video for {_SILENCE_LIMIT_S:.0f} s.") from None
        except asyncio.IncompleteReadError:
            raise SourceFailed("The stream ended.") from None

    def _take(self, kind: int, body: bytes, sink: Sink) -> None:
        if kind == KIND_UNIT:
            (timestamp,) = UNIT_HEAD.unpack_from(body)
            unit = make_access_unit(split_annex_b(body[UNIT_HEAD.size :]), timestamp)
            self._unit_s = time.monotonic()
            self._tell_wanted()
            if unit is not None:
                sink.on_unit(unit)
        elif kind == KIND_SOUND:
            (timestamp,) = UNIT_HEAD.unpack_from(body)
            if self._inlet is not None:
                self._inlet.take(body[UNIT_HEAD.size :], timestamp)
        elif kind == KIND_DATA:
            if self._on_data is not None:
                self._on_data(body)
        elif kind == KIND_USAGE:
            self._measure(USAGE.unpack(body)[0])
        elif kind == KIND_SOUND_USED:
            self._measure_sound(USAGE.unpack(body)[0])
        elif kind == KIND_INFO:
            facts: dict[str, Any] = json.loads(body)
            self._conversion.codec, self._conversion.converts = str(facts["codec"]).upper()[:20], bool(facts["transcoded"])
            if facts["transcoded"] and not self._holds_slot:
                self._take_slot()
            self._learn_sound(str(facts.get("sound") or "").upper()[:20])
            sink.on_parameter_sets(())
        elif kind == KIND_FAILED:
            failed: dict[str, Any] = json.loads(body)
            raise SourceFailed(str(failed["reason"]), lasting=bool(failed["lasting"]))

    def _learn_sound(self, codec: str) -> None:
        if self._sound is None:
            return
        if codec:
            self._inlet = self._sound.inlet(SoundKind("OPUS"))
            self._sound.report.codec = codec
        else:
            self._sound.refuse("The stream has no sound.")

    def _tell_wanted(self) -> None:
        """The process converts only meanwhile."""
        if self._sound is None or self._input is None or self._sound.intake.wanted == self._told_wanted:
            return
        self._told_wanted = not self._told_wanted
        self._input.write(WANTED if self._told_wanted else UNWANTED)
        self._sound.report.cores, self._sound_cpu = 0.0, None

    def _take_slot(self) -> None:
        self._slots.take()
        self._holds_slot = True

    def _measure(self, used_s: float) -> None:
        now_s = time.monotonic()
        if self._cpu is not None and now_s > self._cpu[0]:
            # whatever it says, infinity included
            self._conversion.cores = min(_CORES_MOST, max(0.0, (used_s - self._cpu[1]) / (now_s - self._cpu[0])))
        self._cpu = (now_s, used_s)

    def _measure_sound(self, used_s: float) -> None:
        now_s = time.monotonic()
        if self._sound is not None and self._sound_cpu is not None and now_s > self._sound_cpu[0] and self._told_wanted:
            self._sound.report.cores = min(_CORES_MOST, max(0.0, (used_s - self._sound_cpu[1]) / (now_s - self._sound_cpu[0])))
        self._sound_cpu = (now_s, used_s)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Its standard input ends, and so does it; what hangs in a decoder is killed."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(_END_S):
            # what it still writes must be read, or it waits for us
            if child.stdout is not None:
                while await child.stdout.read(1 << 16):
                    pass
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
