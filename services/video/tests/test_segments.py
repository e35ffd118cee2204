"""Segments: written without loss, readable by another reader, with times of day that hold against clocks that jump and drift."""

import io
from itertools import pairwise
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.recording.fmp4 import MalformedMp4, annex_b, read_segment, sample_nals
from rtcc_video.recording.segmenter import RawSegment, Segmenter, SegmentLimits, media_ticks

NOON_US = 1_795_000_000_000_000
FRAME_US = 33_333


def cut(units: list[AccessUnit], times_us: list[int], monotonic_us: list[int] | None = None, **limits: Any) -> list[RawSegment]:
    found: list[RawSegment] = []
    segmenter = Segmenter(SegmentLimits(**({"target_s": 0.9} | limits)), found.append)
    for number, (unit, unix_us) in enumerate(zip(units, times_us, strict=True)):
        segmenter.take(unit, unix_us, monotonic_us[number] if monotonic_us else unix_us - NOON_US)
    segmenter.finish()
    return found


def steady(count: int, start_us: int = NOON_US) -> list[int]:
    return [start_us + number * FRAME_US for number in range(count)]


def test_what_is_written_is_what_came_and_another_reader_plays_it(units: list[AccessUnit]) -> None:
    segments = cut(units, steady(len(units)))
    assert [len(segment.pictures) for segment in segments] == [30, 30]
    assert [segment.starts_with_key for segment in segments] == [True, True]
    assert [segment.continues for segment in segments] == [False, True]
    # our own reader gives back every picture, bit for bit (R28)
    fragments = [read_segment(segment.to_bytes()) for segment in segments]
    samples = [sample for fragment in fragments for sample in fragment.samples]
    for unit, sample in zip(units, samples, strict=True):
        assert tuple(sample_nals(sample.data)) == tuple(nal for nal in unit.nals if nal[0] & 0x1F not in (7, 8))
        assert sample.key == unit.key
    # libav demuxes and decodes the file that init and segments make
    with av.open(io.BytesIO(segments[0].init.data + b"".join(segment.to_bytes() for segment in segments))) as container:
        stream = container.streams.video[0]
        pictures = [frame for packet in container.demux(stream) for frame in packet.decode()]
        assert (stream.width, stream.height, len(pictures)) == (640, 480, 60)
        moments = [float(picture.pts * stream.time_base) for picture in pictures]
    assert all(0.032 < later - earlier < 0.035 for earlier, later in pairwise(moments))
    assert abs(moments[0] - NOON_US / 1e6) < 0.001


def test_a_key_picture_decodes_alone_behind_its_parameter_sets(units: list[AccessUnit]) -> None:
    segment = cut(units, steady(len(units)))[1]
    first = read_segment(segment.to_bytes()).samples[0]
    decoder = av.CodecContext.create("h264", "r")
    frames = decoder.decode(av.Packet(annex_b(segment.init.data, first.data))) + decoder.decode(None)
    assert (frames[0].width, frames[0].height) == (640, 480)


def looped(units: list[AccessUnit], times: int) -> list[AccessUnit]:
    return [AccessUnit(unit.nals, number * 3000, unit.key) for number, unit in enumerate(units * times)]


def test_segments_meet_without_hole_or_overlap_though_pictures_come_unevenly(units: list[AccessUnit]) -> None:
    many = looped(units, 5)
    uneven = [time_us + (number * 7919 % 60_000) for number, time_us in enumerate(steady(len(many)))]
    segments = cut(many, uneven)
    assert len(segments) == 10
    for before, after in pairwise(segments):
        assert after.started_us == before.ended_us
        assert after.continues
    for segment in segments:
        durations = [duration for _, duration, _ in segment.pictures]
        # to the tick: a player that gets the earlier one later would take an overlap for a replacement
        assert media_ticks(segment.started_us) + sum(durations) == media_ticks(segment.ended_us)
        assert min(durations) >= 1499, "a picture that stands for an instant can't be stepped to"


def test_a_camera_whose_clock_runs_fast_is_followed(units: list[AccessUnit]) -> None:
    many = looped(units, 60)
    # 500 ppm: two minutes are 60 ms off, and would be more every hour
    times = [NOON_US + round(number * FRAME_US * 0.9995) for number in range(len(many))]
    segments = cut(many, times)
    assert all(segment.continues for segment in segments[1:])
    assert abs(segments[-1].ended_us - times[-1]) < 60_000


@pytest.mark.parametrize("step_s", [3600, -3600, 2, -2])
def test_a_server_clock_that_is_set_cuts_the_segment_and_says_by_how_much(units: list[AccessUnit], step_s: int) -> None:
    many = looped(units, 2)
    monotonic = [number * FRAME_US for number in range(len(many))]
    times = [NOON_US + at + (step_s * 1_000_000 if number >= 40 else 0) for number, at in enumerate(monotonic)]
    segments = cut(many, times, monotonic)
    assert sum(len(segment.pictures) for segment in segments) == len(many)
    stepped = [segment for segment in segments if segment.step_us]
    assert [round(segment.step_us / 1e6) for segment in stepped] == [step_s]
    assert stepped[0].started_us == times[40]
    assert not stepped[0].starts_with_key


def test_a_source_that_begins_anew_waits_for_its_first_key_picture(units: list[AccessUnit]) -> None:
    again = [AccessUnit(unit.nals, unit.timestamp + 50_000_000, unit.key) for unit in units[10:]]
    segments = cut(units[:10] + again, steady(10) + steady(len(again), NOON_US + 10_000_000))
    assert [len(segment.pictures) for segment in segments] == [10, 30]
    assert not segments[1].continues
    assert segments[1].starts_with_key


def test_other_parameter_sets_begin_a_segment_of_their_own(units: list[AccessUnit], small_units: list[AccessUnit]) -> None:
    small = small_units
    other = [AccessUnit(unit.nals, number * 3000, unit.key) for number, unit in enumerate(units[:15] + small)]
    segments = cut(other, steady(len(other)), target_s=100.0, longest_s=200.0)
    assert [(segment.init.width_px, len(segment.pictures)) for segment in segments] == [(640, 15), (320, 30)]


def test_a_stream_without_key_pictures_is_cut_all_the_same(units: list[AccessUnit]) -> None:
    endless = [AccessUnit(units[0].nals, 0, True)] + [AccessUnit(units[1].nals, number * 3000, False) for number in range(1, 100)]
    segments = cut(endless, steady(100), longest_s=1.0)
    assert max(len(segment.pictures) for segment in segments) == 30
    assert [segment.starts_with_key for segment in segments] == [True, False, False, False]
    assert all(segment.continues for segment in segments[1:])


@given(st.binary(max_size=400))
def test_any_bytes_are_a_segment_or_refused(data: bytes) -> None:
    try:
        read_segment(data)
    except MalformedMp4:
        return


@given(position=st.integers(0, 3000), value=st.integers(0, 255))
def test_a_damaged_segment_is_read_or_refused(units: list[AccessUnit], position: int, value: int) -> None:
    data = bytearray(cut(units[:3], steady(3))[0].to_bytes())
    data[position % len(data)] = value
    try:
        for sample in read_segment(bytes(data)).samples:
            sample_nals(sample.data)
    except MalformedMp4:
        return
