"""Real Chromium for proofs: started as the console's operators would have it, with a person's own signed-in window."""

import functools
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from proof.world import World
from rtcc.registry.v1 import registry_pb2
from rtcc_standalone.development.chromium import find_chromium

# a link that was cut comes back within its back-off, and a loaded machine starts and paints late
_PATIENCE_MS = 60_000
expect.set_options(timeout=_PATIENCE_MS)

View = tuple[float, float, float]
"""Of a map: longitude, latitude, zoom."""
OPEN_WATER: View = (25.1, 60.02, 16.0)
"""Nothing to draw, for work beside the map: the city costs a window two CPU-seconds."""
# Chromium reads the last list alone, so this one begins with Playwright's own; behind it are the two pages that every window
# keeps ready for its address bar, which nobody sees here: two thirds of what an empty window costs
_WITHOUT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
)
FLAGS = (
    "--no-sandbox",
    f"--disable-features={','.join(_WITHOUT)}",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """The machine's Chromium, with `flags` beside the usual ones; skips, saying so, where there is none."""
    async with chromium_or_none(*flags) as browser:
        if browser is None:
            pytest.skip("no Chromium on this machine: install chromium, or set RTCC_CHROMIUM to one")
        yield browser


@asynccontextmanager
async def chromium_or_none(*flags: str) -> AsyncIterator[Browser | None]:
    """The machine's Chromium, with `flags` beside the usual ones; None where there is none."""
    executable = find_chromium()
    if executable is None:
        yield None
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(executable), args=[*FLAGS, *flags], timeout=_PATIENCE_MS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def window(
    browser: Browser,
    world: World,
    person: registry_pb2.Person,
    path: str = "/map",
    *,
    width: int = 1600,
    height: int = 1000,
    view: View | None = None,
    modest: bool = False,
    opened: Callable[[Page], None] = lambda page: None,
) -> AsyncIterator[Page]:
    """A new window, its size in CSS pixels, in which `person` signed in. Its maps begin at `view`; `opened` meets it before it loads.

    `modest`: a quarter of the pixels, and nothing pulses, as a person may ask. Here the processor draws each pixel, and what pulses has
    it draw the window 60 times a second: a tenth of a core.
    """
    frugal = modest and not os.environ.get("RTCC_PICTURES")
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=0.5 if frugal else 1.0,
        reduced_motion="reduce" if frugal else "no-preference",
        locale="en-GB",
        timezone_id="Europe/Helsinki",
        ignore_https_errors=world.platform.believed is not None,
    )
    context.set_default_timeout(_PATIENCE_MS)
    try:
        page = await context.new_page()
        opened(page)
        if view is not None:
            await begin_at(page, view)
        await world.enter(page, person, path)
        yield page
    except BaseException:
        # what the person saw when it failed
        for number, open_page in enumerate(context.pages):
            await picture(open_page, f"failed-{person.login}-{number}")
        raise
    finally:
        await context.close()


modest_window = functools.partial(window, modest=True)
"""For what doesn't depend on pixels and motion."""


async def begin_at(page: Page, view: View) -> None:
    """Every page that loads from now on begins its map there."""
    longitude, latitude, zoom = view
    stored = json.dumps(json.dumps({"longitude": longitude, "latitude": latitude, "zoom": zoom}))
    await page.add_init_script(f"sessionStorage.setItem('rtcc.view', {stored})")


async def drawn_map(page: Page) -> tuple[float, float, float, float]:
    """The map, drawn and connected; its box: left, top, width, height."""
    await page.locator('[data-testid="map"][data-ready]').wait_for()
    await page.locator('[data-testid="link-state"][data-state="live"]').wait_for()
    box = await page.get_by_test_id("map").bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


async def picture(page: Page, name: str) -> None:
    """Keep a screenshot where RTCC_PICTURES names a folder; else nothing."""
    if folder := os.environ.get("RTCC_PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def pictures(page: Page, name: str, widths: tuple[int, ...] = (1440,)) -> None:
    """As `picture`, in both themes and at each width in pixels. The page is left in the light theme, at the last width."""
    if os.environ.get("RTCC_PICTURES"):
        for width in widths:
            await page.set_viewport_size({"width": width, "height": 844 if width < 800 else 900})
            for theme in ("dark", "day"):
                await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
                await picture(page, f"{name}-{width}-{theme}")
