"""Packing of trails: lossless, small, and unmoved by damage."""

import random
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtcc_location.domain.fixes import UNKNOWN_HEADING_CDEG, UNKNOWN_SPEED_CMPS, Fixes
from rtcc_location.domain.trail import MINUTE_US, DamagedTrail, Trail, by_unit_and_minute, merged, pack, thinned, unpack

MINUTE = int(datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()) // 60
# within the minute, latitude, longitude, heading, speed, accuracy, panic: all that a fix may hold (domain/fixes.py)
ROW = st.tuples(
    st.integers(0, MINUTE_US - 1),
    st.integers(-900_000_000, 900_000_000),
    st.integers(-1_800_000_000, 1_800_000_000),
    st.integers(0, UNKNOWN_HEADING_CDEG),
    st.integers(0, UNKNOWN_SPEED_CMPS),
    st.integers(0, 2**31),
    st.booleans(),
)
ROWS = st.lists(ROW, max_size=80)


def trail_of(rows: list[tuple[int, ...]]) -> Trail:
    table = np.array(rows, np.int64).reshape(len(rows), 7).T
    numbers = table[:6].copy()
    numbers[0] += MINUTE * MINUTE_US
    return Trail(numbers, table[6].astype(bool))


def as_set(trail: Trail) -> dict[int, tuple[int, ...]]:
    return {row[0]: (*row[1:], int(panic)) for row, panic in zip(trail.numbers.T.tolist(), trail.panic.tolist(), strict=True)}


@given(ROWS)
def test_what_is_packed_is_unpacked(rows: list[tuple[int, ...]]) -> None:
    trail = trail_of(rows)
    found = unpack(pack(trail, MINUTE), MINUTE)
    assert found.numbers.tolist() == trail.numbers.tolist() and found.panic.tolist() == trail.panic.tolist()


@given(ROWS, ROWS, st.data())
def test_merging_is_a_set_by_time_in_any_order_and_any_number_of_times(
    first: list[tuple[int, ...]], second: list[tuple[int, ...]], data: st.DataObject
) -> None:
    a, b = merged(trail_of(first)), merged(trail_of(second))
    whole = merged(a, b)
    expected = as_set(b) | as_set(a)
    assert as_set(whole) == expected
    assert whole.fixed_at_us.tolist() == sorted(expected)
    assert as_set(merged(whole, data.draw(st.sampled_from([a, b])), whole)) == expected


@given(ROWS, st.integers(2, 40))
def test_thinning_keeps_the_ends(rows: list[tuple[int, ...]], most: int) -> None:
    trail = merged(Trail.empty(), trail_of(rows))
    few = thinned(trail, most)
    assert len(few) == min(len(trail), most)
    if len(trail):
        assert (few.fixed_at_us[0], few.fixed_at_us[-1]) == (trail.fixed_at_us[0], trail.fixed_at_us[-1])
    assert set(few.fixed_at_us.tolist()) <= set(trail.fixed_at_us.tolist())


@given(st.binary(max_size=300))
def test_noise_is_damage_and_nothing_else(body: bytes) -> None:
    try:
        unpack(body, MINUTE)
    except DamagedTrail:
        return


@given(ROWS, st.data())
def test_a_damaged_row_is_read_or_refused(rows: list[tuple[int, ...]], data: st.DataObject) -> None:
    body = bytearray(pack(trail_of(rows), MINUTE))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        unpack(bytes(body), MINUTE)
    except DamagedTrail:
        return


@given(st.lists(st.tuples(st.sampled_from(["u1", "u2"]), st.integers(0, 5 * MINUTE_US)), max_size=60))
def test_fixes_are_sorted_into_minutes_of_units(rows: list[tuple[str, int]]) -> None:
    table = [(1, 2, 3, 4, 5, MINUTE * MINUTE_US + at, 0, 0) for _, at in rows]
    fixes = Fixes.of([unit_id for unit_id, _ in rows], table)
    found = {(unit_id, at) for (unit_id, minute), trail in by_unit_and_minute(fixes).items() for at in trail.fixed_at_us.tolist()}
    assert found == {(unit_id, MINUTE * MINUTE_US + at) for unit_id, at in rows}
    assert all((trail.fixed_at_us // MINUTE_US == minute).all() for (_, minute), trail in by_unit_and_minute(fixes).items())


def test_a_moving_car_takes_few_bytes_a_fix() -> None:
    chance = random.Random(7)
    rows, latitude, longitude, heading = [], 601_700_000, 249_400_000, 9_000
    for second in range(60):
        heading = (heading + chance.randint(-300, 300)) % 36_000
        latitude, longitude = latitude + chance.randint(-100, 1_200), longitude + chance.randint(-100, 1_800)
        rows.append(
            (second * 1_000_000 + chance.randint(0, 40) * 1_000, latitude, longitude, heading, 1_390 + chance.randint(-60, 60), 40, 0)
        )
    assert len(pack(trail_of(rows), MINUTE)) / len(rows) < 12
