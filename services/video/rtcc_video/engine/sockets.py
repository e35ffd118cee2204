"""The relay's sockets: one UDP port, and ICE over TCP on the same number."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, Protocol, cast

from rtcc_video.engine.intake import DATAGRAMS_MOST, Intake
from rtcc_video.engine.paths import Address, Path, TcpPath

DATAGRAM_LIMIT_BYTES: Final = 2048
_TCP_INTRODUCTION_S: Final = 10.0
_DATAGRAMS_PER_WAKEUP: Final = 64
_DATAGRAMS_AT_LEISURE: Final = 1024
# the time of a picture
AT_LEISURE_S: Final = 0.04
# how long things may wait is asked again after so many wake-ups
_WAKEUPS_UNTIL_ASKED: Final = 16
# more came than the kernel can be trusted to keep so long
_HURRIED_S: Final = 2.0
# what a packet of a picture takes of a receive buffer
_KERNEL_BYTES_PER_DATAGRAM: Final = 2_304


def bind_udp(host: str, port: int, buffer_bytes: int) -> socket.socket:
    """Raises `OSError`. "::" takes IPv4 too, whatever the machine's default is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        udp.bind((host, port))
    except OSError:
        udp.close()
        raise
    return udp


def bind_tcp(host: str, port: int) -> socket.socket:
    """Listens on the same number. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, dualstack_ipv6=host == "::")


class UdpReader:
    """Gives each datagram of the relay's socket to `take`, which may close the reader. Runs on the event loop until `close`.

    `patience` says for how many seconds what comes may wait; 0: not at all. While it may, and more comes than once in that time,
    everything that came meanwhile is read together, instead of waking up for each packet (see `sources/leisure.py`). Where the helper is
    used, `take_together` is offered what it has read and says how many of its datagrams it took, from one on that came from an address;
    0: that one is for `take`.
    """

    def __init__(
        self,
        udp: socket.socket,
        take: Callable[[bytes, Address], object],
        patience: Callable[[], float],
        intake: Intake | None = None,
        take_together: Callable[[Intake, int, int, Address], int] = lambda intake, first, count, address: 0,
    ) -> None:
        self._udp = udp
        self._take = take
        self._patience = patience
        self._intake = intake
        self._take_together = take_together
        self._timer: asyncio.TimerHandle | None = None
        self._hurried_until_s = self._asked_s = 0.0
        self._until_asked = 0
        # so many may come in a turn at leisure, and the kernel has room for four times as many
        self._most_at_leisure = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // (4 * _KERNEL_BYTES_PER_DATAGRAM)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(udp.fileno(), self._on_readable)

    @property
    def at_leisure(self) -> bool:
        """Whether it waits for its turn now."""
        return self._timer is not None

    def hurry(self) -> None:
        """Somebody new is about to send."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._loop.add_reader(self._udp.fileno(), self._on_readable)

    def close(self) -> None:
        """Closes the socket, too."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._udp.fileno() >= 0:
            self._loop.remove_reader(self._udp.fileno())
            self._udp.close()

    def _on_readable(self) -> None:
        self._read(_DATAGRAMS_PER_WAKEUP)
        self._until_asked -= 1
        if self._until_asked > 0 or self._udp.fileno() < 0:
            return
        before_s, now_s = self._asked_s, self._loop.time()
        self._until_asked, self._asked_s = _WAKEUPS_UNTIL_ASKED, now_s
        wait_s = self._patience()
        # where little comes there would be more turns than datagrams
        if wait_s and now_s - before_s <= wait_s * _WAKEUPS_UNTIL_ASKED and now_s >= self._hurried_until_s:
            self._loop.remove_reader(self._udp.fileno())
            self._timer = self._loop.call_later(wait_s, self._on_turn, wait_s)

    def _on_turn(self, waited_s: float) -> None:
        self._timer = None
        most = _DATAGRAMS_AT_LEISURE if waited_s >= AT_LEISURE_S else _DATAGRAMS_PER_WAKEUP
        taken = self._read(most)
        if self._udp.fileno() < 0:
            return
        now_s = self._loop.time()
        if taken >= most or taken > self._most_at_leisure:
            self._hurried_until_s = now_s + _HURRIED_S
        wait_s = self._patience()
        if taken and wait_s and now_s >= self._hurried_until_s:
            self._timer = self._loop.call_later(wait_s, self._on_turn, wait_s)
        else:
            self._until_asked, self._asked_s = _WAKEUPS_UNTIL_ASKED, now_s
            self._loop.add_reader(self._udp.fileno(), self._on_readable)

    def _read(self, most: int) -> int:
        if self._intake is not None:
            return self._read_together(self._intake, most)
        receive, take = self._udp.recvfrom, self._take
        for count in range(most):
            try:
                data, address = receive(DATAGRAM_LIMIT_BYTES)
            except BlockingIOError:
                return count
            except OSError:
                # an ICMP answer to what was sent to somebody who left; or closed meanwhile
                if self._udp.fileno() < 0:
                    return count
                continue
            take(data, address)
        return most

    def _read_together(self, intake: Intake, most: int) -> int:
        done = 0
        while done < most:
            try:
                count = intake.receive(self._udp.fileno())
            except OSError:
                # nothing more, or an ICMP answer as above
                break
            at = 0
            while at < count:
                address = intake.address(at)
                taken = self._take_together(intake, at, count, address)
                if not taken:
                    self._take(intake.datagram(at), address)
                at += taken or 1
                if self._udp.fileno() < 0:
                    return done + at
            done += count
            if count < DATAGRAMS_MOST:
                break
        return done


class Listener(Protocol):
    """What takes the packets of connections."""

    def on_datagram(self, data: bytes, path: Path | None, address: Address) -> Path | None: ...

    def forget_path(self, address: Address) -> None: ...

    def add_connection(self, connection: "TcpPeer") -> bool: ...

    def remove_connection(self, connection: "TcpPeer") -> None: ...


class TcpPeer(asyncio.Protocol):
    """One accepted ICE-TCP connection (RFC 6544): packets behind two length bytes, checks first."""

    def __init__(self, endpoint: Listener) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.Transport | None = None
        self._path: TcpPath | None = None
        self._address: Address = ("", 0)
        self._buffer = b""
        self._introduced = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._endpoint.add_connection(self):
            transport.close()
            return
        # uvloop's transports don't derive from asyncio.Transport: a check of the type would turn every peer away
        self._transport = cast(asyncio.Transport, transport)
        self._path = TcpPath(self._transport)
        # Prefixed, so that it never equals a UDP address of the same numbers.
        self._address = (f"tcp/{self._path.host}", self._path.port)
        asyncio.get_running_loop().call_later(_TCP_INTRODUCTION_S, self._end_if_silent)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        offset = 0
        while len(buffer) - offset >= 2:
            length = int.from_bytes(buffer[offset : offset + 2], "big")
            if length > DATAGRAM_LIMIT_BYTES:
                self.abort()
                return
            if len(buffer) - offset - 2 < length:
                break
            learnt = self._endpoint.on_datagram(buffer[offset + 2 : offset + 2 + length], self._path, self._address)
            self._introduced |= learnt is not None
            offset += 2 + length
        self._buffer = buffer[offset:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._endpoint.remove_connection(self)
        self._endpoint.forget_path(self._address)

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _end_if_silent(self) -> None:
        if not self._introduced:
            self.abort()
