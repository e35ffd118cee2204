"""Recorded sound in the console: for who may hear it, when it is switched on, at speeds at which it can be understood, of one camera."""

import json
from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from proof.browser import picture, window
from proof.desk import OWNER
from proof.dialogs import give_purpose
from proof.filmed import Filmed
from proof.platform import until
from proof.world import World
from rtcc.ledger.v1 import ledger_pb2
from rtcc.video.v1 import footage_pb2
from rtcc_chassis.clock import utc_now
from rtcc_demo.rtsp_sound import TONE_HZ

# the loudest frequency of what the page's own element gives out, and how far it is from the moment that is shown, ms
_LISTEN = """async () => {
    const [element, deck] = [document.querySelector('[data-testid=sound]'), document.querySelector('[data-testid=playback]')];
    if (!element || element.readyState < 3 || element.paused) return null;
    window.ears ??= {context: new AudioContext(), heard: new WeakMap()};
    const {context, heard} = window.ears;
    if (!heard.has(element)) {
        const analyser = context.createAnalyser();
        analyser.fftSize = 8192;
        context.createMediaElementSource(element).connect(analyser).connect(context.destination);
        heard.set(element, analyser);
        await context.resume();
        return null;
    }
    const analyser = heard.get(element), levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const loudest = levels.indexOf(Math.max(...levels));
    const picture = document.querySelector('.deck video');
    return {hz: loudest * context.sampleRate / analyser.fftSize, level: levels[loudest], rate: element.playbackRate,
            apart_ms: 1000 * Math.abs(element.currentTime - picture.currentTime), muted: element.muted, now: Number(deck.dataset.now)};
}"""


async def _open(page: Page, world: World, camera_ids: tuple[str, ...]) -> None:
    until_ms = int(utc_now().timestamp() * 1000)
    await page.goto(f"{world.platform.url}/playback?cameras={','.join(camera_ids)}&until={until_ms}")
    await give_purpose(page, "Criminal investigation", "26-0412")
    await page.get_by_label("Length").select_option("5")
    await expect(page.locator(".timeline-hole").first).to_be_visible()


@pytest.mark.timeout(400)
async def test_sound_is_heard_when_switched_on_and_at_speeds_for_which_it_was_meant(
    desk: World, console_browser: Browser, four: Filmed
) -> None:
    cameras = four.camera_ids[:2]
    await until(lambda: _sounding(desk, cameras[0]), deadline_s=60, every_s=0.5)
    async with window(console_browser, desk, await desk.person(OWNER, "investigator"), "/playback") as page:
        fetched: list[str] = []
        page.on("request", lambda request: fetched.append(request.url) if "/footage/sound/" in request.url else None)
        await _open(page, desk, cameras)
        switch = page.get_by_role("button", name="Sound of Numbers 1")
        await expect(switch).to_have_attribute("aria-pressed", "false")
        # a camera without a microphone has no switch
        await expect(page.get_by_role("button", name="Sound of Numbers 2")).to_have_count(0)
        await page.get_by_test_id("play").click()
        await expect(page.get_by_test_id("playback")).to_have_attribute("data-playing", "true")
        assert not fetched, "nobody has asked for sound"
        await switch.click()
        await expect(switch).to_have_attribute("aria-pressed", "true")

        async def heard() -> dict[str, float] | None:
            told: dict[str, float] | None = await page.evaluate(_LISTEN)
            if await page.get_by_test_id("playback").get_attribute("data-playing") == "false":
                await page.get_by_test_id("play").click()
            in_step = told is not None and told["level"] > -60 and told["apart_ms"] < 150
            return told if in_step and told is not None and abs(told["hz"] - TONE_HZ) < 15 else None

        told = await until(heard, deadline_s=40, every_s=0.2)
        assert told is not None and not told["muted"]
        assert not any(cameras[1] in url for url in fetched)
        # the pictures stay without sound of their own
        assert await page.evaluate("[...document.querySelectorAll('.deck video')].every((video) => video.muted)")
        await picture(page, "playback-sound")
        await page.get_by_label("Speed").select_option("4")
        await expect(page.get_by_test_id("sound")).to_have_count(0)
        await page.get_by_label("Speed").select_option("1")
        await expect(page.get_by_test_id("sound")).to_have_count(1)
        await switch.click()
        await expect(page.get_by_test_id("sound")).to_have_count(0)
    # who heard it stands in the log, with the segments
    request = ledger_pb2.ListAccessesRequest(object_id=f"camera:{cameras[0]}", limit=200)

    async def written() -> bool:
        entries = (await desk.platform.ask("ListAccesses", desk.everything(OWNER), request)).entries
        listened = [one.entry for one in entries if one.entry.action == "footage.listen"]
        return any(name.startswith("segment:") for entry in listened for name in entry.object_ids)

    await until(written, deadline_s=30)


async def test_who_may_only_see_finds_no_switch_and_gets_no_export_with_sound(desk: World, console_browser: Browser, four: Filmed) -> None:
    await until(lambda: _sounding(desk, four.camera_ids[0]), deadline_s=60, every_s=0.5)
    async with window(console_browser, desk, await desk.person(OWNER, "operator"), "/playback") as page:
        await _open(page, desk, four.camera_ids[:1])
        await expect(page.get_by_test_id("playback")).to_be_visible()
        await expect(page.get_by_role("button", name="Sound of Numbers 1")).to_have_count(0)
    async with window(console_browser, desk, await desk.person(OWNER, "investigator"), "/playback") as page:
        await _open(page, desk, four.camera_ids[:1])
        bar, frame = await page.locator(".timeline-bar").first.bounding_box(), await page.get_by_test_id("timeline").bounding_box()
        assert bar is not None and frame is not None
        for share, mark in ((0.6, "Mark in"), (0.9, "Mark out")):
            await page.mouse.click(bar["x"] + bar["width"] * share, frame["y"] + 8)
            await page.get_by_role("button", name=mark).click()
        await page.get_by_test_id("export").click()
        tick = page.get_by_label("With the recorded sound")
        await expect(tick).not_to_be_checked()
        await tick.check()
        await page.get_by_label("Reason").fill("for court")
        async with page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/exports")) as asked:
            await page.get_by_role("button", name="Make the export").click()
        assert json.loads((await asked.value).post_data or "{}")["with_sound"] is True
        await expect(page.get_by_test_id("export-row")).to_have_attribute("data-state", "READY", timeout=90_000)


async def _sounding(world: World, camera_id: str) -> bool:
    """Most of what was recorded last has sound."""
    request = footage_pb2.ListFootageRequest(camera_id=camera_id)
    request.starts_at.FromDatetime(utc_now() - timedelta(minutes=5))
    request.ends_at.FromDatetime(utc_now())
    segments = (await world.platform.ask("ListFootage", world.everything(OWNER), request)).segments
    return len(segments) > 3 and sum(bool(segment.sound_bytes) for segment in segments[-4:]) == 4
