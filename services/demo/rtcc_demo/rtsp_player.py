"""Sends a looping clip's pictures to one RTSP client on time (RTP, RFC 3550, interleaved as in RFC 2326 section 10.12)."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time

from rtcc_demo.clip import RTP_CLOCK_HZ, Clip

PAYLOAD_TYPE = 96
REPORT_INTERVAL_S = 5.0
BACKLOG_LIMIT_BYTES = 1_000_000
"""A client that reads slower than the camera sends loses pictures up to the next key frame, as with a real camera."""
NTP_EPOCH_OFFSET_S = 2_208_988_800


class Player:
    """One playing session. `began_s` is the event loop's time at which the clip's endless loop started."""

    def __init__(self, clip: Clip, began_s: float, writer: asyncio.StreamWriter, channel: int) -> None:
        self._clip = clip
        self._began_s = began_s
        self._writer = writer
        self._channel = channel
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
        position = round((self._loop.time() - self._began_s) * RTP_CLOCK_HZ)
        self._turn, ticks = divmod(position, self._clip.ticks)
        frames = self._clip.frames
        self._index = max(index for index, frame in enumerate(frames) if frame.key and frame.ticks <= ticks)

    def _rtp_time(self) -> int:
        return (self._time_base + self._turn * self._clip.ticks + self._clip.frames[self._index].ticks) & 0xFFFFFFFF

    def _due_s(self) -> float:
        return self._began_s + (self._turn * self._clip.ticks + self._clip.frames[self._index].ticks) / RTP_CLOCK_HZ

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
        self._timer = None if self._writer.is_closing() else self._loop.call_at(self._due_s(), self._send_due)

    def _send_frame(self) -> None:
        frame = self._clip.frames[self._index]
        backlog = self._writer.transport.get_write_buffer_size()
        self._waiting_for_key = backlog > BACKLOG_LIMIT_BYTES or (self._waiting_for_key and not frame.key)
        if self._waiting_for_key or self._writer.is_closing():
            return
        rtp_time = self._rtp_time()
        last = len(frame.payloads) - 1
        parts: list[bytes] = []
        for index, payload in enumerate(frame.payloads):
            marker = 0x80 if index == last else 0
            head = struct.pack(
                "!BBHBBHII", 0x24, self._channel, len(payload) + 12, 0x80, marker | PAYLOAD_TYPE, self.sequence, rtp_time, self.ssrc
            )
            parts += (head, payload)
            self.sequence = (self.sequence + 1) & 0xFFFF
            self._bytes += len(payload)
        self._packets += len(frame.payloads)
        self._writer.write(b"".join(parts))

    def _send_report(self) -> None:
        """An RTCP sender report (RFC 3550 section 6.4.1): ties RTP time to wall time."""
        ntp = round((time.time() + NTP_EPOCH_OFFSET_S) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
        body = struct.pack(
            "!BBHIQIII", 0x80, 200, 6, self.ssrc, ntp, self._rtp_time(), self._packets & 0xFFFFFFFF, self._bytes & 0xFFFFFFFF
        )
        self._writer.write(struct.pack("!BBH", 0x24, self._channel + 1, len(body)) + body)
