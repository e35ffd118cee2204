"""Turns an OpenStreetMap extract into the map's features: which layer, which class, from which zoom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import shapely
from shapely import Geometry, LineString, Point, Polygon
from shapely.ops import linemerge, polygonize, unary_union

from rtcc_demo.mapbuild.osm_pbf import Extract, Relation, Way

ROAD_MIN_ZOOM = {
    "primary": 9,
    "secondary": 10,
    "tertiary": 11,
    "residential": 12,
    "pedestrian": 13,
    "service": 14,
    "cycleway": 15,
    "footway": 15,
    "steps": 15,
}
"""The map's road classes, and the first zoom that shows each."""

ROAD_CLASS = {
    "primary_link": "primary",
    "secondary_link": "secondary",
    "tertiary_link": "tertiary",
    "unclassified": "residential",
    "living_street": "residential",
    "path": "footway",
}
"""OpenStreetMap values of `highway` that are drawn as another class."""

LANDUSE_CLASS = {
    ("leisure", "park"): "park",
    ("leisure", "garden"): "park",
    ("leisure", "pitch"): "pitch",
    ("leisure", "playground"): "playground",
    ("landuse", "grass"): "grass",
    ("landuse", "railway"): "railway",
    ("landuse", "construction"): "construction",
    ("natural", "wood"): "wood",
    ("natural", "scrub"): "grass",
    ("natural", "heath"): "grass",
    ("natural", "wetland"): "wetland",
    ("amenity", "parking"): "parking",
    ("highway", "pedestrian"): "square",
    ("highway", "platform"): "platform",
    ("railway", "platform"): "platform",
    ("place", "square"): "square",
    ("man_made", "pier"): "pier",
}

POI_CLASS = {
    ("railway", "station"): ("station", 14),
    ("railway", "subway_entrance"): ("subway_entrance", 16),
    ("railway", "tram_stop"): ("tram_stop", 16),
    ("amenity", "police"): ("police", 14),
    ("amenity", "fire_station"): ("fire_station", 14),
    ("amenity", "hospital"): ("hospital", 14),
    ("amenity", "university"): ("university", 15),
    ("amenity", "library"): ("library", 15),
    ("amenity", "theatre"): ("theatre", 15),
    ("amenity", "townhall"): ("townhall", 15),
    ("amenity", "place_of_worship"): ("place_of_worship", 15),
    ("amenity", "marketplace"): ("marketplace", 15),
    ("amenity", "school"): ("school", 15),
    ("amenity", "cinema"): ("cinema", 16),
    ("amenity", "bank"): ("bank", 16),
    ("amenity", "pharmacy"): ("pharmacy", 16),
    ("tourism", "museum"): ("museum", 15),
    ("tourism", "gallery"): ("museum", 16),
    ("tourism", "hotel"): ("hotel", 16),
    ("shop", "department_store"): ("department_store", 15),
    ("shop", "mall"): ("department_store", 15),
}
"""Places of interest by tag: class and first zoom."""

DOUBLE_DEG = 0.003
"""Points of one name closer than this (about 170 m east-west) are the same place."""

