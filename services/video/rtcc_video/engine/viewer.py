"""One viewer of a stream: ICE-lite checks, DTLS, then SRTP of the shared frames and answers to its feedback."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from rtcc_video.engine import stun
from rtcc_video.engine.accelerator import Accelerator
from rtcc_video.engine.dtls import DtlsFailed, DtlsIdentity, DtlsSession
from rtcc_video.engine.ice import IceCredentials, IceSession
from rtcc_video.engine.outlet import Outlet
from rtcc_video.engine.paths import Path
from rtcc_video.engine.quality import Link, Quality, Verdict
from rtcc_video.engine.rtp import MalformedPacket, ReceptionReport, build_goodbye, parse_rtcp
from rtcc_video.engine.sdp import H264Format, OfferedSound, ViewerOffer
from rtcc_video.engine.sound_outlet import SoundOutlet
from rtcc_video.engine.srtp import RtcpProtector, SrtpFailed, make_rtp_protector
from rtcc_video.engine.stream import LiveStream


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
    # of those who send
    UNUSABLE = "its video can't be used"
    REPLACED = "its device connected anew"


@dataclass(frozen=True, slots=True)
class ViewerCounters:
    """What happened to one viewer so far."""

    packets_sent: int = 0
    octets_sent: int = 0
    packets_dropped: int = 0
    packets_resent: int = 0
    groups_resent: int = 0
    pictures_left_out: int = 0
    last_report: ReceptionReport | None = None
    sound_heard_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """How well the pictures reach a viewer. `limited_by` says why it gets less than all, or nothing."""

    limited_by: str = ""
    packets_lost: float = 0.0
    round_trip_s: float | None = None
    hears: bool = False


@dataclass(slots=True)
class ViewerClock:
    """The monotonic seconds of a viewer's life; `heard_s` is its last authenticated sign of life."""

    opened_s: float
    heard_s: float
    secured_s: float | None = None


