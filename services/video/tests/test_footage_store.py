"""The index of recordings stays quick when it is long: what is asked every second reads what it needs, counted by PostgreSQL itself."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest_asyncio

from rtcc_chassis.clock import utc_now
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform
from rtcc_video.recording.domain import FootageHold, Mode, RecordingPolicy, Segment
from rtcc_video.recording.service import MIGRATIONS
from rtcc_video.recording.store import FootageStore

EAST = Scope.service("video", "east")
PLATFORM = Scope.platform("video")
CAMERAS = 20
SEGMENTS = 3000


@pytest_asyncio.fixture
async def context(small_platform: TestPlatform) -> AsyncIterator[ServiceContext]:
    context = await small_platform.context("video")
    await context.database.migrate(MIGRATIONS)
    yield context
    await small_platform.close()


def segment(camera_id: str, started_at: datetime, size_bytes: int = 1000) -> Segment:
    return Segment(
        new_id(),
        "east",
        camera_id,
        started_at,
        started_at + timedelta(seconds=4),
        None,
        0,
        "i",
        "k",
        "00" * 32,
        size_bytes,
        120,
        True,
        True,
    )


async def test_totals_follow_every_change_and_a_repeat_counts_once(context: ServiceContext) -> None:
    store, now = FootageStore(context.database), utc_now()
    old = [segment("c2", now - timedelta(hours=2)), segment("c1", now - timedelta(hours=1), 300), segment("c1", now, 500)]
    await store.add_segments(PLATFORM, old, [])
    await store.add_segments(PLATFORM, [*old, segment("c2", now)], [])
    assert await store.totals(EAST) == {
        "c1": (old[1].started_at, old[2].ended_at, 2, 800),
        "c2": (old[0].started_at, now + timedelta(seconds=4), 2, 2000),
    }
    assert await store.totals(Scope.service("video", "west")) == {}
    await store.put_policy(EAST, RecordingPolicy("", Mode.CONTINUOUS, 180, changed_at=now, changed_by="me"))
    async with store.deleting(EAST) as batch:
        due = await batch.due(now, 10)
        # the oldest first
        assert [one.camera_id for one, _ in due] == ["c2", "c1"]
        await batch.delete([one for one, _ in due], [], [])
    assert await store.totals(EAST) == {
        "c1": (old[2].started_at, old[2].ended_at, 1, 500),
        "c2": (now, now + timedelta(seconds=4), 1, 1000),
    }


async def test_long_recordings_are_asked_without_reading_them(context: ServiceContext) -> None:
    store, now = FootageStore(context.database), utc_now()
    async with context.database.transaction(PLATFORM) as connection:
        await connection.execute(
            """insert into footage_segment
               select 's' || camera || '-' || n, 'east', 'c' || camera, $1::timestamptz - n * interval '4 seconds',
                      $1::timestamptz - (n - 1) * interval '4 seconds', null, 0, 'i', 'k', '00', 1000, 120, true, true
               from generate_series(1, $2::int) camera, generate_series(1, $3::int) n""",
            now,
            CAMERAS,
            SEGMENTS,
        )
        await connection.execute("analyze footage_segment")
    policy = RecordingPolicy("", Mode.CONTINUOUS, 86400, changed_at=now, changed_by="me")
    await store.put_policy(EAST, policy)
    # one camera's are over, and the older part of them is held
    await store.put_policy(EAST, replace(policy, camera_id="c7", keep_s=3600))
    held = now - timedelta(seconds=8000)
    await store.add_hold(EAST, FootageHold(new_id(), "case 1", "c7", None, held, now, "me"))

    before = await reads(context)
    assert len(await store.totals(EAST)) == CAMERAS
    standing = await store.standing(PLATFORM, [f"c{camera}" for camera in range(1, CAMERAS + 1)])
    assert {ended for ended, _ in standing.values()} == {now}
    async with store.deleting(EAST) as batch:
        due = await batch.due(now, 50)
    assert {one.camera_id for one, _ in due} == {"c7"} and len(due) == 50
    assert held <= due[0][0].ended_at and all(one.ended_at < now - timedelta(seconds=3600) for one, _ in due)
    after = await reads(context)
    print(f"rows read of {CAMERAS * SEGMENTS}: {after[0] - before[0]} one after the other, {after[1] - before[1]} by index")
    assert after[0] == before[0]
    assert after[1] - before[1] < SEGMENTS


async def reads(context: ServiceContext) -> tuple[int, int]:
    """Rows of the index read so far: by a scan of the whole, and by an index."""
    async with context.database.transaction(PLATFORM) as connection:
        await connection.execute("select pg_stat_force_next_flush()")
    async with context.database.transaction(PLATFORM) as connection:
        await connection.execute("select pg_stat_clear_snapshot()")
        row = await connection.fetchrow("select seq_tup_read, idx_tup_fetch from pg_stat_user_tables where relname = 'footage_segment'")
    return row["seq_tup_read"], row["idx_tup_fetch"]
