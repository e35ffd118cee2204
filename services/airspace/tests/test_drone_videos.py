"""Own drones by what their video says, on the real service: a track that moves, with where its camera looks; one with its Remote ID."""

from typing import Any

import pytest

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.airspace.v1.drone_video_pb2 import DroneVideo
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.registry.v1 import registry_pb2
from rtcc_airspace.domain.observations import HEADING, HEIGHT, UNKNOWN_DM, UNKNOWN_HEADING_CDEG
from rtcc_airspace.drone_videos import sighting
from rtcc_chassis.clock import utc_now
from rtcc_chassis.streams import TRACKS
from rtcc_chassis.testing import poll

from .conftest import ADMINISTRATOR, EAST, SERIAL, WEST, Airspace, Drone, document


def told(latitude_deg: float = 60.17, agency_id: str = "east", **fields: Any) -> DroneVideo:
    video = DroneVideo(agency_id=agency_id, camera_id="c1", height_m=80.0, platform_tail="OH-1", mission_id="M 7", **fields)
    video.position.coordinate.CopyFrom(Coordinate(latitude_deg=latitude_deg, longitude_deg=24.94))
    video.position.heading_deg = 90.0
    video.view.camera_id = "c1"
    video.view.frame_center.CopyFrom(Coordinate(latitude_deg=60.171, longitude_deg=24.941))
    video.view.corners.extend(
        Coordinate(latitude_deg=60.171 + y, longitude_deg=24.941 + x) for y, x in ((1e-3, 0), (0, 1e-3), (-1e-3, 0), (0, -1e-3))
    )
    now = utc_now()
    video.observed_at.FromDatetime(now)
    video.received_at.FromDatetime(now)
    return video


async def tell(airspace: Airspace, video: DroneVideo, subject: str = "") -> None:
    await airspace.context.bus.publish_core(subject or f"drone_video.{video.agency_id}", video)


async def test_a_drones_video_is_a_track_that_moves_with_what_its_camera_sees(airspace: Airspace) -> None:
    await tell(airspace, told(agency_id="west"), "drone_video.east")
    await airspace.context.bus.publish_core("drone_video.east", b"\xff\xff no message")

    async def shown(latitude_deg: float) -> pb.Track:
        async def ask() -> pb.Track | None:
            await tell(airspace, told(latitude_deg))
            found = [track for track in await airspace.tracks() if round(track.position.coordinate.latitude_deg, 6) == latitude_deg]
            return found[0] if found else None

        track = await poll(ask)
        assert track is not None
        return track

    first, second = await shown(60.17), await shown(60.1701)
    assert first.track_id == second.track_id and first.kind == pb.TRACK_KIND_OWN_DRONE
    assert (first.source_id, first.identity.registration, first.identity.description) == ("camera:c1", "OH-1", "mission M 7")
    assert first.height_m == 80 and first.position.heading_deg == 90
    assert await airspace.tracks(WEST) == []
    batches = await airspace.stored(TRACKS, "track.east", pb.TrackBatch)
    views = [view for batch in batches for view in batch.views]
    assert {view.track_id for view in views} == {first.track_id} and views[-1].view == told().view


async def test_a_drone_that_is_known_by_its_serial_number_is_one_track(airspace: Airspace) -> None:
    unit = registry_pb2.Unit(call_sign="Drone 1", kind="drone", device_id=SERIAL, enabled=True)
    created = await airspace.ask(airspace.registry.CreateUnit, registry_pb2.CreateUnitRequest(unit=unit), ADMINISTRATOR)
    await airspace.mirrored("unit", registry_pb2.Unit, created.unit.unit_id)
    await airspace.submit(document(Drone().frame()))

    async def shown() -> pb.Track | None:
        video = told()
        video.platform_tail = SERIAL
        await tell(airspace, video)
        tracks = await airspace.tracks(EAST)
        assert len(tracks) == 1
        return tracks[0] if tracks[0].source_id == "camera:c1" or tracks[0].identity.description == "mission M 7" else None

    track = await poll(shown)
    assert track is not None and track.identity.serial_number == SERIAL and track.kind == pb.TRACK_KIND_OWN_DRONE


@pytest.mark.parametrize("place", [(0.0, 0.0), (91.0, 24.0), (float("nan"), 24.0)])
def test_no_place_is_no_sighting(place: tuple[float, float]) -> None:
    video = told()
    video.position.coordinate.latitude_deg, video.position.coordinate.longitude_deg = place
    assert sighting(video, lambda agency_id: frozenset()) is None


def test_what_is_not_told_stays_unknown_and_a_view_without_ground_is_none() -> None:
    video = told()
    video.ClearField("height_m")
    video.position.ClearField("heading_deg")
    video.view.corners[2].latitude_deg = float("nan")
    video.view.frame_center.latitude_deg = -95.0
    seen = sighting(video, lambda agency_id: frozenset())
    assert seen is not None and seen.numbers[[HEIGHT, HEADING], 0].tolist() == [UNKNOWN_DM, UNKNOWN_HEADING_CDEG]
    (view,) = seen.views.values()
    assert not view.corners and not view.HasField("frame_center") and view.camera_id == "c1"
