"""How late a picture is: through our relay, until the first one shows, and from the camera's glass to the viewer's.

`delay_*`: from the picture's arrival in the relay to its last packet's arrival, as the kernel stamps it, at the viewer who joined in the
middle of 200. `first_picture_ms`: in Chromium, from the click (the offer is made after it) to the first presented frame, on a camera that
is pulled already, at phases spread over the group of pictures; `first_picture_cold_ms`: the relay must first connect to the camera (RTSP).
`glass_to_glass_ms`: a clock is drawn as blocks, encoded at once by x264 (720p30), relayed, and read back from the frames that Chromium
presents; software decoding, all on this machine.

`./rtcc bench video-latency [--viewers 200] [--seconds 10] [--first-pictures 12] [--no-helper]`
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from _video_browser import BITS, BLOCK_PX, FLAGS, SIZE, page_of
from _video_peers import python_relay
from _video_stream import FRAMES_PER_SECOND, encode_clip, paced, read_units
from _video_viewers import Viewer
from playwright.async_api import Browser, async_playwright

from rtcc_demo.rtsp_server import RtspServer
from rtcc_standalone.development.chromium import find_chromium
from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b
from rtcc_video.engine.stream import LiveStream, StreamLimits
from rtcc_video.feed import Feed
from rtcc_video.sources.rtsp import RtspSettings, RtspSource
from rtcc_video.sources.rtsp_messages import parse_address


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Milliseconds; `relay_share_of_core` is what the relay used meanwhile."""
    parser = argparse.ArgumentParser(prog="bench video-latency", description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--first-pictures", type=int, default=12)
    parser.add_argument("--no-helper", action="store_true", help="the pure Python path")
    return asyncio.run(_measure(parser.parse_args(list(argv))))


async def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {"viewers": arguments.viewers, "cores": os.cpu_count(), "helper": not arguments.no_helper}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_clip(clip)
        figures |= await relay_delays(clip, arguments)
        program = find_chromium()
        if program is None:
            print("no Chromium on this machine: first pictures and glass to glass aren't measured", file=sys.stderr)
            return figures | {"first_picture_ms": None, "first_picture_cold_ms": None, "glass_to_glass_ms": None}
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=str(program), args=FLAGS)
            figures |= await first_pictures(browser, clip, arguments.first_pictures)
            figures |= await glass_to_glass(browser, arguments.seconds)
            await browser.close()
    return figures


