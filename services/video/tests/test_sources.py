"""Clips, stills, and a camera kept running: with real files, a real decoder process and a real RTSP server."""

import asyncio
import contextlib
import itertools
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.registry.v1.registry_pb2 import (
    CAMERA_PULL_ALWAYS,
    CAMERA_PULL_ON_DEMAND,
    CAMERA_STREAM_ROLE_ANALYTICS,
    CAMERA_STREAM_ROLE_LOW,
    Camera,
    CameraStream,
)
from rtcc_chassis.testing import SOAK, poll
from rtcc_demo.clip import load_clip
from rtcc_demo.rtsp_server import RtspServer
from rtcc_video.domain import CameraHealth, CameraState, Rate, StreamAddresses, retry_delay_s, state_of
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.stream import LiveStream, StreamLimits
from rtcc_video.feeds import Feeds
from rtcc_video.settings import VideoSettings
from rtcc_video.snapshots import NoPicture, Snapshots
from rtcc_video.sources.clip import ClipSource, find_clip
from rtcc_video.sources.source import SourceFailed


class Collected:
    def __init__(self) -> None:
        self.units: list[tuple[float, AccessUnit]] = []

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        pass

    def on_unit(self, unit: AccessUnit) -> None:
        self.units.append((time.monotonic(), unit))


async def ask[T](question: Callable[[], T], deadline_s: float = 30.0) -> T:
    async def later() -> T:
        return question()

    return await poll(later, deadline_s=deadline_s)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
async def test_a_clip_plays_in_real_time_and_loops_with_rising_time_stamps(make_clip: Any, suffix: str) -> None:
    collected = Collected()
    clip = make_clip(frames=15, gop=15, suffix=suffix)
    begun_s = time.monotonic()
    task = asyncio.create_task(ClipSource(clip).run(collected))
    await ask(lambda: len(collected.units) >= 40)
    task.cancel()
    units = [unit for _, unit in collected.units[:40]]
    assert [number for number, unit in enumerate(units) if unit.key] == [0, 15, 30]
    steps = [later.timestamp - earlier.timestamp for earlier, later in itertools.pairwise(units)]
    assert all(2800 <= step <= 3200 for step in steps)
    # each as late as it is due, at least
    assert collected.units[39][0] - begun_s > 1.1


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"frames": 30, "profile": "main", "b_frames": 2}, "B-frames"), (None, "can't be read")],
)
async def test_an_unusable_clip_is_a_lasting_failure(make_clip: Any, tmp_path: Path, options: dict[str, Any] | None, reason: str) -> None:
    path = make_clip(**options) if options else tmp_path / "noise.mp4"
    if not options:
        path.write_bytes(b"this is no clip" * 100)
    with pytest.raises(SourceFailed, match=reason) as failure:
        await ClipSource(path).run(Collected())
    assert failure.value.lasting


def test_clips_are_found_only_inside_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert find_clip(folder, "a.mp4") == folder / "a.mp4"
    for name in ("../secret", "/etc/passwd", "", ".", "link", "a/../../secret"):
        with pytest.raises(SourceFailed, match="inside"):
            find_clip(folder, name)
    with pytest.raises(SourceFailed, match="no clip"):
        find_clip(folder, "missing.mp4")
    with pytest.raises(SourceFailed, match="files_folder"):
        find_clip(None, "a.mp4")


async def test_a_still_is_a_jpeg_of_the_newest_key_picture(units: list[AccessUnit]) -> None:
    import io

    import av

    stream = LiveStream(StreamLimits(), time.monotonic)
    snapshots = Snapshots(320, 5.0, time.monotonic)
    stream.publish(units[0])
    first = await snapshots.take(stream)
    with av.open(io.BytesIO(first.jpeg), format="jpeg_pipe") as container:
        picture = next(container.decode(video=0))
    assert (picture.width, picture.height) == (320, 240)
    again = await snapshots.take(stream)
    assert again is first
    child = snapshots._child
    assert child is not None
    child.kill()
    await child.wait()
    other = LiveStream(StreamLimits(), time.monotonic)
    other.publish(units[30])
    assert (await snapshots.take(other)).jpeg != first.jpeg
    await snapshots.stop()


