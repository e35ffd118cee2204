"""The stream that every relay of a measurement sends: encoded once, paced from memory."""

import asyncio
import contextlib
import itertools
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b
from rtcc_video.engine.packetizer import packetize
from rtcc_video.engine.rtp import build_rtp_header

FRAMES_PER_SECOND = 30
CLIP_SECONDS = 6


def own_address() -> str:
    """This machine's own address; aiortc offers no loopback candidates."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def encode_clip(path: Path) -> None:
    """A moving, noisy picture at about 2 Mbit/s, a key picture every 2 s, no B-frames."""
    noise = np.random.default_rng(3).integers(0, 24, (8, 720, 1280, 1), dtype=np.uint8)
    ramp = np.add.outer(np.arange(720), np.arange(1280))[..., None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 1280, 720, "yuv420p", 2_000_000
        stream.codec_context.gop_size = 60
        stream.codec_context.options = {
            "profile": "baseline", "preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0",
            "x264-params": "sliced-threads=0:slices=1",
            "maxrate": "2000k", "bufsize": "2000k", "nal-hrd": "cbr",
        }  # fmt: skip
        for index in range(FRAMES_PER_SECOND * CLIP_SECONDS):
            picture = np.broadcast_to(((ramp + index * 3) % 232).astype(np.uint8) + noise[index % 8], (720, 1280, 3))
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def read_units(path: Path) -> list[AccessUnit]:
    """The clip's access units."""
    units: list[AccessUnit] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            if packet.size:
                nals = [nal for part in to_annex_b.filter(packet) for nal in split_annex_b(bytes(part))]
                unit = make_access_unit(nals, 0)
                assert unit is not None
                units.append(unit)
    return units


async def paced(units: list[AccessUnit], publish: Callable[[int, AccessUnit], None]) -> None:
    """Every unit at its time, round and round."""
    begun = time.monotonic()
    for number in itertools.count():
        publish(number, units[number % len(units)])
        await asyncio.sleep(max(0.0, begun + (number + 1) / FRAMES_PER_SECOND - time.monotonic()))


def write_units(units: list[AccessUnit], path: Path) -> None:
    """Each unit as Annex B behind its length in four bytes, for relays that aren't Python."""
    path.write_bytes(b"".join(struct.pack("!I", len(data)) + data for data in (unit.annex_b() for unit in units)))


class RtpFeeder:
    """Sends the clip as plain RTP to a relay that takes it so; in the measuring process, so that it costs the relay nothing."""

    def __init__(self, units: list[AccessUnit], port: int, payload_type: int = 96) -> None:
        self._units, self._payload_type, self._sequence = units, payload_type, 0
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.connect(("127.0.0.1", port))
        self._task = asyncio.create_task(paced(units, self._publish))

    def close(self) -> None:
        self._task.cancel()
        self._udp.close()

    def _publish(self, number: int, unit: AccessUnit) -> None:
        payloads = packetize(unit)
        for position, payload in enumerate(payloads):
            marker = position == len(payloads) - 1
            header = build_rtp_header(self._payload_type, marker, self._sequence, number * 90_000 // FRAMES_PER_SECOND, 0x5EED)
            with contextlib.suppress(ConnectionError):
                self._udp.send(header + payload)
            self._sequence += 1
