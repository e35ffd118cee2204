"""Whose sound may be asked for: nobody's, unless installation, agency and camera allow it; and what follows when one of them changes."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.registry.v1.registry_pb2 import Agency, Camera
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.settings import InvalidSetting
from rtcc_chassis.testing import SOAK, poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_video.domain import StreamAddresses
from rtcc_video.engine.sound import SoundPacket
from rtcc_video.feeds import Feeds
from rtcc_video.settings import VideoSettings
from rtcc_video.sound_policy import SoundPolicy

from .center import OPERATOR, Center

PACKET = bytes((31 << 3,)) + b"sound"


class _Agencies(dict[str, Agency]):
    """The directory's agencies."""


class _Ear:
    def __init__(self) -> None:
        self.heard = self.ended = 0

    def hear(self, packet: SoundPacket) -> None:
        self.heard += 1

    def end_sound(self) -> None:
        self.ended += 1


async def until(condition: Any, deadline_s: float = 40) -> None:
    async def ask() -> bool:
        return bool(condition())

    await poll(ask, deadline_s=deadline_s)


@given(*[st.booleans()] * 6)
def test_sound_needs_the_word_of_everybody(by_policy: bool, known: bool, on: bool, allowed: bool, in_use: bool, sound: bool) -> None:
    agencies = _Agencies(east=Agency(agency_id="east", enabled=on, sound_allowed=allowed)) if known else _Agencies()
    policy = SoundPolicy(agencies, by_policy=by_policy)
    camera = Camera(camera_id="c1", agency_id="east", enabled=in_use, sound=sound)
    assert policy.allows(camera) == all((by_policy, known, on, allowed, in_use, sound))


def test_nothing_is_allowed_by_leaving_it_out() -> None:
    assert not SoundPolicy(_Agencies(east=Agency(agency_id="east", enabled=True)), by_policy=True).allows(
        Camera(camera_id="c1", agency_id="east", enabled=True, sound=True)
    )
    assert not SoundPolicy(_Agencies(east=Agency(agency_id="east", enabled=True, sound_allowed=True)), by_policy=True).allows(
        Camera(camera_id="c1", agency_id="east", enabled=True)
    )


def test_the_installations_switch_is_one_of_two_words() -> None:
    assert VideoSettings().sound_by_policy()
    assert not VideoSettings(sound="off").sound_by_policy()
    with pytest.raises(InvalidSetting, match="RTCC_VIDEO_SOUND"):
        VideoSettings(sound="on").sound_by_policy()


async def test_a_change_of_mind_reaches_a_running_camera_and_its_pictures_go_on(make_clip: Any) -> None:
    async def read(agency_id: str, camera_id: str) -> StreamAddresses:
        return StreamAddresses(server.url("north"))

    def pictures_asked() -> int:
        return server.set_ups.count("trackID=0")

    agencies = _Agencies(east=Agency(agency_id="east", enabled=True))
    async with RtspServer({"north": make_clip(frames=30, gop=15)}, "viewer", "secret") as server:
        feeds = Feeds(VideoSettings(), read)
        feeds.sound_allowed = SoundPolicy(agencies, by_policy=True).allows
        feeds.apply("c1", Camera(camera_id="c1", agency_id="east", enabled=True, has_stream=True, sound=True))
        feed = feeds.get("c1")
        assert feed is not None
        sound = feed.stream.sound
        await until(lambda: feed.stream.frames_total > 3)
        assert not sound.allowed and sound.open() is None and not feeds.measure({})[0].sound_allowed

        longest_s, last_s = 0.0, time.monotonic()

        def on_unit(unit: object) -> None:
            nonlocal longest_s, last_s
            longest_s, last_s = max(longest_s, time.monotonic() - last_s), time.monotonic()

        feed.stream.taps.append(on_unit)
        sessions = pictures_asked()
        agencies["east"].sound_allowed = True
        feeds.follow_sound("west")
        assert not sound.allowed
        feeds.follow_sound("east")
        assert sound.allowed and feeds.measure({})[0].sound_allowed
        # a session that asks for the sound too; the one without goes on until it has a picture
        await until(lambda: pictures_asked() == sessions + 1 and server.connections == 1)
        intake, ear = sound.open(), _Ear()
        assert intake is not None and sound.attach(ear)
        intake.give(PACKET, 0)
        assert ear.heard == 1 and feeds.sound_listeners() == 1

        agencies["east"].sound_allowed = False
        feeds.follow_sound("east")
        intake.give(PACKET, 960)
        assert (ear.heard, ear.ended, feeds.sound_listeners()) == (1, 1, 0)
        await until(lambda: pictures_asked() == sessions + 2 and server.connections == 1)
        seen = feed.stream.frames_total
        await until(lambda: feed.stream.frames_total > seen + 20)
        assert not SOAK or longest_s < 3
        # the camera's own registration counts as much
        agencies["east"].sound_allowed = True
        feeds.apply("c1", Camera(camera_id="c1", agency_id="east", enabled=True, has_stream=True))
        assert not sound.allowed
        await feeds.stop()


async def test_the_directory_decides_within_five_seconds_and_says_so_in_the_cameras_health(center: Center) -> None:
    async def told(allowed: bool) -> None:
        await center.until(
            OPERATOR,
            "ListCameraHealth",
            pb.ListCameraHealthRequest(),
            lambda answer: {health.camera_id: health.sound_allowed for health in answer.cameras}.get("c1") == allowed,
            deadline_s=5 if SOAK else 30,
        )

    await told(False)
    await center.allow_sound()
    await told(True)
    await center.allow_sound(agency=False)
    await told(False)
    await center.allow_sound()
    await told(True)
    await center.allow_sound(camera=False)
    await told(False)
