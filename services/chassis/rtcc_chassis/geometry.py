"""Small geometry on the WGS 84 sphere: enough for distances up to some 100 km (error below 0.5 %)."""

import math
from collections.abc import Sequence

from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon, Position
from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.errors import Violation

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG
DEFAULT_RANGE_M = 60.0
MAXIMUM_CORNERS = 500


def distance_m(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Great-circle distance (haversine) between two points in degrees."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    half_phi, half_lambda = (phi_b - phi_a) / 2, math.radians(longitude_b - longitude_a) / 2
    root = math.sin(half_phi) ** 2 + math.cos(phi_a) * math.cos(phi_b) * math.sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, root)))


def bearing_deg(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Initial bearing from a to b, 0 to 360, clockwise from true north."""
    phi_a, phi_b = math.radians(latitude_a), math.radians(latitude_b)
    difference = math.radians(longitude_b - longitude_a)
    east = math.sin(difference) * math.cos(phi_b)
    north = math.cos(phi_a) * math.sin(phi_b) - math.sin(phi_a) * math.cos(phi_b) * math.cos(difference)
    return math.degrees(math.atan2(east, north)) % 360


def angle_between_deg(a: float, b: float) -> float:
    """The smaller angle between two bearings, 0 to 180."""
    return abs((a - b + 180) % 360 - 180)


def in_field_of_view(camera: Camera, coordinate: Coordinate) -> bool:
    """Whether the camera looks at the point and reaches it (range_m, 60 m when unset). A dome (360) sees all around."""
    own = camera.coordinate
    distance = distance_m(own.latitude_deg, own.longitude_deg, coordinate.latitude_deg, coordinate.longitude_deg)
    if distance > (camera.range_m or DEFAULT_RANGE_M):
        return False
    if camera.field_of_view_deg >= 360 or distance < 1:
        return True
    direction = bearing_deg(own.latitude_deg, own.longitude_deg, coordinate.latitude_deg, coordinate.longitude_deg)
    return angle_between_deg(direction, camera.bearing_deg) <= camera.field_of_view_deg / 2


def polygon_contains(polygon: Polygon, coordinate: Coordinate) -> bool:
    """Even-odd rule on the latitude-longitude plane, not across the antimeridian; fewer than 3 corners contain nothing."""
    latitude, longitude = coordinate.latitude_deg, coordinate.longitude_deg
    corners = polygon.corners
    inside = False
    for index in range(len(corners)):
        a, b = corners[index - 1], corners[index]
        if (a.latitude_deg > latitude) != (b.latitude_deg > latitude):
            crossing = (b.longitude_deg - a.longitude_deg) * (latitude - a.latitude_deg) / (
                b.latitude_deg - a.latitude_deg
            ) + a.longitude_deg
            if longitude < crossing:
                inside = not inside
    return inside and len(corners) >= 3


def coordinate_violations(coordinate: Coordinate, field: str) -> list[Violation]:
    """What is wrong with a coordinate: not finite, or off the globe."""
    found = []
    for name, value, bound in (("latitude_deg", coordinate.latitude_deg, 90), ("longitude_deg", coordinate.longitude_deg, 180)):
        if not math.isfinite(value) or abs(value) > bound:
            found.append(Violation(f"{field}.{name}", f"{value} is off the globe (-{bound} to {bound})"))
    return found


def position_violations(position: Position, field: str) -> list[Violation]:
    """What is wrong with a position: its coordinate, or a value that is not finite or negative where that makes no sense."""
    found = coordinate_violations(position.coordinate, f"{field}.coordinate")
    for name in ("accuracy_m", "speed_mps"):
        value = getattr(position, name)
        if not math.isfinite(value) or value < 0:
            found.append(Violation(f"{field}.{name}", f"{value} is not a size"))
    if not math.isfinite(position.altitude_m):
        found.append(Violation(f"{field}.altitude_m", "is not a number"))
    if not math.isfinite(position.heading_deg) or not 0 <= position.heading_deg <= 360:
        found.append(Violation(f"{field}.heading_deg", f"{position.heading_deg} is not within 0 to 360"))
    return found


def polygon_violations(polygon: Polygon, field: str) -> list[Violation]:
    """What is wrong with an area: too few or too many corners, or one off the globe."""
    count = len(polygon.corners)
    if not 3 <= count <= MAXIMUM_CORNERS:
        return [Violation(field, f"{count} corners; an area has 3 to {MAXIMUM_CORNERS}")]
    return [v for index, corner in enumerate(polygon.corners) for v in coordinate_violations(corner, f"{field}.corners[{index}]")]


def ranked_for(cameras: Sequence[Camera], coordinate: Coordinate, limit: int, reach_m: float = 2000.0) -> list[tuple[Camera, float, bool]]:
    """The best cameras for a place as (camera, distance in metres, in view): those that see it first, then by distance.

    Disabled ones and those beyond `reach_m` are left out.
    """
    rows = []
    for camera in cameras:
        if not camera.enabled:
            continue
        own = camera.coordinate
        distance = distance_m(own.latitude_deg, own.longitude_deg, coordinate.latitude_deg, coordinate.longitude_deg)
        if distance <= reach_m:
            rows.append((camera, distance, in_field_of_view(camera, coordinate)))
    rows.sort(key=lambda row: (not row[2], row[1], row[0].camera_id))
    return rows[:limit]
