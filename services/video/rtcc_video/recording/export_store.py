"""Exports in PostgreSQL."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_video.recording.export_archive import Order
from rtcc_video.redaction.domain import redaction_from

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
                                               purpose, case_number, agreement_id, created_by, created_by_name, created_at,
                                               original_export_id, redaction, with_sound)
                   values ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
                   on conflict (export_id) do nothing""",
                order.export_id, scope.agency_id, order.owner_agency_id, order.camera_id, json.dumps(dict(order.camera)), order.starts_at,
                order.ends_at, order.reason, order.purpose, order.case_number, order.agreement_id, order.created_by, order.created_by_name,
                order.created_at, order.original_export_id, json.dumps(order.redaction.as_dict()) if order.redaction else None,
                order.with_sound,
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

    async def take(self, scope: Scope, holder: str, now: datetime, held_until: datetime) -> Order | None:
        """The oldest that waits, or whose holder fell silent; it then runs, held by `holder`."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                """update footage_export set state = 'running', progress_percent = 0, held_by = $1, held_until = $3
                   where export_id = (
                       select export_id from footage_export
                       where state = 'waiting' or (state = 'running' and held_until < $2)
                       order by created_at limit 1 for update skip locked)
                   returning *""",
                holder,
                now,
                held_until,
            )
        return _export(row).order if row is not None else None

    async def hold_on(self, scope: Scope, export_id: str, holder: str, held_until: datetime) -> bool:
        """Whether `holder` still has it: then until the new time."""
        return await self._change(scope, export_id, holder, "held_until = $3", held_until)

    async def progress(self, scope: Scope, export_id: str, holder: str, percent: int) -> None:
        """How far `holder` is."""
        await self._change(scope, export_id, holder, "progress_percent = $3", percent)

    async def put_back(self, scope: Scope, export_id: str, holder: str) -> None:
        """It waits again."""
        await self._change(scope, export_id, holder, "state = 'waiting', progress_percent = 0")

    async def fail(self, scope: Scope, export_id: str, holder: str, problem: str, now: datetime) -> None:
        await self._change(scope, export_id, holder, "state = 'failed', problem = $3, finished_at = $4", problem, now)

    async def finish(self, scope: Scope, export_id: str, holder: str, sha256: str, size_bytes: int, segments: int, now: datetime) -> bool:
        """False: somebody else makes it now."""
        return await self._change(
            scope,
            export_id,
            holder,
            "state = 'ready', progress_percent = 100, sha256 = $3, size_bytes = $4, segments = $5, finished_at = $6",
            sha256,
            size_bytes,
            segments,
            now,
        )

    async def _change(self, scope: Scope, export_id: str, holder: str, change: str, *values: Any) -> bool:
        """Whether `holder` had it still."""
        async with self._database.transaction(scope) as connection:
            found = await connection.fetchval(
                f"update footage_export set {change} where export_id = $1 and held_by = $2 and state = 'running' returning true",
                export_id,
                holder,
                *values,
            )
        return bool(found)


def _export(row: Any) -> Export:
    order = Order(
        row["export_id"], row["agency_id"], row["owner_agency_id"], row["camera_id"], json.loads(row["camera"]), row["starts_at"],
        row["ends_at"], row["reason"], row["purpose"], row["case_number"], row["agreement_id"], row["created_by"], row["created_by_name"],
        row["created_at"], row["original_export_id"], redaction_from(json.loads(row["redaction"])) if row["redaction"] else None,
        row["with_sound"],
    )  # fmt: skip
    return Export(
        order, row["state"], row["problem"], row["progress_percent"], row["finished_at"], row["sha256"], row["size_bytes"], row["segments"]
    )
