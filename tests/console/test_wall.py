"""Many cameras on one screen: walls arranged by key and by drag, fed from the map's window and by alerts, read by everybody."""

import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from proof import live_cameras, wall_things
from proof.browser import picture, pictures, window
from proof.desk import OWNER, PARTNER
from proof.dialogs import give_purpose
from proof.platform import until
from proof.world import World
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import video_pb2, wall_pb2

SMALL_WIDTH, LARGE_WIDTH = live_cameras.SMALL_PX[0], live_cameras.LARGE_PX[0]


def place(page: Page, cell: int) -> Locator:
    return page.locator(f'[data-testid="wall-place"][data-cell="{cell}"]')


def tile(page: Page, cell: int, camera_id: str) -> Locator:
    return place(page, cell).locator(f'figure[data-camera-id="{camera_id}"]')


async def plays(shown: Locator, width_px: int = 0) -> None:
    """It is live, its pictures go on, and (unless 0) are so many pixels wide."""
    await expect(shown).to_have_attribute("data-state", "live")
    video = shown.locator("video")
    script = "video => [video.getVideoPlaybackQuality().totalVideoFrames, video.videoWidth]"
    before: Any = await video.evaluate(script)

    async def went_on() -> bool:
        frames, width = await video.evaluate(script)
        return bool(frames > before[0] + 3 and (not width_px or width == width_px))

    await until(went_on, deadline_s=30)


@pytest.mark.timeout(400)
async def test_a_wall_is_filled_by_search_from_the_map_and_by_key_and_everybody_gets_it(
    desk: World, console_browser: Browser, tmp_path: Path
) -> None:
    world = desk
    async with live_cameras.device(tmp_path) as server:
        gate, yard, quay = [await live_cameras.live_camera(world, OWNER, server, f"{name} camera") for name in ("Gate", "Yard", "Quay")]
        async with window(console_browser, world, await world.person(OWNER, "operator"), "/wall") as page:
            await page.get_by_test_id("new-wall").click()
            dialog = page.get_by_test_id("new-wall-dialog")
            await dialog.locator("input[name=name]").fill("Lobby, left screen")
            await dialog.locator("select[name=tiles]").select_option("9")
            await dialog.get_by_role("button", name="Make it").click()
            await page.get_by_role("link", name="Lobby, left screen").click()
            # the keyboard alone: search, place, go on to the next tile
            await place(page, 0).wait_for()
            await page.keyboard.press("/")
            await page.keyboard.type("gate")
            await page.keyboard.press("Enter")
            await page.get_by_role("combobox", name="Camera for tile 2").fill("yard")
            await page.keyboard.press("Enter")
            await page.keyboard.press("Escape")
            await plays(tile(page, 0, gate), LARGE_WIDTH)
            await page.keyboard.press("l")
            await plays(tile(page, 0, gate), SMALL_WIDTH)
            # larger than 480 px: the whole stream; small again: the smaller one
            await place(page, 0).focus()
            await page.keyboard.press("Enter")
            await plays(tile(page, 0, gate), LARGE_WIDTH)
            await page.keyboard.press("Escape")
            await plays(tile(page, 0, gate), SMALL_WIDTH)
            await page.keyboard.press("Shift+ArrowDown")
            await plays(tile(page, 4, gate))
            await page.keyboard.press("+")
            await expect(place(page, 4)).to_have_attribute("style", "grid-area: 2 / 1 / span 2 / span 2;")

            other = await page.context.new_page()
            await other.goto(f"{world.platform.url}/map")
            await other.locator('[data-testid="map"][data-ready]').wait_for()
            await other.keyboard.press("Control+k")
            await other.keyboard.type("Quay camera")
            await other.keyboard.press("Enter")
            await plays(other.locator(f'[data-testid="dock"] [data-camera-id="{quay}"]'))
            await other.keyboard.press("w")
            await expect(other.locator(".notices")).to_contain_text("On the wall Lobby, left screen, tile 1.")
            await plays(tile(page, 0, quay))
            # the map's selection again changes nothing: a camera stands on a wall once
            await page.keyboard.press("Delete")
            await place(page, 0).focus()
            await page.keyboard.press("Delete")
            await expect(tile(page, 0, quay)).to_have_count(0)
            await page.keyboard.press("m")
            await plays(tile(page, 0, quay))
            await place(page, 0).drag_to(place(page, 15))
            await plays(tile(page, 15, quay))
            await page.keyboard.press("a")
            await expect(page.locator('[data-follows="true"]')).to_have_count(1)
            await page.get_by_test_id("undo-wall").click()
            await expect(page.locator("figure.tile")).to_have_count(0)
            await page.keyboard.press("m")
            await plays(tile(page, 0, quay))
            await page.keyboard.press("s")
            await expect(page.locator(".notices").last).to_contain_text("The wall is saved.")
            address = page.url
        async with window(
            console_browser, world, await world.person(OWNER, "dispatcher"), address.removeprefix(world.platform.url)
        ) as page:
            await plays(tile(page, 0, quay))
            assert yard not in await page.content()


