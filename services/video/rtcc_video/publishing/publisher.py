"""One WHIP publisher on the relay's socket: its packets become a camera's pictures, our feedback keeps them coming."""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rtcc_video.engine import stun
from rtcc_video.engine.dtls import DtlsIdentity
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.ice import IceSession
from rtcc_video.engine.intake import Intake
from rtcc_video.engine.link import PeerLink
from rtcc_video.engine.paths import Path
from rtcc_video.engine.rtp import MalformedPacket
from rtcc_video.engine.srtp import RtcpProtector, SrtpFailed, SrtpKeys
from rtcc_video.engine.unprotect import Unprotector, make_unprotector
from rtcc_video.engine.viewer import CloseReason
from rtcc_video.publishing.feedback import build_nack, build_pli, build_remb, build_report, read_sender_feedback
from rtcc_video.publishing.offer import PublisherOffer
from rtcc_video.publishing.receiver import VideoReceiver
from rtcc_video.sources.sound_receiver import SoundReceiver
from rtcc_video.sources.source import Sink, SourceFailed

_log = logging.getLogger(__name__)

_PLI_EVERY_S: Final = 0.5
# another SSRC takes over when the one before has been silent for so long
_TAKE_OVER_S: Final = 1.0
_LOSS_THAT_SLOWS: Final = 0.10
_LOSS_THAT_QUICKENS: Final = 0.02


