"""A viewer's sound beside its pictures: nothing until it is switched on, packets of its own numbering, dropped where the path is full."""

import secrets

from rtcc_video.engine.opus import CLOCK_HZ
from rtcc_video.engine.paths import Path
from rtcc_video.engine.rtp import build_rtp_header
from rtcc_video.engine.sound import LiveSound, SoundPacket
from rtcc_video.engine.srtp import RtpProtector, SrtpFailed


class SoundOutlet:
    """See the module. It follows the stream that was asked for, whatever quality the pictures have."""

    def __init__(self, sound: LiveSound, payload_type: int) -> None:
        self._sound = sound
        self._payload_type = payload_type
        self._protector: RtpProtector | None = None
        self._path: Path | None = None
        # Numbers of its own, without gaps: after minutes of silence a receiver couldn't tell how often the stream's have rolled over.
        self._next_sequence = secrets.randbits(14)
        self._silent = True
        self.on = False
        self.packets_sent = 0
        self.packets_dropped = 0
        self.octets_sent = 0
        self._samples_sent = 0

    @property
    def heard_s(self) -> float:
        """For how long it was heard, as far as the network took it."""
        return self._samples_sent / CLOCK_HZ

    @property
    def ssrc(self) -> int:
        """What the viewer knows it by."""
        return self._sound.ssrc

    def open(self, protector: RtpProtector) -> None:
        """The keys are there."""
        self._protector = protector

    def move(self, path: Path | None) -> None:
        """Packets leave by another path from now on, or are dropped."""
        self._path = path

    def switch(self, on: bool) -> bool:
        """Begins or ends it; whether it is so now: False when sound isn't allowed."""
        if on and not self.on:
            self._silent = True
            self.on = self._sound.attach(self)
        elif not on and self.on:
            self._sound.detach(self)
            self.on = False
        return self.on == on

    def hear(self, packet: SoundPacket) -> None:
        """See `SoundListener`."""
        protector, path = self._protector, self._path
        if protector is None or path is None or path.congested:
            self.packets_dropped += 1
            self._silent = True
            return
        number = self._next_sequence
        header = build_rtp_header(self._payload_type, packet.began or self._silent, number, packet.timestamp, self.ssrc)
        try:
            sealed = protector.seal(header, packet.payload, self.ssrc, number)
        except SrtpFailed:
            self.packets_dropped += 1
            return
        # never again under this number, whether it arrives or not
        self._next_sequence = number + 1
        self._silent = False
        if path.send_run([sealed], 1, len(sealed)):
            self.packets_sent += 1
            self.octets_sent += len(sealed)
            self._samples_sent += packet.samples
        else:
            self.packets_dropped += 1

    def end_sound(self) -> None:
        """See `SoundListener`."""
        self.on = False

    def sender_report(self, unix_s: float, cname: str) -> bytes | None:
        """The RTCP sender report of this moment, before encryption; None while nothing is sent."""
        if not self.on or not self.packets_sent:
            return None
        return self._sound.sender_report(unix_s, cname)
