"""How packets reach one address of a viewer: UDP with segmentation offload, or a TCP connection with RFC 4571 framing."""

import asyncio
import errno
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Final, Protocol

_UDP_SEGMENT: Final = 103
_TCP_BACKLOG_LIMIT_BYTES: Final = 1_000_000
_TCP_CONGESTED_BYTES: Final = 250_000
OFFLOAD_REFUSED: Final = frozenset({errno.EIO, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOPROTOOPT})

type Address = tuple[str, int] | tuple[str, int, int, int]


class Path(Protocol):
    """A way to one validated address of a viewer. Nothing here blocks: what the network doesn't take now is dropped."""

    host: str
    port: int

    @property
    def congested(self) -> bool:
        """Whether more waits here than the next picture is worth."""
        ...

    def send(self, datagram: bytes) -> None:
        """One datagram; lost silently when it can't leave now."""
        ...

    def send_run(self, buffers: Sequence[bytes], packets: int, segment_bytes: int) -> bool:
        """Several packets of `segment_bytes`, the last maybe shorter, each of equally many buffers. False when dropped."""
        ...

    def close(self) -> None:
        """Ends what belongs to this path alone."""
        ...


class UdpSender:
    """The shared socket's sending half; remembers once that the kernel or the network card refuses segmentation."""

    def __init__(self, udp: socket.socket) -> None:
        self._udp = udp
        self.sendmsg = udp.sendmsg
        self.sendto = udp.sendto
        self.fileno = udp.fileno
        self.family = int(udp.family)
        self._controls: dict[int, list[tuple[int, int, bytes]]] = {}
        self.offload = sys.platform == "linux"

    def control(self, segment_bytes: int) -> list[tuple[int, int, bytes]]:
        """The ancillary data that lets the kernel cut one buffer into packets of `segment_bytes`."""
        found = self._controls.get(segment_bytes)
        if found is None:
            found = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", segment_bytes))]
            self._controls[segment_bytes] = found
        return found

    def cut(self, segment_bytes: int) -> bool:
        """From now on the kernel cuts whatever is longer into packets of `segment_bytes`, without being told for each buffer; 0: no more.
        False when it refuses. To be taken back before anybody else sends."""
        try:
            self._udp.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, segment_bytes)
        except OSError:
            return False
        return True

    def send(self, datagram: bytes, address: Address) -> None:
        """One datagram, dropped when the socket's buffer is full or the network is away."""
        try:
            self._udp.sendto(datagram, address)
        except OSError:
            return

    def send_run(self, buffers: Sequence[bytes | memoryview], packets: int, segment_bytes: int, address: Address) -> bool:
        """See `Path.send_run`."""
        try:
            if packets == 1:
                self.sendmsg(buffers, (), 0, address)
                return True
            if self.offload:
                self.sendmsg(buffers, self.control(segment_bytes), 0, address)
                return True
        except OSError as error:
            if packets == 1 or error.errno not in OFFLOAD_REFUSED:
                return False
            self.offload = False
        return self._send_singly(buffers, packets, address)

    def _send_singly(self, buffers: Sequence[bytes | memoryview], packets: int, address: Address) -> bool:
        each = len(buffers) // packets
        try:
            for start in range(0, len(buffers), each):
                self.sendmsg(buffers[start : start + each], (), 0, address)
        except OSError:
            return False
        return True


class UdpPath:
    """A viewer's UDP address on the shared socket."""

    def __init__(self, sender: UdpSender, address: Address) -> None:
        self.sender = sender
        self.address = address
        self.host, self.port = address[0], address[1]
        # The kernel drops what a full socket doesn't take; nothing waits.
        self.congested = False

    def send(self, datagram: bytes) -> None:
        """See `Path.send`."""
        self.sender.send(datagram, self.address)

    def send_run(self, buffers: Sequence[bytes], packets: int, segment_bytes: int) -> bool:
        """See `Path.send_run`."""
        return self.sender.send_run(buffers, packets, segment_bytes, self.address)

    def close(self) -> None:
        """The socket is shared: nothing to end."""


class TcpPath:
    """A viewer's TCP connection: each packet behind its length in two bytes (RFC 4571, 2)."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        peer: Address = transport.get_extra_info("peername")
        self.host, self.port = peer[0], peer[1]

    @property
    def congested(self) -> bool:
        """See `Path.congested`: what waits for longer than a second of video only makes it later."""
        return self._transport.get_write_buffer_size() > _TCP_CONGESTED_BYTES

    def send(self, datagram: bytes) -> None:
        """See `Path.send`."""
        if not self._transport.is_closing() and self._transport.get_write_buffer_size() < _TCP_BACKLOG_LIMIT_BYTES:
            self._transport.write(len(datagram).to_bytes(2, "big") + datagram)

    def send_run(self, buffers: Sequence[bytes], packets: int, segment_bytes: int) -> bool:
        """See `Path.send_run`; dropped while more than 1 MB waits in the connection."""
        if self._transport.is_closing() or self._transport.get_write_buffer_size() > _TCP_BACKLOG_LIMIT_BYTES:
            return False
        each = len(buffers) // packets
        framed: list[bytes] = []
        for start in range(0, len(buffers), each):
            packet = buffers[start : start + each]
            framed.append(sum(map(len, packet)).to_bytes(2, "big"))
            framed += packet
        self._transport.writelines(framed)
        return True

    def close(self) -> None:
        """Closes the connection after what is buffered."""
        self._transport.close()
