"""Sound of cameras whose agency allows it: each codec over RTSP, what a converter may do, and what damaged or hostile sound can't."""

import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rtcc.registry.v1.registry_pb2 import CAMERA_PULL_ALWAYS, Camera
from rtcc_chassis.testing import SOAK, poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import TONE_HZ, Sound, SoundCodec, make_sound
from rtcc_video.domain import CameraHealth, StreamAddresses
from rtcc_video.feed import Feed
from rtcc_video.feeds import Feeds
from rtcc_video.settings import VideoSettings

from .ears import listening, tone_of
from .test_sound import all_left

CODECS: list[SoundCodec] = ["PCMU", "PCMA", "OPUS", "AAC"]


@asynccontextmanager
async def listened(urls: dict[str, str], **settings: Any) -> AsyncIterator[tuple[Feeds, dict[str, Feed]]]:
    """Feeds whose sound is allowed."""

    async def read(agency_id: str, camera_id: str) -> StreamAddresses:
        return StreamAddresses(urls[camera_id])

    feeds = Feeds(VideoSettings(**settings), read)
    feeds.sound_allowed = lambda camera: True
    found: dict[str, Feed] = {}
    for camera_id in urls:
        feeds.apply(camera_id, Camera(camera_id=camera_id, agency_id="east", enabled=True, has_stream=True, pull=CAMERA_PULL_ALWAYS))
        feed = feeds.get(camera_id)
        assert feed is not None
        found[camera_id] = feed
    try:
        yield feeds, found
    finally:
        await feeds.stop()


def health_of(feeds: Feeds, camera_id: str) -> CameraHealth:
    return next(health for health in feeds.measure({}) if health.camera_id == camera_id)


async def until(condition: Callable[[], Any], deadline_s: float = 30) -> None:
    async def ask() -> bool:
        return bool(condition())

    await poll(ask, deadline_s=deadline_s)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_each_codecs_tone_is_heard_as_opus_and_what_nobody_hears_isnt_converted(transport: str, make_clip: Any) -> None:
    clip = make_clip(frames=30, gop=15)
    sounds = {codec.lower(): make_sound(codec, TONE_HZ + 100 * number) for number, codec in enumerate(CODECS)}
    async with RtspServer(dict.fromkeys(sounds, clip), "viewer", "secret", sounds=sounds, transports=(transport,)) as server:
        async with listened({name: server.url(name) for name in sounds}) as (_, feeds):
            await until(lambda: all(feed.sound_report.codec for feed in feeds.values()))
            assert {name: feed.sound_report.codec.lower() for name, feed in feeds.items()} == {name: name for name in sounds}
            # nobody hears them: only what needs no converter comes in
            await until(lambda: feeds["opus"].stream.sound.packets_total > 10)
            assert not any(feeds[name].stream.sound.packets_total for name in ("pcmu", "pcma", "aac"))
            ears = {name: listening(feed.stream.sound) for name, feed in feeds.items()}
            for one in ears.values():
                await one.until(60)
            for number, name in enumerate(sounds):
                found_hz, share = await tone_of(ears[name].heard)
                assert abs(found_hz - TONE_HZ - 100 * number) < 5, name
                assert share > 0.9, name
                # nothing lost, nothing made up
                assert set(ears[name].steps) == {960}, name
            assert not any(feed.sound_report.reason for feed in feeds.values())
        await all_left(server)
        assert sorted(server.set_ups[-8:]) == ["trackID=0"] * 4 + ["trackID=1"] * 4


def children(feeds: Feeds) -> list[int]:
    """Process ids of the converters, the shared one first."""
    found = sorted(feeds._sound_converters._children, key=lambda child: not child.shared)
    return [child._process.get_pid() for child in found if child._process is not None and child._ready]


async def test_converters_end_when_nobody_hears_and_come_back_when_killed(make_clip: Any) -> None:
    sounds = {"one": make_sound("PCMU"), "two": make_sound("PCMA"), "three": make_sound("AAC")}
    async with (
        RtspServer(dict.fromkeys(sounds, make_clip(frames=30, gop=15)), "viewer", "secret", sounds=sounds) as server,
        listened({name: server.url(name) for name in sounds}) as (feeds, found),
    ):
        ears = {name: listening(feed.stream.sound) for name, feed in found.items()}
        for one in ears.values():
            await one.until(10)
        # all G.711 in one, AAC by itself
        assert len(children(feeds)) == 2
        await until(lambda: all(health.sound_cores > 0 for health in feeds.measure({})))
        pictures = {name: feed.stream.frames_total for name, feed in found.items()}
        for process_id in children(feeds):
            os.kill(process_id, signal.SIGKILL)
        await until(lambda: any(health.sound_reason for health in feeds.measure({})))
        seen = {name: len(one.heard) for name, one in ears.items()}
        began_s = time.monotonic()
        for name, one in ears.items():
            await one.until(seen[name] + 20)
        assert not any(health.sound_reason for health in feeds.measure({}))
        rates = [(feed.stream.frames_total - pictures[name]) / (time.monotonic() - began_s) for name, feed in found.items()]
        assert not SOAK or all(rate > 20 for rate in rates), "pictures suffered"
        await until(lambda: all(feed.stream.frames_total > pictures[name] + 20 for name, feed in found.items()))
        for name, one in ears.items():
            found[name].stream.sound.detach(one)
        await until(lambda: not feeds._sound_converters._children)
        assert not any(health.sound_cores or health.sound_reason for health in feeds.measure({}))


