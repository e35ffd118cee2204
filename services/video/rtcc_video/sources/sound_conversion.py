"""G.711 and AAC made Opus, in processes of their own, while somebody hears it; how many processes at once is bounded."""

import asyncio
import contextlib
import json
import logging
import struct
import sys
import time
from collections.abc import Callable
from typing import Final, cast

from prometheus_client import Counter, Gauge

from rtcc_video.children import environment_without_secrets
from rtcc_video.engine.sound import SoundIntake
from rtcc_video.engine.sound_track import SoundKind
from rtcc_video.sources.sound_inlet import SoundReport
from rtcc_video.sources.sound_messages import CLOSE, FAILED, OPEN, PACKET, READY, TIME, UNIT, USAGE, USED, MessageReader, pack

_log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 1.0
# so long it goes on after the last one who heard it: players come back
_LINGER_S: Final = 2.0
_BEGIN_S: Final = 20.0
_END_S: Final = 2.0
# so long a process may take units without giving a packet
_STUCK_S: Final = 10.0
# units that wait for a process: beyond it they are left out; and so much more for each of its streams
_BACKLOG_BYTES: Final = 32_768
_STREAM_BACKLOG_BYTES: Final = 4_096
# so many streams of G.711 share a process, which takes a quarter of a core for them
_SHARED_BY: Final = 64
# what several streams give in this time goes to their process at once: to wake up costs both sides more than the work itself
_TOGETHER_S: Final = 0.01
# packets of one stream in a second: 50, and the ten seconds that may come at once
_PACKETS_PER_LOOK: Final = 750
_CORES_MOST: Final = 64.0
_REASON_MOST: Final = 300
_BROKE: Final = "The converter of its sound broke off; it is started anew."

CONVERTED = Gauge("rtcc_video_sound_conversions", "Streams whose sound is made Opus now.")
CORES = Gauge("rtcc_video_sound_converter_cores", "Processor cores that the conversion of sound uses.")
BROKEN = Counter("rtcc_video_sound_converters_broken", "Processes converting sound that broke off or were ended for what they did.")


