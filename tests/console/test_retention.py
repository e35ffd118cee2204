"""How long what is kept: set in words, held for a case."""

from playwright.async_api import Browser, expect

from proof.browser import modest_window
from proof.desk import OWNER
from proof.world import World
from rtcc.intake.v1 import retention_pb2


# R22
async def test_a_rule_says_how_long_and_a_hold_stops_it(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "administrator", "supervisor"), "/admin/retention") as page:
        await page.get_by_test_id("new-retention-rule").click()
        form = page.get_by_test_id("retention-form")
        await form.locator("select[name=kind]").select_option("marker")
        await form.locator("input[name=count]").fill("9")
        await form.locator("select[name=unit]").select_option("years")
        await form.get_by_role("button", name="Save").click()
        await expect(page.get_by_test_id("retention-rule").filter(has_text="marker")).to_contain_text("9 years")

        await page.get_by_test_id("new-hold").click()
        form = page.get_by_test_id("hold-form")
        await form.locator("input[name=reason]").fill("Court order 26/77")
        await form.locator("select[name=kind]").select_option("marker")
        await form.get_by_role("button", name="Place", exact=True).click()
        await page.get_by_role("button", name="Release the hold Court order 26/77").click()
        await expect(page.get_by_test_id("hold-row")).to_have_count(0)
    answer = await world.platform.ask("ListRetention", world.everything(OWNER), retention_pb2.ListRetentionRequest())
    assert [rule.keep_s for rule in answer.rules if rule.kind == "marker"] == [9 * 31_557_600]
