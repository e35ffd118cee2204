"""Every screen, in both themes and at desk and phone width: reachable for everybody, from this origin alone, without a broken rule."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, ViewportSize

from proof import incident_things, wall_things
from proof.browser import picture, window
from proof.desk import OWNER
from proof.world import World
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import wall_pb2

# path: what stands on the screen when it is there
SCREENS = {
    "/map": '[data-testid="map"][data-ready]',
    "/alerts": '[data-testid="alert-list"]',
    "/units": "h1:has-text('Units')",
    "/search": "h1:has-text('Find')",
    "/air": '[data-testid="air"]',
    "/incident": '[data-testid="incident-row"]',
    "/incident/tips": '[data-testid="tip"]',
    "/cameras": '[data-testid="camera-row"]',
    "/wall": '[data-testid="wall-row"]',
    "/playback": "h1:has-text('Playback')",
    "/share": "h1:has-text('Sharing')",
    "/audit": '[data-testid="audit-row"]',
    "/admin/people": '[data-testid="person-row"]',
    "/admin/sources": "h1:has-text('Sources')",
    "/admin/lists": "h1:has-text('Hot lists')",
    "/admin/rules": '[data-testid="rule-row"]',
    "/admin/retention": "h1:has-text('Retention')",
    "/admin/recording": '[data-testid="recording-row"]',
    "/admin/quarantine": "h1:has-text('Quarantine')",
    "/field": '[data-testid="field"]',
    "/setup": '[data-testid="setup"]',
}
DESK, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
# drawn by MapLibre from the sources' attributions, in its own colours on a canvas
_NOT_OURS = ["canvas"]


def axe_source() -> str:
    """axe-core as the wheel axe-playwright-python ships it; evaluated through the debugger, so the page's own policy stays strict."""
    spec = find_spec("axe_playwright_python")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the wheel axe-playwright-python is not installed: accessibility is not checked")
    return (Path(next(iter(spec.submodule_search_locations))) / "axe.min.js").read_text(encoding="utf-8")


_EVERY_RULE = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# what another theme can break: every colour is one of its tokens, and nothing else changes
_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


