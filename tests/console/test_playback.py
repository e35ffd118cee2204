"""What cameras showed, in the console: four in step, at every speed, scrubbed, stepped, exported, and handed to an incident."""

import asyncio
import subprocess
import sys
import time
import zipfile
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from proof import filmed, footage_things, incident_things
from proof.browser import picture, window
from proof.desk import OWNER
from proof.dialogs import give_purpose
from proof.filmed import Filmed
from proof.platform import until
from proof.world import World
from rtcc.incidents.v1 import incidents_pb2
from rtcc.ledger.v1 import ledger_pb2
from rtcc.video.v1 import footage_pb2
from rtcc_chassis.clock import utc_now
from rtcc_chassis.testing import SOAK

_VIDEOS = ".deck video"
_SPEEDS = ("0.25", "0.5", "1", "2", "4", "8", "16")
# no video is on its way to another moment than the common clock's
_ARRIVED = f"""() => {{
    const off = document.querySelector('[data-testid=playback]').dataset.offMs;
    return off !== undefined && Number(off) <= 5 && [...document.querySelectorAll('{_VIDEOS}')].every((video) => !video.seeking);
}}"""
# the videos' times, twice, half a second apart: [[clock, first, second, …], […]]
_TIMES = f"""async () => {{
    const times = () => [performance.now() / 1000, ...[...document.querySelectorAll('{_VIDEOS}')].map((video) => video.currentTime)];
    const began = times();
    await new Promise((passed) => setTimeout(passed, 500));
    return [began, times()];
}}"""


async def _numbers(page: Page, selector: str = _VIDEOS) -> list[int]:
    found: list[int] = await page.evaluate(filmed.NUMBERS, selector)
    return found


async def _open(page: Page, world: World, camera_ids: tuple[str, ...]) -> None:
    until_ms = int(utc_now().timestamp() * 1000)
    await page.goto(f"{world.platform.url}/playback?cameras={','.join(camera_ids)}&until={until_ms}")
    await give_purpose(page, "Criminal investigation", "26-0412")
    await expect(page.get_by_test_id("playback")).to_be_visible()
    await page.get_by_label("Length").select_option("5")
    await expect(page.locator(".timeline-hole").first).to_be_visible()


async def _moment(page: Page) -> int:
    return int(await page.get_by_test_id("playback").get_attribute("data-now") or 0)


async def _seek(page: Page, share: float) -> None:
    """To so much of the first camera's first recorded stretch; negative: as far before it."""
    bar, frame = await page.locator(".timeline-bar").first.bounding_box(), await page.get_by_test_id("timeline").bounding_box()
    assert bar is not None
    assert frame is not None
    await page.mouse.click(bar["x"] + bar["width"] * share, frame["y"] + 8)


async def _shown(page: Page, count: int) -> list[int]:
    """Every video has the picture of the moment, and none changes any more."""
    before: list[int] = []

    async def still() -> list[int] | None:
        arrived = await page.evaluate(_ARRIVED)
        now = await _numbers(page) if arrived else []
        same = len(now) == count and min(now) >= 0 and now == before
        before[:] = now
        return now if same else None

    found = await until(still, deadline_s=30, every_s=0.2)
    assert found is not None
    return found


