"""Turns the drivable ways of an extract into the demo's street graph (see `rtcc_demo.world.streets`)."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtcc_demo.mapbuild.features import road_class
from rtcc_demo.mapbuild.osm_pbf import Extract
from rtcc_demo.world.geometry import distance_m, to_metres
from rtcc_demo.world.streets import SPEED_KMH

SIGNAL_REACH_M = 40.0
"""A light this close before a junction belongs to it: stop lines stand before the crossing."""
SHORTEST_M = 0.5


@dataclass(frozen=True)
class _Stretch:
    node_ids: tuple[int, ...]
    name: str
    street_class: str


def build_street_graph(extract: Extract, target: Path) -> tuple[int, int]:
    """Writes the graph's arrays; returns the numbers of junctions and directed streets."""
    stretches = _largest_component(_stretches(extract))
    junction_ids = sorted({end for stretch in stretches for end in (stretch.node_ids[0], stretch.node_ids[-1])})
    numbers = {node_id: number for number, node_id in enumerate(junction_ids)}
    names = sorted({stretch.name for stretch in stretches})
    classes = list(SPEED_KMH)

    def fixed(node_ids: list[int]) -> np.ndarray:
        return np.array([[round(axis * 1e7) for axis in extract.positions[node_id]] for node_id in node_ids], dtype=np.int32)

    np.savez_compressed(
        target,
        junctions=fixed(junction_ids),
        start=np.array([numbers[stretch.node_ids[0]] for stretch in stretches], dtype=np.uint16),
        end=np.array([numbers[stretch.node_ids[-1]] for stretch in stretches], dtype=np.uint16),
        name=np.array([names.index(stretch.name) for stretch in stretches], dtype=np.uint16),
        street_class=np.array([classes.index(stretch.street_class) for stretch in stretches], dtype=np.uint8),
        signal=np.array([_has_signal(extract, stretch) for stretch in stretches], dtype=np.uint8),
        shape=fixed([node_id for stretch in stretches for node_id in stretch.node_ids]),
        shape_end=np.cumsum([len(stretch.node_ids) for stretch in stretches]).astype(np.uint32),
        names=np.frombuffer(json.dumps(names, ensure_ascii=False).encode(), dtype=np.uint8),
    )
    return len(junction_ids), len(stretches)


def _stretches(extract: Extract) -> list[_Stretch]:
    ways = [way for way in extract.ways.values() if road_class(way.tags) in SPEED_KMH and way.tags.get("access") not in {"no", "private"}]
    lines = [(way.tags, tuple(node_id for node_id in way.node_ids if node_id in extract.positions)) for way in ways]
    uses = Counter(node_id for _, node_ids in lines for node_id in set(node_ids))
    uses.update(end for _, node_ids in lines if node_ids for end in (node_ids[0], node_ids[-1]))
    pieces: list[_Stretch] = []
    for tags, node_ids in lines:
        cut = [0, *(index for index in range(1, len(node_ids) - 1) if uses[node_ids[index]] > 1), len(node_ids) - 1]
        for begin, end in itertools.pairwise(cut):
            part = node_ids[begin : end + 1]
            if _length_m(extract, part) < SHORTEST_M:
                continue
            street_class = road_class(tags)
            assert street_class is not None
            one_way = tags.get("oneway", "yes" if tags.get("junction") == "roundabout" else "no")
            if one_way != "-1":
                pieces.append(_Stretch(part, tags.get("name", ""), street_class))
            if one_way in {"no", "-1"}:
                pieces.append(_Stretch(part[::-1], tags.get("name", ""), street_class))
    return _joined(pieces)


def _joined(pieces: list[_Stretch]) -> list[_Stretch]:
    """Joins stretches where nothing branches: ways are cut at each change of a tag, streets at junctions only."""
    while True:
        leaving: dict[int, list[_Stretch]] = defaultdict(list)
        arriving: dict[int, list[_Stretch]] = defaultdict(list)
        for piece in pieces:
            leaving[piece.node_ids[0]].append(piece)
            arriving[piece.node_ids[-1]].append(piece)
        used: set[_Stretch] = set()
        longer: list[_Stretch] = []
        for piece in pieces:
            follow = [other for other in leaving[piece.node_ids[-1]] if other.node_ids[-1] != piece.node_ids[0]]
            if len(follow) != 1 or follow[0] in used or piece in used or follow[0] == piece:
                continue
            other = follow[0]
            before = [third for third in arriving[piece.node_ids[-1]] if third.node_ids[0] != other.node_ids[-1]]
            if before != [piece] or (other.name, other.street_class) != (piece.name, piece.street_class):
                continue
            if set(piece.node_ids) & set(other.node_ids[1:]):
                continue
            used.update((piece, other))
            longer.append(_Stretch(piece.node_ids + other.node_ids[1:], piece.name, piece.street_class))
        if not longer:
            return pieces
        pieces = [piece for piece in pieces if piece not in used] + longer


def _largest_component(stretches: list[_Stretch]) -> list[_Stretch]:
    """Keeps what can be reached and left again (the largest strongly connected component)."""
    forward: dict[int, list[int]] = defaultdict(list)
    backward: dict[int, list[int]] = defaultdict(list)
    for stretch in stretches:
        forward[stretch.node_ids[0]].append(stretch.node_ids[-1])
        backward[stretch.node_ids[-1]].append(stretch.node_ids[0])
    left, best = set(forward) | set(backward), set[int]()
    while left:
        seed = min(left)
        component = _reach(forward, seed) & _reach(backward, seed)
        left -= component | {seed}
        best = max(best, component, key=len)
    return sorted((s for s in stretches if s.node_ids[0] in best and s.node_ids[-1] in best), key=lambda s: s.node_ids)


def _reach(edges: dict[int, list[int]], seed: int) -> set[int]:
    seen, stack = {seed}, [seed]
    while stack:
        for follow in edges[stack.pop()]:
            if follow not in seen:
                seen.add(follow)
                stack.append(follow)
    return seen


def _length_m(extract: Extract, node_ids: tuple[int, ...]) -> float:
    points = [to_metres(*extract.positions[node_id]) for node_id in node_ids]
    return sum(distance_m(a, b) for a, b in itertools.pairwise(points))


def _has_signal(extract: Extract, stretch: _Stretch) -> bool:
    for index in range(len(stretch.node_ids) - 1, 0, -1):
        if _length_m(extract, stretch.node_ids[index:]) > SIGNAL_REACH_M:
            return False
        if extract.node_tags.get(stretch.node_ids[index], {}).get("highway") == "traffic_signals":
            return True
    return False
