"""A drone that isn't there: plays a clip as MPEG-TS over UDP, with MISB ST 0601 metadata of a flight in circles beside the pictures.

    python -m rtcc_demo.drone_video CLIP udp://10.0.0.5:5000 --latitude 60.17 --longitude 24.94

For who wants to see a drone on the map without having one.
"""

from __future__ import annotations

import argparse
import math
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

KEY = bytes.fromhex("060e2b34020b01010e01030101000000")
METADATA_EVERY_S = 0.2
_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True)
class DroneFlight:
    """Circles of `radius_m` around a place, which the camera looks at from `height_m` above it; heights in metres above sea level."""

    latitude_deg: float
    longitude_deg: float
    tail: str = "RTCC-1"
    radius_m: float = 120.0
    height_m: float = 80.0
    ground_m: float = 10.0
    round_s: float = 60.0

    def metadata(self, now_s: float) -> bytes:
        """The ST 0601 packet of this moment (Unix seconds)."""
        angle = 2 * math.pi * now_s / self.round_s
        east, north = self.radius_m * math.sin(angle), self.radius_m * math.cos(angle)
        latitude, longitude = self._place(east, north)
        heading = (math.degrees(angle) + 90) % 360
        ground_range = math.hypot(self.radius_m, self.height_m)
        items = [
            (2, struct.pack(">Q", round(now_s * 1e6))),
            (3, b"DEMO"),
            (4, self.tail.encode()),
            (5, _unsigned(heading, 0, 360, 2)),
            (10, b"Demo drone"),
            (13, _signed(latitude, 90, 4)),
            (14, _signed(longitude, 180, 4)),
            (15, _unsigned(self.ground_m + self.height_m, -900, 19_000, 2)),
            (16, _unsigned(60, 0, 180, 2)),
            (17, _unsigned(36, 0, 180, 2)),
            # to the right: the middle of the circle
            (18, _unsigned(90, 0, 360, 4)),
            (19, _signed(-math.degrees(math.atan2(self.height_m, self.radius_m)), 180, 4)),
            (21, _unsigned(ground_range, 0, 5_000_000, 4)),
            (23, _signed(self.latitude_deg, 90, 4)),
            (24, _signed(self.longitude_deg, 180, 4)),
            (25, _unsigned(self.ground_m, -900, 19_000, 2)),
            (56, bytes((min(255, round(2 * math.pi * self.radius_m / self.round_s)),))),
            (65, b"\x13"),
        ]
        for index, (right, away) in enumerate(((-40, 60), (40, 60), (30, -40), (-30, -40))):
            # away from the drone and to its camera's right, turned onto the map
            corner = self._place(
                -away * math.sin(angle) - right * math.cos(angle), -away * math.cos(angle) + right * math.sin(angle)
            )  # fmt: skip
            items += [(82 + 2 * index, _signed(corner[0], 90, 4)), (83 + 2 * index, _signed(corner[1], 180, 4))]
        body = b"".join(bytes((tag, len(value))) + value for tag, value in items) + b"\x01\x02"
        packet = KEY + struct.pack(">BB", 0x81, len(body) + 2) + body
        total = sum(byte << 8 * ((place + 1) % 2) for place, byte in enumerate(packet))
        return packet + struct.pack(">H", total & 0xFFFF)

    def _place(self, east_m: float, north_m: float) -> tuple[float, float]:
        latitude = self.latitude_deg + north_m / _METRES_PER_DEGREE
        return latitude, self.longitude_deg + east_m / (_METRES_PER_DEGREE * math.cos(math.radians(self.latitude_deg)))


def _unsigned(value: float, lowest: float, highest: float, size: int) -> bytes:
    return round((value - lowest) / (highest - lowest) * ((1 << 8 * size) - 1)).to_bytes(size, "big")


def _signed(value: float, most: float, size: int) -> bytes:
    return round(value / most * ((1 << 8 * size - 1) - 1)).to_bytes(size, "big", signed=True)


class DroneTransmitter:
    """Sends in a thread of its own between `start` and `stop`; `metadata(unix seconds)` gives what goes beside the pictures."""

    def __init__(self, clip: Path, url: str, metadata: Callable[[float], bytes]) -> None:
        self._clip = clip
        self._url = url
        self._metadata = metadata
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, name="drone video", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def wait(self) -> None:
        """Until somebody stops it."""
        self._thread.join()

    def _send(self) -> None:
        with av.open(self._url + "?pkt_size=1316", "w", format="mpegts") as output, av.open(str(self._clip)) as clip:
            pictures = clip.streams.video[0]
            video = output.add_stream_from_template(pictures)
            data = output.add_data_stream("klv")
            began_s, turn, told_s, length = time.monotonic(), 0.0, -1.0, 0.0
            while not self._ended.is_set():
                for packet in clip.demux(pictures):
                    if packet.pts is None or packet.time_base is None:
                        continue
                    at_s = turn + float(packet.pts * packet.time_base)
                    length = max(length, at_s - turn + float((packet.duration or 0) * packet.time_base))
                    if self._ended.wait(max(0.0, began_s + at_s - time.monotonic())):
                        return
                    ticks = round(at_s * 90_000)
                    if at_s - told_s >= METADATA_EVERY_S:
                        told_s = at_s
                        beside = av.Packet(self._metadata(time.time()))
                        beside.stream, beside.pts, beside.dts, beside.time_base = data, ticks, ticks, Fraction(1, 90_000)
                        output.mux(beside)
                    packet.stream, packet.pts, packet.dts, packet.time_base = video, ticks, ticks, Fraction(1, 90_000)
                    output.mux(packet)
                turn += length
                clip.seek(0)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Plays a clip as a drone's video, with MISB ST 0601 metadata beside the pictures.")
    parser.add_argument("clip", type=Path, help="H.264 without B-frames")
    parser.add_argument("url", help="udp://host:port")
    parser.add_argument("--latitude", type=float, default=60.17)
    parser.add_argument("--longitude", type=float, default=24.94)
    asked = parser.parse_args()
    transmitter = DroneTransmitter(asked.clip, asked.url, DroneFlight(asked.latitude, asked.longitude).metadata)
    transmitter.start()
    transmitter.wait()


if __name__ == "__main__":
    main()
