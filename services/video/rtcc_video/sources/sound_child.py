"""Another process that makes Opus of G.711 and AAC: cameras' sound is decoded here and nowhere else.

It reads and writes the messages of `sound_messages`, and ends with its standard input. AAC of one camera has such a process to itself; in
G.711 there is nothing that could break a decoder, so that many streams may share one.
"""

import json
import os
import resource
import time
from array import array
from typing import Any, Final, Protocol

import av

from rtcc_video.engine.opus import CLOCK_HZ
from rtcc_video.snapshot_child import die_with_parent
from rtcc_video.sources.opus_coder import FrameCoder, OpusCoder
from rtcc_video.sources.sound_messages import CLOSE, FAILED, OPEN, PACKET, READY, TIME, UNIT, USAGE, USED, MessageReader, pack

_READ_BYTES: Final = 65_536
_MEMORY_LIMIT_BYTES: Final = 1 << 30
_USAGE_EVERY_S: Final = 1.0
# so many units in a row that no decoder reads: something else than was promised
_DAMAGED_MOST: Final = 30


class _Unusable(Exception):
    """A stream can't be converted; the message says why."""


class _Coder(Protocol):
    def take(self, unit: bytes, timestamp: int) -> list[tuple[int, bytes]]: ...


def main() -> None:
    """See the module."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT_BYTES, _MEMORY_LIMIT_BYTES))
    os.nice(5)
    reader, work = MessageReader(), _Work()
    _write(pack(READY, 0))
    while data := os.read(0, _READ_BYTES):
        answers = b"".join([work.do(kind, stream, body) for kind, stream, body in reader.feed(data)])
        _write(answers + work.usage())


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


class _Work:
    """The streams at hand."""

    def __init__(self) -> None:
        self._coders: dict[int, _Coder] = {}
        self._told_s = time.monotonic()

    def do(self, kind: int, stream: int, body: bytes) -> bytes:
        """What is to be answered."""
        if kind == UNIT:
            coder = self._coders.get(stream)
            return b"" if coder is None else self._code(coder, stream, body)
        if kind == OPEN:
            self._coders[stream] = make_coder(json.loads(body))
        elif kind == CLOSE:
            self._coders.pop(stream, None)
        return b""

    def usage(self) -> bytes:
        """About once a second: how much processor time this process has used."""
        now_s = time.monotonic()
        if now_s - self._told_s < _USAGE_EVERY_S:
            return b""
        self._told_s = now_s
        used = resource.getrusage(resource.RUSAGE_SELF)
        return pack(USED, 0, USAGE.pack(used.ru_utime + used.ru_stime))

    def _code(self, coder: _Coder, stream: int, body: bytes) -> bytes:
        (timestamp,) = TIME.unpack_from(body)
        try:
            packets = coder.take(body[TIME.size :], timestamp)
        except _Unusable as error:
            del self._coders[stream]
            return pack(FAILED, stream, str(error).encode())
        return b"".join(pack(PACKET, stream, TIME.pack(at) + packet) for at, packet in packets)


def make_coder(asked: dict[str, Any]) -> _Coder:
    """For what an `OPEN` asks."""
    if asked["codec"] == "AAC":
        return AacCoder(asked["clock_hz"], bytes.fromhex(asked["config"]))
    return G711Coder(asked["codec"], asked["clock_hz"], asked["channels"])


class G711Coder:
    """ITU-T G.711: a table of 256 samples. `codec`: "PCMU" or "PCMA"."""

    def __init__(self, codec: str, clock_hz: int, channels: int) -> None:
        self._table = [mu_law(value) if codec == "PCMU" else a_law(value) for value in range(256)]
        self._channels = min(channels, 2)
        self._of_channels = channels
        self._step = CLOCK_HZ // clock_hz
        self._coder = OpusCoder(clock_hz, self._channels, "s16")

    def take(self, unit: bytes, timestamp: int) -> list[tuple[int, bytes]]:
        """See `OpusCoder.take`; `timestamp` counts the source's clock."""
        samples = array("h", [self._table[value] for value in unit[: len(unit) - len(unit) % self._of_channels]])
        if self._of_channels > 2:
            left, right = samples[:: self._of_channels], samples[1 :: self._of_channels]
            samples = array("h", bytes(4 * len(left)))
            samples[::2], samples[1::2] = left, right
        return self._coder.take(samples.tobytes(), timestamp * self._step)


class AacCoder:
    """Access units behind their AudioSpecificConfig, decoded by libav."""

    def __init__(self, clock_hz: int, config: bytes) -> None:
        self._clock_hz = clock_hz
        self._decoder = av.CodecContext.create("aac", "r")
        self._decoder.extradata = config
        self._coder = FrameCoder()
        self._damaged = 0

    def take(self, unit: bytes, timestamp: int) -> list[tuple[int, bytes]]:
        """See `OpusCoder.take`; `timestamp` counts the source's clock. Raises `_Unusable` when nothing can be decoded."""
        at = timestamp * CLOCK_HZ // self._clock_hz
        done: list[tuple[int, bytes]] = []
        try:
            for frame in self._decoder.decode(av.Packet(unit)):
                done += self._coder.take(frame, at)
        except (av.error.FFmpegError, ValueError, EOFError):
            self._damaged += 1
            if self._damaged >= _DAMAGED_MOST:
                raise _Unusable("The camera's AAC can't be decoded. Choose G.711 or AAC-LC in its audio settings.") from None
            return done
        self._damaged = 0
        return done


def mu_law(value: int) -> int:
    """A sample of 16 bits (ITU-T G.711, table 2)."""
    value = ~value & 0xFF
    size = ((value & 0x0F) << 3) + 0x84 << (value >> 4 & 7)
    return 0x84 - size if value & 0x80 else size - 0x84


def a_law(value: int) -> int:
    """A sample of 16 bits (ITU-T G.711, table 1)."""
    value ^= 0x55
    segment, size = value >> 4 & 7, (value & 0x0F) << 4
    size = size + 8 if segment == 0 else size + 0x108 << segment - 1
    return size if value & 0x80 else -size


if __name__ == "__main__":
    main()