async def test_a_picture_that_no_decoder_reads_is_an_answer_and_not_a_crash(units: list[AccessUnit]) -> None:
    stream = LiveStream(StreamLimits(), time.monotonic)
    snapshots = Snapshots(320, 5.0, time.monotonic)
    sps, pps = units[0].nals[:2]
    stream.publish(AccessUnit((sps, pps, b"\x65" + b"\xff" * 300), 0, True))
    with pytest.raises(NoPicture):
        await snapshots.take(stream)
    good = LiveStream(StreamLimits(), time.monotonic)
    good.publish(units[0])
    assert (await snapshots.take(good)).jpeg.startswith(b"\xff\xd8")
    await snapshots.stop()


def camera(camera_id: str = "c1", **more: Any) -> Camera:
    return Camera(camera_id=camera_id, agency_id="east", enabled=True, has_stream=True, **more)


def feeds_of(addresses: dict[str, Any], settings: VideoSettings | None = None) -> Feeds:
    async def read_addresses(agency_id: str, camera_id: str) -> StreamAddresses:
        assert agency_id == "east"
        found = addresses[camera_id]
        return found if isinstance(found, StreamAddresses) else StreamAddresses(found)

    return Feeds(settings or VideoSettings(), read_addresses)


def health_of(feeds: Feeds, camera_id: str = "c1") -> CameraHealth:
    return next(health for health in feeds.measure({}) if health.camera_id == camera_id)


async def test_a_camera_comes_back_by_itself_after_its_server_was_away(make_clip: Any) -> None:
    clip = make_clip(frames=30, gop=15)
    server = RtspServer({"north": clip}, "viewer", "secret")
    await server.__aenter__()
    port = server.port
    feeds = feeds_of({"c1": server.url("north")})
    feeds.apply("c1", camera())
    await ask(lambda: health_of(feeds).state is CameraState.LIVE)
    await ask(lambda: 25 < health_of(feeds).frames_per_second < 35)
    health = health_of(feeds)
    assert (health.width_px, health.height_px) == (320, 240)
    assert health.kilobits_per_second > 50
    await server.__aexit__(None, None, None)
    await ask(lambda: health_of(feeds).state is CameraState.FAILED)
    assert health_of(feeds).reason
    async with RtspServer({"north": clip}, "viewer", "secret", port=port):
        await ask(lambda: health_of(feeds).state is CameraState.LIVE)
        assert health_of(feeds).reason == ""
        await feeds.stop()


async def test_a_changed_address_is_followed_and_a_renamed_camera_keeps_playing(make_clip: Any) -> None:
    clip = make_clip(frames=30, gop=15)
    addresses = {"c1": "rtsp://127.0.0.1:1/nothing"}
    feeds = feeds_of(addresses)
    feeds.apply("c1", camera())
    await ask(lambda: health_of(feeds).state is CameraState.FAILED)
    async with RtspServer({"north": clip}, "viewer", "secret") as server:
        addresses["c1"] = server.url("north")
        feeds.apply("c1", camera(name="moved"))
        await ask(lambda: health_of(feeds).state is CameraState.LIVE)
        feed = feeds.get("c1")
        assert feed is not None
        starts, frames = feed._connected_s, feed.stream.frames_total
        feeds.apply("c1", camera(name="renamed"))
        await ask(lambda: feed.stream.frames_total > frames + 20)
        assert feed._connected_s == starts
        feeds.apply("c1", Camera(camera_id="c1", agency_id="east", enabled=False, has_stream=True))
        assert feeds.get("c1") is None
        await ask(lambda: server.connections == 0)
    await feeds.stop()


async def test_on_demand_waits_for_somebody_and_the_camera_limit_says_so() -> None:
    feeds = feeds_of({"c1": "rtsp://127.0.0.1:1/x"}, VideoSettings(source_start="on_demand", camera_limit=1))
    feeds.apply("c1", camera())
    feeds.apply("c2", camera("c2"))
    assert health_of(feeds).state is CameraState.IDLE
    over = health_of(feeds, "c2")
    assert over.state is CameraState.FAILED
    assert "camera_limit" in over.reason
    feeds.apply("c1", None)
    assert health_of(feeds, "c2").state is CameraState.IDLE
    await feeds.stop()


class Watching:
    """Somebody who takes a stream's pictures."""

    def __init__(self, stream: LiveStream) -> None:
        self.frames = 0
        self._stream = stream
        stream.taps.append(self._count)

    def leave(self) -> None:
        self._stream.taps.remove(self._count)

    def _count(self, unit: AccessUnit) -> None:
        self.frames += 1


