"""Imports and their progress in PostgreSQL."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.errors import Conflict
from rtcc_chassis.scope import Scope
from rtcc_identity.app.imports import Import
from rtcc_identity.app.ports import Saved
from rtcc_identity.domain.records import Prepared
from rtcc_identity.store import put_records

_STATES = {
    pb.RECORD_IMPORT_STATE_WAITING: "waiting",
    pb.RECORD_IMPORT_STATE_RUNNING: "running",
    pb.RECORD_IMPORT_STATE_DONE: "done",
    pb.RECORD_IMPORT_STATE_FAILED: "failed",
}


class ImportStore:
    """Every method sees only what its scope may see; `claim` serves all agencies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, scope: Scope, new: Import, queue: int) -> pb.RecordImport | None:
        try:
            async with self._database.transaction(scope) as connection:
                # counted one after the other, so that the bound holds
                await connection.execute("select pg_advisory_xact_lock(hashtext('import:' || $1))", scope.agency_id)
                if (known := await _get(connection, new.told.import_id)) is not None:
                    return known
                waiting = await connection.fetchval(
                    "select count(*) from record_import where agency_id = $1 and state in ('waiting', 'running')", scope.agency_id
                )
                if waiting >= queue:
                    return None
                await connection.execute(
                    """insert into record_import (import_id, agency_id, state, started_at, touched_at, object_key, request, body)
                       values ($1, $2, 'waiting', $3, $3, $4, $5, $6)""",
                    new.told.import_id,
                    scope.agency_id,
                    new.told.started_at.ToDatetime(UTC),
                    new.object_key,
                    new.request.SerializeToString(),
                    new.told.SerializeToString(),
                )
        except asyncpg.UniqueViolationError as error:
            raise Conflict("The import exists already.") from error
        return new.told

    async def get(self, scope: Scope, import_id: str) -> pb.RecordImport | None:
        async with self._database.transaction(scope) as connection:
            return await _get(connection, import_id)

    async def list_newest(self, scope: Scope, limit: int) -> list[pb.RecordImport]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select body from record_import where agency_id = $1 order by started_at desc, import_id desc limit $2",
                scope.agency_id,
                limit,
            )
        return [pb.RecordImport.FromString(row["body"]) for row in rows]

    async def claim(self, scope: Scope, now: datetime, abandoned_before: datetime) -> Import | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                """update record_import set state = 'running', touched_at = $1 where import_id = (
                       select import_id from record_import
                       where state = 'waiting' or (state = 'running' and touched_at < $2)
                       order by started_at limit 1 for update skip locked)
                   returning request, body, object_key""",
                now,
                abandoned_before,
            )
        if row is None:
            return None
        request = pb.StartRecordImportRequest.FromString(row["request"])
        return Import(request, pb.RecordImport.FromString(row["body"]), row["object_key"])

    async def store_rows(self, scope: Scope, records: Sequence[Prepared], told: pb.RecordImport, now: datetime) -> Saved:
        async with self._database.transaction(scope) as connection:
            saved = await put_records(connection, scope, records, told.import_id) if records else Saved(0, 0, 0)
            progress = pb.RecordImport()
            progress.CopyFrom(told)
            _count(progress, saved)
            await _write(connection, progress, now)
        # only what is committed is counted: a transaction that failed is done again
        _count(told, saved)
        return saved

    async def finish(self, scope: Scope, told: pb.RecordImport, now: datetime, *, remove_absent: bool) -> list[str]:
        photos: list[str] = []
        async with self._database.transaction(scope) as connection:
            if remove_absent:
                rows = await connection.fetch(
                    """delete from record where agency_id = $1 and kind = $2 and source = $3 and import_id <> $4
                       returning photo_object""",
                    scope.agency_id,
                    told.kind,
                    told.source,
                    told.import_id,
                )
                told.rows_removed = len(rows)
                photos = [row["photo_object"] for row in rows if row["photo_object"]]
            await _write(connection, told, now)
        return photos


async def _get(connection: Any, import_id: str) -> pb.RecordImport | None:
    body = await connection.fetchval("select body from record_import where import_id = $1", import_id)
    return None if body is None else pb.RecordImport.FromString(body)


async def _write(connection: Any, told: pb.RecordImport, now: datetime) -> None:
    await connection.execute(
        "update record_import set state = $2, touched_at = $3, body = $4 where import_id = $1",
        told.import_id,
        _STATES[told.state],
        now,
        told.SerializeToString(),
    )


def _count(told: pb.RecordImport, saved: Saved) -> None:
    told.rows_created += saved.created
    told.rows_updated += saved.updated
    told.rows_unchanged += saved.unchanged
