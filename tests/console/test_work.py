"""What people do at the console: take alerts by key, compare plates, share in plain words, prove the log, lock the desk."""

import time

import pyotp
from playwright.async_api import Browser, Page, expect

from proof.browser import OPEN_WATER, drawn_map, modest_window
from proof.desk import OWNER, PARTNER
from proof.dialogs import give_purpose
from proof.platform import until
from proof.world import World, gunshot
from rtcc.alerting.v1 import alerting_pb2
from rtcc.gateway.v1 import gateway_pb2
from rtcc.ledger.v1 import ledger_pb2
from rtcc_chassis.scope import Scope


def row(page: Page, alert_id: str) -> str:
    return f'[data-testid="alert-list"] [data-alert-id="{alert_id}"]'


async def armed(page: Page, alert_id: str) -> None:
    """Choose the row and wait until keys count on it."""
    await page.locator(row(page, alert_id)).click()
    await page.locator(f"{row(page, alert_id)}[data-armed]").wait_for()


async def test_one_key_acknowledges_and_the_second_person_sees_who_has_it(furnished: World, console_browser: Browser) -> None:
    world = furnished
    first, second = await world.person(OWNER, "operator"), await world.person(OWNER, "operator")
    alert_id = await world.alert(OWNER)
    async with (
        modest_window(console_browser, world, first, view=OPEN_WATER) as page,
        modest_window(console_browser, world, second, view=OPEN_WATER) as other,
    ):
        await other.locator(f'{row(other, alert_id)}[data-state="new"]').wait_for()
        await armed(page, alert_id)
        await page.keyboard.press("a")
        for screen in (page, other):
            await screen.locator(f'{row(screen, alert_id)}[data-state="acknowledged"]').wait_for()
            await expect(screen.locator(row(screen, alert_id))).to_contain_text(first.display_name)
            assert await screen.locator(row(screen, alert_id)).count() == 1


async def test_letters_never_act_while_somebody_types(furnished: World, console_browser: Browser) -> None:
    world = furnished
    alert_id = await world.alert(OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), view=OPEN_WATER) as page:
        await armed(page, alert_id)
        await page.keyboard.press("f")
        search = page.get_by_role("searchbox")
        await search.wait_for()
        await search.press_sequentially("aaa")
        assert await search.input_value() == "aaa"
        await search.fill("")
        assert await page.locator(row(page, alert_id)).get_attribute("data-state") == "new"


# R23
async def test_a_plate_hit_is_no_work_before_a_person_compared_it(furnished: World, console_browser: Browser) -> None:
    world = furnished
    alert_id = await world.plate_alert(OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "operator", "supervisor"), view=OPEN_WATER) as page:
        await armed(page, alert_id)
        await page.keyboard.press("a")
        await page.locator(f'{row(page, alert_id)}[data-state="acknowledged"]').wait_for()
        await expect(page.get_by_test_id("start-work")).to_be_disabled()
        image = page.locator("img.evidence")
        await image.wait_for()
        assert await image.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 0
        await page.get_by_test_id("confirm-correct").click()
        await page.get_by_test_id("disposition").wait_for()
        await page.get_by_test_id("start-work").click()
        await page.locator(f'{row(page, alert_id)}[data-state="working"]').wait_for()
        await page.get_by_test_id("close-alert").click()
        await page.get_by_label("Note").fill("Found empty")
        await page.get_by_test_id("close-submit").click()
        await page.locator(row(page, alert_id)).wait_for(state="detached")
    alert = await world.alert_where(OWNER, lambda one: one.alert_id == alert_id)
    assert alert.plate_disposition == alerting_pb2.PLATE_DISPOSITION_CORRECT
    assert (alert.outcome, alert.note) == ("resolved", "Found empty")


async def test_rows_stand_still_while_a_person_works_the_list(furnished: World, console_browser: Browser) -> None:
    world = furnished
    standing = await world.alert(OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), view=OPEN_WATER) as page:
        await armed(page, standing)  # the pointer stays in the list
        before = await page.locator(row(page, standing)).bounding_box()
        source = await world.gunshot_source(OWNER)
        status, _ = await world.delivered(source, gunshot(f"stand-still-{standing}"))
        assert status == 202
        await page.get_by_test_id("newcomers").wait_for()
        assert await page.locator(row(page, standing)).bounding_box() == before
        await page.get_by_test_id("newcomers").click()
        await page.get_by_test_id("newcomers").wait_for(state="detached")


