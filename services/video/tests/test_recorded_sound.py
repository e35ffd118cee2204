"""Sound beside recorded pictures: written so that others read it, cut along them, and nowhere unless it is to be kept."""

import asyncio
import hashlib
import io
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import NotFound
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform, poll
from rtcc_video.engine.h264 import AccessUnit, parse_sps
from rtcc_video.engine.opus import CLOCK_HZ
from rtcc_video.engine.sound import SoundPacket
from rtcc_video.engine.stream import LiveStream, StreamLimits
from rtcc_video.recording.domain import Deletion, Mode, RecordingPolicy, Segment, proves
from rtcc_video.recording.fmp4 import MalformedMp4, make_init, write_segment
from rtcc_video.recording.recorder import CameraRecorder, Clocks
from rtcc_video.recording.retention import Retention
from rtcc_video.recording.segmenter import RawSegment, SegmentLimits
from rtcc_video.recording.sound import SegmentSound, SoundCutter, sound_ticks
from rtcc_video.recording.sound_fmp4 import init_with_sound, read_sound, sound_init, write_sound

from .recording_bench import EAST, Bench, Camera, recording_bench
from .sounds import PACKET_SAMPLES, heard, loudest_hz, tone

NOON_US = 1_795_000_000_000_000
NOON_TICKS = sound_ticks(NOON_US)
PACKET_US = 20_000
VIDEO = Scope.service("video", "east")


def test_pictures_are_written_as_before_there_was_sound() -> None:
    """These hashes were taken from what the writer made that knew no sound."""
    sps, pps = bytes.fromhex("6742c01edd80a03da1000003000100000300308f162e48"), bytes.fromhex("68ce3c80")
    init = make_init(sps, (pps,), parse_sps(sps))
    assert init.init_id == "d8c773318d6804b6ba92131687364245fad9d8ae8858afeacc2113ea5ac15cf1"
    key = ((sps, pps, bytes([0x65, *range(200)])), 3000, True)
    others = [((bytes([0x41] + [n] * n),), 3000 + n, False) for n in range(1, 30)]
    segment = write_segment(7, 161_550_000_000_000, [key, *others])
    assert hashlib.sha256(segment).hexdigest() == "079134ab12f8c9b91efd4bc89eb87e09ccda117efacbc79b8fe45a423ad45565"


