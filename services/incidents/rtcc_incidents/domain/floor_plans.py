"""A floor plan laid on the map: an affine transform fitted to control points by least squares, its residuals in metres."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_chassis.geometry import EARTH_RADIUS_M, coordinate_violations, distance_m, polygon_contains
from rtcc_incidents.domain.checks import require, text_violations
from rtcc_incidents.domain.places import address_key

FEWEST_POINTS, MOST_POINTS = 3, 50
MOST_MARKS = 500
MARK_KINDS = ("exit", "stairs", "elevator", "hazard", "utility", "access_point", "camera", "other")
# an incident this near to the building's point is in it
BUILDING_M = 60.0
# a pixel that stands for less than 0.1 mm or more than 50 m is no floor plan: points were mixed up
_SCALE_LEAST_M, _SCALE_MOST_M = 1e-4, 50.0
# control points farther apart than a city can't be of one building; it keeps the local plane exact as well
_SPREAD_MOST_M = 20_000.0
# smallest over largest spread of the points in the image: below, they lie on one line
_FLATNESS_LEAST = 1e-3
_DEGREE_M = math.radians(1) * EARTH_RADIUS_M


@dataclass(frozen=True, slots=True)
class Fit:
    """The transform, the miss of each point, root mean square and the largest, in metres."""

    transform: pb.AffineTransform
    residuals_m: tuple[float, ...]
    rms_m: float
    most_m: float


def fit(points: Sequence[pb.ControlPoint]) -> Fit:
    """Least squares over at least 3 points that aren't on one line. Raises InvalidInput with what is wrong with them.

    Solved in a plane around the points' centre (equirectangular; over a building its error is far below a millimetre), with the image's
    coordinates centred too, so that the normal equations stay well conditioned.
    """
    require(_point_violations(points))
    count = len(points)
    x0, y0 = sum(point.x_px for point in points) / count, sum(point.y_px for point in points) / count
    latitude0 = sum(point.coordinate.latitude_deg for point in points) / count
    longitude0 = sum(point.coordinate.longitude_deg for point in points) / count
    shrink = math.cos(math.radians(latitude0))
    image = [(point.x_px - x0, point.y_px - y0) for point in points]
    plane = [
        ((point.coordinate.longitude_deg - longitude0) * _DEGREE_M * shrink, (point.coordinate.latitude_deg - latitude0) * _DEGREE_M)
        for point in points
    ]
    if max(math.hypot(east, north) for east, north in plane) > _SPREAD_MOST_M:
        raise InvalidInput.one("control_points", "lie more than 20 km from each other: they can't be of one building")
    (east_x, east_y), (north_x, north_y) = _solve(image, plane)
    _check_shape(east_x, east_y, north_x, north_y)
    transform = pb.AffineTransform(
        latitude_per_x=north_x / _DEGREE_M,
        latitude_per_y=north_y / _DEGREE_M,
        longitude_per_x=east_x / (_DEGREE_M * shrink),
        longitude_per_y=east_y / (_DEGREE_M * shrink),
    )
    transform.latitude_deg = latitude0 - transform.latitude_per_x * x0 - transform.latitude_per_y * y0
    transform.longitude_deg = longitude0 - transform.longitude_per_x * x0 - transform.longitude_per_y * y0
    residuals = tuple(
        math.hypot(east_x * x + east_y * y - east, north_x * x + north_y * y - north)
        for (x, y), (east, north) in zip(image, plane, strict=True)
    )
    return Fit(transform, residuals, math.sqrt(sum(value * value for value in residuals) / count), max(residuals))


def _solve(image: list[tuple[float, float]], plane: list[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The 2 x 2 normal equations of both axes; all sums are about the centres, so the constant terms are gone."""
    xx, yy, xy = sum(x * x for x, _ in image), sum(y * y for _, y in image), sum(x * y for x, y in image)
    mean, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    if mean - half <= (mean + half) * _FLATNESS_LEAST**2:
        raise InvalidInput.one("control_points", "lie on one line in the image: choose points in different corners")
    determinant = xx * yy - xy * xy
    rows = []
    for axis in (0, 1):
        xt = sum(x * target[axis] for (x, _), target in zip(image, plane, strict=True))
        yt = sum(y * target[axis] for (_, y), target in zip(image, plane, strict=True))
        rows.append(((xt * yy - yt * xy) / determinant, (yt * xx - xt * xy) / determinant))
    return rows[0], rows[1]


def _check_shape(east_x: float, east_y: float, north_x: float, north_y: float) -> None:
    area = east_x * north_y - east_y * north_x
    if not _SCALE_LEAST_M**2 <= abs(area) <= _SCALE_MOST_M**2:
        raise InvalidInput.one("control_points", "give a pixel a size that no floor plan has: check that each point has its own place")
    if area > 0:
        # y grows downwards in an image and north on a map, so a plan seen from above turns the other way round
        raise InvalidInput.one("control_points", "would lay the plan mirrored on the map: two of them are mixed up")


