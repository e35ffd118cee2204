"""Sound made Opus, in the processes that decode what strangers send: 20 ms a packet, mono at 32 kbit/s, stereo at 48."""

from array import array
from collections import deque
from typing import Any, Final

import av
from av.audio.codeccontext import AudioCodecContext

from rtcc_video.engine.opus import CLOCK_HZ

# what libopus takes as it is
_RATES_HZ: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
_PACKETS_PER_S: Final = 50
_BITS_PER_S: Final = {1: 32_000, 2: 48_000}
# time stamps may be that early or late without a hole being made of it, or a new beginning; a packet that was lost is longer
_EARLY: Final = CLOCK_HZ * 15 // 1000
_LATE: Final = CLOCK_HZ * 60 // 1000
_LONGEST_HOLE: Final = CLOCK_HZ
_WIDTHS_BYTES: Final = {"s16": 2, "flt": 4}


class OpusCoder:
    """Of one stream of samples, packed: `form` is "s16" or "flt". A hole up to a second becomes silence, beyond it all begins anew."""

    def __init__(self, rate_hz: int, channels: int, form: str) -> None:
        encoder = av.CodecContext.create("libopus", "w")
        if not isinstance(encoder, AudioCodecContext) or channels not in _BITS_PER_S or rate_hz not in _RATES_HZ:
            raise ValueError(f"no Opus of {channels} channels at {rate_hz} Hz")
        self._layout = "stereo" if channels == 2 else "mono"
        encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = rate_hz, self._layout, form, _BITS_PER_S[channels]
        encoder.options = {"application": "audio", "frame_duration": "20", "compression_level": "5"}
        self._encoder = encoder
        self._form = form
        self._rate_hz = rate_hz
        self._step = CLOCK_HZ // rate_hz
        self._sample_bytes = _WIDTHS_BYTES[form] * channels
        self._samples = rate_hz // _PACKETS_PER_S
        self._waiting = bytearray()
        # where the next sample stands, 48 kHz
        self._next: int | None = None
        self._starts: deque[int] = deque(maxlen=8)

    def take(self, samples: bytes, timestamp: int) -> list[tuple[int, bytes]]:
        """(time stamp, packet) of what is complete; time stamps count 48 kHz."""
        if self._next is None or abs(timestamp - self._next) > _LONGEST_HOLE or timestamp < self._next - _LATE:
            self._waiting.clear()
            self._next = timestamp
        elif timestamp > self._next + _EARLY:
            missing = (timestamp - self._next) // self._step
            self._waiting += bytes(missing * self._sample_bytes)
            self._next += missing * self._step
        self._waiting += samples
        self._next += len(samples) // self._sample_bytes * self._step
        return self._encode(self._next - len(self._waiting) // self._sample_bytes * self._step)

    def _encode(self, start: int) -> list[tuple[int, bytes]]:
        size = self._samples * self._sample_bytes
        done: list[tuple[int, bytes]] = []
        while len(self._waiting) >= size:
            frame = av.AudioFrame(format=self._form, layout=self._layout, samples=self._samples)
            frame.planes[0].update(bytes(self._waiting[:size]))
            del self._waiting[:size]
            frame.sample_rate, frame.pts = self._rate_hz, None
            self._starts.append(start)
            start += self._samples * self._step
            done += [(self._starts.popleft(), bytes(packet)) for packet in self._encoder.encode(frame) if self._starts]
        return done


class FrameCoder:
    """Decoded frames made Opus, whatever rate, format and number of channels they have, and when those change."""

    def __init__(self) -> None:
        self._shape: tuple[int, int, str] | None = None
        self._coder: OpusCoder | None = None
        self._resampler: av.AudioResampler | None = None

    def take(self, frame: Any, timestamp: int) -> list[tuple[int, bytes]]:
        """As `OpusCoder.take`. Raises `ValueError` for a frame that is none of sound."""
        if not isinstance(frame, av.AudioFrame) or not frame.samples or not frame.layout.nb_channels:
            raise ValueError("no sound")
        shape = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
        if self._coder is None or shape != self._shape:
            self._begin(*shape)
            self._shape = shape
        assert self._coder is not None
        if self._resampler is None:
            return self._coder.take(_packed(frame), timestamp)
        frame.pts = None
        done: list[tuple[int, bytes]] = []
        for made in self._resampler.resample(frame):
            done += self._coder.take(_packed(made), timestamp)
            timestamp += made.samples * CLOCK_HZ // made.sample_rate
        return done

    def _begin(self, rate_hz: int, channels: int, form: str) -> None:
        wanted_hz = rate_hz if rate_hz in _RATES_HZ else CLOCK_HZ
        wanted_channels = min(channels, 2)
        self._coder = OpusCoder(wanted_hz, wanted_channels, "flt")
        # what is packed by `_packed` alone needs none
        plain = form in ("flt", "fltp") and wanted_hz == rate_hz and wanted_channels == channels
        layout = "stereo" if wanted_channels == 2 else "mono"
        self._resampler = None if plain else av.AudioResampler(format="flt", layout=layout, rate=wanted_hz)


def _packed(frame: av.AudioFrame) -> bytes:
    """The frame's samples, channels side by side."""
    channels, size = frame.layout.nb_channels, frame.samples * 4
    if not frame.format.is_planar:
        return bytes(frame.planes[0])[: size * channels]
    if channels == 1:
        return bytes(frame.planes[0])[:size]
    both = array("f", bytes(2 * size))
    for number, plane in enumerate(frame.planes[:2]):
        both[number::2] = array("f", bytes(plane)[:size])
    return both.tobytes()
