"""A drone that nobody knows flies where nobody may: the alert says which, the map shows who flies it, a mail is sent."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, expect

from proof.browser import modest_window, picture
from proof.platform import until
from proof.receivers import mail_server
from proof.sky import broadcast
from proof.world import Source, World, add_agency
from rtcc.alerting.v1 import alerting_pb2
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2

AGENCY = "skywatch"
# the manufacturer's code RTCC is nobody's; the platform's table knows its model
SERIAL_NUMBER, MODEL, OPERATOR = "RTCCF00000000000077", "Kestrel", "FIN87astrdge12k8"
SQUARE = (60.1695, 24.9525)
PILOT = (60.1686, 24.9475)
METRE_DEG = 1 / 111_195


async def _no_fly_zone(world: World) -> str:
    """200 m around the square, up to 120 m."""
    half = 200 * METRE_DEG
    corners = [
        geo_pb2.Coordinate(latitude_deg=SQUARE[0] + y * half, longitude_deg=SQUARE[1] + 2 * x * half)
        for y, x in ((-1, -1), (-1, 1), (1, 1), (1, -1))
    ]
    zone = registry_pb2.Zone(name="Senate square", kind="air", area=geo_pb2.Polygon(corners=corners), ceiling_m=120)
    answer = await world.platform.ask("CreateZone", world.everything(AGENCY), registry_pb2.CreateZoneRequest(zone=zone))
    return str(answer.zone.zone_id)


async def _contact(world: World, port: int) -> None:
    """The venue's security desk, told by mail of every drone."""
    settings = alerting_pb2.NotificationSettings(
        smtp_host="127.0.0.1", smtp_port=port, smtp_security=alerting_pb2.SMTP_SECURITY_NONE, from_address="rtcc@skywatch.example"
    )
    await world.platform.ask(
        "SetNotificationSettings", world.everything(AGENCY), alerting_pb2.SetNotificationSettingsRequest(settings=settings)
    )
    contact = alerting_pb2.Contact(
        name="Security desk", channel=alerting_pb2.NOTIFICATION_CHANNEL_EMAIL, address="desk@square.example", enabled=True,
        alert_kinds=["drone"], least_severity=4,
    )  # fmt: skip
    await world.platform.ask("SetContact", world.everything(AGENCY), alerting_pb2.SetContactRequest(contact=contact))


@asynccontextmanager
async def _flying(world: World, receiver: Source) -> AsyncIterator[None]:
    """The drone comes from the south, 12 m/s, and hovers over the square; a receiver reports it each half second."""

    async def fly() -> None:
        metres = -400.0
        while True:
            at = (SQUARE[0] + metres * METRE_DEG, SQUARE[1])
            status, answer = await world.delivered(receiver, broadcast(SERIAL_NUMBER, OPERATOR, at, 60, 12, PILOT), door="airspace")
            assert status == 202, answer
            metres = min(0.0, metres + 12.0)
            await asyncio.sleep(0.5)

    flight = asyncio.create_task(fly())
    try:
        yield
    finally:
        flight.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flight


@pytest.mark.timeout(400)
async def test_an_unknown_drone_is_seen_named_and_told(world: World, browser: Browser) -> None:
    await add_agency(world, AGENCY)
    await _no_fly_zone(world)
    receiver = await world.source(AGENCY, "remote_id")
    operator = await world.person(AGENCY, "operator", "investigator")
    async with mail_server() as mails, modest_window(browser, world, operator) as page:
        await _contact(world, mails.port)
        await page.get_by_test_id("alert-list").wait_for()
        async with _flying(world, receiver):
            # the alert says which drone, by model and serial number
            row = page.locator('[data-testid="alert-list"] [data-alert-id]').first
            await row.wait_for(timeout=60_000)
            await row.click()
            alarm = page.get_by_test_id("drone-alarm")
            await expect(alarm).to_contain_text(SERIAL_NUMBER)
            await expect(alarm).to_contain_text(MODEL)
            await expect(alarm).to_contain_text("Senate square")
            # where the pilot stands is broadcast by this drone itself: the pilot, not a take-off point
            await expect(alarm.get_by_test_id("alarm-pilot")).to_have_attribute("data-place", "pilot")
            await expect(alarm.get_by_test_id("alarm-pilot")).to_contain_text(f"{PILOT[0]:.5f}")

            # the drone as it flies now, its pilot beside it on the map
            await alarm.get_by_role("button", name="Show the drone now").click()
            card = page.get_by_test_id("track-card")
            await expect(card).to_contain_text(SERIAL_NUMBER)
            await expect(card).to_contain_text(OPERATOR)
            await expect(card.get_by_test_id("pilot-place")).to_contain_text(re.compile("pilot", re.I))
            await picture(page, "unknown-drone")

            # a mail with all that, once
            async def mailed() -> bool:
                return bool(mails.mails)

            await until(mailed, deadline_s=30)
            text = str(mails.mails[0].get_body().get_content())  # type: ignore[union-attr] # our mails have a text
            assert SERIAL_NUMBER in text and MODEL in text and f"{PILOT[0]:.4f}" in text, text
            assert mails.mails[0]["To"] == "desk@square.example"

            # the operator sees what became of it
            (alert,) = await world.alerts(AGENCY)
            assert alert.kind == "drone"

            async def told() -> bool:
                request = alerting_pb2.ListDeliveriesRequest(alert_id=alert.alert_id)
                answer = await world.platform.ask("ListDeliveries", world.everything(AGENCY), request)
                return [delivery.state for delivery in answer.deliveries] == [alerting_pb2.DELIVERY_STATE_SENT]

            await until(told, deadline_s=30)
            assert len(mails.mails) == 1

    # who looked stands in the log
    await world.logged(AGENCY, f"alert:{alert.alert_id}", lambda entries: operator.person_id in {entry.principal_id for entry in entries})
    # and nobody else's sky shows it
    other = await world.platform.ask("ListTracks", world.everything("beacon"))
    assert SERIAL_NUMBER not in str(other)
