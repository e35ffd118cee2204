"""People and vehicles: found with the reason for each hit, shown as the role may see them, imported with a report."""

from playwright.async_api import Browser, expect

from proof import record_things
from proof.browser import modest_window
from proof.desk import OWNER
from proof.dialogs import give_purpose
from proof.platform import until
from proof.world import World
from rtcc.ledger.v1 import ledger_pb2


# R18
async def test_a_person_is_found_by_a_misspelt_name_and_the_hit_says_why(furnished: World, console_browser: Browser) -> None:
    world = furnished
    record_id = await record_things.person_record(world, OWNER, photo=True)
    async with modest_window(console_browser, world, await world.person(OWNER, "investigator"), "/search") as page:
        await page.locator("input[name=name]").fill(f"Prof Persn {OWNER}")
        await page.locator("input[name=birth]").fill("1984")
        await page.get_by_test_id("person-search").click()
        await give_purpose(page, "Criminal investigation", "26-8001")
        hit = page.locator(f'[data-testid="person-hit"][data-record-id="{record_id}"]')
        await hit.wait_for()
        await expect(hit.get_by_role("table")).to_contain_text("name")
        await expect(hit.get_by_role("table")).to_contain_text("%")
        await expect(hit).to_contain_text("armed")
        await hit.locator(".hit-name").click()
        record = page.get_by_test_id("person-record")
        await expect(record).to_contain_text("note of")
        picture = record.locator("img")
        await picture.wait_for()
        assert await picture.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 0

    async def logged() -> bool:
        request = ledger_pb2.ListEntriesRequest(limit=50, action="person_record.search")
        answer = await world.platform.ask("ListEntries", world.everything(OWNER), request)
        return any(stored.entry.case_number == "26-8001" for stored in answer.entries)

    await until(logged)


async def test_what_a_role_may_not_see_is_named_as_withheld(furnished: World, console_browser: Browser) -> None:
    world = furnished
    record_id = await record_things.person_record(world, OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "officer"), "/search") as page:
        await page.locator("input[name=name]").fill(f"Proof Person {OWNER}")
        await page.get_by_test_id("person-search").click()
        await give_purpose(page, "Criminal investigation", "26-8002")
        await page.locator(f'[data-testid="person-hit"][data-record-id="{record_id}"] .hit-name').click()
        await expect(page.get_by_test_id("person-record").get_by_test_id("withheld")).to_contain_text(
            "Whether there is anything is not told"
        )


async def test_a_search_without_anything_to_search_for_says_what_to_do(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "investigator"), "/search") as page:
        await page.get_by_test_id("person-search").click()
        await expect(page.get_by_role("alert")).to_contain_text("Give a name, a telephone number or an address")
        await page.locator("input[name=name]").fill("Somebody")
        await page.locator("input[name=birth]").fill("march")
        await page.get_by_test_id("person-search").click()
        await expect(page.get_by_role("alert")).to_contain_text("1984-03-07")
        assert await page.get_by_test_id("purpose-dialog").count() == 0


async def test_a_vehicle_is_found_with_its_keeper(furnished: World, console_browser: Browser) -> None:
    world = furnished
    plate = await record_things.vehicle_record(world, OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "investigator"), "/search?find=vehicles") as page:
        await page.locator("input[name=register-plate]").fill(plate[:-1] + "?")
        await page.get_by_test_id("vehicle-search").click()
        await give_purpose(page, "Criminal investigation", "26-8003")
        row = page.get_by_test_id("vehicle-hit").filter(has_text=plate)
        await expect(row).to_contain_text("Person")


async def test_an_import_maps_columns_shows_progress_and_reports_each_rejected_row(furnished: World, console_browser: Browser) -> None:
    world = furnished
    rows = "ID;Last name;First name;DOB\n1;Consoleimport;Aada;1990-01-02\n2;Consoleimport;Eero;1990-13-40\n"
    async with modest_window(console_browser, world, await world.person(OWNER, "administrator", "investigator"), "/search") as page:
        await page.get_by_test_id("record-imports").click()
        dialog = page.get_by_test_id("record-import-dialog")
        await dialog.locator("input[name=source]").fill("Console test")
        await dialog.locator("input[type=file]").set_input_files(files=[{"name": "p.csv", "mimeType": "text/csv", "buffer": rows.encode()}])
        await expect(dialog.get_by_label("Field of DOB")).to_have_value("birth_date")
        await expect(dialog.get_by_label("Field of Last name")).to_have_value("surname")
        await dialog.get_by_test_id("record-import-start").click()
        report = dialog.get_by_test_id("record-import-report")
        await expect(report).to_have_attribute("data-state", "done")
        await expect(report).to_contain_text("1 new, 1 rejected")
        await expect(report.get_by_role("region", name="Rejected rows")).to_contain_text("DOB")
