"""What a viewer costs: CPU of our relay, with rights and RTCP on, beside aiortc, Janus and Pion in one run.

Each relay runs in a process of its own and sends one 1280x720, 30 fps, 2 Mbit/s H.264 stream to viewers in another process, that do
real ICE, DTLS-SRTP and RTCP (a report and an estimate a second) and then drop SRTP in a socket filter, so that only the relay is
weighed: user and system time of its process. Loopback charges the receiver's half of each packet to the sender. Our viewers are
partners under an agreement, decided on at the start and again every second. Janus: streaming plugin, event_loops=2, ICE-lite; Pion:
one shared track, default interceptors; aiortc: decoded once and encoded for each viewer (VP8, its default, and H.264), or passed
through. Ours runs on the event loop that the service runs on (uvloop), aiortc on asyncio's own. A peer counts with its best row, we
with the row of most viewers.

`./rtcc bench video-fanout [--viewers 1 10 100 400] [--peer-viewers 1 10 100] [--seconds 5] [--streams 1 16 64]
[--only ours ours-helper ...] [--plot FILE]`
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

from _video_peers import PeerUnavailable, Relay, janus_relay, pion_relay, python_relay
from _video_stream import CLIP_SECONDS, encode_clip, read_units

REENCODED = ("aiortc-vp8", "aiortc-h264")
KINDS = ("ours", "ours-helper", *REENCODED, "aiortc-passthrough", "janus", "pion")
_STARTED_AT_ONCE = 25
_DEALT_OUT = 64

type Row = dict[str, float]


def run(argv: Sequence[str]) -> dict[str, Any]:
    """CPU-milliseconds of the relay per second of stream and viewer, and how many times cheaper ours is; null where a peer is missing."""
    parser = argparse.ArgumentParser(prog="bench video-fanout", description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 10, 100, 400], help="numbers of viewers for ours")
    parser.add_argument("--peer-viewers", type=int, nargs="+", default=[1, 10, 100], help="numbers of viewers for the others")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time for each row")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument(
        "--streams", type=int, nargs="*", default=[1, 16, 64], help="numbers of streams among which 64 viewers are dealt out"
    )
    parser.add_argument("--plot", type=Path, help="write the growth as SVG")
    arguments = parser.parse_args(list(argv))
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_clip(clip)
        figures = asyncio.run(_measure(clip, arguments))
    return figures


async def _measure(clip: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    units = read_units(clip)
    kbit_per_s = sum(len(nal) for unit in units for nal in unit.nals) * 8 / CLIP_SECONDS / 1000
    print(
        f"1280x720, 30 fps, {kbit_per_s:.0f} kbit/s H.264; {os.cpu_count()} cores, Python {sys.version.split()[0]}, loopback UDP",
        file=sys.stderr,
    )
    table: dict[str, dict[int, Row]] = {}
    missing: dict[str, str] = {}
    for kind in arguments.only:
        counts = arguments.viewers if kind.startswith("ours") else [1, 2] if kind in REENCODED else arguments.peer_viewers
        for count in counts:
            try:
                row = await measure_relay(starter(kind, clip), count, arguments.seconds)
            except PeerUnavailable as reason:
                missing[kind] = str(reason)
                print(f"{kind:20} not measured: {reason}", file=sys.stderr)
                break
            table.setdefault(kind, {})[count] = row
            print(
                f"{kind:20} {count:4} viewers {row['ms']:8.2f} ms/s each, {row['mb']:5.0f} MB, "
                f"{row['mb_each']:5.2f} MB and {row['setup_ms']:5.1f} ms for each to join",
                file=sys.stderr,
            )
    figures: dict[str, Any] = {}
    dealt: dict[str, dict[int, Row]] = {}
    for kind in ("ours", "ours-helper"):
        for streams in arguments.streams if kind in arguments.only else []:
            row = await measure_relay(partial(python_relay, kind, clip, "H264", streams), _DEALT_OUT, arguments.seconds)
            total = row["ms"] * _DEALT_OUT
            dealt.setdefault(kind, {})[streams] = {"ms": total, "mb": row["mb"]}
            print(f"{kind:20} {streams:4} streams to {_DEALT_OUT} viewers {total:8.1f} ms/s in all, {row['mb']:5.0f} MB", file=sys.stderr)
            figures |= {
                f"{kind.replace('-', '_')}_ms_{streams}_streams": round(total, 1),
                f"{kind.replace('-', '_')}_mb_{streams}_streams": round(row["mb"]),
            }
        rows = dealt.get(kind, {})
        if len(rows) > 1:
            fewest, most = min(rows), max(rows)
            figures[f"{kind.replace('-', '_')}_mb_per_stream"] = round((rows[most]["mb"] - rows[fewest]["mb"]) / (most - fewest), 2)
    if arguments.plot:
        arguments.plot.write_text(plot(table, dealt))
    figures["load_average"] = round(os.getloadavg()[0], 1)
    return figures | figures_of(table) | {f"missing_{kind}": why for kind, why in missing.items()}


def starter(kind: str, clip: Path) -> Callable[[], AbstractAsyncContextManager[Relay]]:
    """How to start a relay of that kind."""
    if kind == "janus":
        return lambda: janus_relay(clip)
    if kind == "pion":
        return lambda: pion_relay(clip)
    if kind in REENCODED:
        return lambda: python_relay("aiortc-reencode", clip, "VP8" if kind == "aiortc-vp8" else "H264")
    return lambda: python_relay(kind, clip)


async def measure_relay(start: Callable[[], AbstractAsyncContextManager[Relay]], count: int, seconds: float) -> Row:
    """One relay with so many viewers."""
    async with start() as relay:
        first = await relay.connect()
        await first.media_seen()
        viewers = [first]
        try:
            idle_s, idle_mb = relay.cpu_s(), relay.resident_mb()
            for begun in range(1, count, _STARTED_AT_ONCE):
                joining = [await relay.connect() for _ in range(min(_STARTED_AT_ONCE, count - begun))]
                viewers += joining
                await asyncio.gather(*(viewer.media_seen() for viewer in joining))
            setup_s = relay.cpu_s() - idle_s
            await asyncio.sleep(1.0)
            before_s, begun_s = relay.cpu_s(), time.monotonic()
            await asyncio.sleep(seconds)
            used_s, elapsed_s = relay.cpu_s() - before_s, time.monotonic() - begun_s
            resident_mb = relay.resident_mb()
        finally:
            for viewer in viewers:
                viewer.close()
    others = max(1, count - 1)
    return {
        "ms": used_s * 1000 / elapsed_s / count,
        "setup_ms": setup_s * 1000 / others,
        "mb": resident_mb,
        "mb_each": (resident_mb - idle_mb) / others,
    }


def figures_of(table: dict[str, dict[int, Row]]) -> dict[str, Any]:
    """The last line: a peer counts with its cheapest row, we with the row of most viewers, pure Python and with the helper."""
    figures: dict[str, Any] = {}
    for kind, rows in table.items():
        figures |= {f"{kind.replace('-', '_')}_ms_{count}": round(row["ms"], 3) for count, row in rows.items()}

    def ours(kind: str) -> float | None:
        rows = table.get(kind)
        return rows[max(rows)]["ms"] if rows else None

    def cheapest(*kinds: str) -> float | None:
        found = [row["ms"] for kind in kinds for row in table.get(kind, {}).values()]
        return min(found) if found else None

    peers = {
        "aiortc_reencode": cheapest(*REENCODED),
        "aiortc_passthrough": cheapest("aiortc-passthrough"),
        "janus": cheapest("janus"),
        "pion": cheapest("pion"),
    }
    for suffix, own in (("", ours("ours")), ("_with_helper", ours("ours-helper"))):
        figures[f"ms_per_viewer_s{suffix}"] = None if own is None else round(own, 3)
        for name, theirs in peers.items():
            figures[f"ratio_vs_{name}{suffix}"] = None if own is None or theirs is None else round(theirs / own, 1)
    if "ours" in table:
        figures["mb_per_viewer"] = round(table["ours"][max(table["ours"])]["mb_each"], 3)
    return figures


def plot(table: dict[str, dict[int, Row]], dealt: dict[str, dict[int, Row]]) -> str:
    """Cost against viewers, and cost of all streams together against streams, as SVG; all axes logarithmic."""
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 800" font-family="sans-serif" font-size="11">']
    parts += _panel(
        "CPU-ms per viewer and second, by number of viewers (logarithmic)", table, (1, 10, 100, 400), (0.1, 1, 10, 100, 1000), 0
    )
    title = f"CPU-ms a second in all, {_DEALT_OUT} viewers dealt out to so many streams (logarithmic)"
    parts += _panel(title, dealt, (1, 16, 64), (10, 100, 1000), 400)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(title: str, table: dict[str, dict[int, Row]], counts: Sequence[int], lines: Sequence[float], top: int) -> list[str]:
    """One diagram, 640 x 400."""
    from math import log10

    width, height, margin = 640, 400, 60
    colours = ("#0b6e4f", "#2a9d8f", "#8d99ae", "#6c757d", "#e76f51", "#e9c46a", "#264653")

    def x(count: int) -> float:
        return margin + log10(max(count, 1)) / log10(counts[-1]) * (width - 2 * margin)

    def y(ms: float) -> float:
        share = log10(max(ms, lines[0]) / lines[0]) / log10(lines[-1] / lines[0])
        return top + height - margin - share * (height - 2 * margin)

    parts = [f'<text x="{margin}" y="{top + 24}">{title}</text>']
    for ms in lines:
        parts.append(f'<path d="M{margin} {y(ms):.1f}H{width - margin}" stroke="#ddd"/><text x="8" y="{y(ms) + 4:.1f}">{ms}</text>')
    for count in counts:
        parts.append(f'<text x="{x(count) - 8:.1f}" y="{top + height - margin + 20}">{count}</text>')
    for (kind, rows), colour in zip(table.items(), colours, strict=False):
        points = [(x(count), y(row["ms"])) for count, row in sorted(rows.items())]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{points[-1][0] + 4:.1f}" y="{points[-1][1] - 4:.1f}" fill="{colour}">{kind}</text>')
    return parts
