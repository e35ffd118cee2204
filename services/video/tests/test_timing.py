"""Time stamps made fit and packets put in order, against obvious oracles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_video.engine.rtp import CLOCK_HZ, RtpPacket
from rtcc_video.sources.reorder import Reorder
from rtcc_video.timing import SourceClock


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.floats(0, 20)), min_size=1, max_size=60))
def test_stamps_rise_whatever_the_camera_says(pictures: list[tuple[int, float]]) -> None:
    clock, now_s, last = SourceClock(), 100.0, None
    for source, pause_s in pictures:
        now_s += pause_s
        stamp = clock.stamp(source, now_s)
        assert last is None or stamp > last
        last = stamp


@given(st.lists(st.floats(0.02, 0.3), min_size=2, max_size=60), st.integers(0, 2**32))
def test_an_honest_cameras_stamps_pass_unchanged(pauses: list[float], start: int) -> None:
    clock, now_s, source = SourceClock(), 5.0, start
    for pause_s in pauses:
        assert clock.stamp(source, now_s) == source
        now_s += pause_s
        source += round(pause_s * CLOCK_HZ)
    assert clock.repaired == 0


def test_a_burst_for_a_joiner_and_a_stalled_network_dont_discredit_a_clock() -> None:
    clock, source, now_s = SourceClock(), 0, 0.0
    for number in range(1200):
        # four seconds of pictures at once, then real time, with a network that holds back two seconds now and then
        now_s += 0 if number < 120 else 1 / 30
        shown_s = now_s + (2 - now_s % 2 if int(now_s) % 10 in (4, 5) else 0)
        assert clock.stamp(source, shown_s) == source
        source += 3000
    assert not clock.by_arrival


@pytest.mark.parametrize("ticks_per_picture", [267, 33_000])
def test_a_clock_that_runs_at_another_rate_is_given_up(ticks_per_picture: int) -> None:
    clock, now_s = SourceClock(), 0.0
    stamps = []
    for number in range(900):
        stamps.append(clock.stamp(number * ticks_per_picture, now_s))
        now_s += 1 / 30
    assert clock.by_arrival
    steps = [later - earlier for earlier, later in zip(stamps[-100:], stamps[-99:], strict=False)]
    assert all(2_900 <= step <= 3_100 for step in steps)


def packet(sequence: int, ssrc: int = 1) -> RtpPacket:
    return RtpPacket(96, False, sequence & 0xFFFF, 0, ssrc, b"x")


@given(st.integers(0, 65_535), st.permutations(range(40)), st.sets(st.integers(1, 39), max_size=5), st.data())
def test_what_comes_in_any_order_leaves_in_the_senders(start: int, order: list[int], lost: set[int], data: st.DataObject) -> None:
    reorder = Reorder(limit=200, hold_s=1.0)
    given_out = [one.sequence for one in reorder.push(packet(start), 0.0)]
    for number in order:
        if number in lost:
            continue
        for _ in range(data.draw(st.integers(1, 2))):
            given_out += [one.sequence for one in reorder.push(packet(start + 1 + number), 0.1)]
    # the hold runs out: what was lost is given up
    for number in (40, 41, 42):
        given_out += [one.sequence for one in reorder.push(packet(start + 1 + number), 5.0 + 5 * number)]
    found = [(sequence - start) & 0xFFFF for sequence in given_out]
    assert found == sorted(set(found))
    assert set(found) >= {0, *(number + 1 for number in range(min(lost, default=40)))}


def test_a_sender_that_counts_anew_is_followed() -> None:
    reorder = Reorder()
    assert reorder.push(packet(50_000), 0.0)
    assert [one.sequence for one in reorder.push(packet(7, ssrc=2), 0.1)] == [7]
    heard = [one.sequence for number in range(100) for one in reorder.push(packet(60_000 + number, ssrc=2), 0.2 + number / 1000)]
    assert heard[-1] == 60_099


@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 3), st.floats(0, 0.2)), max_size=300))
def test_any_packets_keep_the_buffer_small(packets: list[tuple[int, int, float]]) -> None:
    reorder, now_s = Reorder(limit=16), 0.0
    for sequence, ssrc, pause_s in packets:
        now_s += pause_s
        reorder.push(packet(sequence, ssrc), now_s)
        assert len(reorder._waiting) <= 17
