"""What recording does when the object store is away, the spool is full, or the process is killed: nothing is lost in silence."""

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.registry.v1.registry_pb2 import Camera as RegisteredCamera
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import Unavailable
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.objects import Objects
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import directory_subject
from rtcc_chassis.testing import TestPlatform, free_port, poll
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.stream import LiveStream, StreamLimits
from rtcc_video.recording.domain import GapKind, Mode, RecordingPolicy, Segment, coverage
from rtcc_video.recording.fmp4 import read_segment
from rtcc_video.recording.recording import Recording
from rtcc_video.recording.segmenter import SegmentLimits
from rtcc_video.recording.service import MIGRATIONS
from rtcc_video.recording.spool import Spool
from rtcc_video.recording.store import FootageStore
from rtcc_video.recording.uploader import Uploader

EAST = Scope(agency_id="east", principal_id="chief", principal_kind="person", roles=frozenset({"administrator"}))
VIDEO = Scope.platform("video")


@dataclass
class Camera:
    """A feed that plays units in real time."""

    units: list[AccessUnit]
    camera_id: str = "c1"
    agency_id: str = "east"
    stream: LiveStream = field(default_factory=lambda: LiveStream(StreamLimits(), time.monotonic))
    playing: asyncio.Task[None] | None = None
    sent: int = 0

    def want(self) -> None:
        if self.playing is None:
            self.playing = asyncio.create_task(self._play())

    async def _play(self) -> None:
        begun = time.monotonic()
        while True:
            unit = self.units[self.sent % len(self.units)]
            self.stream.publish(AccessUnit(unit.nals, self.sent * 3000, unit.key))
            self.sent += 1
            await asyncio.sleep(max(0.0, begun + self.sent / 30 - time.monotonic()))

    async def end(self) -> None:
        if self.playing is not None:
            self.playing.cancel()
            await asyncio.gather(self.playing, return_exceptions=True)


class Cameras:
    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    def all(self) -> Sequence[Camera]:
        return [self._camera]

    def trouble(self, camera_id: str) -> str:
        return ""


class FlakyObjects:
    """The real object store, behind a line that can be cut."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.cut = False
        self.puts: list[str] = []

    async def put(self, scope: Scope, agency_id: str, key: str, data: bytes, content_type: str, sha256: str = "") -> str:
        if self.cut:
            raise Unavailable("the object store")
        assert sha256 == hashlib.sha256(data).hexdigest()
        self.puts.append(key)
        return await self._objects.put(scope, agency_id, key, data, content_type, sha256)


@dataclass
class Recorder:
    """One run of the recorder, as one process has it."""

    recording: Recording
    uploader: Uploader
    spool: Spool
    objects: FlakyObjects
    troubles: list[str]
    task: asyncio.Task[None]

    async def kill(self) -> None:
        """As kill -9 leaves it: nothing is told to anybody."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Bench:
    """Real PostgreSQL and S3; recorders come and go."""

    def __init__(self, context: ServiceContext, camera: Camera, folder: Path) -> None:
        self.context, self.camera, self.folder = context, camera, folder
        self.store = FootageStore(context.database)
        self.runs: list[Recorder] = []

    def begin(self, limit_bytes: int = 1 << 30, cut: bool = False) -> Recorder:
        objects = FlakyObjects(self.context.objects)
        objects.cut = cut
        spool = Spool(self.folder, limit_bytes)
        uploader = Uploader(spool, objects, self.store, time.monotonic)
        troubles: list[str] = []
        limits = SegmentLimits(target_s=0.9)
        recording = Recording(Cameras(self.camera), self.store, spool, uploader, limits, lambda agencies, why: troubles.append(why))
        recording.recover()
        run = Recorder(recording, uploader, spool, objects, troubles, asyncio.create_task(recording.run()))
        self.runs.append(run)
        return run

    async def segments(self) -> list[Segment]:
        now = datetime.now(UTC)
        return (await self.store.footage(Scope.service("video", "east"), "c1", now - timedelta(hours=1), now + timedelta(hours=1)))[0]

    async def until(self, condition: Callable[[list[Segment]], Any], deadline_s: float = 30) -> list[Segment]:
        async def ask() -> list[Segment] | None:
            found = await self.segments()
            return found if condition(found) else None

        found = await poll(ask, deadline_s=deadline_s, every_s=0.1)
        assert found is not None
        return found

    async def gaps(self) -> list[Any]:
        now = datetime.now(UTC)
        segments, told = await self.store.footage(Scope.service("video", "east"), "c1", now - timedelta(hours=1), now + timedelta(hours=1))
        return coverage(segments, told, segments[0].started_at, segments[-1].ended_at).gaps


