"""How an administrator connects a source: a mapping that is tried before it is taken, an address to fetch from, a certificate."""

from datetime import UTC, datetime

from playwright.async_api import Browser, Locator, Page, expect

from proof.browser import modest_window
from proof.desk import OWNER
from proof.platform import until
from proof.world import World
from rtcc.intake.v1 import intake_pb2
from rtcc_chassis.identifiers import new_id


def _row(page: Page, source_id: str) -> Locator:
    return page.locator(f'[data-testid="source-row"][data-id="{source_id}"]')


def _alarm(kind: str) -> dict[str, object]:
    """As a vendor sends it: no field has our name."""
    return {"id": f"panel-{new_id()}", "type": kind, "time": datetime.now(UTC).isoformat(), "lat": 60.1702, "lon": 24.9405}


async def test_a_mapping_is_tried_on_what_was_kept_before_it_is_taken(furnished: World, console_browser: Browser) -> None:
    world = furnished
    source = await world.source(OWNER, "mapped")
    async with modest_window(console_browser, world, await world.person(OWNER, "administrator"), "/admin/sources") as page:
        await _row(page, source.source_id).get_by_test_id("edit-mapping").click()
        editor = page.get_by_test_id("mapping-editor")
        text = editor.locator("textarea[name=mapping]")
        beginning = await text.input_value()
        await expect(editor.get_by_test_id("try-mapping")).to_be_disabled()  # nothing is kept yet
        await editor.get_by_test_id("record-deliveries").click()
        await expect(editor.get_by_test_id("recorded")).to_contain_text("waiting for 20 more")
        status, answer = await world.delivered(source, _alarm("BA"))
        assert status == 202 and isinstance(answer, dict) and answer["outcome"] == "DELIVERY_OUTCOME_QUARANTINED", answer
        await expect(editor.get_by_test_id("recorded")).to_have_attribute("data-recorded", "1")

        # what a new source begins with is a mapping that the service takes
        await editor.get_by_test_id("try-mapping").click()
        await expect(editor.get_by_test_id("tried")).to_have_attribute("data-understood", "1")
        await expect(editor.get_by_test_id("tried")).to_contain_text("the mapping in use 0")
        await expect(editor.get_by_test_id("tried")).to_contain_text("burglary")

        await text.fill(beginning.rstrip("}\n "))
        await editor.get_by_test_id("save-mapping").click()
        await expect(editor.get_by_role("alert")).to_contain_text("This is no JSON yet")
        await text.fill(beginning.replace('"raised_at"', '"rised_at"'))
        await editor.get_by_test_id("save-mapping").click()
        await expect(editor.get_by_test_id("problem")).to_contain_text("did you mean 'raised_at'?")
        await text.fill(beginning)
        await editor.get_by_test_id("save-mapping").click()
        await expect(editor).to_contain_text("Revision 1")

    async def understood() -> bool:
        _, answer = await world.delivered(source, _alarm("FA"))
        return isinstance(answer, dict) and answer["outcome"] == "DELIVERY_OUTCOME_ACCEPTED"

    await until(understood, every_s=0.2)


async def test_a_feed_is_fetched_with_a_key_that_never_comes_out_again(furnished: World, console_browser: Browser) -> None:
    world = furnished
    source = await world.source(OWNER, "gtfs_realtime")

    async def feed() -> intake_pb2.SourceFeed:
        request = intake_pb2.GetSourceFeedRequest(source_id=source.source_id)
        return (await world.platform.ask("GetSourceFeed", world.everything(OWNER), request)).feed  # type: ignore[no-any-return]  # answers are messages of any kind

    async with modest_window(console_browser, world, await world.person(OWNER, "administrator"), "/admin/sources") as page:
        open_form = _row(page, source.source_id).get_by_role("button", name="Feed…")
        form = page.get_by_test_id("feed-form")
        await open_form.click()
        await form.locator("input[name=feed-url]").fill("http://127.0.0.1:9/vehicles")
        await form.locator("input[name=every]").fill("3600")
        await form.locator("input[name=header-name]").fill("x-api-key")
        await form.locator("input[name=header-value]").fill("the key of the buses")
        await form.get_by_role("button", name="Save").click()
        await expect(form).to_contain_text("is not https")
        await form.locator("input[name=feed-url]").fill("https://127.0.0.1:9/vehicles")
        await form.get_by_role("button", name="Save").click()
        await form.wait_for(state="detached")

        stored = await feed()
        assert (stored.url, stored.every_s, stored.header_name) == ("https://127.0.0.1:9/vehicles", 3600, "x-api-key")

        async def tried() -> bool:
            return bool((await feed()).problem)

        await until(tried)
        await open_form.click()
        await expect(form).to_contain_text("The last try failed: 127.0.0.1:9 is in a private network")
        await expect(form.locator("input[name=feed-url]")).to_have_value("https://127.0.0.1:9/vehicles")
        await expect(form.locator("input[name=header-value]")).to_have_value("")
        assert "the key of the buses" not in await page.content()


async def test_a_certificate_is_shown_once_and_says_where_to_connect(furnished: World, console_browser: Browser) -> None:
    world = furnished
    source = await world.source(OWNER, "cot")
    async with modest_window(console_browser, world, await world.person(OWNER, "administrator"), "/admin/sources") as page:
        open_dialog = _row(page, source.source_id).get_by_role("button", name="Certificate…")
        dialog = page.get_by_test_id("certificate")
        await open_dialog.click()
        await dialog.get_by_role("button", name="Issue a certificate").click()
        secret = dialog.get_by_test_id("once-secret")
        await expect(secret).to_contain_text("BEGIN CERTIFICATE")
        await expect(secret).to_contain_text("PRIVATE KEY")
        await expect(dialog).to_contain_text("Valid until")
        await dialog.get_by_role("button", name="Close").click()
        await dialog.wait_for(state="detached")
        await open_dialog.click()
        await expect(dialog.get_by_role("button", name="Issue a certificate")).to_be_visible()
        await expect(dialog.get_by_test_id("once-secret")).to_have_count(0)