def test_another_reader_hears_what_was_written_at_the_servers_time() -> None:
    packets = [(payload, PACKET_SAMPLES) for payload in tone(1000, 2)]
    written = write_sound(1, NOON_TICKS, packets[:50]) + write_sound(2, NOON_TICKS + 50 * PACKET_SAMPLES, packets[50:])
    with av.open(io.BytesIO(sound_init() + written)) as container:
        stream = container.streams.audio[0]
        found = [packet for packet in container.demux(stream) if packet.size]
        assert (stream.codec_context.name, stream.sample_rate, stream.channels) == ("opus", CLOCK_HZ, 2)
        assert [bytes(packet) for packet in found] == [payload for payload, _ in packets]
        assert [packet.pts - found[0].pts for packet in found] == [number * PACKET_SAMPLES for number in range(len(packets))]
        assert abs(float(found[0].pts * stream.time_base) - NOON_US / 1e6) < 0.001
        wave = heard(frame for packet in found for frame in packet.decode())
    # nothing was cut away for a pre-skip
    assert len(wave) == len(packets) * PACKET_SAMPLES
    assert abs(loudest_hz(wave[CLOCK_HZ // 2 :]) - 1000) < 5
    assert read_sound(write_sound(1, NOON_TICKS, packets)).packets == packets


def test_joined_with_its_pictures_it_is_one_file_of_two_tracks(units: list[AccessUnit]) -> None:
    raws: list[RawSegment] = []
    recorder = _recorder(raws)
    _play(recorder, units, tone(440, 2))
    recorder.end_of_stream()
    assert len(raws) == 2 and all(raw.sound is not None for raw in raws)
    joined = init_with_sound(raws[0].init) + b"".join(raw.to_bytes() + raw.sound_bytes() for raw in raws)
    with av.open(io.BytesIO(joined)) as container:
        pictures = [frame for packet in container.demux(video=0) for frame in packet.decode()]
    with av.open(io.BytesIO(joined)) as container:
        wave = heard(frame for packet in container.demux(audio=0) for frame in packet.decode())
        starts = [float(stream.start_time * stream.time_base) for stream in (container.streams.video[0], container.streams.audio[0])]
    assert len(pictures) == len(units)
    assert abs(loudest_hz(wave[CLOCK_HZ // 2 :]) - 440) < 5
    # both on the server's clock
    assert abs(starts[0] - starts[1]) < 0.02


class _Heard(CameraRecorder):
    """One that keeps what it would give to the spool; its clocks are set by hand."""

    def __init__(self, raws: list[RawSegment], mode: Mode) -> None:
        self.now_us = NOON_US
        clocks = Clocks(lambda: self.now_us, lambda: self.now_us - NOON_US)
        stream = LiveStream(StreamLimits(), time.monotonic)
        super().__init__(
            "c1", "east", stream, SegmentLimits(target_s=0.9), clocks, lambda _, raw: raws.append(raw), lambda gap: None, lambda: ""
        )
        self.stream.sound.allow(True)
        self.asked = RecordingPolicy("", mode, 86_400, pre_roll_s=10, keep_sound=True)
        self.follow(self.asked)

    def end_of_stream(self) -> None:
        self._segmenter.finish()


def _recorder(raws: list[RawSegment], mode: Mode = Mode.CONTINUOUS) -> _Heard:
    return _Heard(raws, mode)


def _play(recorder: _Heard, units: list[AccessUnit], packets: list[bytes]) -> None:
    """Both through the stream, in the order of their times."""
    start_us = recorder.now_us
    intake = recorder.stream.sound.open()
    assert intake is not None
    moments: list[tuple[int, AccessUnit | bytes]] = [(number * 33_333, unit) for number, unit in enumerate(units)]
    moments += [(number * PACKET_US, payload) for number, payload in enumerate(packets)]
    for number, (at_us, one) in enumerate(sorted(moments, key=lambda moment: moment[0])):
        recorder.now_us = start_us + at_us
        if isinstance(one, AccessUnit):
            recorder.take(replace(one, timestamp=at_us * 9 // 100))
        else:
            intake.give(one, at_us * CLOCK_HZ // 1_000_000)
        assert recorder.hears_sound, number


def test_what_comes_before_an_event_has_its_sound_too(units: list[AccessUnit]) -> None:
    raws: list[RawSegment] = []
    recorder = _recorder(raws, Mode.ON_EVENT)
    _play(recorder, units, tone(440, 2))
    recorder.end_of_stream()
    assert not raws
    recorder.wanted()
    assert [raw.sound is not None for raw in raws] == [True, True]
    assert sum(len(raw.sound.packets) for raw in raws if raw.sound) >= 95


def test_what_is_forbidden_or_no_more_to_be_kept_is_forgotten_in_memory_too(units: list[AccessUnit]) -> None:
    for end in (lambda one: one.stream.sound.allow(False), lambda one: one.follow(replace(one.asked, keep_sound=False))):
        raws: list[RawSegment] = []
        recorder = _recorder(raws, Mode.ON_EVENT)
        _play(recorder, units, tone(440, 2))
        end(recorder)
        assert not recorder.stream.sound.listeners and not recorder.hears_sound
        recorder.end_of_stream()
        recorder.wanted()
        assert len(raws) == 2 and not any(raw.sound for raw in raws)


def _packets(count: int, first: int = 0) -> list[SoundPacket]:
    return [
        SoundPacket(bytes((31 << 3,)) + number.to_bytes(4, "big"), number * PACKET_SAMPLES, PACKET_SAMPLES, number, number == 0)
        for number in range(first, first + count)
    ]


def _numbers(sound: SegmentSound | None) -> list[int]:
    return [int.from_bytes(payload[1:], "big") for payload, _ in sound.packets] if sound is not None else []


def test_a_packet_belongs_to_the_segment_in_which_it_begins_and_late_ones_to_the_next() -> None:
    cutter = SoundCutter()
    packets = _packets(100)
    for packet in packets[:55]:
        cutter.hear(packet, NOON_US + packet.sequence * PACKET_US)
    assert _numbers(cutter.cut(NOON_US, NOON_US + 1_000_000)) == list(range(50))
    # the cut came before what was said before it
    assert _numbers(cutter.cut(NOON_US + 1_000_000, NOON_US + 2_000_000)) == list(range(50, 55))
    for packet in packets[55:]:
        cutter.hear(packet, NOON_US + packet.sequence * PACKET_US)
    assert _numbers(cutter.cut(NOON_US + 2_000_000, NOON_US + 3_000_000)) == list(range(55, 100))


def test_bursts_are_smoothed_and_a_microphone_whose_clock_is_off_is_followed() -> None:
    cutter, found = SoundCutter(), []
    # 300 ppm slow, and four packets at a time
    for number in range(6000):
        burst_us = round((number - number % 4 + 4) * PACKET_US * 1.0003)
        cutter.hear(_packets(1, number)[0], NOON_US + burst_us)
        if number % 200 == 199:
            found.append(cutter.cut(NOON_US, NOON_US + burst_us))
    sounds = [one for one in found if one is not None]
    assert sum(len(one.packets) for one in sounds) >= 5990
    apart_us = []
    for before, after in pairwise(sounds):
        reached_us = before.started_us + sum(time for _, time in before.packets) * 1_000_000 // CLOCK_HZ
        apart_us.append(after.started_us - reached_us)
    # the first packet of all came 60 ms late, which the first cut puts right; nobody hears the others
    assert -61_000 < apart_us[0] < -55_000 and max(map(abs, apart_us[1:])) <= 5_100
    # by the quickest of each burst: the fourth, which comes 20 ms after it begins
    wanted_us = NOON_US + round((29 * 200 + 1) * PACKET_US * 1.0003)
    assert abs(sounds[29].started_us - wanted_us) < 5_000


@pytest.mark.parametrize("step_s", [3600, -3600, 3, -3])
def test_a_servers_clock_that_is_set_takes_the_sound_along(step_s: int) -> None:
    cutter = SoundCutter()
    for packet in _packets(100):
        stepped_us = step_s * 1_000_000 if packet.sequence >= 50 else 0
        cutter.hear(packet, NOON_US + packet.sequence * PACKET_US + stepped_us)
    assert _numbers(cutter.cut(NOON_US, NOON_US + 1_000_000)) == list(range(50))
    start_us = NOON_US + (50 * 20_000) + step_s * 1_000_000
    assert _numbers(cutter.cut(start_us, start_us + 1_000_000)) == list(range(50, 100))


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(-4_000_000, 4_000_000)), max_size=120))
def test_whatever_comes_memory_is_bounded_and_nothing_is_given_out_twice(told: list[tuple[int, int]]) -> None:
    cutter, given_out = SoundCutter(), []
    at_us = NOON_US
    for number, (size, step_us) in enumerate(told):
        at_us += step_us
        packet = SoundPacket(number.to_bytes(5, "big") * (1 + size // 2), number * PACKET_SAMPLES, PACKET_SAMPLES, number, step_us < 0)
        cutter.hear(packet, at_us)
        assert cutter.pending_bytes <= 1_500_000
        if size % 5 == 0 and (sound := cutter.cut(at_us - 2_000_000, at_us + 10_000)) is not None:
            given_out += [payload[:5] for payload, _ in sound.packets]
            assert min(duration for _, duration in read_sound(sound.to_bytes(1)).packets) >= 1
    assert len(set(given_out)) == len(given_out)


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 255))
def test_any_bytes_are_sound_or_refused(data: bytes, position: int, value: int) -> None:
    damaged = bytearray(write_sound(1, NOON_TICKS, [(b"\xf8abc", 960), (b"\xf8de", 960)]))
    damaged[position % len(damaged)] = value
    for one in (data, bytes(damaged)):
        try:
            read_sound(one)
        except MalformedMp4:
            continue


class _Singing(Camera):
    """One that whistles at 880 Hz while it plays."""

    async def _play(self) -> None:
        song = asyncio.create_task(self._sing())
        try:
            await super()._play()
        finally:
            song.cancel()

    async def _sing(self) -> None:
        packets, began, intake = tone(880, 2), time.monotonic(), None
        for number in range(1_000_000):
            intake = (intake or self.stream.sound.open()) if self.stream.sound.allowed else None
            if intake is not None:
                intake.give(packets[number % len(packets)], number * PACKET_SAMPLES)
            await asyncio.sleep(max(0.0, began + number * 0.02 - time.monotonic()))


@pytest_asyncio.fixture
async def bench(small_platform: TestPlatform, units: list[AccessUnit], tmp_path: Path) -> AsyncIterator[Bench]:
    async with recording_bench(small_platform, _Singing(units), tmp_path / "spool") as made:
        yield made


async def _sound_of(bench: Bench, segment: Segment) -> bytes:
    data = await bench.context.objects.get(VIDEO, "east", segment.sound_key)
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (segment.sound_sha256, segment.sound_bytes)
    return data


async def _keep_sound(bench: Bench, run: Any, keep: bool) -> None:
    policy = RecordingPolicy("", Mode.CONTINUOUS, 86_400, changed_at=utc_now(), changed_by="chief", keep_sound=keep)
    await bench.store.put_policy(EAST, policy)
    run.recording.refresh()


async def test_sound_is_kept_only_where_policy_and_agency_both_say_so(bench: Bench) -> None:
    run = bench.begin()
    bench.camera.stream.sound.allow(True)
    await bench.until(lambda found: len(found) >= 1)
    # allowed, but the policy keeps none: nobody hears it
    assert not bench.camera.stream.sound.wanted
    bench.camera.stream.sound.allow(False)
    await _keep_sound(bench, run, keep=True)
    silent = len(await bench.segments())
    await bench.until(lambda found: len(found) >= silent + 2)
    assert not any(one.sound_sha256 for one in await bench.segments())
    assert [hears for _, _, hears in run.recording.states().values()] == [False]
    bench.camera.stream.sound.allow(True)
    found = await bench.until(lambda found: sum(bool(one.sound_sha256) for one in found) >= 3)
    assert [hears for _, _, hears in run.recording.states().values()] == [True]
    first = next(number for number, one in enumerate(found) if one.sound_sha256)
    whole = sound_init() + b"".join([await _sound_of(bench, one) for one in found[first : first + 3]])
    with av.open(io.BytesIO(whole)) as container:
        wave = heard(frame for packet in container.demux(audio=0) for frame in packet.decode())
    assert abs(loudest_hz(wave[len(wave) // 2 :]) - 880) < 5
    # beside its pictures on the server's clock
    sound = read_sound(await _sound_of(bench, found[first + 1]))
    assert abs(sound.decode_time / CLOCK_HZ - found[first + 1].started_at.timestamp()) < 0.2
    bench.camera.stream.sound.allow(False)
    count = len(found)
    later = await bench.until(lambda found: len(found) >= count + 2)
    assert not later[-1].sound_sha256
    assert not any("sound" in key for key in run.objects.puts if key in {one.object_key for one in later})
    assert sorted(key for key in run.objects.puts if "sound" in key) == sorted(one.sound_key for one in later if one.sound_sha256)


async def test_sound_goes_through_spool_and_restart_and_is_deleted_with_its_pictures(bench: Bench) -> None:
    run = bench.begin(cut=True)
    bench.camera.stream.sound.allow(True)
    await _keep_sound(bench, run, keep=True)
    await poll(lambda: _counts(bench, 3), deadline_s=30)
    await run.kill()
    waiting = sorted(bench.folder.glob("*.segment"))
    # one whose sound was changed on the disk is set aside, not stored
    damaged = bytearray(waiting[-1].read_bytes())
    damaged[-1] ^= 1
    waiting[-1].write_bytes(bytes(damaged))
    again = bench.begin()
    found = await bench.until(lambda found: len(found) >= len(waiting))
    assert len(list(bench.folder.glob("*.broken"))) == 1
    sounding = [one for one in found if one.sound_sha256]
    assert len(sounding) >= 2
    copy = await _sound_of(bench, sounding[0])
    totals = (await bench.store.totals(VIDEO))["c1"]
    await again.kill()
    stored = await bench.segments()
    assert totals[3] <= sum(one.size_bytes + one.sound_bytes for one in stored)
    later = utc_now() + timedelta(days=2)
    retention = Retention(bench.store, bench.context.objects, bench.context.access, lambda: later, lambda *_: True, lambda: None)
    while await retention.delete_due("east"):
        continue
    assert not await bench.segments()
    proofs: list[Deletion] = await bench.store.deletions(VIDEO, 50)
    assert any(proves(proof, hashlib.sha256(copy).hexdigest()) for proof in proofs)
    assert sum(proof.sounds for proof in proofs) == sum(bool(one.sound_sha256) for one in stored)
    assert sum(proof.size_bytes for proof in proofs) == sum(one.size_bytes + one.sound_bytes for one in stored)
    for key in [key for one in stored for key in one.object_keys]:
        with pytest.raises(NotFound):
            await bench.context.objects.get(VIDEO, "east", key)


async def _counts(bench: Bench, least: int) -> bool:
    return len(list(bench.folder.glob("*.segment"))) >= least
