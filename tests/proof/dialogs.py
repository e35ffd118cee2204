"""What people type into the console's dialogs."""

from playwright.async_api import Page


async def give_purpose(page: Page, purpose: str, case_number: str) -> None:
    """Say why, in the dialog that asks for it."""
    dialog = page.get_by_test_id("purpose-dialog")
    await dialog.locator("input[name=purpose]").fill(purpose)
    await dialog.locator("input[name=case_number]").fill(case_number)
    await dialog.get_by_test_id("purpose-submit").click()
    await dialog.wait_for(state="detached")