async def test_what_a_camera_refuses_it_isnt_pressed_for_and_its_pictures_go_on(make_clip: Any) -> None:
    clip, sounds = make_clip(frames=30, gop=15), {"north": make_sound("PCMU")}
    async with (
        RtspServer({"north": clip}, "viewer", "secret", sounds=sounds, refuse_sound=461) as server,
        listened({"north": server.url("north")}) as (feeds, found),
    ):
        await until(lambda: found["north"].stream.frames_total > 20)
        (health,) = feeds.measure({})
        assert "refuses to send its sound" in health.sound_reason
        assert server.set_ups == ["trackID=0", "trackID=1"]
    async with (
        RtspServer({"north": clip}, "viewer", "secret", sounds=sounds, refuse_sound=-1) as server,
        listened({"north": server.url("north")}) as (feeds, found),
    ):
        # it breaks off; the next session leaves the sound out
        await until(lambda: found["north"].stream.frames_total > 20)
        (health,) = feeds.measure({})
        assert "broke off" in health.sound_reason
        assert server.set_ups == ["trackID=0", "trackID=1", "trackID=0"]
    async with (
        RtspServer({"north": clip}, "viewer", "secret") as server,
        listened({"north": server.url("north")}) as (feeds, found),
    ):
        await until(lambda: found["north"].stream.frames_total > 20)
        (health,) = feeds.measure({})
        assert "offers no sound" in health.sound_reason


async def test_sound_that_cant_be_decoded_costs_no_picture_and_says_so(make_clip: Any) -> None:
    noise, good = random.Random(4), make_sound("AAC")
    payloads = tuple(payload[:4] + noise.randbytes(len(payload) - 4) for payload in good.payloads)
    sounds = {"noise": Sound("AAC", good.clock_hz, good.samples, payloads, good.config), "good": good}
    async with (
        RtspServer(dict.fromkeys(sounds, make_clip(frames=30, gop=15)), "viewer", "secret", sounds=sounds) as server,
        listened({name: server.url(name) for name in sounds}, sound_converter_limit=2) as (feeds, found),
    ):
        ears = {name: listening(feed.stream.sound) for name, feed in found.items()}
        await ears["good"].until(60)
        await until(lambda: any("can't be decoded" in health.sound_reason for health in feeds.measure({})))
        pictures, began_s = found["noise"].stream.frames_total, time.monotonic()
        await until(lambda: found["noise"].stream.frames_total > pictures + 30)
        assert not SOAK or time.monotonic() - began_s < 1.5
        found_hz, share = await tone_of(ears["good"].heard)
        assert abs(found_hz - TONE_HZ) < 5
        assert share > 0.9


async def test_more_than_the_converters_take_is_told_and_a_freed_one_is_taken(make_clip: Any) -> None:
    sounds = {"one": make_sound("PCMU"), "more": make_sound("PCMA"), "two": make_sound("AAC")}
    async with (
        RtspServer(dict.fromkeys(sounds, make_clip(frames=30, gop=15)), "viewer", "secret", sounds=sounds) as server,
        listened({name: server.url(name) for name in sounds}, sound_converter_limit=1) as (feeds, found),
    ):
        first = {name: listening(found[name].stream.sound) for name in ("one", "more")}
        for one in first.values():
            await one.until(5)
        second = listening(found["two"].stream.sound)
        await until(lambda: "All 1 converters of sound" in health_of(feeds, "two").sound_reason)
        assert not second.heard
        for name, one in first.items():
            found[name].stream.sound.detach(one)
        await second.until(5)
        assert not health_of(feeds, "two").sound_reason


async def test_taken_back_it_ends_at_once_and_the_camera_is_asked_no_more(make_clip: Any) -> None:
    async with (
        RtspServer({"north": make_clip(frames=30, gop=15)}, "viewer", "secret", sounds={"north": make_sound("PCMU")}) as server,
        listened({"north": server.url("north")}) as (feeds, found),
    ):
        sound = found["north"].stream.sound
        ears = listening(sound)
        await ears.until(5)
        feeds.sound_allowed = lambda camera: False
        feeds.follow_sound("east")
        heard = len(ears.heard)
        assert ears.ended == 1 and not sound.listeners
        server.set_ups.clear()
        await until(lambda: server.set_ups == ["trackID=0"] and server.connections == 1)
        before = server.sound_packets
        await until(lambda: not feeds._sound_converters._children)
        assert (len(ears.heard), server.sound_packets) == (heard, before)
        assert health_of(feeds, "north").sound_reason == ""