async def violations(page: Page, rules: dict[str, Any] = _EVERY_RULE) -> list[str]:
    """WCAG 2.2 A and AA; one line a violation, with the elements."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe_source())
    options = {"runOnly": rules}
    found: dict[str, Any] = await page.evaluate(f"axe.run({{exclude: {json.dumps(_NOT_OURS)}}}, {json.dumps(options)})")
    return [f"{one['id']} ({one['impact']}): {[node['html'][:160] for node in one['nodes'][:3]]}" for one in found["violations"]]


# of every piece of text that is shown
_TEXT_SIZES_PX = """() => {
    const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    const sizes = [];
    while (walk.nextNode()) {
        const holder = walk.currentNode.parentElement;
        const hidden = holder.closest('.hidden-visually, option, svg') || !holder.checkVisibility({visibilityProperty: true});
        if (walk.currentNode.data.trim() && !hidden) sizes.push(parseFloat(getComputedStyle(holder).fontSize));
    }
    return sizes;
}"""


class Witness:
    """What a window asked for and complained about."""

    def __init__(self, origin: str) -> None:
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        self._host = urlsplit(origin).netloc

    def watch(self, page: Page) -> None:
        host = self._host
        page.on("request", lambda request: self.foreign.append(request.url) if not _of(request.url, host) else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if _complains(message.type, message.text) else None)


def _of(url: str, host: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("blob", "data") or parts.netloc == host


def _complains(kind: str, text: str) -> bool:
    # 4xx and 5xx answers are the tests' own business; the policy's refusals and exceptions are not
    return kind == "error" and "Failed to load resource" not in text and "WebSocket" not in text


@pytest.mark.timeout(400)
@pytest.mark.parametrize("path", SCREENS)
async def test_a_screen_is_accessible_and_asks_nobody_else(
    path: str, furnished: World, everybody: registry_pb2.Person, console_browser: Browser
) -> None:
    world = furnished
    witness = Witness(world.platform.url)
    async with window(console_browser, world, everybody, path, **DESK, opened=witness.watch) as page:
        await look_at(page, world.platform.url, path, SCREENS[path])
        assert witness.foreign == []
        assert witness.complaints == []


@pytest.mark.timeout(400)
async def test_an_incidents_workspace_is_accessible_and_asks_nobody_else(
    furnished: World, everybody: registry_pb2.Person, console_browser: Browser
) -> None:
    world = furnished
    incident_id, _ = await incident_things.photo(world, OWNER)
    path = f"/incident/{incident_id}"
    witness = Witness(world.platform.url)
    async with window(console_browser, world, everybody, path, **DESK, opened=witness.watch) as page:
        await look_at(page, world.platform.url, path, '[data-testid="entry"] img')
        await page.get_by_role("tab", name="Before arrival").click()
        await page.get_by_test_id("arrival-card").wait_for()
        assert await violations(page) == []
        assert witness.foreign == []
        assert witness.complaints == []


@pytest.mark.timeout(400)
async def test_a_wall_is_accessible_and_asks_nobody_else(
    furnished: World, everybody: registry_pb2.Person, console_browser: Browser
) -> None:
    world = furnished
    camera_id = await world.camera(OWNER)
    shown = [wall_pb2.WallSlot(cell=0, span=2, camera_id=camera_id), wall_pb2.WallSlot(cell=2, span=1, follow_alerts=True)]
    path = f"/wall/{await wall_things.saved_wall(world, OWNER, 'Lobby', 9, shown)}"
    witness = Witness(world.platform.url)
    async with window(console_browser, world, everybody, path, **DESK, opened=witness.watch) as page:
        await page.get_by_role("button", name="Put a camera").first.click()
        await page.get_by_test_id("wall-drawer").wait_for()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        sizes = await page.evaluate(_TEXT_SIZES_PX)
        assert min(sizes) >= 24, sizes
        await look_at(page, world.platform.url, path, '[data-testid="wall"]')
        assert witness.foreign == []
        assert witness.complaints == []


@pytest.mark.timeout(400)
async def test_the_door_is_accessible_and_asks_nobody_else(furnished: World, console_browser: Browser) -> None:
    url = furnished.platform.url
    witness = Witness(url)
    context = await console_browser.new_context(viewport=DESK)
    try:
        page = await context.new_page()
        witness.watch(page)
        await page.goto(url)
        await look_at(page, url, "/sign-in", '[data-testid="use-banner"]')
        await page.get_by_test_id("banner-agree").click()
        await page.locator("input[name=login]").wait_for()
        assert await violations(page) == []
        assert witness.foreign == []
        assert witness.complaints == []
    finally:
        await context.close()


async def look_at(page: Page, origin: str, path: str, marker: str) -> None:
    """Both widths, both themes: nothing that axe objects to, nothing that sticks out. The window came here dark and as wide as a desk;
    it loads once more, as a phone by day."""
    await _look_at_both_themes(page, path, marker, "desk", ("dark", "day"))
    await page.evaluate("localStorage.setItem('rtcc.theme', 'day')")
    await page.set_viewport_size(PHONE)
    await page.goto(origin + path)
    await _look_at_both_themes(page, path, marker, "phone", ("day", "dark"))


async def _look_at_both_themes(page: Page, path: str, marker: str, width: str, themes: tuple[str, str]) -> None:
    await page.locator(marker).first.wait_for()
    assert await page.evaluate("document.documentElement.dataset.theme") == themes[0]
    for theme, rules in zip(themes, (_EVERY_RULE, _COLOURS), strict=True):
        await page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        assert await violations(page, rules) == [], f"{path}, {theme}, {width}"
        await picture(page, f"console{path.replace('/', '-')}-{theme}-{width}")
    overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0, f"{path} is {overflow} px wider than a {width}"