@pytest.mark.timeout(400)
async def test_tiles_say_in_what_state_they_are_and_why(desk: World, console_browser: Browser, tmp_path: Path) -> None:
    world = desk
    async with AsyncExitStack() as switched_on:
        server = await switched_on.enter_async_context(live_cameras.device(tmp_path))
        camera = await live_cameras.live_camera(world, OWNER, server, "Flapping camera")
        theirs = await live_cameras.live_camera(world, PARTNER, server, "Hillside camera")
        await world.agreement(PARTNER, OWNER, camera_ids=[theirs], cameras_live=True)
        slots = [wall_pb2.WallSlot(cell=cell, span=1, camera_id=camera_id) for cell, camera_id in enumerate((camera, theirs))]
        wall_id = await wall_things.saved_wall(world, OWNER, "States", 4, slots)
        async with window(console_browser, world, await world.person(OWNER, "operator"), f"/wall/{wall_id}") as page:
            # without its purpose a partner's camera stays forbidden, and says so
            dialog = page.get_by_test_id("purpose-dialog")
            await dialog.get_by_role("button", name="Cancel").click()
            partner = tile(page, 1, theirs)
            await expect(partner).to_have_attribute("data-state", "forbidden")
            await expect(partner.locator("[role=status]")).to_have_text("Hillside camera: forbidden. Not done: a purpose was not given.")
            await partner.get_by_role("button", name="Try again").click()
            await give_purpose(page, "stolen vehicle", "26-0412")
            await plays(partner)
            shown = tile(page, 0, camera)
            await plays(shown)
            assert await shown.locator("[role=status]").text_content() == ""
            await switched_on.aclose()
            await expect(shown).to_have_attribute("data-state", "stalled")
            await expect(shown.get_by_test_id("picture-age")).to_contain_text("s old")
            await expect(shown.locator("[role=status]")).to_contain_text("Flapping camera: stalled.")
            await picture(page, "wall-stalled")
            await expect(shown).to_have_attribute("data-state", "reconnecting")
            await expect(shown.get_by_test_id("picture-age")).to_contain_text("s old")
            async with live_cameras.device(tmp_path, server.port):
                await plays(shown)
                await expect(shown.locator("[role=status]")).to_have_text("Flapping camera is live again")
                # nobody sees what lies under an enlarged tile: after 10 s its pictures aren't asked for
                await shown.hover()
                await shown.get_by_role("button", name="Enlarge Flapping camera").click()
                await expect(partner).to_have_attribute("data-state", "paused")
                await plays(shown)
                await page.keyboard.press("Escape")
                await plays(partner)


@pytest.mark.timeout(400)
async def test_tiles_that_follow_alerts_show_the_best_camera_of_the_newest(desk: World, console_browser: Browser, tmp_path: Path) -> None:
    world = desk
    async with live_cameras.device(tmp_path) as server:
        # where the gunshots of these tests are heard
        best = await live_cameras.live_camera(world, OWNER, server, "Best camera", at=(60.1699, 24.9384))
        wall_id = await wall_things.saved_wall(world, OWNER, "Alerts", 1, [wall_pb2.WallSlot(cell=0, span=1, follow_alerts=True)])
        async with window(console_browser, world, await world.person(OWNER, "operator"), f"/wall/{wall_id}") as page:
            await place(page, 0).wait_for()
            alert_id = await world.alert(OWNER)
            alert = await world.alert_where(OWNER, lambda one: one.alert_id == alert_id)
            assert alert.context.cameras[0].camera_id == best
            await plays(tile(page, 0, best))
            await expect(place(page, 0)).to_contain_text(alert.title)
            await expect(page.get_by_test_id("wall-strip")).to_contain_text(alert.title)


