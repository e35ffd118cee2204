"""`./rtcc bench first-frame`: from one key to four playing cameras.

The platform is the real one, its cameras are a real RTSP server, the console runs in headless Chromium (software GL), all on this
machine. An operator stands on an alert and presses Enter; the page itself notes, frame by frame, when all four tiles have shown a
picture.

`cold_*`: nothing of these cameras was asked for before, neither by this browser nor by the relay, and the key comes before the
console's own pre-connection could help. `warm_*`: the same key on the next alert at the same place, after the tiles were closed.
`tile_*`: of single tiles, from the offer to the first decoded frame. The goals are 1 s cold and 0.7 s warm.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.async_api import Page

from proof.browser import chromium_or_none, window
from proof.platform import running_platform
from proof.world import OWNER, World, build_world, gunshot
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.identifiers import new_id
from rtcc_demo.render.clips import draw_clip
from rtcc_demo.render.scenes import scene_names
from rtcc_demo.rtsp_server import RtspServer

_TILES = 4
# where the proofs' gunshots are heard
_NORTH, _EAST = 60.1699, 24.9384
# Enter, then the time until every tile shows a picture; the page's own clock, looked at before each frame
_PRESS = """tiles => new Promise(done => {
    const started = performance.now();
    window.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
    const look = () => {
        const live = [...document.querySelectorAll('figure.tile[data-state="live"]')];
        if (live.length < tiles) { requestAnimationFrame(look); return; }
        done({ all_ms: performance.now() - started, tiles_ms: live.map(tile => Number(tile.dataset.firstFrameMs)) });
    };
    look();
})"""


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Medians in milliseconds over the runs, and the worst of each."""
    parser = argparse.ArgumentParser(prog="bench first-frame", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="cold and warm starts, each cold one on cameras of its own")
    options = parser.parse_args(list(argv))
    return asyncio.run(_measure(options.runs))


async def _measure(runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "street.mp4"
        await asyncio.to_thread(draw_clip, scene_names()[0], clip)
        paths = [f"cam{number}" for number in range(runs * _TILES)]
        offsets = {path: index * 1.7 for index, path in enumerate(paths)}
        async with (
            RtspServer(dict.fromkeys(paths, clip), "relay", "street-word", offsets_s=offsets) as server,
            running_platform() as platform,
            chromium_or_none() as browser,
        ):
            if browser is None:
                return {"first_frame": "skipped: no Chromium on this machine"}
            world = await build_world(platform)
            operator = await world.person(OWNER, "operator")
            cold, warm, tiles = [], [], []
            for turn in range(runs):
                place = (_NORTH + turn * 0.003, _EAST)
                for path in paths[turn * _TILES : (turn + 1) * _TILES]:
                    await _camera(world, server, path, place)
                async with window(browser, world, operator) as page:
                    for found in (cold, warm):
                        measured = await _pressed(page, await _alert(world, place))
                        found.append(measured["all_ms"])
                        tiles.extend(measured["tiles_ms"])
                        await _close_tiles(page)
    return {
        "cold_ms": round(statistics.median(cold)),
        "cold_worst_ms": round(max(cold)),
        "warm_ms": round(statistics.median(warm)),
        "warm_worst_ms": round(max(warm)),
        "tile_ms": round(statistics.median(tiles)),
        "tile_worst_ms": round(max(tiles)),
        "runs": runs,
        "tiles": _TILES,
        "cores": os.cpu_count(),
    }


async def _camera(world: World, server: RtspServer, path: str, place: tuple[float, float]) -> None:
    camera = registry_pb2.Camera(
        name=path, kind=registry_pb2.CAMERA_KIND_STREET, owner=OWNER, enabled=True, bearing_deg=180, field_of_view_deg=90, range_m=400,
        coordinate=geo_pb2.Coordinate(latitude_deg=place[0] + 0.0003, longitude_deg=place[1]), stream_url=server.url(path),
    )  # fmt: skip
    await world.platform.ask("CreateCamera", world.everything(OWNER), registry_pb2.CreateCameraRequest(camera=camera))


async def _alert(world: World, place: tuple[float, float]) -> str:
    """A gunshot at the place, which brings its four cameras along."""
    source, incident = await world.gunshot_source(OWNER), f"first-frame-{new_id()}"
    status, answer = await world.delivered(source, gunshot(incident, lat=place[0], lon=place[1]))
    assert status == 202, answer
    return (await world.alert_where(OWNER, lambda alert: alert.event.gunshot.incident_id == incident)).alert_id


async def _pressed(page: Page, alert_id: str) -> dict[str, Any]:
    row = f'[data-testid="alert-list"] [data-alert-id="{alert_id}"]'
    # not Playwright's click, which waits for a still page: four videos and a map in software leave it no peace
    await page.locator(row).evaluate("row => row.click()")
    await page.locator(f"{row}[data-armed]").wait_for()
    measured: dict[str, Any] = await page.evaluate(_PRESS, _TILES)
    return measured


async def _close_tiles(page: Page) -> None:
    await page.locator("figure.tile").first.wait_for()
    await page.evaluate("for (const button of document.querySelectorAll('figure.tile button[aria-label^=\"Close \"]')) button.click()")
    await page.locator("figure.tile").first.wait_for(state="detached")
