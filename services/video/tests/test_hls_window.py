"""The newest seconds as parts and segments: nothing lost, numbers that only rise, bounds that hold, playlists as RFC 8216bis wants them."""

import asyncio
import io
import itertools
import re
from itertools import pairwise

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc_chassis.errors import InvalidInput
from rtcc_video.engine.frames import Frame
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.stream import LiveStream, StreamLimits
from rtcc_video.hls.limits import WindowLimits
from rtcc_video.hls.packager import Packager
from rtcc_video.hls.playlist import Wanted, part_target_s, playlist, read_media_id, segment_bytes
from rtcc_video.hls.window import TARGET_S, LiveSegment, Part, Window
from rtcc_video.recording.fmp4 import TIMESCALE, Sample, read_segment, sample_nals

NOON_US = 1_795_000_000_000_000


class Watched:
    """A window with all that ever went through it."""

    def __init__(self, **limits: int) -> None:
        self.window = Window(WindowLimits(**limits))
        self.parts: list[Part] = []
        self.segments: dict[int, LiveSegment] = {}
        self.largest_bytes = 0

    def take(self, unit: AccessUnit, unix_us: int) -> None:
        before = self.window.next_part
        self.window.take(unit, unix_us)
        for number in range(before, self.window.next_part):
            part = self.window.part(number)
            assert part is not None
            self.parts.append(part)
        self.segments.update({segment.sequence: segment for segment in self.window.segments})
        self.largest_bytes = max(self.largest_bytes, self.window.size_bytes)

    @property
    def samples(self) -> list[Sample]:
        return [sample for part in self.parts for sample in read_segment(part.data).samples]


def steady(units: list[AccessUnit], times: int, ticks: int = 3000, **limits: int) -> Watched:
    watched = Watched(**limits)
    for number, unit in enumerate(units * times):
        watched.take(AccessUnit(unit.nals, number * ticks, unit.key), NOON_US + number * ticks * 1_000_000 // TIMESCALE)
    return watched


def test_a_steady_camera_is_cut_into_thirds_of_a_second_and_plays_in_another_reader(units: list[AccessUnit]) -> None:
    watched = steady(units, 3)
    window = watched.window
    assert {part.ticks for part in watched.parts} == {30_000}
    # key pictures come each second
    assert [part.independent for part in watched.parts] == [number % 3 == 0 for number in range(len(watched.parts))]
    assert all(segment.ticks == TIMESCALE and segment.starts_with_key for segment in window.segments if segment.complete)
    init = window.init
    assert init is not None
    data = init.data + b"".join(segment_bytes(segment) for segment in window.segments)
    with av.open(io.BytesIO(data)) as container:
        moments = [float(frame.pts * frame.time_base) for frame in container.decode(video=0) if frame.pts is not None]
    assert len(moments) == sum(len(read_segment(part.data).samples) for segment in window.segments for part in segment.parts)
    assert all(0.033 < after - before < 0.034 for before, after in pairwise(moments))


def test_what_comes_out_is_what_came(units: list[AccessUnit]) -> None:
    samples = steady(units, 2).samples
    assert len(samples) > 100
    for unit, sample in zip(units * 2, samples, strict=False):
        assert sample_nals(sample.data) == [nal for nal in unit.nals if nal[0] & 0x1F not in (7, 8)]
        assert sample.key == unit.key


def test_a_frames_packets_unpack_to_its_picture(units: list[AccessUnit]) -> None:
    for unit in units:
        whole, packed = (Frame.of(unit, 1, unit.timestamp, 7) for _ in range(2))
        assert packed.payloads
        assert tuple(whole.nals) == tuple(packed.nals) == unit.nals


def test_rare_key_pictures_still_give_parts_and_keep_one_in_the_window(units: list[AccessUnit]) -> None:
    once = [units[0], *(unit for unit in units if not unit.key)]
    watched = Watched()
    for number in range(30 * 11):
        unit = once[0] if number == 0 else once[1 + number % (len(once) - 1)]
        watched.take(AccessUnit(unit.nals, number * 3000, unit.key), NOON_US + number * 33_333)
    assert len(watched.parts) == 32
    assert watched.window.segments[0].sequence == 0, "a player can begin nowhere else"
    assert "#EXT-X-INDEPENDENT-SEGMENTS" not in playlist(watched.window)
    assert all(segment.ticks <= (TARGET_S + 0.5) * TIMESCALE for segment in watched.window.segments)


def test_another_size_gets_another_map_behind_a_discontinuity(units: list[AccessUnit], small_units: list[AccessUnit]) -> None:
    watched = Watched()
    for number, unit in enumerate(units + small_units + units):
        watched.take(AccessUnit(unit.nals, number * 3000, unit.key), NOON_US + number * 33_333)
    lines = playlist(watched.window).splitlines()
    maps = [line for line in lines if line.startswith("#EXT-X-MAP")]
    assert len(maps) == 3 and maps[0] == maps[2] != maps[1]
    assert lines.count("#EXT-X-DISCONTINUITY") == 2
    for at, line in enumerate(lines):
        if line == "#EXT-X-DISCONTINUITY":
            assert lines[at + 1].startswith("#EXT-X-MAP")


def test_a_source_that_begins_anew_continues_behind_a_discontinuity_with_the_time_of_day(units: list[AccessUnit]) -> None:
    watched = Watched()
    for number, unit in enumerate(units):
        watched.take(AccessUnit(unit.nals, number * 3000, unit.key), NOON_US + number * 33_333)
    # 5 s of silence, other time stamps, and no key picture at first
    for number, unit in enumerate([*units[20:], *units]):
        watched.take(AccessUnit(unit.nals, 77 + number * 3000, unit.key), NOON_US + 7_000_000 + number * 33_333)
    broken = [segment for segment in watched.window.segments if segment.discontinuity]
    assert len(broken) == 1
    # 10 pictures without a key picture are left out
    assert abs(broken[0].started_us - (NOON_US + 7_000_000 + 10 * 33_333)) < 1_000
    assert broken[0].parts[0].independent
    assert abs(broken[0].parts[0].start_ticks - (7 * TIMESCALE + 30_000)) < 100


def test_a_clock_that_jumps_moves_the_time_of_day_and_no_picture(units: list[AccessUnit]) -> None:
    watched = Watched()
    for number, unit in enumerate(units * 2):
        watched.take(AccessUnit(unit.nals, number * 3000, unit.key), NOON_US + number * 33_333 + (3_600_000_000 if number >= 60 else 0))
    starts = [segment.started_us for segment in watched.window.segments]
    assert starts[-1] - starts[0] > 3_600_000_000
    assert all(after.start_ticks == before.start_ticks + before.ticks for before, after in pairwise(watched.parts))


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[int, bool, int, int]]:
    """(step in ticks, key, size, which parameter sets) of each picture: usual ones, and what broken cameras send."""
    steps = st.one_of(st.integers(1500, 9000), st.integers(-400_000, 400_000), st.just(0), st.integers(20_000, 200_000))
    return draw(st.lists(st.tuples(steps, st.booleans(), st.integers(1, 3000), st.integers(0, 1)), min_size=1, max_size=150))


