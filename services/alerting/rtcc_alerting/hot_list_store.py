"""Hot lists in PostgreSQL, and their keys as columns for the index."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import numpy as np

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting import rules
from rtcc_alerting.domain import HOT_LIST_STALE
from rtcc_alerting.findings import RuleSetting
from rtcc_alerting.hot_list_import import NewEntry
from rtcc_alerting.hot_list_index import PlateIndex
from rtcc_alerting.messages import apply_life_cycle, life_cycle_of, mark_changed
from rtcc_alerting.plates import keys_of
from rtcc_alerting.store import AlertBatch
from rtcc_chassis.database import Database
from rtcc_chassis.errors import Conflict
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope

# COPY in binary (PostgreSQL 18 documentation, COPY, File Formats): header of 19 bytes, rows of field count and two
# length-prefixed values, trailer of 2 bytes
_COPY_HEADER_BYTES = 19
_COPY_TRAILER_BYTES = 2
_COPY_ROW = np.dtype([("fields", ">i2"), ("key_length", ">i4"), ("key", ">i8"), ("number_length", ">i4"), ("number", ">i8")])
_LIST_COLUMNS = """l.hot_list_id, l.agency_id, l.name, l.source, l.severity, l.enabled, l.stale_after_s, l.refreshed_at,
                   (select count(*) from hot_list_entry e where e.hot_list_id = l.hot_list_id) as entries"""


def _as_delivered(agency_id: str) -> RuleSetting:
    return RuleSetting()


class HotListStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def put_list(self, scope: Scope, settings: pb.HotList, now: datetime) -> tuple[pb.HotList | None, pb.HotList]:
        """Create, or change the settings of the list with this id: (before, after). Raises Conflict when the name or id is taken."""
        try:
            async with self._database.transaction(scope) as connection:
                before = await self._get(connection, settings.hot_list_id, now)
                await connection.execute(
                    """insert into hot_list (hot_list_id, agency_id, name, source, severity, enabled, stale_after_s, refreshed_at)
                       values ($1, $2, $3, $4, $5, $6, $7, $8)
                       on conflict (hot_list_id) do update set name = excluded.name, source = excluded.source, severity = excluded.severity,
                           enabled = excluded.enabled, stale_after_s = excluded.stale_after_s, revision = hot_list.revision + 1""",
                    settings.hot_list_id,
                    scope.agency_id,
                    settings.name,
                    settings.source,
                    settings.severity,
                    settings.enabled,
                    settings.stale_after_s,
                    now,
                )
                after = await self._get(connection, settings.hot_list_id, now)
        except asyncpg.UniqueViolationError as error:
            raise Conflict(f"There is a hot list named {settings.name!r} already.") from error
        except asyncpg.InsufficientPrivilegeError as error:
            # row-level security: the id belongs to a list of another agency
            raise Conflict(f"The id {settings.hot_list_id!r} is taken: leave it empty to get a new one.") from error
        assert after is not None
        return before, after

    async def get_list(self, scope: Scope, hot_list_id: str, now: datetime) -> pb.HotList | None:
        async with self._database.transaction(scope) as connection:
            return await self._get(connection, hot_list_id, now)

    async def list_lists(self, scope: Scope, now: datetime) -> list[pb.HotList]:
        """By name."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(f"select {_LIST_COLUMNS} from hot_list l where l.agency_id = $1 order by l.name", scope.agency_id)
        return [_list(row, now) for row in rows]

    async def _get(self, connection: Any, hot_list_id: str, now: datetime) -> pb.HotList | None:
        row = await connection.fetchrow(f"select {_LIST_COLUMNS} from hot_list l where l.hot_list_id = $1", hot_list_id)
        return None if row is None else _list(row, now)

    async def replace_entries(self, scope: Scope, hot_list_id: str, chunks: AsyncIterator[Sequence[NewEntry]], now: datetime) -> None:
        """The import, all or nothing: entries that are no longer in the file go, those that still are keep their age, those added by
        people stay, and a stale alarm is closed."""
        async with self._database.transaction(scope) as connection:
            # taken first, so that two imports of one list come one after the other
            await connection.execute(
                "update hot_list set refreshed_at = $2, revision = revision + 1 where hot_list_id = $1", hot_list_id, now
            )
            async for chunk in chunks:
                await self._insert(connection, scope, hot_list_id, chunk, now, custom=False)
            await connection.execute(
                "delete from hot_list_entry where hot_list_id = $1 and not custom and refreshed_at < $2", hot_list_id, now
            )
            await self._close_stale_alarm(connection, scope.agency_id, hot_list_id, now)

    async def add_entry(self, scope: Scope, hot_list_id: str, entry: NewEntry, now: datetime) -> pb.HotListEntry:
        """One by a person; the same plate, state and list again renews it."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("update hot_list set revision = revision + 1 where hot_list_id = $1", hot_list_id)
            await self._insert(connection, scope, hot_list_id, [entry], now, custom=True)
            row = await connection.fetchrow(
                "select * from hot_list_entry where hot_list_id = $1 and entry_id = $2", hot_list_id, entry.entry_id
            )
        return _entry(row)

    async def remove_entry(self, scope: Scope, hot_list_id: str, entry_id: str) -> pb.HotListEntry | None:
        """The entry as it was; None: there was none."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "delete from hot_list_entry where hot_list_id = $1 and entry_id = $2 and agency_id = $3 returning *",
                hot_list_id,
                entry_id,
                scope.agency_id,
            )
            if row is None:
                return None
            await connection.execute("update hot_list set revision = revision + 1 where hot_list_id = $1", hot_list_id)
        return _entry(row)

    async def list_entries(self, scope: Scope, hot_list_id: str, limit: int) -> list[pb.HotListEntry]:
        """By plate."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select * from hot_list_entry where hot_list_id = $1 and agency_id = $2 order by plate, state limit $3",
                hot_list_id,
                scope.agency_id,
                limit,
            )
        return [_entry(row) for row in rows]

    async def _insert(
        self, connection: Any, scope: Scope, hot_list_id: str, entries: Sequence[NewEntry], now: datetime, *, custom: bool
    ) -> None:
        await connection.execute(
            """insert into hot_list_entry (entry_id, hot_list_id, agency_id, plate, plate_key, state, reason, entry_source, entered_at,
                                           refreshed_at, expires_at, custom)
               select n.entry_id, $1, $2, n.plate, n.plate_key, n.state, n.reason, n.entry_source, $3, $3, n.expires_at, $4
               from unnest($5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::timestamptz[])
                    as n(entry_id, plate, plate_key, state, reason, entry_source, expires_at)
               on conflict (hot_list_id, entry_id) do update set reason = excluded.reason, entry_source = excluded.entry_source,
                    refreshed_at = excluded.refreshed_at, expires_at = excluded.expires_at,
                    custom = hot_list_entry.custom or excluded.custom""",
            hot_list_id,
            scope.agency_id,
            now,
            custom,
            [entry.entry_id for entry in entries],
            [entry.plate for entry in entries],
            keys_of([entry.plate for entry in entries]).tolist(),
            [entry.state for entry in entries],
            [entry.reason for entry in entries],
            [entry.entry_source for entry in entries],
            [entry.expires_at for entry in entries],
        )

    async def _close_stale_alarm(self, connection: Any, agency_id: str, hot_list_id: str, now: datetime) -> None:
        batch = AlertBatch(connection, self._outbox)
        alerts = await batch.open_of_group(agency_id, rules.stale_group(hot_list_id))
        for alert in alerts:
            apply_life_cycle(alert, life_cycle_of(alert).close("resolved", "The list was refreshed."))
            mark_changed(alert, now)
        await batch.update(alerts)

    async def raise_stale_alarms(self, scope: Scope, now: datetime, rules_of: Callable[[str], RuleSetting] = _as_delivered) -> int:
        """R24, for all agencies that have the rule on: one alert for each enabled list whose refresh didn't come; how many are new."""
        raised = 0
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select hot_list_id, agency_id, name, refreshed_at, stale_after_s from hot_list
                   where enabled and refreshed_at + make_interval(secs => stale_after_s) < $1 and not exists (
                       select 1 from alert where alert.agency_id = hot_list.agency_id and alert.kind = $2
                           and alert.group_key = 'hot-list:' || hot_list_id and alert.raised_at > hot_list.refreshed_at)""",
                now,
                HOT_LIST_STALE,
            )
            for row in rows:
                setting = rules_of(row["agency_id"])
                if not setting.enabled:
                    continue
                alert = rules.raise_stale_list(
                    row["agency_id"], row["hot_list_id"], row["name"], row["refreshed_at"], row["stale_after_s"], now
                )
                alert.severity = setting.severity or alert.severity
                batch = AlertBatch(connection, self._outbox)
                raised += await batch.raise_once(alert, rules.stale_group(row["hot_list_id"]))
        return raised

    async def stale_lists(self, scope: Scope, now: datetime) -> dict[str, int]:
        """How many enabled lists of each agency are stale (R24)."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select agency_id, count(*) filter (where enabled and refreshed_at + make_interval(secs => stale_after_s) < $1) as stale
                   from hot_list group by agency_id""",
                now,
            )
        return {row["agency_id"]: row["stale"] for row in rows}

    async def versions(self, scope: Scope) -> dict[str, tuple[int, int]]:
        """By agency: what changes whenever one of its lists or entries does."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select agency_id, count(*) as lists, sum(revision)::bigint as revisions from hot_list group by agency_id"
            )
        return {row["agency_id"]: (row["lists"], row["revisions"]) for row in rows}

    async def load_index(self, scope: Scope, agency_id: str) -> PlateIndex:
        """The enabled entries of one agency, by binary COPY: a million plates without a Python object each."""
        parts: list[bytes] = []

        async def collect(data: bytes) -> None:
            parts.append(bytes(data))

        async with self._database.transaction(scope) as connection:
            await connection.copy_from_query(
                """select e.plate_key, e.entry_number from hot_list_entry e join hot_list l using (hot_list_id)
                   where l.enabled and l.agency_id = $1 and e.agency_id = $1""",
                agency_id,
                output=collect,
                format="binary",
            )
        data = b"".join(parts)
        rows = np.frombuffer(data, dtype=_COPY_ROW, offset=_COPY_HEADER_BYTES, count=_row_count(data))
        return PlateIndex.of(rows["key"].astype(np.int64), rows["number"].astype(np.int64))


def _row_count(data: bytes) -> int:
    return (len(data) - _COPY_HEADER_BYTES - _COPY_TRAILER_BYTES) // _COPY_ROW.itemsize


def _list(row: Any, now: datetime) -> pb.HotList:
    message = pb.HotList(
        hot_list_id=row["hot_list_id"],
        agency_id=row["agency_id"],
        name=row["name"],
        source=row["source"],
        severity=row["severity"],
        enabled=row["enabled"],
        stale_after_s=row["stale_after_s"],
        entries=row["entries"],
        stale=(now - row["refreshed_at"]).total_seconds() > row["stale_after_s"],
    )
    message.refreshed_at.FromDatetime(row["refreshed_at"].astimezone(UTC))
    return message


def _entry(row: Any) -> pb.HotListEntry:
    message = pb.HotListEntry(
        entry_id=row["entry_id"],
        hot_list_id=row["hot_list_id"],
        plate=row["plate"],
        state=row["state"],
        reason=row["reason"],
        entry_source=row["entry_source"],
    )
    message.entered_at.FromDatetime(row["entered_at"])
    if row["expires_at"] is not None:
        message.expires_at.FromDatetime(row["expires_at"])
    return message
