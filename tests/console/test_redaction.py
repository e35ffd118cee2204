"""A redacted copy of an export, in the console: drawn by pointer and by key, made, saved, and checked by the program in it (R28)."""

import asyncio
import subprocess
import sys
import zipfile
from pathlib import Path

from playwright.async_api import Browser, expect

from proof import footage_things
from proof.browser import modest_window, pictures
from proof.desk import OWNER
from proof.dialogs import give_purpose
from proof.platform import until
from proof.world import World


async def test_a_part_of_the_picture_is_hidden_in_a_copy(desk: World, console_browser: Browser, tmp_path: Path) -> None:
    original = await footage_things.exported(desk, OWNER)
    person = await desk.person(OWNER, "investigator")
    async with modest_window(console_browser, desk, person, "/exports") as page:
        rows = page.get_by_test_id("export")
        await expect(rows.first).to_be_visible()
        before = await rows.filter(has_text="Redacted copy").count()
        await page.goto(f"{desk.platform.url}/exports/{original}/redact")
        await give_purpose(page, "Public records request", "26-0413")
        stage = page.get_by_test_id("stage")
        await expect(stage).to_be_visible()
        make = page.get_by_role("button", name="Make the redacted copy")
        await expect(make).to_be_disabled()

        async def pictured() -> bool:
            return bool(await page.evaluate("document.querySelector('.redaction-stage video').videoWidth > 0"))

        await until(pictured, deadline_s=60)
        frame = await stage.bounding_box()
        assert frame is not None
        await page.mouse.move(frame["x"] + frame["width"] * 0.1, frame["y"] + frame["height"] * 0.2)
        await page.mouse.down()
        await page.mouse.move(frame["x"] + frame["width"] * 0.3, frame["y"] + frame["height"] * 0.4, steps=4)
        await page.mouse.up()
        await page.get_by_test_id("add-region").click()
        boxes = page.get_by_test_id("redaction-box")
        await expect(boxes).to_have_count(2)
        drawn = await boxes.first.bounding_box()
        assert drawn is not None
        assert abs(drawn["x"] - frame["x"] - frame["width"] * 0.1) < 4
        assert abs(drawn["height"] - frame["height"] * 0.2) < 6

        # a second later it is elsewhere: it moves by key, and shows two places
        await page.get_by_label("Time").focus()
        for _ in range(20):
            await page.keyboard.press("ArrowRight")
        await boxes.nth(1).focus()
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("Shift+ArrowDown")
        await expect(page.get_by_test_id("region").nth(1)).to_contain_text("2 places")
        await page.get_by_test_id("region").first.get_by_role("button", name="Ends here").click()
        await pictures(page, "redact", (390, 1440))
        await page.locator("select[name=mode]").select_option(label="everything but the regions")
        await pictures(page, "redact-outside")
        await page.locator("select[name=style]").select_option(label="one colour")
        await page.locator("input[name=reason]").fill("the rest is nobody's business")
        await make.click()
        await expect(page.get_by_role("heading", name="Exports")).to_be_visible()

        copies = rows.filter(has_text="Redacted copy")
        await expect(copies).to_have_count(before + 1, timeout=90_000)
        await expect(copies.first).to_contain_text("the rest is nobody's business")
        await pictures(page, "exports")
        async with page.expect_download() as saving:
            await copies.first.get_by_role("button", name="Save").click()
        export = tmp_path / "copy.zip"
        await (await saving.value).save_as(export)
    with zipfile.ZipFile(export) as archive:
        archive.extract("verify.py", tmp_path)
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify.py"), str(export)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"made from the export {original}" in done.stdout, done.stdout
