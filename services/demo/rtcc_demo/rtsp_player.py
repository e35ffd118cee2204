"""Sends a looping clip's pictures to one RTSP client on time (RTP, RFC 3550), inside its connection or over UDP."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
import time
from collections.abc import Sequence
from typing import Protocol

from rtcc_demo.clip import RTP_CLOCK_HZ, Clip

PAYLOAD_TYPE = 96
REPORT_INTERVAL_S = 5.0
BACKLOG_LIMIT_BYTES = 1_000_000
"""A client that reads slower than the camera sends loses pictures up to the next key frame, as with a real camera."""
NTP_EPOCH_OFFSET_S = 2_208_988_800


class Outlet(Protocol):
    """Where packets go."""

    @property
    def closing(self) -> bool: ...

    @property
    def backlog_bytes(self) -> int: ...

    def rtp(self, packets: Sequence[bytes]) -> None: ...

    def rtcp(self, packet: bytes) -> None: ...


class InterleavedOutlet:
    """Inside the RTSP connection (RFC 2326 section 10.12)."""

    def __init__(self, writer: asyncio.StreamWriter, channel: int) -> None:
        self._writer = writer
        self._channel = channel

    @property
    def closing(self) -> bool:
        return self._writer.is_closing()

    @property
    def backlog_bytes(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    def rtp(self, packets: Sequence[bytes]) -> None:
        parts: list[bytes] = []
        for packet in packets:
            parts += (struct.pack("!BBH", 0x24, self._channel, len(packet)), packet)
        self._writer.write(b"".join(parts))

    def rtcp(self, packet: bytes) -> None:
        self._writer.write(struct.pack("!BBH", 0x24, self._channel + 1, len(packet)) + packet)


class UdpOutlet:
    """To the pair of ports that the client named. `shuffle` swaps each two packets, as networks do now and then."""

    def __init__(self, host: str, port: int, local_host: str, *, shuffle: bool = False) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((local_host, 0))
        self._socket.setblocking(False)
        self._to = (host, port)
        self._shuffle = shuffle
        self.closing = False
        self.backlog_bytes = 0

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def rtp(self, packets: Sequence[bytes]) -> None:
        order = list(range(len(packets)))
        if self._shuffle:
            order = [other for index in order[::2] for other in (index + 1, index) if other < len(packets)]
        for index in order:
            self._send(packets[index], self._to)

    def rtcp(self, packet: bytes) -> None:
        self._send(packet, (self._to[0], self._to[1] + 1))

    def close(self) -> None:
        self.closing = True
        self._socket.close()

    def _send(self, packet: bytes, to: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(packet, to)


class Player:
    """One playing session. `began_s` is the event loop's time at which the clip's endless loop started."""

    def __init__(self, clip: Clip, began_s: float, outlet: Outlet) -> None:
        self._clip = clip
        self.began_s = began_s
        self._outlet = outlet
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._turn = 0
        self._index = 0
        self._waiting_for_key = False
        self._next_report_s = 0.0
        self._packets = self._bytes = 0
        self._time_base = secrets.randbits(32)
        self.ssrc = secrets.randbits(32)
        self.sequence = secrets.randbits(16)

    def rtp_time_at_start(self) -> int:
        """The RTP time stamp of the first picture that a start now would send."""
        self._seek()
        return self._rtp_time()

    def start(self) -> None:
        """Sends everything since the last key frame, then each picture when it is due."""
        if self._timer is None:
            self._seek()
            self._send_due()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _seek(self) -> None:
        position = round((self._loop.time() - self.began_s) * RTP_CLOCK_HZ)
        self._turn, ticks = divmod(position, self._clip.ticks)
        frames = self._clip.frames
        self._index = max(index for index, frame in enumerate(frames) if frame.key and frame.ticks <= ticks)

    def _rtp_time(self) -> int:
        return (self._time_base + self._turn * self._clip.ticks + self._clip.frames[self._index].ticks) & 0xFFFFFFFF

    def _due_s(self) -> float:
        return self.began_s + (self._turn * self._clip.ticks + self._clip.frames[self._index].ticks) / RTP_CLOCK_HZ

    def _send_due(self) -> None:
        now_s = self._loop.time()
        while self._due_s() <= now_s + 0.001:
            self._send_frame()
            self._index += 1
            if self._index == len(self._clip.frames):
                self._index, self._turn = 0, self._turn + 1
        if now_s >= self._next_report_s:
            self._next_report_s = now_s + REPORT_INTERVAL_S
            self._send_report()
        self._timer = None if self._outlet.closing else self._loop.call_at(self._due_s(), self._send_due)

    def _send_frame(self) -> None:
        frame = self._clip.frames[self._index]
        self._waiting_for_key = self._outlet.backlog_bytes > BACKLOG_LIMIT_BYTES or (self._waiting_for_key and not frame.key)
        if self._waiting_for_key or self._outlet.closing:
            return
        rtp_time = self._rtp_time()
        last = len(frame.payloads) - 1
        packets: list[bytes] = []
        for index, payload in enumerate(frame.payloads):
            marker = 0x80 if index == last else 0
            packets.append(struct.pack("!BBHII", 0x80, marker | PAYLOAD_TYPE, self.sequence, rtp_time, self.ssrc) + payload)
            self.sequence = (self.sequence + 1) & 0xFFFF
            self._bytes += len(payload)
        self._packets += len(frame.payloads)
        self._outlet.rtp(packets)

    def _send_report(self) -> None:
        """An RTCP sender report (RFC 3550 section 6.4.1): ties RTP time to wall time."""
        ntp = round((time.time() + NTP_EPOCH_OFFSET_S) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
        body = struct.pack(
            "!BBHIQIII", 0x80, 200, 6, self.ssrc, ntp, self._rtp_time(), self._packets & 0xFFFFFFFF, self._bytes & 0xFFFFFFFF
        )
        self._outlet.rtcp(body)
