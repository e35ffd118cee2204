"""A camera's RTP, however it came, to its pictures."""

import time
from collections.abc import Callable
from dataclasses import replace

from rtcc_video.engine.depacketizer import Depacketizer
from rtcc_video.engine.h264 import AccessUnit, MalformedBitstream
from rtcc_video.engine.intake import ANY_TYPE, Intake
from rtcc_video.engine.rtp import CLOCK_HZ, MalformedPacket, parse_rtp, parse_sender_clock
from rtcc_video.sources.reorder import Reorder
from rtcc_video.sources.rtsp_messages import INTERLEAVED_MARK
from rtcc_video.sources.source import Sink, SourceFailed


class RtspVideo:
    """Of one session. `fail` is told why it can't go on, where nobody else is there to be; `intake`: the C helper, where it is used.

    `heard_s`: when the last picture came, monotonic. `octets`: what came over UDP, since somebody set it to 0.
    """

    def __init__(self, limit_bytes: int, sink: Sink, fail: Callable[[Exception], None], intake: Intake | None) -> None:
        self.heard_s = time.monotonic()
        self.octets = 0
        self.channel = 0
        self.sound_types: frozenset[int] = frozenset()
        self._sink = sink
        self._fail = fail
        self._intake = intake
        self._depacketizer = Depacketizer(limit_bytes)
        self._reorder = Reorder()
        self._payload_type = ANY_TYPE
        # the camera's own time of day with the RTP time of the same moment, once it has told
        self._camera_clock: tuple[int, int] | None = None

    def take_interleaved(self, buffer: bytes, at: int) -> int:
        """See `rtsp_messages.TakePackets`. Raises `SourceFailed`, `MalformedBitstream`."""
        done: list[AccessUnit] = []
        mark = INTERLEAVED_MARK << 8 | self.channel
        if self._intake is not None:
            at = self._depacketizer.take_interleaved_together(self._intake, buffer, at, mark, done)
        else:
            at = self._depacketizer.take_interleaved(buffer, at, mark, done)
        if done:
            self._give(done)
        return at

    def on_rtp(self, data: bytes) -> None:
        """One packet that came in order. Raises as `take_interleaved`."""
        try:
            packet = parse_rtp(data)
        except MalformedPacket:
            return
        if packet.payload_type in self.sound_types:
            return
        self.heard_s = time.monotonic()
        for unit in self._depacketizer.push(packet):
            self._sink.on_unit(self._with_camera_time(unit) if unit.key else unit)

    def on_rtcp(self, data: bytes) -> None:
        """Of which the sender's clock is read."""
        self._camera_clock = parse_sender_clock(data) or self._camera_clock

    def on_datagram(self, data: bytes) -> None:
        """One packet that came by UDP."""
        following = self._reorder.next
        if following is not None and self._depacketizer.take_datagram(data, *following):
            self._reorder.skip()
            self.octets += len(data)
            return
        try:
            packet = parse_rtp(data)
        except MalformedPacket:
            return
        self.octets += len(data)
        if packet.payload_type in self.sound_types:
            return
        self._payload_type = packet.payload_type
        now_s = time.monotonic()
        done: list[AccessUnit] = []
        for ordered in self._reorder.push(packet, now_s):
            done += self._depacketizer.push(ordered)
        self._give_or_fail(done)

    def take_datagrams(self, intake: Intake, first: int, count: int) -> int:
        """How many of the helper's datagrams from `first` on were taken together; `on_datagram` is for the one behind them."""
        following = self._reorder.next
        if following is None or not self._depacketizer.expect(intake, *following, self._payload_type):
            return 0
        taken = intake.take_plain(first, count)
        if taken:
            done: list[AccessUnit] = []
            self._depacketizer.absorb(intake, done)
            self._reorder.skip(taken)
            self.octets += intake.octets
            if done:
                self._give_or_fail(done)
        return taken

    def _give_or_fail(self, units: list[AccessUnit]) -> None:
        try:
            self._give(units)
        except (SourceFailed, MalformedBitstream) as error:
            self._fail(error)

    def _give(self, units: list[AccessUnit]) -> None:
        self.heard_s = time.monotonic()
        for unit in units:
            self._sink.on_unit(self._with_camera_time(unit) if unit.key else unit)

    def _with_camera_time(self, unit: AccessUnit) -> AccessUnit:
        if self._camera_clock is None:
            return unit
        unix_us, timestamp = self._camera_clock
        ticks = (unit.timestamp - timestamp) & 0xFFFFFFFF
        ticks -= 0x100000000 if ticks & 0x80000000 else 0
        return replace(unit, captured_us=unix_us + ticks * 1_000_000 // CLOCK_HZ)
