"""A missing woman: a tip from the public, the cameras along the bus line, the bus itself, found; and the transit agency knows."""

import hashlib
import hmac
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from google.transit.gtfs_realtime_pb2 import FeedMessage
from playwright.async_api import Browser, Page, expect

from proof import filmed
from proof.browser import begin_at, drawn_map, modest_window, picture
from proof.dialogs import give_purpose
from proof.platform import until
from proof.receivers import Received, web_receiver
from proof.video import frames_rise
from proof.world import World, add_agency
from rtcc.alerting.v1 import alerting_pb2
from rtcc.geo.v1 import geo_pb2
from rtcc.incidents.v1 import incidents_pb2
from rtcc.intake.v1 import intake_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_demo.rtsp_server import RtspServer

POLICE = "lakeside"
# the bus line runs east along this latitude; what the map shows
LINE_NORTH, WEST, EAST = 60.1716, 24.9395, 24.9485
MIDDLE, ZOOM = (24.9443, 60.1716), 14.1
METRE_DEG = 1 / 111_195
BUS = "550 1207"
# above the gateway's tip_form_least_s
LEAST_TYPING_S = 3.5


class Buses:
    """The transit agency's GTFS-Realtime feed: one bus that drives east at 8 m/s and turns round at the end."""

    def __init__(self) -> None:
        self.began_s = time.time()
        self.asked = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        now = time.time()
        message = FeedMessage()
        message.header.gtfs_realtime_version = "2.0"
        message.header.timestamp = int(now)
        entity = message.entity.add(id="1")
        entity.vehicle.vehicle.id, entity.vehicle.vehicle.label, entity.vehicle.trip.route_id = "hsl/1207", "1207", "550"
        entity.vehicle.timestamp = int(now)
        along = (now - self.began_s) * 8 * METRE_DEG * 2 % (EAST - WEST)
        position = entity.vehicle.position
        position.latitude, position.longitude, position.bearing, position.speed = LINE_NORTH, WEST + along, 90, 8
        return web.Response(body=message.SerializeToString(), content_type="application/x-protobuf")