@pytest_asyncio.fixture
async def bench(small_platform: TestPlatform, units: list[AccessUnit], tmp_path: Path) -> AsyncIterator[Bench]:
    await small_platform.servers.s3_endpoint()
    context = await small_platform.context("video")
    await context.database.migrate(MIGRATIONS)
    camera = Camera(units)
    made = Bench(context, camera, tmp_path / "spool")
    await made.store.put_policy(EAST, RecordingPolicy("", Mode.CONTINUOUS, 86_400, changed_at=datetime.now(UTC), changed_by="chief"))
    yield made
    await camera.end()
    for run in made.runs:
        await run.kill()
    await small_platform.close()


async def whole(bench: Bench, segments: list[Segment]) -> None:
    """Every segment is stored with the hash of its row, and nothing is missing between them."""
    for segment in segments:
        data = await bench.context.objects.get(Scope.service("video", "east"), "east", segment.object_key)
        assert hashlib.sha256(data).hexdigest() == segment.sha256
        assert len(read_segment(data).samples) == segment.pictures
    for before, after in pairwise(segments):
        assert after.started_at == before.ended_at


async def test_nothing_is_lost_while_the_object_store_is_away(bench: Bench) -> None:
    run = bench.begin()
    await bench.until(lambda found: len(found) >= 2)
    run.objects.cut = True
    held = len(await bench.segments())
    await poll(lambda: _true(run.spool.used_bytes > 400_000), deadline_s=30)
    assert len(await bench.segments()) <= held + 1
    assert run.uploader.failing_since_s is not None
    run.objects.cut = False
    found = await bench.until(lambda found: len(found) >= held + 4)
    await whole(bench, found)
    await poll(lambda: _true(run.uploader.failing_since_s is None and run.spool.used_bytes < 400_000), deadline_s=30)
    # none was stored twice
    assert len(run.objects.puts) == len(set(run.objects.puts))


async def _true(condition: bool) -> bool:
    return condition


async def test_a_full_spool_is_a_gap_with_its_reason_and_an_alarm(bench: Bench) -> None:
    run = bench.begin(limit_bytes=700_000, cut=True)

    async def full() -> bool:
        return any(state.value == "failed" and "spool" in why for state, why in run.recording.states().values())

    await poll(full, deadline_s=30)
    await poll(lambda: _true(any("full" in why for why in run.troubles)), deadline_s=15)
    assert run.spool.used_bytes <= 700_000
    run.objects.cut = False
    found = await bench.until(lambda found: len(found) >= 5)
    gaps = await bench.gaps()
    assert [gap.kind for gap in gaps] == [GapKind.SPOOL_FULL]
    assert "spool" in gaps[0].reason
    assert gaps[0].started_at in [segment.ended_at for segment in found]
    await poll(lambda: _true(run.troubles[-1] == ""), deadline_s=15)


async def test_a_killed_recorder_loses_its_current_segment_at_most_and_says_so(bench: Bench) -> None:
    run = bench.begin()
    await bench.until(lambda found: len(found) >= 2)
    run.objects.cut = True
    await poll(lambda: _true(run.spool.used_bytes > 300_000), deadline_s=30)
    await run.kill()
    killed_at = datetime.now(UTC)
    waiting = len(list(bench.folder.glob("*.segment")))
    assert waiting >= 1
    (bench.folder / "0.half.part").write_bytes(b"half a segment")
    before = len(await bench.segments())
    again = bench.begin()
    found = await bench.until(lambda found: found[-1].started_at > killed_at)
    assert len(found) >= before + waiting
    # everything that was cut before the kill is there; the hole begins where the last of it ended
    holes = [(one, two) for one, two in pairwise(found) if two.started_at - one.ended_at > timedelta(milliseconds=500)]
    assert len(holes) == 1
    last, first = holes[0]
    assert killed_at - last.ended_at < timedelta(seconds=1.6)

    async def told() -> Any:
        return [gap for gap in await bench.gaps() if gap.kind is GapKind.RECORDER_LOST]

    gap = (await poll(told, deadline_s=15))[0]
    assert (gap.started_at, gap.ended_at) == (last.ended_at, first.started_at)
    assert "without notice" in gap.reason
    assert not list(bench.folder.glob("*.part"))
    await poll(lambda: _true(again.uploader.idle), deadline_s=15)


