"""Who moves along a way: cameras along a line in order, and where a missed unit was last, with the way there."""

from playwright.async_api import Browser, expect

from proof.browser import drawn_map, modest_window
from proof.desk import OWNER
from proof.dialogs import give_purpose
from proof.platform import until
from proof.world import World

# where the world's cameras stand
_CAMERAS = (24.94, 60.1705, 15.5)


async def test_cameras_along_a_drawn_line_open_in_order_by_key(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), view=_CAMERAS) as page:
        left, top, width, height = await drawn_map(page)
        await page.get_by_test_id("cameras-along").click()
        along = page.get_by_test_id("along")
        await expect(along).to_contain_text("0 of at least 2 points")
        # from south to north through the middle, where the cameras stand on one meridian
        for share in (0.95, 0.12):
            await page.mouse.click(left + width / 2, top + height * share)
        await expect(along).not_to_have_attribute("data-cameras", "0")
        listed = [str(await entry.get_attribute("data-camera")) for entry in await along.locator("[data-camera]").all()]
        assert len(listed) >= 2
        for place, camera_id in enumerate(listed[:2]):
            await page.keyboard.press(".")
            await expect(along).to_have_attribute("data-first", str(place))
            await page.locator(f'figure.tile[data-camera-id="{camera_id}"]').wait_for()
        await page.keyboard.press(",")
        await expect(along).to_have_attribute("data-first", "0")


async def test_a_line_is_drawn_without_a_pointer(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), view=_CAMERAS) as page:
        await drawn_map(page)
        await page.get_by_test_id("cameras-along").press("Enter")
        await expect(page.get_by_test_id("map-aim")).to_be_focused()
        along = page.get_by_test_id("along")
        # the cameras stand on the meridian under the cross
        for way, steps in (("ArrowDown", 6), ("ArrowUp", 12)):
            for _ in range(steps):
                await page.keyboard.press(way)
            await page.keyboard.press("Enter")
        await expect(along).not_to_have_attribute("data-cameras", "0")
        await page.keyboard.press(".")
        await expect(along).to_have_attribute("data-first", "0")


async def test_a_missed_units_last_fix_and_way_are_shown_with_a_purpose(furnished: World, console_browser: Browser) -> None:
    world = furnished
    unit, key = await world.unit_and_key(OWNER)
    person = await world.person(OWNER, "dispatcher", "operator")
    async with modest_window(console_browser, world, person, "/units") as page:
        places = iter(range(1000))

        async def moved() -> bool:
            url = f"{world.platform.url}/v1/osmand?id={unit.device_id}&key={key}&lat={60.1690 + next(places) * 1e-4}&lon=24.9440"
            return (await page.request.get(f"{url}&speed=2&bearing=0&accuracy=14")).ok

        for _ in range(3):
            await until(moved, every_s=0.2)
        row = page.get_by_test_id("unit-row").filter(has_text=unit.call_sign)
        await expect(row).to_contain_text("± 14 m")
        await row.get_by_test_id("unit-trail").click()
        await give_purpose(page, "Officer safety", "26-9001")
        await page.locator('[data-testid="map"][data-ready]').wait_for()
        await page.get_by_test_id("clear-trail").click()
        await page.get_by_test_id("clear-trail").wait_for(state="detached")
