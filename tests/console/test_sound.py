"""A camera is heard at the desk once its agency and its registration allow it, one at a time, and no longer than that."""

from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

from proof.browser import pictures, window
from proof.desk import OWNER
from proof.footage_things import write_clip
from proof.platform import until
from proof.world import World
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import make_sound

NAMES = ("Counter with a microphone", "Desk with a microphone")
# every connection of the page, so that what it hears can be asked for
KEEP_CONNECTIONS = """window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection { constructor(...all) { super(...all); window.connections.push(this); } };"""
HEARD = """async () => {
  let energy = 0;
  for (const connection of window.connections) {
    if (connection.connectionState !== 'connected') continue;
    for (const report of (await connection.getStats()).values()) {
      if (report.type === 'inbound-rtp' && report.kind === 'audio') energy += report.totalAudioEnergy ?? 0;
    }
  }
  return energy;
}"""


async def camera(world: World, server: RtspServer, name: str) -> str:
    made = registry_pb2.Camera(
        name=name, kind=registry_pb2.CAMERA_KIND_STREET, owner=OWNER, enabled=True, field_of_view_deg=80,
        coordinate=geo_pb2.Coordinate(latitude_deg=60.171, longitude_deg=24.944), stream_url=server.url("counter"),
    )  # fmt: skip
    answer = await world.platform.ask("CreateCamera", world.everything(OWNER), registry_pb2.CreateCameraRequest(camera=made))
    return str(answer.camera.camera_id)


async def decide(page: Page, *, allowed: bool) -> None:
    """As an administrator does for the agency."""
    await page.get_by_role("button", name="Sound…").click()
    dialog = page.get_by_test_id("sound-dialog")
    await expect(dialog).to_contain_text("18 U.S.C. 2510-2523")
    await dialog.locator("input[name=sound-allowed]").set_checked(allowed)
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)


async def mark(page: Page, name: str) -> None:
    """As an administrator does for a camera."""
    await page.get_by_role("button", name=f"Edit {name}").click()
    form = page.get_by_test_id("camera-form")
    await form.locator("input[name=sound]").check()
    await pictures(page, "sound-of-a-camera")
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_have_count(0)


async def growing(page: Page, expression: str) -> None:
    """Until a number of the page is larger than it was."""
    before = await page.evaluate(expression)

    async def more() -> bool:
        return bool(await page.evaluate(expression) > before)

    await until(more)


def tile(page: Page, name: str) -> Any:
    return page.locator("figure.tile", has_text=name)


async def test_a_camera_is_heard_while_everybody_allows_it(furnished: World, console_browser: Browser, tmp_path: Path) -> None:
    world, clip = furnished, tmp_path / "counter.mp4"
    write_clip(clip)

    async def keep(page: Page) -> None:
        await page.context.add_init_script(KEEP_CONNECTIONS)

    async with RtspServer({"counter": clip}, "relay", "street-word", sounds={"counter": make_sound("OPUS")}) as server:
        camera_ids = [await camera(world, server, name) for name in NAMES]
        async with (
            window(console_browser, world, await world.person(OWNER, "administrator"), "/cameras") as office,
            window(console_browser, world, listener := await world.person(OWNER, "operator"), "/cameras") as page,
            window(console_browser, world, await world.person(OWNER, "investigator"), "/cameras") as other,
        ):
            await keep(page)
            await page.reload()
            for name in NAMES:
                await page.get_by_role("button", name=f"View {name}").click()
                await tile(page, name).and_(page.locator("[data-state=live]")).wait_for()
            await other.get_by_role("button", name=f"View {NAMES[0]}").click()
            await expect(page.get_by_role("button", name="Sound of")).to_have_count(0)
            for name in NAMES:
                await mark(office, name)
            await decide(office, allowed=True)
            first, second = (page.get_by_role("button", name=f"Sound of {name}") for name in NAMES)
            # these views were opened before: the first press opens them anew beside the picture
            await first.focus()
            await page.keyboard.press("Enter")
            await expect(first).to_have_attribute("aria-pressed", "true")
            await growing(page, f"({HEARD})()")
            await pictures(page, "sound-on-a-tile")
            await tile(page, NAMES[1]).hover()
            await second.click()
            await expect(second).to_have_attribute("aria-pressed", "true")
            await expect(first).to_have_attribute("aria-pressed", "false")
            await growing(page, f"({HEARD})()")
            # who may see may not therefore hear
            await tile(other, NAMES[0]).and_(other.locator("[data-state=live]")).wait_for()
            await expect(other.get_by_role("button", name="Sound of")).to_have_count(0)

            await decide(office, allowed=False)
            await expect(page.get_by_role("button", name="Sound of")).to_have_count(0)
            for name in NAMES:
                await tile(page, name).and_(page.locator("[data-state=live]")).wait_for()
            # allowed again, nothing is heard before somebody presses anew
            await decide(office, allowed=True)
            await expect(second).to_have_attribute("aria-pressed", "false")

            # a right that ends releases the button, says why, and leaves the picture
            await second.click()
            await growing(page, f"({HEARD})()")
            officer = registry_pb2.SetPersonRolesRequest(person_id=listener.person_id, roles=["officer"])
            await world.platform.ask("SetPersonRoles", world.creating(OWNER), officer)
            spoken = page.get_by_role("status").filter(has_text=f"Sound of {NAMES[1]} is off: you may not hear it any more.")
            await expect(spoken).to_be_visible()
            await expect(second).to_have_attribute("aria-pressed", "false")
            await expect(second).to_have_attribute("title", "Sound is off: you may not hear it any more")
            await tile(page, NAMES[1]).and_(page.locator("[data-state=live]")).wait_for()
            await decide(office, allowed=False)
        for camera_id in camera_ids:
            await world.platform.ask("DeleteCamera", world.creating(OWNER), registry_pb2.DeleteCameraRequest(camera_id=camera_id))
