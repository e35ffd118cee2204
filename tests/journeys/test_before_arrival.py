"""A call comes in: who lives there, what is dangerous and where the exits are is on the officer's phone before she arrives."""

import io
import time
from datetime import UTC, datetime

import aiohttp
import pytest
from PIL import Image, ImageDraw
from playwright.async_api import Browser, expect

from proof.browser import modest_window, picture
from proof.platform import until
from proof.world import World, add_agency
from rtcc.geo.v1 import geo_pb2
from rtcc.identity.v1 import identity_pb2
from rtcc.incidents.v1 import incidents_pb2
from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.scope import Scope

AGENCY, ADDRESS = "hillside", "Mannerheimintie 12, Helsinki"
NORTH, EAST = 60.1685, 24.9470
METRE_DEG = 1 / 111_195


async def _records(world: World) -> None:
    """Two people at the address: one armed and wanted; and a car."""
    kept = world.everything(AGENCY)
    home = identity_pb2.Address(text=ADDRESS, kind="home", coordinate=geo_pb2.Coordinate(latitude_deg=NORTH, longitude_deg=EAST))
    wanted = identity_pb2.PersonDetails(
        names=[identity_pb2.RecordName(given_names="Risto", surname="Salminen")], birth_date="1979-11-02", addresses=[home],
        cautions=[identity_pb2.Caution(kind="armed", note="hunting rifles in the house")], phones=["+358401112223"],
    )  # fmt: skip
    quiet = identity_pb2.PersonDetails(names=[identity_pb2.RecordName(given_names="Aino", surname="Salminen")], addresses=[home])
    saved = []
    for details in (wanted, quiet):
        request = identity_pb2.SaveRecordRequest(record=identity_pb2.Record(person=details))
        saved.append((await world.platform.ask("SaveRecord", kept, request)).record.record_id)
    warrant = identity_pb2.WarrantDetails(
        person_record_id=saved[0], number="W-26-118", offence="Aggravated assault", severity="felony", status="active"
    )
    car = identity_pb2.VehicleDetails(plate="KLM418", state="FI", make="Volvo", model="V70", color="grey", keeper_record_id=saved[0])
    for record in (identity_pb2.Record(warrant=warrant), identity_pb2.Record(vehicle=car)):
        await world.platform.ask("SaveRecord", kept, identity_pb2.SaveRecordRequest(record=record))


def _plan_image() -> bytes:
    """A stairwell, as somebody drew it."""
    image = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 380, 280), outline="black", width=6)
    draw.line((200, 20, 200, 280), fill="black", width=4)
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


async def _floor_plan(world: World) -> None:
    """The building's ground floor, 40 by 30 m, with its back door and the gas main."""

    def control(x_px: float, y_px: float) -> incidents_pb2.ControlPoint:
        # 10 px are a metre; the upper left corner lies at the address
        at = geo_pb2.Coordinate(latitude_deg=NORTH - y_px / 10 * METRE_DEG, longitude_deg=EAST + x_px / 10 * METRE_DEG * 2)
        return incidents_pb2.ControlPoint(x_px=x_px, y_px=y_px, coordinate=at)

    plan = incidents_pb2.FloorPlan(
        name="Mannerheimintie 12", floor="1", address=ADDRESS, coordinate=geo_pb2.Coordinate(latitude_deg=NORTH, longitude_deg=EAST),
        control_points=[control(0, 0), control(400, 0), control(400, 300), control(0, 300)],
        marks=[
            incidents_pb2.FloorPlanMark(kind="exit", label="Back door to the yard", x_px=380, y_px=150),
            incidents_pb2.FloorPlanMark(kind="hazard", label="Gas main", x_px=40, y_px=260),
        ],
    )  # fmt: skip
    request = incidents_pb2.CreateFloorPlanRequest(floor_plan=plan, image=_plan_image())
    answer = await world.platform.ask("CreateFloorPlan", world.everything(AGENCY), request)
    assert answer.floor_plan.residual_rms_m < 0.1


def _call() -> dict[str, object]:
    """The dispatch centre's EIDO document (NENA-STA-021.1b)."""
    return {
        "$id": "urn:emergency:uid:incident:9001:psap.example",
        "lastUpdateTimeStamp": datetime.now(UTC).isoformat(),
        "issuingElementIdentification": "cad.psap.example",
        "incidentComponent": {
            "incidentTrackingIdentifier": "26-9001",
            "incidentTypeCommonRegistryText": "Domestic disturbance",
            "incidentStatusCommonRegistryText": ["Dispatched"],
            "incidentCommonPriorityNumber": 9,
            "locationReference": [{"$ref": "location-1"}],
        },
        "locationComponent": [
            {
                "$id": "location-1",
                "locationDescriptionText": ADDRESS,
                "locationByValue": {"latitude": NORTH, "longitude": EAST, "uncertainty": 10},
            }
        ],
        "notesComponent": [{"notesActionComments": "Shouting, then silence"}],
    }


