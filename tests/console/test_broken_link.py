"""What the console shows while the platform is away, and what it knows when it is back. On a platform of its own: it kills the gateway."""

import contextlib
import os
import signal

import aiohttp
from playwright.async_api import Browser

from proof.browser import window
from proof.platform import running_platform, until
from proof.world import OWNER, build_world


async def test_a_killed_gateway_is_announced_and_nothing_is_missed_or_doubled(console_browser: Browser) -> None:
    async with running_platform() as platform:
        world = await build_world(platform)
        before = await world.alert(OWNER)
        async with window(console_browser, world, await world.person(OWNER, "operator")) as page:
            await page.locator(f'[data-testid="alert-list"] [data-alert-id="{before}"]').wait_for()
            await page.locator('[data-testid="link-state"][data-state="live"]').wait_for()
            os.kill(platform.supervisor.supervised["gateway"].facts.process_id, signal.SIGKILL)
            await page.locator('[data-testid="link-state"][data-state="down"]').filter(has_text="reconnecting").wait_for()
            assert await page.locator(f'[data-alert-id="{before}"]').count() >= 1  # and stay

            raised: list[str] = []

            async def through() -> bool:
                # the sensor repeats until the door is open; the console comes back with its own pauses
                with contextlib.suppress(aiohttp.ClientError):
                    raised[:] = [await world.alert(OWNER)]
                return bool(raised)

            await until(through, deadline_s=30, every_s=0.2)
            await page.locator('[data-testid="link-state"][data-state="live"]').wait_for(timeout=60_000)
            for alert_id in (before, *raised):
                row = page.locator(f'[data-testid="alert-list"] [data-alert-id="{alert_id}"]')
                await row.wait_for()
                assert await row.count() == 1
            await page.get_by_test_id("link-banner").wait_for(state="detached")
