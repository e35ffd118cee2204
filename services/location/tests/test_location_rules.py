"""Live state, nearest and fix checks against obvious, slow oracles."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtcc.geo.v1.geo_pb2 import Coordinate, Position
from rtcc.location.v1 import location_pb2 as pb
from rtcc_chassis.geometry import distance_m
from rtcc_location.domain.fixes import FIXED_AT, LATITUDE, Fixes, checked_fixes, microseconds
from rtcc_location.domain.live import FRESH, LATE, PANIC_HOLD, REPEATED, LiveState
from rtcc_location.domain.nearest import CellGrid
from rtcc_location.events import batches, fixes_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def fix(latitude: float = 60.17, longitude: float = 24.94, at: datetime | None = NOW, **more: object) -> pb.Fix:
    made = pb.Fix(position=Position(coordinate=Coordinate(latitude_deg=latitude, longitude_deg=longitude), **more))  # type: ignore[arg-type] # free fields
    if at is not None:
        made.fixed_at.FromDatetime(at)
    return made


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (fix(latitude=90.1), "off the globe"),
        (fix(longitude=float("nan")), "off the globe"),
        (fix(latitude=0, longitude=0), "without a fix"),
        (fix(at=NOW + timedelta(minutes=2, seconds=1)), "in the future"),
        (fix(at=None), "is needed"),
        (fix(at=datetime(1980, 1, 6, tzinfo=UTC)), "before the year 2000"),
        (fix(speed_mps=900), "faster"),
        (fix(heading_deg=361), "360"),
        (fix(accuracy_m=-1), "size"),
    ],
)
def test_an_unbelievable_fix_is_refused_with_the_reason(bad: pb.Fix, word: str) -> None:
    checked = checked_fixes("u1", [fix(), bad], NOW)
    assert (len(checked.fixes), checked.rejected) == (1, 1)
    assert checked.reasons[0].startswith("fixes[1]") and word in checked.reasons[0]


@given(st.binary(max_size=200))
def test_no_message_breaks_the_check(data: bytes) -> None:
    message = pb.StreamFixesRequest()
    try:
        message.ParseFromString(data)
    except Exception:
        return
    checked = checked_fixes("u1", message.fixes, NOW)
    assert len(checked.fixes) + checked.rejected == len(message.fixes)


ROW = st.tuples(st.sampled_from(["u1", "u2", "u3"]), st.integers(0, 20), st.integers(-5, 5), st.booleans())  # unit, second, latitude, panic


def fixes_from(rows: list[tuple[str, int, int, bool]]) -> Fixes:
    base = microseconds(NOW)
    return Fixes.of([row[0] for row in rows], [(row[2], 7, 36000, 0, 0, base + row[1] * 1_000_000, base, int(row[3])) for row in rows])


@given(st.lists(st.lists(ROW, max_size=8), max_size=6))
def test_the_newest_fix_of_each_unit_stays_whatever_the_order(many: list[list[tuple[str, int, int, bool]]]) -> None:
    live, oracle = LiveState(), dict[str, tuple[int, int]]()
    for rows in many:
        fixes = fixes_from(rows)
        at = live.rows_of(fixes.unit_ids, ["west"] * len(fixes))
        verdict, _ = live.judged(fixes, at)
        for row, told in zip(rows, verdict.tolist(), strict=True):
            before = oracle.get(row[0], (-1, 0))[0]
            assert told == (FRESH if row[1] > before else REPEATED if row[1] == before else LATE)
        live.apply(fixes, at)
        for unit_id, second, latitude, _ in rows:
            if second > oracle.get(unit_id, (-1, 0))[0]:
                oracle[unit_id] = (second, latitude)
    for row, unit_id in enumerate(live.unit_ids):
        if unit_id in oracle:
            assert live.column(FIXED_AT)[row] == microseconds(NOW) + oracle[unit_id][0] * 1_000_000


def test_late_data_never_rewrites_the_live_state() -> None:
    live = LiveState()
    for second, latitude in ((10, 1), (5, 2), (10, 3)):
        fixes = fixes_from([("u1", second, latitude, False)])
        live.apply(fixes, live.rows_of(fixes.unit_ids, ["west"]))
    assert live.column(LATITUDE)[0] == 1


def test_a_call_for_help_outlives_the_ordinary_fixes_after_it() -> None:
    live, hold_s = LiveState(), PANIC_HOLD.seconds
    seen = []
    for second, pressed in ((0, False), (10, True), (11, False), (10 + hold_s, False), (11 + hold_s, False)):
        fixes = fixes_from([("u1", second, 1, pressed)])
        rows = live.rows_of(fixes.unit_ids, ["west"])
        _, up = live.judged(fixes, rows)
        live.apply(fixes.with_panic(up), rows, fixes.panic)
        seen.append(bool(live.panic[0]))
    assert seen == [False, True, True, True, False]


def test_a_held_call_read_from_the_stream_is_not_prolonged() -> None:
    live, hold_s = LiveState(), PANIC_HOLD.seconds
    for second in (0, hold_s // 2, hold_s):
        fixes = fixes_from([("u1", second, 1, True)])
        live.apply(fixes, live.rows_of(fixes.unit_ids, ["west"]))
    later = fixes_from([("u1", hold_s + 1, 1, False)])
    _, up = live.judged(later, live.rows_of(later.unit_ids, ["west"]))
    assert not up[0]


def test_the_state_grows_beyond_its_first_size() -> None:
    live = LiveState()
    rows = [(f"u{number}", number, number, False) for number in range(5_000)]
    fixes = fixes_from(rows)
    live.apply(fixes, live.rows_of(fixes.unit_ids, ["west", "east"] * 2_500))
    assert live.of_agency("east").sum() == 2_500
    assert live.column(LATITUDE)[4_999] == 4_999


@given(st.lists(ROW, max_size=20))
def test_a_batch_survives_the_wire(rows: list[tuple[str, int, int, bool]]) -> None:
    fixes = fixes_from(rows)
    for message in batches("west", fixes):
        back = fixes_of(pb.PositionBatch.FromString(message.SerializeToString()))
        assert back.unit_ids == fixes.unit_ids
        assert (back.numbers == fixes.numbers).all() and (back.panic == fixes.panic).all()


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        fixes_of(pb.PositionBatch(agency_id="west", unit_ids=["a"], latitude_e7=[1, 2]))


@settings(deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(60.17, 24.94, 0.05), (60.17, 24.94, 3.0), (0.0, 179.99, 0.5), (89.9, 0.0, 3.0), (-60.0, -179.999, 30.0)]),
    st.integers(1, 12),
    st.floats(0.05, 1.0),
)
@example(0, (60.17, 24.94, 1e-9), 12, 1.0)
def test_nearest_agrees_with_brute_force(seed: int, where: tuple[float, float, float], limit: int, allowed_share: float) -> None:
    dice = np.random.default_rng(seed)
    latitude, longitude, spread = where
    count = 120
    latitudes = np.clip(latitude + dice.normal(0, spread, count), -90, 90)
    longitudes = (longitude + dice.normal(0, spread, count) + 180) % 360 - 180
    allowed = dice.random(count) < allowed_share
    rows, metres = CellGrid(latitudes, longitudes).nearest(latitude, longitude, limit, allowed)
    oracle = sorted((distance_m(latitudes[i], longitudes[i], latitude, longitude), i) for i in range(count) if allowed[i])[:limit]
    assert np.allclose(metres, [away_m for away_m, _ in oracle], atol=1e-3)
    assert rows.tolist() == [i for _, i in oracle] or len(set(np.round(metres, 3))) < len(oracle)


def test_the_figures_of_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints what a day's reader wants to know; fails only when something is an order of magnitude off."""
    dice = np.random.default_rng(1)
    live, units, batch = LiveState(), 10_000, 500
    names = [f"unit-{number}" for number in range(units)]
    live.rows_of(names, ["west"] * units)
    started, rounds = time.process_time(), 200
    for number in range(rounds):
        chosen = dice.integers(0, units, batch)
        numbers = np.zeros((7, batch), np.int64)
        numbers[:2], numbers[FIXED_AT] = dice.integers(-(10**8), 10**8, (2, batch)), number + 1
        fixes = Fixes([names[row] for row in chosen.tolist()], numbers, np.zeros(batch, bool))
        rows = live.rows_of(fixes.unit_ids, ["west"] * batch)
        live.judged(fixes, rows)
        live.apply(fixes, rows)
    updates_per_s = rounds * batch / (time.process_time() - started)
    latitudes, longitudes = 60 + dice.random(units) * 0.3, 24 + dice.random(units) * 0.6
    started = time.process_time()
    grid = CellGrid(latitudes, longitudes)
    build_ms = (time.process_time() - started) * 1e3
    allowed = np.ones(units, bool)
    started, asked = time.process_time(), 300
    for number in range(asked):
        grid.nearest(60.15, 24.0 + number / 1000, 10, allowed)
    nearest_per_s = asked / (time.process_time() - started)
    with capsys.disabled():
        print(
            f"\nlive state: {updates_per_s:,.0f} fixes/s in batches of {batch}; "
            f"nearest 10 of {units}: {nearest_per_s:,.0f}/s; grid {build_ms:.2f} ms"
        )
    assert updates_per_s > 20_000 and nearest_per_s > 300