def test_whatever_pictures_come_nothing_is_lost_or_twice_and_the_bounds_hold(
    units: list[AccessUnit], small_units: list[AccessUnit]
) -> None:
    sets = [[nal for nal in some[0].nals if nal[0] & 0x1F in (7, 8)] for some in (units, small_units)]

    @settings(max_examples=60, deadline=None)
    @given(stream=streams())
    def holds(stream: list[tuple[int, bool, int, int]]) -> None:
        watched = Watched(part_bytes=10_000, segment_bytes=20_000, window_bytes=60_000)
        ticks, unix_us, expected = 0, NOON_US, []
        for number, (step, key, size, which) in enumerate(stream):
            ticks += step
            unix_us += max(0, step) * 1_000_000 // TIMESCALE
            slice_nal = bytes((0x65 if key else 0x41,)) + number.to_bytes(4, "big") + bytes(size)
            watched.take(AccessUnit((*(sets[which] if key else ()), slice_nal), ticks, key), unix_us)
            expected.append(slice_nal)
            check_playlist(watched.window)
        check_parts(watched, expected)
        # a segment over its bound holds one part alone, and a part over its bound ends with the picture that made it so
        assert watched.largest_bytes <= 60_000 + 20_000 + 2 * (10_000 + 3_100)

    holds()


def check_parts(watched: Watched, expected: list[bytes]) -> None:
    """Pictures in order, each once; numbers without holes; durations that add up; discontinuities where something is missing."""
    got = [nal for sample in watched.samples for nal in sample_nals(sample.data)]
    # what is missing came before a key picture, or stands in the part that isn't complete
    assert [nal for nal in expected if nal in set(got)] == got
    for before, after in pairwise(watched.parts):
        assert after.number == before.number + 1
        assert after.start_ticks >= before.start_ticks + before.ticks
    for part in watched.parts:
        fragment = read_segment(part.data)
        assert fragment.decode_time == part.start_ticks
        assert sum(sample.duration for sample in fragment.samples) == part.ticks
        assert part.independent == fragment.samples[0].key
    told = sorted(watched.segments)
    assert told == list(range(len(told)))
    for before, after in pairwise(watched.segments[number] for number in told):
        last = before.parts[-1]
        assert after.parts[0].number == last.number + 1
        if after.init.init_id != before.init.init_id or after.parts[0].start_ticks != last.start_ticks + last.ticks:
            assert after.discontinuity


