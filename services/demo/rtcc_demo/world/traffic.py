"""Vehicles and officers moving along the real streets: cruising, following, stopping at lights, answering calls.

Time is simulated in fixed steps; the same seed gives the same city, whatever the wall clock does.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from rtcc_demo.world.geometry import Metres, ahead, bearing_deg, distance_m
from rtcc_demo.world.streets import Street, StreetGraph

STEP_S = 0.5
ACCELERATION_MPS2 = 1.8
BRAKING_MPS2 = 3.0
GAP_M = 8.0
LANE_OFFSET_M = 2.2
PAVEMENT_OFFSET_M = 6.5
LIGHT_CYCLE_S = 44.0
LIGHT_GREEN_S = 20.0
TURN_SPEED_MPS = 5.0
WALKING_BELOW_MPS = 3.0
SMOOTHING_M = 5.0
"""Heading is the chord over this length behind and ahead: vehicles swing round corners instead of snapping."""


@dataclass(slots=True, eq=False)
class Mover:
    """Something that follows the streets. `pace` scales the streets' speed; `limit_mps` caps it (an officer on foot)."""

    name: str
    street: Street
    along_m: float
    pace: float = 1.0
    limit_mps: float = math.inf
    speed_mps: float = 0.0
    obeys_lights: bool = True
    route: list[Street] = field(default_factory=list)
    before: Street | None = None
    goal: int | None = None
    """A junction to reach and wait at; None: cruising."""
    wait_until_s: float = 0.0

    def point_at(self, offset_m: float) -> Metres:
        """The point of its way `offset_m` metres ahead (negative: behind)."""
        along = self.along_m + offset_m
        if along < 0 and self.before is not None:
            return self.before.at(self.before.length_m + along)
        if along > self.street.length_m and self.route:
            return self.route[0].at(along - self.street.length_m)
        return self.street.at(along)

    @property
    def heading_deg(self) -> float:
        """Where it points to: 0 north, 90 east."""
        behind, front = self.point_at(-SMOOTHING_M), self.point_at(SMOOTHING_M)
        return bearing_deg(behind, front) if distance_m(behind, front) > 0.5 else self.street.bearing_at(self.along_m)

    def position(self, two_way: set[int]) -> Metres:
        """Where it is: on the right half of streets that go both ways; who walks, on the pavement."""
        middle = self.point_at(0.0)
        if self.limit_mps < WALKING_BELOW_MPS:
            return ahead(middle, self.heading_deg + 90.0, PAVEMENT_OFFSET_M)
        return ahead(middle, self.heading_deg + 90.0, LANE_OFFSET_M) if self.street.number in two_way else middle