PLACE_MIN_ZOOM = {"city": 8, "suburb": 11, "neighbourhood": 14, "square": 15}


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing on the map. `geometry` is in degrees, longitude first."""

    layer: str
    geometry: Geometry
    properties: dict[str, str | int]
    min_zoom: int


def build_features(extract: Extract) -> list[Feature]:
    """All features of the map, in no particular order."""
    bounds = shapely.box(*_bounds(extract))
    sea = _sea(extract, bounds)
    features = [Feature("land", bounds.difference(sea), {}, 8)]
    if not sea.is_empty:
        features.append(Feature("water", sea, {"class": "sea"}, 8))
    for tags, area in _areas(extract):
        features.extend(_area_features(tags, area))
    for way in extract.ways.values():
        features.extend(_line_features(extract, way))
    features.extend(_road_names(extract))
    for node_id, tags in extract.node_tags.items():
        features.extend(_point_features(tags, Point(extract.positions[node_id])))
    return _without_doubles(features)


def _without_doubles(features: list[Feature]) -> list[Feature]:
    """One label a place: squares and stations are often mapped as several areas and points of the same name."""
    kept: list[Feature] = []
    named: dict[tuple[str, str | int], list[Point]] = defaultdict(list)
    for feature in features:
        if feature.layer in {"place", "poi"}:
            others = named[feature.layer, feature.properties["name"]]
            if any(feature.geometry.distance(other) < DOUBLE_DEG for other in others):
                continue
            others.append(feature.geometry)
        kept.append(feature)
    return kept


def _bounds(extract: Extract) -> tuple[float, float, float, float]:
    longitudes, latitudes = zip(*extract.positions.values(), strict=True)
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def _line(extract: Extract, way: Way) -> LineString | None:
    points = [extract.positions[node_id] for node_id in way.node_ids if node_id in extract.positions]
    return LineString(points) if len(points) >= 2 else None


def _sea(extract: Extract, bounds: Polygon) -> Geometry:
    """The sea: by convention it lies right of a coastline (https://wiki.openstreetmap.org/wiki/Tag:natural%3Dcoastline)."""
    coasts = [line for way in extract.ways.values() if way.tags.get("natural") == "coastline" and (line := _line(extract, way))]
    if not coasts:
        return Polygon()
    merged = linemerge(coasts) if len(coasts) > 1 else coasts[0]
    parts = list(merged.geoms) if hasattr(merged, "geoms") else [merged]
    closed = [_reach_border(part, bounds) for part in parts]
    faces = list(polygonize(unary_union([*closed, bounds.exterior])))
    probes = [_right_of(part) for part in parts]
    return unary_union([face for face in faces if any(face.contains(probe) for probe in probes)])


def _reach_border(line: LineString, bounds: Polygon) -> LineString:
    """The extract cuts ways at its last node inside: lengthen both open ends straight to the border."""
    points = list(line.coords)
    if points[0] == points[-1]:
        return line
    for end in (0, -1):
        x, y = points[end][:2]
        nearest = bounds.exterior.interpolate(bounds.exterior.project(Point(x, y)))
        away = (nearest.x - x, nearest.y - y)
        tip = (nearest.x + away[0] * 0.01, nearest.y + away[1] * 0.01)
        points.insert(0, tip) if end == 0 else points.append(tip)
    return LineString(points)


def _right_of(line: LineString) -> Point:
    (x0, y0), (x1, y1) = line.coords[len(line.coords) // 2 - 1][:2], line.coords[len(line.coords) // 2][:2]
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    offset_deg = 5e-6
    return Point((x0 + x1) / 2 + (y1 - y0) / length * offset_deg, (y0 + y1) / 2 - (x1 - x0) / length * offset_deg)


def _areas(extract: Extract) -> Iterator[tuple[dict[str, str], Geometry]]:
    for way in extract.ways.values():
        closed = len(way.node_ids) >= 4 and way.node_ids[0] == way.node_ids[-1]
        points = [extract.positions[node_id] for node_id in way.node_ids if node_id in extract.positions]
        linear = ("highway" in way.tags or "railway" in way.tags) and way.tags.get("area") != "yes"
        if closed and not linear and len(points) >= 4:
            yield way.tags, shapely.make_valid(Polygon(points))
    for relation in extract.relations.values():
        if relation.tags.get("type") == "multipolygon":
            area = _multipolygon(extract, relation)
            if not area.is_empty:
                yield relation.tags, area


def _multipolygon(extract: Extract, relation: Relation) -> Geometry:
    """Outer rings minus inner rings; rings that the extract cuts are left out."""
    rings: dict[str, list[LineString]] = defaultdict(list)
    for kind, member_id, role in relation.members:
        way = extract.ways.get(member_id) if kind == "way" else None
        if way and (line := _line(extract, way)):
            rings["inner" if role == "inner" else "outer"].append(line)
    outer = unary_union(list(polygonize(rings["outer"])))
    inner = unary_union(list(polygonize(rings["inner"])))
    return shapely.make_valid(outer.difference(inner))


def _area_features(tags: dict[str, str], area: Geometry) -> Iterator[Feature]:
    if "building" in tags and tags.get("location") != "underground":
        properties: dict[str, str | int] = {"height_m": _height_m(tags)}
        if "name" in tags:
            properties["name"] = tags["name"]
        yield Feature("building", area, properties, 13)
    if tags.get("natural") == "water" or tags.get("landuse") in {"basin", "pond"}:
        yield Feature("water", area, {"class": "lake", **_name(tags)}, 10)
    for key, value in tags.items():
        if (key, value) in LANDUSE_CLASS:
            found = LANDUSE_CLASS[key, value]
            yield Feature("landuse", area, {"class": found}, 11 if found == "park" else 13)
            break
    if "name" in tags:
        at = area.representative_point()
        if tags.get("place") == "square":
            yield Feature("place", at, {"class": "square", "name": tags["name"]}, PLACE_MIN_ZOOM["square"])
        elif tags.get("leisure") == "park":
            yield Feature("poi", at, {"class": "park", "name": tags["name"]}, 14)
        else:
            yield from _poi(tags, at)


def _height_m(tags: dict[str, str]) -> int:
    """Height in metres: as tagged, else 3.2 m a level, else 12 m (a typical block of the centre, about four levels)."""
    for key, metres in (("height", 1.0), ("building:levels", 3.2)):
        try:
            return max(3, round(float(tags[key].removesuffix(" m")) * metres))
        except (KeyError, ValueError):
            continue
    return 12


def _name(tags: dict[str, str]) -> dict[str, str]:
    return {"name": tags["name"]} if "name" in tags else {}


def road_class(tags: dict[str, str]) -> str | None:
    """The map's class of a `highway`, or None for what isn't drawn as a road."""
    value = ROAD_CLASS.get(tags.get("highway", ""), tags.get("highway", ""))
    return value if value in ROAD_MIN_ZOOM else None


def _line_features(extract: Extract, way: Way) -> Iterator[Feature]:
    tags = way.tags
    line = _line(extract, way)
    if line is None:
        return
    underground = tags.get("tunnel") in {"yes", "building_passage"} or tags.get("layer", "0").startswith("-")
    found = road_class(tags)
    if found and tags.get("area") != "yes":
        properties: dict[str, str | int] = {"class": found, **_name(tags)}
        if tags.get("oneway") == "yes":
            properties["oneway"] = 1
        if underground:
            properties["tunnel"] = 1
        if tags.get("bridge") == "yes":
            properties["bridge"] = 1
        yield Feature("road", line, properties, 15 if underground and found in {"footway", "service"} else ROAD_MIN_ZOOM[found])
    if tags.get("railway") in {"rail", "tram", "subway"}:
        kind = tags["railway"]
        yield Feature(
            "rail", line, {"class": kind} | ({"tunnel": 1} if underground or kind == "subway" else {}), 12 if kind == "rail" else 14
        )


def _road_names(extract: Extract) -> Iterator[Feature]:
    """Named streets joined end to end, so that a label has room; one feature a street and class."""
    lines: dict[tuple[str, str], list[LineString]] = defaultdict(list)
    for way in extract.ways.values():
        found, line = road_class(way.tags), _line(extract, way)
        if found and line and found not in {"footway", "steps", "cycleway"} and "name" in way.tags:
            lines[way.tags["name"], found].append(line)
    for (name, found), parts in lines.items():
        merged = linemerge(parts) if len(parts) > 1 else parts[0]
        yield Feature("road_name", merged, {"name": name, "class": found}, max(13, ROAD_MIN_ZOOM[found] + 2))


def _poi(tags: dict[str, str], at: Point) -> Iterator[Feature]:
    for key, value in tags.items():
        if (key, value) in POI_CLASS and "name" in tags:
            found, min_zoom = POI_CLASS[key, value]
            yield Feature("poi", at, {"class": found, "name": tags["name"]}, min_zoom)
            return


def _point_features(tags: dict[str, str], at: Point) -> Iterator[Feature]:
    if tags.get("place") in PLACE_MIN_ZOOM and "name" in tags:
        yield Feature("place", at, {"class": tags["place"], "name": tags["name"]}, PLACE_MIN_ZOOM[tags["place"]])
    if tags.get("natural") == "tree":
        yield Feature("tree", at, {}, 16)
    if "addr:housenumber" in tags:
        yield Feature("housenumber", at, {"number": tags["addr:housenumber"]}, 16)
    yield from _poi(tags, at)