async def test_a_camera_is_pulled_as_its_registration_says_whatever_the_installation_does(make_clip: Any) -> None:
    async with RtspServer({"north": make_clip(frames=30, gop=15)}, "viewer", "secret") as server:
        feeds = feeds_of(dict.fromkeys(("c1", "c2"), server.url("north")), VideoSettings(source_start="on_demand", source_idle_s=0.3))
        feeds.apply("c1", camera(pull=CAMERA_PULL_ALWAYS))
        feeds.apply("c2", camera("c2"))
        await ask(lambda: health_of(feeds).state is CameraState.LIVE)
        assert health_of(feeds, "c2").state is CameraState.IDLE
        feed = feeds.get("c2")
        assert feed is not None
        feed.want()
        watcher = Watching(feed.stream)
        await ask(lambda: health_of(feeds, "c2").state is CameraState.LIVE)
        await ask(lambda: health_of(feeds, "c2").state is CameraState.LIVE and watcher.frames > 30)
        watcher.leave()
        await ask(lambda: health_of(feeds, "c2").state is CameraState.IDLE)
        # nobody may get a picture from before the rest
        assert not feed.stream.group
        assert feed.stream.key_picture is None
        await ask(lambda: server.connections == 1)
        feeds.apply("c1", camera(pull=CAMERA_PULL_ON_DEMAND))
        await ask(lambda: health_of(feeds).state is CameraState.IDLE)
        await feeds.stop()


async def test_substreams_are_alternatives_of_one_camera_and_connect_when_they_are_wanted(make_clip: Any) -> None:
    clips = {
        "main": make_clip(frames=30, gop=15, size=(640, 480)),
        "low": make_clip(frames=30, gop=15),
        "eyes": make_clip(frames=30, gop=15),
    }
    async with RtspServer(clips, "viewer", "secret") as server:
        addresses = StreamAddresses(server.url("main"), {"low": server.url("low"), "eyes": server.url("eyes")})
        feeds = feeds_of({"c1": addresses}, VideoSettings(source_idle_s=0.3))
        streams = [
            CameraStream(stream_id="eyes", role=CAMERA_STREAM_ROLE_ANALYTICS),
            CameraStream(stream_id="low", role=CAMERA_STREAM_ROLE_LOW),
        ]
        feeds.apply("c1", camera(streams=streams))
        await ask(lambda: health_of(feeds).state is CameraState.LIVE)
        main, low = feeds.alternatives("c1")
        assert (main.stream_id, low.stream_id, server.connections) == ("main", "low", 1)
        assert feeds.get("c1", "eyes") is not None

        def connected() -> bool:
            # somebody wants it all the while
            low.want()
            return low.stream.sequence_parameters is not None and low.stream.frames_total > 5

        await ask(connected)
        widths = [feed.stream.sequence_parameters.width_px for feed in (main, low) if feed.stream.sequence_parameters]
        assert widths == [640, 320]
        await ask(lambda: health_of(feeds).state is CameraState.LIVE and server.connections == 1)
        assert not low.running
        feeds.apply("c1", camera())
        await ask(lambda: [feed.stream_id for feed in feeds.alternatives("c1")] == ["main"])
        assert main.running
        await feeds.stop()


async def test_a_broken_flooding_or_wild_camera_never_hurts_another(make_clip: Any) -> None:
    good = await asyncio.to_thread(load_clip, make_clip(frames=30, gop=15))
    noise = random.Random(7)
    garbled = replace(good, frames=tuple(replace(f, payloads=tuple(noise.randbytes(len(p)) for p in f.payloads)) for f in good.frames))
    half = replace(good, frames=tuple(replace(f, payloads=f.payloads[::2] or f.payloads) for f in good.frames))
    flooding = replace(good, frames=tuple(replace(f, payloads=f.payloads * 40) for f in good.frames))
    clips = {"good": good, "garbled": garbled, "half": half, "flooding": flooding}
    async with RtspServer(clips, "viewer", "secret") as server, chaos() as wild:
        addresses = {name: server.url(name) for name in clips} | {"wild": wild, "gone": "rtsp://127.0.0.1:1/x"}
        feeds = feeds_of(addresses, VideoSettings(camera_rate_limit_kbps=6_000))
        for name in addresses:
            feeds.apply(name, camera(name))
        found = feeds.get("good")
        assert found is not None
        await ask(lambda: health_of(feeds, "good").state is CameraState.LIVE)
        watcher = Watching(found.stream)
        began_s, seen = time.monotonic(), watcher.frames

        def failed() -> bool:
            states = {name: health_of(feeds, name) for name in addresses}
            return all(states[name].state is CameraState.FAILED for name in ("flooding", "wild", "gone")) and bool(
                states["flooding"].reason
            )

        await ask(failed)
        await ask(lambda: time.monotonic() - began_s > 6 and watcher.frames - seen > 150)
        rate = (watcher.frames - seen) / (time.monotonic() - began_s)
        assert not SOAK or 22 <= rate <= 38, f"the good camera sent {rate:.1f} pictures a second"
        assert "Mbit/s" in health_of(feeds, "flooding").reason
        await feeds.stop()


