"""Somebody who crossed a street is found in the console by motion, looked at, and played at that moment."""

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from proof import footage_things
from proof.browser import modest_window, pictures
from proof.desk import OWNER
from proof.dialogs import give_purpose
from proof.platform import until
from proof.world import World
from rtcc.video.v1 import footage_search_pb2 as pb
from rtcc_chassis.clock import utc_now


async def found_in_footage(desk: World, camera_id: str, kind: str) -> None:
    """Waits until the search has something of that kind in the camera's recording."""

    async def leads() -> Any:
        request = pb.SearchFootageRequest(kinds=[kind], camera_ids=[camera_id])
        request.starts_at.FromDatetime(utc_now() - timedelta(hours=1))
        request.ends_at.FromDatetime(utc_now())
        return (await desk.platform.ask("SearchFootage", desk.everything(OWNER), request)).leads

    await until(leads, deadline_s=90, every_s=0.5)


async def test_who_crossed_the_street_is_found_and_played(desk: World, console_browser: Browser) -> None:
    camera_id = await footage_things.recorded_camera(desk, OWNER, 7, "walked.mp4", footage_things.write_walk)

    await found_in_footage(desk, camera_id, "motion")
    person = await desk.person(OWNER, "investigator")
    async with modest_window(console_browser, desk, person, "/search?find=footage") as page:
        await page.get_by_label("Where").select_option(camera_id)
        await page.get_by_test_id("footage-search").click()
        await give_purpose(page, "Criminal investigation", "26-0412")
        leads = page.get_by_test_id("leads")
        await expect(leads).to_contain_text("not proof")
        lead = page.get_by_test_id("lead").first
        await expect(lead.locator("img")).to_be_visible()
        assert await lead.locator("img").evaluate("image => image.naturalWidth") == 320
        await pictures(page, "footage-search", (390, 1600))
        await lead.get_by_role("button").click()
        deck = page.get_by_test_id("playback")
        await expect(deck).to_be_visible()
        # near the moment of the lead, and not at the start of the recording
        assert "until=" in page.url
        strip = page.get_by_test_id("motion")
        await expect(strip.locator(".motion-stretch").first).to_be_visible()
        stretch = strip.locator(".motion-stretch:not([data-scene])").first
        await pictures(page, "motion-strip", (390, 1600))
        track = await page.get_by_test_id("timeline").bounding_box()
        assert track is not None
        await page.mouse.click(track["x"] + 2, track["y"] + 8)
        before = int(await deck.get_attribute("data-now") or 0)
        await page.keyboard.press("j")

        async def jumped() -> bool:
            return int(await deck.get_attribute("data-now") or 0) > before + 1000

        await until(jumped)
        await page.get_by_label("How much motion").select_option("All motion")
        await expect(stretch).to_be_visible()


async def test_what_the_model_saw_is_found_by_kind_and_colour_and_shown_where_it_was(desk: World, console_browser: Browser) -> None:
    camera_id = await footage_things.recorded_camera(desk, OWNER, 8, "coloured.mp4", footage_things.write_coloured)

    await found_in_footage(desk, camera_id, "person")
    person = await desk.person(OWNER, "investigator")
    async with modest_window(console_browser, desk, person, "/search?find=footage") as page:
        await page.get_by_label("What", exact=True).select_option("Whatever the model saw")
        await page.get_by_label("Where").select_option(camera_id)
        await page.get_by_test_id("footage-search").click()
        await give_purpose(page, "Criminal investigation", "26-0413")
        leads = page.get_by_test_id("leads")
        await expect(leads).to_contain_text("not proof")
        await expect(leads).to_contain_text(re.compile(r"A model looked at [1-9]\d* of \d+ key pictures"))
        for told in ("Person, red", "Vehicle, blue"):
            await expect(page.get_by_test_id("lead").filter(has_text=told).first).to_be_visible()
        # the model's own words can be asked for now
        await page.get_by_label("What", exact=True).select_option("Vehicle")
        await page.get_by_label("Colour").select_option("blue")
        await page.get_by_test_id("footage-search").click()
        await expect(page.get_by_test_id("lead").filter(has_text="Person")).to_have_count(0)
        lead = page.get_by_test_id("lead").filter(has_text="Vehicle, blue").first
        await expect(lead.locator("img")).to_be_visible()
        picture, box = await lead.locator("img").bounding_box(), await lead.locator(".lead-box").bounding_box()
        assert picture is not None and box is not None
        middle = (
            (box["x"] + box["width"] / 2 - picture["x"]) / picture["width"],
            (box["y"] + box["height"] / 2 - picture["y"]) / picture["height"],
        )
        assert middle == pytest.approx((0.625, 0.625), abs=0.06), "the box stands on the blue square"
        await pictures(page, "model-leads", (390, 1600))
        # red is no colour of a vehicle here
        await page.get_by_label("Colour").select_option("red")
        await page.get_by_test_id("footage-search").click()
        await expect(leads).to_have_attribute("data-count", "0")
        await page.get_by_label("Colour").select_option("blue")
        await page.get_by_test_id("footage-search").click()
        await lead.get_by_role("button").click()
        await expect(page.get_by_test_id("playback")).to_be_visible()
        assert "at=" in page.url
