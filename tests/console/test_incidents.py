"""Work on an incident at the desk: open it from an alert, send units, write, lay a plan on the map, close; and the public's tips."""

import re

from playwright.async_api import Browser, Page, expect

from proof import incident_things
from proof.browser import modest_window
from proof.desk import OWNER
from proof.platform import until
from proof.record_things import RECORD_ADDRESS, person_record
from proof.world import TINY_JPEG, World
from rtcc.geo.v1 import geo_pb2
from rtcc.incidents.v1 import incidents_pb2

NORTH, EAST = 60.1705, 24.9410


async def _incident(world: World, **fields: object) -> incidents_pb2.Incident:
    """At an address where somebody is known, on the map that the console ships."""
    place = geo_pb2.Position(coordinate=geo_pb2.Coordinate(latitude_deg=NORTH, longitude_deg=EAST), accuracy_m=5)
    request = incidents_pb2.CreateIncidentRequest(kind="Burglary", priority=2, address=RECORD_ADDRESS, position=place, **fields)  # type: ignore[arg-type]  # mypy can't check ** against a message
    answer = await world.platform.ask("CreateIncident", world.everything(OWNER), request)
    made: incidents_pb2.Incident = answer.incident
    return made


async def _stored(world: World, incident_id: str) -> incidents_pb2.Incident:
    request = incidents_pb2.GetIncidentRequest(incident_id=incident_id)
    stored: incidents_pb2.Incident = (await world.platform.ask("GetIncident", world.everything(OWNER), request)).incident
    return stored


async def test_an_alert_becomes_an_incident_with_units_notes_and_an_outcome(furnished: World, console_browser: Browser) -> None:
    world = furnished
    alert_id = await world.alert(OWNER)
    unit, key = await world.unit_and_key(OWNER)
    person = await world.person(OWNER, "operator", "dispatcher", "supervisor")
    async with modest_window(console_browser, world, person, f"/map?alert={alert_id}") as page:
        await _fixed_near(world, page, unit.device_id, key)
        await page.get_by_test_id("to-incident").click()
        await page.get_by_test_id("alert-new-incident").click()
        form = page.get_by_test_id("incident-form")
        await form.locator("input[name=kind]").fill("Shots fired")
        await form.get_by_test_id("incident-create").click()
        await page.get_by_test_id("incident").wait_for()
        await expect(page.get_by_test_id("incident-state")).to_contain_text("open")
        await expect(page.get_by_test_id("incident-alerts").locator(f'[data-alert="{alert_id}"]')).to_be_visible()

        units = page.get_by_test_id("incident-units")
        await units.get_by_test_id("assign-unit").click()
        await units.get_by_role("button", name=f"Assign {unit.call_sign}").click()
        line = units.locator(f'[data-testid="assignment"][data-unit-id="{unit.unit_id}"]')
        await line.get_by_role("button", name="on scene").click()
        await expect(line).to_have_attribute("data-status", "on_scene")

        await page.locator("textarea[name=note]").fill("The door is open.")
        await page.get_by_test_id("add-note").click()
        await expect(page.get_by_test_id("timeline")).to_contain_text("The door is open.")
        await page.get_by_test_id("photo-file").set_input_files(files=[{"name": "p.jpg", "mimeType": "image/jpeg", "buffer": TINY_JPEG}])
        photo = page.locator(".entry-photo")
        await photo.wait_for()

        incident_id = page.url.rpartition("/")[2]
        await page.get_by_test_id("incident-close").click()
        dialog = page.get_by_test_id("incident-close-dialog")
        await expect(dialog.get_by_test_id("incident-close-submit")).to_be_disabled()  # a unit still works on it
        await dialog.locator("input[name=clear-units]").check()
        await dialog.locator("select[name=outcome]").select_option("arrest")
        await dialog.get_by_test_id("incident-close-submit").click()
        await expect(page.get_by_test_id("incident-state")).to_contain_text("closed: Arrest")
    stored = await _stored(world, incident_id)
    assert stored.outcome == "arrest"
    assert [(one.unit_id, one.status) for one in stored.assignments] == [(unit.unit_id, incidents_pb2.UNIT_STATUS_CLEAR)]


async def _fixed_near(world: World, page: Page, device_id: str, key: str) -> None:
    """A fix of the unit, over the public protocol, repeated until its new key is known."""

    async def taken() -> bool:
        url = f"{world.platform.url}/v1/osmand?id={device_id}&key={key}&lat={NORTH}&lon={EAST}&speed=0&bearing=90&accuracy=12"
        return (await page.request.get(url)).ok

    await until(taken, every_s=0.2)


async def test_before_arrival_shows_the_danger_first_and_needs_no_question(furnished: World, console_browser: Browser) -> None:
    world = furnished
    await person_record(world, OWNER)
    incident = await _incident(world)
    async with modest_window(console_browser, world, await world.person(OWNER, "dispatcher"), f"/incident/{incident.incident_id}") as page:
        await page.get_by_role("tab", name="Before arrival").click()
        card = page.get_by_test_id("arrival-card")
        await expect(card.get_by_test_id("arrival-warning").first).to_contain_text("note of")
        await expect(card.get_by_test_id("arrival-person").first).to_contain_text("Person")
        # being sent there is the purpose, the incident its case
        assert await page.get_by_test_id("purpose-dialog").count() == 0


