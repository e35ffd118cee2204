"""The simulated city: the same by seed, plausible in space, and true to its script."""

import itertools
from collections import Counter, defaultdict

import pytest

from rtcc_demo.world.city import AGENCIES, EAST, WEST
from rtcc_demo.world.geometry import distance_m, turn_deg
from rtcc_demo.world.plate_reading import STEEPEST_DEG, PlateRead
from rtcc_demo.world.script import CYCLE_S
from rtcc_demo.world.simulation import CallMessage, City, GunshotMessage, Happening, UnitFix
from rtcc_demo.world.vehicles import STOLEN_TRUCK, WANTED_CAR


def live(seed: int, seconds: float) -> list[tuple[float, Happening]]:
    city = City(seed)
    happened = []
    while city.now_s < seconds:
        happened += [(city.now_s, happening) for happening in city.step()]
    return happened


@pytest.fixture(scope="module")
def day() -> list[tuple[float, Happening]]:
    return live(1, CYCLE_S + 60)


def test_the_same_seed_gives_the_same_city() -> None:
    assert live(3, 40) == live(3, 40)
    assert live(3, 40) != live(4, 40)


def test_a_read_happens_only_inside_the_field_of_view_and_once_a_pass(day: list[tuple[float, Happening]]) -> None:
    reads = [happening for _, happening in day if isinstance(happening, PlateRead)]
    assert len(reads) > 300
    last_s: dict[tuple[str, str], float] = {}
    for read in reads:
        assert read.camera.plate_reader
        assert read.camera.sees(read.at)
        key = (read.camera.camera_id, read.vehicle.plate)
        assert read.captured_s - last_s.get(key, -100.0) > 5.0
        last_s[key] = read.captured_s
    assert len({read.read_number for read in reads}) == len(reads)


def test_some_reads_are_misread_and_say_so_by_their_confidence(day: list[tuple[float, Happening]]) -> None:
    reads = [happening for _, happening in day if isinstance(happening, PlateRead)]
    wrong = [read for read in reads if read.plate != read.vehicle.plate]
    assert 0.01 < len(wrong) / len(reads) < 0.07
    for read in wrong:
        assert read.confidence <= 0.84
        assert read.vehicle.plate in [plate for plate, _ in read.candidates]
    for read in reads:
        assert read.candidates[0] == (read.plate, read.confidence)
        assert 0.5 < read.confidence < 1.0


def test_units_report_once_a_second_and_never_jump(day: list[tuple[float, Happening]]) -> None:
    tracks: dict[str, list[UnitFix]] = defaultdict(list)
    for _, happening in day:
        if isinstance(happening, UnitFix):
            tracks[happening.unit.unit_id].append(happening)
    assert len(tracks) == 24
    for track in tracks.values():
        assert len(track) == int(CYCLE_S) + 60
        for before, after in itertools.pairwise(track):
            assert after.fixed_s - before.fixed_s == pytest.approx(1.0)
            assert distance_m(before.at, after.at) < 30.0  # 23 m/s in a hurry, and the wander of the fix
            assert 0.0 <= after.speed_mps < 22.0
            assert 0.0 <= after.heading_deg < 360.0
    walkers = [track for track in tracks.values() if track[0].unit.kind == "officer"]
    assert len(walkers) == 4
    assert all(fix.speed_mps <= 1.4 + 1e-6 for track in walkers for fix in track)


def test_headings_swing_instead_of_snapping(day: list[tuple[float, Happening]]) -> None:
    turns = []
    last: dict[str, UnitFix] = {}
    for _, happening in day:
        if isinstance(happening, UnitFix) and happening.unit.kind == "patrol":
            before = last.get(happening.unit.unit_id)
            if before is not None and before.speed_mps > 2:
                turns.append(abs(turn_deg(before.heading_deg, happening.heading_deg)))
            last[happening.unit.unit_id] = happening
    assert sum(turn > 60 for turn in turns) / len(turns) < 0.02


def test_the_stolen_truck_crosses_the_border(day: list[tuple[float, Happening]]) -> None:
    seen = [(now_s, happening) for now_s, happening in day if isinstance(happening, PlateRead) and happening.vehicle is STOLEN_TRUCK]
    agencies = [read.camera.agency_id for _, read in seen]
    assert seen[0][0] < 30.0
    assert agencies[0] == WEST
    assert Counter(agencies)[EAST] >= 2
    assert Counter(agencies)[WEST] >= 2
    assert any(isinstance(happening, PlateRead) and happening.vehicle is WANTED_CAR for _, happening in day)


def test_each_gunshot_goes_through_its_stages_and_each_call_ends(day: list[tuple[float, Happening]]) -> None:
    stages: dict[tuple[str, int], list[str]] = defaultdict(list)
    statuses: dict[tuple[str, int], list[str]] = defaultdict(list)
    for _, happening in day:
        if isinstance(happening, GunshotMessage):
            stages[happening.agency_id, happening.incident_number].append(happening.stage)
        elif isinstance(happening, CallMessage):
            statuses[happening.agency_id, happening.call_number].append(happening.status)
    assert {agency_id for agency_id, _ in stages} == set(AGENCIES)
    assert all(found == ["new", "reclassified", "closed"] for found in stages.values())
    ended = [found for found in statuses.values() if found[-1] == "closed"]
    assert len(ended) >= 6
    assert all(found == ["new", "dispatched", "on scene", "closed"] for found in ended)


def test_units_drive_to_a_shooting(day: list[tuple[float, Happening]]) -> None:
    shot_s, shot = next((now_s, happening) for now_s, happening in day if isinstance(happening, GunshotMessage))
    near = {
        happening.unit.unit_id
        for now_s, happening in day
        if isinstance(happening, UnitFix)
        and shot_s < now_s < shot_s + 150
        and happening.unit.agency_id == shot.agency_id
        and distance_m(happening.at, shot.at) < 160
    }
    assert len(near) >= 2


def test_reads_are_not_too_oblique() -> None:
    city = City(2)
    while city.now_s < 120:
        for happening in city.step():
            if isinstance(happening, PlateRead):
                mover = (
                    next(mover for mover, vehicle in city._civil if vehicle is happening.vehicle)
                    if happening.vehicle not in (STOLEN_TRUCK, WANTED_CAR)
                    else None
                )
                if mover is not None:
                    oblique = abs(turn_deg(happening.camera.bearing_deg, mover.heading_deg))
                    assert min(oblique, 180 - oblique) <= STEEPEST_DEG
                    assert happening.front == (oblique > 90)
