"""A stolen truck crosses the border of two agencies; tests/pods walks the same way in a rendered consortium."""

import pytest
from playwright.async_api import Browser

from proof.stolen_truck import stolen_truck
from proof.world import World
from rtcc_demo.rtsp_server import RtspServer


@pytest.mark.timeout(400)
async def test_a_stolen_truck_crosses_the_border(world: World, browser: Browser, street_cameras: RtspServer) -> None:
    await stolen_truck(world, browser, street_cameras)
