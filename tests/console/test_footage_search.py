"""Somebody who crossed a street is found in the console by motion, looked at, and played at that moment."""

from datetime import timedelta
from typing import Any

from playwright.async_api import Browser, expect

from proof import footage_things
from proof.browser import pictures, window
from proof.desk import OWNER
from proof.dialogs import give_purpose
from proof.platform import until
from proof.world import World
from rtcc.video.v1 import footage_search_pb2 as pb
from rtcc_chassis.clock import utc_now


async def test_who_crossed_the_street_is_found_and_played(desk: World, console_browser: Browser) -> None:
    camera_id = await footage_things.recorded_camera(desk, OWNER, 7, "walked.mp4", footage_things.write_walk)

    async def moved() -> Any:
        request = pb.SearchFootageRequest(kinds=["motion"], camera_ids=[camera_id])
        request.starts_at.FromDatetime(utc_now() - timedelta(hours=1))
        request.ends_at.FromDatetime(utc_now())
        return (await desk.platform.ask("SearchFootage", desk.everything(OWNER), request)).leads

    await until(moved, deadline_s=90, every_s=0.5)
    person = await desk.person(OWNER, "investigator")
    async with window(console_browser, desk, person, "/search?find=footage") as page:
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
