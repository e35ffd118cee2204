"""Inventories in, valid cameras and reasons out; never an unexpected exception."""

import json
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.geometry import distance_m, in_field_of_view
from rtcc_registry.domain.camera_import import PROBLEMS_MOST, parse
from rtcc_registry.domain.cameras import RANK_REACH_M, checked_camera, rank, stream_problem

HEADER = "camera_id,name,latitude,longitude,bearing_deg,field_of_view_deg,range_m,kind,owner,stream_url,enabled\n"


def feature(longitude: object = 24.94, latitude: object = 60.17, **properties: object) -> dict[str, object]:
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [longitude, latitude]}, "properties": properties}


def geojson(*features: object) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def test_a_csv_row_becomes_a_camera() -> None:
    parsed = parse("csv", (HEADER + "c1,Mannerheimintie 1,60.17,24.94,370,90,60,street,City,rtsp://u:p@h/1,true\n").encode())
    assert [(p.row, p.field) for p in parsed.problems] == [(2, "bearing_deg")]
    parsed = parse("csv", (HEADER + "c1,Mannerheimintie 1,60.17,24.94,360,90,60,plate_reader,City,rtsp://u:p@h/1,no\n").encode())
    (row, camera), *_ = parsed.cameras
    assert (row, camera.camera_id, camera.bearing_deg, camera.kind, camera.enabled) == (2, "c1", 0.0, pb.CAMERA_KIND_PLATE_READER, False)


def test_spreadsheet_dialects_are_read() -> None:
    text = '\ufeffName;Lat;Lon\r\n"Aleksi; east";60.17;24.94\r\n\r\n'
    assert [camera.name for _, camera in parse("csv", text.encode()).cameras] == ["Aleksi; east"]


def test_geojson_points_become_cameras_and_other_members_are_ignored() -> None:
    content = geojson(feature(name="Asema", kind="street", bearing_deg=15, scene="x") | {"id": "c7"})
    (row, camera), *_ = parse("geojson", content).cameras
    assert (row, camera.camera_id, camera.coordinate.latitude_deg, camera.bearing_deg) == (0, "c7", 60.17, 15.0)


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (feature(name="A", longitude=181), "coordinate.longitude_deg"),
        (feature(name="A", latitude="north"), "latitude"),
        (feature(name="A", latitude=None), "latitude"),
        (feature(name=""), "name"),
        (feature(name="A", kind="toaster"), "kind"),
        (feature(name="A", stream_url="ftp://h/x"), "stream_url"),
        (feature(name="A", stream_url="file:../../etc/passwd"), "stream_url"),
        (feature(name="A", camera_id="a.b"), "camera_id"),
        (feature(name=True), "name"),
        ({"type": "Feature", "geometry": None}, ""),
        (7, ""),
    ],
)
def test_a_bad_row_is_reported_and_the_good_one_kept(bad: object, field: str) -> None:
    parsed = parse("geojson", geojson(bad, feature(name="Good")))
    assert [camera.name for _, camera in parsed.cameras] == ["Good"]
    assert (parsed.problems[0].row, parsed.problems[0].field) == (0, field)


def test_a_name_that_stands_twice_is_taken_once() -> None:
    parsed = parse("geojson", geojson(feature(name="Asema"), feature(name="ASEMA")))
    assert len(parsed.cameras) == 1
    assert parsed.problems[0].reason == "stands in row 0 already"


def test_problems_are_bounded_and_say_how_many_more() -> None:
    parsed = parse("geojson", geojson(*(7 for _ in range(PROBLEMS_MOST + 20))))
    assert parsed.listed_problems()[-1].reason.startswith("and 20 more")


def test_a_password_never_stands_in_a_reason() -> None:
    for url in ("rtsp://u:hunter2@", "ftp://u:hunter2@h/", "rtsp://u:hunter2@h:99999/", "rtsp://u:hunter2@[::/"):
        assert stream_problem(url)
        assert "hunter2" not in stream_problem(url)


@given(st.binary(max_size=400), st.sampled_from(["csv", "geojson", "xml"]))
@example(b'{"type":"FeatureCollection","features":[{"geometry":{"type":"Point","coordinates":[1e999,2]}}]}', "geojson")
@example(
    b'{"type":"FeatureCollection","features":[{"geometry":{"type":"Point","coordinates":[1,2]},"properties":{"name":"\\ud800"}}]}',
    "geojson",
)
@example(b"[" * 100_000, "geojson")
@example(b'name,latitude,longitude\n"a', "csv")
@example(b"name,latitude,longitude\na\x00,1,2", "csv")
def test_no_document_breaks_the_parser(content: bytes, format_name: str) -> None:
    try:
        parse(format_name, content)
    except InvalidInput as error:
        assert error.violations


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
PROPERTIES = st.dictionaries(st.sampled_from(["name", "kind", "bearing_deg", "range_m", "enabled", "owner", "stream_url", "id"]), JSON)


@given(st.lists(st.builds(lambda x, y, p: feature(x, y, **p), JSON, JSON, PROPERTIES), max_size=5))
def test_every_camera_that_passes_is_valid(features: list[dict[str, object]]) -> None:
    for _, camera in parse("geojson", geojson(*features)).cameras:
        assert checked_camera(camera) == camera


@given(st.integers(0, 2**32), st.integers(1, 16))
def test_ranking_agrees_with_brute_force(seed: int, limit: int) -> None:
    dice = random.Random(seed)
    place = Coordinate(latitude_deg=60.17, longitude_deg=24.94)
    cameras = [
        pb.Camera(
            camera_id=f"c{number}", agency_id=dice.choice(["own", "partner", "stranger"]), bearing_deg=dice.uniform(0, 360),
            range_m=dice.choice([0, 200]), field_of_view_deg=dice.choice([60, 120, 360]), enabled=dice.random() < 0.8,
            coordinate=Coordinate(latitude_deg=60.17 + dice.gauss(0, 0.001), longitude_deg=24.94 + dice.gauss(0, 0.002)),
        )
        for number in range(60)
    ]  # fmt: skip
    agreement_of = {"own": "", "partner": "a1", "stranger": None}

    def away_m(camera: pb.Camera) -> float:
        return distance_m(camera.coordinate.latitude_deg, camera.coordinate.longitude_deg, place.latitude_deg, place.longitude_deg)

    seen = [c for c in cameras if c.enabled and c.agency_id != "stranger" and away_m(c) <= RANK_REACH_M]
    best = sorted(seen, key=lambda c: (not in_field_of_view(c, place), away_m(c), c.camera_id))[:limit]
    ranked = rank(cameras, place, limit, lambda camera: agreement_of[camera.agency_id])
    assert [choice.camera.camera_id for choice in ranked] == [camera.camera_id for camera in best]
    assert all(choice.agreement_id == ("a1" if choice.camera.agency_id == "partner" else "") for choice in ranked)
