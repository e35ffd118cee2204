"""What a person sees when the relay of their tiles is stopped, and when it is killed: the old picture until the new one, and soon.

How soon is judged by `./rtcc test --soak` alone, which has the machine to itself; else it is printed.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from proof.browser import chromium, drawn_map, window
from proof.footage_things import write_clip
from proof.platform import RunningPlatform, running_platform, until
from proof.video import frames_rise
from proof.world import OWNER, World, build_world
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import video_pb2
from rtcc_chassis.members import Members
from rtcc_chassis.relays import Relay, read_lease, relay_of
from rtcc_demo.rtsp_server import RtspServer

SOAK = os.environ.get("RTCC_SOAK") == "1"
# every 50 ms: whether each tile shows a picture or blackness, and how many pictures it has shown
_WATCH = """() => {
    const watched = (window.rtccWatched = {});
    const canvas = Object.assign(document.createElement('canvas'), { width: 16, height: 9 });
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    const presented = new WeakMap();
    setInterval(() => {
        for (const tile of document.querySelectorAll('figure.tile[data-camera-id]')) {
            const video = tile.querySelector('video');
            if (!video) continue;
            if (!presented.has(video)) {
                presented.set(video, 0);
                const count = () => {
                    presented.set(video, presented.get(video) + 1);
                    video.requestVideoFrameCallback(count);
                };
                video.requestVideoFrameCallback(count);
            }
            pen.fillStyle = 'black';
            pen.fillRect(0, 0, 16, 9);
            if (video.videoWidth) pen.drawImage(video, 0, 0, 16, 9);
            const bytes = pen.getImageData(0, 0, 16, 9).data;
            let light = 0;
            for (let at = 0; at < bytes.length; at += 4) light += bytes[at] + bytes[at + 1] + bytes[at + 2];
            (watched[tile.dataset.cameraId] ??= []).push([performance.now(), light / 432 < 6, presented.get(video)]);
        }
    }, 50);
}"""


class Lateness:
    """How late this machine is by itself, beside whatever else runs on it: a bound in seconds means nothing on one that stands still."""

    def __init__(self) -> None:
        self.most_s = 0.0
        self._task = asyncio.create_task(self._measure())

    def begin(self) -> None:
        self.most_s = 0.0

    async def _measure(self) -> None:
        while True:
            due_s = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            self.most_s = max(self.most_s, time.monotonic() - due_s)

    def end(self) -> None:
        self._task.cancel()


class Watched:
    """What the page saw since `begin`."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._since_ms = 0.0

    async def begin(self) -> None:
        self._since_ms = await self._page.evaluate("performance.now()")

    async def now(self) -> dict[str, tuple[float, float]]:
        """Camera -> seconds of the longest blackness, and of the longest time without a new picture."""
        seen: dict[str, list[tuple[float, bool, int]]] = await self._page.evaluate("window.rtccWatched")
        found = {}
        for camera_id, samples in seen.items():
            black_ms = still_ms = 0.0
            moved_ms, dark_since_ms = self._since_ms, -1.0
            pictures = -1
            for at_ms, black, presented in samples:
                if at_ms < self._since_ms:
                    pictures = presented
                    continue
                # from the first black look to the last: a page that didn't look for a while saw no blackness meanwhile
                dark_since_ms = -1.0 if not black else at_ms if dark_since_ms < 0 else dark_since_ms
                if black:
                    black_ms = max(black_ms, at_ms - dark_since_ms)
                if presented != pictures:
                    pictures, moved_ms = presented, at_ms
                still_ms = max(still_ms, at_ms - moved_ms)
            found[camera_id] = black_ms / 1000, still_ms / 1000
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def relayed() -> AsyncIterator[RunningPlatform]:
    async with running_platform({"RTCC_VIDEO_PROCESSES": "2", "RTCC_VIDEO_HELPER": "off"}) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RtspServer]:
    """What the cameras see moves, and is never dark."""
    clip = tmp_path_factory.mktemp("street") / "relayed.mp4"
    write_clip(clip, darkest=25)
    async with RtspServer({"0": clip, "1": clip}, "viewer", "secret") as server:
        yield server


async def _cameras(world: World, street: RtspServer) -> list[str]:
    """Two, one above the other."""
    found = []
    for number in range(2):
        at = geo_pb2.Coordinate(latitude_deg=60.1700 + number * 5e-4, longitude_deg=24.94)
        camera = registry_pb2.Camera(
            name=f"Relayed {number}", kind=registry_pb2.CAMERA_KIND_STREET, owner=OWNER, enabled=True, bearing_deg=90, field_of_view_deg=80,
            coordinate=at, stream_url=street.url(str(number)),
        )  # fmt: skip
        answer = await world.platform.ask("CreateCamera", world.everything(OWNER), registry_pb2.CreateCameraRequest(camera=camera))
        found.append(str(answer.camera.camera_id))
    return found


@pytest.mark.timeout(400)
async def test_a_tile_keeps_its_picture_while_its_relay_is_stopped_and_comes_back_when_it_is_killed(
    relayed: RunningPlatform, browser: Browser, street: RtspServer
) -> None:
    world = await build_world(relayed)
    cameras = set(await _cameras(world, street))
    members: Members[Relay] = Members("video", read_lease)
    await members.follow(relayed.bus)

    async def holders() -> set[str]:
        answer = await relayed.ask("ListViewers", world.everything(OWNER), video_pb2.ListViewersRequest())
        return {relay_of(viewer.viewer_id) for viewer in answer.viewers}

    def process_of(relay_id: str) -> int:
        relay = members.get(relay_id)
        assert relay is not None
        first = relay.rpc_address.endswith(f":{relayed.supervisor.installation.ports['video_rpc']}")
        return relayed.supervisor.supervised["video" if first else "video-2"].facts.process_id

    async def two_ready() -> bool:
        members.look()
        return sum(not relay.draining for relay in members.live().values()) == 2

    await until(two_ready, deadline_s=30)
    person = await world.person(OWNER, "operator", "supervisor")
    async with window(browser, world, person, view=(24.94, 60.17025, 16.5)) as page:
        left, top, width, height = await drawn_map(page)
        await page.get_by_test_id("cameras-along").click()
        along = page.get_by_test_id("along")
        await expect(along).to_contain_text("0 of at least 2 points")
        for share in (0.95, 0.12):
            await page.mouse.click(left + width / 2, top + height * share)
        await expect(along).to_have_attribute("data-cameras", "2")
        await page.keyboard.press(".")
        await frames_rise(page, cameras)
        await page.evaluate(_WATCH)
        watched, lateness = Watched(page), Lateness()
        for number, most_still_s in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 3.0)):
            await until(two_ready, deadline_s=60)
            gone = sorted(await holders())[0]
            await frames_rise(page, cameras)
            await watched.begin()
            lateness.begin()
            os.kill(process_of(gone), number)

            async def moved(gone: str = gone) -> bool:
                try:
                    now = await holders()
                except AssertionError:
                    # asked the one that was killed
                    return False
                return len(now) > 0 and gone not in now

            await until(moved, deadline_s=60)
            await frames_rise(page, cameras)
            seen = await watched.now()
            # page, gateway, relay and this process each wait for a core in turn
            late_s = 4 * lateness.most_s
            print(f"{number.name}: {seen}, late by {late_s:.2f} s")
            assert set(seen) == cameras
            for black_s, still_s in seen.values():
                assert black_s < 1.0 + late_s
                assert not SOAK or still_s < most_still_s + late_s
        lateness.end()
