"""Exports in PostgreSQL."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_video.recording.export_archive import Order

State = Literal["waiting", "running", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class Export:
    """An order and how far it is."""

    order: Order
    state: State
    problem: str
    progress_percent: int
    finished_at: datetime | None
    sha256: str
    size_bytes: int
    segments: int


class ExportStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, scope: Scope, order: Order) -> Export:
        """The stored one: a repeat with the same id is the same export."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """insert into footage_export (export_id, agency_id, owner_agency_id, camera_id, camera, starts_at, ends_at, state, reason,
                                               purpose, case_number, agreement_id, created_by, created_by_name, created_at)
                   values ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, $9, $10, $11, $12, $13, $14) on conflict (export_id) do nothing""",
                order.export_id, scope.agency_id, order.owner_agency_id, order.camera_id, json.dumps(dict(order.camera)), order.starts_at,
                order.ends_at, order.reason, order.purpose, order.case_number, order.agreement_id, order.created_by, order.created_by_name,
                order.created_at,
            )  # fmt: skip
            row = await connection.fetchrow("select * from footage_export where export_id = $1", order.export_id)
        return _export(row)

    async def newest(self, scope: Scope, limit: int) -> list[Export]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select * from footage_export where agency_id = $1 order by created_at desc, export_id desc limit $2",
                scope.agency_id,
                limit,
            )
        return [_export(row) for row in rows]

    async def find(self, scope: Scope, export_id: str) -> Export | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "select * from footage_export where export_id = $1 and agency_id = $2", export_id, scope.agency_id
            )
        return _export(row) if row is not None else None

    async def begin_again(self, scope: Scope) -> None:
        """What was running when the service ended."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("update footage_export set state = 'waiting', progress_percent = 0 where state = 'running'")

    async def take(self, scope: Scope) -> Order | None:
        """The oldest that waits, which then runs."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                """update footage_export set state = 'running' where export_id = (
                       select export_id from footage_export where state = 'waiting' order by created_at limit 1 for update skip locked)
                   returning *"""
            )
        return _export(row).order if row is not None else None

    async def progress(self, scope: Scope, export_id: str, state: State, percent: int) -> None:
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                "update footage_export set state = $2, progress_percent = $3 where export_id = $1", export_id, state, percent
            )

    async def fail(self, scope: Scope, export_id: str, problem: str, now: datetime) -> None:
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                "update footage_export set state = 'failed', problem = $2, finished_at = $3 where export_id = $1", export_id, problem, now
            )

    async def finish(self, scope: Scope, export_id: str, sha256: str, size_bytes: int, segments: int, now: datetime) -> None:
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """update footage_export set state = 'ready', progress_percent = 100, sha256 = $2, size_bytes = $3, segments = $4,
                       finished_at = $5 where export_id = $1""",
                export_id,
                sha256,
                size_bytes,
                segments,
                now,
            )


def _export(row: Any) -> Export:
    order = Order(
        row["export_id"], row["agency_id"], row["owner_agency_id"], row["camera_id"], json.loads(row["camera"]), row["starts_at"],
        row["ends_at"], row["reason"], row["purpose"], row["case_number"], row["agreement_id"], row["created_by"], row["created_by_name"],
        row["created_at"],
    )  # fmt: skip
    return Export(
        order, row["state"], row["problem"], row["progress_percent"], row["finished_at"], row["sha256"], row["size_bytes"], row["segments"]
    )
