"""Tones as a microphone's Opus packets, and what is heard in decoded sound."""

from collections.abc import Iterable
from fractions import Fraction

import av
import numpy as np

from rtcc_video.engine.opus import CLOCK_HZ

PACKET_SAMPLES = 960


def tone(frequency_hz: float, seconds: float) -> list[bytes]:
    """Mono Opus, 20 ms a packet."""
    at = np.arange(round(seconds * CLOCK_HZ))
    return opus(12_000 * np.sin(2 * np.pi * frequency_hz * at / CLOCK_HZ))


def opus(wave: np.ndarray) -> list[bytes]:
    """Samples of 16 bits as mono Opus, 20 ms a packet."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format, encoder.layout, encoder.time_base = CLOCK_HZ, "s16", "mono", Fraction(1, CLOCK_HZ)
    found: list[bytes] = []
    for at in range(0, len(wave), PACKET_SAMPLES):
        samples = wave[at : at + PACKET_SAMPLES].astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = CLOCK_HZ, at, Fraction(1, CLOCK_HZ)
        found += [bytes(packet) for packet in encoder.encode(frame)]
    return found


def heard(frames: Iterable[av.AudioFrame]) -> np.ndarray:
    """The first channel of decoded frames, -1 to 1."""
    return np.concatenate([frame.to_ndarray()[0].astype(np.float64).ravel() for frame in frames])


def loudest_hz(wave: np.ndarray, rate_hz: int = CLOCK_HZ) -> float:
    """The frequency with the most power."""
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(power)) * rate_hz / len(wave)
