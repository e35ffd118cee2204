"""Where own drones' cameras look, and who moves a camera, in the live state of the gateway: not for partners."""

import numpy as np

from rtcc.airspace.v1.airspace_pb2 import TRACK_KIND_OWN_DRONE, TrackBatch, TrackHead, TrackView
from rtcc.airspace.v1.drone_video_pb2 import CameraView
from rtcc.video.v1.video_pb2 import CameraHealth
from rtcc_gateway.live.tracks import TrackTable
from rtcc_gateway.live.view import as_told_to


def batch(observed_at_us: int, *views: TrackView, ended: bool = False) -> TrackBatch:
    heads = [TrackHead(track_id="t1", key="own:camera:c1", kind=TRACK_KIND_OWN_DRONE, ended=ended)]
    if ended:
        return TrackBatch(agency_id="east", heads=heads)
    columns = {
        "latitude_e7": 601_700_000, "longitude_e7": 249_400_000, "altitude_dm": 0, "height_dm": 800, "heading_cdeg": 0, "speed_cmps": 0,
        "vertical_cmps": 0, "pilot_latitude_e7": 0, "pilot_longitude_e7": 0, "flags": 0, "accuracy_dm": 0,
        "observed_at_us": observed_at_us, "received_at_us": observed_at_us,
    }  # fmt: skip
    made = TrackBatch(agency_id="east", track_ids=["t1"], heads=heads, views=views, pilot_place=[0])
    for name, value in columns.items():
        getattr(made, name).append(value)
    return made


def looks(camera_id: str, track_id: str = "t1") -> TrackView:
    return TrackView(track_id=track_id, view=CameraView(camera_id=camera_id))


def test_a_view_comes_with_its_track_and_ends_with_it() -> None:
    table, rows, nobody = TrackTable(), np.array([0]), np.zeros(1, bool)
    table.apply(batch(1, looks("c1"), looks("c9", "of another")))
    (view,) = table.views(rows, nobody)
    assert (view.number, view.view.camera_id) == (table.numbers_of(rows)[0][0], "c1")
    # late data rewrites nothing
    table.apply(batch(1, looks("c0")))
    assert table.views(rows, nobody)[0].view.camera_id == "c1"
    table.apply(batch(2, looks("c2")))
    assert table.views(rows, nobody)[0].view.camera_id == "c2"
    table.apply(batch(3, ended=True))
    assert table.views(rows, nobody) == []


def test_partners_are_not_told_who_moves_a_camera() -> None:
    state = CameraHealth(
        camera_id="c1", agency_id="east", codec="H264", controlled_by="East Operator", sound_allowed=True, sound_reason="AAC"
    )
    assert as_told_to("east", state) is state
    told = as_told_to("west", state)
    assert (told.controlled_by, told.codec, state.controlled_by) == ("", "H264", "East Operator")
    assert (told.sound_allowed, told.sound_reason, state.sound_allowed) == (False, "", True)


def test_partners_are_not_told_what_a_drone_films() -> None:
    table = TrackTable()
    table.apply(batch(1, looks("c1")))
    assert table.views(np.array([0]), np.ones(1, bool)) == []
