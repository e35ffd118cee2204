"""What stands and moves in each of the demo's street scenes. A scene repeats itself after its length without a jump."""

from __future__ import annotations

import random
from dataclasses import dataclass

from rtcc_demo.render.bodies import Pose
from rtcc_demo.render.lens import Lens
from rtcc_demo.render.street_scene import Street, lamp_places
from rtcc_demo.world.vehicles import STOLEN_TRUCK, WANTED_CAR, Vehicle, make_fleet

WIDTH, HEIGHT = 640, 360
FRAMES_PER_SECOND = 15
SCENE_S = 16
NEAR_Y_M, FAR_Y_M = -8.0, 150.0
TRAM_NEAR_Y_M, TRAM_FAR_Y_M = -30.0, 180.0


@dataclass(frozen=True)
class Drive:
    """A vehicle passing once in each round, entering at `starts_s`."""

    vehicle: Vehicle
    x: float
    speed_mps: float
    starts_s: float
    oncoming: bool


@dataclass(frozen=True)
class Walk:
    """Somebody walking along a pavement, to and fro within the scene's length."""

    x: float
    y: float
    speed_mps: float
    coat: tuple[int, int, int]
    phase: float


@dataclass(frozen=True)
class Scene:
    """One camera's view with everything in it."""

    name: str
    street: Street
    lens: Lens
    drives: tuple[Drive, ...]
    walks: tuple[Walk, ...]
    parked: tuple[tuple[Vehicle, Pose], ...]
    trees: tuple[tuple[float, float, float], ...]
    """(x, y, height) of trees in metres."""
    tram_starts_s: float | None


KINDS: dict[str, tuple[float, float, int, bool, bool, int]] = {
    "boulevard": (11.0, 5.5, 2, True, True, 2),
    "avenue": (8.0, 4.5, 1, True, False, 3),
    "street": (5.2, 3.6, 1, False, False, 3),
}
"""Half width and pavement in metres, lanes in each direction, tram, trees, number of scenes."""


def scene_names() -> list[str]:
    """All scenes: "boulevard-1" and so on."""
    return [f"{kind}-{number}" for kind, values in KINDS.items() for number in range(1, values[-1] + 1)]


def make_scene(name: str, seed: int = 1) -> Scene:
    """Builds a scene; its vehicles are those of the simulated city with this seed, so plates seen are plates read."""
    kind, _, number = name.partition("-")
    half_m, pavement_m, lanes, tram, trees, _ = KINDS[kind]
    choice = random.Random(f"{name}/{seed}")
    street = Street(
        choice.randrange(1_000), half_m, pavement_m, lanes, tram, trees, lamps=lamp_places(half_m, 170.0, choice.uniform(6, 18))
    )
    side = 1 if int(number) % 2 else -1
    place = (side * (half_m * choice.uniform(0.35, 0.75)), 0.0, choice.uniform(4.6, 6.4))
    lens = Lens(place, -side * choice.uniform(1.0, 7.0), choice.uniform(9.0, 12.0), choice.uniform(50.0, 62.0), WIDTH, HEIGHT)
    fleet = make_fleet(random.Random(seed + 3), 60)
    choice.shuffle(fleet)
    drives = _drives(choice, street, fleet)
    if kind != "street" and number == "1":
        first = drives[0]
        drives[0] = Drive(STOLEN_TRUCK, first.x, first.speed_mps, first.starts_s, first.oncoming)
    if kind == "avenue" and number == "2":
        drives[0] = Drive(WANTED_CAR, drives[0].x, drives[0].speed_mps, drives[0].starts_s, drives[0].oncoming)
    parked = _parked(choice, street, fleet[30:]) if not tram else ()
    return Scene(
        name=name,
        street=street,
        lens=lens,
        drives=tuple(drives),
        walks=tuple(_walks(choice, street)),
        parked=parked,
        trees=tuple((x, 24.0 + 19.0 * step, choice.uniform(7.5, 10.0)) for step in range(8) for x in (half_m + 2.2, -half_m - 2.2))
        if trees
        else (),
        tram_starts_s=choice.uniform(3.0, 12.0) if tram else None,
    )


def _drives(choice: random.Random, street: Street, fleet: list[Vehicle]) -> list[Drive]:
    """Lane by lane: one speed a lane, so that nobody runs into anybody, and gaps of at least 2.6 s."""
    drives: list[Drive] = []
    inner_m = 1.9 if street.tram else 0.0
    lane_m = (street.half_width_m - inner_m - (2.2 if not street.tram else 0.0)) / street.lanes
    queue = iter(fleet)
    for oncoming in (True, False):
        for lane in range(street.lanes):
            x = (inner_m + (lane + 0.5) * lane_m) * (-1 if oncoming else 1)
            speed_mps = choice.uniform(10.0, 12.4)
            start_s = choice.uniform(0.0, 3.0)
            first_s = start_s
            while start_s < first_s + SCENE_S - 2.6:
                drives.append(Drive(next(queue), x, speed_mps, start_s % SCENE_S, oncoming))
                start_s += choice.uniform(2.8, 8.0)
    return drives


def _walks(choice: random.Random, street: Street) -> list[Walk]:
    coats = ((48, 52, 60), (96, 44, 40), (38, 58, 84), (110, 104, 92), (60, 70, 54))
    walks = []
    for _ in range(7):
        side = choice.choice((-1, 1)) if street.tram else -1  # parked cars hide the right-hand pavement of narrow streets
        x = side * (street.half_width_m + choice.uniform(1.0, street.pavement_m - 0.8))
        walks.append(
            Walk(x, choice.uniform(14.0, 60.0), choice.choice((-1, 1)) * choice.uniform(1.1, 1.5), choice.choice(coats), choice.random())
        )
    return walks


def _parked(choice: random.Random, street: Street, fleet: list[Vehicle]) -> tuple[tuple[Vehicle, Pose], ...]:
    """Cars along the right-hand kerb."""
    cars = [vehicle for vehicle in fleet if vehicle.model.body != "truck"]
    places = [(vehicle, Pose(street.half_width_m - 1.1, 27.0 + 6.6 * number, oncoming=False)) for number, vehicle in enumerate(cars[:16])]
    return tuple(place for place in places if choice.random() < 0.75)
