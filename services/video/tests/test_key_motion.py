"""Key pictures compared in a process of their own: what an encoder hides in noise is found, and no more than fits waits."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

import av
import numpy as np
import pytest
import pytest_asyncio

from rtcc_chassis.clock import utc_now
from rtcc_chassis.scope import Scope
from rtcc_video.recording.segmenter import RawSegment, Segmenter, SegmentLimits
from rtcc_video.searching.domain import MotionMinute, seconds_of
from rtcc_video.searching.key_motion import COMPARED, KeyMotion
from rtcc_video.searching.key_motion_child import KeyPictures, blocks_of
from rtcc_video.searching.motion import Second
from rtcc_video.searching.motion_index import MotionIndex
from rtcc_video.searching.store import SearchStore

from .test_motion import code, measure, street

_BEGIN_US = 1_700_000_000_000_000


@pytest.fixture(scope="module")
def segments() -> list[RawSegment]:
    """44 s of noise that hides who walks by from second 30 to 36 from the size of pictures; cut as a recorder cuts it."""
    chance = np.random.default_rng(3)
    grain = chance.normal(0, 9, (480, 640))
    pictures = []
    for one in street(44, ((30, 36),)):
        y, x = chance.integers(240), chance.integers(320)
        pictures.append(np.clip(one + grain[y : y + 240, x : x + 320], 0, 255).astype(np.uint8))
    units = code(pictures, crf="26", preset="ultrafast")
    loud = [number for number, second in measure(units).items() if (second.score or 0) >= 48]
    assert not loud, "the noise doesn't hide him: this proves nothing"
    found: list[RawSegment] = []
    segmenter = Segmenter(SegmentLimits(), found.append)
    for unit in units:
        monotonic_us = unit.timestamp * 100 // 9
        segmenter.take(unit, _BEGIN_US + monotonic_us, monotonic_us)
    segmenter.finish()
    return found


class Told:
    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str, int], int] = {}
        self.motion = KeyMotion(self.put)

    def put(self, agency_id: str, camera_id: str, seconds: list[Second]) -> None:
        for second in seconds:
            key = (agency_id, camera_id, second.number - _BEGIN_US // 1_000_000)
            self.seconds[key] = max(self.seconds.get(key, 0), second.score or 0)


@pytest_asyncio.fixture
async def told() -> AsyncIterator[Told]:
    found = Told()
    yield found
    await found.motion.stop()


async def test_a_walker_in_heavy_noise_is_found_where_he_is(told: Told, segments: list[RawSegment]) -> None:
    for raw in segments:
        told.motion.offer("east", "c1", raw)
        await told.motion.work()
    loud = {second for (_, _, second), score in told.seconds.items() if score >= 48}
    assert loud & {31, 32, 33, 34}
    assert loud <= set(range(28, 38))


async def test_a_killed_process_is_started_again_and_a_damaged_picture_is_counted(told: Told, segments: list[RawSegment]) -> None:
    first, second, *_ = segments
    told.motion.offer("east", "c1", first)
    await told.motion.work()
    process = told.motion._child._process
    assert process is not None
    os.kill(process.pid, 9)
    await process.wait()
    failed = COMPARED.labels("failed")._value.get()
    told.motion.offer("east", "c1", second)
    await told.motion.work()
    assert COMPARED.labels("failed")._value.get() == failed
    status, _ = await told.motion._child.ask((7).to_bytes(8) + b"\1" + (40).to_bytes(4) + b"\0\0\1\x65" + bytes(36))
    assert status == 2


async def test_what_the_process_can_not_keep_up_with_gives_way_and_is_counted(told: Told, segments: list[RawSegment]) -> None:
    dropped = COMPARED.labels("dropped")._value.get()
    for number in range(300):
        told.motion.offer("east", f"c{number}", segments[0])
    assert len(told.motion._waiting) <= 200
    assert COMPARED.labels("dropped")._value.get() > dropped
    await asyncio.sleep(0)


def test_who_is_in_one_picture_alone_counts_and_light_that_changes_everywhere_does_not() -> None:
    still = np.random.default_rng(1).uniform(50, 200, (20, 30)).astype(np.float32)
    walker = still.copy()
    walker[5:9, 4:6] += 60
    camera = KeyPictures()
    values = [camera.take(one) for one in (still, still, walker, still, still + 30, still, still)]
    assert values[:2] == [None, None]
    quiet, loud = values[2], values[3]
    assert quiet is not None
    assert loud is not None
    assert loud > quiet + 3
    for value in values[4:]:
        assert value is not None
        assert abs(value - quiet) < 0.1
    # another size begins anew
    assert camera.take(still[:10]) is None


def test_means_of_blocks_are_those_of_the_picture() -> None:
    picture = np.zeros((240, 320), np.uint8)
    picture[32:48, 64:80] = 200
    blocks = blocks_of(code([picture] * 2, crf="10")[0].annex_b())
    assert blocks.shape == (15, 20)
    # limited range: 16 to 235
    assert blocks[2, 4] > 170
    assert np.delete(blocks.ravel(), 2 * 20 + 4).max() < 30
    with pytest.raises((ValueError, av.error.FFmpegError)):
        blocks_of(os.urandom(100))


async def test_what_both_ways_tell_stands_in_one_index(segments: list[RawSegment]) -> None:
    class Kept:
        minutes: ClassVar[list[tuple[str, MotionMinute]]] = []

        async def put_motion(self, scope: Scope, minutes: Sequence[tuple[str, MotionMinute]]) -> None:
            self.minutes.extend(minutes)

        async def remove_orphans(self, scope: Scope, before: datetime) -> int:
            return 0

    index = MotionIndex(Kept(), utc_now, key_pictures=True)
    assert index._keys is not None
    try:
        for raw in segments:
            index.measure("east", "c1", raw)
            await index._keys.work()
        await index.write()
    finally:
        await index._keys.stop()
    known = dict(seconds_of([minute for _, minute in Kept.minutes]))
    walking = [second for second, value in known.items() if value > 48]
    assert walking
    assert all(28 <= second - _BEGIN_US // 1_000_000 < 38 for second in walking)
    # quiet seconds are told as such: by the coded pictures
    assert len(known) > 20


def test_a_mistake_in_measuring_costs_no_recording(segments: list[RawSegment], caplog: pytest.LogCaptureFixture) -> None:
    index = MotionIndex(SearchStore(None), utc_now)  # type: ignore[arg-type] # nothing is written here
    index.measure("east", "c1", replace(segments[0], pictures=((), *segments[0].pictures)))  # type: ignore[arg-type] # the mistake
    assert "isn't measured" in caplog.text