async def test_the_officers_phone_has_the_incident_and_its_buttons_work_without_a_network(
    furnished: World, console_browser: Browser
) -> None:
    world = furnished
    incident = await _incident(world)
    unit = await world.unit(OWNER)
    officer = await world.officer_of(unit)
    await incident_things.assign(world, OWNER, incident.incident_id, unit.unit_id)
    async with modest_window(console_browser, world, officer, "/field", width=390, height=844) as page:
        own = page.get_by_test_id("own-incident")
        await own.wait_for()
        await expect(own).to_contain_text(incident.number)
        for target in await own.locator(".button").all():
            box = await target.bounding_box()
            assert box is not None and box["height"] >= 44
        await own.get_by_test_id("before-arrival").click()
        await own.get_by_test_id("arrival-card").wait_for()

        await page.context.set_offline(True)
        await own.get_by_test_id("status-en-route").click()
        await expect(own).to_have_attribute("data-status", "en_route")
        await expect(own).to_contain_text("waits for the network")
        assert (await _stored(world, incident.incident_id)).assignments[0].status == incidents_pb2.UNIT_STATUS_DISPATCHED
        await page.context.set_offline(False)

        async def arrived() -> bool:
            return bool((await _stored(world, incident.incident_id)).assignments[0].status == incidents_pb2.UNIT_STATUS_EN_ROUTE)

        await until(arrived, every_s=0.2)


async def test_a_floor_plan_is_laid_on_the_map_and_says_how_well_it_lies(furnished: World, console_browser: Browser) -> None:
    world = furnished
    plan_id = await incident_things.floor_plan(world, OWNER)
    async with modest_window(
        console_browser, world, await world.person(OWNER, "operator", "supervisor", "administrator"), "/incident"
    ) as page:
        await page.get_by_role("button", name="Floor plans…").click()
        row = page.locator(f'[data-testid="floor-plan-row"][data-id="{plan_id}"]')
        await row.get_by_role("button", name="Edit").click()
        editor = page.get_by_test_id("plan-editor")
        await expect(editor.get_by_test_id("plan-residual")).to_contain_text(re.compile(r"Misses its points by \d"))
        await editor.get_by_test_id("plan-marks").click()
        await editor.get_by_label("Kind of mark").select_option("hazard")
        await editor.get_by_test_id("plan-image").click()
        await editor.get_by_label("Label of hazard 1").fill("Gas bottles")
        await editor.get_by_test_id("plan-save").click()
        await editor.wait_for(state="detached")
        await expect(page.locator(f'[data-testid="floor-plan-row"][data-id="{plan_id}"]')).to_contain_text("1 hazards")


async def test_a_floor_plan_is_tied_and_marked_without_a_pointer(furnished: World, console_browser: Browser) -> None:
    world = furnished
    plan_id = await incident_things.floor_plan(world, OWNER)
    async with modest_window(
        console_browser, world, await world.person(OWNER, "operator", "supervisor", "administrator"), "/incident"
    ) as page:
        await page.get_by_role("button", name="Floor plans…").click()
        await page.locator(f'[data-testid="floor-plan-row"][data-id="{plan_id}"]').get_by_role("button", name="Edit").press("Enter")
        editor = page.get_by_test_id("plan-editor")
        await editor.locator('[data-testid="map"][data-ready]').wait_for()
        image = editor.get_by_test_id("plan-image")
        await image.focus()
        await page.keyboard.press("ArrowRight")  # to the east edge of a picture of 2 x 2 pixels
        await page.keyboard.press("Enter")
        await expect(editor.get_by_test_id("map-aim")).to_be_focused()
        await page.keyboard.press("Shift+ArrowDown")
        await page.keyboard.press("Enter")
        await expect(editor.get_by_test_id("plan-tie")).to_have_count(5)
        await expect(image).to_be_focused()
        await editor.get_by_test_id("plan-marks").press("Enter")
        await image.press("Enter")
        await expect(editor.get_by_test_id("plan-mark")).to_have_count(1)
        await editor.get_by_test_id("plan-save").press("Enter")
        await editor.wait_for(state="detached")
    answer = await world.platform.ask("ListFloorPlans", world.everything(OWNER), incidents_pb2.ListFloorPlansRequest())
    (plan,) = [one for one in answer.floor_plans if one.floor_plan_id == plan_id]
    added = plan.control_points[4]
    assert (added.x_px, added.y_px) == (2, 1) and 60.1 < added.coordinate.latitude_deg < 60.3
    assert [(mark.kind, mark.x_px, mark.y_px) for mark in plan.marks] == [("exit", 2, 1)]


async def test_a_tip_is_looked_at_put_beside_another_and_becomes_an_incident(furnished: World, console_browser: Browser) -> None:
    world = furnished
    first, second = await incident_things.tip(world, OWNER, with_photo=True), await incident_things.tip(world, OWNER)
    async with modest_window(console_browser, world, await world.person(OWNER, "operator"), "/incident/tips") as page:
        tip = page.locator(f'[data-testid="tip"][data-tip-id="{first}"]')
        other = page.locator(f'[data-testid="tip"][data-tip-id="{second}"]')
        await expect(tip.get_by_test_id("tip-promote")).to_have_count(0)  # nobody has looked at it yet
        await other.get_by_test_id("tip-group-with").click()
        await tip.get_by_test_id("tip-join").click()
        group = page.get_by_test_id("tip-group").filter(has=page.locator(f'[data-tip-id="{first}"]'))
        await expect(group.locator(f'[data-tip-id="{second}"]')).to_be_visible()
        await tip.get_by_test_id("tip-accept").click()
        await tip.get_by_test_id("tip-promote").click()
        await page.get_by_test_id("incident").wait_for()
        incident_id = page.url.rpartition("/")[2]
    assert set((await _stored(world, incident_id)).tip_ids) >= {first}
