"""What stands on a cascade's connection. Pure: bytes in, messages out.

The edge begins with its ticket (32 bytes), then sends five bytes at a time: a kind and a number. The origin sends messages of a kind (one
byte), a length (four bytes, big-endian) and so many bytes. A picture is flags, time stamp and moment of sending, then NAL units, each
behind its length. Sound, which only comes to an edge that asked for it, is a time stamp and an Opus packet.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from rtcc_video.engine.opus import PACKET_LIMIT_BYTES

TICKET_BYTES: Final = 32
_HEAD: Final = struct.Struct("!BI")
_PICTURE: Final = struct.Struct("!BqQ")
_SOUND: Final = struct.Struct("!q")
_LENGTH: Final = struct.Struct("!I")
_UPWARD: Final = struct.Struct("!BI")
_KEY: Final = 1
_NALS_MOST: Final = 1024
_REASON_MOST_BYTES: Final = 1200


class MalformedCascade(ValueError):
    """What came isn't what a relay sends; the message says why."""


class Kind(IntEnum):
    """Of a message to the edge."""

    PICTURE = 1
    # nothing to send, but there
    QUIET = 2
    # the last one: why the origin sends no more
    END = 3
    SOUND = 4


class Upward(IntEnum):
    """Of a message to the origin."""

    KEY_PICTURE_WANTED = 1
    VIEWERS = 2
    # 1: somebody hears it here, 0: nobody any more
    SOUND_WANTED = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """`timestamp` counts 90 kHz ticks; `sent_us` is the origin's time of day, Unix time in microseconds."""

    nals: tuple[bytes, ...]
    timestamp: int
    key: bool
    sent_us: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """The origin is there."""


@dataclass(frozen=True, slots=True)
class End:
    """The origin sends no more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Sound:
    """An Opus packet; `timestamp` counts 48 kHz and never wraps."""

    payload: bytes
    timestamp: int


type Message = Picture | Quiet | End | Sound

QUIET: Final = _HEAD.pack(Kind.QUIET, 0)


def pack_picture(nals: Sequence[bytes], timestamp: int, key: bool, sent_us: int) -> bytes:
    """The message of a picture."""
    size = _PICTURE.size + sum(_LENGTH.size + len(nal) for nal in nals)
    parts = [_HEAD.pack(Kind.PICTURE, size), _PICTURE.pack(_KEY if key else 0, timestamp, sent_us)]
    for nal in nals:
        parts += (_LENGTH.pack(len(nal)), nal)
    return b"".join(parts)


def pack_sound(payload: bytes, timestamp: int) -> bytes:
    """The message of a packet of sound."""
    return _HEAD.pack(Kind.SOUND, _SOUND.size + len(payload)) + _SOUND.pack(timestamp) + payload


def pack_end(reason: str) -> bytes:
    """The last message."""
    body = reason.encode()[:_REASON_MOST_BYTES]
    return _HEAD.pack(Kind.END, len(body)) + body


def pack_upward(kind: Upward, number: int = 0) -> bytes:
    """What an edge says."""
    return _UPWARD.pack(kind, min(number, 0xFFFFFFFF))


class Reader:
    """Cuts what the origin sends into messages. Never holds more than one message and what came with it."""

    def __init__(self, picture_limit_bytes: int) -> None:
        self._limit_bytes = picture_limit_bytes + 64 * 1024
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[Message]:
        """The messages that are complete now. Raises `MalformedCascade`, after which nothing more may be fed."""
        buffer = self._buffer
        buffer += data
        found: list[Message] = []
        start = 0
        while len(buffer) - start >= _HEAD.size:
            kind, size = _HEAD.unpack_from(buffer, start)
            if size > self._limit_bytes:
                raise MalformedCascade(f"a message of {size} bytes, of at most {self._limit_bytes}")
            stop = start + _HEAD.size + size
            if len(buffer) < stop:
                break
            found.append(_read(kind, bytes(memoryview(buffer)[start + _HEAD.size : stop])))
            start = stop
        if start:
            del buffer[:start]
        return found


class UpwardReader:
    """Cuts what an edge sends."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[Upward, int]]:
        """Raises `MalformedCascade`."""
        data = self._rest + data
        found: list[tuple[Upward, int]] = []
        whole = len(data) - len(data) % _UPWARD.size
        for kind, number in _UPWARD.iter_unpack(data[:whole]):
            try:
                found.append((Upward(kind), number))
            except ValueError:
                raise MalformedCascade(f"the unknown kind {kind}") from None
        self._rest = data[whole:]
        return found


def _read(kind: int, body: bytes) -> Message:
    if kind == Kind.PICTURE:
        return _read_picture(body)
    if kind == Kind.SOUND and _SOUND.size < len(body) <= _SOUND.size + PACKET_LIMIT_BYTES:
        return Sound(body[_SOUND.size :], _SOUND.unpack_from(body)[0])
    if kind == Kind.QUIET and not body:
        return Quiet()
    if kind == Kind.END and len(body) <= _REASON_MOST_BYTES:
        return End(body.decode("utf-8", "replace"))
    raise MalformedCascade(f"the kind {kind} with {len(body)} bytes")


def _read_picture(body: bytes) -> Picture:
    if len(body) < _PICTURE.size:
        raise MalformedCascade(f"a picture of {len(body)} bytes")
    flags, timestamp, sent_us = _PICTURE.unpack_from(body)
    nals: list[bytes] = []
    offset = _PICTURE.size
    while offset < len(body):
        if offset + _LENGTH.size > len(body):
            raise MalformedCascade("a picture that ends inside a length")
        (length,) = _LENGTH.unpack_from(body, offset)
        offset += _LENGTH.size
        if length == 0 or offset + length > len(body) or len(nals) >= _NALS_MOST:
            raise MalformedCascade(f"a NAL unit of {length} bytes where {len(body) - offset} are left, or too many of them")
        nals.append(body[offset : offset + length])
        offset += length
    if not nals:
        raise MalformedCascade("a picture without NAL units")
    return Picture(tuple(nals), timestamp, flags & _KEY != 0, sent_us)
