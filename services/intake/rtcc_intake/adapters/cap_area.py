"""Areas of a CAP warning (section 3.2.4): polygons "lat,lon lat,lon ...", circles "lat,lon km", geocodes."""

import heapq
from collections.abc import Iterable, Sequence

from lxml import etree

from rtcc.event.v1 import event_pb2
from rtcc.geo.v1 import geo_pb2
from rtcc_chassis.geometry import MAXIMUM_CORNERS, distance_m
from rtcc_intake.domain import NotUnderstood
from rtcc_intake.xml_document import number_node

MAXIMUM_SHAPES = 100
MAXIMUM_POINTS = 20_000
_MAXIMUM_RADIUS_KM = 20_100.0  # half of the Earth's circumference
type Point = tuple[float, float]


def read_area(area: etree._Element, place: str, namespace: str) -> event_pb2.WarningArea:
    """Raises NotUnderstood where a shape is none or lies off the globe."""
    result = event_pb2.WarningArea(description=(area.findtext(f"{namespace}areaDesc") or "").strip()[:1_024])
    for name in ("polygon", "circle", "geocode"):
        if len(area.findall(f"{namespace}{name}")) > MAXIMUM_SHAPES:
            raise NotUnderstood(f"{place}/{name}", f"more than {MAXIMUM_SHAPES} in one area are not taken")
    for polygon in area.findall(f"{namespace}polygon"):
        if (polygon.text or "").strip():
            result.polygons.append(_polygon(polygon.text or "", f"{place}/polygon"))
    for circle in area.findall(f"{namespace}circle"):
        if (circle.text or "").strip():
            result.circles.append(_circle(circle.text or "", f"{place}/circle"))
    for code in area.findall(f"{namespace}geocode"):
        name, value = (code.findtext(f"{namespace}{part}") or "" for part in ("valueName", "value"))
        result.geocodes.append(f"{name.strip()[:64]}={value.strip()[:64]}")
    return result


def center_of(areas: Sequence[event_pb2.WarningArea]) -> geo_pb2.Position | None:
    """The middle of everything drawn, with the distance to its corner as accuracy; None without a shape."""
    points: list[Point] = []
    reach_m = 0.0
    for area in areas:
        points += [(corner.latitude_deg, corner.longitude_deg) for polygon in area.polygons for corner in polygon.corners]
        for circle in area.circles:
            points.append((circle.center.latitude_deg, circle.center.longitude_deg))
            reach_m = max(reach_m, circle.radius_m)
    if not points:
        return None
    latitudes, longitudes = [point[0] for point in points], [point[1] for point in points]
    latitude, longitude = (min(latitudes) + max(latitudes)) / 2, (min(longitudes) + max(longitudes)) / 2
    reach_m += distance_m(latitude, longitude, max(latitudes), max(longitudes))
    return geo_pb2.Position(coordinate=geo_pb2.Coordinate(latitude_deg=latitude, longitude_deg=longitude), accuracy_m=reach_m)


def _pair(text: str, place: str) -> Point:
    parts = text.split(",")
    if len(parts) != 2:
        raise NotUnderstood(place, f'{text[:40]!r} is not "latitude,longitude"')
    latitude, longitude = (number_node(part, place) for part in parts)
    return latitude.number(-90, 90, required=True), longitude.number(-180, 180, required=True)


def _polygon(text: str, place: str) -> geo_pb2.Polygon:
    pairs = text.split()
    if len(pairs) > MAXIMUM_POINTS:
        raise NotUnderstood(place, f"has {len(pairs)} points, at most {MAXIMUM_POINTS} are taken")
    points = [_pair(pair, place) for pair in pairs]
    if len(points) < 4 or points[0] != points[-1]:
        raise NotUnderstood(place, "must have at least four points, the last of them the first again")
    corners = simplified(points[:-1], MAXIMUM_CORNERS)
    return geo_pb2.Polygon(corners=[geo_pb2.Coordinate(latitude_deg=latitude, longitude_deg=longitude) for latitude, longitude in corners])


def _circle(text: str, place: str) -> event_pb2.WarningCircle:
    parts = text.split()
    if len(parts) != 2:
        raise NotUnderstood(place, f'{text[:60]!r} is not "latitude,longitude radius in km"')
    latitude, longitude = _pair(parts[0], place)
    radius_km = number_node(parts[1], place).number(0, _MAXIMUM_RADIUS_KM, required=True)
    center = geo_pb2.Coordinate(latitude_deg=latitude, longitude_deg=longitude)
    return event_pb2.WarningCircle(center=center, radius_m=radius_km * 1000)


def simplified(ring: Sequence[Point], most: int) -> list[Point]:
    """At most `most` corners: those go first whose triangle with their neighbours is smallest (Visvalingam and Whyatt 1993)."""
    count = len(ring)
    if count <= most:
        return list(ring)
    before, after = [(index - 1) % count for index in range(count)], [(index + 1) % count for index in range(count)]
    alive = [True] * count
    heap = [(_triangle(ring, before[index], index, after[index]), index) for index in range(count)]
    current = [area for area, _ in heap]
    heapq.heapify(heap)
    left = count
    while left > most:
        area, index = heapq.heappop(heap)
        if not alive[index] or area != current[index]:
            continue
        alive[index] = False
        left -= 1
        after[before[index]], before[after[index]] = after[index], before[index]
        for neighbour in (before[index], after[index]):
            # never smaller than what went before, else a corner would be eaten from its side
            current[neighbour] = max(area, _triangle(ring, before[neighbour], neighbour, after[neighbour]))
            heapq.heappush(heap, (current[neighbour], neighbour))
    return list(_alive(ring, alive))


def _alive(ring: Sequence[Point], alive: Sequence[bool]) -> Iterable[Point]:
    return (point for point, kept in zip(ring, alive, strict=True) if kept)


def _triangle(ring: Sequence[Point], a: int, b: int, c: int) -> float:
    (y1, x1), (y2, x2), (y3, x3) = ring[a], ring[b], ring[c]
    return abs((x2 - x1) * (y3 - y1) - (x3 - x1) * (y2 - y1)) / 2
