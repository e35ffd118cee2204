"""A camera's RTP and RTCP over UDP: a pair of ports of its own (RFC 2326, 12.39; RFC 3550, 11)."""

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Final

from rtcc_video.engine.intake import DATAGRAMS_MOST, Intake
from rtcc_video.engine.rtp import build_receiver_report, build_rtp_header
from rtcc_video.sources.leisure import Leisure
from rtcc_video.sources.source import SourceFailed

DATAGRAM_LIMIT_BYTES: Final = 9_216
_TURNS_AT_LEISURE: Final = 8
# a key picture of a large camera comes in one burst
_RECEIVE_BUFFER_BYTES: Final = 2_000_000
_PAIR_TRIES: Final = 50

# (the helper, first, count): takes some of the datagrams that it has read, from `first` on, together, and says how many; 0: none
type TakeTogether = Callable[[Intake, int, int], int]


class NoPortPair(OSError):
    """No even port with its odd neighbour is free."""


class UdpPair:
    """Two sockets on the address by which the camera is reached; only what comes from the camera's own host is taken.

    Runs on the event loop; `on_rtp` gets each datagram of the even port, `on_rtcp` of the odd one. `leisure`: who reads the even port
    after `rest`, while nobody watches. `take_together`: is offered those of the even port before `on_rtp`, where the helper is used.
    """

    def __init__(
        self,
        local_host: str,
        camera_host: str,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
        leisure: Leisure | None = None,
        take_together: TakeTogether | None = None,
    ) -> None:
        self._hosts = {_plain(camera_host)}
        self._camera_host = camera_host
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._leisure = leisure
        self._intake = leisure.intake if leisure is not None else None
        self._take_together = take_together
        self._resting = False
        # from where the last packet came
        self._known: tuple[object, ...] = ()
        self._camera_rtcp: tuple[str, int] | None = None
        self._rtp, self._rtcp = _bind_pair(local_host)
        self.port = int(self._rtp.getsockname()[1])
        loop = asyncio.get_running_loop()
        loop.add_reader(self._rtp.fileno(), self._on_rtp_readable)
        loop.add_reader(self._rtcp.fileno(), self._on_rtcp_readable)

    @property
    def transport(self) -> str:
        """What SETUP asks for."""
        return f"RTP/AVP;unicast;client_port={self.port}-{self.port + 1}"

    def learn_from(self, transport: str, own_ssrc: int) -> None:
        """What the answer to SETUP says of the camera's side. Raises `SourceFailed`."""
        if "multicast" in transport.lower():
            raise SourceFailed("The camera answers with multicast, which isn't taken. Switch it off in its network settings.", lasting=True)
        ports = re.search(r"server_port\s*=\s*([0-9]{1,5})(?:-([0-9]{1,5}))?", transport)
        rtp, rtcp = (min(int(ports[1]), 65535), min(int(ports[2] or 0), 65535)) if ports else (0, 0)
        source = re.search(r"source\s*=\s*([0-9a-fA-F.:]{2,45})", transport)
        self.learn_camera(source[1] if source else "", rtp, rtcp, own_ssrc)

    def learn_camera(self, source_host: str, rtp_port: int, rtcp_port: int, own_ssrc: int) -> None:
        """Its ports, and a further address if it sends from one. One packet to each port opens the way back through a firewall."""
        with contextlib.suppress(ValueError):
            self._hosts.add(_plain(str(ipaddress.ip_address(source_host))))
        if rtp_port:
            self._send(self._rtp, build_rtp_header(0, False, 0, 0, own_ssrc), (self._camera_host, rtp_port))
        if rtcp_port:
            self._camera_rtcp = (self._camera_host, rtcp_port)
            self.report(own_ssrc)

    def report(self, own_ssrc: int) -> None:
        """An empty receiver report: some cameras end a session that sends none."""
        if self._camera_rtcp is not None:
            self._send(self._rtcp, build_receiver_report(own_ssrc), self._camera_rtcp)

    def rest(self) -> None:
        """Pictures are read at leisure, unless somebody watches."""
        if self._leisure is None or self._resting or self._rtp.fileno() < 0 or self._leisure.watched_live():
            return
        self._resting = True
        asyncio.get_running_loop().remove_reader(self._rtp.fileno())
        self._leisure.reader.add(self._rtp.fileno(), self._read_at_leisure)

    def hurry(self) -> None:
        """Pictures are read as they come."""
        if self._resting and self._leisure is not None:
            self._resting = False
            self._leisure.reader.remove(self._rtp.fileno())
            asyncio.get_running_loop().add_reader(self._rtp.fileno(), self._on_rtp_readable)

    def close(self) -> None:
        """Gives the ports back."""
        self.hurry()
        loop = asyncio.get_running_loop()
        for one in (self._rtp, self._rtcp):
            if one.fileno() >= 0:
                loop.remove_reader(one.fileno())
                one.close()

    def _send(self, sender: socket.socket, data: bytes, address: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            sender.sendto(data, address)

    def _on_rtp_readable(self) -> None:
        self._read_rtp()

    def _read_at_leisure(self) -> None:
        if self._leisure is not None and self._leisure.watched_live():
            self.hurry()
        for _ in range(_TURNS_AT_LEISURE):
            if self._rtp.fileno() < 0 or self._read_rtp() < DATAGRAMS_MOST:
                return

    def _on_rtcp_readable(self) -> None:
        self._read(self._rtcp, self._on_rtcp)

    def _read_rtp(self) -> int:
        if self._intake is None or self._take_together is None:
            return self._read(self._rtp, self._on_rtp)
        return self._read_together(self._intake, self._take_together)

    def _read_together(self, intake: Intake, take_together: TakeTogether) -> int:
        """As `_read` of the even port, by the helper."""
        try:
            count = intake.receive(self._rtp.fileno())
        except OSError:
            return 0
        at = 0
        while at < count:
            if not self._is_of_camera(intake.address(at)):
                at += 1
                continue
            taken = take_together(intake, at, count)
            if not taken:
                self._on_rtp(intake.datagram(at))
            at += taken or 1
            if self._rtp.fileno() < 0:
                break
        return count

    def _is_of_camera(self, address: tuple[object, ...]) -> bool:
        if address != self._known:
            if _plain(str(address[0])) not in self._hosts:
                return False
            self._known = address
        return True

    def _read(self, receiver: socket.socket, take: Callable[[bytes], None]) -> int:
        """How many datagrams were there; at most a wake-up's worth."""
        for count in range(DATAGRAMS_MOST):
            try:
                data, address = receiver.recvfrom(DATAGRAM_LIMIT_BYTES)
            except BlockingIOError:
                return count
            except OSError:
                # an ICMP answer to what we sent: the camera's port isn't open yet
                continue
            if self._is_of_camera(address):
                take(data)
                if receiver.fileno() < 0:
                    return count
        return DATAGRAMS_MOST


def _bind_pair(host: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(_PAIR_TRIES):
        first = socket.socket(family, socket.SOCK_DGRAM)
        second = socket.socket(family, socket.SOCK_DGRAM)
        try:
            first.bind((host, 0))
            port = first.getsockname()[1]
            if port % 2 == 0:
                second.bind((host, port + 1))
                first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
                first.setblocking(False)
                second.setblocking(False)
                return first, second
        except OSError:
            pass
        first.close()
        second.close()
    raise NoPortPair("no pair of UDP ports is free")


def _plain(host: str) -> str:
    """An address without the zone of a link-local one, and IPv4 behind IPv6 as IPv4."""
    return host.partition("%")[0].removeprefix("::ffff:")
