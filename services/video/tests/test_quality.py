"""What a viewer on a bad link gets, and the numbers under which it gets it."""

import itertools
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc_video.engine.frames import Frame
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.numbering import Numbering
from rtcc_video.engine.quality import Link, Quality
from rtcc_video.engine.stream import LiveStream, StreamLimits

PAYLOAD_TYPE = 96
RATE = 2_000_000.0


def judge_for(link: Link, seconds: int, now_s: float, *, loss: float = 0.0, estimate: float | None = None, sub: bool = False) -> float:
    for _ in range(seconds):
        now_s += 1.0
        link.on_loss(loss, 0.05)
        if estimate is not None:
            link.on_estimate(estimate, now_s)
        link.judge(RATE, sub, now_s)
    return now_s


def test_a_good_link_keeps_everything() -> None:
    link = Link(0.0)
    judge_for(link, 60, 0.0, loss=0.03, estimate=1.6e6)
    assert link.verdict.quality is Quality.FULL


def test_one_bad_report_changes_nothing_and_lasting_loss_does() -> None:
    link = Link(0.0)
    now_s = judge_for(link, 1, 0.0, loss=0.4)
    now_s = judge_for(link, 5, now_s)
    assert link.verdict.quality is Quality.FULL
    judge_for(link, 4, now_s, loss=0.3)
    assert link.verdict.quality is Quality.KEY_PICTURES
    assert "30%" in link.verdict.reason


def test_a_thin_link_gets_the_substream_first_and_says_why() -> None:
    link = Link(0.0)
    judge_for(link, 5, 0.0, estimate=600_000, sub=True)
    assert link.verdict.quality is Quality.SUBSTREAM
    assert link.verdict.reason == "the viewer's connection takes 600 of 2000 kbit/s"


def test_it_steps_up_again_and_rests_longer_after_each_relapse() -> None:
    link = Link(0.0)
    now_s = judge_for(link, 4, 0.0, loss=0.3)
    rests = []
    for _ in range(4):
        rest = 0
        while link.verdict.quality is not Quality.FULL:
            now_s = judge_for(link, 1, now_s)
            rest += 1
        rests.append(rest)
        while link.verdict.quality is Quality.FULL:
            now_s = judge_for(link, 1, now_s, loss=0.3)
    assert rests == sorted(rests)
    assert rests[-1] >= 4 * rests[0]


def test_an_old_estimate_says_nothing() -> None:
    link = Link(0.0)
    link.on_estimate(100_000, 0.0)
    judge_for(link, 1, 10.0)
    judge_for(link, 20, 20.0)
    assert link.verdict.quality is Quality.FULL


def test_a_receiver_that_was_sent_little_is_given_time_to_estimate_more() -> None:
    link = Link(0.0)
    link.on_growth(0.0)
    now_s = judge_for(link, 18, 0.0, estimate=400_000)
    assert link.verdict.quality is Quality.FULL
    judge_for(link, 8, now_s, estimate=400_000)
    assert link.verdict.quality is Quality.KEY_PICTURES


def a_stream() -> LiveStream:
    return LiveStream(StreamLimits(), lambda: 1.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=60))
def test_left_out_pictures_leave_no_gap_and_resends_repeat_what_was_sent(pictures: list[tuple[int, bool]]) -> None:
    """GCM demands it: one packet number, one content. The oracle is a plain list of what was sent."""
    stream = a_stream()
    numbering = Numbering(stream)
    sent: dict[int, tuple[bytes, bytes]] = {}
    for number, (packets, taken) in enumerate(pictures):
        frame = Frame([os.urandom(20) for _ in range(packets)], stream.ring.next_index, number * 3000, False, stream.ssrc)
        stream.ring.add(frame, 1.0)
        if not taken:
            continue
        for run in numbering.follow(frame, stream).runs(PAYLOAD_TYPE):
            for position, (header, payload) in enumerate(zip(run.headers, run.payloads, strict=True)):
                assert run.first + position not in sent
                sent[run.first + position] = (header, payload)
    indices = sorted(sent)
    assert indices == list(range(indices[0], indices[0] + len(indices))) if indices else True
    for index in indices:
        found = numbering.find(index & 0xFFFF)
        assert found is not None
        again = found[0].single(PAYLOAD_TYPE, found[1])
        assert (again.headers[0], again.payloads[0]) == sent[index]
    numbering.forget_old()


def test_a_viewer_can_move_to_another_stream_and_back_under_one_name() -> None:
    large, small = a_stream(), a_stream()
    numbering = Numbering(large)
    order = [large, large, small, small, large]
    stamps, sequences, names = [], [], set()
    for number, stream in enumerate(order):
        frame = Frame([b"x" * 10, b"y" * 5], stream.ring.next_index, number * 3000 + (0 if stream is large else 777_777), True, stream.ssrc)
        stream.ring.add(frame, 1.0)
        renamed = numbering.follow(frame, stream, 3000)
        stamps.append(renamed.timestamp)
        sequences += [renamed.first_index, renamed.first_index + 1]
        names.add(renamed.ssrc)
    assert names == {large.ssrc}
    assert [later - earlier for earlier, later in itertools.pairwise(stamps)] == [3000] * 4
    assert [later - earlier for earlier, later in itertools.pairwise(sequences)] == [1] * 9
    for sequence in sequences:
        assert numbering.find(sequence & 0xFFFF) is not None
    numbering.forget_old()


def test_what_was_sent_before_many_changes_is_repeated_as_it_was_or_not_at_all() -> None:
    """Segments are dropped after a while; no number may then be given to another packet."""
    streams = (a_stream(), a_stream())
    numbering = Numbering(streams[0])
    sent: dict[int, tuple[bytes, bytes]] = {}
    for number in range(60):
        stream = streams[number % 2]
        for left_out in (False, number % 3 == 0):
            frame = Frame([os.urandom(20) for _ in range(3)], stream.ring.next_index, number * 3000, True, stream.ssrc)
            stream.ring.add(frame, 1.0)
            if left_out:
                continue
            for run in numbering.follow(frame, stream, 3000).runs(PAYLOAD_TYPE):
                for position, packet in enumerate(zip(run.headers, run.payloads, strict=True)):
                    assert run.first + position not in sent
                    sent[run.first + position] = packet
        numbering.forget_old()
    found = {index: numbering.find(index & 0xFFFF) for index in sent}
    again = {index: kept[0].single(PAYLOAD_TYPE, kept[1]) for index, kept in found.items() if kept is not None}
    assert 0 < len(again) < len(sent)
    assert all((run.headers[0], run.payloads[0]) == sent[index] for index, run in again.items())


def test_the_streams_rate_is_what_it_carried_lately(units: list[AccessUnit]) -> None:
    now = [100.0]
    stream = LiveStream(StreamLimits(), lambda: now[0])
    for number in range(200):
        stream.publish(AccessUnit(units[number % len(units)].nals, number * 3000, units[number % len(units)].key))
        now[0] += 1 / 30
    mean = stream.octets_total * 8 / (200 / 30)
    assert abs(stream.bits_per_s - mean) < 0.2 * mean