# R3
async def test_a_locked_desk_holds_nothing_of_the_work(furnished: World, console_browser: Browser) -> None:
    world = furnished
    alert_id = await world.alert(OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), view=OPEN_WATER) as page:
        await page.locator(row(page, alert_id)).wait_for()
        await page.locator(".menu summary").click()
        await page.get_by_role("button", name="Lock", exact=True).click()
        await page.get_by_test_id("lock-screen").wait_for()
        assert await page.locator("[data-alert-id], canvas, video").count() == 0
        await page.get_by_test_id("demo-proof").click()
        await page.locator(row(page, alert_id)).wait_for()


# R1, R6
async def test_enrolment_then_sign_in_takes_banner_password_and_code(furnished: World, console_browser: Browser) -> None:
    world = furnished
    person = await world.person(OWNER, "operator")
    link = await world.platform.ask(
        "CreateEnrolment", Scope.platform("standalone"), gateway_pb2.CreateEnrolmentRequest(person_id=person.person_id)
    )
    context = await console_browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = await context.new_page()
        await page.goto(link.url)
        await page.get_by_test_id("banner-agree").click()
        password = "correct horse battery staple"
        await page.locator("input[name=password]").fill(password)
        await page.locator("input[name=password-repeated]").fill(password)
        secret = pyotp.TOTP((await page.get_by_test_id("totp-secret").inner_text()).replace(" ", ""))
        enrolled_at = int(time.time())
        await page.locator("input[name=code]").fill(secret.at(enrolled_at))
        await page.get_by_role("button", name="Finish and sign in").click()
        await page.get_by_test_id("alert-list").wait_for()
        assert person.display_name in await page.locator("header").first.inner_text()

        await page.locator(".menu summary").click()
        await page.get_by_test_id("sign-out").click()
        await page.get_by_test_id("banner-agree").wait_for()
        assert await page.locator("input").count() == 0  # nothing to type before the banner
        await page.get_by_test_id("banner-agree").click()
        await page.locator("input[name=login]").fill(person.login)
        await page.locator("input[name=password]").fill(password)
        await page.get_by_role("button", name="Continue").click()
        await page.locator("input[name=code]").wait_for()
        assert not [cookie for cookie in await context.cookies() if cookie.get("httpOnly")]  # a password alone is no session

        # a code serves once, and a repeated one counts as a bad try; one step of clock drift is allowed: the next one serves already
        await page.locator("input[name=code]").fill(secret.at(max(int(time.time()), enrolled_at + secret.interval)))
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await page.get_by_test_id("alert-list").wait_for()
    finally:
        await context.close()


# R31
async def test_sharing_is_read_in_words_before_it_is_granted_and_ends_by_one_button(furnished: World, console_browser: Browser) -> None:
    world = furnished
    granting = await world.person(OWNER, "administrator", "supervisor")
    camera_id = await world.camera(OWNER)
    async with modest_window(console_browser, world, granting, "/share") as page:
        await page.get_by_test_id("grant").click()
        wizard = page.get_by_test_id("grant-wizard")
        await wizard.locator(f"select[name=grantee] option[value={PARTNER}]").wait_for(state="attached")
        await wizard.locator("select[name=grantee]").select_option(PARTNER)
        await wizard.locator("input[name=title]").fill("Wizard's grant")
        await wizard.get_by_test_id("wizard-next").click()
        await expect(wizard.get_by_test_id("wizard-next")).to_be_disabled()  # default is nothing
        await wizard.locator("input[name=kind-plate_hit]").check()
        await wizard.locator(f"input[name='camera-{camera_id}']").check()
        await wizard.get_by_test_id("wizard-next").click()
        await wizard.get_by_test_id("wizard-next").click()
        words = await wizard.get_by_test_id("grant-words").inner_text()
        assert "alerts of plate hits" in words and "1 camera live" in words and "only while an alert" in words
        await wizard.get_by_test_id("wizard-next").click()
        card = page.locator('[data-testid="agreement"][data-active="true"]', has_text="Wizard's grant")
        await card.wait_for()
        await card.get_by_test_id("revoke").click()
        await page.locator("input[name=reason]").fill("Test over")
        await page.get_by_test_id("revoke-submit").click()
        await card.wait_for(state="detached")
        await page.get_by_role("tab", name="Changes").click()
        changes = page.get_by_role("region", name="Changes of agreements")
        await expect(changes).to_contain_text("granted")
        await expect(changes).to_contain_text("revoked")


