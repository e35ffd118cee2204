"""What the relay and the process that converts sound tell each other: kind (1 byte), stream (4), length (2, big-endian), body."""

import struct
from collections.abc import Iterator
from typing import Final

HEAD: Final = struct.Struct("!BIH")
# before a unit: ticks of the source's clock; before an Opus packet: samples of 48 kHz
TIME: Final = struct.Struct("!q")
USAGE: Final = struct.Struct("!d")

# to the process. JSON: codec, clock_hz, channels, config (hexadecimal)
OPEN: Final = 1
UNIT: Final = 2
CLOSE: Final = 3

# from it. Of stream 0: it has begun
READY: Final = 4
PACKET: Final = 5
# of stream 0: processor seconds used so far
USED: Final = 6
# why a stream can't be converted
FAILED: Final = 7


def pack(kind: int, stream: int, body: bytes = b"") -> bytes:
    """One message."""
    return HEAD.pack(kind, stream, len(body)) + body


class MessageReader:
    """Cuts bytes into messages; holds no more than one and what came with it."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """(kind, stream, body) of what is complete."""
        buffer = self._buffer + data if self._buffer else data
        offset = 0
        while len(buffer) - offset >= HEAD.size:
            kind, stream, size = HEAD.unpack_from(buffer, offset)
            end = offset + HEAD.size + size
            if end > len(buffer):
                break
            yield kind, stream, buffer[offset + HEAD.size : end]
            offset = end
        self._buffer = buffer[offset:]
