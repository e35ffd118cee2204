"""Real Chromium for proofs: started as the console's operators would have it, with a person's own signed-in window."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from proof.world import World
from rtcc.registry.v1 import registry_pb2
from rtcc_standalone.development.chromium import find_chromium

FLAGS = (
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The machine's Chromium; skips, saying so, where there is none."""
    async with chromium_or_none() as browser:
        if browser is None:
            pytest.skip("no Chromium on this machine: install chromium, or set RTCC_CHROMIUM to one")
        yield browser


@asynccontextmanager
async def chromium_or_none() -> AsyncIterator[Browser | None]:
    """The machine's Chromium; None where there is none."""
    executable = find_chromium()
    if executable is None:
        yield None
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(executable), args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def window(browser: Browser, world: World, person: registry_pb2.Person, path: str = "/map", **options: int) -> AsyncIterator[Page]:
    """A new window in which `person` signed in. `options`: width and height in pixels."""
    size = {"width": options.get("width", 1600), "height": options.get("height", 1000)}
    context = await browser.new_context(
        viewport=size, locale="en-GB", timezone_id="Europe/Helsinki", ignore_https_errors=world.platform.believed is not None
    )
    try:
        page = await context.new_page()
        await world.enter(page, person, path)
        yield page
    except BaseException:
        # what the person saw when it failed
        for number, open_page in enumerate(context.pages):
            await picture(open_page, f"failed-{person.login}-{number}")
        raise
    finally:
        await context.close()


async def open_map_at(page: Page, url: str, longitude_deg: float, latitude_deg: float, zoom: float) -> None:
    """The live map with this place in its middle, drawn and connected."""
    await page.goto(f"{url}/map")
    await page.locator('[data-testid="map"][data-ready]').wait_for()
    view = {"longitude": longitude_deg, "latitude": latitude_deg, "zoom": zoom}
    await page.evaluate("(view) => sessionStorage.setItem('rtcc.view', JSON.stringify(view))", view)
    await page.reload()
    await page.locator('[data-testid="map"][data-ready]').wait_for()
    await page.locator('[data-testid="link-state"][data-state="live"]').wait_for()


async def picture(page: Page, name: str) -> None:
    """Keep a screenshot where RTCC_PICTURES names a folder; else nothing."""
    if folder := os.environ.get("RTCC_PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png")