async def relay_delays(clip: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Picture in to its last packet at the middle joiner."""
    arrived: dict[int, float] = {}

    def on_media(data: bytes, received_s: float) -> None:
        if data[1] & 0x80:
            arrived.setdefault(int.from_bytes(data[4:8], "big"), received_s)

    async with python_relay("ours" if arguments.no_helper else "ours-helper", clip) as relay:
        viewers: list[Viewer] = []
        try:
            for number in range(arguments.viewers):
                middle = number == arguments.viewers // 2
                viewers.append(await relay.connect(keeps_media=on_media) if middle else await relay.connect())
                if number % 20 == 19:
                    await asyncio.gather(*(viewer.media_seen() for viewer in viewers))
            await asyncio.gather(*(viewer.media_seen() for viewer in viewers))
            await asyncio.sleep(2.0)
            arrived.clear()
            before_s, begun_s, since_s = relay.cpu_s(), time.monotonic(), time.time()
            await asyncio.sleep(arguments.seconds)
            share = (relay.cpu_s() - before_s) / (time.monotonic() - begun_s)
            published: dict[str, float] = (await relay.ask({"do": "published"}))["published"]
        finally:
            for viewer in viewers:
                viewer.close()
    delays = sorted((arrived[int(stamp)] - at) * 1000 for stamp, at in published.items() if int(stamp) in arrived and at >= since_s)
    assert len(delays) > arguments.seconds * FRAMES_PER_SECOND * 0.8, f"only {len(delays)} pictures were seen in and out"
    return {
        "delay_p50_ms": round(statistics.median(delays), 2),
        "delay_p99_ms": round(delays[int(len(delays) * 0.99)], 2),
        "delay_worst_ms": round(delays[-1], 2),
        "pictures": len(delays),
        "relay_share_of_core": round(share, 3),
    }


async def first_pictures(browser: Browser, clip: Path, count: int) -> dict[str, Any]:
    """The click to the first frame, pulled already and cold."""
    units = read_units(clip)
    stream = LiveStream(StreamLimits(), time.monotonic)

    def publish(number: int, unit: AccessUnit) -> None:
        stream.publish(AccessUnit(unit.nals, number * 90_000 // FRAMES_PER_SECOND, unit.key))

    playing = asyncio.create_task(paced(units, publish))
    warm: list[float] = []
    async with page_of(browser, lambda: stream) as (page, _):
        await page.evaluate("click()")
        for number in range(count):
            # Spread over the two seconds of a group.
            await asyncio.sleep(0.5 + number * 2 / count % 2)
            warm.append(await page.evaluate("click()"))
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    cold: list[float] = []
    async with RtspServer({"north": clip}, "relay", "street-word") as server:
        for _ in range(4):

            async def open_source() -> RtspSource:
                return RtspSource(parse_address(server.url("north")), RtspSettings())

            feed = Feed("c1", "east", open_source, StreamLimits(), time.monotonic)

            def started(feed: Feed = feed) -> LiveStream:
                feed.start()
                return feed.stream

            async with page_of(browser, started) as (page, _):
                cold.append(await page.evaluate("click()"))
            await feed.stop()
    return {
        "first_picture_ms": round(statistics.median(warm)),
        "first_picture_worst_ms": round(max(warm)),
        "first_picture_cold_ms": round(statistics.median(cold)),
        "first_picture_cold_worst_ms": round(max(cold)),
    }


async def glass_to_glass(browser: Browser, seconds: float) -> dict[str, Any]:
    """A drawn clock to the same clock in presented frames."""
    stream = LiveStream(StreamLimits(), time.monotonic)
    filming = asyncio.create_task(film_clock(stream))
    async with page_of(browser, lambda: stream) as (page, _):
        await page.evaluate("click()")
        await asyncio.sleep(3.0)
        delays = sorted(await page.evaluate(f"clockDelays({seconds})"))
    filming.cancel()
    await asyncio.gather(filming, return_exceptions=True)
    assert len(delays) > seconds * FRAMES_PER_SECOND / 3, f"only {len(delays)} frames were read back"
    return {
        "glass_to_glass_ms": round(statistics.median(delays)),
        "glass_to_glass_p95_ms": round(delays[int(len(delays) * 0.95)]),
        "glass_frames": len(delays),
    }


async def film_clock(stream: LiveStream) -> None:
    """Draws the time of day as blocks and encodes it, 30 times a second: the camera."""
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *SIZE, "yuv420p"
    encoder.framerate, encoder.time_base, encoder.bit_rate = Fraction(30), Fraction(1, 30), 2_000_000
    encoder.gop_size = 60
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "x264-params": "sliced-threads=0:slices=1"}
    grey = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, dtype=np.uint8)
    begun_s = time.monotonic()
    number = 0
    while True:
        stamp = time.time_ns() // 1_000_000 % 2**BITS
        bits = np.array([16 + 219 * (stamp >> (BITS - 1 - bit) & 1) for bit in range(BITS)], dtype=np.uint8)
        grey[:BLOCK_PX, : BLOCK_PX * BITS] = np.repeat(bits, BLOCK_PX)
        frame = av.VideoFrame.from_ndarray(grey, format="yuv420p")
        frame.pts = number
        for packet in encoder.encode(frame):
            unit = make_access_unit(split_annex_b(bytes(packet)), number * 3000)
            if unit is not None:
                stream.publish(unit)
        number += 1
        await asyncio.sleep(max(0.0, begun_s + number / 30 - time.monotonic()))
