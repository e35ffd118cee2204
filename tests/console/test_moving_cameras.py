"""A camera is added by asking its ONVIF device, and moved by one operator at a time, whom the others see."""

from pathlib import Path

from playwright.async_api import Browser, Page, expect

from proof.browser import modest_window
from proof.desk import OWNER
from proof.dialogs import give_purpose
from proof.footage_things import write_clip
from proof.platform import until
from proof.world import World
from rtcc.registry.v1 import registry_pb2
from rtcc_demo.onvif_server import OnvifServer, Picture
from rtcc_demo.rtsp_server import RtspServer


async def add_by_asking(page: Page, device: OnvifServer) -> None:
    """As an administrator does: a new camera whose addresses the device tells."""
    await page.get_by_role("button", name="New camera").click()
    form = page.get_by_test_id("camera-form")
    await form.locator("input[name=name]").fill("Yard, by asking")
    await form.locator("input[name=latitude]").fill("60.1703")
    await form.locator("input[name=longitude]").fill("24.9403")
    await form.get_by_role("button", name="Ask an ONVIF device").click()
    finder = form.get_by_test_id("onvif-finder")
    await finder.locator("input[name=onvif-address]").fill(f"127.0.0.1:{device.port}")
    await finder.locator("input[name=onvif-username]").fill("mover")
    password = finder.locator("input[name=onvif-password]")
    await password.fill("wrong")
    await password.press("Enter")
    await expect(finder).to_contain_text("refuses user name or password")
    await password.fill("s&<ret")
    await finder.get_by_role("button", name="Ask the device").click()
    await expect(finder).to_contain_text("Invented & Sons RT-1")
    await expect(finder.get_by_label("Main picture")).to_have_value("main")
    await expect(finder.get_by_label("Low quality")).to_have_value("low")
    await finder.get_by_role("button", name="Use these pictures").click()
    await expect(form.get_by_test_id("movable")).to_be_visible()
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_have_count(0)


async def look_at(page: Page) -> None:
    await page.get_by_role("button", name="View Yard, by asking").click()
    await page.locator("figure.tile[data-state=live]").wait_for()


async def test_a_camera_is_added_by_asking_and_moved_by_one_at_a_time(furnished: World, console_browser: Browser, tmp_path: Path) -> None:
    world, clip = furnished, tmp_path / "yard.mp4"
    write_clip(clip)
    first, second = await world.person(OWNER, "operator"), await world.person(OWNER, "supervisor")
    async with RtspServer({"main": clip, "low": clip}, "mover", "s&<ret") as rtsp:
        # as a device behind address translation tells it
        urls = [rtsp.url(name).split("@")[1].replace("127.0.0.1", "192.168.255.1") for name in ("main", "low")]
        pictures = [Picture("main", f"rtsp://{urls[0]}", width_px=1280), Picture("low", f"rtsp://{urls[1]}", width_px=640, movable=False)]
        async with OnvifServer(pictures, "mover", "s&<ret") as device:
            async with modest_window(console_browser, world, await world.person(OWNER, "administrator"), "/cameras") as page:
                await add_by_asking(page, device)
            async with (
                modest_window(console_browser, world, first, "/cameras") as page,
                modest_window(console_browser, world, second, "/cameras") as other,
            ):
                await look_at(page)
                await look_at(other)
                await page.get_by_role("button", name="Move Yard, by asking").click()
                await give_purpose(page, "Active incident", "26-0700")
                pad = page.get_by_test_id("ptz-pad")
                await expect(pad).to_be_focused()

                async def moving() -> bool:
                    return device.moving

                async def still() -> bool:
                    return not device.moving

                await page.keyboard.down("ArrowRight")
                await until(moving)
                await page.keyboard.up("ArrowRight")
                await until(still)
                assert device.place[0] > 0 and device.calls.count("Stop") >= 1
                # by hand: held as long as the pointer is down, on targets that a finger meets
                nearer = pad.get_by_role("button", name="Nearer")
                box = await nearer.bounding_box()
                assert box is not None and box["width"] >= 44 and box["height"] >= 44
                await page.mouse.move(box["x"] + 20, box["y"] + 20)
                await page.mouse.down()
                await until(moving)
                await page.mouse.up()
                await until(still)
                assert device.place[2] > 0
                await page.get_by_label("Go to a stored place").select_option(label="Yard & door")

                async def at_the_door() -> bool:
                    return "GotoPreset" in device.calls

                await until(at_the_door)
                places = page.get_by_label("Go to a stored place")
                await places.select_option(label="Store this place…")
                await page.get_by_label("Name of this place").fill("Bay 4")
                await page.get_by_label("Name of this place").press("Enter")
                await expect(places.get_by_role("option", name="Bay 4", exact=True)).to_have_count(1)
                assert "Bay 4" in device.presets.values()
                page.once("dialog", lambda dialog: dialog.accept())
                await places.select_option(label="Remove Gate")
                await expect(places.get_by_role("option", name="Gate", exact=True)).to_have_count(0)
                assert sorted(device.presets.values()) == ["Bay 4", "Yard & door"]
                await expect(other.get_by_test_id("ptz-holder")).to_have_text(f"Moved by {first.display_name}")
                await other.get_by_role("button", name="Move Yard, by asking").click()
                await give_purpose(other, "Active incident", "26-0701")
                await expect(other.get_by_test_id("ptz-problem")).to_contain_text(f"{first.display_name} moves this camera")
                await other.get_by_role("button", name="Take over").click()
                await expect(other.get_by_test_id("ptz-pad")).to_be_visible()
                await expect(page.get_by_test_id("ptz-holder")).to_have_text(f"Moved by {second.display_name}")
                await expect(page.get_by_test_id("ptz-pad")).to_have_count(0)
    listed = await world.platform.ask("ListCameras", world.everything(OWNER), registry_pb2.ListCamerasRequest())
    (made,) = [camera for camera in listed.cameras if camera.name == "Yard, by asking"]
    assert made.movable and [stream.stream_id for stream in made.streams] == ["low"]
    await world.platform.ask("DeleteCamera", world.creating(OWNER), registry_pb2.DeleteCameraRequest(camera_id=made.camera_id))