@asynccontextmanager
async def _bus_feed(port: int) -> AsyncIterator[tuple[Buses, str]]:
    buses, application = Buses(), web.Application()
    application.router.add_get("/vehicle-positions", buses.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield buses, f"http://127.0.0.1:{port}/vehicle-positions"
    finally:
        await runner.cleanup()


async def _cameras(world: World, server: RtspServer) -> list[str]:
    """At five stops, 40 m north of the line, looking south; and one that is nowhere near it. Ids in the order of the way."""
    found = []
    for number in range(6):
        far = number == 5
        at = geo_pb2.Coordinate(
            latitude_deg=LINE_NORTH + (900 if far else 40) * METRE_DEG, longitude_deg=WEST + (EAST - WEST) * (number + 0.5) / 6
        )
        camera = registry_pb2.Camera(
            name="Elsewhere" if far else f"Stop {number + 1}", kind=registry_pb2.CAMERA_KIND_STREET, owner=POLICE, enabled=True,
            bearing_deg=180, field_of_view_deg=70, range_m=60, coordinate=at, stream_url=server.url(f"cam{number + 1}"),
        )  # fmt: skip
        answer = await world.platform.ask("CreateCamera", world.everything(POLICE), registry_pb2.CreateCameraRequest(camera=camera))
        found.append(str(answer.camera.camera_id))
    # what the bus passes is recorded
    for camera_id in found[:5]:
        await filmed.record(world, POLICE, camera_id)
    return found


async def _transit_contact(world: World, url: str) -> str:
    """Missing people are urgent here, and the transit agency's control room is told of them by a signed webhook; its secret."""
    rule = alerting_pb2.SetAlertRuleRequest(rule="tip", enabled=True, words=["missing_person"])
    await world.platform.ask("SetAlertRule", world.everything(POLICE), rule)
    contact = alerting_pb2.Contact(
        name="City bus control room", channel=alerting_pb2.NOTIFICATION_CHANNEL_WEBHOOK, address=url, enabled=True, alert_kinds=["tip"],
        least_severity=4,
    )  # fmt: skip
    answer = await world.platform.ask("SetContact", world.everything(POLICE), alerting_pb2.SetContactRequest(contact=contact))
    return str(answer.secret)


def _signed(received: Received, secret: str) -> bool:
    """As docs/operations/notifications.md tells the receiver to check it."""
    signed = f"{received.headers['Rtcc-Timestamp']}.{received.headers['Rtcc-Delivery']}.".encode() + received.body
    return received.headers["Rtcc-Signature"] == f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


async def _send_tip(browser: Browser, url: str) -> str:
    """As somebody with a phone and no script; the code that the page gives."""
    context = await browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    try:
        page = await context.new_page()
        await page.goto(f"{url}/tips/{POLICE}")

        for typed_for_s in (0.0, LEAST_TYPING_S):  # a form that is sent faster than a person types comes back
            opened_s = time.monotonic()
            await page.locator("select[name=category]").select_option("missing_person")
            await page.locator("textarea[name=text]").fill("An old woman in a red coat, confused, got on bus 550 at the station")
            await page.locator("input[name=address]").fill("Rautatientori")
            await picture(page, "tip-form")

            async def typed(until_s: float = opened_s + typed_for_s) -> bool:
                return time.monotonic() >= until_s

            await until(typed)
            async with page.expect_navigation():
                await page.get_by_role("button", name="Send").click()
            if await page.locator(".code").count():
                return await page.locator(".code").inner_text()
            await expect(page.locator(".wrong")).to_be_visible()
        raise AssertionError(await page.locator("body").inner_text())
    finally:
        await context.close()


def _pixel(longitude: float, latitude: float, box: tuple[float, float, float, float]) -> tuple[float, float]:
    """Where a place lies on that map (Web Mercator, 512 px a tile)."""

    def mercator(lon: float, lat: float) -> tuple[float, float]:
        return (lon + 180) / 360, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2

    scale = 512 * 2**ZOOM
    (x, y), (x0, y0) = mercator(longitude, latitude), mercator(*MIDDLE)
    left, top, width, height = box
    return left + width / 2 + (x - x0) * scale, top + height / 2 + (y - y0) * scale


async def _draw_the_line(page: Page) -> None:
    box = await drawn_map(page)
    for longitude in (WEST, EAST):
        await page.mouse.click(*_pixel(longitude, LINE_NORTH - 60 * METRE_DEG, box))


async def _play_along_the_bus(desk: Page, world: World, cameras: list[str]) -> None:
    """The bus's trail, the recordings around each passing, played in order."""

    async def passed_two() -> bool:
        await desk.goto(f"{world.platform.url}/units")
        await desk.get_by_role("button", name=f"Where {BUS} went").click()
        await give_purpose(desk, "Missing person", "26-0412")
        await desk.locator('[data-testid="map"][data-ready]').wait_for()
        await desk.get_by_test_id("cameras-along").click()
        await desk.get_by_role("tab", name="Recorded").click()
        return int(await desk.get_by_test_id("along-recorded").get_attribute("data-passings") or 0) >= 2

    await until(passed_two, deadline_s=90, every_s=3.0)
    rows = desk.get_by_test_id("along-recorded").locator("li")
    listed = [await row.get_attribute("data-camera") for row in await rows.all()]
    times = [(await row.locator(".mono").inner_text()) for row in await rows.all()]
    assert times == sorted(times)
    assert set(listed) <= set(cameras[:5])
    await desk.get_by_test_id("along-play").click()
    sequence = desk.get_by_test_id("sequence")
    await expect(sequence).to_have_attribute("data-count", str(len(listed)))
    order = [await row.get_attribute("data-camera") for row in await sequence.locator(".sequence-list button").all()]
    assert order == listed
    # the first that was recorded when the bus came by plays by itself
    await expect(desk.locator('.deck figure[data-shown="true"]')).to_be_visible()
    await expect(sequence.locator(".sequence-still img").first).to_be_visible()
    playing = desk.locator(".deck video")

    async def plays() -> bool:
        return bool(await playing.evaluate("video => video.videoWidth > 0 && video.currentTime > 0 && !video.paused"))

    await until(plays, deadline_s=30)
    before = await sequence.get_attribute("data-index")
    assert before is not None
    await desk.get_by_test_id("next-camera").click()
    await expect(sequence).to_have_attribute("data-index", str(int(before) + 1))
    await expect(desk.locator('.deck figure[data-shown="true"]')).to_be_visible()


@pytest.mark.timeout(400)
async def test_she_is_found_along_the_bus_line(world: World, browser: Browser, street_cameras: RtspServer) -> None:
    await add_agency(world, POLICE)
    cameras = await _cameras(world, street_cameras)
    line = incidents_pb2.TipLine(agency_id=POLICE, open=True, notice="Tell us what you saw.", emergency_line="Call 112 in an emergency")
    await world.platform.ask("SetTipLine", world.everything(POLICE), incidents_pb2.SetTipLineRequest(tip_line=line))
    operator = await world.person(POLICE, "operator", "supervisor")
    source = await world.source(POLICE, "gtfs_realtime")
    async with (
        _bus_feed(world.platform.feed_port) as (buses, feed_url),
        web_receiver() as control_room,
        modest_window(browser, world, operator, "/incident/tips") as desk,
    ):
        secret = await _transit_contact(world, f"{control_room.url}/missing")
        feed = intake_pb2.SourceFeed(url=feed_url, every_s=5)
        await world.platform.ask(
            "SetSourceFeed", world.everything(POLICE), intake_pb2.SetSourceFeedRequest(source_id=source.source_id, feed=feed)
        )

        # the tip: by the public page, looked at, made an incident
        code = await _send_tip(browser, world.platform.url)
        card = desk.get_by_test_id("tip").filter(has_text=code)
        await expect(card).to_be_visible()
        await card.get_by_test_id("tip-accept").click()
        await card.get_by_test_id("tip-promote").click()
        await desk.get_by_test_id("incident").wait_for()
        await expect(desk.get_by_test_id("timeline")).to_contain_text("red coat")
        incident_url = desk.url

        # the transit agency's control room was told, signed, and without the tip itself: who sent it may be endangered
        async def told() -> bool:
            return bool(control_room.received)

        await until(told, deadline_s=30)
        message = control_room.received[0]
        assert _signed(message, secret)
        assert b"missing person" in message.body.lower() and code.encode() in message.body and b"red coat" not in message.body

        # the bus drives on the operator's map
        async def bus_moves() -> bool:
            answer = await world.platform.ask("ListPositions", world.everything(POLICE))
            return any(position.call_sign == BUS and position.age_s < 20 for position in answer.positions)

        await until(bus_moves, deadline_s=30, every_s=0.5)
        assert buses.asked

        # the cameras along its line, in the order of the way, four at a time
        await begin_at(desk, (*MIDDLE, ZOOM))
        await desk.goto(f"{world.platform.url}/map")
        await desk.get_by_test_id("cameras-along").click()
        along = desk.get_by_test_id("along")
        await along.wait_for()
        await _draw_the_line(desk)
        await expect(along).to_have_attribute("data-cameras", "5")
        listed = [await item.get_attribute("data-camera") for item in await along.locator("[data-camera]").all()]
        assert listed == cameras[:5]
        await desk.get_by_test_id("along-next").click()
        await frames_rise(desk, set(cameras[:4]))
        await desk.get_by_test_id("along-next").click()
        await expect(along).to_have_attribute("data-first", "1")
        await frames_rise(desk, set(cameras[1:5]))
        await picture(desk, "missing-person")

        # where the bus was, and what the cameras that it passed recorded then, in the order of passing
        incident_id = incident_url.rsplit("/", 1)[1]
        await _play_along_the_bus(desk, world, cameras)
        await picture(desk, "missing-person-recorded")

        # found: the picture and the way back to it are the incident's, which is closed with its outcome
        await desk.keyboard.press("b")
        moment = desk.get_by_test_id("to-incident-dialog")
        await expect(moment.get_by_test_id("moment-picture")).to_be_visible()
        await moment.locator("select[name=incident]").select_option(incident_id)
        await moment.locator("textarea[name=note]").fill("Seen here, got off, sits on the bench. Unit sent.")
        await moment.get_by_role("button", name="Add to the incident").click()
        await moment.wait_for(state="detached")
        await desk.goto(incident_url)
        await expect(desk.get_by_test_id("timeline")).to_contain_text("sits on the bench")
        await expect(desk.get_by_test_id("play-moment")).to_contain_text("Stop")
        await desk.get_by_test_id("incident-close").click()
        dialog = desk.get_by_test_id("incident-close-dialog")
        await dialog.get_by_role("combobox").select_option("resolved")
        await desk.get_by_test_id("incident-close-submit").click()
        await expect(desk.get_by_test_id("incident-state")).to_contain_text("closed")
        await picture(desk, "missing-person-found")

    # who watched which camera stands in the log
    await world.logged(
        POLICE,
        f"camera:{cameras[2]}",
        lambda entries: operator.person_id in {entry.principal_id for entry in entries if entry.action == "camera.view_live"},
    )
