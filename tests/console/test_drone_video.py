"""A drone that sends its video with metadata: it flies on the map, its card says what it films, and its picture is watched."""

import asyncio
from pathlib import Path

from playwright.async_api import Browser, expect

from proof.browser import modest_window
from proof.desk import OWNER
from proof.footage_things import write_clip
from proof.platform import until
from proof.video import frames_rise
from proof.world import World
from rtcc.airspace.v1 import airspace_pb2
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.testing import free_port
from rtcc_demo.drone_video import DroneFlight, DroneTransmitter


async def test_a_drones_video_puts_it_on_the_map_with_what_it_films(furnished: World, console_browser: Browser, tmp_path: Path) -> None:
    world, port, clip = furnished, free_port(), tmp_path / "drone.mp4"
    write_clip(clip)
    transmitter = DroneTransmitter(clip, f"udp://127.0.0.1:{port}", DroneFlight(60.1702, 24.9402, tail="OH-77").metadata)
    camera = registry_pb2.Camera(
        name="Drone OH-77", kind=registry_pb2.CAMERA_KIND_VEHICLE, coordinate=Coordinate(latitude_deg=60.1702, longitude_deg=24.9402),
        owner=OWNER, enabled=True, field_of_view_deg=60, stream_url=f"udp://127.0.0.1:{port}", pull=registry_pb2.CAMERA_PULL_ALWAYS,
    )  # fmt: skip
    created = await world.platform.ask("CreateCamera", world.creating(OWNER), registry_pb2.CreateCameraRequest(camera=camera))
    camera_id = created.camera.camera_id
    transmitter.start()
    try:

        async def flying() -> airspace_pb2.Track | None:
            answer = await world.platform.ask("ListTracks", world.everything(OWNER), airspace_pb2.ListTracksRequest())
            return next((track for track in answer.tracks if track.source_id == f"camera:{camera_id}"), None)

        track = await until(flying, deadline_s=60)
        assert track is not None and track.identity.registration == "OH-77" and track.kind == airspace_pb2.TRACK_KIND_OWN_DRONE
        async with modest_window(
            console_browser, world, await world.person(OWNER, "operator"), "/air", view=(24.9402, 60.1702, 16.5)
        ) as page:
            await page.locator('[data-testid="map"][data-ready]').wait_for()
            await page.locator(f'[data-testid="track-row"][data-track-id="{track.track_id}"]').click()
            sight = page.get_by_test_id("track-card").get_by_test_id("track-sight")
            await expect(sight).to_contain_text("Films the ground")
            await expect(sight).to_have_attribute("data-camera-id", camera_id)
            await sight.get_by_role("button", name="Watch its video").click()
            await frames_rise(page, {camera_id})
    finally:
        await asyncio.to_thread(transmitter.stop)
        deleting = registry_pb2.DeleteCameraRequest(camera_id=camera_id)
        await world.platform.ask("DeleteCamera", world.creating(OWNER), deleting)
