"""The agencies' possessions are consistent and stand where they belong."""

import csv
import io
import random

from rtcc_demo.provision import INVITATIONS, border_cameras
from rtcc_demo.running import MICROPHONE_CAMERA, camera_offsets_s, camera_scenes
from rtcc_demo.world.city import AGENCIES, AREAS, PEOPLE, ZONES, agency_at, camera_features, load_cameras, units_of
from rtcc_demo.world.geometry import distance_m, inside, to_metres
from rtcc_demo.world.plate_reading import watched_streets
from rtcc_demo.world.streets import load_streets
from rtcc_demo.world.vehicles import CONFUSIONS, STOLEN_TRUCK, WANTED_CAR, hot_list_csv, make_fleet, misread


def test_each_agency_has_24_cameras_inside_its_area_at_a_street() -> None:
    cameras, graph = load_cameras(), load_streets()
    assert len({camera.camera_id for camera in cameras}) == len(cameras) == 48
    for agency_id in AGENCIES:
        own = [camera for camera in cameras if camera.agency_id == agency_id]
        assert len(own) == 24
        assert len({camera.name for camera in own}) == 24
        assert sum(camera.plate_reader for camera in own) == 10
    for camera in cameras:
        assert agency_at(camera.at) == camera.agency_id
        assert min(distance_m(camera.at, junction) for junction in graph.junctions) < 40


def test_every_plate_reader_looks_into_a_street() -> None:
    for camera in load_cameras():
        if camera.plate_reader:
            assert watched_streets(camera, load_streets()), camera.name


def test_cameras_see_ahead_and_not_behind() -> None:
    for camera in load_cameras():
        from rtcc_demo.world.geometry import ahead

        assert camera.sees(ahead(camera.at, camera.bearing_deg, camera.range_m * 0.5))
        assert camera.sees(ahead(camera.at, camera.bearing_deg + camera.field_of_view_deg * 0.45, 10))
        assert not camera.sees(ahead(camera.at, camera.bearing_deg + 180, 5))
        assert not camera.sees(ahead(camera.at, camera.bearing_deg + camera.field_of_view_deg * 0.55, 10))
        assert not camera.sees(ahead(camera.at, camera.bearing_deg, camera.range_m * 1.05))


def test_import_files_are_geojson_points_of_the_public_format() -> None:
    for agency_id in AGENCIES:
        document = camera_features(agency_id)
        assert document["type"] == "FeatureCollection"
        for feature in document["features"]:
            assert feature["geometry"]["type"] == "Point"
            assert set(feature["properties"]) == {"camera_id", "name", "kind", "bearing_deg", "field_of_view_deg", "range_m", "owner"}


def test_areas_meet_at_the_border_without_overlap() -> None:
    rings = {agency_id: [to_metres(*corner) for corner in AREAS[agency_id]] for agency_id in AGENCIES}
    choice = random.Random(2)
    for _ in range(2_000):
        point = (choice.uniform(-520, 520), choice.uniform(-800, 850))
        assert sum(inside(point, ring) for ring in rings.values()) == 1


def test_identifiers_are_unique_and_every_role_is_there() -> None:
    units = [unit for agency_id in AGENCIES for unit in units_of(agency_id)]
    assert len({unit.unit_id for unit in units}) == len({unit.device_id for unit in units}) == len({unit.call_sign for unit in units}) == 24
    logins = {person.login for agency_id in AGENCIES for person in PEOPLE[agency_id]}
    assert len(logins) == 12
    assert {invitation.login for invitation in INVITATIONS} <= logins
    for agency_id in AGENCIES:
        assert {role for person in PEOPLE[agency_id] for role in person.roles} == {
            "operator",
            "supervisor",
            "officer",
            "investigator",
            "auditor",
            "administrator",
        }
        assert len({zone.zone_id for zone in ZONES[agency_id]}) == len(ZONES[agency_id]) >= 3


def test_border_cameras_are_some_but_not_all() -> None:
    for agency_id in AGENCIES:
        assert 4 <= len(border_cameras(agency_id)) < 24


def test_cameras_of_one_scene_show_different_moments() -> None:
    scenes = camera_scenes()
    offsets_s = camera_offsets_s(scenes)
    assert len(scenes) == 48
    assert MICROPHONE_CAMERA in scenes
    assert len({(scene, offsets_s[camera_id]) for camera_id, scene in scenes.items()}) == 48


def test_the_nearest_cameras_of_a_place_show_different_scenes() -> None:
    scenes, cameras = camera_scenes(), load_cameras()
    alike = 0
    for camera in cameras:
        near = sorted(cameras, key=lambda other: distance_m(camera.at, other.at))[:4]
        alike += len({scenes[other.camera_id] for other in near}) < 4
    assert alike <= 4


def test_the_hot_list_names_the_wanted_and_nobody_who_merely_drives() -> None:
    rows = list(csv.DictReader(io.StringIO(hot_list_csv("20260101", "2026-02-01T00:00:00+00:00"))))
    listed = {row["LIC"] for row in rows}
    assert {STOLEN_TRUCK.plate.replace("-", ""), WANTED_CAR.plate.replace("-", "")} <= listed
    fleet = make_fleet(random.Random(4), 60)
    assert len({vehicle.plate for vehicle in fleet}) == 60
    assert not listed & {vehicle.plate.replace("-", "").replace(" ", "") for vehicle in fleet}


def test_a_misread_takes_one_character_for_a_look_alike() -> None:
    choice = random.Random(1)
    for _ in range(200):
        wrong = misread(choice, STOLEN_TRUCK.plate)
        pairs = [(a, b) for a, b in zip(STOLEN_TRUCK.plate, wrong, strict=True) if a != b]
        assert len(pairs) == 1
        assert any(set(pairs[0]) <= set(group) for group in CONFUSIONS)
    assert misread(choice, "AEF-347") == "AEF-347"
