"""What sound costs beside the pictures: CPU of the relay and of the processes that make Opus of G.711 and AAC, for each camera.

Cameras (this project's RTSP server) run in this process and send a 1280x720, 30 fps, 2 Mbit/s H.264 stream and a tone over TCP; the client,
a process of its own, makes access units of the pictures as the video service does, and somebody hears each camera's sound. "silent": the
same cameras whose sound isn't allowed.

`./rtcc bench video-sound [--cameras 16] [--seconds 8]`
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rtsp_ingest import encode_clip, two_looks

from rtcc.registry.v1.registry_pb2 import CAMERA_PULL_ALWAYS, Camera
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import Sound, make_sound
from rtcc_video.domain import StreamAddresses
from rtcc_video.engine.sound import SoundPacket
from rtcc_video.feeds import Feeds
from rtcc_video.settings import VideoSettings

_TICKS = os.sysconf("SC_CLK_TCK")
_KINDS = ("silent", "OPUS", "PCMU", "AAC")


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Measures and prints; the figures are CPU-milliseconds per second of stream."""
    parser = argparse.ArgumentParser(prog="bench video-sound", description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = parser.parse_args(list(argv))
    figures: dict[str, Any] = {
        "cameras": arguments.cameras,
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "conditions": "1280x720, 30 fps, 2 Mbit/s, TCP on loopback, a listener each; tones: PCMU 8 kHz, AAC 16 kHz, Opus 48 kHz, mono",
    }
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_clip(clip)
        for kind in _KINDS:
            sound = make_sound("OPUS" if kind == "silent" else kind)  # type: ignore[arg-type] # the others are codecs
            found = asyncio.run(measure(clip, sound, kind != "silent", arguments.cameras, arguments.seconds))
            print(f"{kind}: relay {found['relay_ms']:.2f}, converters {found['children_ms']:.2f} ms/s a camera, "
                  f"{found['packets']:.1f} packets/s each, {found['children_mb']:.0f} MB in {found['children']:.0f} converters",
                  file=sys.stderr)  # fmt: skip
            figures |= {f"{kind.lower()}_{name}": round(value, 2) for name, value in found.items()}
    figures["load_average"] = round(os.getloadavg()[0], 1)
    for kind in _KINDS[1:]:
        figures[f"{kind.lower()}_sound_ms"] = round(
            figures[f"{kind.lower()}_relay_ms"] - figures["silent_relay_ms"] + figures[f"{kind.lower()}_children_ms"], 2
        )
    return figures


async def measure(clip: Path, sound: Sound, allowed: bool, count: int, seconds: float) -> dict[str, float]:
    """CPU of one client process with `count` cameras, and of its children."""
    names = [f"c{number}" for number in range(count)]
    offsets = {name: number * 0.13 for number, name in enumerate(names)}
    async with RtspServer(dict.fromkeys(names, clip), "viewer", "secret", offsets_s=offsets, sounds=dict.fromkeys(names, sound)) as server:
        urls = json.dumps({name: server.url(name) for name in names})
        before, after = await two_looks(__file__, urls, "allowed" if allowed else "", settle_s=6.0, seconds=seconds)
    elapsed = after["at_s"] - before["at_s"]
    rates = {name: (after[name] - before[name]) / elapsed / count for name in ("relay_s", "children_s", "packets")}
    return {
        "relay_ms": rates["relay_s"] * 1000,
        "children_ms": rates["children_s"] * 1000,
        "packets": rates["packets"],
        "children": after["children"],
        "children_mb": after["children_mb"],
    }


class _Ears:
    """Somebody who hears."""

    def hear(self, packet: SoundPacket) -> None:
        pass

    def end_sound(self) -> None:
        pass


async def pull(urls: dict[str, str], allowed: bool) -> None:
    """The child: all cameras, each with a listener; each line in is answered by one out."""

    async def read_addresses(agency_id: str, camera_id: str) -> StreamAddresses:
        return StreamAddresses(urls[camera_id])

    feeds = Feeds(VideoSettings(sound_converter_limit=len(urls)), read_addresses)
    feeds.sound_allowed = lambda camera: allowed
    for name in urls:
        feeds.apply(name, Camera(camera_id=name, agency_id="bench", enabled=True, has_stream=True, pull=CAMERA_PULL_ALWAYS))
    ears = [_Ears() for _ in urls]
    for feed, one in zip(feeds.all(), ears, strict=True):
        feed.stream.taps.append(lambda unit: None)
        feed.stream.sound.attach(one)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        children = [int(one) for one in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
        found = {
            "relay_s": time.process_time(),
            "children_s": sum(map(_cpu_s, children)),
            "children": len(children),
            "children_mb": sum(map(_own_mb, children)),
            "packets": sum(feed.stream.sound.packets_total for feed in feeds.all()),
            "at_s": time.monotonic(),
        }
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    await feeds.stop()


def _cpu_s(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _own_mb(process_id: int) -> float:
    """Proportional set size."""
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


if __name__ == "__main__":
    asyncio.run(pull(json.loads(sys.argv[1]), bool(sys.argv[2])))
