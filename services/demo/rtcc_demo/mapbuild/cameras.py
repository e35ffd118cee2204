"""Places the demo's cameras: at real junctions, on a corner, looking along a real street. Writes the registry's import format (GeoJSON)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcc_demo.world.city import AGENCIES, AGENCY_NAMES, agency_at
from rtcc_demo.world.geometry import Metres, ahead, bearing_deg, distance_m, to_degrees, turn_deg
from rtcc_demo.world.streets import SPEED_KMH, Street, StreetGraph

CAMERAS_PER_AGENCY = 24
PLATE_READERS_PER_AGENCY = 10
MERGE_M = 32.0
"""Junction nodes closer than this are one crossing: wide streets meet in several nodes."""
MAST_M = 7.0
"""From the crossing's middle to the mast on its corner."""
LOOK_M = 28.0
RANKS = {street_class: rank for rank, street_class in enumerate(SPEED_KMH)}


@dataclass(frozen=True, slots=True)
class _Crossing:
    at: Metres
    junctions: frozenset[int]
    names: tuple[str, ...]
    rank: int


def write_cameras(graph: StreetGraph, folder: Path) -> dict[str, int]:
    """One file an agency; returns how many cameras each holds."""
    counts = {}
    crossings = _crossings(graph)
    for agency_id in AGENCIES:
        inside = [crossing for crossing in crossings if agency_at(crossing.at) == agency_id]
        chosen = _spread(inside, CAMERAS_PER_AGENCY)
        readers = set(_spread([crossing for crossing in chosen if crossing.rank <= RANKS["secondary"]] or chosen, PLATE_READERS_PER_AGENCY))
        features = [_feature(graph, agency_id, number, crossing, crossing in readers) for number, crossing in enumerate(chosen, start=1)]
        document = {"type": "FeatureCollection", "attribution": "© OpenStreetMap contributors", "features": features}
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (folder / f"cameras-{agency_id}.geojson").write_text(text + "\n", encoding="utf-8")
        counts[agency_id] = len(features)
    return counts


def _crossings(graph: StreetGraph) -> list[_Crossing]:
    left = sorted(range(len(graph.junctions)), key=lambda junction: (min(RANKS[s.street_class] for s in graph.leaving[junction]), junction))
    crossings = []
    while left:
        seed = left[0]
        group = frozenset(junction for junction in left if distance_m(graph.junctions[seed], graph.junctions[junction]) < MERGE_M)
        left = [junction for junction in left if junction not in group]
        streets = [street for street in graph.streets if (street.start in group) != (street.end in group)]
        ranked = sorted(
            {street.name: RANKS[street.street_class] for street in streets if street.name}.items(), key=lambda item: (item[1], item[0])
        )
        points = [graph.junctions[junction] for junction in group]
        middle = (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
        if len(ranked) >= 2:
            crossings.append(_Crossing(middle, group, tuple(name for name, _ in ranked), ranked[0][1]))
    return crossings


def _spread(crossings: list[_Crossing], count: int) -> list[_Crossing]:
    """The most important crossing, then always the one farthest from those taken (important streets count as farther)."""
    chosen = crossings[:1]
    while len(chosen) < min(count, len(crossings)):
        rest = [crossing for crossing in crossings if crossing not in chosen]
        chosen.append(
            max(rest, key=lambda crossing: min(distance_m(crossing.at, taken.at) for taken in chosen) * (1.6 - 0.2 * crossing.rank))
        )
    return chosen


def _feature(graph: StreetGraph, agency_id: str, number: int, crossing: _Crossing, plate_reader: bool) -> dict[str, Any]:
    arriving = [
        street
        for street in graph.streets
        if street.end in crossing.junctions and street.start not in crossing.junctions and street.length_m > 25
    ]
    arriving.sort(key=lambda street: (RANKS[street.street_class], street.number))
    watched = arriving[0 if plate_reader else number % len(arriving)] if arriving else graph.streets[0]
    mast = _mast(crossing, watched)
    target = watched.at(watched.length_m - LOOK_M)
    bearing = round(bearing_deg(mast, target), 1)
    others = [name for name in crossing.names if name != watched.name]
    name = " / ".join([watched.name or others[0], *others[:1]] if watched.name else others[:2])
    longitude_deg, latitude_deg = to_degrees(mast)
    return {
        "type": "Feature",
        "scene": _scene(watched, len(crossing.junctions)),
        "geometry": {"type": "Point", "coordinates": [round(longitude_deg, 6), round(latitude_deg, 6)]},
        "properties": {
            "camera_id": f"{agency_id}-cam-{number:02}",
            "name": name,
            "kind": "plate_reader" if plate_reader else "street",
            "bearing_deg": bearing,
            "field_of_view_deg": 40.0 if plate_reader else 64.0,
            "range_m": 45.0 if plate_reader else 70.0,
            "owner": AGENCY_NAMES[agency_id],
        },
    }


def _mast(crossing: _Crossing, watched: Street) -> Metres:
    """On the right-hand corner of the street that the camera looks into."""
    end = watched.points[-1]
    inbound = watched.bearing_at(watched.length_m)
    side = 90.0 if turn_deg(inbound, bearing_deg(end, crossing.at) if distance_m(end, crossing.at) > 1 else inbound) >= 0 else -90.0
    return ahead(ahead(end, inbound, 3.0), inbound + side, MAST_M)


def _scene(watched: Street, width: int) -> str:
    """Which kind of street the picture shows."""
    if watched.street_class == "primary":
        return "boulevard"
    if watched.street_class == "secondary":
        return "avenue"
    return "square" if width > 2 else "street"
