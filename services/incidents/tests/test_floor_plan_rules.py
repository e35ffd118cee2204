"""Laying a plan on the map: the fit against an independent solver, its refusals, and which incidents find it."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.geometry import distance_m
from rtcc_incidents.domain.floor_plans import fit, is_of_place, lay, on_image, on_map

DEGREE_M = 111_195.08
PIXELS = st.floats(0, 4_000, allow_nan=False)
IMAGE = st.lists(st.tuples(PIXELS, PIXELS), min_size=3, max_size=12, unique=True)
LATITUDES, LONGITUDES = st.floats(-75, 75), st.floats(-179, 179)
SCALES, TURNS = st.floats(0.005, 0.5), st.floats(0, 2 * math.pi)


def spread(points: list[tuple[float, float]]) -> float:
    """Smallest over largest extent, by numpy."""
    centred = np.array(points) - np.mean(points, axis=0)
    values = np.linalg.svd(centred, compute_uv=False)
    return float(values[1] / values[0]) if values[0] else 0.0


def placed(x: float, y: float, latitude: float, longitude: float, metres_per_px: float, turn: float) -> Coordinate:
    """A plan of that scale, turned, with its upper left corner there: written down independently of the code under test."""
    right, down = x * metres_per_px, y * metres_per_px
    east = right * math.cos(turn) - down * math.sin(turn)
    north = -right * math.sin(turn) - down * math.cos(turn)
    return Coordinate(
        latitude_deg=latitude + north / DEGREE_M, longitude_deg=longitude + east / (DEGREE_M * math.cos(math.radians(latitude)))
    )


def points_of(image: list[tuple[float, float]], coordinates: list[Coordinate]) -> list[pb.ControlPoint]:
    return [pb.ControlPoint(x_px=x, y_px=y, coordinate=place) for (x, y), place in zip(image, coordinates, strict=True)]


@given(IMAGE, LATITUDES, LONGITUDES, SCALES, TURNS)
def test_exact_points_give_the_plan_back(
    image: list[tuple[float, float]], latitude: float, longitude: float, scale: float, turn: float
) -> None:
    assume(spread(image) > 0.02)
    fitted = fit(points_of(image, [placed(x, y, latitude, longitude, scale, turn) for x, y in image]))
    assert fitted.most_m < 1e-3 and fitted.rms_m <= fitted.most_m
    for x, y in image:
        found, wanted = on_map(fitted.transform, x, y), placed(x, y, latitude, longitude, scale, turn)
        assert distance_m(found.latitude_deg, found.longitude_deg, wanted.latitude_deg, wanted.longitude_deg) < 2e-3
        assert on_image(fitted.transform, found) == pytest.approx((x, y), abs=0.05)


@given(IMAGE, LATITUDES, SCALES, TURNS, st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=12, max_size=12))
def test_noisy_points_are_fitted_as_numpy_does(
    image: list[tuple[float, float]], latitude: float, scale: float, turn: float, noise: list[tuple[float, float]]
) -> None:
    assume(spread(image) > 0.1 and np.ptp(np.array(image)) * scale > 30)
    coordinates = [placed(x + dx, y + dy, latitude, 24.9, scale, turn) for (x, y), (dx, dy) in zip(image, noise, strict=False)]
    fitted = fit(points_of(image, coordinates))
    shrink = math.cos(math.radians(sum(place.latitude_deg for place in coordinates) / len(coordinates)))
    design = np.array([(1, x, y) for x, y in image])
    target = np.array(
        [((place.longitude_deg - 24.9) * DEGREE_M * shrink, (place.latitude_deg - latitude) * DEGREE_M) for place in coordinates]
    )
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    residuals = np.linalg.norm(design @ solution - target, axis=1)
    assert fitted.residuals_m == pytest.approx(residuals.tolist(), abs=1e-3)
    assert fitted.rms_m == pytest.approx(float(np.sqrt(np.mean(residuals**2))), abs=1e-3)


@given(IMAGE, st.floats(-1, 1), st.floats(0, 100))
def test_points_on_one_line_are_refused(image: list[tuple[float, float]], slope: float, offset: float) -> None:
    line = [(x, slope * x + offset) for x, _ in image]
    with pytest.raises(InvalidInput, match="one line"):
        fit(points_of(line, [placed(x, y, 60, 25, 0.05, 0) for x, y in line]))


@given(IMAGE, TURNS)
def test_a_mirrored_plan_is_refused(image: list[tuple[float, float]], turn: float) -> None:
    assume(spread(image) > 0.05 and np.ptp(np.array(image)) > 50)
    with pytest.raises(InvalidInput, match="mirrored"):
        fit(points_of(image, [placed(-x, y, 60, 25, 0.05, turn) for x, y in image]))


@pytest.mark.parametrize(
    ("points", "named"),
    [
        ([(0, 0, 60, 25), (100, 0, 60, 25.001)], "control_points"),
        ([(0, 0, 60, 25), (100, 0, 60, 25.001), (0, float("nan"), 59.999, 25)], "control_points[2]"),
        ([(0, 0, 60, 25), (100, 0, 60, 25.001), (0, 100, 95, 25)], "control_points[2].coordinate.latitude_deg"),
        ([(0, 0, 60, 25), (100, 0, 60, 26), (0, 100, 59, 25)], "control_points"),
        ([(0, 0, 60, 25), (1, 0, 60, 25.05), (0, 1, 59.97, 25)], "control_points"),
    ],
    ids=["two points", "no number", "off the globe", "a city apart", "a pixel of kilometres"],
)
def test_points_that_cant_be_are_refused_with_the_place_named(points: list[tuple[float, ...]], named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        fit([pb.ControlPoint(x_px=x, y_px=y, coordinate=Coordinate(latitude_deg=lat, longitude_deg=lon)) for x, y, lat, lon in points])
    assert refused.value.violations[0].field == named


def plan(**more: object) -> pb.FloorPlan:
    image = [(0.0, 0.0), (1000.0, 0.0), (1000.0, 800.0), (0.0, 800.0)]
    made = pb.FloorPlan(width_px=1000, height_px=800, **more)
    made.control_points.extend(points_of(image, [placed(x, y, 60.18, 24.95, 0.05, 0.3) for x, y in image]))
    made.marks.add(kind="exit", x_px=500, y_px=0)
    lay(made)
    return made


def test_corners_and_marks_lie_where_the_transform_puts_them() -> None:
    made = plan()
    assert [(round(corner.latitude_deg, 6), round(corner.longitude_deg, 6)) for corner in made.corners] == [
        (round(point.coordinate.latitude_deg, 6), round(point.coordinate.longitude_deg, 6)) for point in made.control_points
    ]
    middle = placed(500, 0, 60.18, 24.95, 0.05, 0.3)
    mark = made.marks[0].coordinate
    assert distance_m(mark.latitude_deg, mark.longitude_deg, middle.latitude_deg, middle.longitude_deg) < 0.01


def test_a_plan_is_found_by_address_by_its_building_and_on_its_own_ground() -> None:
    made = plan(address="Helsinginkatu 24, Helsinki", coordinate=Coordinate(latitude_deg=60.18, longitude_deg=24.95))
    far = Coordinate(latitude_deg=60.2, longitude_deg=24.95)
    assert is_of_place(made, "HELSINGINKATU 24 B 12", far)
    assert is_of_place(made, "", Coordinate(latitude_deg=60.1804, longitude_deg=24.95))
    assert is_of_place(plan(), "", placed(900, 700, 60.18, 24.95, 0.05, 0.3))
    assert not is_of_place(made, "Helsinginkatu 25", far)
    assert not is_of_place(made, "", None)
