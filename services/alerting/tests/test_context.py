"""The cameras and units an alert carries are those that plain geometry would choose."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_alerting.context import CameraIndex, UnitPositions
from rtcc_chassis.geometry import distance_m, ranked_for

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACE = Coordinate(latitude_deg=60.17, longitude_deg=24.94)
OFFSETS = st.floats(-0.03, 0.03).map(lambda value: round(value, 5))


@st.composite
def cameras(draw: st.DrawFn) -> list[Camera]:
    return [
        Camera(
            camera_id=f"c{number:02}",
            agency_id="east",
            enabled=draw(st.booleans()) or number % 2 == 0,
            coordinate=Coordinate(latitude_deg=60.17 + draw(OFFSETS) / 10, longitude_deg=24.94 + draw(OFFSETS) / 5),
            bearing_deg=draw(st.integers(0, 359)),
            field_of_view_deg=draw(st.sampled_from([30, 90, 180, 360])),
            range_m=draw(st.sampled_from([0, 80, 300, 900])),
        )
        for number in range(draw(st.integers(0, 12)))
    ]


@settings(max_examples=200, deadline=None)
@given(cameras())
def test_best_cameras_are_those_of_the_plain_ranking(known: list[Camera]) -> None:
    expected = [(camera.camera_id, in_view) for camera, _, in_view in ranked_for(known, PLACE, 4)]
    assert [(camera.camera_id, in_view) for camera, _, in_view in CameraIndex.of(known).best(PLACE)] == expected


def test_the_camera_that_read_the_plate_comes_first() -> None:
    known = [
        Camera(camera_id=f"c{number}", enabled=True, coordinate=Coordinate(latitude_deg=60.17 + number / 1e4, longitude_deg=24.94))
        for number in range(8)
    ]
    best = CameraIndex.of(known).best(PLACE, seen_by="c7")
    assert [camera.camera_id for camera, _, _ in best] == ["c7", "c0", "c1", "c2"]
    assert best[0][2]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(OFFSETS, OFFSETS, st.integers(0, 1200)), max_size=12))
def test_nearest_units_are_those_of_plain_geometry(fixes: list[tuple[float, float, int]]) -> None:
    positions = UnitPositions()
    batch = PositionBatch(agency_id="east")
    expected = []
    for number, (north, east, age_s) in enumerate(fixes):
        latitude_e7, longitude_e7 = round((60.17 + north) * 1e7), round((24.94 + east) * 1e7)
        batch.unit_ids.append(f"u{number}")
        batch.latitude_e7.append(latitude_e7)
        batch.longitude_e7.append(longitude_e7)
        batch.fixed_at_us.append(int((NOW - timedelta(seconds=age_s)).timestamp() * 1e6))
        if age_s <= 600:
            expected.append(round(distance_m(latitude_e7 / 1e7, longitude_e7 / 1e7, 60.17, 24.94), 3))
    positions.apply(batch)
    found = positions.nearest("east", PLACE, NOW)
    assert [round(metres, 3) for _, metres, _ in found] == sorted(expected)[:4]
    assert positions.nearest("west", PLACE, NOW) == []


def test_an_older_fix_does_not_replace_a_newer_one() -> None:
    positions = UnitPositions()
    for latitude_e7, age_s in ((601_700_000, 1), (611_700_000, 30)):
        fixed_at_us = int((NOW - timedelta(seconds=age_s)).timestamp() * 1e6)
        positions.apply(
            PositionBatch(
                agency_id="east", unit_ids=["u1"], latitude_e7=[latitude_e7], longitude_e7=[249_400_000], fixed_at_us=[fixed_at_us]
            )
        )
    ((unit_id, metres, age),) = positions.nearest("east", PLACE, NOW)
    assert (unit_id, round(metres), round(age)) == ("u1", 0, 1)
