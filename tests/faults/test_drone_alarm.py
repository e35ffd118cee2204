"""A drone is in a zone when the process that watches it is killed: its alarm comes once, and its path keeps what was acknowledged."""

import asyncio
import os
import signal
import time
from datetime import UTC

import aiohttp
import pytest

from proof.platform import RunningPlatform, until
from proof.sky import remote_id
from proof.world import OWNER, World
from rtcc.airspace.v1 import airspace_pb2
from rtcc.event.v1 import event_pb2
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.bus import Delivery
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import EVENTS

SERIAL = "MFG1F000000000009001"
STARTS, STEP = 60.170, 0.0001
ZONE = (60.1705, 24.93, 60.18, 24.95)


async def zone_in_the_air(world: World) -> None:
    south, west, north, east = ZONE
    corners = [geo_pb2.Coordinate(latitude_deg=y, longitude_deg=x) for y, x in ((south, west), (south, east), (north, east), (north, west))]
    zone = registry_pb2.Zone(name=f"Air {new_id()[:8]}", kind="air", area=geo_pb2.Polygon(corners=corners))
    await world.platform.ask("CreateZone", world.everything(OWNER), registry_pb2.CreateZoneRequest(zone=zone))


async def alarms(platform: RunningPlatform) -> list[event_pb2.Event]:
    found: list[event_pb2.Event] = []

    async def take(deliveries: "list[Delivery]") -> None:
        found.extend(delivery.parse(event_pb2.Event) for delivery in deliveries)

    tail = platform.bus.tail(EVENTS, [f"event.{OWNER}.drone_alarm"], take, start="all")  # type: ignore[arg-type] # a list is a sequence
    task = asyncio.create_task(tail.run())
    await tail.caught_up()
    task.cancel()
    return [event for event in found if event.drone_alarm.identity.serial_number == SERIAL]


@pytest.mark.timeout(400)
async def test_a_killed_watcher_tells_an_alarm_once_and_loses_no_sighting(mortal_platform: RunningPlatform, mortal_world: World) -> None:
    platform, world = mortal_platform, mortal_world
    await zone_in_the_air(world)
    source = await world.source(OWNER, "remote_id")
    await world.delivered(source, {"frames": []}, door="airspace")
    accepted: list[float] = []
    process = platform.supervisor.supervised["location"]
    restarts = process.facts.restarts
    struck_at = 0.0
    for step in range(60):
        latitude = STARTS + STEP * step
        if step == 9:
            # four sightings are inside: the stay is being told just now
            os.kill(process.facts.process_id, signal.SIGKILL)
            struck_at = time.monotonic()
        try:
            status, answer = await platform.deliver(source.source_id, source.secret, remote_id(SERIAL, latitude, 24.94), door="airspace")
        except (aiohttp.ClientError, TimeoutError):
            status, answer = 0, {}
        if status == 202 and answer["accepted"]:
            accepted.append(latitude)
        if struck_at and process.facts.restarts > restarts and status == 202 and len(accepted) > 20:
            break
        await asyncio.sleep(0.3)
    assert process.facts.restarts > restarts and len(accepted) > 20

    async def told() -> bool:
        return bool(await alarms(platform))

    await until(told, deadline_s=30)
    search = airspace_pb2.SearchTracksRequest(serial_number=SERIAL)

    async def kept() -> bool:
        seen: set[float] = set()
        for track in (await platform.ask("SearchTracks", world.everything(OWNER), search)).tracks:
            request = airspace_pb2.GetTrackPathRequest(track_id=track.track_id, limit=5000)
            path = await platform.ask("GetTrackPath", world.everything(OWNER), request)
            seen |= {round(point.position.coordinate.latitude_deg, 4) for point in path.points}
        return {round(latitude, 4) for latitude in accepted} <= seen

    await until(kept, deadline_s=60)
    (event,) = await alarms(platform)
    assert abs(event.occurred_at.ToDatetime(UTC).timestamp() - time.time()) < 240
    tracks = (await platform.ask("SearchTracks", world.everything(OWNER), search)).tracks
    assert [track.track_id for track in tracks] == [event.drone_alarm.track_id]