async def test_a_stop_keeps_the_current_segment_and_is_told_apart_from_a_kill(bench: Bench) -> None:
    run = bench.begin()
    await bench.until(lambda found: len(found) >= 2)
    stopped_at = datetime.now(UTC)
    await run.kill()
    await run.recording.stop()
    bench.begin()
    found = await bench.until(lambda found: found[-1].started_at > stopped_at)
    gaps = await bench.gaps()
    assert {gap.kind for gap in gaps} <= {GapKind.STOPPED}
    last = [segment for segment in found if segment.started_at < stopped_at][-1]
    assert abs(last.ended_at - stopped_at) < timedelta(seconds=0.5)


async def test_a_damaged_file_in_the_spool_is_set_aside_and_stops_nothing(bench: Bench) -> None:
    run = bench.begin(cut=True)
    await poll(lambda: _true(run.spool.used_bytes > 300_000), deadline_s=30)
    await run.kill()
    damaged = sorted(bench.folder.glob("*.segment"))[0]
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    (bench.folder / "00000000000000000001.noise.segment").write_bytes(os.urandom(500))
    bench.begin()
    await bench.until(lambda found: len(found) >= 2)
    assert len(list(bench.folder.glob("*.broken"))) == 2


async def test_a_store_that_answers_twice_makes_one_row(bench: Bench) -> None:
    run = bench.begin()
    found = await bench.until(lambda found: len(found) >= 2)
    await bench.store.add_segments(VIDEO, found, [])
    await bench.store.add_segments(VIDEO, found, [])
    assert len({segment.segment_id for segment in await bench.segments()}) == len(await bench.segments())
    assert run.task


async def test_a_real_kill_of_the_whole_service(
    small_platform: TestPlatform, make_clip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kill -9` of the process: what was in its spool is stored by the next."""
    await small_platform.servers.s3_endpoint()
    context = await small_platform.context("video")
    await context.database.migrate(MIGRATIONS)
    store = FootageStore(context.database)
    await store.put_policy(EAST, RecordingPolicy("", Mode.CONTINUOUS, 86_400, changed_at=datetime.now(UTC), changed_by="chief"))
    clip = make_clip(frames=60, gop=15)
    camera = RegisteredCamera(camera_id="c1", agency_id="east", name="North", enabled=True, has_stream=True)
    await context.bus.publish(directory_subject("camera", "east", "c1"), camera, message_id=new_id(), agency_id="east")

    async def serve_registry(ctx: ServiceContext) -> None:
        class Registry(registry_pb2_grpc.RegistryServiceServicer):
            async def GetCameraStream(self, request: Any, context: Any) -> registry_pb2.GetCameraStreamResponse:
                return registry_pb2.GetCameraStreamResponse(stream_url=f"file:{clip.name}")

        ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, Registry())
        ctx.lifecycle.ready()
        await ctx.lifecycle.stopping.wait()

    await small_platform.serve({"registry": serve_registry})
    environment = {
        "RTCC_VIDEO_SPOOL_FOLDER": str(tmp_path / "spool"), "RTCC_VIDEO_SEGMENT_S": "0.9", "RTCC_VIDEO_FILES_FOLDER": str(clip.parent),
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def ends() -> list[Segment]:
        now = datetime.now(UTC)
        scope = Scope.service("video", "east")
        return (await store.footage(scope, "c1", now - timedelta(hours=1), now + timedelta(hours=1)))[0]

    async def at_least(count: int, after: datetime | None = None) -> list[Segment]:
        async def ask() -> list[Segment] | None:
            found = await ends()
            return found if len(found) >= count and (after is None or found[-1].started_at > after) else None

        found = await poll(ask, deadline_s=45, every_s=0.1)
        assert found is not None
        return found

    first = await small_platform.start_process("video", free_port())
    await at_least(3)
    os.killpg(first.pid, signal.SIGKILL)
    killed_at = datetime.now(UTC)
    second = await small_platform.start_process("video", free_port())
    found = await at_least(4, after=killed_at)
    before = [segment for segment in found if segment.started_at < killed_at]
    # one segment of about a second, and what the disk write of it takes
    assert killed_at - before[-1].ended_at < timedelta(seconds=3)
    assert len({segment.object_key for segment in found}) == len(found)

    async def told() -> bool:
        now = datetime.now(UTC)
        scope = Scope.service("video", "east")
        segments, gaps = await store.footage(scope, "c1", now - timedelta(hours=1), now + timedelta(hours=1))
        kinds = [gap.kind for gap in coverage(segments, gaps, segments[0].started_at, segments[-1].ended_at).gaps]
        return GapKind.RECORDER_LOST in kinds

    await poll(told, deadline_s=20)
    os.killpg(second.pid, signal.SIGKILL)
