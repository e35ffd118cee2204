"""Buses on lines of their own along the real streets: from stop to stop, resting at each, and back from the last to the first."""

from __future__ import annotations

import random
from dataclasses import dataclass

from rtcc_demo.world.geometry import Metres, distance_m
from rtcc_demo.world.streets import StreetGraph
from rtcc_demo.world.traffic import STEP_S, Mover, Traffic

LINES = {"17": 5, "24": 6, "55": 5, "550": 7}
"""Line numbers and how many stops each has."""
BUSES_PER_LINE = 3
STOP_APART_M = 350.0
REST_S = 12.0
BUS_LIMIT_MPS = 11.0


@dataclass(slots=True)
class Bus:
    """A vehicle with a number painted on it, its line's stops (junctions) and which of them is next."""

    line: str
    number: int
    mover: Mover
    stops: tuple[int, ...]
    next_stop: int
    resting_until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BusPosition:
    """What a bus tells its operator."""

    line: str
    number: int
    at: Metres
    heading_deg: float
    speed_mps: float


class Buses:
    """All buses of the city. The same seed gives the same lines."""

    def __init__(self, graph: StreetGraph, seed: int) -> None:
        chance = random.Random(f"buses {seed}")
        self._graph = graph
        self._traffic = Traffic(graph, chance)
        self.buses: list[Bus] = []
        for line, stops in LINES.items():
            route = _stops(graph, chance, stops)
            for index in range(BUSES_PER_LINE):
                number = 1200 + len(self.buses)
                mover = self._traffic.add(f"bus {number}", limit_mps=BUS_LIMIT_MPS)
                bus = Bus(line, number, mover, route, (index * stops) // BUSES_PER_LINE)
                self._traffic.send(mover, route[bus.next_stop], hurry=False)
                self.buses.append(bus)

    def step(self) -> None:
        """STEP_S seconds later."""
        self._traffic.step()
        for bus in self.buses:
            self._steer(bus)

    def _steer(self, bus: Bus) -> None:
        now_s = self._traffic.now_s
        if bus.resting_until_s:
            if now_s >= bus.resting_until_s:
                bus.resting_until_s = 0.0
                bus.next_stop = (bus.next_stop + 1) % len(bus.stops)
                self._traffic.send(bus.mover, bus.stops[bus.next_stop], hurry=False)
        elif not bus.mover.route and bus.mover.speed_mps < STEP_S:
            bus.resting_until_s = now_s + REST_S

    def positions(self) -> list[BusPosition]:
        """Where each of them is now."""
        return [
            BusPosition(bus.line, bus.number, bus.mover.position(self._graph.two_way), bus.mover.heading_deg, bus.mover.speed_mps)
            for bus in self.buses
        ]


def _stops(graph: StreetGraph, chance: random.Random, count: int) -> tuple[int, ...]:
    stops = [chance.randrange(len(graph.junctions))]
    while len(stops) < count:
        candidate = chance.randrange(len(graph.junctions))
        if all(distance_m(graph.junctions[candidate], graph.junctions[stop]) > STOP_APART_M for stop in stops):
            stops.append(candidate)
    return tuple(stops)
