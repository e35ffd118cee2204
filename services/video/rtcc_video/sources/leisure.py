"""Sockets whose bytes nobody waits for, read all together some times a second.

Waking up costs more than the work that a picture makes: the processor's caches hold other things by then. A camera that nobody watches
live is as well served a few hundredths of a second later, and its pictures cost a fraction.
"""

import asyncio
import os
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine.intake import Intake

# A picture at 25 a second. Recordings take the arrival as the time of a picture, so it stays well below what people see as out of step.
_EVERY_S: Final = 0.04
# 500 kB at once, with the buffers of RTSP sessions: more than any camera may send meanwhile
_READS_AT_ONCE: Final = 8


class LeisurelyReader:
    """Runs on one event loop, from the first socket to the last. Only for plain sockets: what TLS holds back isn't seen here."""

    def __init__(self, every_s: float = _EVERY_S) -> None:
        self._every_s = every_s
        self._poll: select.epoll | None = None
        self._reads: dict[int, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._reads)

    def add(self, descriptor: int, read: Callable[[], None]) -> None:
        """From now on `read` is called when there is something to read, but not at once; it must not raise."""
        if self._poll is None:
            self._poll = select.epoll()
        if descriptor not in self._reads:
            self._poll.register(descriptor, select.EPOLLIN)
        self._reads[descriptor] = read
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._every_s, self._turn)

    def remove(self, descriptor: int) -> None:
        """To be called before the socket is closed; harmless for one that isn't read here."""
        if self._reads.pop(descriptor, None) is None or self._poll is None:
            return
        self._poll.unregister(descriptor)
        if not self._reads:
            self._poll.close()
            self._poll = None

    def _turn(self) -> None:
        self._timer = None
        if self._poll is None:
            return
        for descriptor, _ in self._poll.poll(0):
            read = self._reads.get(descriptor)
            if read is not None:
                read()
        if self._reads:
            self._timer = asyncio.get_running_loop().call_later(self._every_s, self._turn)


@dataclass(frozen=True, slots=True)
class Leisure:
    """Who reads a camera's socket while nobody watches live, and whether somebody does; and the C helper, where packets are taken by it."""

    reader: LeisurelyReader
    watched_live: Callable[[], bool]
    intake: Intake | None = None


class LeisurelyConnection:
    """A plain TCP connection that is read by its transport as bytes come, or at leisure between `rest` and `hurry`.

    `buffer` and `on_bytes` are what the transport's protocol has, too: `on_bytes(count)` says how much of the buffer was filled.
    """

    def __init__(self, leisure: Leisure, transport: asyncio.Transport, buffer: memoryview, on_bytes: Callable[[int], None]) -> None:
        self._leisure = leisure
        self._transport = transport
        self._buffer = buffer
        self._on_bytes = on_bytes
        self._descriptor: int | None = None

    def rest(self) -> None:
        """Read at leisure, unless somebody watches or the connection is encrypted."""
        transport = self._transport
        if self._descriptor is not None or transport.is_closing() or self._leisure.watched_live():
            return
        if transport.get_extra_info("ssl_object") is None:
            self._descriptor = int(transport.get_extra_info("socket").fileno())
            transport.pause_reading()
            self._leisure.reader.add(self._descriptor, self._read)

    def hurry(self) -> None:
        """Read as bytes come. To be called before the transport is closed."""
        if self._descriptor is not None:
            self._leisure.reader.remove(self._descriptor)
            self._descriptor = None
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _read(self) -> None:
        if self._leisure.watched_live():
            self.hurry()
            return
        for _ in range(_READS_AT_ONCE):
            if self._descriptor is None:
                return
            try:
                count = os.readv(self._descriptor, (self._buffer,))
            except BlockingIOError:
                return
            except OSError:
                count = 0
            if not count:
                # it has ended: the transport finds out by itself how
                self.hurry()
                return
            self._on_bytes(count)
            if count < len(self._buffer):
                return
