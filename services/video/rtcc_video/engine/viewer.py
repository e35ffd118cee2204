"""One viewer of a stream: ICE-lite checks, DTLS, then SRTP of the shared frames and answers to its feedback."""

import hmac
import logging
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from rtcc_video.engine import stun
from rtcc_video.engine.dtls import DtlsFailed, DtlsIdentity, DtlsSession
from rtcc_video.engine.frames import Frame
from rtcc_video.engine.paths import Path
from rtcc_video.engine.rtp import MalformedPacket, ReceptionReport, build_goodbye, parse_rtcp
from rtcc_video.engine.sdp import H264Format, ViewerOffer
from rtcc_video.engine.srtp import RtcpProtector, RtpProtector, SrtpFailed, make_rtp_protector
from rtcc_video.engine.stream import LiveStream

_log = logging.getLogger(__name__)

PACING_INTERVAL_S: Final = 0.004
_PACKETS_PER_INTERVAL: Final = 32
_SQUEEZED_STEP_TICKS: Final = 90
_GROUP_RESEND_INTERVAL_S: Final = 0.15
_RESENDS_PER_SECOND: Final = 400
_RESEND_BURST: Final = 400
_BACKLOG_LIMIT_FRAMES: Final = 600


class CloseReason(StrEnum):
    """Why a view ended."""

    CLIENT_LEFT = "client left"
    NEVER_CONNECTED = "never connected"
    CONSENT_LOST = "no sign of life for the consent time"
    HANDSHAKE_FAILED = "handshake failed"
    REVOKED = "right revoked"
    SESSION_ENDED = "session ended or locked"
    EXPIRED = "grant expired"
    CAMERA_REMOVED = "camera removed"
    SHUTDOWN = "service is stopping"


@dataclass(slots=True)
class ViewerCounters:
    """What happened to one viewer so far."""

    packets_sent: int = 0
    octets_sent: int = 0
    packets_dropped: int = 0
    packets_resent: int = 0
    groups_resent: int = 0
    last_report: ReceptionReport | None = None


@dataclass(slots=True)
class ViewerClock:
    """The monotonic seconds of a viewer's life; `heard_s` is its last authenticated sign of life."""

    opened_s: float
    heard_s: float
    secured_s: float | None = None
    first_frame_s: float | None = None


@dataclass(frozen=True, slots=True)
class ViewerSetup:
    """What a viewer is made of: its identifiers, its offer, the format chosen and our half of the ICE credentials."""

    viewer_id: str
    offer: ViewerOffer
    chosen: H264Format
    ice_ufrag: str = field(default_factory=lambda: secrets.token_hex(8))
    ice_pwd: str = field(default_factory=lambda: secrets.token_hex(16))


