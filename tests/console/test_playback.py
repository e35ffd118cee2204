"""What cameras showed, in the console: two in step, scrubbed, stepped, marked, exported, and checked by the program in the export."""

import asyncio
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from proof import footage_things
from proof.browser import window
from proof.desk import OWNER
from proof.platform import until
from proof.world import World
from rtcc_chassis.clock import utc_now

# the pictures that somebody looks at are kept where this says
_APART_MS = """() => {
    const times = [...document.querySelectorAll('.deck video')].map((video) => video.currentTime);
    return 1000 * Math.abs(times[0] - times[1]);
}"""
_SHOTS = os.environ.get("RTCC_SHOTS", "")


async def give_purpose(page: Page) -> None:
    dialog = page.get_by_test_id("purpose-dialog")
    await dialog.locator("input[name=purpose]").fill("Criminal investigation")
    await dialog.locator("input[name=case_number]").fill("26-0412")
    await page.get_by_test_id("purpose-submit").click()


async def shot(page: Page, name: str) -> None:
    if _SHOTS:
        for theme in ("dark", "day"):
            await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            await page.screenshot(path=f"{_SHOTS}/{name}-{theme}.png")


async def test_two_cameras_play_in_step_and_a_part_is_handed_over(desk: World, console_browser: Browser, tmp_path: Path) -> None:
    cameras = [await footage_things.recorded_camera(desk, OWNER, number) for number in range(2)]
    for camera_id in cameras:
        await footage_things.wait_for_footage(desk, OWNER, camera_id, seconds=16)
    person = await desk.person(OWNER, "investigator")
    until_ms = int(utc_now().timestamp() * 1000)
    path = f"/playback?cameras={','.join(cameras)}&until={until_ms}"
    async with window(console_browser, desk, person, "/playback") as page:
        await expect(page.get_by_text("Choose one to four cameras")).to_be_visible(timeout=20_000)
        await page.goto(desk.platform.url + path)
        await give_purpose(page)
        deck = page.get_by_test_id("playback")
        await expect(deck).to_be_visible()
        await page.get_by_label("Length").select_option("5")
        await expect(page.locator(".timeline-hole").first).to_be_visible()
        await page.get_by_test_id("play").click()

        async def moved() -> bool:
            times = await page.evaluate("[...document.querySelectorAll('.deck video')].map(v => [v.currentTime, v.videoWidth])")
            return len(times) == 2 and all(at > 0 and width == 160 for at, width in times)

        await until(moved, deadline_s=30)
        spreads = []

        async def sampled() -> bool:
            spreads.append(await page.evaluate(_APART_MS))
            return len(spreads) >= 20

        await until(sampled, deadline_s=20, every_s=0.1)
        # pictures are 100 ms long here: the clocks of the two elements are what is compared
        assert sorted(spreads)[len(spreads) // 2] < 100, spreads
        await page.get_by_label("Speed").select_option("4")
        before = int(await deck.get_attribute("data-now") or 0)
        await until(lambda: _past(page, before + 3000), deadline_s=20)
        await page.get_by_test_id("step").click()
        assert await deck.get_attribute("data-playing") == "false"
        await page.get_by_role("button", name="Mark out").click()
        track = page.get_by_test_id("timeline")
        bar = page.locator(".timeline-bar").first
        box, frame = await bar.bounding_box(), await track.bounding_box()
        assert box is not None
        assert frame is not None
        await page.mouse.click(box["x"] + box["width"] * 0.2, frame["y"] + 8)
        await page.get_by_role("button", name="Mark in").click()
        await expect(page.locator(".strip img").first).to_be_visible(timeout=20_000)
        await shot(page, "playback")
        await page.get_by_test_id("export").click()
        dialog = page.get_by_test_id("export-dialog")
        await dialog.locator("input[name=reason]").fill("for the prosecutor")
        await dialog.get_by_role("button", name="Make the export").click()
        await expect(dialog.locator("[data-state=READY]")).to_have_count(2, timeout=30_000)
        await shot(page, "export")
        async with page.expect_download() as saving:
            await dialog.get_by_role("button", name="Save").first.click()
        export = tmp_path / "export.zip"
        await (await saving.value).save_as(export)
    with zipfile.ZipFile(export) as archive:
        archive.extract("verify.py", tmp_path)
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify.py"), str(export)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


async def _past(page: Page, ms: int) -> bool:
    return int(await page.get_by_test_id("playback").get_attribute("data-now") or 0) > ms
