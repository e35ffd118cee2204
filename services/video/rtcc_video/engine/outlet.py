"""What flows to one viewer: the group so far, then every frame, resends, and less where its link carries less."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine.accelerator import Accelerator
from rtcc_video.engine.frames import Frame, Run
from rtcc_video.engine.lanes import Lane, LaneKey, Seat
from rtcc_video.engine.numbering import Numbering
from rtcc_video.engine.paths import Path, UdpPath
from rtcc_video.engine.quality import Quality
from rtcc_video.engine.rtp import CLOCK_HZ
from rtcc_video.engine.srtp import GcmProtector, RtpProtector, SrtpFailed
from rtcc_video.engine.stream import LiveStream

PACING_INTERVAL_S: Final = 0.004
_PACKETS_PER_INTERVAL: Final = 32
_SQUEEZED_STEP_TICKS: Final = 90
_GROUP_RESEND_INTERVAL_S: Final = 0.15
_RESENDS_PER_SECOND: Final = 400
_RESEND_BURST: Final = 400
_BACKLOG_LIMIT_FRAMES: Final = 600
_LONGEST_PAUSE_S: Final = 60.0


@dataclass(slots=True)
class OutletCounters:
    """What was sent to one viewer so far, and what the network or its link didn't take."""

    packets_sent: int = 0
    octets_sent: int = 0
    packets_dropped: int = 0
    packets_resent: int = 0
    groups_resent: int = 0
    pictures_left_out: int = 0


