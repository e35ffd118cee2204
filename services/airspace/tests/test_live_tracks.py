"""The live state against an obvious oracle; zones against the plain rule; visits at their borders."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon
from rtcc.registry.v1.registry_pb2 import Zone
from rtcc_airspace.domain.live import FRESH, JUMPED, LATE, REPEATED, LiveTracks
from rtcc_airspace.domain.observations import COLUMNS, OBSERVED_AT, UNKNOWN_DM, Identity, Observations, Subject, blank_row
from rtcc_airspace.domain.plausibility import Signal
from rtcc_airspace.domain.visits import DETAILS_WAIT_US, LEAVE_US, Visit, Visits
from rtcc_airspace.domain.zones import AirZone, air_zones
from rtcc_chassis.geometry import polygon_contains

NOW_US = 1_800_000_000_000_000
SECOND_US = 1_000_000


def subject(key: str, kind: int = pb.TRACK_KIND_DRONE, **identity: str) -> Subject:
    return Subject(key, kind, Identity(**identity), "source-1")


def sightings(*rows: tuple[str, float, float, float], kind: int = pb.TRACK_KIND_DRONE) -> Observations:
    """(key, latitude, longitude, seconds before now)."""
    made = [blank_row(round(y * 1e7), round(x * 1e7), NOW_US - round(age * SECOND_US), NOW_US) for _, y, x, age in rows]
    keys = [key for key, *_ in rows]
    return Observations.of(keys, made, {key: subject(key, kind) for key in keys})


def judged(live: LiveTracks, observations: Observations) -> list[int]:
    rows = live.rows_of("east", observations)
    verdict = live.judged(observations, rows, NOW_US)
    fresh = np.flatnonzero(verdict == FRESH)
    live.apply(observations.rows(fresh), rows[fresh])
    return [int(value) for value in verdict]


def test_fresh_repeated_late_and_jumped_are_told_apart() -> None:
    live = LiveTracks(100)
    assert judged(live, sightings(("a", 60.0, 24.0, 10))) == [FRESH]
    assert judged(live, sightings(("a", 60.0, 24.0, 10), ("a", 60.0, 24.0, 11), ("a", 60.0001, 24.0, 9))) == [REPEATED, LATE, FRESH]
    # 111 km in a second, and 100 m in a second
    assert judged(live, sightings(("a", 61.0, 24.0, 8), ("b", 60.0, 24.0, 90))) == [JUMPED, LATE]
    assert judged(live, sightings(("a", 60.001, 24.0, 8))) == [FRESH]


def test_a_jump_inside_one_batch_is_seen() -> None:
    live = LiveTracks(100)
    assert judged(live, sightings(("a", 60.0, 24.0, 10), ("a", 61.0, 24.0, 9))) == [FRESH, JUMPED]


def test_aircraft_may_be_faster_and_after_a_minute_anything_may_be_anywhere() -> None:
    live = LiveTracks(100)
    plane = [("a", 60.0, 24.0, 20.0), ("a", 60.01, 24.0, 18.0)]
    assert judged(live, sightings(*plane, kind=pb.TRACK_KIND_AIRCRAFT)) == [FRESH, FRESH]
    assert judged(LiveTracks(100), sightings(*plane)) == [FRESH, JUMPED]
    live = LiveTracks(100)
    old = sightings(("a", 60.0, 24.0, 90))
    live.apply(old, live.rows_of("east", old))
    assert judged(live, sightings(("a", 61.0, 24.0, 10))) == [FRESH]


steps = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(60, 60.001), st.floats(24, 24.001), st.integers(0, 50)), min_size=1, max_size=6),
    max_size=6,
)


@given(steps)
def test_the_newest_sighting_of_each_track_stays_whatever_the_order(batches: list[list[tuple[str, float, float, float]]]) -> None:
    live, newest = LiveTracks(100), dict[str, int]()
    for batch in batches:
        observations = sightings(*batch)
        rows = live.rows_of("east", observations)
        # applying a batch twice changes nothing
        live.apply(observations, rows)
        live.apply(observations, rows)
        for key, *_, age in batch:
            newest[key] = max(newest.get(key, 0), NOW_US - round(age * SECOND_US))
    seen = {live.head(row).subject.key: int(live.numbers[OBSERVED_AT, row]) for row in live.rows_in_use("east")}
    assert seen == newest


def test_tracks_of_an_agency_are_bounded_and_others_are_not_touched() -> None:
    live = LiveTracks(2)
    full = sightings(*((key, 60.0, 24.0, 1) for key in "abc"))
    assert sorted(live.rows_of("east", full).tolist()) == [-1, 0, 1]
    assert -1 not in live.rows_of("west", sightings(("a", 60.0, 24.0, 1))).tolist()


def test_a_row_is_used_again_and_nothing_of_the_old_track_stays() -> None:
    live = LiveTracks(100)
    judged(live, sightings(("a", 60.0, 24.0, 1)))
    (row,) = live.rows_in_use("east")
    first = live.head(row).track_id
    live.end(row)
    assert live.rows_in_use() == [] and live.row_of(first) is None
    judged(live, sightings(("b", 60.0, 24.0, 1)))
    assert live.rows_in_use("east") == [row] and live.head(row).track_id != first
    # the same drone on another day is another track
    live.end(row)
    judged(live, sightings(("a", 60.0, 24.0, 0)))
    assert live.head(row).track_id != first


def test_silent_tracks_are_found_by_kind() -> None:
    live = LiveTracks(100)
    judged(live, sightings(("d", 60.0, 24.0, 50)))
    judged(live, sightings(("p", 60.0, 24.0, 50), kind=pb.TRACK_KIND_AIRCRAFT))
    silent = live.silent(NOW_US, 60 * SECOND_US, 40 * SECOND_US)
    assert [live.head(row).subject.key for row in silent] == ["p"]


def test_late_sightings_that_keep_coming_are_one_track_however_old_they_are() -> None:
    live = LiveTracks(100)
    assert judged(live, sightings(("a", 60.0, 24.0, 600))) == [LATE]
    # nothing is shown, and nothing ends while more may come
    assert live.rows_in_use() == [] and live.silent(NOW_US + SECOND_US, 60 * SECOND_US, 60 * SECOND_US) == []
    assert len(live.silent(NOW_US + 61 * SECOND_US, 60 * SECOND_US, 60 * SECOND_US)) == 1


def test_what_one_receiver_knows_is_not_lost_to_another_that_heard_less() -> None:
    live = LiveTracks(100)
    judged(live, sightings(("a", 60.0, 24.0, 1)))
    full = Subject("a", pb.TRACK_KIND_DRONE, Identity(operator_id="OP1", emergency="general"), "source-1")
    assert len(live.update_subjects("east", {"a": full})) == 1
    assert live.update_subjects("east", {"a": Subject("a", full.kind, full.identity, "source-2")}) == []
    assert len(live.update_subjects("east", {"a": subject("a")})) == 1
    (row,) = live.rows_in_use("east")
    # the operator stays known, an emergency that isn't told any more is over
    assert live.head(row).subject.identity == Identity(operator_id="OP1")


def zone(corners: Sequence[tuple[float, float]], **heights: float) -> AirZone:
    area = Polygon(corners=[Coordinate(latitude_deg=y, longitude_deg=x) for y, x in corners])
    (made,) = air_zones([Zone(zone_id="z", name="Z", kind="air", area=area, **heights)])
    return made


cells = st.integers(-50, 50).map(lambda value: value / 1e3)


@given(
    st.lists(st.tuples(cells, cells), min_size=3, max_size=8),
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=1, max_size=20),
)
def test_zones_contain_what_the_plain_rule_says(corners: list[tuple[float, float]], points: list[tuple[int, int]]) -> None:
    # half a step beside the corners' grid: a point on the border belongs to nobody
    latitude = np.array([y * 10_000 + 3_333 for y, _ in points], np.int64)
    longitude = np.array([x * 10_000 + 3_333 for _, x in points], np.int64)
    inside = zone(corners).contains(latitude, longitude, np.full(len(points), UNKNOWN_DM))
    area = Polygon(corners=[Coordinate(latitude_deg=y, longitude_deg=x) for y, x in corners])
    plain = [
        polygon_contains(area, Coordinate(latitude_deg=y / 1e7, longitude_deg=x / 1e7))
        for y, x in zip(latitude.tolist(), longitude.tolist(), strict=True)
    ]
    assert inside.tolist() == plain


@pytest.mark.parametrize(("height_dm", "inside"), [(99, False), (100, True), (1_200, True), (1_201, False), (UNKNOWN_DM, True)])
def test_heights_decide_and_an_unknown_height_counts(height_dm: int, inside: bool) -> None:
    square = zone([(0, 0), (0, 1), (1, 1), (1, 0)], floor_m=10, ceiling_m=120)
    found = square.contains(np.array([5_000_000]), np.array([5_000_000]), np.array([height_dm]))
    assert found.tolist() == [inside]


def test_only_zones_in_the_air_count() -> None:
    assert air_zones([Zone(zone_id="s", kind="school"), Zone(zone_id="d", kind="district")]) == ()


def seen(visits: Visits, at_us: int, zone_ids: Sequence[str] = ("z",)) -> None:
    visits.seen("east", "t1", zone_ids, np.zeros(COLUMNS, np.int64), at_us, at_us)


def ids(visits: list[Visit]) -> list[str]:
    return [visit.visit_id for visit in visits]


def test_a_visit_is_told_once_and_a_wobble_at_the_border_is_no_new_one() -> None:
    visits = Visits()
    seen(visits, NOW_US)
    (visit,) = visits.due(NOW_US, lambda _: True)
    visit.raised = True
    seen(visits, NOW_US + 20 * SECOND_US)
    assert visits.due(NOW_US + 60 * SECOND_US, lambda _: True) == []
    assert visits.over(lambda _: NOW_US + 20 * SECOND_US + LEAVE_US) == []
    (over,) = visits.over(lambda _: NOW_US + 20 * SECOND_US + LEAVE_US + 1)
    visits.forget([over])
    seen(visits, NOW_US + 90 * SECOND_US)
    assert ids(visits.due(NOW_US + 90 * SECOND_US, lambda _: True)) != [visit.visit_id]


def test_an_alarm_waits_for_details_but_not_for_ever() -> None:
    visits = Visits()
    seen(visits, NOW_US)
    assert visits.due(NOW_US + DETAILS_WAIT_US - 1, lambda _: False) == []
    assert len(visits.due(NOW_US + DETAILS_WAIT_US, lambda _: False)) == 1


def test_an_ended_track_ends_its_visits_but_none_that_was_not_told() -> None:
    visits = Visits()
    seen(visits, NOW_US, ("y", "z"))
    first, second = visits.due(NOW_US, lambda _: True)
    first.raised = True
    assert ids(visits.over(lambda _: None)) == [first.visit_id]
    visits.forget([first, second])
    assert len(visits) == 0


def test_two_zones_are_two_visits() -> None:
    visits = Visits()
    seen(visits, NOW_US, ("y", "z"))
    assert len(set(ids(visits.due(NOW_US, lambda _: True)))) == 2


def test_a_signal_that_follows_the_distance_is_believed() -> None:
    signal = Signal()
    for step in range(1, 40):
        metres = 100 * step
        falls = -40 - 20 * np.log10(metres / 100)
        assert signal.judged(60.0, 24.0, 60.0 + metres / 111_195, 24.0, float(falls)) == ""