async def test_no_log_line_and_no_reason_holds_an_account(make_clip: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with RtspServer({"north": make_clip(frames=30, gop=15)}, "viewer", "right") as server:
        refused = "viewer:hidden-secret@127.0.0.1:1/x"
        addresses = {scheme: f"{scheme}://{refused}" for scheme in ("rtsp", "rtsps", "rtspu", "rtmp", "http", "https", "srt")}
        addresses |= {"wrong": server.url("north").replace("right", "hidden-secret"), "blank": "rtsp://viewer:hidden-secret@host/a b"}
        feeds = feeds_of(addresses)
        for name in addresses:
            feeds.apply(name, camera(name))
        await ask(lambda: all(health_of(feeds, name).state is CameraState.FAILED for name in addresses))
        reasons = [health_of(feeds, name).reason for name in addresses]
        await feeds.stop()
    assert all(reasons)
    assert "failure 1 in a row" in caplog.text
    for text in (caplog.text, *reasons):
        assert "hidden-secret" not in text
        assert "viewer" not in text


async def test_a_camera_may_change_its_resolution_while_it_plays(make_clip: Any) -> None:
    small, large = [await asyncio.to_thread(load_clip, make_clip(frames=30, gop=30, size=size)) for size in ((320, 240), (640, 480))]
    shifted = tuple(replace(frame, ticks=frame.ticks + small.ticks) for frame in large.frames)
    changing = replace(small, frames=small.frames + shifted, ticks=small.ticks + large.ticks)
    async with RtspServer({"north": changing}, "viewer", "secret") as server:
        feeds = feeds_of({"c1": server.url("north")})
        feeds.apply("c1", camera())
        for width in (640, 320, 640):
            await ask(lambda width=width: health_of(feeds).width_px == width and health_of(feeds).state is CameraState.LIVE)  # type: ignore[misc] # bound at once
        assert server.connections == 1
        # a key picture each second
        await ask(lambda: 0.7 < health_of(feeds).keyframe_interval_s < 1.3)
        assert health_of(feeds).codec == "H264"
        await feeds.stop()


@asynccontextmanager
async def chaos() -> AsyncIterator[str]:
    """A server that answers with noise, for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(random.Random(3).randbytes(100_000))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"


async def test_an_address_outside_the_allowed_networks_is_not_even_tried() -> None:
    tried: list[bool] = []
    server = await asyncio.start_server(lambda *_: tried.append(True), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    feeds = feeds_of({"c1": f"rtsp://127.0.0.1:{port}/x"}, VideoSettings(camera_networks=("10.20.0.0/16",)))
    feeds.apply("c1", camera())
    await ask(lambda: health_of(feeds).state is CameraState.FAILED)
    assert "camera_networks" in health_of(feeds).reason
    assert not tried
    await feeds.stop()
    server.close()


@pytest.mark.parametrize(
    ("connected", "failure", "age_s", "wanted", "state"),
    [
        (False, "", None, False, CameraState.IDLE),
        (False, "", None, True, CameraState.CONNECTING),
        (True, "", None, True, CameraState.CONNECTING),
        (True, "", 0.1, True, CameraState.LIVE),
        (True, "", 60.0, True, CameraState.STALLED),
        (False, "refused", 0.1, True, CameraState.FAILED),
        (False, "refused", 0.1, False, CameraState.IDLE),
    ],
)
def test_state_of_a_camera(connected: bool, failure: str, age_s: float | None, wanted: bool, state: CameraState) -> None:
    assert state_of(connected, failure, age_s, wanted) is state


@given(st.integers(1, 10_000), st.booleans())
def test_retries_slow_down_but_never_stop(failures: int, lasting: bool) -> None:
    assert 1.0 <= retry_delay_s(failures, lasting) <= 60.0
    assert retry_delay_s(failures + 1, lasting) >= retry_delay_s(failures, lasting)


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0.01, 10)), min_size=1, max_size=30))
def test_a_rate_is_never_negative(looks: list[tuple[int, float]]) -> None:
    rate, now_s = Rate(), 1.0
    for total, pause_s in looks:
        now_s += pause_s
        rate = rate.advanced(total, now_s)
        assert rate.per_second >= 0
