"""One camera's sound beside its pictures: Opus whatever the camera sends, and nothing at all unless its agency allows it (0019)."""

import secrets
from collections.abc import Callable
from typing import NamedTuple, Protocol

from rtcc_video.engine.opus import CLOCK_HZ, MalformedSound, samples_of
from rtcc_video.engine.rtp import build_rtp_header, build_sender_report

# A source's clock may jump when it reconnects or loops; beyond this the time stamps continue by our own clock.
_JUMP_SAMPLES = 2 * CLOCK_HZ
_LONGEST_SILENCE_S = 3600.0


class SoundPacket(NamedTuple):
    """An Opus packet of a stream. `timestamp` counts samples of 48 kHz, rises over every restart of the source and never wraps.

    `sequence` is the extended sequence number (RFC 3711, 3.3.1); `began`: it is the first after a silence or a restart (RFC 7587, 4.2).
    """

    payload: bytes
    timestamp: int
    samples: int
    sequence: int
    began: bool

    def header(self, payload_type: int, ssrc: int) -> bytes:
        """Its RTP header."""
        return build_rtp_header(payload_type, self.began, self.sequence, self.timestamp, ssrc)


class SoundListener(Protocol):
    """What a stream's sound needs of who hears it."""

    def hear(self, packet: SoundPacket) -> None:
        """Takes the next packet, on the event loop. Must be quick and not raise."""
        ...

    def end_sound(self) -> None:
        """It isn't allowed any more; the listener is no longer attached."""
        ...


class LiveSound:
    """The shared half of a camera's sound: one RTP identity, many listeners. `clock` gives monotonic seconds.

    Not allowed at first: then nothing opens it, nobody can attach, and what comes nevertheless is dropped. Not thread safe: everything runs
    on the event loop.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._allowed = False
        self._listeners: dict[int, SoundListener] = {}
        self._opened = 0
        self._heard_from = 0
        self._offset: int | None = None
        self._next_timestamp = secrets.randbits(31)
        self._next_sequence = secrets.randbits(14)
        self._last_source_timestamp = 0
        # even, where those of pictures are odd: a viewer has one key for both, and GCM must never meet a number twice
        self.ssrc = (secrets.randbits(30) + 1) << 1
        self.last_packet_s: float | None = None
        self.packets_total = 0
        self.octets_total = 0
        self.malformed_total = 0

    @property
    def allowed(self) -> bool:
        """Whether the camera's agency allows its sound."""
        return self._allowed

    @property
    def wanted(self) -> bool:
        """Whether it is allowed and somebody hears it: a viewer, a recorder, another relay."""
        return self._allowed and bool(self._listeners)

    @property
    def listeners(self) -> int:
        """How many hear it."""
        return len(self._listeners)

    def allow(self, allowed: bool) -> None:
        """The agency's decision; all listeners are cut off at once when it is taken back, and sources opened before give no more."""
        if allowed == self._allowed:
            return
        self._allowed = allowed
        if not allowed:
            self._opened += 1
            self._heard_from = self._opened
            listeners, self._listeners = tuple(self._listeners.values()), {}
            for listener in listeners:
                listener.end_sound()

    def open(self) -> "SoundIntake | None":
        """For a source that is about to be opened; None: it must not ask for sound. Its first packet ends what those before it give."""
        if not self._allowed:
            return None
        self._opened += 1
        return SoundIntake(self, self._opened)

    def attach(self, listener: SoundListener) -> bool:
        """Whether the listener gets every packet from now on; False: the sound isn't allowed."""
        if not self._allowed:
            return False
        self._listeners[id(listener)] = listener
        return True

    def detach(self, listener: SoundListener) -> None:
        """Removes a listener; unknown ones are ignored."""
        self._listeners.pop(id(listener), None)

    def take(self, number: int, payload: bytes, timestamp: int) -> None:
        """What an intake gives."""
        if number < self._heard_from or not self._allowed:
            return
        try:
            samples = samples_of(payload)
        except MalformedSound:
            self.malformed_total += 1
            return
        if number > self._heard_from:
            self._heard_from, self._offset = number, None
        now_s = self._clock()
        output, began = self._place(timestamp, now_s)
        packet = SoundPacket(payload, output, samples, self._next_sequence, began)
        self._next_sequence += 1
        self._next_timestamp = output + samples
        self._last_source_timestamp = timestamp
        self.last_packet_s = now_s
        self.packets_total += 1
        self.octets_total += len(payload)
        for listener in tuple(self._listeners.values()):
            listener.hear(packet)

    def sender_report(self, unix_s: float, cname: str) -> bytes | None:
        """The RTCP sender report of this moment, before encryption; None before the first packet."""
        if self.last_packet_s is None:
            return None
        elapsed_s = min(self._clock() - self.last_packet_s, _LONGEST_SILENCE_S)
        timestamp = self._next_timestamp + int(elapsed_s * CLOCK_HZ)
        return build_sender_report(self.ssrc, unix_s, timestamp, self.packets_total, self.octets_total, cname)

    def _place(self, timestamp: int, now_s: float) -> tuple[int, bool]:
        """Where a packet with that source time stamp stands in ours, and whether it begins anew."""
        step = timestamp - self._last_source_timestamp
        if self._offset is not None and 0 < step <= _JUMP_SAMPLES:
            output = timestamp + self._offset
            return output, output != self._next_timestamp
        silence_s = min(now_s - self.last_packet_s, _LONGEST_SILENCE_S) if self.last_packet_s is not None else 0.0
        output = self._next_timestamp + int(silence_s * CLOCK_HZ)
        self._offset = output - timestamp
        return output, True


class SoundIntake:
    """What one run of a source gives its sound to. It has no effect any more when the sound is forbidden or the next run has begun."""

    def __init__(self, sound: LiveSound, number: int) -> None:
        self._sound = sound
        self._number = number

    @property
    def wanted(self) -> bool:
        """Whether somebody hears it; else a conversion is waste."""
        return self._sound.wanted

    def give(self, payload: bytes, timestamp: int) -> None:
        """An Opus packet; `timestamp` counts samples of 48 kHz by the source's clock and never wraps. Malformed: counted, dropped."""
        self._sound.take(self._number, payload, timestamp)
