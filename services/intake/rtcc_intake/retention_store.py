"""Rules, holds, what is due, and proofs in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.retention import HoldRows
from rtcc_chassis.scope import Scope
from rtcc_intake.retention import Deletion, DueEvent, RetentionHold, RetentionRule


class RetentionStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holds = HoldRows(database, "retention_hold", "retention_deletion")

    async def rules(self, scope: Scope) -> list[RetentionRule]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select * from retention_rule where agency_id = $1 order by source_id, kind", scope.agency_id)
        return [_rule(row) for row in rows]

    async def put_rule(self, scope: Scope, rule: RetentionRule) -> RetentionRule | None:
        """The rule before; `keep_s` 0 removes it."""
        async with self._database.transaction(scope) as connection:
            key = (scope.agency_id, rule.source_id, rule.kind)
            before = await connection.fetchrow(
                "select * from retention_rule where agency_id = $1 and source_id = $2 and kind = $3 for update", *key
            )
            if rule.keep_s:
                await connection.execute(
                    """insert into retention_rule (agency_id, source_id, kind, keep_s, changed_at, changed_by)
                       values ($1, $2, $3, $4, $5, $6)
                       on conflict (agency_id, source_id, kind) do update
                       set keep_s = excluded.keep_s, changed_at = excluded.changed_at, changed_by = excluded.changed_by""",
                    *key,
                    rule.keep_s,
                    rule.changed_at,
                    rule.changed_by,
                )
            else:
                await connection.execute("delete from retention_rule where agency_id = $1 and source_id = $2 and kind = $3", *key)
        return _rule(before) if before is not None else None

    async def holds(self, scope: Scope, *, released: bool) -> list[RetentionHold]:
        return [_hold(row) for row in await self._holds.holds(scope, released=released)]

    async def add_hold(self, scope: Scope, hold: RetentionHold) -> RetentionHold:
        """The stored one: a repeat with the same id is the same hold."""
        values = {
            "hold_id": hold.hold_id,
            "reason": hold.reason,
            "source_id": hold.source_id,
            "kind": hold.kind,
            "plate": hold.plate,
            "occurred_from": hold.occurred_from,
            "occurred_until": hold.occurred_until,
            "placed_at": hold.placed_at,
            "placed_by": hold.placed_by,
        }
        return _hold(await self._holds.add(scope, values))

    async def release_hold(self, scope: Scope, hold_id: str, now: datetime) -> RetentionHold | None:
        """Released once; None when there is none."""
        row = await self._holds.release(scope, hold_id, now)
        return _hold(row) if row is not None else None

    async def deletions(self, scope: Scope, limit: int) -> list[Deletion]:
        return [_deletion(row) for row in await self._holds.deletions(scope, limit)]

    async def agencies_with_rules(self, scope: Scope) -> list[str]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select distinct agency_id from retention_rule order by agency_id")
        return [row["agency_id"] for row in rows]

    @asynccontextmanager
    async def deleting(self, scope: Scope) -> AsyncIterator["Deleting"]:
        """One transaction of one agency: what it deletes is gone, and proved, when it ends."""
        async with self._database.transaction(scope) as connection:
            yield Deleting(connection, scope.agency_id)


class Deleting:
    """Locks what is due; another instance takes other events."""

    def __init__(self, connection: Any, agency_id: str) -> None:
        self._connection = connection
        self._agency_id = agency_id

    async def due(self, now: datetime, limit: int) -> list[DueEvent]:
        """The oldest first. Which rule decides, and which holds stand, is asked for each event at this moment."""
        # nobody places a hold between this look and the end of the transaction
        await self._connection.execute("lock table retention_hold in share mode")
        rows = await self._connection.fetch(
            """select e.event_id, e.body, e.received_at, e.stream_sequence, e.image_object, r.source_id, r.kind, r.keep_s, r.changed_at,
                      r.changed_by
               from event e cross join lateral (
                   select * from retention_rule r
                   where r.agency_id = e.agency_id and r.source_id in ('', e.source_id) and r.kind in ('', e.kind)
                   order by r.source_id <> '' desc, r.kind <> '' desc limit 1) r
               where e.agency_id = $1
                 and e.received_at < $2::timestamptz - make_interval(secs => (select min(keep_s) from retention_rule where agency_id = $1))
                 and e.received_at < $2::timestamptz - make_interval(secs => r.keep_s)
                 and not exists (
                     select 1 from retention_hold h
                     where h.agency_id = e.agency_id and h.released_at is null
                       and h.source_id in ('', e.source_id) and h.kind in ('', e.kind) and h.plate in ('', e.plate)
                       and e.occurred_at >= coalesce(h.occurred_from, '-infinity'::timestamptz)
                       and e.occurred_at < coalesce(h.occurred_until, 'infinity'::timestamptz))
               order by e.received_at limit $3 for update of e skip locked""",
            self._agency_id,
            now,
            limit,
        )
        return [
            DueEvent(row["event_id"], row["body"], row["received_at"], row["stream_sequence"], row["image_object"], _rule(row))
            for row in rows
        ]

    async def images_of_others(self, images: Sequence[str], event_ids: Sequence[str]) -> set[str]:
        """Which of these pictures belong to an event that stays."""
        rows = await self._connection.fetch(
            """select distinct image_object from event
               where agency_id = $1 and image_object = any($2::text[]) and event_id <> all($3::text[])""",
            self._agency_id,
            list(images),
            list(event_ids),
        )
        return {row["image_object"] for row in rows}

    async def delete(self, events: Sequence[DueEvent], proofs: Sequence[Deletion]) -> None:
        """The newest state of a thing that one of them is goes too."""
        await self._connection.execute(
            "delete from thing where agency_id = $1 and body = any($2::bytea[])", self._agency_id, [e.body for e in events]
        )
        await self._connection.execute("delete from event where event_id = any($1::text[])", [event.event_id for event in events])
        await self._connection.executemany(
            """insert into retention_deletion (deletion_id, agency_id, source_id, kind, keep_s, deleted_at, events, oldest_received_at,
                                               newest_received_at, leaves, digest)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
            [
                (
                    one.deletion_id, self._agency_id, one.rule.source_id, one.rule.kind, one.rule.keep_s, one.deleted_at, one.events,
                    one.oldest_received_at, one.newest_received_at, one.leaves, one.digest,
                )
                for one in proofs
            ],
        )  # fmt: skip


def _rule(row: Any) -> RetentionRule:
    return RetentionRule(row["source_id"], row["kind"], row["keep_s"], row["changed_at"], row["changed_by"])


def _hold(row: Any) -> RetentionHold:
    return RetentionHold(
        row["hold_id"], row["reason"], row["source_id"], row["kind"], row["plate"], row["occurred_from"], row["occurred_until"],
        row["placed_at"], row["placed_by"], row["released_at"], row["released_by"],
    )  # fmt: skip


def _deletion(row: Any) -> Deletion:
    return Deletion(
        row["deletion_id"], RetentionRule(row["source_id"], row["kind"], row["keep_s"]), row["deleted_at"], row["events"],
        row["oldest_received_at"], row["newest_received_at"], row["leaves"], row["digest"],
    )  # fmt: skip