# what a video shows, in few digits
_PAINTED = """video => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [16, 9];
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0, 16, 9);
    return context.getImageData(0, 0, 16, 9).data.join();
}"""
_END = "path => fetch(path, {method: 'DELETE', headers: {'Rtcc-Request': '1'}})"


async def _is_wide(video: Locator, wide_px: int) -> bool:
    return bool(await video.evaluate("video => video.videoWidth") == wide_px)


# no candidate of the relay reaches the browser: as behind a firewall that lets HTTPS through alone
_NO_MEDIA = """() => {
    const set = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function (told) {
        return set.call(this, {type: told.type, sdp: told.sdp.replace(/^a=candidate:.*\\r\\n/gm, '')});
    };
}"""


_NO_PLAYER = "delete window.MediaSource; delete window.ManagedMediaSource;"


# R16
@pytest.mark.timeout(400)
async def test_where_no_webrtc_comes_through_cameras_play_over_https_or_as_stills_until_the_right_ends(
    desk: World, console_browser: Browser, tmp_path: Path
) -> None:
    world = desk
    async with live_cameras.device(tmp_path) as server:
        theirs = await live_cameras.live_camera(world, PARTNER, server, "Far camera")
        agreement_id = await world.agreement(PARTNER, OWNER, camera_ids=[theirs], cameras_live=True)
        shown = [wall_pb2.WallSlot(cell=0, span=1, camera_id=theirs)]
        wall_id = await wall_things.saved_wall(world, OWNER, "Behind a firewall", 1, shown)
        person = await world.person(OWNER, "operator")
        async with window(console_browser, world, person, "/wall") as page, window(console_browser, world, person, "/wall") as old:
            for one, script in ((page, f"({_NO_MEDIA})()"), (old, f"({_NO_MEDIA})(); {_NO_PLAYER}")):
                await one.add_init_script(script)
                await one.goto(f"{world.platform.url}/wall/{wall_id}")
                await give_purpose(one, "stolen vehicle", "26-0412")
            live = tile(page, 0, theirs)
            await expect(live).to_have_attribute("data-way", "https")
            await expect(live).to_have_attribute("data-state", "live")
            mark = live.get_by_text("HTTPS", exact=True)
            await expect(mark).to_be_visible()
            await expect(mark).to_have_attribute("title", re.compile(r"about \d\.\d s behind"))
            painted: set[str] = set()

            async def moves() -> bool:
                painted.add(await live.get_by_test_id("over-https").evaluate(_PAINTED))
                return len(painted) >= 5

            await until(moves, deadline_s=30)
            # its view ends, as with a relay that goes: it opens another one, and the picture goes on
            watching = await world.platform.ask("ListViewers", world.everything(PARTNER), video_pb2.ListViewersRequest())
            ended = [viewer.viewer_id for viewer in watching.viewers if viewer.camera_id == theirs]
            assert ended
            frames = [int(await live.get_attribute("data-frames") or 0)]
            for viewer_id in ended:
                await page.evaluate(_END, f"/v1/cameras/{theirs}/viewers/{viewer_id}")

            async def goes_on() -> bool:
                frames.append(int(await live.get_attribute("data-frames") or 0))
                return frames[-1] > frames[0] + 45

            await until(goes_on, deadline_s=30)
            await expect(live).to_have_attribute("data-state", "live")
            print("over HTTPS:", await mark.get_attribute("title"))
            await pictures(page, "wall-over-https")
            # a small picture is the smaller stream
            over_https = live.get_by_test_id("over-https")
            for width, wide_px in ((470, SMALL_WIDTH), (1600, LARGE_WIDTH)):
                await page.set_viewport_size({"width": width, "height": 1000})
                await until(lambda wide_px=wide_px: _is_wide(over_https, wide_px), deadline_s=30)

            far = tile(old, 0, theirs)
            await expect(far).to_have_attribute("data-state", "stills")
            still = far.get_by_test_id("still")
            seen: set[str] = set()

            async def changes() -> bool:
                width, source = await still.evaluate("image => [image.naturalWidth, image.src]")
                if width:
                    seen.add(source)
                return len(seen) >= 3

            await until(changes, deadline_s=30)
            await picture(old, "wall-stills")
            request = registry_pb2.RevokeAgreementRequest(agreement_id=agreement_id, reason="over")
            await world.platform.ask("RevokeAgreement", world.everything(PARTNER), request)
            await expect(still).to_have_count(0)
            await expect(live.get_by_test_id("over-https")).to_have_count(0)