# R12
async def test_the_log_is_verified_by_a_button(furnished: World, console_browser: Browser) -> None:
    async with modest_window(console_browser, furnished, await furnished.person(OWNER, "auditor"), "/audit") as page:
        await page.get_by_test_id("verify").click()
        assert await page.get_by_test_id("verify-result").get_attribute("data-intact") == "true"


# R18
async def test_a_plate_search_asks_why_and_the_log_knows(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), "/search?find=reads") as page:
        await page.locator("input[name=plate]").fill("QQQ99?")
        await page.get_by_role("button", name="Search").click()
        await give_purpose(page, "Missing person", "26-7777")
        await expect(page.get_by_text("No read of this plate")).to_be_visible()
        await expect(page.locator(".purpose-chip")).to_contain_text("26-7777")

    async def logged() -> bool:
        request = ledger_pb2.ListEntriesRequest(limit=50, action="plate_read.search")
        answer = await world.platform.ask("ListEntries", world.everything(OWNER), request)
        return any((stored.entry.purpose, stored.entry.case_number) == ("Missing person", "26-7777") for stored in answer.entries)

    await until(logged)


async def test_an_import_reports_each_bad_row_before_anything_is_stored(furnished: World, console_browser: Browser) -> None:
    world = furnished
    rows = "name,latitude,longitude\nImported one,60.171,24.941\nImported two,99,24.941\n"
    async with modest_window(console_browser, world, await world.person(OWNER, "administrator"), "/cameras") as page:
        await page.get_by_role("button", name="Import…").click()
        dialog = page.get_by_test_id("import-dialog")
        await dialog.locator("input[type=file]").set_input_files(files=[{"name": "c.csv", "mimeType": "text/csv", "buffer": rows.encode()}])
        await dialog.get_by_role("button", name="Check").click()
        await expect(dialog.get_by_test_id("import-report")).to_contain_text("Would import: 1 new, 0 changed, 1 problem")
        await expect(dialog.get_by_role("region", name="Problems")).to_contain_text("3")
        await dialog.get_by_test_id("import-run").click()
        await expect(dialog.get_by_test_id("import-report")).to_contain_text("Imported: 1 new")
        await dialog.get_by_role("button", name="Done").click()
        await expect(page.locator('[data-testid="camera-row"]', has_text="Imported one")).to_be_visible()


async def test_the_map_shows_streets_and_units_that_move(furnished: World, console_browser: Browser) -> None:
    world = furnished
    unit, key = await world.unit_and_key(OWNER)
    # away from everything else that the map draws, at the zoom where call signs show
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), view=(24.9440, 60.1690, 16)) as page:
        await drawn_map(page)

        async def painted(selector: str) -> int:
            """Different colours in the middle of the map."""
            return int(await page.locator(selector).evaluate(_COLOURS_OF_SCREENSHOT, await _shot(page)))

        async def streets() -> bool:
            return await painted("body") > 20

        await until(streets, deadline_s=60, every_s=0.3)

        async def at(longitude: float) -> bytes:
            answer = await page.request.get(
                f"{world.platform.url}/v1/osmand?id={unit.device_id}&key={key}&lat=60.1690&lon={longitude}&speed=0&bearing=90"
            )
            assert answer.ok, await answer.text()
            return await _shot(page)

        empty = await _shot(page)

        async def appeared() -> bool:
            return await at(24.9440) != empty

        await until(appeared, deadline_s=60, every_s=0.5)


async def _shot(page: Page) -> str:
    """The middle of the map as a data URL."""
    import base64

    box = await page.get_by_test_id("map").bounding_box()
    assert box is not None
    clip = {"x": box["x"] + box["width"] / 2 - 100, "y": box["y"] + box["height"] / 2 - 100, "width": 200, "height": 200}
    return "data:image/png;base64," + base64.b64encode(await page.screenshot(clip=clip)).decode()


