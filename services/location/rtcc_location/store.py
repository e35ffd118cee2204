"""Last known positions and trails in PostgreSQL."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_location.domain.fixes import Fixes
from rtcc_location.domain.trail import MOST_PER_MINUTE, DamagedTrail, Trail, merged, pack, thinned, unpack

_PROGRESS, _TRAIL_PROGRESS = "positions", "trail"
_LOG = logging.getLogger(__name__)


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


class TrailStore:
    """Packed minutes; see domain/trail.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def progress(self, scope: Scope) -> int:
        """Up to which message of the stream the table is complete; 0: none."""
        async with self._database.transaction(scope) as connection:
            return int(await connection.fetchval("select stream_sequence from progress where name = $1", _TRAIL_PROGRESS) or 0)

    async def merge(self, scope: Scope, minutes: Mapping[tuple[str, str, int], Trail], sequence: int) -> None:
        """Rows are locked in one order, so that two instances wait for each other and never in a circle."""
        keys = sorted(minutes, key=lambda key: key[1:])
        unit_ids, numbers = [unit_id for _, unit_id, _ in keys], [minute for _, _, minute in keys]
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select unit_id, minute, body from trail join unnest($1::text[], $2::int[]) as w(unit_id, minute) using (unit_id, minute)
                   order by unit_id, minute for update of trail""",
                unit_ids,
                numbers,
            )
            bodies = {(row["unit_id"], row["minute"]): row["body"] for row in rows}
            packed = await asyncio.to_thread(_packed, keys, minutes, bodies)
            await connection.execute(
                """insert into trail (agency_id, unit_id, minute, fixes, body)
                   select * from unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::bytea[])
                   on conflict (unit_id, minute) do update
                       set agency_id = excluded.agency_id, fixes = excluded.fixes, body = excluded.body""",
                [agency_id for agency_id, _, _ in keys],
                unit_ids,
                numbers,
                [count for count, _ in packed],
                [body for _, body in packed],
            )
            await connection.execute(
                """insert into progress (name, stream_sequence) values ($1, $2)
                   on conflict (name) do update set stream_sequence = excluded.stream_sequence, saved_at = now()""",
                _TRAIL_PROGRESS,
                sequence,
            )

    async def read(self, scope: Scope, unit_id: str, from_minute: int, until_minute: int) -> list[Trail]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select minute, body from trail where unit_id = $1 and minute between $2 and $3 order by minute",
                unit_id,
                from_minute,
                until_minute,
            )
        return await asyncio.to_thread(lambda: [_unpacked(row["body"], row["minute"], unit_id) for row in rows])

    async def expire(self, scope: Scope, before_minute: int) -> dict[str, int]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """with gone as (delete from trail where minute < $1 returning agency_id)
                   select agency_id, count(*) as minutes from gone group by agency_id""",
                before_minute,
            )
        return {row["agency_id"]: int(row["minutes"]) for row in rows}


def _packed(
    keys: Sequence[tuple[str, str, int]], minutes: Mapping[tuple[str, str, int], Trail], bodies: Mapping[tuple[str, int], bytes]
) -> list[tuple[int, bytes]]:
    found = []
    for key in keys:
        _, unit_id, minute = key
        stored = bodies.get((unit_id, minute))
        parts = [minutes[key]] if stored is None else [_unpacked(stored, minute, unit_id), minutes[key]]
        whole = thinned(merged(*parts), MOST_PER_MINUTE)
        found.append((len(whole), pack(whole, minute)))
    return found


def _unpacked(body: bytes, minute: int, unit_id: str) -> Trail:
    try:
        return unpack(body, minute)
    except DamagedTrail as error:
        # one minute that can't be read must not hide the others
        _LOG.error("minute %d of unit %s can't be read: %s", minute, unit_id, error)
        return Trail.empty()
