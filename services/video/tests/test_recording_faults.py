"""What recording does when the object store is away, the spool is full, or the process is killed: nothing is lost in silence."""

import hashlib
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.registry.v1.registry_pb2 import Camera as RegisteredCamera
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import directory_subject
from rtcc_chassis.testing import SOAK, TestPlatform, free_port, poll
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.recording.domain import GapKind, Mode, RecordingPolicy, Segment, coverage
from rtcc_video.recording.fmp4 import read_segment
from rtcc_video.recording.service import MIGRATIONS
from rtcc_video.recording.store import FootageStore

from .recording_bench import EAST, VIDEO, Bench, Camera, recording_bench


@pytest_asyncio.fixture
async def bench(small_platform: TestPlatform, units: list[AccessUnit], tmp_path: Path) -> AsyncIterator[Bench]:
    async with recording_bench(small_platform, Camera(units), tmp_path / "spool") as made:
        yield made


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
        return any(state.value == "failed" and "spool" in why for state, why, _ in run.recording.states().values())

    await poll(full, deadline_s=30)
    await poll(lambda: _true(any("full" in why for why in run.troubles)), deadline_s=30)
    assert run.spool.used_bytes <= 700_000
    run.objects.cut = False
    found = await bench.until(lambda found: len(found) >= 5)
    gaps = await bench.gaps()
    assert [gap.kind for gap in gaps] == [GapKind.SPOOL_FULL]
    assert "spool" in gaps[0].reason
    assert gaps[0].started_at in [segment.ended_at for segment in found]
    await poll(lambda: _true(run.troubles[-1] == ""), deadline_s=30)


async def test_a_killed_recorder_loses_its_current_segment_at_most_and_says_so(bench: Bench) -> None:
    run = bench.begin()
    await bench.until(lambda found: len(found) >= 2)
    run.objects.cut = True
    await poll(lambda: _true(run.spool.used_bytes > 300_000), deadline_s=30)
    killed_at = datetime.now(UTC)
    await run.kill()
    ended_at = datetime.now(UTC)
    waiting = len(list(bench.folder.glob("*.segment")))
    assert waiting >= 1
    (bench.folder / "0.half.part").write_bytes(b"half a segment")
    before = len(await bench.segments())
    again = bench.begin()
    found = await bench.until(lambda found: found[-1].started_at > ended_at)
    assert len(found) >= before + waiting
    # everything that was cut before the kill is there; the hole begins where the last of it ended
    holes = [(one, two) for one, two in pairwise(found) if two.started_at - one.ended_at > timedelta(milliseconds=500)]
    assert len(holes) == 1
    last, first = holes[0]
    assert killed_at - last.ended_at < timedelta(seconds=1.6)

    async def told() -> Any:
        return [gap for gap in await bench.gaps() if gap.kind is GapKind.RECORDER_LOST]

    gap = (await poll(told, deadline_s=30))[0]
    assert (gap.started_at, gap.ended_at) == (last.ended_at, first.started_at)
    assert "without notice" in gap.reason
    assert not list(bench.folder.glob("*.part"))
    await poll(lambda: _true(again.uploader.idle), deadline_s=30)


async def test_a_stop_keeps_the_current_segment_and_is_told_apart_from_a_kill(bench: Bench) -> None:
    run = bench.begin()
    await bench.until(lambda found: len(found) >= 2)
    stops_at = datetime.now(UTC)
    await run.kill()
    await run.recording.stop()
    stopped_at = datetime.now(UTC)
    bench.begin()
    found = await bench.until(lambda found: found[-1].started_at > stopped_at)
    gaps = await bench.gaps()
    assert {gap.kind for gap in gaps} <= {GapKind.STOPPED}
    last = [segment for segment in found if segment.started_at < stopped_at][-1]
    assert stops_at - timedelta(seconds=0.5) < last.ended_at < stopped_at + timedelta(seconds=0.5)


async def test_a_camera_that_another_relay_records_is_let_go_at_once(bench: Bench) -> None:
    run = bench.begin()
    await bench.until(lambda found: len(found) >= 2)
    bench.cameras.here = False
    run.recording.let_go()
    moved_at = datetime.now(UTC)
    assert not run.recording.states()
    # what was in memory is stored, and nothing that came later
    sent = bench.camera.sent
    await poll(lambda: _true(bench.camera.sent > sent + 60), deadline_s=30)
    await poll(lambda: _true(run.uploader.idle), deadline_s=30)
    found = await bench.segments()
    assert moved_at - timedelta(seconds=1) < found[-1].ended_at <= moved_at + timedelta(milliseconds=100)


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

        found = await poll(ask, deadline_s=60, every_s=0.1)
        assert found is not None
        return found

    first = await small_platform.start_process("video", free_port())
    await at_least(3)
    killed_at = datetime.now(UTC)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    second = await small_platform.start_process("video", free_port())
    found = await at_least(4, after=datetime.now(UTC))
    before = [segment for segment in found if segment.started_at < killed_at]
    # one segment of about a second, and what the disk write of it takes
    assert not SOAK or killed_at - before[-1].ended_at < timedelta(seconds=3)
    assert len({segment.object_key for segment in found}) == len(found)

    async def told() -> bool:
        now = datetime.now(UTC)
        scope = Scope.service("video", "east")
        segments, gaps = await store.footage(scope, "c1", now - timedelta(hours=1), now + timedelta(hours=1))
        kinds = [gap.kind for gap in coverage(segments, gaps, segments[0].started_at, segments[-1].ended_at).gaps]
        return GapKind.RECORDER_LOST in kinds

    await poll(told, deadline_s=30)
    os.killpg(second.pid, signal.SIGKILL)
