"""Geometry, identifiers, settings and tokens."""

import math
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon, Position
from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.errors import Unauthenticated
from rtcc_chassis.geometry import (
    bearing_deg,
    distance_m,
    in_field_of_view,
    polygon_contains,
    polygon_violations,
    position_violations,
    ranked_for,
)
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import InvalidSetting, read
from rtcc_chassis.tokens import TokenIssuer, TokenVerifier

latitudes = st.floats(-85, 85)
longitudes = st.floats(-179, 179)


def test_known_distance_and_bearing() -> None:
    # Helsinki Central to Turku Cathedral: 149.9 km on the sphere
    assert distance_m(60.1719, 24.9414, 60.4525, 22.2782) == pytest.approx(149_700, rel=0.01)
    assert bearing_deg(60, 25, 61, 25) == pytest.approx(0)
    assert bearing_deg(0, 25, 0, 26) == pytest.approx(90)


@given(latitudes, longitudes, latitudes, longitudes)
def test_distance_is_symmetric_and_bearing_is_a_bearing(a: float, b: float, c: float, d: float) -> None:
    assert distance_m(a, b, c, d) == pytest.approx(distance_m(c, d, a, b), abs=1e-6)
    assert 0 <= bearing_deg(a, b, c, d) <= 360


@given(st.floats(24, 25, exclude_min=True, exclude_max=True), st.floats(60, 61, exclude_min=True, exclude_max=True))
def test_a_square_contains_exactly_its_inside(longitude: float, latitude: float) -> None:
    square = Polygon(corners=[Coordinate(latitude_deg=a, longitude_deg=b) for a, b in ((60, 24), (60, 25), (61, 25), (61, 24))])
    assert polygon_contains(square, Coordinate(latitude_deg=latitude, longitude_deg=longitude))
    assert not polygon_contains(square, Coordinate(latitude_deg=latitude + 1.0001, longitude_deg=longitude))


def test_field_of_view_looks_one_way() -> None:
    camera = Camera(coordinate=Coordinate(latitude_deg=60, longitude_deg=25), bearing_deg=350, field_of_view_deg=60, range_m=100)
    north = Coordinate(latitude_deg=60.0005, longitude_deg=25)
    south = Coordinate(latitude_deg=59.9995, longitude_deg=25)
    assert in_field_of_view(camera, north)
    assert not in_field_of_view(camera, south)
    camera.field_of_view_deg = 360
    assert in_field_of_view(camera, south)


def test_cameras_that_see_the_place_come_first() -> None:
    place = Coordinate(latitude_deg=60.0005, longitude_deg=25)
    near_blind = Camera(camera_id="near", enabled=True, coordinate=Coordinate(latitude_deg=60.0006, longitude_deg=25), field_of_view_deg=20)
    seeing = Camera(
        camera_id="sees", enabled=True, coordinate=Coordinate(latitude_deg=60, longitude_deg=25), field_of_view_deg=60, range_m=200
    )
    disabled = Camera(camera_id="off", enabled=False, coordinate=place, field_of_view_deg=360)
    assert [camera.camera_id for camera, _, _ in ranked_for([near_blind, disabled, seeing], place, 4)] == ["sees", "near"]


@pytest.mark.parametrize("value", [math.nan, math.inf, 91.0, -90.5])
def test_a_position_off_the_globe_is_named(value: float) -> None:
    found = position_violations(Position(coordinate=Coordinate(latitude_deg=value, longitude_deg=25)), "position")
    assert [violation.field for violation in found] == ["position.coordinate.latitude_deg"]


def test_an_area_has_three_to_five_hundred_corners() -> None:
    assert polygon_violations(Polygon(corners=[Coordinate()] * 2), "area")
    assert polygon_violations(Polygon(corners=[Coordinate()] * 501), "area")
    assert not polygon_violations(Polygon(corners=[Coordinate()] * 3), "area")


def test_new_ids_are_version_7_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(3)]
    assert all(uuid.UUID(value).version == 7 for value in ids)
    assert len(set(ids)) == 3


@given(st.lists(st.text(max_size=8), min_size=1, max_size=3), st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_derived_ids_are_equal_for_equal_parts_only(a: list[str], b: list[str]) -> None:
    if all("\x1f" not in part for part in (*a, *b)):
        assert (derived_id(*a) == derived_id(*b)) == (a == b)


@dataclass(frozen=True)
class _Settings:
    name: str
    port: int = 1
    enabled: bool = False
    folder: Path = Path(".")
    ratio: float | None = None
    names: tuple[str, ...] = ()
    addresses: dict[str, str] = field(default_factory=dict)


def test_settings_prefer_the_service_and_read_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden\n")
    environment = {
        "RTCC_NAME_FILE": str(secret), "RTCC_PORT": "1", "RTCC_VIDEO_PORT": "2", "RTCC_ENABLED": "true",
        "RTCC_NAMES": "a, b", "RTCC_ADDRESSES": '{"registry": "x:1"}', "RTCC_RATIO": "0.5",
    }  # fmt: skip
    settings = read(_Settings, "video", environment)
    assert settings == _Settings("hidden", 2, True, Path("."), 0.5, ("a", "b"), {"registry": "x:1"})


@pytest.mark.parametrize(("environment", "named"), [({}, "RTCC_NAME"), ({"RTCC_NAME": "x", "RTCC_PORT": "many"}, "RTCC_PORT")])
def test_a_bad_setting_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidSetting, match=named):
        read(_Settings, "video", environment)


def test_tokens_carry_the_scope_and_bear_no_change() -> None:
    key = Ed25519PrivateKey.generate()
    scope = Scope(
        "a", "p1", "person", frozenset({"operator"}), display_name="Ann", session_id="s", purpose="theft", case_number="26-1",
        source_address="192.0.2.1", idempotency_key="k", signed_in_at=datetime(2026, 11, 23, tzinfo=UTC),
    )  # fmt: skip
    token = TokenIssuer("gateway", key).token(scope)
    verifier = TokenVerifier({"gateway": key.public_key()})
    assert verifier.verify(token) == scope
    head, body, signature = token.split(".")
    for forged in (f"{head}.{body}.{signature[:-4]}AAAA", f"{head}.{body}x.{signature}", "", "a.b.c", token[:-1]):
        with pytest.raises(Unauthenticated):
            verifier.verify(forged)


def test_a_key_of_nobody_is_not_believed() -> None:
    stranger = TokenIssuer("gateway", Ed25519PrivateKey.generate())
    verifier = TokenVerifier({"gateway": Ed25519PrivateKey.generate().public_key()})
    with pytest.raises(Unauthenticated):
        verifier.verify(stranger.token(Scope.platform("gateway")))