class SoundConverters:
    """At most `limit` processes at once: AAC gets one for each stream, G.711 shares them. Everything runs on the event loop."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._conversions: dict[int, SoundConversion] = {}
        self._children: set[_Child] = set()
        self._numbers = 0
        self._timer: asyncio.TimerHandle | None = None

    def open(self, kind: SoundKind, intake: SoundIntake, report: SoundReport) -> "SoundConversion | None":
        """A conversion that begins as soon as its process does; None: all are in use, and the report says so."""
        child = self._child(kind)
        if child is None:
            report.reason = (
                f"All {self._limit} converters of sound are in use. Set the camera's sound to Opus, listen to fewer cameras, "
                "or raise sound_converter_limit."
            )
            return None
        report.reason = ""
        self._numbers += 1
        conversion = SoundConversion(self, child, self._numbers, kind, intake, report)
        self._conversions[conversion.number] = conversion
        CONVERTED.set(len(self._conversions))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)
        return conversion

    async def stop(self) -> None:
        """Ends everything."""
        for conversion in tuple(self._conversions.values()):
            conversion.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*(child.gone() for child in tuple(self._children)))

    def remove(self, conversion: "SoundConversion") -> None:
        """It ended."""
        if self._conversions.pop(conversion.number, None) is None:
            return
        CONVERTED.set(len(self._conversions))
        child = conversion.child
        child.streams.pop(conversion.number, None)
        if not child.streams:
            child.close()

    def lose(self, child: "_Child") -> None:
        """Its process is gone, and so is what it did."""
        self._children.discard(child)
        for conversion in tuple(child.streams.values()):
            conversion.end(_BROKE)

    def _child(self, kind: SoundKind) -> "_Child | None":
        working = [child for child in self._children if not child.closing]
        shared = kind.codec != "AAC"
        for child in working:
            if shared and child.shared and len(child.streams) < _SHARED_BY:
                return child
        if len(working) >= self._limit:
            return None
        child = _Child(self.lose, self._clock, shared)
        self._children.add(child)
        child.start()
        return child

    def _look(self) -> None:
        """Once a second: what nobody hears ends, and so does a process that misbehaves."""
        now_s = self._clock()
        for conversion in tuple(self._conversions.values()):
            if conversion.is_idle(now_s):
                conversion.close()
        for child in tuple(self._children):
            child.look(now_s)
        CORES.set(sum(child.cores for child in self._children))
        busy = self._conversions or self._children
        self._timer = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look) if busy else None


class SoundConversion:
    """Of one stream."""

    def __init__(
        self, converters: SoundConverters, child: "_Child", number: int, kind: SoundKind, intake: SoundIntake, report: SoundReport
    ) -> None:
        self.number = number
        self.child = child
        self.ended = False
        self._converters = converters
        self._intake = intake
        self._report = report
        self._wanted_s: float | None = None
        asked = {"codec": kind.codec, "clock_hz": kind.clock_hz, "channels": kind.channels, "config": kind.config.hex()}
        self.opening = pack(OPEN, number, json.dumps(asked).encode())
        child.add(self)

    def convert(self, unit: bytes, timestamp: int) -> None:
        """The next unit; left out while the process begins or is behind."""
        if not self.ended:
            self.child.feed(pack(UNIT, self.number, TIME.pack(timestamp) + unit))

    def give(self, packet: bytes, timestamp: int) -> None:
        """What came out."""
        self._intake.give(packet, timestamp)

    def show(self, cores: float) -> None:
        """What it costs now."""
        self._report.cores = cores

    def is_idle(self, now_s: float) -> bool:
        """Whether nobody has heard it for some seconds."""
        if self._intake.wanted or self._wanted_s is None:
            self._wanted_s = now_s
        return now_s - self._wanted_s > _LINGER_S

    def close(self) -> None:
        """It isn't needed any more."""
        self.end("")

    def end(self, reason: str) -> None:
        """Ends it, with a reason when it was still needed."""
        if self.ended:
            return
        self.ended = True
        self._report.reason, self._report.cores = reason, 0.0
        self.child.write(pack(CLOSE, self.number), always=True)
        self._converters.remove(self)


