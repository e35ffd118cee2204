"""Whether a relay's memory stays flat: many viewers of many streams for minutes or hours, some leaving and others joining all the time.

The relay is that of `video-fanout` (rights and RTCP on, with the C helper) in a process of its own. Its resident memory is read each ten
seconds; what counts is the slope of a straight line through all readings behind the first fifth, in which caches and rings fill.

`./rtcc bench video-soak [--minutes 5] [--viewers 64] [--streams 16] [--leaving 4]`
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _video_peers import Relay, python_relay
from _video_stream import encode_clip
from _video_viewers import Viewer

_EVERY_S = 10.0
_FLAT_MB_PER_HOUR = 6.0


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Megabytes at the beginning and the end, and how fast they grow."""
    parser = argparse.ArgumentParser(prog="bench video-soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--viewers", type=int, default=64)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--leaving", type=int, default=4, help="viewers that leave each ten seconds, and others join")
    arguments = parser.parse_args(list(argv))
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_clip(clip)
        return asyncio.run(_soak(clip, arguments))


async def _soak(clip: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    readings: list[tuple[float, float]] = []
    joined = 0
    async with python_relay("ours-helper", clip, "H264", arguments.streams) as relay:
        viewers = await _join(relay, arguments.viewers)
        begun_s = time.monotonic()
        try:
            while (elapsed_s := time.monotonic() - begun_s) < arguments.minutes * 60:
                await asyncio.sleep(_EVERY_S)
                for viewer in viewers[: arguments.leaving]:
                    viewer.close()
                viewers = viewers[arguments.leaving :] + await _join(relay, min(arguments.leaving, len(viewers)))
                joined += arguments.leaving
                readings.append((elapsed_s, relay.resident_mb()))
                print(f"{elapsed_s:6.0f} s {readings[-1][1]:7.1f} MB, {joined} viewers changed", file=sys.stderr)
        finally:
            for viewer in viewers:
                viewer.close()
    settled = readings[len(readings) // 5 :]
    grown = 3600 * slope(settled)
    return {
        "minutes": arguments.minutes,
        "mb_at_begin": round(settled[0][1], 1),
        "mb_at_end": round(settled[-1][1], 1),
        "mb_per_hour": round(grown, 2),
        "flat": grown < _FLAT_MB_PER_HOUR,
        "viewers_changed": joined,
        "conditions": (
            f"{arguments.viewers} viewers of {arguments.streams} streams 1280x720 30 fps; {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f}; flat: below {_FLAT_MB_PER_HOUR:.0f} MB an hour"
        ),
    }


async def _join(relay: Relay, count: int) -> list[Viewer]:
    joining = [await relay.connect() for _ in range(count)]
    await asyncio.gather(*(viewer.media_seen() for viewer in joining))
    return joining


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line with the least squares of distance; 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