class Outlet:
    """See the module. Silent until `open`; `schedule(delay_s, callback)` is the event loop's timer, `clock` gives monotonic seconds."""

    def __init__(
        self,
        stream: LiveStream,
        payload_type: int,
        clock: Callable[[], float],
        schedule: Callable[[float, Callable[[], None]], object],
        accelerator: Accelerator | None,
    ) -> None:
        self.stream = stream
        self.first_frame_s: float | None = None
        self._counters = OutletCounters()
        self._payload_type = payload_type
        self._clock = clock
        self._schedule = schedule
        self._accelerator = accelerator
        self._protector: RtpProtector | None = None
        self._path: Path | None = None
        self._numbering = Numbering(stream)
        self._roll_over_base = 0
        # Frames as this viewer gets them, and the run to go on with.
        self._backlog: deque[tuple[Frame, int]] = deque()
        self._backlog_limit = _BACKLOG_LIMIT_FRAMES
        self._wanted: LiveStream | None = None
        self._quality = Quality.FULL
        self._needs_key = False
        self._lane: Lane | None = None
        self._seat: Seat | None = None
        self._group_resent_s = 0.0
        self._resend_allowance = float(_RESEND_BURST)
        self._resend_counted_s = self._last_sent_s = clock()
        self._closed = False

    @property
    def counters(self) -> OutletCounters:
        """A copy that includes what the lane sent."""
        counters = self._counters
        packets, octets = self._lane.sent(self._seat) if self._lane is not None and self._seat is not None else (0, 0)
        dropped = self._seat.packets_dropped if self._seat is not None else 0
        return OutletCounters(
            counters.packets_sent + packets, counters.octets_sent + octets, counters.packets_dropped + dropped,
            counters.packets_resent, counters.groups_resent, counters.pictures_left_out,
        )  # fmt: skip

    @property
    def started(self) -> bool:
        """Whether a first packet was sent: reports before it would mean nothing."""
        return self._numbering.first_index is not None

    @property
    def ssrc(self) -> int:
        """What this viewer knows the stream by, whatever stream its pictures come from."""
        return self._numbering.home_ssrc

    @property
    def home(self) -> LiveStream:
        """The stream that was asked for."""
        return self._numbering.home

    @property
    def in_lane(self) -> bool:
        """Whether the viewer is served with all others."""
        return self._lane is not None

    @property
    def first_index(self) -> int | None:
        """The extended number of the first packet sent."""
        return self._numbering.first_index

    @property
    def follows(self) -> bool:
        """Whether the viewer's time stamps are its stream's own."""
        return self._numbering.ticks == 0 and self.stream is self._numbering.home

    def sender_report(self, unix_s: float) -> bytes | None:
        """The RTCP sender report for a viewer with time stamps of its own, before encryption."""
        return self.stream.sender_report(unix_s, self.ssrc, self._numbering.ticks)

    def open(self, protector: RtpProtector) -> None:
        """The keys are there: the stream begins to flow."""
        self._protector = protector
        self.stream.attach(self)

    def move(self, path: Path | None) -> None:
        """Packets leave by another path from now on, or wait for one."""
        if path is not self._path:
            self._leave_lane()
            self._path = path
            self._enter_lane()

    def close(self) -> None:
        """Ends it all."""
        self._closed = True
        self._leave_lane()
        self.stream.detach(self)
        if self._wanted is not None:
            self._wanted.detach(self)
            self._wanted = None
        self._backlog.clear()
        self._path = None

    def choose(self, quality: Quality, substream: LiveStream | None = None) -> None:
        """How much to send from now on; `substream` is the smaller stream for `Quality.SUBSTREAM`. Changes at a key picture."""
        home = self._numbering.home
        wanted = substream if quality is Quality.SUBSTREAM and substream is not None else home
        if quality is not self._quality:
            self._quality = quality
            if quality is Quality.KEY_PICTURES:
                self._leave_lane()
        if self._wanted is not None and self._wanted is not wanted:
            self._wanted.detach(self)
            self._wanted = None
        if wanted is not self.stream and self._wanted is None and self._protector is not None:
            self._leave_lane()
            self._wanted = wanted
            wanted.attach(self, from_now=True)

    def begin(self, group: list[Frame]) -> None:
        """The group so far, paced, with time stamps squeezed to end now: a joiner sees the newest picture at once."""
        if not group:
            return
        self._roll_over_base = group[0].first_index >> 16
        end = group[-1].timestamp
        for position, frame in enumerate(group):
            back = len(group) - 1 - position
            stamp = end - back * _SQUEEZED_STEP_TICKS
            self._backlog.append((self._numbering.squeeze(frame, stamp) if back else self._numbering.follow(frame, self.stream), 0))
        self._backlog_limit = len(group) + _BACKLOG_LIMIT_FRAMES
        self._pump()

    def deliver(self, frame: Frame, stream: LiveStream) -> None:
        """The next frame of a stream; before the first key picture there is nothing to decode."""
        if stream is self._wanted and frame.key and not self._backlog:
            self.stream.detach(self)
            self.stream, self._wanted = stream, None
        if stream is not self.stream:
            return
        if not self.started and not frame.key:
            return
        if not self._takes(frame):
            self._counters.pictures_left_out += 1
            self._counters.packets_dropped += frame.count
            self._needs_key = True
            return
        self._needs_key = False
        if self._numbering.first_index is None:
            self._roll_over_base = frame.first_index >> 16
        ticks = int(min(self._clock() - self._last_sent_s, _LONGEST_PAUSE_S) * CLOCK_HZ)
        renamed = self._numbering.follow(frame, stream, ticks)
        if self._backlog:
            self._backlog.append((renamed, 0))
            return
        for run in renamed.runs(self._payload_type):
            self._send_run(run)
        self._enter_lane()

    def resend(self, sequences: list[int]) -> None:
        """Packets that the receiver misses, with the bytes first sent; at most 400 a second."""
        path = self._path
        if path is None:
            return
        self._catch_up()
        now_s = self._clock()
        self._resend_allowance = min(_RESEND_BURST, self._resend_allowance + (now_s - self._resend_counted_s) * _RESENDS_PER_SECOND)
        self._resend_counted_s = now_s
        waiting = self._backlog[0][0].first_index if self._backlog else None
        for sequence in sequences:
            found = self._numbering.find(sequence)
            if found is None or self._resend_allowance < 1:
                continue
            frame, position = found
            if waiting is not None and frame.first_index >= waiting:
                continue
            self._resend_allowance -= 1
            if self._send_run(frame.single(self._payload_type, position), count=False):
                self._counters.packets_resent += 1

    def resend_group(self) -> None:
        """The cached group again, unchanged: the receiver drops what it already has."""
        now_s = self._clock()
        group = self.stream.group
        if self._backlog or not group or not self.started or now_s - self._group_resent_s < _GROUP_RESEND_INTERVAL_S:
            return
        self._catch_up()
        again = [frame for frame in map(self._numbering.repeat, group) if frame is not None]
        if not again or again[0].key is False:
            return
        self._leave_lane()
        self._group_resent_s = now_s
        self._counters.groups_resent += 1
        self._backlog.extend((frame, 0) for frame in again)
        self._backlog_limit = len(again) + _BACKLOG_LIMIT_FRAMES
        self._pump()

    def forget_old(self) -> None:
        """Drops what can't be resent any more."""
        if self._numbering.keeps_old:
            self._catch_up()
            self._numbering.forget_old()

    def _takes(self, frame: Frame) -> bool:
        if frame.key:
            return len(self._backlog) < self._backlog_limit
        if self._needs_key or self._quality is Quality.KEY_PICTURES:
            return False
        path = self._path
        return len(self._backlog) < self._backlog_limit and (path is None or not path.congested)

    def _pump(self) -> None:
        """Sends a slice of the backlog and comes back for the rest: a burst at line rate would be lost on thin links."""
        budget = _PACKETS_PER_INTERVAL
        while self._backlog and budget > 0 and not self._closed:
            frame, number = self._backlog[0]
            runs = frame.runs(self._payload_type)
            self._send_run(runs[number])
            budget -= runs[number].count
            if number + 1 < len(runs):
                self._backlog[0] = (frame, number + 1)
            else:
                self._backlog.popleft()
        if self._backlog and not self._closed:
            self._schedule(PACING_INTERVAL_S, self._pump)
        else:
            self._enter_lane()

    def _send_run(self, run: Run, count: bool = True) -> bool:
        protector, path = self._protector, self._path
        if protector is None or path is None:
            return False
        self._last_sent_s = self._clock()
        if self.first_frame_s is None:
            self.first_frame_s = self._last_sent_s
        segment = run.size + protector.overhead_bytes
        try:
            sent = path.send_run(protector.protect(run, self._roll_over_base), run.count, segment)
        except SrtpFailed:
            # libsrtp refuses what lies behind its window: too old to be of use anyway.
            sent = False
        if not count:
            return sent
        if sent:
            self._counters.packets_sent += run.count
            self._counters.octets_sent += sum(map(len, run.payloads)) + run.count * protector.overhead_bytes
        else:
            self._counters.packets_dropped += run.count
        return sent

    def _enter_lane(self) -> None:
        """From here on the viewer is served with all others, if nothing sets it apart."""
        protector, path = self._protector, self._path
        apart = self._closed or self._lane is not None or self._backlog or self._wanted is not None or self._needs_key
        if apart or not isinstance(path, UdpPath) or not isinstance(protector, GcmProtector):
            return
        if self._quality is Quality.KEY_PICTURES or not self.started or not self._numbering.shared:
            return
        if self._numbering.next_own != self.stream.ring.next_index:
            return
        self._seat = Seat(protector, path.address)
        key = LaneKey(path.sender, self._payload_type, self._roll_over_base)
        self._lane = self.stream.enter_lane(self, key, self._accelerator, self._seat)

    def _leave_lane(self) -> None:
        lane, seat = self._lane, self._seat
        if lane is None or seat is None:
            return
        self._catch_up()
        self._lane = self._seat = None
        packets, octets = lane.leave(seat)
        self._counters.packets_sent += packets
        self._counters.octets_sent += octets
        self._counters.packets_dropped += seat.packets_dropped
        self.stream.leave_lane(self)

    def _catch_up(self) -> None:
        if self._lane is not None:
            self._numbering.catch_up(self.stream.ring.next_index, self.stream.last_timestamp)
            self._last_sent_s = self.stream.last_unit_s or self._last_sent_s