class _Child(asyncio.SubprocessProtocol):
    """One process. Its words are acted on as they come, without a task switch each."""

    def __init__(self, lose: Callable[["_Child"], None], clock: Callable[[], float], shared: bool) -> None:
        self.shared = shared
        self.streams: dict[int, SoundConversion] = {}
        self.cores = 0.0
        self.closing = False
        self._lose = lose
        self._clock = clock
        self._reader = MessageReader()
        self._process: asyncio.SubprocessTransport | None = None
        self._input: asyncio.WriteTransport | None = None
        self._ready = False
        self._started_s = clock()
        self._fed_s: float | None = None
        self._packets = 0
        self._together: list[bytes] = []
        self._cpu: tuple[float, float] | None = None
        self._gone = asyncio.get_running_loop().create_future()
        self._starting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; what is written before it is there is left out."""
        self._starting = asyncio.get_running_loop().create_task(self._start(), name="sound-converter")

    async def _start(self) -> None:
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                sys.executable,
                "-m",
                "rtcc_video.sources.sound_child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                # It decodes what strangers send: it gets none of our secrets.
                env=environment_without_secrets(),
            )
        except OSError as error:
            _log.error("no converter of sound can be started: %s", error)
            self._over()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._process = cast(asyncio.SubprocessTransport, transport)
        self._input = cast(asyncio.WriteTransport, self._process.get_pipe_transport(0))
        if self.closing:
            self._end_input()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        try:
            for kind, number, body in self._reader.feed(data):
                self._take(kind, number, body)
        except (struct.error, ValueError) as error:
            # it decodes what strangers send: one that was taken over may say anything
            self._end(f"it said what can't be understood ({error})")

    def process_exited(self) -> None:
        self._over()

    def add(self, conversion: SoundConversion) -> None:
        """One more stream."""
        self.streams[conversion.number] = conversion
        if self._ready and self._input is not None:
            self._input.write(conversion.opening)

    def write(self, message: bytes, *, always: bool = False) -> None:
        """Left out when the process isn't there, or doesn't keep up unless `always`."""
        if not self._ready or self._input is None or self._input.is_closing():
            return
        if always or self._input.get_write_buffer_size() <= _BACKLOG_BYTES + _STREAM_BACKLOG_BYTES * len(self.streams):
            self._input.write(message)

    def feed(self, message: bytes) -> None:
        """A unit: some packet is to follow."""
        if not self._ready:
            return
        if self._fed_s is None:
            self._fed_s = self._clock()
        if len(self.streams) == 1 and not self._together:
            self.write(message)
            return
        if not self._together:
            asyncio.get_running_loop().call_later(_TOGETHER_S, self._write_together)
        self._together.append(message)

    def _write_together(self) -> None:
        together, self._together = self._together, []
        self.write(b"".join(together))

    def look(self, now_s: float) -> None:
        """Once a second."""
        if self.closing:
            return
        if not self._ready and now_s - self._started_s > _BEGIN_S:
            self._end("it didn't begin")
        elif self._fed_s is not None and now_s - self._fed_s > _STUCK_S:
            self._end("it gives nothing back")
        self._packets = 0

    def close(self) -> None:
        """Nothing is left to do: its input ends, and so does it; what hangs in a decoder is killed."""
        if self.closing:
            return
        self.closing = True
        self._end_input()

    async def gone(self) -> None:
        """Ends it and waits."""
        self.close()
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        await asyncio.wait([self._gone], timeout=2 * _END_S)

    def _take(self, kind: int, number: int, body: bytes) -> None:
        conversion = self.streams.get(number)
        if kind == PACKET:
            (timestamp,) = TIME.unpack_from(body)
            self._fed_s = None
            self._packets += 1
            if self._packets > _PACKETS_PER_LOOK * max(1, len(self.streams)):
                raise ValueError("more packets than there can be")
            if conversion is not None:
                conversion.give(body[TIME.size :], timestamp)
        elif kind == FAILED:
            if conversion is not None:
                conversion.end(body.decode("utf-8", "replace")[:_REASON_MOST] or _BROKE)
        elif kind == USED:
            self._measure(USAGE.unpack(body)[0])
        elif kind == READY:
            self._ready = True
            for waiting in self.streams.values():
                self.write(waiting.opening)
        else:
            raise ValueError(f"the kind {kind}")

    def _measure(self, used_s: float) -> None:
        now_s = self._clock()
        if self._cpu is not None and now_s > self._cpu[0]:
            # whatever it says, infinity included
            self.cores = min(_CORES_MOST, max(0.0, (used_s - self._cpu[1]) / (now_s - self._cpu[0])))
            for conversion in self.streams.values():
                conversion.show(self.cores / len(self.streams))
        self._cpu = (now_s, used_s)

    def _end(self, why: str) -> None:
        """For what it did."""
        _log.error("a converter of sound is ended: %s", why)
        self.closing = True
        self._kill()
        self._over()

    def _end_input(self) -> None:
        if self._input is not None:
            self._input.close()
            asyncio.get_running_loop().call_later(_END_S, self._kill)

    def _kill(self) -> None:
        if self._process is not None and self._process.get_returncode() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _over(self) -> None:
        if self._gone.done():
            return
        self._gone.set_result(None)
        self._ready = False
        if self.streams:
            BROKEN.inc()
        self.closing = True
        if self._process is not None:
            self._process.close()
        self._lose(self)