_COLOURS_OF_SCREENSHOT = """async (element, url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const pen = canvas.getContext('2d');
    pen.drawImage(image, 0, 0);
    return new Set(new Uint32Array(pen.getImageData(0, 0, image.width, image.height).data.buffer)).size;
}"""


async def test_an_officer_has_large_targets_and_a_plate_check_on_the_phone(furnished: World, console_browser: Browser) -> None:
    world = furnished
    await world.alert(OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "officer"), "/field", width=390, height=844) as page:
        await page.get_by_test_id("field").wait_for()
        for target in await page.locator(".field-tabs button, .field-actions .button").all():
            box = await target.bounding_box()
            assert box is not None and box["height"] >= 44


async def test_a_role_sees_only_its_screens(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "auditor"), "/audit") as page:
        links = page.get_by_role("navigation", name="Screens").get_by_role("link")
        await links.first.wait_for()
        names = await links.all_inner_texts()
        assert "Audit" in names and "People" not in names and "Find" not in names
        await page.goto(f"{world.platform.url}/admin/people")
        await expect(page.get_by_role("heading", name="Not part of your role")).to_be_visible()


async def test_a_screen_whose_file_is_gone_says_so_and_the_others_go_on(furnished: World, console_browser: Browser) -> None:
    """As in a window that was open while the console was renewed."""
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), "/incident") as page:
        screens = page.get_by_role("navigation", name="Screens")
        await screens.get_by_role("link", name="Audit").wait_for()
        await page.route("**/assets/audit-*.js", lambda route: route.fulfill(status=404))
        await screens.get_by_role("link", name="Audit").click()
        await expect(page.get_by_test_id("screen-failed")).to_contain_text("Load it again")
        await screens.get_by_role("link", name="Units").click()
        await expect(page.get_by_role("heading", name="Units")).to_be_visible()
        await expect(page.get_by_test_id("screen-failed")).to_have_count(0)


async def test_the_first_walk_leads_from_an_agency_to_its_cameras(furnished: World, console_browser: Browser) -> None:
    world = furnished
    runner = await world.person(OWNER, "platform_operator", "administrator")
    async with modest_window(console_browser, world, runner, "/setup") as page:
        await page.get_by_test_id("setup").wait_for()
        await page.get_by_test_id("setup-another").click()
        await page.locator("input[name=name]").fill(f"Harbour Police {runner.login}")
        await expect(page.locator("input[name=agency_id]")).to_have_value(f"harbour-police-{runner.login}")
        await page.get_by_role("button", name="Create the agency").click()
        await page.get_by_test_id("setup-person").click()
        form = page.get_by_test_id("person-form")
        await form.locator("input[name=display_name]").fill("First Keeper")
        await form.locator("input[name=login]").fill(f"keeper-{runner.login}")
        await form.locator("input[name=role-operator]").uncheck()
        await form.locator("input[name=role-administrator]").check()
        await form.get_by_role("button", name="Create").click()
        await page.locator('[data-testid="enrolment-link"], [data-testid="problem"]').first.wait_for()
        assert await page.get_by_test_id("problem").all_inner_texts() == []
        link = await page.get_by_test_id("enrolment-link").inner_text()
        assert "/enrol#" in link
    context = await console_browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = await context.new_page()
        await page.goto(link)
        await page.get_by_test_id("banner-agree").click()
        for field in ("password", "password-repeated"):
            await page.locator(f"input[name={field}]").fill("a long enough sentence")
        await page.locator("input[name=code]").fill(pyotp.TOTP(await page.get_by_test_id("totp-secret").inner_text()).now())
        await page.get_by_role("button", name="Finish and sign in").click()
        await page.get_by_test_id("setup-import").click()
        dialog = page.get_by_test_id("import-dialog")
        rows = b"name,latitude,longitude\nPier,60.165,24.951\n"
        await dialog.locator("input[type=file]").set_input_files(files=[{"name": "c.csv", "mimeType": "text/csv", "buffer": rows}])
        await dialog.get_by_role("button", name="Check").click()
        await dialog.get_by_test_id("import-run").click()
        await dialog.get_by_role("button", name="Done").click()
        await expect(page.get_by_test_id("setup")).to_contain_text("1 on the map")
    finally:
        await context.close()