def check_playlist(window: Window) -> None:
    """The rules of RFC 8216bis, 4.4, that a window can break."""
    text = playlist(window)
    target_s = part_target_s(window)
    durations = [float(found) for found in re.findall(r"#EXT-X-PART:DURATION=([0-9.]+)", text)]
    assert all(0 < duration <= target_s + 0.00001 for duration in durations)
    hold_back = re.search(r"PART-HOLD-BACK=([0-9.]+)", text)
    assert hold_back is not None and float(hold_back[1]) >= 2 * target_s
    assert all(round(float(found)) <= TARGET_S for found in re.findall(r"#EXTINF:([0-9.]+)", text))
    assert text.count("#EXTINF") == sum(segment.complete for segment in window.segments)
    assert len(window.segments) - text.count("#EXTINF") <= 1
    if window.init is not None:
        assert text.rstrip().endswith(f'media/p{window.next_part}-{window.init.init_id[:16]}"')
    named = re.findall(r'URI="media/(p[^"]+)"', text)
    assert len(named) == len(set(named))
    for name in (*named, *re.findall(r"^media/(.+)$", text, re.MULTILINE), *re.findall(r'MAP:URI="media/(.+)"', text)):
        asked = read_media_id(name)
        if asked.kind == "init":
            assert window.known_init(asked.init) is not None
        elif asked.kind == "segment":
            assert window.segment(asked.number) is not None
        elif asked.number != window.next_part:
            assert window.part(asked.number) is not None


def test_what_is_asked_for_is_there_may_come_soon_or_is_refused(units: list[AccessUnit]) -> None:
    window = steady(units, 3).window
    first, last, newest = window.segments[0].sequence, window.last_sequence, len(window.segments[-1].parts)

    @given(
        sequence=st.one_of(st.none(), st.integers(0, 2**64 - 1), st.integers(0, 12)),
        part=st.one_of(st.none(), st.integers(0, 2**32 - 1), st.integers(0, 20)),
    )
    def holds(sequence: int | None, part: int | None) -> None:
        wanted = Wanted(sequence, part)
        try:
            wanted.check(window)
        except InvalidInput:
            assert part is not None if sequence is None else sequence > last + 2 or (part is not None and part >= 9)
            return
        there = wanted.satisfied(window)
        if sequence is None or sequence < first:
            assert there
        elif sequence > last:
            assert not there
        elif sequence < last:
            assert there, "a part behind a segment's last one means the first of the next"
        else:
            assert there == (part is not None and part < newest)

    holds()


@given(text=st.one_of(st.text(max_size=60), st.from_regex(r"[isp][0-9a-f-]{0,40}", fullmatch=True)))
def test_a_name_is_read_or_refused(text: str) -> None:
    try:
        found = read_media_id(text)
    except InvalidInput:
        return
    assert found.kind in ("init", "segment", "part")
    assert found.number < 10**12


def test_nothing_can_be_named_by_digits_that_only_look_so() -> None:
    for text in ("s١٢", "s1\n", "p1-" + "0" * 15, "i" + "A" * 16, "s", "../s1"):
        with pytest.raises(InvalidInput):
            read_media_id(text)


def test_without_pictures_there_is_a_playlist_to_wait_for() -> None:
    window = Window(WindowLimits())
    assert not Wanted().satisfied(window)
    Wanted(0, 0).check(window)
    assert "EXTINF" not in playlist(window)


async def test_a_packager_begins_with_the_pictures_so_far_and_lets_the_stream_go(units: list[AccessUnit]) -> None:
    clock = itertools.count()
    stream = LiveStream(StreamLimits(group_s=1_000), lambda: float(next(clock)))
    for number, unit in enumerate(units[:55]):
        stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
    made: list[int] = []
    packager = Packager(stream, WindowLimits(), lambda: NOON_US, made.append)
    # 25 pictures since the key picture: two parts, of before now
    assert stream.watched and len(made) == 2 and min(made) > 1000
    assert "#EXT-X-PROGRAM-DATE-TIME:" + "2026-11-18T" in packager.text
    started_us = packager.window.segments[0].started_us
    assert started_us == NOON_US - 24 * 3000 * 1_000_000 // TIMESCALE
    waiting = asyncio.create_task(packager.until(lambda: packager.window.next_part > 2, 30))
    await asyncio.sleep(0)
    for number, unit in enumerate(units[55:60], start=55):
        stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
    assert not waiting.done()
    stream.publish(AccessUnit(units[0].nals, 60 * 3000, True))
    await waiting
    packager.stop()
    assert not stream.watched


async def test_time_stamps_that_wrap_go_on(units: list[AccessUnit]) -> None:
    stream = LiveStream(StreamLimits(), lambda: 0.0)
    packager = Packager(stream, WindowLimits(), lambda: NOON_US, lambda size: None)
    for number, unit in enumerate(units):
        packager.deliver(Frame.of(unit, number, 0xFFFFFFFF - 60_000 + number * 3000, stream.ssrc), stream)
    parts = [part for segment in packager.window.segments for part in segment.parts]
    assert len(parts) == 5 and {part.ticks for part in parts} == {30_000}
    assert not any(segment.discontinuity for segment in packager.window.segments)
