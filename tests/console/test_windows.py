"""Several windows of one desk, and the phone without a connection."""

from playwright.async_api import Browser, expect

from proof.browser import modest_window
from proof.desk import OWNER
from proof.world import World


def row(alert_id: str) -> str:
    return f'[data-testid="alert-list"] [data-alert-id="{alert_id}"]'


async def test_what_is_chosen_in_one_window_is_chosen_in_the_other(furnished: World, console_browser: Browser) -> None:
    world = furnished
    first, second = await world.alert(OWNER), await world.plate_alert(OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), "/alerts") as page:
        other = await page.context.new_page()
        await other.goto(f"{world.platform.url}/map")
        for alert_id in (first, second):
            await other.locator(row(alert_id)).wait_for()
            await page.locator(row(alert_id)).click()
            await other.locator(f"{row(alert_id)}[data-selected]").wait_for()
            await other.locator(f'[data-testid="alert-detail"][data-alert="{alert_id}"]').wait_for()
        # cameras are docked by the window that asked for them alone
        assert await other.locator("figure.tile").count() == 0


async def test_another_persons_window_is_not_led(furnished: World, console_browser: Browser) -> None:
    world = furnished
    alert_id = await world.plate_alert(OWNER)
    mine, theirs = await world.person(OWNER, "operator"), await world.person(OWNER, "operator")
    async with (
        modest_window(console_browser, world, mine, "/alerts") as page,
        modest_window(console_browser, world, theirs, "/alerts") as other,
    ):
        await other.locator(row(alert_id)).wait_for()
        await page.locator(row(alert_id)).click()
        await page.locator('[data-testid="alert-detail"]').wait_for()
        assert await other.locator('[data-testid="alert-detail"]').count() == 0


async def test_the_phones_shell_opens_without_a_connection_and_holds_nothing_of_anybody(furnished: World, console_browser: Browser) -> None:
    world = furnished
    officer = await world.person(OWNER, "officer")
    alert_id = await world.alert(OWNER)
    async with modest_window(console_browser, world, officer, "/field", width=390, height=844) as page:
        await page.locator(f'[data-alert-id="{alert_id}"]').first.wait_for()
        await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        kept: list[str] = await page.evaluate(
            """async () => {
                const found = [];
                for (const name of await caches.keys())
                    for (const request of await (await caches.open(name)).keys()) found.push(new URL(request.url).pathname);
                return found;
            }"""
        )
        assert "/field" in kept and any(path.startswith("/map/") for path in kept)
        assert [path for path in kept if path.startswith(("/v1/", "/auth/"))] == []
        await page.context.set_offline(True)
        await page.reload()
        await page.get_by_test_id("field-offline").wait_for()
        await page.locator('[data-testid="map"][data-ready]').wait_for()
        assert officer.display_name not in await page.content()
        assert await page.locator("[data-alert-id]").count() == 0
        await page.context.set_offline(False)
        await expect(page.locator(f'[data-alert-id="{alert_id}"]').first).to_be_visible()
