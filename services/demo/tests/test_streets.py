"""The street graph: whole, true to the streets, and routed by time."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_demo.world.geometry import ahead, bearing_deg, distance_m, inside, to_degrees, to_metres, turn_deg
from rtcc_demo.world.streets import StreetGraph, load_streets

GRAPH = load_streets()


def reachable(graph: StreetGraph, start: int, *, backwards: bool) -> set[int]:
    follow: dict[int, set[int]] = {}
    for street in graph.streets:
        a, b = (street.end, street.start) if backwards else (street.start, street.end)
        follow.setdefault(a, set()).add(b)
    seen, stack = {start}, [start]
    while stack:
        for junction in follow.get(stack.pop(), ()):
            if junction not in seen:
                seen.add(junction)
                stack.append(junction)
    return seen


def test_every_junction_is_reached_from_and_reaches_every_other() -> None:
    everywhere = set(range(len(GRAPH.junctions)))
    assert reachable(GRAPH, 0, backwards=False) == everywhere
    assert reachable(GRAPH, 0, backwards=True) == everywhere


def test_streets_begin_and_end_at_their_junctions() -> None:
    assert len(GRAPH.streets) > 250
    for street in GRAPH.streets:
        assert distance_m(street.points[0], GRAPH.junctions[street.start]) < 0.1
        assert distance_m(street.points[-1], GRAPH.junctions[street.end]) < 0.1
        assert 0.5 <= street.length_m < 1_500


@given(st.integers(0, len(GRAPH.streets) - 1), st.integers(0, len(GRAPH.junctions) - 1))
def test_routes_follow_streets_to_their_goal(begin: int, goal: int) -> None:
    start = GRAPH.streets[begin]
    way = GRAPH.route(start, goal)
    assert (way[-1].end if way else start.end) == goal
    for before, after in itertools.pairwise([start, *way]):
        assert before.end == after.start
        turns_back = after.end == before.start and after.points[1] == before.points[-2]
        assert not turns_back or all(
            other.end == before.start and other.points[1] == before.points[-2] for other in GRAPH.leaving[before.end]
        )


def test_routes_are_the_quickest() -> None:
    """Against an obvious oracle: relaxing every pair of streets until nothing changes."""
    choice = random.Random(4)
    for _ in range(4):
        start, goal = choice.choice(GRAPH.streets), choice.randrange(len(GRAPH.junctions))
        cost_s = {street.number: math.inf for street in GRAPH.streets}
        for street in GRAPH._following(start):
            cost_s[street.number] = street.length_m / street.speed_mps
        changed = True
        while changed:
            changed = False
            for street in GRAPH.streets:
                for after in GRAPH._following(street):
                    reached_s = cost_s[street.number] + after.length_m / after.speed_mps
                    if reached_s < cost_s[after.number] - 1e-9:
                        cost_s[after.number], changed = reached_s, True
        quickest_s = 0.0 if start.end == goal else min(cost_s[street.number] for street in GRAPH.streets if street.end == goal)
        assert sum(street.length_m / street.speed_mps for street in GRAPH.route(start, goal)) == pytest.approx(quickest_s)


def test_points_along_a_street_move_steadily() -> None:
    street = max(GRAPH.streets, key=lambda street: len(street.points))
    for mark in range(int(street.length_m) - 1):
        assert distance_m(street.at(mark), street.at(mark + 1)) <= 1.0 + 1e-6
    assert street.at(-5) == street.points[0]
    assert street.at(1e6) == street.points[-1]


@given(st.floats(24.93, 24.96), st.floats(60.16, 60.185))
def test_degrees_survive_the_plane(longitude: float, latitude: float) -> None:
    back = to_degrees(to_metres(longitude, latitude))
    assert back == pytest.approx((longitude, latitude), abs=1e-7)


@given(st.floats(0, 359.9), st.floats(1, 500))
def test_bearing_undoes_ahead(bearing: float, length_m: float) -> None:
    assert abs(turn_deg(bearing_deg((3.0, 4.0), ahead((3.0, 4.0), bearing, length_m)), bearing)) < 1e-6


def test_inside_a_ring_that_turns_inwards() -> None:
    ring = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (5.0, 4.0), (0.0, 10.0)]
    assert inside((5.0, 2.0), ring)
    assert not inside((5.0, 8.0), ring)
    assert not inside((-1.0, 2.0), ring)
