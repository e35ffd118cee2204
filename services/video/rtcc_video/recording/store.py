"""Policies, segments, gaps, holds and proofs in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from rtcc_chassis.database import Database
from rtcc_chassis.retention import HoldRows
from rtcc_chassis.scope import Scope
from rtcc_video.recording.domain import Deletion, FootageHold, Gap, GapKind, Mode, RecordingPolicy, Segment
from rtcc_video.recording.fmp4 import Init

_MOST_SEGMENTS: Final = 25_000
# no segment is longer: bounds the look at what began before a window
_LONGEST_SEGMENT: Final = timedelta(seconds=60)
SEGMENT_COLUMNS: Final = (
    "segment_id, agency_id, camera_id, started_at, ended_at, camera_started_at, clock_difference_ms, init_id, object_key, sha256, "
    "size_bytes, pictures, continues, starts_with_key, sound_sha256, sound_bytes"
)


class FootageStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holds = HoldRows(database, "footage_hold", "footage_deletion")

    async def policies(self, scope: Scope) -> dict[tuple[str, str], RecordingPolicy]:
        """(agency, camera) -> policy."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select * from recording_policy order by agency_id, camera_id")
        return {(row["agency_id"], row["camera_id"]): _policy(row) for row in rows}

    async def put_policy(self, scope: Scope, policy: RecordingPolicy) -> RecordingPolicy | None:
        """The policy before."""
        async with self._database.transaction(scope) as connection:
            before = await connection.fetchrow(
                "select * from recording_policy where agency_id = $1 and camera_id = $2 for update", scope.agency_id, policy.camera_id
            )
            await connection.execute(
                """insert into recording_policy (agency_id, camera_id, mode, keep_s, pre_roll_s, post_roll_s, changed_at, changed_by,
                                                keep_sound)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                   on conflict (agency_id, camera_id) do update set mode = excluded.mode, keep_s = excluded.keep_s,
                       pre_roll_s = excluded.pre_roll_s, post_roll_s = excluded.post_roll_s, changed_at = excluded.changed_at,
                       changed_by = excluded.changed_by, keep_sound = excluded.keep_sound""",
                scope.agency_id,
                policy.camera_id,
                policy.mode.value,
                policy.keep_s,
                policy.pre_roll_s,
                policy.post_roll_s,
                policy.changed_at,
                policy.changed_by,
                policy.keep_sound,
            )
        return _policy(before) if before is not None else None

    async def remove_policy(self, scope: Scope, camera_id: str) -> RecordingPolicy | None:
        """The policy that was removed."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "delete from recording_policy where agency_id = $1 and camera_id = $2 returning *", scope.agency_id, camera_id
            )
        return _policy(row) if row is not None else None

    async def add_segments(self, scope: Scope, segments: Sequence[Segment], inits: Sequence[tuple[str, Init]]) -> None:
        """Adding one again changes nothing. `inits`: with the agency that each belongs to."""
        async with self._database.transaction(scope) as connection:
            if inits:
                await connection.executemany(
                    """insert into footage_init (agency_id, init_id, codec, width_px, height_px, body) values ($1, $2, $3, $4, $5, $6)
                       on conflict do nothing""",
                    [(agency_id, one.init_id, one.codec, one.width_px, one.height_px, one.data) for agency_id, one in inits],
                )
            await connection.executemany(
                f"""insert into footage_segment ({SEGMENT_COLUMNS})
                    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
                    on conflict (segment_id) do nothing""",
                [
                    (
                        one.segment_id, one.agency_id, one.camera_id, one.started_at, one.ended_at, one.camera_started_at,
                        one.clock_difference_ms, one.init_id, one.object_key, one.sha256, one.size_bytes, one.pictures, one.continues,
                        one.starts_with_key, one.sound_sha256, one.sound_bytes,
                    )
                    # in the order in which totals are locked
                    for one in sorted(segments, key=lambda one: (one.agency_id, one.camera_id))
                ],
            )  # fmt: skip

    async def put_gaps(self, scope: Scope, gaps: Sequence[Gap]) -> None:
        """Each as it is now."""
        async with self._database.transaction(scope) as connection:
            await connection.executemany(
                """insert into footage_gap (gap_id, agency_id, camera_id, started_at, ended_at, kind, reason)
                   values ($1, $2, $3, $4, $5, $6, $7) on conflict (gap_id) do update set ended_at = excluded.ended_at""",
                [(gap.gap_id, gap.agency_id, gap.camera_id, gap.started_at, gap.ended_at, gap.kind.value, gap.reason) for gap in gaps],
            )

    async def standing(self, scope: Scope, camera_ids: Sequence[str]) -> dict[str, tuple[datetime | None, Gap | None]]:
        """Where an earlier recorder left each camera: the end of its newest segment, and the gap that is open."""
        async with self._database.transaction(scope) as connection:
            ends = await connection.fetch(
                """select t.camera_id, s.ended_at from footage_total t cross join lateral (
                       select s.ended_at from footage_segment s where s.agency_id = t.agency_id and s.camera_id = t.camera_id
                       order by s.started_at desc limit 1) s
                   where t.camera_id = any($1::text[]) and t.segments > 0""",
                list(camera_ids),
            )
            gaps = await connection.fetch(
                "select * from footage_gap where ended_at is null and camera_id = any($1::text[]) order by started_at", list(camera_ids)
            )
        opened = {row["camera_id"]: _gap(row) for row in gaps}
        ended = {row["camera_id"]: row["ended_at"] for row in ends}
        return {camera_id: (ended.get(camera_id), opened.get(camera_id)) for camera_id in camera_ids}

    async def footage(self, scope: Scope, camera_id: str, starts_at: datetime, ends_at: datetime) -> tuple[list[Segment], list[Gap]]:
        """Of one camera, what touches the window."""
        async with self._database.transaction(scope) as connection:
            segments = await connection.fetch(
                f"""select {SEGMENT_COLUMNS} from footage_segment
                    where agency_id = $1 and camera_id = $2 and started_at < $4 and started_at > $5 and ended_at > $3
                    order by started_at limit {_MOST_SEGMENTS}""",
                scope.agency_id,
                camera_id,
                starts_at,
                ends_at,
                starts_at - _LONGEST_SEGMENT,
            )
            gaps = await connection.fetch(
                """select * from footage_gap
                   where agency_id = $1 and camera_id = $2 and started_at < $4 and coalesce(ended_at, 'infinity') >= $3
                   order by started_at limit 10000""",
                scope.agency_id,
                camera_id,
                starts_at,
                ends_at,
            )
        return [segment_of(row) for row in segments], [_gap(row) for row in gaps]

    async def inits(self, scope: Scope, init_ids: Sequence[str]) -> dict[str, Init]:
        """By id; unknown ones are left out."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select * from footage_init where agency_id = $1 and init_id = any($2::text[])", scope.agency_id, list(init_ids)
            )
        return {row["init_id"]: Init(row["init_id"], row["codec"], row["width_px"], row["height_px"], row["body"]) for row in rows}

    async def segment(self, scope: Scope, camera_id: str, segment_id: str) -> Segment | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                f"select {SEGMENT_COLUMNS} from footage_segment where agency_id = $1 and camera_id = $2 and segment_id = $3",
                scope.agency_id,
                camera_id,
                segment_id,
            )
        return segment_of(row) if row is not None else None

    async def segment_at(self, scope: Scope, camera_id: str, at: datetime) -> Segment | None:
        """The newest that begins with a key picture at or before `at`."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                f"""select {SEGMENT_COLUMNS} from footage_segment
                    where agency_id = $1 and camera_id = $2 and started_at <= $3 and starts_with_key
                    order by started_at desc limit 1""",
                scope.agency_id,
                camera_id,
                at,
            )
        return segment_of(row) if row is not None else None

    async def knows_camera(self, scope: Scope, camera_id: str) -> bool:
        """Whether something of it is recorded for this agency."""
        async with self._database.transaction(scope) as connection:
            found = await connection.fetchval(
                "select exists (select from footage_segment where agency_id = $1 and camera_id = $2)", scope.agency_id, camera_id
            )
        return bool(found)

    async def totals(self, scope: Scope) -> dict[str, tuple[datetime, datetime, int, int]]:
        """Camera -> oldest, newest, segments, bytes."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select t.camera_id, a.started_at as oldest, z.ended_at as newest, t.segments, t.size_bytes as bytes
                   from footage_total t
                   cross join lateral (
                       select started_at from footage_segment s where s.agency_id = t.agency_id and s.camera_id = t.camera_id
                       order by started_at limit 1) a
                   cross join lateral (
                       select ended_at from footage_segment s where s.agency_id = t.agency_id and s.camera_id = t.camera_id
                       order by started_at desc limit 1) z
                   where t.agency_id = $1""",
                scope.agency_id,
            )
        return {row["camera_id"]: (row["oldest"], row["newest"], row["segments"], int(row["bytes"])) for row in rows}

    async def holds(self, scope: Scope, *, released: bool) -> list[FootageHold]:
        return [_hold(row) for row in await self._holds.holds(scope, released=released)]

    async def add_hold(self, scope: Scope, hold: FootageHold) -> FootageHold:
        """The stored one: a repeat with the same id is the same hold."""
        values = {
            "hold_id": hold.hold_id,
            "reason": hold.reason,
            "camera_id": hold.camera_id,
            "starts_at": hold.starts_at,
            "ends_at": hold.ends_at,
            "placed_at": hold.placed_at,
            "placed_by": hold.placed_by,
        }
        return _hold(await self._holds.add(scope, values))

    async def release_hold(self, scope: Scope, hold_id: str, now: datetime) -> FootageHold | None:
        """Released once; None when there is none."""
        row = await self._holds.release(scope, hold_id, now)
        return _hold(row) if row is not None else None

    async def deletions(self, scope: Scope, limit: int) -> list[Deletion]:
        return [_deletion(row) for row in await self._holds.deletions(scope, limit)]

    async def agencies(self, scope: Scope) -> list[str]:
        """Agencies with a policy."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select distinct agency_id from recording_policy order by agency_id")
        return [row["agency_id"] for row in rows]

    @asynccontextmanager
    async def deleting(self, scope: Scope) -> AsyncIterator["Deleting"]:
        """One transaction of one agency: what it deletes is gone, and proved, when it ends."""
        async with self._database.transaction(scope) as connection:
            yield Deleting(connection, scope.agency_id)


