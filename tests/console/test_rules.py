"""What raises alerts and whom they reach outside: set by a supervisor, with what became of each message."""

from email.message import EmailMessage

from playwright.async_api import Browser, Page, expect

from proof.browser import modest_window
from proof.desk import OWNER
from proof.platform import until
from proof.receivers import MailServer, mail_server
from proof.world import World
from rtcc.alerting.v1 import alerting_pb2

MAIL_ROOM = "mail@harbour.example"


async def test_a_supervisor_sets_a_rule_and_a_contact_and_sees_why_a_message_failed(furnished: World, console_browser: Browser) -> None:
    world = furnished
    async with modest_window(console_browser, world, await world.person(OWNER, "supervisor"), "/admin/rules") as page:
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


async def test_the_mail_server_is_set_with_a_password_that_stays_in_and_the_test_mail_arrives(
    furnished: World, console_browser: Browser
) -> None:
    world = furnished
    person = await world.person(OWNER, "supervisor", "administrator")
    async with mail_server(sign_in=True) as server, modest_window(console_browser, world, person, "/admin/rules") as page:
        await page.get_by_role("tab", name="Mail and SMS").click()
        form = page.get_by_test_id("notification-servers")
        for name, value in (
            ("smtp-host", "127.0.0.1"), ("smtp-port", str(server.port)), ("smtp-user", "desk"), ("smtp-password", "right horse"),
            ("from-address", "desk@harbour.example"), ("sms-url", "http://sms.example/send"),
        ):  # fmt: skip
            await form.locator(f"input[name={name}]").fill(value)
        await form.locator("select[name=smtp-security]").select_option(label="none (a server on this machine alone)")
        await form.get_by_role("button", name="Save").click()
        await expect(form.get_by_test_id("problem")).to_contain_text("https")
        await form.locator("input[name=sms-url]").fill("")
        await form.get_by_role("button", name="Save").click()
        await expect(form).to_contain_text(f"by {person.display_name}")
        await expect(form.locator("input[name=smtp-password]")).to_have_value("")
        await expect(form).to_contain_text("Set. Empty: as it was")

        await _new_contact(page, "Mail room", MAIL_ROOM)
        await _arrives(page, server, 1)
        # saved again without the password: it is as it was
        await page.get_by_role("tab", name="Mail and SMS").click()
        await form.locator("input[name=from-address]").fill("night@harbour.example")
        await form.get_by_role("button", name="Save").click()

        async def changed() -> bool:
            request = alerting_pb2.GetNotificationSettingsRequest()
            answer = await world.platform.ask("GetNotificationSettings", world.everything(OWNER), request)
            return bool(answer.settings.from_address == "night@harbour.example")

        await until(changed)
        await page.get_by_role("tab", name="Who is told").click()
        await _arrives(page, server, 2)
    assert [mail["From"] for mail in _mails(server)] == ["desk@harbour.example", "night@harbour.example"]
    assert {sign_in for sign_in in server.sign_ins} == {(b"desk", b"right horse")}
    nothing = alerting_pb2.SetNotificationSettingsRequest(settings=alerting_pb2.NotificationSettings())
    await world.platform.ask("SetNotificationSettings", world.everything(OWNER), nothing)


def _mails(server: MailServer) -> list[EmailMessage]:
    """Those to this test's contact: what waited for others goes out as well, once there is a server."""
    return [mail for mail in server.mails if mail["To"] == MAIL_ROOM]


async def _new_contact(page: Page, name: str, address: str) -> None:
    await page.get_by_role("tab", name="Who is told").click()
    await page.get_by_test_id("new-contact").click()
    form = page.get_by_test_id("contact-form")
    await form.locator("input[name=contact-name]").fill(name)
    await form.locator("input[name=address]").fill(address)
    await form.get_by_role("button", name="Save").click()
    await form.wait_for(state="detached")


async def _arrives(page: Page, server: MailServer, count: int) -> None:
    """A test mail to the contact of that name."""
    await page.get_by_role("button", name="Send a test to Mail room").click()

    async def came() -> bool:
        return len(_mails(server)) == count

    await until(came)
