"""Recorders that come and go before real PostgreSQL and S3, with one camera that plays."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import Unavailable
from rtcc_chassis.objects import Objects
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform, poll
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.stream import LiveStream, StreamLimits
from rtcc_video.recording.domain import Mode, RecordingPolicy, Segment, coverage
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
    """Those that this relay records: none while another one has it."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.here = True

    def all(self) -> Sequence[Camera]:
        return [self._camera] if self.here else []

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
        self.cameras = Cameras(camera)
        self.store = FootageStore(context.database)
        self.runs: list[Recorder] = []

    def begin(self, limit_bytes: int = 1 << 30, cut: bool = False) -> Recorder:
        objects = FlakyObjects(self.context.objects)
        objects.cut = cut
        spool = Spool(self.folder, limit_bytes)
        uploader = Uploader(spool, objects, self.store, time.monotonic)
        troubles: list[str] = []
        limits = SegmentLimits(target_s=0.9)
        recording = Recording(self.cameras, self.store, spool, uploader, limits, lambda agencies, why: troubles.append(why))
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


@asynccontextmanager
async def recording_bench(small_platform: TestPlatform, camera: Camera, folder: Path) -> AsyncIterator[Bench]:
    """With a policy that records everything."""
    await small_platform.servers.s3_endpoint()
    context = await small_platform.context("video")
    await context.database.migrate(MIGRATIONS)
    made = Bench(context, camera, folder)
    await made.store.put_policy(EAST, RecordingPolicy("", Mode.CONTINUOUS, 86_400, changed_at=datetime.now(UTC), changed_by="chief"))
    yield made
    await camera.end()
    for run in made.runs:
        await run.kill()
    await small_platform.close()
