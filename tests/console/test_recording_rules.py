"""What is recorded and for how long: set in words by administrators, held for a case by supervisors, and each sees what the other did."""

from playwright.async_api import Browser, Locator, Page, expect

from proof.browser import pictures, window
from proof.desk import OWNER
from proof.filmed import record
from proof.platform import until
from proof.world import World
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import footage_pb2


async def _name(world: World, camera_id: str) -> str:
    """As the screens show it, once the video service knows the camera too."""
    everything = world.everything(OWNER)

    async def known() -> bool:
        health = (await world.platform.ask("ListCameraHealth", everything)).cameras
        return any(one.camera_id == camera_id for one in health)

    await until(known)
    cameras = (await world.platform.ask("ListCameras", everything, registry_pb2.ListCamerasRequest())).cameras
    return next(str(one.name) for one in cameras if one.camera_id == camera_id)


async def _switched_off(world: World) -> str:
    """A camera that its rule wants recorded continuously."""
    camera_id = await world.camera(OWNER)
    await record(world, OWNER, camera_id)
    cameras = (await world.platform.ask("ListCameras", world.everything(OWNER), registry_pb2.ListCamerasRequest())).cameras
    camera = next(one for one in cameras if one.camera_id == camera_id)
    camera.enabled = False
    await world.platform.ask("UpdateCamera", world.creating(OWNER), registry_pb2.UpdateCameraRequest(camera=camera))
    return camera_id


async def _policies(world: World) -> dict[str, footage_pb2.RecordingPolicy]:
    answer = await world.platform.ask("ListRecording", world.everything(OWNER), footage_pb2.ListRecordingRequest())
    return {policy.camera_id: policy for policy in answer.policies}


async def _keep(form: Locator, count: str, unit: str) -> None:
    await form.locator("input[name=count]").fill(count)
    await form.locator("select[name=unit]").select_option(unit)
    await form.get_by_role("button", name="Save").click()


def _row(page: Page, camera_id: str) -> Locator:
    return page.locator(f'[data-testid="recording-row"][data-id="{camera_id}"]')


# R22
async def test_an_administrator_sets_rules_for_all_and_for_one(furnished: World, console_browser: Browser) -> None:
    world = furnished
    camera_id = await world.camera(OWNER)
    name, switched_off = await _name(world, camera_id), await _switched_off(world)
    async with window(console_browser, world, await world.person(OWNER, "administrator"), "/admin/recording") as page:
        # it has no recorder that could tell
        await expect(_row(page, switched_off)).to_contain_text("It is switched off in Cameras, Edit.")
        await page.get_by_test_id("set-agency-rule").click()
        form = page.get_by_test_id("recording-form")
        # off: what the other tests record has rules of its own
        await form.get_by_label("Off: nothing is recorded").check()
        await _keep(form, "11", "years")
        await expect(form).to_contain_text("3 minutes to 10 years can be set")
        await _keep(form, "18", "months")
        await expect(page.get_by_test_id("agency-rule")).to_contain_text("off, kept for 18 months")

        await page.get_by_role("searchbox", name="Find a camera").fill(name)
        await page.get_by_role("button", name=f"Change the rule of {name}", exact=True).click()
        await form.get_by_label("Around alerts").check()
        await form.locator("input[name=before]").fill("5")
        await form.locator("input[name=after]").fill("30")
        # whoever forbids it, the words lead to where that is set
        await expect(form.locator("input[name=keep-sound]")).to_be_disabled()
        await expect(form.locator("#keep-sound-why")).to_contain_text("in Cameras, ")
        await pictures(page, "recording-rule", (1280, 390))
        await _keep(form, "9", "days")
        await expect(_row(page, camera_id)).to_contain_text("around alerts, 5 s before to 30 s after, kept for 9 days (its own)")
        own = (await _policies(world))[camera_id]
        assert (own.keep_s, own.pre_roll_s, own.post_roll_s, own.keep_sound) == (9 * 86_400, 5, 30, False)
        # nothing answers at its address
        await expect(_row(page, camera_id).get_by_text("doesn't record")).to_be_visible()
        await pictures(page, "recording", (1280, 390))

        page.once("dialog", lambda question: question.accept())
        await page.get_by_role("button", name=f"Change the rule of {name}", exact=True).click()
        await form.get_by_role("button", name="Remove its own rule").click()
        await expect(_row(page, camera_id)).to_contain_text("off, kept for 18 months (the agency's)")
        policies = await _policies(world)
        assert camera_id not in policies and policies[""].mode == footage_pb2.RECORDING_MODE_OFF
        await page.get_by_role("tab", name="Holds").click()
        await expect(page.get_by_text("Supervisors place and release holds")).to_be_visible()
        await expect(page.get_by_test_id("new-footage-hold")).to_have_count(0)


# R22
async def test_a_supervisor_holds_footage_for_a_case_and_sets_nothing(furnished: World, console_browser: Browser) -> None:
    world = furnished
    camera_id = await world.camera(OWNER)
    name = await _name(world, camera_id)
    async with window(console_browser, world, await world.person(OWNER, "supervisor"), "/admin/recording") as page:
        await expect(_row(page, camera_id)).to_be_visible()
        await expect(page.get_by_text("Administrators set the rules.")).to_be_visible()
        await expect(page.get_by_test_id("set-agency-rule")).to_have_count(0)
        await expect(page.get_by_role("button", name="Change the rule of")).to_have_count(0)

        await page.get_by_role("tab", name="Holds").click()
        await page.get_by_test_id("new-footage-hold").click()
        form = page.get_by_test_id("footage-hold-form")
        await form.locator("input[name=reason]").fill("Case 26-4410")
        await form.locator("input[name=find-camera]").fill(name)
        await form.get_by_label(name, exact=True).check()
        await form.locator("input[name=from]").fill("2026-11-20T08:00")
        await form.locator("input[name=until]").fill("2026-11-20T07:00")
        await form.get_by_role("button", name="Place", exact=True).click()
        await expect(form.locator("input[name=until]")).to_have_attribute("aria-invalid", "true")
        await form.locator("input[name=until]").fill("2026-11-20T09:00")
        await pictures(page, "footage-hold", (1280, 390))
        await form.get_by_role("button", name="Place", exact=True).click()
        row = page.get_by_test_id("footage-hold").filter(has_text="Case 26-4410")
        await expect(row).to_contain_text(name)
        await expect(row).to_contain_text("20 Nov 2026 08:00:00 to 20 Nov 2026 09:00:00")
        await pictures(page, "footage-holds", (1280, 390))

        # the question is answered with no, then with yes
        release = page.get_by_role("button", name="Release the hold Case 26-4410")
        page.once("dialog", lambda question: question.dismiss())
        await release.click()
        await expect(row).to_have_count(1)
        page.once("dialog", lambda question: question.accept())
        await release.click()
        await expect(row).to_have_count(0)
        await page.get_by_label("Show released ones too").check()
        await expect(row).to_contain_text("released")
        await page.get_by_role("tab", name="Deleted").click()
        await expect(page.get_by_text("Nothing was deleted yet.").or_(page.get_by_test_id("footage-deletion").first)).to_be_visible()