async def _officer(world: World) -> tuple[registry_pb2.Unit, registry_pb2.Person]:
    """In a car 300 m away, which has just told where it is."""
    unit, key = await world.unit_and_key(AGENCY)
    person = registry_pb2.Person(
        agency_id=AGENCY, login="hillside-aaltonen", display_name="Aaltonen", roles=["officer"], enabled=True, unit_id=unit.unit_id
    )
    created = (
        await world.platform.ask("CreatePerson", Scope.platform("standalone"), registry_pb2.CreatePersonRequest(person=person))
    ).person
    query = {
        "id": unit.device_id,
        "key": key,
        "lat": str(NORTH + 300 * METRE_DEG),
        "lon": str(EAST),
        "accuracy": "5",
        "speed": "0",
        "timestamp": str(int(time.time())),
    }

    async def told() -> bool:
        async with aiohttp.ClientSession() as client, client.get(f"{world.platform.url}/v1/osmand", params=query) as answer:
            return answer.status == 200

    await until(told)
    return unit, created


@pytest.mark.timeout(400)
async def test_she_knows_before_she_arrives(world: World, browser: Browser) -> None:
    await add_agency(world, AGENCY)
    await _records(world)
    await _floor_plan(world)
    unit, officer = await _officer(world)
    dispatcher = await world.person(AGENCY, "dispatcher")
    cad = await world.source(AGENCY, "eido")
    async with (
        modest_window(browser, world, dispatcher, "/incident") as desk,
        modest_window(browser, world, officer, "/field", width=390, height=844) as phone,
    ):
        await phone.get_by_test_id("field").wait_for()
        status, answer = await world.delivered(cad, _call())
        assert status == 202, answer

        # the call is an incident by itself; the dispatcher sends the nearest unit
        row = desk.get_by_text("Domestic disturbance").first
        await row.wait_for(timeout=60_000)
        await row.click()
        await desk.get_by_test_id("incident").wait_for()
        await desk.get_by_test_id("assign-unit").click()
        await desk.get_by_role("button", name=f"Assign {unit.call_sign}").click()
        assignment = desk.locator(f'[data-testid="assignment"][data-unit-id="{unit.unit_id}"]')
        await expect(assignment).to_have_attribute("data-status", "dispatched")

        # on her phone: the incident, and what to know
        own = phone.get_by_test_id("own-incident")
        await expect(own).to_contain_text(ADDRESS)
        # her own car is 300 m from what the phone shows, and known all the same
        await expect(phone.get_by_test_id("own-fix")).to_contain_text("last fix")
        await phone.get_by_test_id("status-en-route").click()
        await expect(assignment).to_have_attribute("data-status", "en_route")
        await phone.get_by_test_id("before-arrival").click()
        warnings = phone.get_by_test_id("arrival-warning")
        await expect(warnings.first).to_be_visible()
        told = " | ".join(await warnings.all_inner_texts())
        assert "hunting rifles" in told and "assault" in told.lower(), told
        people = phone.get_by_test_id("arrival-person")
        await expect(people.first).to_contain_text("Salminen")
        # the one with warnings stands first
        await expect(people.first).to_contain_text("Risto")
        await expect(phone.get_by_text("KLM418")).to_be_visible()
        await expect(phone.get_by_test_id("arrival-exit")).to_contain_text("Back door")
        await expect(phone.get_by_test_id("arrival-hazard")).to_contain_text("Gas main")
        # targets that a gloved thumb hits
        box = await phone.get_by_test_id("status-on-scene").bounding_box()
        assert box is not None and box["height"] >= 44
        await picture(phone, "before-arrival")
        await picture(desk, "before-arrival-desk")
        await phone.get_by_test_id("status-on-scene").click()
        await expect(assignment).to_have_attribute("data-status", "on_scene")

    # each look at the records stands in the log with the incident's number as its case (R18)
    async def looked() -> list[ledger_pb2.AuditEntry]:
        request = ledger_pb2.ListEntriesRequest(limit=500)
        stored = (await world.platform.ask("ListEntries", world.everything(AGENCY), request)).entries
        return [item.entry for item in stored if item.entry.action == "arrival_card.read" and item.entry.principal_id == officer.person_id]

    looks = await until(looked)
    (incident,) = (await world.platform.ask("ListIncidents", world.everything(AGENCY))).incidents
    assert {(entry.purpose, entry.case_number) for entry in looks} == {("dispatch", incident.number)}