class Traffic:
    """All movers of the city. `step()` advances them by STEP_S."""

    def __init__(self, graph: StreetGraph, random_source: random.Random) -> None:
        self.graph = graph
        self.now_s = 0.0
        self.movers: list[Mover] = []
        self._random = random_source
        self._long = [street for street in graph.streets if street.length_m > 30.0]

    def add(self, name: str, *, pace: float = 1.0, limit_mps: float = math.inf, near: Iterable[Street] | None = None) -> Mover:
        """A new mover somewhere on a street (of those given) that has room for it."""
        streets = list(near or self._long)
        street = self._random.choice(streets)
        mover = Mover(name, street, self._random.uniform(5.0, max(6.0, street.length_m - 10.0)), pace, limit_mps)
        self.movers.append(mover)
        return mover

    def remove(self, mover: Mover) -> None:
        """Takes a mover out of the city (parked, gone)."""
        self.movers.remove(mover)

    def send(self, mover: Mover, goal: int, *, hurry: bool) -> None:
        """Routes a mover to a junction, where it waits until told otherwise. In a hurry it drives faster and passes red lights."""
        mover.route = self.graph.route(mover.street, goal)
        mover.goal, mover.wait_until_s = goal, 0.0
        mover.pace, mover.obeys_lights = (1.5, False) if hurry else (1.0, True)

    def release(self, mover: Mover) -> None:
        """Lets a mover cruise again."""
        mover.goal, mover.pace, mover.obeys_lights = None, 1.0, True

    def step(self) -> None:
        """Advances everybody by STEP_S."""
        self.now_s += STEP_S
        lanes: dict[int, list[Mover]] = defaultdict(list)
        for mover in self.movers:
            lanes[mover.street.number].append(mover)
        for lane in lanes.values():
            lane.sort(key=lambda mover: mover.along_m)
        for lane in lanes.values():
            for index, mover in enumerate(lane):
                leader = lane[index + 1] if index + 1 < len(lane) else self._first_on_next(mover, lanes)
                self._advance(mover, leader)

    def _first_on_next(self, mover: Mover, lanes: dict[int, list[Mover]]) -> Mover | None:
        queue = lanes.get(mover.route[0].number) if mover.route else None
        return queue[0] if queue else None

    def _advance(self, mover: Mover, leader: Mover | None) -> None:
        if not mover.route and mover.goal is None:
            self._choose_way(mover)
        wanted = min(mover.street.speed_mps * mover.pace, mover.limit_mps)
        left_m = mover.street.length_m - mover.along_m
        if mover.goal is not None and not mover.route:
            wanted = min(wanted, _stopping_speed(left_m - 3.0))
        elif mover.obeys_lights and mover.street.signal and not self.green(mover.street):
            wanted = min(wanted, _stopping_speed(left_m - 4.0))
        elif mover.route and _turn(mover) > 35.0:
            wanted = min(wanted, math.sqrt(TURN_SPEED_MPS**2 + 2 * BRAKING_MPS2 * max(left_m, 0.0)))
        if leader is not None and mover.limit_mps > WALKING_BELOW_MPS < leader.limit_mps:
            gap_m = (leader.along_m - mover.along_m) if leader.street is mover.street else left_m + leader.along_m
            wanted = min(wanted, _stopping_speed(gap_m - GAP_M) + leader.speed_mps * 0.5)
        change = min(max(wanted - mover.speed_mps, -BRAKING_MPS2 * 2 * STEP_S), ACCELERATION_MPS2 * STEP_S)
        mover.speed_mps = max(0.0, mover.speed_mps + change)
        if mover.speed_mps < 0.05:
            mover.speed_mps = 0.0
        mover.along_m += mover.speed_mps * STEP_S
        while mover.along_m >= mover.street.length_m:
            if not mover.route:
                mover.along_m = mover.street.length_m
                mover.speed_mps = 0.0
                break
            mover.along_m -= mover.street.length_m
            mover.before, mover.street = mover.street, mover.route.pop(0)

    def green(self, street: Street) -> bool:
        """Lights show green to the east-west and the north-south half of the streets in turn, with a phase of their own per place."""
        x, y = street.points[-1]
        phase_s = (self.now_s + round(x / 40.0) * 7.0 + round(y / 40.0) * 11.0) % LIGHT_CYCLE_S
        east_west = abs(math.sin(math.radians(street.bearing_at(street.length_m)))) > math.sqrt(0.5)
        return phase_s < LIGHT_GREEN_S if east_west else LIGHT_CYCLE_S / 2 <= phase_s < LIGHT_CYCLE_S / 2 + LIGHT_GREEN_S

    def _choose_way(self, mover: Mover) -> None:
        for _ in range(5):
            goal = self._random.randrange(len(self.graph.junctions))
            if mover.limit_mps < WALKING_BELOW_MPS and distance_m(self.graph.junctions[goal], mover.street.points[-1]) > 350.0:
                continue
            mover.route = self.graph.route(mover.street, goal)
            if mover.route:
                return


def _stopping_speed(left_m: float) -> float:
    """The speed from which braking ends within `left_m` metres."""
    return math.sqrt(2 * BRAKING_MPS2 * left_m) if left_m > 0 else 0.0


def _turn(mover: Mover) -> float:
    first = mover.route[0]
    return abs((first.bearing_at(0.0) - mover.street.bearing_at(mover.street.length_m) + 180.0) % 360.0 - 180.0)
