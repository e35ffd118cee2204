"""What a pulled RTSP camera costs: CPU of our client for each camera, over TCP and over UDP.

Cameras (this project's RTSP server with Digest authentication) run in this process and send a 1280x720, 30 fps, 2 Mbit/s H.264 stream; the
client in a process of its own makes access units of it and forwards them to a stream without viewers, as the video service does; "watched"
measures the same with somebody at each stream who waits for every picture, so that none is read at leisure; "python" is without the C
helper. The client runs on the event loop that the service runs on (uvloop).

`./rtcc bench rtsp-ingest [--cameras 16] [--seconds 8] [--kinds tcp,udp] [--rounds 1]`
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from rtcc.registry.v1.registry_pb2 import CAMERA_PULL_ALWAYS, Camera
from rtcc_chassis.event_loop import run_on_event_loop
from rtcc_demo.rtsp_server import RtspServer
from rtcc_video.domain import StreamAddresses
from rtcc_video.engine.accelerator import Accelerator, HelperUnavailable
from rtcc_video.engine.accelerator import load as load_accelerator
from rtcc_video.feeds import Feeds
from rtcc_video.settings import VideoSettings

FRAMES_PER_SECOND = 30
CLIP_SECONDS = 4
KINDS = "tcp,udp,tcp_watched,udp_watched,tcp_python,udp_python,tcp_watched_python,udp_watched_python"


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Measures and prints; the figures are CPU-milliseconds of the client per second of stream."""
    parser = argparse.ArgumentParser(prog="bench rtsp-ingest", description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--kinds", default=KINDS, help=f"which to measure, of {KINDS}")
    parser.add_argument("--rounds", type=int, default=1, help="so often, in turn; the median counts")
    arguments = parser.parse_args(list(argv))
    kinds = [kind for kind in KINDS.split(",") if kind in arguments.kinds.split(",")]
    figures: dict[str, Any] = {
        "cameras": arguments.cameras,
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "conditions": "1280x720, 30 fps, 2 Mbit/s, loopback; client and cameras in separate processes",
    }
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_clip(clip)
        seen: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
        for kind in kinds * arguments.rounds:
            transport, *how = kind.split("_")
            found = asyncio.run(measure(clip, transport, arguments.cameras, arguments.seconds, ",".join(how)))
            load = os.getloadavg()[0]
            print(
                f"{kind}: {found['ms']:.2f} ms/s a camera, {found['pictures']:.1f} pictures/s each, "
                f"woke up {found['wakeups']:.0f} times a second, load {load:.1f}",
                file=sys.stderr,
            )
            seen[kind].append(found)
    for kind, rounds in seen.items():
        figures[f"{kind}_ms_per_stream_second"] = round(statistics.median(found["ms"] for found in rounds), 2)
        figures[f"{kind}_pictures_per_s"] = round(statistics.median(found["pictures"] for found in rounds), 1)
        figures[f"{kind}_wakeups_per_s"] = round(statistics.median(found["wakeups"] for found in rounds))
    figures["load_average"] = round(os.getloadavg()[0], 1)
    if "tcp" in seen:
        figures["rtsp_ms_per_stream_second"] = figures["tcp_ms_per_stream_second"]
    return figures


async def measure(clip: Path, transport: str, count: int, seconds: float, how: str = "") -> dict[str, float]:
    """CPU of one client process with `count` cameras. `how`: "watched", "python", both, or neither."""
    names = [f"c{number}" for number in range(count)]
    offsets = {name: number * 0.13 for number, name in enumerate(names)}
    async with RtspServer(dict.fromkeys(names, clip), "viewer", "secret", offsets_s=offsets, transports=(transport,)) as server:
        urls = json.dumps({name: server.url(name) for name in names})
        before, after = await two_looks(__file__, urls, how, settle_s=4.0, seconds=seconds)
    elapsed = after["at_s"] - before["at_s"]
    return {
        "ms": (after["cpu_s"] - before["cpu_s"]) * 1000 / elapsed / count,
        "pictures": (after["pictures"] - before["pictures"]) / elapsed / count,
        "wakeups": (after["wakeups"] - before["wakeups"]) / elapsed,
    }


async def two_looks(script: str, *arguments: str, settle_s: float, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """What a child process says of itself, that answers each line with one of JSON: after it has settled, and `seconds` later."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, script, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdin is not None

    async def look(pause_s: float) -> dict[str, float]:
        assert child.stdin is not None
        assert child.stdout is not None
        await asyncio.sleep(pause_s)
        child.stdin.write(b"\n")
        await child.stdin.drain()
        async with asyncio.timeout(30):
            told: dict[str, float] = json.loads(await child.stdout.readline())
        return told

    try:
        return await look(settle_s), await look(seconds)
    finally:
        child.stdin.close()
        await child.wait()


def encode_clip(path: Path) -> None:
    """A moving, noisy picture at about 2 Mbit/s, a key picture every 2 s, no B-frames."""
    noise = np.random.default_rng(3).integers(0, 24, (8, 720, 1280, 1), dtype=np.uint8)
    ramp = np.add.outer(np.arange(720), np.arange(1280))[..., None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 1280, 720, "yuv420p", 2_000_000
        stream.codec_context.gop_size = 60
        stream.codec_context.options = {
            "profile": "baseline", "preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0", "maxrate": "2000k",
            "x264-params": "sliced-threads=0:slices=1", "bufsize": "2000k", "nal-hrd": "cbr",
        }  # fmt: skip
        for index in range(FRAMES_PER_SECOND * CLIP_SECONDS):
            picture = np.broadcast_to(((ramp + index * 3) % 232).astype(np.uint8) + noise[index % 8], (720, 1280, 3))
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def load_helper() -> Accelerator | None:
    """The C helper, where it can be had, as the service loads it."""
    try:
        return load_accelerator()
    except HelperUnavailable as reason:
        print(f"without the C helper: {reason}", file=sys.stderr)
        return None


async def pull(urls: dict[str, str], how: str) -> None:
    """The child: all cameras, health once a second as in the service; each line in is answered by one out."""

    async def read_addresses(agency_id: str, camera_id: str) -> StreamAddresses:
        return StreamAddresses(urls[camera_id])

    feeds = Feeds(VideoSettings(), read_addresses, accelerator=None if "python" in how else load_helper())
    for name in urls:
        feeds.apply(name, Camera(camera_id=name, agency_id="bench", enabled=True, has_stream=True, pull=CAMERA_PULL_ALWAYS))
    if "watched" in how:
        for feed in feeds.all():
            feed.stream.taps.append(lambda unit: None)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def measure_forever() -> None:
        while True:
            await asyncio.sleep(1.0)
            feeds.measure({})

    ticking = asyncio.create_task(measure_forever())
    while await reader.readline():
        used = resource.getrusage(resource.RUSAGE_SELF)
        pictures = sum(feed.stream.frames_total for feed in feeds.all())
        told = {"cpu_s": used.ru_utime + used.ru_stime, "pictures": pictures, "wakeups": used.ru_nvcsw, "at_s": time.monotonic()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    ticking.cancel()
    await feeds.stop()


if __name__ == "__main__":
    run_on_event_loop(pull(json.loads(sys.argv[1]), sys.argv[2]))