class Viewer:
    """See the module. `schedule(delay_s, callback)` is the event loop's timer; `clock` gives monotonic seconds."""

    def __init__(
        self,
        setup: ViewerSetup,
        stream: LiveStream,
        identity: DtlsIdentity,
        clock: Callable[[], float],
        schedule: Callable[[float, Callable[[], None]], object],
    ) -> None:
        now_s = clock()
        self.setup = setup
        self.stream = stream
        self.times = ViewerClock(now_s, now_s)
        self.counters = ViewerCounters()
        self.failure: str | None = None
        self.wants_close: CloseReason | None = None
        self.closed = False
        self._clock = clock
        self._schedule = schedule
        self._password = setup.ice_pwd.encode()
        self._dtls = DtlsSession(identity, setup.offer.fingerprints)
        self._path: Path | None = None
        self._rtp: RtpProtector | None = None
        self._rtcp: RtcpProtector | None = None
        self._payload_type = setup.chosen.payload_type
        self._first_index: int | None = None
        self._roll_over_base = 0
        self._backlog: deque[tuple[Frame, int]] = deque()
        self._backlog_limit = _BACKLOG_LIMIT_FRAMES
        self._squeezed: dict[int, int] = {}
        self._group_resent_s = 0.0
        self._resend_allowance = float(_RESEND_BURST)
        self._resend_counted_s = now_s

    @property
    def secured(self) -> bool:
        """Whether the handshake is done and frames may flow."""
        return self._rtp is not None

    def on_check(self, message: stun.StunMessage, path: Path) -> bool:
        """Answers a connectivity check on its path; True when it was authentic and the address may be learnt."""
        username = message.username
        expected = f"{self.setup.ice_ufrag}:{self.setup.offer.ice_ufrag}"
        if message.kind != stun.BINDING_REQUEST or username is None or not hmac.compare_digest(username.encode(), expected.encode()):
            return False
        if not message.is_authentic(self._password):
            return False
        if stun.ATTRIBUTE_CONTROLLED in message.attributes:
            path.send(stun.answer_role_conflict(message, self._password))
            return False
        self.times.heard_s = self._clock()
        path.send(stun.answer_check(message, self._password, path.host, path.port))
        # Only the controlling side's nomination moves a view; the first good check starts it, so that DTLS needn't wait.
        if self._path is None or message.nominates:
            self._path = path
        return True

    def uses(self, path: Path) -> bool:
        """Whether packets leave by this path now."""
        return self._path is path

    def lose_path(self, path: Path) -> None:
        """The path is gone; the next good check on another one takes its place."""
        if self._path is path:
            self._path = None

    def on_dtls(self, datagram: bytes, path: Path) -> None:
        """Takes a DTLS datagram from a validated address."""
        try:
            for answer in self._dtls.receive(datagram):
                path.send(answer)
        except DtlsFailed as error:
            self.failure = str(error)
            self.wants_close = CloseReason.HANDSHAKE_FAILED
            return
        if self._dtls.closed_by_peer:
            self.wants_close = CloseReason.CLIENT_LEFT
        elif self._rtp is None:
            if self._dtls.keys is not None:
                self._secure()
            else:
                self._watch_handshake()

    def on_rtcp(self, datagram: bytes) -> None:
        """Takes an SRTCP datagram from a validated address; what doesn't authenticate is dropped."""
        if self._rtcp is None:
            return
        try:
            feedback = parse_rtcp(self._rtcp.unprotect(datagram))
        except (SrtpFailed, MalformedPacket):
            return
        self.times.heard_s = self._clock()
        for report in feedback.reports:
            if report.ssrc == self.stream.ssrc:
                self.counters.last_report = report
        if feedback.lost_sequences:
            self._resend(feedback.lost_sequences)
        if feedback.key_frame_wanted:
            self._resend_group()

    def begin(self, group: list[Frame]) -> None:
        """The group so far, paced, with time stamps squeezed to end now: a joiner sees the newest picture at once."""
        if not group:
            return
        end = group[-1].timestamp
        for position, frame in enumerate(group):
            back = len(group) - 1 - position
            squeezed = frame.restamped(end - back * _SQUEEZED_STEP_TICKS) if back else frame
            if back:
                self._squeezed[frame.first_index] = squeezed.timestamp
            self._backlog.append((squeezed, 0))
        self._start(group[0])
        self._backlog_limit = len(group) + _BACKLOG_LIMIT_FRAMES
        self._pump()

    def deliver(self, frame: Frame) -> None:
        """The next frame of the stream; before the first key picture there is nothing to decode."""
        if self._backlog:
            if len(self._backlog) < self._backlog_limit:
                self._backlog.append((frame, 0))
            else:
                self.counters.packets_dropped += len(frame.payloads)
            return
        if self._first_index is None:
            if not frame.key:
                return
            self._start(frame)
        self._send_runs(frame, 0, len(frame.bounds))

    def send_report(self, plain: bytes) -> None:
        """Sends the stream's sender report under this viewer's keys."""
        if self._rtcp is not None and self._path is not None and self._first_index is not None:
            self._path.send(self._rtcp.protect(plain))

    def forget_old(self) -> None:
        """Drops the squeezed time stamps of packets that can't be resent any more."""
        if self._squeezed:
            oldest = self.stream.ring.oldest_index
            group = self.stream.group
            kept_from = min(oldest, group[0].first_index) if group else oldest
            self._squeezed = {index: stamp for index, stamp in self._squeezed.items() if index >= kept_from}

    def close(self) -> None:
        """Says goodbye in RTCP and DTLS, so that the browser stops at once, and lets go of everything."""
        if self.closed:
            return
        self.closed = True
        self.stream.detach(self)
        self._backlog.clear()
        path, self._path = self._path, None
        if path is None:
            return
        if self._rtcp is not None:
            path.send(self._rtcp.protect(build_goodbye(self.stream.ssrc)))
        for datagram in self._dtls.close():
            path.send(datagram)

    def _secure(self) -> None:
        keys = self._dtls.keys
        if keys is None:
            return
        self._rtp = make_rtp_protector(keys)
        self._rtcp = RtcpProtector(keys)
        self.times.secured_s = self._clock()
        self.stream.attach(self)

    def _watch_handshake(self) -> None:
        wait_s = self._dtls.timeout_s()
        if wait_s is not None:
            self._schedule(wait_s + 0.01, self._on_handshake_timer)

    def _on_handshake_timer(self) -> None:
        if self.closed or self._rtp is not None or self._path is None:
            return
        try:
            resent = self._dtls.on_timeout()
        except DtlsFailed as error:
            self.failure = str(error)
            self.wants_close = CloseReason.HANDSHAKE_FAILED
            return
        for datagram in resent:
            self._path.send(datagram)
        if resent:
            self._watch_handshake()

    def _start(self, frame: Frame) -> None:
        """The receiver's roll-over counter begins at zero with the first packet that it gets (RFC 3711, 3.3.1)."""
        self._first_index = frame.first_index
        self._roll_over_base = frame.first_index >> 16

    def _pump(self) -> None:
        """Sends a slice of the backlog and comes back for the rest: a burst at line rate would be lost on thin links."""
        budget = _PACKETS_PER_INTERVAL
        while self._backlog and budget > 0 and not self.closed:
            frame, run = self._backlog[0]
            start, stop, _ = frame.bounds[run]
            self._send_runs(frame, run, run + 1)
            budget -= stop - start
            if run + 1 < len(frame.bounds):
                self._backlog[0] = (frame, run + 1)
            else:
                self._backlog.popleft()
        if self._backlog and not self.closed:
            self._schedule(PACING_INTERVAL_S, self._pump)

    def _send_runs(self, frame: Frame, first: int, last: int) -> None:
        protector, path = self._rtp, self._path
        if protector is None or path is None:
            return
        if self.times.first_frame_s is None:
            self.times.first_frame_s = self._clock()
        headers, numbers = frame.headers(self._payload_type), frame.numbers(self._roll_over_base)
        overhead = protector.overhead_bytes
        for run in range(first, last):
            start, stop, size = frame.bounds[run]
            try:
                buffers = protector.protect(headers[run], frame.run_payloads[run], numbers[run])
            except SrtpFailed:
                # libsrtp refuses what lies behind its window: too old to be of use anyway.
                self.counters.packets_dropped += stop - start
                continue
            if path.send_run(buffers, stop - start, size + overhead):
                self.counters.packets_sent += stop - start
                self.counters.octets_sent += (stop - start) * (size + overhead)
            else:
                self.counters.packets_dropped += stop - start

    def _resend(self, sequences: list[int]) -> None:
        protector, path, first_index = self._rtp, self._path, self._first_index
        if protector is None or path is None or first_index is None:
            return
        now_s = self._clock()
        self._resend_allowance = min(_RESEND_BURST, self._resend_allowance + (now_s - self._resend_counted_s) * _RESENDS_PER_SECOND)
        self._resend_counted_s = now_s
        for sequence in sequences:
            found = self.stream.ring.find(sequence)
            if found is None or self._resend_allowance < 1:
                continue
            frame, position = self._as_first_sent(found[0]), found[1]
            if frame.first_index < first_index or self._waits(frame):
                continue
            self._resend_allowance -= 1
            run = next(run for run, (_, stop, _) in enumerate(frame.bounds) if position < stop)
            offset = position - frame.bounds[run][0]
            try:
                buffers = protector.protect(
                    [frame.headers(self._payload_type)[run][offset]],
                    [frame.payloads[position]],
                    [frame.numbers(self._roll_over_base)[run][offset]],
                )
            except SrtpFailed:
                continue
            path.send_run(buffers, 1, 0)
            self.counters.packets_resent += 1

    def _resend_group(self) -> None:
        """The cached group again, unchanged: the receiver drops what it already has."""
        now_s = self._clock()
        group = self.stream.group
        if self._backlog or not group or self._first_index is None or now_s - self._group_resent_s < _GROUP_RESEND_INTERVAL_S:
            return
        if group[0].first_index < self._first_index:
            return
        self._group_resent_s = now_s
        self.counters.groups_resent += 1
        self._backlog.extend((self._as_first_sent(frame), 0) for frame in group)
        self._pump()

    def _as_first_sent(self, frame: Frame) -> Frame:
        """The frame with the time stamp that this viewer got first: one packet number, one content (see `srtp`)."""
        stamp = self._squeezed.get(frame.first_index)
        return frame if stamp is None else frame.restamped(stamp)

    def _waits(self, frame: Frame) -> bool:
        """Whether the frame is still to come from the backlog."""
        return any(waiting.first_index == frame.first_index for waiting, _ in self._backlog)