class Deleting:
    """Locks what is due; another instance takes other segments."""

    def __init__(self, connection: Any, agency_id: str) -> None:
        self._connection = connection
        self._agency_id = agency_id

    async def due(self, now: datetime, limit: int) -> list[tuple[Segment, int]]:
        """With the seconds that each was to be kept; the oldest first. Policy and holds are asked for each at this moment."""
        # nobody places a hold between this look and the end of the transaction
        await self._connection.execute("lock table footage_hold in share mode")
        rows = await self._connection.fetch(
            f"""select s.*, p.keep_s from footage_total t
                cross join lateral (
                    select p.keep_s, $2::timestamptz - make_interval(secs => p.keep_s) as oldest from recording_policy p
                    where p.agency_id = t.agency_id and p.camera_id in ('', t.camera_id) order by p.camera_id <> '' desc limit 1) p
                cross join lateral (
                    select {SEGMENT_COLUMNS} from footage_segment s
                    where s.agency_id = t.agency_id and s.camera_id = t.camera_id and s.started_at < p.oldest and s.ended_at < p.oldest
                      and not exists (
                          select 1 from footage_hold h
                          where h.agency_id = s.agency_id and h.released_at is null and h.camera_id in ('', s.camera_id)
                            and s.ended_at > coalesce(h.starts_at, '-infinity') and s.started_at < coalesce(h.ends_at, 'infinity'))
                    order by s.started_at limit $3 for update of s skip locked) s
                where t.agency_id = $1 order by s.started_at limit $3""",
            self._agency_id,
            now,
            limit,
        )
        return [(segment_of(row), row["keep_s"]) for row in rows]

    async def delete(self, segments: Sequence[Segment], proofs: Sequence[Deletion], gaps: Sequence[Gap]) -> None:
        await self._connection.execute(
            "delete from footage_segment where segment_id = any($1::text[])", [segment.segment_id for segment in segments]
        )
        await self._connection.executemany(
            """insert into footage_deletion (deletion_id, agency_id, camera_id, keep_s, deleted_at, segments, size_bytes, oldest_at,
                                             newest_at, leaves, digest, sounds)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
            [
                (
                    one.deletion_id, self._agency_id, one.camera_id, one.keep_s, one.deleted_at, one.segments, one.size_bytes,
                    one.oldest_at, one.newest_at, one.leaves, one.digest, one.sounds,
                )
                for one in proofs
            ],
        )  # fmt: skip
        await self._connection.executemany(
            """insert into footage_gap (gap_id, agency_id, camera_id, started_at, ended_at, kind, reason)
               values ($1, $2, $3, $4, $5, $6, $7)""",
            [(gap.gap_id, gap.agency_id, gap.camera_id, gap.started_at, gap.ended_at, gap.kind.value, gap.reason) for gap in gaps],
        )


def _policy(row: Any) -> RecordingPolicy:
    return RecordingPolicy(
        row["camera_id"],
        Mode(row["mode"]),
        row["keep_s"],
        row["pre_roll_s"],
        row["post_roll_s"],
        row["changed_at"],
        row["changed_by"],
        row["keep_sound"],
    )


def segment_of(row: Any) -> Segment:
    """A row of `SEGMENT_COLUMNS`."""
    return Segment(*(row[name.strip()] for name in SEGMENT_COLUMNS.split(",")))


def _gap(row: Any) -> Gap:
    return Gap(row["gap_id"], row["agency_id"], row["camera_id"], row["started_at"], row["ended_at"], GapKind(row["kind"]), row["reason"])


def _hold(row: Any) -> FootageHold:
    return FootageHold(
        row["hold_id"], row["reason"], row["camera_id"], row["starts_at"], row["ends_at"], row["placed_at"], row["placed_by"],
        row["released_at"], row["released_by"],
    )  # fmt: skip


def _deletion(row: Any) -> Deletion:
    return Deletion(
        row["deletion_id"], row["camera_id"], row["keep_s"], row["deleted_at"], row["segments"], row["size_bytes"], row["oldest_at"],
        row["newest_at"], row["leaves"], row["digest"], row["sounds"],
    )  # fmt: skip
