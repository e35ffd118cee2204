"""Fixtures of the journeys: a browser, and cameras that play."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from proof.browser import chromium
from rtcc_demo.render.clips import draw_clip
from rtcc_demo.render.scenes import scene_names
from rtcc_demo.rtsp_server import RtspServer

CAMERA_PATHS = tuple(f"cam{number}" for number in range(1, 7))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Real Chromium."""
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def street_cameras(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RtspServer]:
    """A real RTSP server whose paths cam1 to cam6 play a street, each at another moment."""
    clip = tmp_path_factory.mktemp("clips") / "street.mp4"
    await asyncio.to_thread(draw_clip, scene_names()[0], clip)
    offsets = {path: index * 2.5 for index, path in enumerate(CAMERA_PATHS)}
    async with RtspServer({path: clip for path in CAMERA_PATHS}, "relay", "street-word", offsets_s=offsets) as server:
        yield server