class Watched(Sink, Protocol):
    """Where pictures go, whether anybody takes them, and whether somebody waits for each."""

    @property
    def watched(self) -> bool: ...

    @property
    def watched_live(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """`highest_kbps` and `lowest_kbps` bound what it is told to send. Without watchers a key picture each `idle_key_s` is enough."""

    unit_limit_bytes: int = 4_000_000
    highest_kbps: int = 4_000
    lowest_kbps: int = 200
    watched_key_s: float = 3.0
    idle_key_s: float = 10.0
    consent_timeout_s: float = 30.0
    setup_timeout_s: float = 15.0
    silence_limit_s: float = 20.0


class Publisher:
    """See the module. `schedule(delay_s, callback)` is the event loop's timer; `clock` gives monotonic seconds; `sound` takes what was
    accepted of it."""

    def __init__(
        self,
        publisher_id: str,
        offer: PublisherOffer,
        sink: Watched,
        settings: PublisherSettings,
        identity: DtlsIdentity,
        clock: Callable[[], float],
        schedule: Callable[[float, Callable[[], None]], object],
        sound: SoundReceiver | None = None,
    ) -> None:
        self.publisher_id = publisher_id
        self.failure = ""
        self.closing: CloseReason | None = None
        self.octets = 0
        self.opened_s = clock()
        self.link = PeerLink(offer.remote, identity, clock, schedule, self._on_secured)
        self._sink = sink
        self._sound = sound
        self._settings = settings
        self._clock = clock
        self._mid = offer.mid
        self._payload_types = frozenset(one.payload_type for one in offer.formats)
        self._own_ssrc = secrets.randbits(31) | 1
        self._unprotector: Unprotector | None = None
        self._rtcp: RtcpProtector | None = None
        self._receiver: VideoReceiver | None = None
        self._heard_rtp_s = self.opened_s
        self._pli_s = 0.0
        self._key_s = self.opened_s
        self._report_ntp = 0
        self._report_s = 0.0
        self._bits_per_s = settings.highest_kbps * 1000
        self._started = False

    @property
    def identifier(self) -> str:
        """See `Peer`."""
        return self.publisher_id

    @property
    def ice(self) -> IceSession:
        """See `Peer`."""
        return self.link.ice

    @property
    def mid(self) -> str:
        """See `Peer`."""
        return self._mid

    @property
    def wants_close(self) -> CloseReason | None:
        """See `Peer`."""
        if self.link.failure:
            return CloseReason.HANDSHAKE_FAILED
        return CloseReason.CLIENT_LEFT if self.link.left else self.closing

    @property
    def patient(self) -> bool:
        """See `Peer`."""
        return self.link.secured and not self._sink.watched_live

    def on_check(self, message: stun.StunMessage, path: Path) -> bool:
        """See `Peer`."""
        return self.link.on_check(message, path)

    def uses(self, path: Path) -> bool:
        """See `Peer`."""
        return self.link.path is path

    def lose_path(self, path: Path) -> None:
        """See `Peer`."""
        self.link.lose_path(path)

    def on_dtls(self, datagram: bytes, path: Path) -> None:
        """See `Peer`."""
        self.link.on_dtls(datagram)

    def on_rtp(self, datagram: bytes) -> None:
        """Takes an SRTP datagram from a validated address; what doesn't authenticate is dropped."""
        if self._unprotector is None or self.closing is not None:
            return
        try:
            packet = self._unprotector.open(datagram)
        except (SrtpFailed, MalformedPacket):
            return
        if packet.payload_type not in self._payload_types:
            if self._sound is not None:
                self.octets += len(datagram)
                self._sound.push(packet, self._clock())
            return
        receiver = self._receiver
        if receiver is not None and receiver.take_middle(packet):
            self.octets += len(datagram)
            return
        now_s = self._clock()
        if receiver is None or receiver.ssrc != packet.ssrc:
            if receiver is not None and now_s - self._heard_rtp_s < _TAKE_OVER_S:
                return
            receiver = self._receiver = VideoReceiver(packet.ssrc, self._settings.unit_limit_bytes)
            self._begin()
        self._heard_rtp_s = self.link.heard_s = now_s
        self.octets += len(datagram)
        self._give(receiver.push(packet, now_s), now_s)
        if self.closing is not None:
            return
        lost = receiver.missing(now_s)
        if lost:
            self._send(build_nack(self._own_ssrc, receiver.ssrc, lost))
        if receiver.needs_key_picture:
            self.ask_for_key_picture()

    def take_together(self, intake: Intake, first: int, count: int) -> int:
        """See `Peer`."""
        receiver, unprotector = self._receiver, self._unprotector
        if receiver is None or unprotector is None or self.closing is not None:
            return 0
        done: list[AccessUnit] = []
        taken = receiver.take_together(intake, first, count, unprotector, done, self._clock)
        if taken:
            self.octets += intake.octets
        if done:
            self._heard_rtp_s = self.link.heard_s = now_s = self._clock()
            self._give(done, now_s)
        return taken

    def on_rtcp(self, datagram: bytes) -> None:
        """Takes an SRTCP datagram from a validated address."""
        if self._rtcp is None:
            return
        try:
            reports, goodbye = read_sender_feedback(self._rtcp.unprotect(datagram))
        except (SrtpFailed, MalformedPacket):
            return
        self.link.heard_s = self._clock()
        for report in reports:
            if self._receiver is not None and report.ssrc == self._receiver.ssrc:
                self._report_ntp, self._report_s = report.middle_ntp, self._clock()
        if goodbye:
            self.closing = CloseReason.CLIENT_LEFT

    def ask_for_key_picture(self) -> None:
        """At most twice a second, whoever asks."""
        now_s = self._clock()
        if self._receiver is not None and now_s - self._pli_s >= _PLI_EVERY_S:
            self._pli_s = now_s
            self._send(build_pli(self._own_ssrc, self._receiver.ssrc))

    def tick(self) -> None:
        """Once a second: report, rate, and a key picture when the last one is old: publishers send none by themselves."""
        receiver = self._receiver
        if receiver is None:
            return
        now_s = self._clock()
        report = receiver.report(self._report_ntp, now_s - self._report_s)
        self._adapt(report.fraction_lost)
        remb = build_remb(self._own_ssrc, receiver.ssrc, self._bits_per_s)
        self._send(build_report(self._own_ssrc, report) + remb, alone=True)
        every_s = self._settings.watched_key_s if self._sink.watched else self._settings.idle_key_s
        if now_s - self._key_s >= every_s - 0.5:
            self.ask_for_key_picture()

    def due(self) -> CloseReason | None:
        """Why it is to be closed now."""
        now_s, settings = self._clock(), self._settings
        if self.wants_close is not None:
            return self.wants_close
        if not self.link.secured:
            return CloseReason.NEVER_CONNECTED if now_s - self.opened_s > settings.setup_timeout_s else None
        if now_s - self.link.heard_s > settings.consent_timeout_s or now_s - self._heard_rtp_s > settings.silence_limit_s:
            return CloseReason.CONSENT_LOST
        return None

    def close(self) -> None:
        """Says goodbye and lets go of everything."""
        self._unprotector = self._rtcp = None
        if self._sound is not None:
            self._sound.close()
        self.link.close()

    def _on_secured(self, keys: SrtpKeys) -> None:
        self._unprotector, self._rtcp = make_unprotector(keys), RtcpProtector(keys)
        self._heard_rtp_s = self._clock()

    def _give(self, units: Sequence[AccessUnit], now_s: float) -> None:
        try:
            for unit in units:
                if unit.key:
                    self._key_s = now_s
                self._sink.on_unit(unit)
        except SourceFailed as error:
            self.failure, self.closing = error.reason, CloseReason.UNUSABLE

    def _begin(self) -> None:
        try:
            self._sink.on_parameter_sets(())
        except SourceFailed as error:
            self.failure, self.closing = error.reason, CloseReason.UNUSABLE
            return
        self.ask_for_key_picture()
        # at once, or a browser begins with 300 kbit/s and climbs for half a minute
        if self._receiver is not None:
            self._send(build_remb(self._own_ssrc, self._receiver.ssrc, self._bits_per_s))

    def _adapt(self, fraction_lost: float) -> None:
        """Additive rise, multiplicative fall, as for any receiver-side bound (draft-ietf-rmcat-gcc, 6)."""
        lowest, highest = self._settings.lowest_kbps * 1000, self._settings.highest_kbps * 1000
        if fraction_lost > _LOSS_THAT_SLOWS:
            self._bits_per_s = max(lowest, int(self._bits_per_s * (1 - 0.5 * fraction_lost)))
        elif fraction_lost < _LOSS_THAT_QUICKENS:
            self._bits_per_s = min(highest, int(self._bits_per_s * 1.08))

    def _send(self, packet: bytes, *, alone: bool = False) -> None:
        """Feedback behind the report that every compound packet begins with, unless it has one (`alone`)."""
        path = self.link.path
        if self._rtcp is None or path is None:
            return
        try:
            path.send(self._rtcp.protect(packet if alone else build_report(self._own_ssrc, None) + packet))
        except SrtpFailed as error:
            _log.warning("feedback to publisher %s isn't sent: %s", self.publisher_id, error)
