"""A stolen truck is read by a plate camera; both forces are told at once, see what they may see, and no longer than they may."""

import base64
import dataclasses
import re
import time

import grpc
from playwright.async_api import Browser, Page

from proof.browser import picture, window
from proof.live_watch import live_watch
from proof.platform import rule_named, until
from proof.video import frames_rise
from proof.world import World, add_agency, plate_read
from rtcc.exchange.v1 import exchange_pb2
from rtcc.geo.v1 import geo_pb2
from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_demo.render.plate_image import render_vehicle_image
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.world.vehicles import STOLEN_TRUCK

# agencies whose queues hold nothing of other tests
OWNER, PARTNER = "harbor", "island"
# a crossing of its own, away from what other tests place
NORTH, EAST = 60.1720, 24.9460
METRE_DEG = 1 / 111_195


async def _camera(world: World, server: RtspServer, path: str, metres_north: float, name: str) -> str:
    """A camera that looks south at the crossing from `metres_north`."""
    camera = registry_pb2.Camera(
        name=name, kind=registry_pb2.CAMERA_KIND_STREET, owner=OWNER, enabled=True, bearing_deg=180, field_of_view_deg=90, range_m=400,
        coordinate=geo_pb2.Coordinate(latitude_deg=NORTH + metres_north * METRE_DEG, longitude_deg=EAST), stream_url=server.url(path),
    )  # fmt: skip
    answer = await world.platform.ask("CreateCamera", world.everything(OWNER), registry_pb2.CreateCameraRequest(camera=camera))
    return str(answer.camera.camera_id)


async def _read_truck(world: World, plate: str, camera_id: str) -> str:
    """The plate camera's signed webhook, repeated until the hot list knows the plate; the alert's id."""
    source = await world.source(OWNER, "plate_read")
    body = plate_read(plate, camera_id, lat=NORTH, lon=EAST, image=_evidence(plate))
    found: list[str] = []

    async def hit() -> bool:
        status, answer = await world.delivered(source, body | {"read_id": f"r-{time.time_ns()}"})
        assert status in (200, 202), answer
        found[:] = [alert.alert_id for alert in await world.alerts(OWNER) if alert.event.plate_read.plate == plate]
        return bool(found)

    await until(hit, every_s=0.5)
    return found[0]


async def _subscribe(world: World, agreement_id: str) -> None:
    """The neighbour asks for what the agreement grants, as soon as it was told of it."""
    rule = rule_named("CreateSubscription")
    request = exchange_pb2.CreateSubscriptionRequest(agreement_id=agreement_id)

    async def subscribed() -> bool:
        answer = await world.platform.call(rule, request, world.platform.metadata(world.everything(PARTNER)))
        return answer.code is grpc.StatusCode.OK

    await until(subscribed)


def _evidence(plate: str) -> str:
    """The plate camera's picture of the truck, base64."""
    truck = dataclasses.replace(STOLEN_TRUCK, plate=plate)
    return base64.b64encode(render_vehicle_image(truck, front=False, seed=1)).decode()


async def _rows(page: Page, alert_id: str) -> int:
    return await page.locator(f'[data-testid="alert-list"] [data-alert-id="{alert_id}"]').count()


async def _asked(page: Page, url: str) -> tuple[int, str]:
    """A GET with the window's session: status and text."""
    answer = await page.request.get(url)
    return answer.status, await answer.text()


async def _open_shared(page: Page, alert_id: str) -> None:
    """Choose the row, press Enter, say why."""
    row = page.locator(f'[data-testid="alert-list"] [data-alert-id="{alert_id}"]')
    await row.click()
    await page.locator(f'[data-alert-id="{alert_id}"][data-armed]').wait_for()
    await page.keyboard.press("Enter")
    submit = page.get_by_test_id("purpose-submit")
    await submit.wait_for()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label(re.compile("purpose", re.I)).first.fill("Stolen vehicle pursuit")
    await dialog.get_by_label(re.compile("case", re.I)).first.fill("26-0412")
    await submit.click()


