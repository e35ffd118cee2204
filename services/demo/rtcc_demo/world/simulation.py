"""The whole city, step by step: traffic, plate reads, and the day's script with the units that answer it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from rtcc_demo.world.city import AGENCIES, Corner, Unit, agency_at, load_cameras, units_of
from rtcc_demo.world.geometry import Metres, distance_m, to_metres
from rtcc_demo.world.plate_reading import PlateRead, PlateReaders, watched_streets
from rtcc_demo.world.script import (
    CALLS,
    CYCLE_S,
    GUNSHOTS,
    TIPS,
    TRUCK_CAMERAS,
    TRUCK_ENTERS_S,
    TRUCK_LEAVES_S,
    WANTED_CAMERAS,
    WANTED_ENTERS_S,
    WANTED_LEAVES_S,
    ScriptedCall,
    ScriptedGunshot,
)
from rtcc_demo.world.sky import AircraftSeen, DroneFix, DroneFlight, aircraft_at, take_off_due
from rtcc_demo.world.streets import Street, load_streets
from rtcc_demo.world.traffic import Mover, Traffic
from rtcc_demo.world.vehicles import STOLEN_TRUCK, WANTED_CAR, make_fleet

WALKING_MPS = 1.4
ON_SCENE_S = 90.0
CIVIL_VEHICLES = 60


@dataclass(frozen=True, slots=True)
class UnitFix:
    """Where a unit's tracker says it is."""

    unit: Unit
    at: Metres
    heading_deg: float
    speed_mps: float
    accuracy_m: float
    battery_percent: float
    fixed_s: float


@dataclass(frozen=True, slots=True)
class GunshotMessage:
    """One stage of a gunshot incident."""

    agency_id: str
    incident_number: int
    stage: str
    classification: str
    detected_s: float
    at: Metres
    error_radius_m: float
    rounds: int
    sensors: int


@dataclass(frozen=True, slots=True)
class CallMessage:
    """A call for service as its dispatch centre reports it, at each change."""

    agency_id: str
    call_number: int
    call: ScriptedCall
    status: str
    received_s: float
    changed_s: float


@dataclass(frozen=True, slots=True)
class TipTold:
    """Somebody has something to tell."""

    agency_id: str
    category: str
    text: str
    address: str
    place: Corner | None


Happening = UnitFix | PlateRead | GunshotMessage | CallMessage | DroneFix | AircraftSeen | TipTold


