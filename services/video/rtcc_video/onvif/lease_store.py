"""Leases of cameras' controls in PostgreSQL: every process of the service sees the same holder."""

from dataclasses import fields
from datetime import datetime
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_video.onvif.leases import LEASE, Lease

_COLUMNS = ", ".join(field.name for field in fields(Lease))


class LeaseStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, scope: Scope, lease: Lease, *, take_over: bool) -> tuple[Lease, Lease | None]:
        """(who has it now, whose lease was ended for it). Another's lease stays unless it is over or `take_over`."""
        async with self._database.transaction(scope) as connection:
            # also where no row is there yet, only one at a time
            await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 16))", lease.camera_id)
            row = await connection.fetchrow("select * from camera_control where camera_id = $1", lease.camera_id)
            before = _lease(row) if row is not None else None
            if before is not None and before.until > lease.since and before.principal_id != lease.principal_id and not take_over:
                return before, None
            if before is not None:
                await connection.execute("delete from camera_control where camera_id = $1", lease.camera_id)
            values = [getattr(lease, field.name) for field in fields(Lease)]
            places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
            await connection.execute(f"insert into camera_control ({_COLUMNS}) values ({places})", *values)
        return lease, before

    async def extend(self, scope: Scope, camera_id: str, lease_id: str, now: datetime, *, movements: int) -> Lease | None:
        """The caller's own lease, 15 s from now if it may last so long; None when it is over or another's."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                """update camera_control set until = least($4::timestamptz, ends_at), movements = movements + $5
                   where camera_id = $1 and lease_id = $2 and until > $3 and principal_id = $6 returning *""",
                camera_id, lease_id, now, now + LEASE, movements, scope.principal_id,
            )  # fmt: skip
        return _lease(row) if row is not None else None

    async def release(self, scope: Scope, camera_id: str, lease_id: str) -> Lease | None:
        """The caller's own lease, which is over now; None when it was before."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "delete from camera_control where camera_id = $1 and lease_id = $2 and principal_id = $3 returning *",
                camera_id, lease_id, scope.principal_id,
            )  # fmt: skip
        return _lease(row) if row is not None else None

    async def end(
        self, scope: Scope, *, before: datetime | None = None, session_id: str = "", principal_id: str = "", camera_id: str = ""
    ) -> list[Lease]:
        """Ends leases: those that ran out, or all of a session, a person or a camera. Each is given to one caller alone."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """delete from camera_control where until <= $1 or (session_id = $2 and $2 <> '') or (principal_id = $3 and $3 <> '')
                       or (camera_id = $4 and $4 <> '') returning *""",
                before, session_id, principal_id, camera_id,
            )  # fmt: skip
        return [_lease(row) for row in rows]

    async def current(self, scope: Scope, now: datetime) -> list[Lease]:
        """Who moves cameras now."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select * from camera_control where until > $1", now)
        return [_lease(row) for row in rows]


def _lease(row: Any) -> Lease:
    return Lease(**{field.name: row[field.name] for field in fields(Lease)})
