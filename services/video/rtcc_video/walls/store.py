"""Walls in PostgreSQL."""

import json
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_video.walls.domain import Slot, Wall


class WallStore:
    """Every method sees only what its scope may see: the agency's walls, and the personal ones of the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seen(self, scope: Scope) -> list[Wall]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select * from wall where agency_id = $1 and (not personal or owner_id = $2) order by lower(name), wall_id",
                scope.agency_id,
                scope.principal_id,
            )
        return [_wall(row) for row in rows]

    async def count(self, scope: Scope) -> int:
        async with self._database.transaction(scope) as connection:
            return int(await connection.fetchval("select count(*) from wall where agency_id = $1", scope.agency_id))

    async def add(self, scope: Scope, wall: Wall) -> Wall:
        """The stored one: a repeat with the same id changes nothing."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """insert into wall (wall_id, agency_id, name, tiles, slots, personal, owner_id, revision, changed_at, changed_by,
                                     changed_by_name)
                   values ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10) on conflict (wall_id) do nothing""",
                wall.wall_id, scope.agency_id, wall.name, wall.tiles, _text(wall), wall.personal, wall.owner_id, wall.changed_at,
                wall.changed_by, wall.changed_by_name,
            )  # fmt: skip
            row = await connection.fetchrow("select * from wall where wall_id = $1", wall.wall_id)
        return _wall(row)

    async def replace(self, scope: Scope, wall: Wall) -> Wall | None:
        """None: there is none of that id that the caller sees, or (when `wall.revision` isn't 0) it has another revision."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                """update wall set name = $3, tiles = $4, slots = $5, personal = $6, revision = revision + 1, changed_at = $7,
                       changed_by = $8, changed_by_name = $9,
                       owner_id = case when $6 and not personal then $10 else owner_id end
                   where wall_id = $1 and agency_id = $2 and (not personal or owner_id = $10) and ($11 = 0 or revision = $11)
                   returning *""",
                wall.wall_id, scope.agency_id, wall.name, wall.tiles, _text(wall), wall.personal, wall.changed_at, wall.changed_by,
                wall.changed_by_name, scope.principal_id, wall.revision,
            )  # fmt: skip
        return _wall(row) if row is not None else None

    async def find(self, scope: Scope, wall_id: str) -> Wall | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "select * from wall where wall_id = $1 and agency_id = $2 and (not personal or owner_id = $3)",
                wall_id,
                scope.agency_id,
                scope.principal_id,
            )
        return _wall(row) if row is not None else None

    async def remove(self, scope: Scope, wall_id: str) -> bool:
        async with self._database.transaction(scope) as connection:
            removed = await connection.fetchval(
                "delete from wall where wall_id = $1 and agency_id = $2 and (not personal or owner_id = $3) returning wall_id",
                wall_id,
                scope.agency_id,
                scope.principal_id,
            )
        return removed is not None


def _text(wall: Wall) -> str:
    return json.dumps([[slot.cell, slot.span, slot.camera_id, slot.follow_alerts] for slot in wall.slots])


def _wall(row: Any) -> Wall:
    slots = tuple(Slot(*stored) for stored in json.loads(row["slots"]))
    return Wall(
        row["wall_id"], row["name"], row["tiles"], slots, row["personal"], row["owner_id"], row["revision"], row["changed_at"],
        row["changed_by"], row["changed_by_name"],
    )  # fmt: skip
