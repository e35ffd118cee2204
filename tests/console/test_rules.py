"""What raises alerts and whom they reach outside: set by a supervisor, with what became of each message."""

from playwright.async_api import Browser, expect

from proof.browser import window
from proof.desk import OWNER
from proof.world import World
from rtcc.alerting.v1 import alerting_pb2


async def test_a_supervisor_sets_a_rule_and_a_contact_and_sees_why_a_message_failed(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with window(console_browser, world, await world.person(OWNER, "supervisor"), "/admin/rules") as page:
        await page.get_by_role("button", name="Set measurement").click()
        form = page.get_by_test_id("rule-form")
        await form.get_by_role("button", name="Add a limit").click()
        await form.get_by_label("Quantity").fill("Water level")
        await form.get_by_label("Above").fill("0.9")
        await form.get_by_role("button", name="Save").click()
        await expect(page.get_by_test_id("rule-row").filter(has_text="measurement")).to_contain_text("water level above 0.9")

        await page.get_by_role("tab", name="Who is told").click()
        await page.get_by_test_id("new-contact").click()
        form = page.get_by_test_id("contact-form")
        await form.locator("input[name=contact-name]").fill("Duty inspector")
        await form.locator("input[name=address]").fill("inspector@police.example")
        await form.locator("input[name=kind-gunshot]").check()
        await form.get_by_role("button", name="Save").click()
        row = page.get_by_test_id("contact-row").filter(has_text="Duty inspector")
        await expect(row).to_contain_text("gunshot")
        await row.get_by_role("button", name="Send a test to Duty inspector").click()

        await page.get_by_role("tab", name="Messages sent").click()
        sent = page.get_by_test_id("delivery-row").filter(has_text="Duty inspector").first
        await expect(sent).to_contain_text("test")

    answer = await world.platform.ask("ListAlertRules", world.everything(OWNER), alerting_pb2.ListAlertRulesRequest())
    (rule,) = [one for one in answer.rules if one.rule == "measurement"]
    assert [(limit.quantity, limit.above) for limit in rule.thresholds] == [("water_level", 0.9)]
    # what other tests measure must not depend on this one
    await world.platform.ask("SetAlertRule", world.everything(OWNER), alerting_pb2.SetAlertRuleRequest(rule="measurement", enabled=True))
