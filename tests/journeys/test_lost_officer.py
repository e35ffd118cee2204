"""Deputies lost in the dark: where the unit was last, how old and how exact that is, and the way it went."""

import time

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from proof.browser import modest_window, picture
from proof.dialogs import give_purpose
from proof.platform import until
from proof.world import World, add_agency
from rtcc.ledger.v1 import ledger_pb2
from rtcc.location.v1 import location_pb2

AGENCY = "backwood"
NORTH, EAST = 60.1728, 24.9460
METRE_DEG = 1 / 111_195
# a fix each 10 s while they walked north through the park; then the phone fell silent, 90 s ago
FIXES, EVERY_S, SILENT_S, ACCURACY_M = 12, 10, 90, 25


async def _walk(world: World, device_id: str, key: str) -> None:
    """The body camera's tracker (OsmAnd) sends what it buffered, in order."""
    ended_s = int(time.time()) - SILENT_S
    async with aiohttp.ClientSession() as client:
        for number in range(FIXES):
            query = {
                "id": device_id, "key": key, "lat": f"{NORTH + number * 12 * METRE_DEG:.6f}", "lon": f"{EAST:.6f}",
                "timestamp": str(ended_s - (FIXES - 1 - number) * EVERY_S), "accuracy": str(ACCURACY_M), "speed": "1.2", "bearing": "0",
            }  # fmt: skip

            async def sent(query: dict[str, str] = query) -> bool:
                async with client.get(f"{world.platform.url}/v1/osmand", params=query) as answer:
                    return answer.status == 200

            await until(sent)


@pytest.mark.timeout(400)
async def test_the_last_fix_is_shown_with_age_and_error_and_the_way_there(world: World, browser: Browser) -> None:
    await add_agency(world, AGENCY)
    unit, key = await world.unit_and_key(AGENCY)
    await _walk(world, unit.device_id, key)
    operator = await world.person(AGENCY, "operator", "dispatcher")
    async with modest_window(browser, world, operator, "/units") as page:
        row = page.get_by_test_id("unit-row").filter(has_text=unit.call_sign)
        await expect(row).to_contain_text(f"± {ACCURACY_M} m")
        # it says that it is old, and how old
        await expect(row).to_contain_text("min")

        # the way there is position history: asked with a reason
        await row.get_by_test_id("unit-trail").click()
        await give_purpose(page, "Officer safety", "26-1187")
        await page.locator('[data-testid="map"][data-ready]').wait_for()
        await page.get_by_test_id("clear-trail").wait_for()
        await picture(page, "lost-officer")

        # a new fix comes: the newest is shown again, the old ones stay history
        found = {"id": unit.device_id, "key": key, "lat": f"{NORTH + 200 * METRE_DEG:.6f}", "lon": f"{EAST:.6f}", "accuracy": "8"}
        async with aiohttp.ClientSession() as client, client.get(f"{world.platform.url}/v1/osmand", params=found) as answer:
            assert answer.status == 200
        await page.goto(f"{world.platform.url}/units")
        await expect(page.get_by_test_id("unit-row").filter(has_text=unit.call_sign)).to_contain_text("± 8 m")

    # the way is what the device sent, and who asked for it stands in the log with the reason
    trail = await world.platform.ask("GetTrail", world.everything(AGENCY), location_pb2.GetTrailRequest(unit_id=unit.unit_id))
    assert [round((point.position.coordinate.latitude_deg - NORTH) / METRE_DEG) for point in trail.points][:FIXES] == [
        number * 12 for number in range(FIXES)
    ]

    def asked(entries: list[ledger_pb2.AuditEntry]) -> set[tuple[str, str]]:
        own = [entry for entry in entries if entry.action == "position.trail" and entry.principal_id == operator.person_id]
        return {(entry.purpose, entry.case_number) for entry in own}

    assert asked(await world.logged(AGENCY, f"unit:{unit.unit_id}", lambda entries: bool(asked(entries)))) == {
        ("Officer safety", "26-1187")
    }