@dataclass(frozen=True, slots=True)
class ViewerSetup:
    """What a viewer is made of: its identifiers, its offer, the format chosen and our half of the ICE credentials."""

    viewer_id: str
    offer: ViewerOffer
    chosen: H264Format
    # where its sound goes; None: the view is without
    sound: OfferedSound | None = None
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
        accelerator: Accelerator | None = None,
    ) -> None:
        now_s = clock()
        self.setup = setup
        self.times = ViewerClock(now_s, now_s)
        self.outlet = Outlet(stream, setup.chosen.payload_type, clock, schedule, accelerator)
        # None: the view is without sound; else it is heard while it is switched on
        self.sound = SoundOutlet(stream.sound, setup.sound.payload_type) if setup.sound is not None else None
        self.link = Link(now_s)
        # shown so small that the smaller stream is enough
        self.shown_small = False
        self.failure: str | None = None
        self.wants_close: CloseReason | None = None
        self.closed = False
        self.last_report: ReceptionReport | None = None
        self._clock = clock
        self._schedule = schedule
        self._dtls = DtlsSession(identity, setup.offer.fingerprints)
        self._path: Path | None = None
        self._rtcp: RtcpProtector | None = None
        self.ice = IceSession(setup.offer.ice_ufrag, setup.ice_ufrag, setup.ice_pwd)

    @property
    def stream(self) -> LiveStream:
        """Where the pictures come from now."""
        return self.outlet.stream

    @property
    def counters(self) -> ViewerCounters:
        """What was sent so far, as a copy."""
        sent, sound = self.outlet.counters, self.sound
        heard_s, octets = (sound.heard_s, sound.octets_sent) if sound is not None else (0.0, 0)
        return ViewerCounters(
            sent.packets_sent, sent.octets_sent + octets, sent.packets_dropped, sent.packets_resent, sent.groups_resent,
            sent.pictures_left_out, self.last_report, heard_s,
        )  # fmt: skip

    @property
    def secured(self) -> bool:
        """Whether the handshake is done and frames may flow."""
        return self._rtcp is not None

    @property
    def credentials(self) -> IceCredentials:
        """The newest ICE credentials."""
        return self.ice.current

    @property
    def mid(self) -> str:
        """The media section that all is bundled with."""
        return self.setup.offer.mid

    def on_check(self, message: stun.StunMessage, path: Path) -> bool:
        """Answers a connectivity check on its path; True when it was authentic and the address may be learnt."""
        if not self.ice.answer(message, path):
            return False
        self.times.heard_s = self._clock()
        # Only the controlling side's nomination moves a view; the first good check starts it, so that DTLS needn't wait.
        if self._path is None or message.nominates:
            self._take_path(path)
        return True

    def uses(self, path: Path) -> bool:
        """Whether packets leave by this path now."""
        return self._path is path

    def lose_path(self, path: Path) -> None:
        """The path is gone; the next good check on another one takes its place."""
        if self._path is path:
            self._take_path(None)

    def _take_path(self, path: Path | None) -> None:
        self._path = path
        self.outlet.move(path)
        if self.sound is not None:
            self.sound.move(path)

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
        elif self._rtcp is None:
            if self._dtls.keys is not None:
                self._secure()
            else:
                self._watch_handshake()

    def on_rtcp(self, datagram: bytes) -> bool:
        """Takes an SRTCP datagram from a validated address; what doesn't authenticate is dropped. Whether it asks for something again."""
        if self._rtcp is None:
            return False
        ssrc = self.outlet.ssrc
        try:
            feedback = parse_rtcp(self._rtcp.unprotect(datagram), about=ssrc)
        except (SrtpFailed, MalformedPacket):
            return False
        now_s = self.times.heard_s = self._clock()
        for report in feedback.reports:
            self.last_report = report
            self.link.on_loss(report.fraction_lost, report.round_trip_s(time.time()))
        if feedback.estimate_bps is not None:
            self.link.on_estimate(feedback.estimate_bps, now_s)
        if feedback.lost_sequences:
            self.outlet.resend(feedback.lost_sequences)
        if feedback.key_frame_wanted:
            self.outlet.resend_group()
        return feedback.key_frame_wanted or bool(feedback.lost_sequences)

    @property
    def link_facts(self) -> LinkFacts:
        """What its reports say."""
        lost = self.last_report.fraction_lost if self.last_report else 0.0
        return LinkFacts(self.link.verdict.reason, lost, self.link.round_trip_s, self.hears)

    @property
    def hears(self) -> bool:
        """Whether its sound is on."""
        return self.sound is not None and self.sound.on

    def set_sound(self, on: bool) -> bool:
        """Switches its sound; whether it is so now: False when its offer had none, or sound isn't allowed."""
        return self.sound.switch(on) if self.sound is not None else not on

    def show(self, small: bool) -> None:
        """How large its pictures are shown from now on."""
        if self.shown_small and not small:
            self.link.on_growth(self._clock())
        self.shown_small = small
        if self.secured:
            self.judge_link()

    def judge_link(self) -> Verdict:
        """Decides how much this viewer gets: what its link takes, and no more than it shows; to be called about once a second."""
        home = self.outlet.home
        small = home.smaller() if self.shown_small and home.smaller is not None else None
        verdict = self.link.judge((small or home).bits_per_s, home.smaller is not None, self._clock())
        quality = Quality.SUBSTREAM if small is not None and verdict.quality is Quality.FULL else verdict.quality
        if quality is Quality.SUBSTREAM and small is None and home.smaller is not None:
            small = home.smaller()
        self.outlet.choose(quality, small)
        return verdict

    def send_report(self, shared: bytes | None, unix_s: float) -> None:
        """Sends the stream's sender report under this viewer's keys; `shared` is the one of all who follow the stream."""
        if self._rtcp is None or self._path is None or not self.outlet.started:
            return
        plain = shared if self.outlet.follows else self.outlet.sender_report(unix_s)
        if plain is not None:
            self._path.send(self._rtcp.protect(plain))
        heard = self.sound.sender_report(unix_s, self.outlet.home.cname) if self.sound is not None else None
        if heard is not None:
            self._path.send(self._rtcp.protect(heard))

    def forget_old(self) -> None:
        """Drops what can't be resent any more."""
        self.outlet.forget_old()

    def close(self) -> None:
        """Says goodbye in RTCP and DTLS, so that the browser stops at once, and lets go of everything."""
        if self.closed:
            return
        self.closed = True
        self.outlet.close()
        if self.sound is not None:
            self.sound.switch(False)
        path, self._path = self._path, None
        if path is None:
            return
        if self._rtcp is not None:
            path.send(self._rtcp.protect(build_goodbye(self.outlet.ssrc)))
        for datagram in self._dtls.close():
            path.send(datagram)

    def _secure(self) -> None:
        keys = self._dtls.keys
        if keys is None:
            return
        self._rtcp = RtcpProtector(keys)
        self.times.secured_s = self._clock()
        protector = make_rtp_protector(keys)
        if self.sound is not None:
            self.sound.open(protector)
        self.outlet.open(protector)

    def _watch_handshake(self) -> None:
        wait_s = self._dtls.timeout_s()
        if wait_s is not None:
            self._schedule(wait_s + 0.01, self._on_handshake_timer)

    def _on_handshake_timer(self) -> None:
        if self.closed or self._rtcp is not None or self._path is None:
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