@pytest.mark.timeout(400)
async def test_four_cameras_play_in_step_at_every_speed_and_by_single_pictures(desk: World, console_browser: Browser, four: Filmed) -> None:
    async with window(console_browser, desk, await desk.person(OWNER, "investigator"), "/playback") as page:
        await expect(page.get_by_text("Choose one to four cameras")).to_be_visible()
        await _open(page, desk, four.camera_ids)
        await _seek(page, 0.2)
        # The device shows the same number to all at one time. How far the recordings themselves are apart is the recorder's doing, which
        # stamps pictures as they arrive: late by some 100 ms on a loaded machine.
        still = await _shown(page, 4)
        assert filmed.pictures_apart(still) * filmed.PICTURE_MS <= 1000, still
        for key, by in ((".", 1), (".", 1), (",", -1), (",", -1), (",", -1)):
            before = (await _shown(page, 4))[0]
            await page.keyboard.press(key)

            async def stepped(wanted: int = (before + by) % filmed.PICTURES) -> bool:
                return (await _numbers(page))[0] == wanted

            await until(stepped, deadline_s=60)
        # how the player keeps them together: each against its own picture of one moment
        still = await _shown(page, 4)
        await page.keyboard.press(" ")
        spreads: list[int] = []

        async def sampled() -> bool:
            playing = await _numbers(page)
            moved = [(now - then) % filmed.PICTURES for now, then in zip(playing, still, strict=True)]
            if min(playing) >= 0 and any(moved):
                spreads.append(filmed.pictures_apart(moved) * filmed.PICTURE_MS)
            return len(spreads) >= 30

        await until(sampled, deadline_s=60, every_s=0.05)
        assert not SOAK or sorted(spreads)[len(spreads) // 2] < 100, spreads
        rates = {}
        for speed in _SPEEDS:
            await _seek(page, 0.1)
            await page.get_by_label("Speed").select_option(speed)
            rates[speed] = await _rate(page, float(speed))
        assert all(0.7 * float(speed) < rate < 1.3 * float(speed) for speed, rate in rates.items()), rates
        await expect(page.locator(".strip img").first).to_be_visible()
        await picture(page, "playback")


async def _rate(page: Page, speed: float) -> float:
    """How fast the slowest of the videos runs, in seconds of recording a second: the best of half seconds, as a loaded machine stutters."""
    best: list[float] = []

    async def fast_enough() -> bool:
        began, ended = await page.evaluate(_TIMES)
        rates = [(after - before) / (ended[0] - began[0]) for before, after in zip(began[1:], ended[1:], strict=True)]
        best.append(min(rates))
        if await page.get_by_test_id("playback").get_attribute("data-playing") == "false":
            # it came to the end meanwhile
            await _seek(page, 0.1)
            await page.get_by_test_id("play").click()
        return 0.7 * speed < best[-1] < 1.3 * speed

    await until(fast_enough, deadline_s=60, every_s=0.05)
    return best[-1]


@pytest.mark.timeout(400)
async def test_holes_are_told_and_jumped_over_and_a_part_is_handed_over(
    desk: World, console_browser: Browser, four: Filmed, tmp_path: Path
) -> None:
    async with window(console_browser, desk, await desk.person(OWNER, "investigator"), "/playback") as page:
        await page.get_by_role("combobox", name="Add a camera").wait_for()
        await _open(page, desk, four.camera_ids[:2])
        track = await page.get_by_test_id("timeline").bounding_box()
        bar = await page.locator(".timeline-bar").first.bounding_box()
        assert track is not None
        assert bar is not None
        # dragged over the hole before the recording and into it
        await page.mouse.move(bar["x"] - 20, track["y"] + 8)
        await page.mouse.down()
        tiles = page.locator(".deck figure")
        await expect(tiles.first).to_have_attribute("data-shown", "false")
        await expect(tiles.first.locator("[role=status]")).not_to_be_empty()
        await page.mouse.move(bar["x"] + bar["width"] / 2, track["y"] + 8, steps=4)
        await page.mouse.up()
        await expect(tiles.first).to_have_attribute("data-shown", "true")
        assert len(set(await _shown(page, 2))) <= 2
        # playing in a hole goes on at the next picture
        await page.mouse.click(bar["x"] - 20, track["y"] + 8)
        in_hole = await _moment(page)
        await page.get_by_test_id("play").click()
        await expect(tiles.first).to_have_attribute("data-shown", "true")
        assert await _moment(page) > in_hole + 1000
        await page.get_by_test_id("play").click()
        # a still leads to its moment; where nothing is recorded there is none
        stills = page.locator(".strip button")
        await expect(page.locator(".strip img").first).to_be_visible()
        assert await stills.first.is_disabled()
        last = page.locator(".strip button:enabled").last
        await last.click()
        assert abs(await _moment(page) - int(await last.get_attribute("data-ms") or 0)) <= 2
        await _seek(page, 0.3)
        await page.get_by_role("button", name="Mark in").click()
        await _seek(page, 0.7)
        await page.get_by_role("button", name="Mark out").click()
        await page.get_by_test_id("export").click()
        dialog = page.get_by_test_id("export-dialog")
        await dialog.locator("input[name=reason]").fill("for the prosecutor")
        await dialog.get_by_role("button", name="Make the export").click()
        await expect(dialog.locator("[data-state=READY]")).to_have_count(2, timeout=90_000)
        await picture(page, "export")
        async with page.expect_download() as saving:
            await dialog.get_by_role("button", name="Save").first.click()
        export = tmp_path / "export.zip"
        await (await saving.value).save_as(export)
    with zipfile.ZipFile(export) as archive:
        archive.extract("verify.py", tmp_path)
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify.py"), str(export)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


async def _added(world: World, incident_id: str, text: str) -> incidents_pb2.TimelineEntry:
    """The incident's entry with that text."""

    async def look() -> incidents_pb2.TimelineEntry | None:
        request = incidents_pb2.ListTimelineRequest(incident_id=incident_id)
        answer = await world.platform.ask("ListTimeline", world.everything(OWNER), request)
        return next((entry for entry in answer.entries if entry.text == text), None)

    found = await until(look, deadline_s=40, every_s=0.2)
    assert found is not None
    return found


async def _photo(world: World, entry: incidents_pb2.TimelineEntry) -> bytes:
    request = incidents_pb2.GetIncidentPhotoRequest(incident_id=entry.incident_id, photo_id=entry.photo.photo_id)
    return bytes((await world.platform.ask("GetIncidentPhoto", world.everything(OWNER), request)).jpeg)


# R18, R28
@pytest.mark.timeout(400)
async def test_a_picture_goes_to_the_incident_with_its_purpose_and_the_way_back(
    desk: World, console_browser: Browser, four: Filmed
) -> None:
    world = desk
    incident_id = await incident_things.incident(world, OWNER)
    camera_id = four.camera_ids[0]
    person = await world.person(OWNER, "operator", "supervisor")
    async with window(console_browser, world, person, "/playback") as page:
        await page.get_by_role("combobox", name="Add a camera").wait_for()
        await _open(page, world, (camera_id,))
        await _seek(page, 0.5)
        (number,) = await _shown(page, 1)
        moment_ms = await _moment(page)
        await page.keyboard.press("b")
        dialog = page.get_by_test_id("to-incident-dialog")
        await expect(dialog.get_by_test_id("moment-picture")).to_be_visible()
        await dialog.locator("select[name=incident]").select_option(incident_id)
        await dialog.locator("textarea[name=note]").fill("She gets off here")
        await picture(page, "to-incident")
        await dialog.get_by_role("button", name="Add to the incident").click()
        await dialog.wait_for(state="detached")
        entry = await _added(world, incident_id, "She gets off here")
        assert entry.kind == "photo"
        assert entry.photo.taken_from.camera_id == camera_id
        from_ms = getattr(entry.photo.taken_from, "from").ToMilliseconds()
        assert from_ms <= moment_ms < entry.photo.taken_from.until.ToMilliseconds()
        # the very picture that was on the screen
        assert filmed.number_of(await _photo(world, entry)) == number

        # from a live tile
        await page.goto(f"{world.platform.url}/map")
        await page.locator('[data-testid="map"][data-ready]').wait_for()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("Numbers 1")
        await page.keyboard.press("Enter")
        await page.locator(f'[data-testid="dock"] figure[data-camera-id="{camera_id}"][data-state="live"]').hover()
        await page.get_by_role("button", name="Numbers 1 to the incident").click()
        await dialog.locator("select[name=incident]").select_option(incident_id)
        await dialog.locator("textarea[name=note]").fill("Sits on the bench now")
        await dialog.get_by_role("button", name="Add to the incident").click()
        await give_purpose(page, "Missing person", "26-0413")
        await dialog.wait_for(state="detached")
        live = await _added(world, incident_id, "Sits on the bench now")
        assert filmed.number_of(await _photo(world, live)) < filmed.PICTURES
        assert abs(live.occurred_at.ToMilliseconds() - time.time() * 1000) < 60_000

        # the way back
        await page.goto(f"{world.platform.url}/incident/{incident_id}")
        shown = page.locator(f'[data-testid="entry"][data-entry-id="{entry.entry_id}"]')
        await expect(shown.locator("img")).to_be_visible()
        await shown.get_by_test_id("play-moment").click()
        await give_purpose(page, "Missing person", "26-0413")
        await expect(page.get_by_test_id("playback")).to_be_visible()
        assert abs(await _moment(page) - from_ms) <= 2

    # who took it out, of which camera and why, stands in the log
    def reasons(entries: list[ledger_pb2.AuditEntry]) -> set[tuple[str, str]]:
        return {(entry.purpose, entry.case_number) for entry in entries if entry.action == "incident.add_photo"}

    wanted = {("Criminal investigation", "26-0412"), ("Missing person", "26-0413")}
    assert reasons(await world.logged(OWNER, f"camera:{camera_id}", lambda entries: reasons(entries) >= wanted)) == wanted


async def test_recordings_are_read_by_byte_ranges(desk: World, four: Filmed) -> None:
    """RFC 9110, 14."""
    world, camera_id = desk, four.camera_ids[0]
    segment = await footage_things.wait_for_footage(world, OWNER, camera_id)
    url = f"{world.platform.url}/v1/cameras/{camera_id}/footage/media/{segment.segment_id}"
    reasons = {"Rtcc-Purpose": "investigation", "Rtcc-Case-Number": "26-0412"}
    request = footage_pb2.ListFootageRequest(camera_id=camera_id)
    request.starts_at.FromDatetime(utc_now() - timedelta(minutes=5))
    request.ends_at.FromDatetime(utc_now())
    size = next(
        one.bytes
        for one in (await world.platform.ask("ListFootage", world.everything(OWNER), request)).segments
        if one.segment_id == segment.segment_id
    )
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        await world.sign_in(client, await world.person(OWNER, "investigator"))

        async def read(asked: str = "") -> tuple[int, str, bytes]:
            headers = reasons | ({"Range": asked} if asked else {})
            async with client.get(url, headers=headers) as answer:
                assert answer.headers["Accept-Ranges"] == "bytes"
                return answer.status, answer.headers.get("Content-Range", ""), await answer.read()

        status, _, whole = await read()
        assert (status, len(whole)) == (200, size)
        assert await read("bytes=0-99") == (206, f"bytes 0-99/{size}", whole[:100])
        assert await read(f"bytes={size - 10}-") == (206, f"bytes {size - 10}-{size - 1}/{size}", whole[-10:])
        assert await read("bytes=-16") == (206, f"bytes {size - 16}-{size - 1}/{size}", whole[-16:])
        assert await read(f"bytes=10-{size + 999}") == (206, f"bytes 10-{size - 1}/{size}", whole[10:])
        status, told, _ = await read(f"bytes={size}-")
        assert (status, told) == (416, f"bytes */{size}")
        for unusable in ("bytes=0-1,5-6", "bytes=9-2", "seconds=1-2"):
            assert await read(unusable) == (200, "", whole)
