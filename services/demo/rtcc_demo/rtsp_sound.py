"""A camera's microphone: a tone, coded once and sent over and over as RTP beside the pictures."""

from __future__ import annotations

import asyncio
import math
import secrets
import struct
from array import array
from dataclasses import dataclass
from typing import Literal

import av
from av.audio.codeccontext import AudioCodecContext

from rtcc_demo.rtsp_player import Outlet

type SoundCodec = Literal["PCMU", "PCMA", "OPUS", "AAC"]
PAYLOAD_TYPES: dict[SoundCodec, int] = {"PCMU": 0, "PCMA": 8, "OPUS": 97, "AAC": 98}
_ENCODERS: dict[SoundCodec, tuple[str, int, str]] = {
    "PCMU": ("pcm_mulaw", 8_000, "s16"),
    "PCMA": ("pcm_alaw", 8_000, "s16"),
    "OPUS": ("libopus", 48_000, "s16"),
    "AAC": ("aac", 16_000, "fltp"),
}
# whole waves in 50 packets of any codec, so that the end goes on as it began
TONE_HZ = 450
_PACKETS = 50


@dataclass(frozen=True, slots=True)
class Sound:
    """RTP payloads of `samples` of the clock each, and the lines that describe them."""

    codec: SoundCodec
    clock_hz: int
    samples: int
    payloads: tuple[bytes, ...]
    config: bytes

    @property
    def payload_type(self) -> int:
        """The one of its packets."""
        return PAYLOAD_TYPES[self.codec]

    def sdp(self) -> str:
        """Its section of a DESCRIBE answer (RFC 3551, RFC 7587, RFC 3640)."""
        number = self.payload_type
        lines = [f"m=audio 0 RTP/AVP {number}"]
        if self.codec in ("PCMU", "PCMA"):
            lines.append(f"a=rtpmap:{number} {self.codec}/8000")
        elif self.codec == "OPUS":
            lines.append(f"a=rtpmap:{number} opus/48000/2")
        else:
            sizes = f"mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config={self.config.hex()}"
            lines += [f"a=rtpmap:{number} mpeg4-generic/{self.clock_hz}/1", f"a=fmtp:{number} profile-level-id=1;{sizes}"]
        return "\r\n".join([*lines, "a=control:trackID=1", ""])


def make_sound(codec: SoundCodec, tone_hz: int = TONE_HZ) -> Sound:
    """A second or more of a tone. Takes some milliseconds."""
    name, clock_hz, sample_format = _ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = clock_hz, "mono", sample_format
    encoder.open()
    samples = encoder.frame_size or clock_hz // 50
    tone = [math.sin(at * 2 * math.pi * tone_hz / clock_hz) / 2 for at in range(samples * _PACKETS)]
    values = array("f", tone) if sample_format == "fltp" else array("h", (round(value * 32_767) for value in tone))
    payloads: list[bytes] = []
    for number in range(_PACKETS):
        frame = av.AudioFrame(format=sample_format, layout="mono", samples=samples)
        frame.planes[0].update(values[number * samples : (number + 1) * samples].tobytes())
        frame.sample_rate, frame.pts = clock_hz, number * samples
        payloads += [bytes(packet) for packet in encoder.encode(frame)]
    if codec == "AAC":
        # one access unit a packet behind its header (RFC 3640, 3.2.1)
        payloads = [struct.pack("!HH", 16, len(payload) << 3) + payload for payload in payloads]
    return Sound(codec, clock_hz, samples, tuple(payloads), bytes(encoder.extradata or b""))


class SoundPlayer:
    """Sends a sound to one client at the pace of life."""

    def __init__(self, sound: Sound, outlets: tuple[Outlet, ...], sequence: int = 0) -> None:
        self._sound = sound
        self._outlets = outlets
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._ssrc = secrets.randbits(32)
        self._sequence = sequence
        self._first = 0
        self.sent = 0

    def start(self, began_s: float) -> None:
        """Sends a packet when it is due, until `stop` or the client is gone; in step with pictures whose endless loop began then."""
        if self._timer is None:
            length_s = self._sound.samples / self._sound.clock_hz
            self._first = int((self._loop.time() - began_s) / length_s)
            self._due_s = began_s + self._first * length_s
            self._send()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        sound, number = self._sound, self.sent
        payload = sound.payloads[(self._first + number) % len(sound.payloads)]
        sequence, timestamp = (self._sequence + number) & 0xFFFF, number * sound.samples & 0xFFFFFFFF
        head = struct.pack("!BBHII", 0x80, 0x80 | sound.payload_type, sequence, timestamp, self._ssrc)
        for outlet in self._outlets:
            if not outlet.closing:
                outlet.rtp([head + payload])
        self.sent += 1
        self._due_s += sound.samples / sound.clock_hz
        self._timer = None if all(outlet.closing for outlet in self._outlets) else self._loop.call_at(self._due_s, self._send)
