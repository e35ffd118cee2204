"""How a picture bears a bad link: Chromium behind 2 % loss and 80 ms of delay, both ways, for five minutes.

The link is a UDP forwarder in this process: it drops and delays datagrams by a seeded chance, as netem would (many kernels of containers
have no netem). A freeze is a gap between two presented frames.

`./rtcc bench video-loss [--seconds 300] [--loss 0.02] [--delay 0.08]`
"""

import argparse
import asyncio
import random
import re
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _video_browser import FLAGS, page_of
from _video_stream import FRAMES_PER_SECOND, encode_clip, paced, read_units
from playwright.async_api import async_playwright

from rtcc_standalone.development.chromium import find_chromium
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.stream import LiveStream, StreamLimits


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Gaps in milliseconds; `freezes_over_500_ms` must be 0."""
    parser = argparse.ArgumentParser(prog="bench video-loss", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--loss", type=float, default=0.02, help="share of datagrams lost, each way")
    parser.add_argument("--delay", type=float, default=0.08, help="seconds of delay, each way")
    return asyncio.run(_measure(parser.parse_args(list(argv))))


async def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    program = find_chromium()
    if program is None:
        return {"freezes_over_500_ms": None, "missing": "no Chromium on this machine"}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_clip(clip)
        units = read_units(clip)
    stream = LiveStream(StreamLimits(), time.monotonic)

    def publish(number: int, unit: AccessUnit) -> None:
        stream.publish(AccessUnit(unit.nals, number * 90_000 // FRAMES_PER_SECOND, unit.key))

    playing = asyncio.create_task(paced(units, publish))
    links: list[BadLink] = []

    def behind_link(answer: str, port: int) -> str:
        link = BadLink(port, arguments.loss, arguments.delay)
        links.append(link)
        # Nothing but the link leads to the relay.
        lines = [line for line in answer.splitlines() if " tcp " not in line]
        return "\r\n".join(re.sub(rf" {port} typ", f" {link.port} typ", line) for line in lines) + "\r\n"

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(program), args=FLAGS)
        async with page_of(browser, lambda: stream, behind_link) as (page, endpoint):
            first_ms = await page.evaluate("click()")
            await asyncio.sleep(3.0)
            seen: dict[str, Any] = await page.evaluate(f"gaps({arguments.seconds})")
            counters = endpoint.viewers[0].counters
            facts = endpoint.viewers[0].link_facts
        await browser.close()
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    for link in links:
        link.close()
    gaps = sorted(seen["found"])
    return {
        "freezes_over_500_ms": sum(gap > 500 for gap in gaps),
        "longest_gap_ms": round(gaps[-1]),
        "gap_p99_ms": round(gaps[int(len(gaps) * 0.99)]),
        "frames_presented": len(gaps),
        "frames_expected": round(arguments.seconds * FRAMES_PER_SECOND),
        "freezes_by_chromium": seen["freezes"],
        "first_picture_ms": round(first_ms),
        "packets_lost_for_good": seen["lost"],
        "packets_resent": counters.packets_resent,
        "limited_by": facts.limited_by,
        "seconds": arguments.seconds,
        "loss_each_way": arguments.loss,
        "delay_each_way_ms": arguments.delay * 1000,
    }


class BadLink:
    """Forwards between one browser and the relay's port, with losses and delay in both directions."""

    def __init__(self, relay_port: int, loss: float, delay_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._chance = random.Random(11)
        self._loss, self._delay_s = loss, delay_s
        self._near = self._socket(self._from_browser)
        self.port = self._near.getsockname()[1]
        self._relay = ("127.0.0.1", relay_port)
        # The relay must see each of the browser's addresses as another one.
        self._far: dict[Any, socket.socket] = {}

    def close(self) -> None:
        for udp in (self._near, *self._far.values()):
            self._loop.remove_reader(udp.fileno())
            udp.close()

    def _socket(self, on_datagram: Any) -> socket.socket:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        udp.bind(("127.0.0.1", 0))

        def on_readable() -> None:
            try:
                while True:
                    on_datagram(*udp.recvfrom(2048))
            except (BlockingIOError, ConnectionError):
                return

        self._loop.add_reader(udp.fileno(), on_readable)
        return udp

    def _from_browser(self, data: bytes, address: Any) -> None:
        far = self._far.get(address)
        if far is None:
            far = self._far[address] = self._socket(lambda back, _: self._later(self._near, back, address))
        self._later(far, data, self._relay)

    def _later(self, udp: socket.socket, data: bytes, address: Any) -> None:
        if self._chance.random() >= self._loss:
            self._loop.call_later(self._delay_s, self._send, udp, data, address)

    def _send(self, udp: socket.socket, data: bytes, address: Any) -> None:
        if udp.fileno() >= 0:
            udp.sendto(data, address)