def _point_violations(points: Sequence[pb.ControlPoint]) -> list[Violation]:
    if not FEWEST_POINTS <= len(points) <= MOST_POINTS:
        return [Violation("control_points", f"{len(points)} points; {FEWEST_POINTS} to {MOST_POINTS} are needed")]
    violations = []
    for index, point in enumerate(points):
        place = f"control_points[{index}]"
        if not all(math.isfinite(value) and abs(value) <= 1e6 for value in (point.x_px, point.y_px)):
            violations.append(Violation(place, "x_px and y_px must be pixels of the image"))
        if not point.HasField("coordinate"):
            violations.append(Violation(f"{place}.coordinate", "is missing"))
        else:
            violations += coordinate_violations(point.coordinate, f"{place}.coordinate")
    return violations


def on_map(transform: pb.AffineTransform, x_px: float, y_px: float) -> Coordinate:
    """Where a point of the image lies."""
    return Coordinate(
        latitude_deg=transform.latitude_deg + transform.latitude_per_x * x_px + transform.latitude_per_y * y_px,
        longitude_deg=transform.longitude_deg + transform.longitude_per_x * x_px + transform.longitude_per_y * y_px,
    )


def on_image(transform: pb.AffineTransform, coordinate: Coordinate) -> tuple[float, float]:
    """(x, y) in pixels of a place on the map."""
    latitude, longitude = coordinate.latitude_deg - transform.latitude_deg, coordinate.longitude_deg - transform.longitude_deg
    determinant = transform.latitude_per_x * transform.longitude_per_y - transform.latitude_per_y * transform.longitude_per_x
    x = (latitude * transform.longitude_per_y - longitude * transform.latitude_per_y) / determinant
    y = (longitude * transform.latitude_per_x - latitude * transform.longitude_per_x) / determinant
    return x, y


def lay(plan: pb.FloorPlan) -> None:
    """Fill what follows from the control points: transform, residuals, corners, places of the marks. Raises InvalidInput."""
    fitted = fit(plan.control_points)
    plan.transform.CopyFrom(fitted.transform)
    plan.residual_rms_m, plan.residual_most_m = fitted.rms_m, fitted.most_m
    for point, residual in zip(plan.control_points, fitted.residuals_m, strict=True):
        point.residual_m = residual
    del plan.corners[:]
    for x, y in ((0, 0), (plan.width_px, 0), (plan.width_px, plan.height_px), (0, plan.height_px)):
        plan.corners.append(on_map(fitted.transform, x, y))
    if violations := [violation for corner in plan.corners for violation in coordinate_violations(corner, "control_points")]:
        raise InvalidInput(violations[:1])
    for mark in plan.marks:
        mark.coordinate.CopyFrom(on_map(fitted.transform, mark.x_px, mark.y_px))


def checked(wanted: pb.FloorPlan) -> pb.FloorPlan:
    """What a person may say of a plan, without what the service fills in. Raises InvalidInput."""
    violations = text_violations("floor_plan.name", wanted.name, 200, least=1) + text_violations("floor_plan.floor", wanted.floor, 40)
    violations += text_violations("floor_plan.address", wanted.address, 500)
    if wanted.HasField("coordinate"):
        violations += coordinate_violations(wanted.coordinate, "floor_plan.coordinate")
    require(violations)
    plan = pb.FloorPlan(name=wanted.name.strip(), floor=wanted.floor.strip(), address=wanted.address.strip())
    plan.control_points.extend(wanted.control_points)
    if wanted.HasField("coordinate"):
        plan.coordinate.CopyFrom(wanted.coordinate)
    return plan


def set_marks(plan: pb.FloorPlan, wanted: Sequence[pb.FloorPlanMark], new_id: Callable[[], str]) -> None:
    """Replace the marks; those without an id get one. Raises InvalidInput."""
    violations = [Violation("marks", f"{len(wanted)} marks; at most {MOST_MARKS} are kept")] if len(wanted) > MOST_MARKS else []
    for index, mark in enumerate(wanted[:MOST_MARKS]):
        place = f"marks[{index}]"
        if mark.kind not in MARK_KINDS:
            violations.append(Violation(f"{place}.kind", f"is not one of {', '.join(MARK_KINDS)}"))
        violations += text_violations(f"{place}.label", mark.label, 200) + text_violations(f"{place}.mark_id", mark.mark_id, 64)
        if not (0 <= mark.x_px <= plan.width_px and 0 <= mark.y_px <= plan.height_px):
            violations.append(Violation(place, f"lies outside of the image ({plan.width_px} x {plan.height_px} pixels)"))
    require(violations)
    del plan.marks[:]
    for mark in wanted:
        plan.marks.add(
            mark_id=mark.mark_id or new_id(), kind=mark.kind, label=mark.label.strip(), x_px=mark.x_px, y_px=mark.y_px,
            floor_plan_id=plan.floor_plan_id, floor=plan.floor,
        )  # fmt: skip


def is_of_place(plan: pb.FloorPlan, address: str, coordinate: Coordinate | None) -> bool:
    """Whether something at this address or place is in the plan's building."""
    key = address_key(address)
    if key and key == address_key(plan.address):
        return True
    if coordinate is None:
        return False
    if plan.HasField("coordinate"):
        own = plan.coordinate
        if distance_m(own.latitude_deg, own.longitude_deg, coordinate.latitude_deg, coordinate.longitude_deg) <= BUILDING_M:
            return True
    return polygon_contains(Polygon(corners=plan.corners), coordinate)