async def stolen_truck(world: World, browser: Browser, street_cameras: RtspServer) -> None:
    """The whole way. `world` may stand on one machine or in pods; cameras cam1 to cam4 of `street_cameras` are used."""
    for agency_id in (OWNER, PARTNER):
        await add_agency(world, agency_id)
    cameras = [await _camera(world, street_cameras, f"cam{n}", 40 + 30 * n, f"Crossing {n}") for n in range(1, 5)]
    granted, hidden = set(cameras[:2]), cameras[2:]
    unit = await world.unit(OWNER)
    plate, next_plate = "TRK041", "TRK042"
    for listed in (plate, next_plate):
        await world.hot_list_entry(OWNER, listed)
    agreement_id = await world.agreement(OWNER, PARTNER, alert_kinds=["plate_hit"], camera_ids=sorted(granted), cameras_live=True)
    await _subscribe(world, agreement_id)
    operator_a, operator_b = await world.person(OWNER, "operator", "supervisor"), await world.person(PARTNER, "operator")

    async with (
        live_watch(world, operator_b) as socket_b,
        live_watch(world, operator_a) as socket_a,
        window(browser, world, operator_a) as page_a,
        window(browser, world, operator_b) as page_b,
    ):
        for page in (page_a, page_b):
            await page.get_by_test_id("alert-list").wait_for()

        alert_id = await _read_truck(world, plate, cameras[0])
        for page in (page_a, page_b):
            await page.locator(f'[data-testid="alert-list"] [data-alert-id="{alert_id}"]').wait_for()

        # exactly once on each screen, and each revision once on each socket
        assert await _rows(page_a, alert_id) == await _rows(page_b, alert_id) == 1
        assert await page_b.locator(f'[data-alert-id="{alert_id}"]').first.get_attribute("data-shared-by") == OWNER

        # one key on A: acknowledged, four cameras, pictures that move
        row = page_a.locator(f'[data-testid="alert-list"] [data-alert-id="{alert_id}"]')
        await row.click()
        await page_a.locator(f'[data-alert-id="{alert_id}"][data-armed]').wait_for()
        await page_a.keyboard.press("Enter")
        await page_a.locator(f'[data-testid="alert-list"] [data-alert-id="{alert_id}"][data-state="acknowledged"]').wait_for()
        await frames_rise(page_a, set(cameras))
        await picture(page_a, "stolen-truck")

        # B opens it with a reason, and sees the two cameras granted
        await _open_shared(page_b, alert_id)
        await frames_rise(page_b, granted)
        await picture(page_b, "stolen-truck-neighbour")

        # the evidence picture is part of what is shared
        image = f"{world.platform.url}/v1/alerts/{alert_id}/image"
        answer = await page_b.request.get(image)
        assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")

        # and none of A's other cameras, people or units: not in its lists, not on its wire
        for path in ("/v1/cameras", "/v1/shared-cameras", "/v1/positions", "/v1/units", "/v1/camera-health", "/v1/people", "/v1/viewers"):
            status, text = await _asked(page_b, world.platform.url + path)
            assert not any(secret in text for secret in (*hidden, unit.unit_id, operator_a.person_id, unit.call_sign)), (path, status)
        for secret in (*hidden, unit.unit_id, operator_a.person_id, operator_a.display_name):
            assert not socket_b.saw(secret), secret

        async def told_of_cameras() -> bool:
            return socket_b.saw(next(iter(granted)))

        await until(told_of_cameras)
        denied = await page_b.request.post(
            f"{world.platform.url}/v1/whep/{hidden[0]}",
            data="v=0",
            headers={"Content-Type": "application/sdp", "Rtcc-Request": "1", "Rtcc-Purpose": "x", "Rtcc-Case-Number": "y"},
        )
        assert denied.status in (403, 404)

        # A takes it back: B's pictures end
        await page_a.goto(f"{world.platform.url}/share")
        card = page_a.locator(f'[data-agreement-id="{agreement_id}"]')
        await card.get_by_test_id("revoke").click()
        submit = page_a.get_by_test_id("revoke-submit")
        reason = page_a.get_by_role("dialog").get_by_role("textbox")
        if await reason.count():
            await reason.first.fill("Case closed")
        await submit.click()

        async def stream_ended() -> bool:
            tiles = page_b.locator('figure.tile[data-state="live"]')
            viewers = await world.platform.ask("ListViewers", world.everything(OWNER))
            return await tiles.count() == 0 and not any(viewer.viewer_agency_id == PARTNER for viewer in viewers.viewers)

        await until(stream_ended)
        await page_b.locator(f'[data-testid="alert-list"] [data-alert-id="{alert_id}"]').wait_for(state="detached")

        async def image_gone() -> bool:
            return (await page_b.request.get(image)).status == 404

        await until(image_gone)

        # B's next read doesn't come: an own alert that is raised after it does
        next_alert = await _read_truck(world, next_plate, cameras[0])
        own_alert = await world.alert(PARTNER)

        async def own_arrived() -> bool:
            return own_alert in {identifier for identifier, _ in socket_b.alerts()}

        await until(own_arrived)
        await page_b.locator(f'[data-testid="alert-list"] [data-alert-id="{own_alert}"]').wait_for()
        assert not socket_b.saw(next_alert)
        assert await _rows(page_b, next_alert) == 0
        own, shared = socket_a.alerts(), socket_b.shared_alerts()
        assert len(own) == len(set(own)), own
        assert len(shared) == len(set(shared)), shared

    # the log holds, and says who saw what (R8, R9, R12)
    for agency in (OWNER, PARTNER):
        report = await world.platform.ask("VerifyLedger", world.everything(agency))
        assert report.intact, report.problems
        assert report.tree_size > 0
    camera = f"camera:{sorted(granted)[0]}"

    def seen_by_both(entries: list[ledger_pb2.AuditEntry]) -> bool:
        seen_by = {(entry.principal_agency_id, entry.principal_id) for entry in entries if _views(entry)}
        return {(OWNER, operator_a.person_id), (PARTNER, operator_b.person_id)} <= seen_by

    entries = await world.logged(OWNER, camera, seen_by_both)
    partners = [entry for entry in entries if _views(entry) and entry.principal_agency_id == PARTNER]
    assert {(entry.purpose, entry.case_number, entry.agreement_id) for entry in partners} == {
        ("Stolen vehicle pursuit", "26-0412", agreement_id)
    }
    await world.logged(OWNER, f"alert:{alert_id}", lambda entries: PARTNER in {entry.principal_agency_id for entry in entries})
    # B's pictures ended within 5 s of the revocation, by the servers' clocks (R19)
    (revoked, *_) = await world.logged(OWNER, f"agreement:{agreement_id}", lambda entries: any(map(_revokes, entries)))
    ended = [entry for entry in await world.logged(OWNER, camera, lambda entries: any(map(_ends, entries))) if _ends(entry)]
    late_s = (ended[0].recorded_at.ToNanoseconds() - revoked.recorded_at.ToNanoseconds()) / 1e9
    print(f"revoked -> B's streams ended in {late_s:.2f} s")
    assert late_s < 5


def _views(entry: ledger_pb2.AuditEntry) -> bool:
    return entry.action == "camera.view_live" and entry.outcome == ledger_pb2.OUTCOME_ALLOWED


def _revokes(entry: ledger_pb2.AuditEntry) -> bool:
    return entry.action == "agreement.revoke"


def _ends(entry: ledger_pb2.AuditEntry) -> bool:
    return entry.action == "camera.view_ended" and entry.principal_agency_id == PARTNER
