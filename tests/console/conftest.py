"""The console in the machine's real Chromium, against the real platform."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from proof import filmed, footage_things, incident_things, wall_things
from proof.browser import chromium
from proof.desk import OWNER, PARTNER
from proof.filmed import Filmed
from proof.world import World, add_agency
from rtcc.registry.v1 import registry_pb2


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def console_browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def desk(world: World) -> World:
    """The world, with the agencies of these tests in it."""
    for agency_id in (OWNER, PARTNER):
        await add_agency(world, agency_id)
    return world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def everybody(desk: World) -> registry_pb2.Person:
    """One person of the owning agency with every role of an agency: sees every screen."""
    return await desk.person(OWNER, "operator", "supervisor", "officer", "investigator", "dispatcher", "auditor", "administrator")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def furnished(desk: World) -> World:
    """Something on every screen: cameras, alerts, a unit, a list, a source, an agreement, a message in quarantine, an
    incident, a tip, a drone, a wall."""
    world = desk
    granted = [await world.camera(OWNER) for _ in range(3)]
    await world.unit(OWNER)
    await world.plate_alert(OWNER)
    await world.alert(OWNER)
    await world.agreement(OWNER, PARTNER, alert_kinds=["gunshot"], camera_ids=granted[:2], cameras_live=True)
    await world.quarantined(OWNER)
    await incident_things.incident(world, OWNER)
    await incident_things.tip(world, OWNER)
    await world.track(OWNER)
    await wall_things.saved_wall(world, OWNER, "Front", 4, [])
    return world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def four(desk: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Filmed]:
    """Four cameras with a quarter of a minute of recording."""
    async with filmed.filmed_cameras(desk, OWNER, tmp_path_factory.mktemp("numbers"), 4) as cameras:
        for camera_id in cameras.camera_ids:
            await footage_things.wait_for_footage(desk, OWNER, camera_id, seconds=16)
        yield cameras
