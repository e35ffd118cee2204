"""Last known positions in PostgreSQL."""

from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_location.domain.fixes import Fixes

_PROGRESS = "positions"


class LocationStore:
    """Both methods need a scope that sees every agency: one process keeps the state of all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, scope: Scope) -> tuple[Fixes, list[str], int]:
        """(fixes, agency of each, stream sequence up to which they are complete; 0: nothing was saved yet)."""
        async with self._database.transaction(scope) as connection:
            sequence = await connection.fetchval("select stream_sequence from progress where name = $1", _PROGRESS)
            rows = await connection.fetch(
                """select unit_id, agency_id, latitude_e7, longitude_e7, heading_cdeg, speed_cmps, accuracy_dm, fixed_at_us,
                          received_at_us, panic::int from last_known"""
            )
        fixes = Fixes.of([row["unit_id"] for row in rows], [tuple(row)[2:] for row in rows])
        return fixes, [row["agency_id"] for row in rows], int(sequence or 0)

    async def save(self, scope: Scope, fixes: Fixes, agency_ids: list[str], stream_sequence: int) -> None:
        """Upsert; an older fix never replaces a newer one, whoever saves first."""
        async with self._database.transaction(scope) as connection:
            await self._upsert(connection, fixes, agency_ids)
            await connection.execute(
                """insert into progress (name, stream_sequence) values ($1, $2)
                   on conflict (name) do update set stream_sequence = excluded.stream_sequence, saved_at = now()""",
                _PROGRESS,
                stream_sequence,
            )

    async def _upsert(self, connection: Any, fixes: Fixes, agency_ids: list[str]) -> None:
        if not len(fixes):
            return
        await connection.execute(
            """insert into last_known
               select * from unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::int[], $7::bigint[], $8::bigint[],
                                    $9::bigint[], $10::boolean[])
               on conflict (unit_id) do update set agency_id = excluded.agency_id, latitude_e7 = excluded.latitude_e7,
                   longitude_e7 = excluded.longitude_e7, heading_cdeg = excluded.heading_cdeg, speed_cmps = excluded.speed_cmps,
                   accuracy_dm = excluded.accuracy_dm, fixed_at_us = excluded.fixed_at_us, received_at_us = excluded.received_at_us,
                   panic = excluded.panic
               where excluded.fixed_at_us > last_known.fixed_at_us""",
            fixes.unit_ids,
            agency_ids,
            *fixes.numbers.tolist(),
            fixes.panic.tolist(),
        )
