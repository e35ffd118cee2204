"""The street graph: junctions, directed stretches of street between them, and the quickest way from one to another."""

from __future__ import annotations

import heapq
import json
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import numpy as np

from rtcc_demo.world.geometry import Metres, bearing_deg, distance_m, to_metres

SPEED_KMH = {"primary": 45.0, "secondary": 40.0, "tertiary": 35.0, "residential": 30.0}
"""Free-flow speed by class, a little under the posted 30 to 50 km/h of the centre."""


@dataclass(frozen=True)
class Street:
    """One directed stretch between two junctions. `points` are metres, start to end."""

    number: int
    start: int
    end: int
    name: str
    street_class: str
    signal: bool
    """Whether traffic lights stand at its end."""
    points: tuple[Metres, ...]

    @cached_property
    def marks_m(self) -> tuple[float, ...]:
        """Distance from the start to each point."""
        marks = [0.0]
        for a, b in zip(self.points, self.points[1:], strict=False):
            marks.append(marks[-1] + distance_m(a, b))
        return tuple(marks)

    @property
    def length_m(self) -> float:
        """Length along the street."""
        return self.marks_m[-1]

    @property
    def speed_mps(self) -> float:
        """Free-flow speed in metres per second."""
        return SPEED_KMH[self.street_class] / 3.6

    def at(self, along_m: float) -> Metres:
        """The point `along_m` metres from the start (clamped to the street)."""
        index = min(max(bisect_right(self.marks_m, along_m) - 1, 0), len(self.points) - 2)
        low, high = self.marks_m[index], self.marks_m[index + 1]
        share = min(max((along_m - low) / (high - low), 0.0), 1.0) if high > low else 0.0
        (x0, y0), (x1, y1) = self.points[index], self.points[index + 1]
        return x0 + (x1 - x0) * share, y0 + (y1 - y0) * share

    def bearing_at(self, along_m: float) -> float:
        """Driving direction there, degrees."""
        index = min(max(bisect_right(self.marks_m, along_m) - 1, 0), len(self.points) - 2)
        return bearing_deg(self.points[index], self.points[index + 1])


class NoRoute(ValueError):
    """No way leads from one street to the junction."""

    def __init__(self, street: int, junction: int) -> None:
        super().__init__(
            f"no way leads from street {street} to junction {junction}: rebuild the street graph, it must be strongly connected"
        )
        self.street = street
        self.junction = junction


class StreetGraph:
    """All junctions (metres, by number) and directed streets of the city centre. Strongly connected."""

    def __init__(self, junctions: list[Metres], streets: list[Street]) -> None:
        self.junctions = junctions
        self.streets = streets
        self.leaving: list[list[Street]] = [[] for _ in junctions]
        for street in streets:
            self.leaving[street.start].append(street)
        self.two_way = {street.number for street in streets if any(self._turns_back(street, other) for other in self.leaving[street.end])}

    @staticmethod
    def _turns_back(street: Street, other: Street) -> bool:
        return other.end == street.start and other.points[1] == street.points[-2]

    def route(self, after: Street, end: int) -> list[Street]:
        """The quickest way by free-flow time from the end of a street, turning round only where nothing else leads on.

        Dijkstra over streets, not junctions, since what may follow depends on where one comes from. Empty if already there. Raises NoRoute.
        """
        if after.end == end:
            return []
        came: dict[int, Street | None] = {}
        queue: list[tuple[float, int, int | None]] = []
        for street in self._following(after):
            heapq.heappush(queue, (street.length_m / street.speed_mps, street.number, None))
        while queue:
            cost_s, number, before = heapq.heappop(queue)
            if number in came:
                continue
            street = self.streets[number]
            came[number] = self.streets[before] if before is not None else None
            if street.end == end:
                return self._walk_back(came, street)
            for other in self._following(street):
                if other.number not in came:
                    heapq.heappush(queue, (cost_s + other.length_m / other.speed_mps, other.number, number))
        raise NoRoute(after.number, end)

    def _following(self, street: Street) -> list[Street]:
        onward = [other for other in self.leaving[street.end] if not self._turns_back(street, other)]
        return onward or self.leaving[street.end]

    @staticmethod
    def _walk_back(came: dict[int, Street | None], last: Street) -> list[Street]:
        way = [last]
        while (before := came[way[-1].number]) is not None:
            way.append(before)
        return way[::-1]

    def nearest_junction(self, point: Metres) -> int:
        """The junction closest to a point, by straight line."""
        return min(range(len(self.junctions)), key=lambda junction: distance_m(self.junctions[junction], point))


@cache
def load_streets() -> StreetGraph:
    """The committed graph of Helsinki's centre (© OpenStreetMap contributors), built by `python -m rtcc_demo.mapbuild`."""
    with resources.as_file(resources.files("rtcc_demo.world") / "data" / "streets.npz") as path, np.load(path) as data:
        names = json.loads(bytes(data["names"]).decode())
        junctions = [to_metres(lon / 1e7, lat / 1e7) for lon, lat in data["junctions"].tolist()]
        shape = [to_metres(lon / 1e7, lat / 1e7) for lon, lat in data["shape"].tolist()]
        ends = data["shape_end"].tolist()
        rows = zip(
            data["start"].tolist(),
            data["end"].tolist(),
            data["name"].tolist(),
            data["street_class"].tolist(),
            data["signal"].tolist(),
            strict=True,
        )
        streets = []
        begin = 0
        for number, (start, end, name, street_class, signal) in enumerate(rows):
            streets.append(
                Street(number, start, end, names[name], list(SPEED_KMH)[street_class], bool(signal), tuple(shape[begin : ends[number]]))
            )
            begin = ends[number]
    return StreetGraph(junctions, streets)