class City:
    """The simulated city. `step()` advances it by half a second and returns what its devices would report."""

    def __init__(self, seed: int = 1, civil_vehicles: int = CIVIL_VEHICLES) -> None:
        self.graph = load_streets()
        self.now_s = 0.0
        self._random = random.Random(seed)
        self._traffic = Traffic(self.graph, random.Random(seed + 1))
        self._cameras = {camera.camera_id: camera for camera in load_cameras()}
        self._readers = PlateReaders([camera for camera in self._cameras.values() if camera.plate_reader], random.Random(seed + 2))
        self._civil = [(self._traffic.add(vehicle.plate), vehicle) for vehicle in make_fleet(random.Random(seed + 3), civil_vehicles)]
        self._units = [(self._add_unit(unit), unit) for agency_id in AGENCIES for unit in units_of(agency_id)]
        self._drift: dict[str, Metres] = {unit.unit_id: (0.0, 0.0) for _, unit in self._units}
        self._wanted: dict[str, Mover] = {}
        self._busy: dict[str, float] = {}
        self._drone = DroneFlight()

    def step(self) -> list[Happening]:
        """Half a second of city life."""
        self._traffic.step()
        before_s, self.now_s = self.now_s, self._traffic.now_s
        happenings: list[Happening] = []
        self._drive_wanted(before_s)
        happenings += self._run_script(before_s)
        vehicles = [*self._civil, *((mover, STOLEN_TRUCK if name == "truck" else WANTED_CAR) for name, mover in self._wanted.items())]
        happenings += self._readers.look(self.now_s, vehicles, self.graph.two_way)
        self._end_assignments()
        if math.floor(self.now_s) > math.floor(before_s):
            happenings += [self._fix(mover, unit) for mover, unit in self._units]
            happenings += self._drone.heard(take_off_due(self.now_s, CYCLE_S), self.now_s)
            happenings += [AircraftSeen(agency_id, aircraft_at(self.now_s), self.now_s) for agency_id in AGENCIES]
        return happenings

    def _add_unit(self, unit: Unit) -> Mover:
        home = [
            street for street in self.graph.streets if street.length_m > 30 and agency_at(street.at(street.length_m / 2)) == unit.agency_id
        ]
        limit = WALKING_MPS if unit.kind == "officer" else math.inf
        return self._traffic.add(unit.unit_id, pace=0.85, limit_mps=limit, near=home)

    def _fix(self, mover: Mover, unit: Unit) -> UnitFix:
        """A GPS fix: the error wanders slowly, as it does between buildings."""
        x, y = self._drift[unit.unit_id]
        self._drift[unit.unit_id] = (x * 0.95 + self._random.gauss(0, 0.5), y * 0.95 + self._random.gauss(0, 0.5))
        east_m, north_m = mover.position(self.graph.two_way)
        accuracy_m = round(4.0 + math.hypot(x, y), 1)
        battery = 100.0 - (self.now_s / 600.0 + len(unit.unit_id)) % 60.0
        return UnitFix(unit, (east_m + x, north_m + y), mover.heading_deg, mover.speed_mps, accuracy_m, round(battery), self.now_s)

    def _due(self, at_s: float, before_s: float) -> int | None:
        """The cycle's number when a moment of the script has just passed."""
        cycle = math.floor((self.now_s - at_s) / CYCLE_S)
        return cycle if cycle >= 0 and at_s + cycle * CYCLE_S > before_s else None

    def _drive_wanted(self, before_s: float) -> None:
        plans = (
            ("truck", TRUCK_ENTERS_S, TRUCK_LEAVES_S, TRUCK_CAMERAS),
            ("car", WANTED_ENTERS_S, WANTED_LEAVES_S, WANTED_CAMERAS),
        )
        for name, enters_s, leaves_s, cameras in plans:
            if self._due(enters_s, before_s) is not None and name not in self._wanted:
                self._wanted[name] = self._enter(name, cameras)
            if self._due(leaves_s, before_s) is not None and name in self._wanted:
                self._traffic.remove(self._wanted.pop(name))

    def _enter(self, name: str, camera_ids: tuple[str, ...]) -> Mover:
        """Puts a wanted vehicle before its first camera, with a way past them all."""
        streets = [watched_streets(self._cameras[camera_id], self.graph)[0] for camera_id in camera_ids]
        arriving = [street for street in self.graph.streets if street.end == streets[0].start and street.number != streets[0].number]
        first = max(arriving, key=lambda street: (street.length_m < 150, street.length_m))
        mover = self._traffic.add(name, near=[first])
        mover.along_m = max(0.0, first.length_m - 60.0)
        mover.obeys_lights = False
        mover.route = self._way_through(first, streets)
        return mover

    def _way_through(self, start: Street, streets: list[Street]) -> list[Street]:
        way: list[Street] = []
        last = start
        for street in streets:
            way += [*self.graph.route(last, street.start), street]
            last = street
        return way

    def _run_script(self, before_s: float) -> list[Happening]:
        happenings: list[Happening] = []
        for index, call in enumerate(CALLS):
            happenings += self._run_call(call, index, before_s)
        for index, shot in enumerate(GUNSHOTS):
            happenings += self._run_gunshot(shot, index, before_s)
        happenings += [
            TipTold(tip.agency_id, tip.category, tip.text, tip.address, tip.place)
            for tip in TIPS
            if self._due(tip.at_s, before_s) is not None
        ]
        return happenings

    def _run_call(self, call: ScriptedCall, index: int, before_s: float) -> list[Happening]:
        happenings: list[Happening] = []
        for after_s, status in ((0.0, "new"), (12.0, "dispatched"), (call.lasts_s / 2, "on scene"), (call.lasts_s, "closed")):
            cycle = self._due(call.at_s + after_s, before_s)
            if cycle is None:
                continue
            received_s = call.at_s + cycle * CYCLE_S
            happenings.append(CallMessage(call.agency_id, cycle * len(CALLS) + index + 1, call, status, received_s, self.now_s))
            if status == "dispatched":
                self._dispatch(call.agency_id, to_metres(*call.place), call.units, hurry=call.priority <= 2)
        return happenings

    def _run_gunshot(self, shot: ScriptedGunshot, index: int, before_s: float) -> list[Happening]:
        happenings: list[Happening] = []
        stages = (
            (0.0, "new", "gunfire", 25.0),
            (shot.reviewed_after_s, "reclassified", shot.review, 9.0),
            (shot.closed_after_s, "closed", shot.review, 9.0),
        )
        for after_s, stage, classification, error_radius_m in stages:
            cycle = self._due(shot.at_s + after_s, before_s)
            if cycle is not None:
                number = cycle * len(GUNSHOTS) + index + 1
                detected_s = shot.at_s + cycle * CYCLE_S
                at = to_metres(*shot.place)
                happenings.append(
                    GunshotMessage(shot.agency_id, number, stage, classification, detected_s, at, error_radius_m, shot.rounds, shot.sensors)
                )
                if stage == "new":
                    self._dispatch(shot.agency_id, at, 3, hurry=True)
        return happenings

    def _dispatch(self, agency_id: str, at: Metres, count: int, *, hurry: bool) -> None:
        free = [
            (mover, unit)
            for mover, unit in self._units
            if unit.agency_id == agency_id and unit.kind == "patrol" and unit.unit_id not in self._busy
        ]
        free.sort(key=lambda pair: distance_m(pair[0].point_at(0.0), at))
        goal = self.graph.nearest_junction(at)
        for mover, unit in free[:count]:
            self._traffic.send(mover, goal, hurry=hurry)
            self._busy[unit.unit_id] = math.inf

    def _end_assignments(self) -> None:
        for mover, unit in self._units:
            until_s = self._busy.get(unit.unit_id)
            if until_s is None:
                continue
            arrived = not mover.route and mover.speed_mps == 0.0
            if until_s == math.inf and arrived:
                self._busy[unit.unit_id] = self.now_s + ON_SCENE_S
            elif until_s <= self.now_s:
                del self._busy[unit.unit_id]
                self._traffic.release(mover)
