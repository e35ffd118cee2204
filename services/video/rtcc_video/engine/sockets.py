"""The relay's sockets: one UDP port, and ICE over TCP on the same number."""

import asyncio
import socket
from typing import Final, Protocol, cast

from rtcc_video.engine.paths import Address, Path, TcpPath

DATAGRAM_LIMIT_BYTES: Final = 2048
_TCP_INTRODUCTION_S: Final = 10.0


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
