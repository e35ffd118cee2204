"""What flies, on the map and in its list: found by hand, with model, serial number and where its operator is."""

import re

from playwright.async_api import Browser, expect

from proof.browser import modest_window
from proof.desk import OWNER
from proof.dialogs import give_purpose
from proof.world import World
from rtcc.registry.v1 import registry_pb2


async def test_a_drone_stands_in_the_list_and_its_card_says_what_it_broadcasts(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), "/air") as page:
        await page.locator('[data-testid="map"][data-ready]').wait_for()
        track_id, serial_number = await world.track(OWNER)
        row = page.locator(f'[data-testid="track-row"][data-track-id="{track_id}"]')
        await row.wait_for()
        await expect(row).to_contain_text(serial_number)
        await row.click()
        card = page.get_by_test_id("track-card")
        await expect(card).to_contain_text(serial_number)
        # no system message was broadcast: the card says so instead of guessing
        await expect(card.get_by_test_id("pilot-place")).to_contain_text("Neither pilot nor take-off point")
        await expect(card.get_by_test_id("track-height")).to_contain_text("unknown")


async def test_flights_of_the_past_are_asked_with_a_purpose_and_their_path_lies_on_the_map(
    furnished: World, console_browser: Browser
) -> None:
    world = furnished
    _, serial_number = await world.track(OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "supervisor", "operator"), "/air") as page:
        await page.get_by_role("tab", name="Flown before").click()
        await page.get_by_label("Serial number").fill(serial_number)
        await page.get_by_role("button", name="Search flights").click()
        await give_purpose(page, "Active incident", "26-0500")
        await expect(page.get_by_text(serial_number)).to_be_visible()
        await page.get_by_role("button", name="Show its path").click()
        await expect(page.get_by_test_id("problem")).to_have_count(0)


async def test_a_zone_is_drawn_corner_by_corner(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "administrator", "operator", "supervisor"), "/air") as page:
        await page.locator('[data-testid="map"][data-ready]').wait_for()
        await page.get_by_role("tab", name="Zones").click()
        await page.get_by_test_id("draw-zone").click()
        form = page.get_by_test_id("zone-form")
        await expect(form.get_by_role("button", name="Save zone")).to_be_disabled()
        box = await page.get_by_test_id("map").bounding_box()
        assert box is not None
        for corner, (x, y) in enumerate(((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6)), start=1):
            await page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
            await expect(form).to_contain_text(re.compile(rf"\b{corner}\b"))
        await form.locator("input[name=zone-name]").fill("Stadium, by hand")
        await form.get_by_role("button", name="Save zone").click()
        await expect(page.get_by_test_id("zone-row").filter(has_text="Stadium, by hand")).to_be_visible()


async def test_a_zone_is_drawn_without_a_pointer(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "administrator", "operator", "supervisor"), "/air") as page:
        await page.locator('[data-testid="map"][data-ready]').wait_for()
        await page.get_by_role("tab", name="Zones").press("Enter")
        await page.get_by_test_id("draw-zone").press("Enter")
        form, aim = page.get_by_test_id("zone-form"), page.get_by_test_id("map-aim")
        await expect(aim).to_be_focused()
        for corner, way in enumerate((None, "ArrowRight", "ArrowDown", "ArrowLeft"), start=1):
            for _ in range(3 if way else 0):
                await page.keyboard.press(str(way))
            await page.keyboard.press("Enter")
            await expect(form).to_contain_text(re.compile(rf"\b{corner}\b"))
        await page.keyboard.press("Backspace")
        await expect(form).to_contain_text("3 corners")
        await page.keyboard.press("Enter")
        await expect(form).to_contain_text("4 corners")
        await form.locator("input[name=zone-name]").fill("Stadium, by key")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("zone-row").filter(has_text="Stadium, by key")).to_be_visible()
        await expect(page.get_by_test_id("draw-zone")).to_be_focused()
    answer = await world.platform.ask("ListZones", world.everything(OWNER), registry_pb2.ListZonesRequest())
    (zone,) = [one for one in answer.zones if one.name == "Stadium, by key"]
    north_west, north_east, south_east, south_west = ((round(c.latitude_deg, 5), round(c.longitude_deg, 5)) for c in zone.area.corners)
    assert (north_west[0], south_east[0]) == (north_east[0], south_west[0])
    assert (north_west[1], north_east[1]) == (south_west[1], south_east[1])
    assert south_east[0] < north_west[0] and north_west[1] < south_east[1]
