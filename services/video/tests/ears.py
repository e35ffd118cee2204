"""Somebody who hears a camera: keeps its packets and says which tone is in them, by a decoder that knows nothing of ours."""

import asyncio

import av
import numpy as np

from rtcc_chassis.testing import poll
from rtcc_video.engine.sound import LiveSound, SoundPacket

_RATE_HZ = 48_000


class Ears:
    def __init__(self) -> None:
        self.heard: list[SoundPacket] = []
        self.ended = 0

    def hear(self, packet: SoundPacket) -> None:
        self.heard.append(packet)

    def end_sound(self) -> None:
        self.ended += 1

    async def until(self, packets: int, deadline_s: float = 30) -> None:
        async def enough() -> bool:
            return len(self.heard) >= packets

        await poll(enough, deadline_s=deadline_s)

    @property
    def steps(self) -> list[int]:
        """Between time stamps."""
        return [after.timestamp - before.timestamp for before, after in zip(self.heard, self.heard[1:], strict=False)]


def listening(sound: LiveSound) -> Ears:
    """Attached."""
    ears = Ears()
    assert sound.attach(ears)
    return ears


async def tone_of(packets: list[SoundPacket]) -> tuple[float, float]:
    """The strongest frequency, Hz, and the share of all power that it and its neighbours have."""
    return await asyncio.to_thread(_tone_of, packets)


def wave_of(packets: list[SoundPacket]) -> np.ndarray:
    """Samples of the first channel."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = _RATE_HZ, "stereo"
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet.payload))]
    return np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 0].astype(float) for frame in frames])


def _tone_of(packets: list[SoundPacket]) -> tuple[float, float]:
    samples = wave_of(packets)
    # the first moments belong to the coder
    samples = samples[4_800:] if len(samples) > 9_600 else samples
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    at = int(power.argmax())
    return at * _RATE_HZ / len(samples), float(power[max(0, at - 5) : at + 6].sum() / power.sum())
