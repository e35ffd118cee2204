"""What one publisher sends: packets in order, what is missing of pictures asked for again, and what to report."""

from collections.abc import Callable, Sequence
from typing import Final

from rtcc_video.engine.depacketizer import Depacketizer
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.intake import Intake
from rtcc_video.engine.rtp import RtpPacket
from rtcc_video.engine.sound_track import SoundKind, SoundTrack
from rtcc_video.engine.unprotect import Unprotector
from rtcc_video.publishing.feedback import Received
from rtcc_video.publishing.offer import PublisherOffer
from rtcc_video.sources.reorder import Reorder
from rtcc_video.sources.sound_inlet import SoundWay
from rtcc_video.sources.sound_receiver import SoundReceiver

_HOLD_S: Final = 0.25
_HOLD_PACKETS: Final = 512
_ASK_AGAIN_S: Final = 0.05
_ASKS_MOST: Final = 4
_MISSING_MOST: Final = 256
_OPUS: Final = SoundKind("OPUS", 48_000, 2)


def receive_sound(offer: PublisherOffer, way: SoundWay | None) -> SoundReceiver | None:
    """What takes the sound that was accepted; `way` None: none is allowed."""
    if way is None:
        return None
    if offer.sound is None:
        way.refuse("The device sends no sound: its offer has no Opus beside the pictures, bundled with them.")
        return None
    return SoundReceiver(SoundTrack("", offer.sound.payload_type, _OPUS), way.inlet(_OPUS))


class VideoReceiver:
    """Of one SSRC. Times are monotonic seconds."""

    def __init__(self, ssrc: int, unit_limit_bytes: int) -> None:
        self.ssrc = ssrc
        self.octets = 0
        self._reorder = Reorder(_HOLD_PACKETS, _HOLD_S)
        self._depacketizer = Depacketizer(unit_limit_bytes)
        # sequence -> (asked for so often, at last when)
        self._missing: dict[int, tuple[int, float]] = {}
        self._first_index: int | None = None
        self._highest_index = 0
        self._received = 0
        self._reported_expected = 0
        self._reported_received = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._payload_type = 0

    @property
    def needs_key_picture(self) -> bool:
        """Whether nothing can be shown before the next key picture."""
        return self._depacketizer.waits_for_key

    def take_middle(self, packet: RtpPacket) -> bool:
        """Takes the next packet inside of a picture while none is missing, as most are: nothing follows from it. False: push it."""
        if packet.marker or packet.ssrc != self.ssrc or self._missing or packet.sequence != (self._highest_index + 1) & 0xFFFF:
            return False
        if not self._reorder.expects(packet) or not self._depacketizer.take_middle(packet):
            return False
        self._reorder.advance(packet)
        self._received += 1
        self.octets += len(packet.payload)
        self._highest_index += 1
        return True

    def take_together(
        self, intake: Intake, first: int, count: int, unprotector: Unprotector, done: list[AccessUnit], clock: Callable[[], float]
    ) -> int:
        """How many of the helper's datagrams from `first` on were taken together, while none is missing; pictures that they complete go
        to `done`."""
        index = unprotector.next_index(self.ssrc)
        if self._missing or index is None or self._reorder.next != (index & 0xFFFF, self.ssrc):
            return 0
        if (index - self._highest_index) & 0xFFFF != 1 or not self._depacketizer.expect(intake, index, self.ssrc, self._payload_type):
            return 0
        taken = unprotector.take_together(intake, first, count, self.ssrc)
        if taken:
            self._depacketizer.absorb(intake, done)
            self._reorder.skip(taken)
            self._received += taken
            self._highest_index += taken
            self.octets += intake.payload_octets
            if done:
                now_s = clock()
                for unit in done:
                    self._note_transit(unit.timestamp & 0xFFFFFFFF, now_s)
        return taken

    def push(self, packet: RtpPacket, now_s: float) -> Sequence[AccessUnit]:
        """The pictures that this packet completes."""
        self._payload_type = packet.payload_type
        self._received += 1
        self.octets += len(packet.payload)
        self._count(packet, now_s)
        if self._reorder.expects(packet):
            self._reorder.advance(packet)
            return self._depacketizer.push(packet)
        units: list[AccessUnit] = []
        for ordered in self._reorder.push(packet, now_s):
            units += self._depacketizer.push(ordered)
        return units

    def missing(self, now_s: float) -> list[int]:
        """The sequence numbers to ask for now, each at most four times."""
        due: list[int] = []
        if not self._missing:
            return due
        for sequence, (asks, asked_s) in list(self._missing.items()):
            if asks >= _ASKS_MOST:
                del self._missing[sequence]
            elif now_s - asked_s >= _ASK_AGAIN_S:
                self._missing[sequence] = (asks + 1, now_s)
                due.append(sequence)
        return due

    def report(self, last_report: int, since_last_report_s: float) -> Received:
        """What came since the last report (RFC 3550, A.3)."""
        expected = self._highest_index - (self._first_index or 0) + 1
        interval, came = expected - self._reported_expected, self._received - self._reported_received
        self._reported_expected, self._reported_received = expected, self._received
        fraction = max(0.0, (interval - came) / interval) if interval > 0 else 0.0
        return Received(
            self.ssrc, fraction, expected - self._received, self._highest_index, int(self._jitter), last_report, since_last_report_s
        )

    def _count(self, packet: RtpPacket, now_s: float) -> None:
        if self._first_index is None:
            self._first_index = self._highest_index = packet.sequence
            return
        ahead = (packet.sequence - self._highest_index) & 0xFFFF
        if ahead >= 0x8000:
            self._missing.pop(packet.sequence, None)
            return
        for gap in range(1, min(ahead, _MISSING_MOST)):
            if len(self._missing) < _MISSING_MOST:
                self._missing[(self._highest_index + gap) & 0xFFFF] = (0, 0.0)
        self._highest_index += ahead
        if packet.marker:
            self._note_transit(packet.timestamp, now_s)

    def _note_transit(self, timestamp: int, now_s: float) -> None:
        transit = now_s * 90_000 - timestamp
        if self._transit is not None and abs(transit - self._transit) < 90_000:
            self._jitter += (abs(transit - self._transit) - self._jitter) / 16
        self._transit = transit
