"""Incidents with units, alerts and timeline."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.errors import Conflict
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import incident_subject
from rtcc_incidents.app.ports import KnownAlert
from rtcc_incidents.domain.incidents import Happening, Record
from rtcc_incidents.domain.places import address_key

_STATES = {pb.INCIDENT_STATE_OPEN: "open", pb.INCIDENT_STATE_CLOSED: "closed"}


class IncidentStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["IncidentTransaction"]:
        async with self._database.transaction(scope) as connection:
            yield IncidentTransaction(connection, self._outbox)

    async def list_incidents(self, scope: Scope, *, include_closed: bool, number: str, limit: int) -> list[pb.Incident]:
        """Open ones by priority (0, unknown, last), newest first; with closed ones by time."""
        if include_closed:
            query = """select body from incident where agency_id = $1 and ($3 = '' or number = $3) order by occurred_at desc limit $2"""
        else:
            query = """select body from incident where agency_id = $1 and state = 'open' and ($3 = '' or number = $3)
                       order by case priority when 0 then 9 else priority end, occurred_at desc limit $2"""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(query, scope.agency_id, limit, number)
        return [pb.Incident.FromString(row["body"]) for row in rows]

    async def get(self, scope: Scope, incident_id: str) -> pb.Incident | None:
        async with self._database.transaction(scope) as connection:
            body = await connection.fetchval("select body from incident where incident_id = $1", incident_id)
        return None if body is None else pb.Incident.FromString(body)

    async def timeline(self, scope: Scope, incident_id: str, after_sequence: int, limit: int) -> list[pb.TimelineEntry]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select e.sequence, e.body, c.entry_id as corrected_by from timeline_entry e
                   left join timeline_entry c on c.corrects = e.entry_id
                   where e.incident_id = $1 and e.sequence > $2 order by e.sequence desc limit $3""",
                incident_id,
                after_sequence,
                limit,
            )
        return [_entry(row) for row in rows]

    async def photo_key(self, scope: Scope, incident_id: str, photo_id: str) -> tuple[str, str] | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "select agency_id, object_key from incident_photo where photo_id = $1 and incident_id = $2", photo_id, incident_id
            )
        return None if row is None else (row["agency_id"], row["object_key"])

    async def earlier(
        self, scope: Scope, incident: pb.Incident, address_key: str, box: tuple[float, float, float, float] | None, limit: int
    ) -> list[pb.Incident]:
        south, west, north, east = box if box is not None else (1.0, 1.0, 0.0, 0.0)
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select body from incident where agency_id = $1 and incident_id <> $2
                       and ((address_key <> '' and address_key = $3) or (latitude between $4 and $6 and longitude between $5 and $7))
                   order by occurred_at desc limit $8""",
                incident.agency_id,
                incident.incident_id,
                address_key,
                south,
                west,
                north,
                east,
                limit,
            )
        return [pb.Incident.FromString(row["body"]) for row in rows]

    async def forget_alerts(self, scope: Scope, now: datetime, older_than: timedelta) -> None:
        """Those that were attached stay."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from known_alert where occurred_at < $1 and incident_id is null", now - older_than)


class IncidentTransaction:
    """Statements of one transaction."""

    def __init__(self, connection: Any, outbox: Outbox) -> None:
        self._connection = connection
        self._outbox = outbox

    async def next_count(self, agency_id: str, year: int) -> int:
        count: int = await self._connection.fetchval(
            """insert into incident_number (agency_id, year, newest) values ($1, $2, 1)
               on conflict (agency_id, year) do update set newest = incident_number.newest + 1 returning newest""",
            agency_id,
            year,
        )
        return count

    async def lock(self, incident_id: str) -> Record | None:
        row = await self._connection.fetchrow("select body, held, call_at from incident where incident_id = $1 for update", incident_id)
        return None if row is None else Record(pb.Incident.FromString(row["body"]), set(row["held"]), row["call_at"])

    async def insert(self, record: Record, entries: Sequence[pb.TimelineEntry], now: datetime) -> None:
        incident = record.incident
        self._number_entries(record, entries, now)
        inserted = await self._connection.fetchval(
            """insert into incident (incident_id, agency_id, number, state, priority, occurred_at, latitude, longitude, address_key, held,
                                     call_at, revision, body)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict (incident_id) do nothing returning true""",
            incident.incident_id,
            incident.agency_id,
            incident.number,
            *_columns(record),
        )
        if not inserted:
            raise Conflict("The incident was made by a repeat of this request at the same moment: read it again.")
        await self._write(incident, entries)

    async def save(self, record: Record, entries: Sequence[pb.TimelineEntry], now: datetime) -> None:
        self._number_entries(record, entries, now)
        await self._connection.execute(
            """update incident set state = $2, priority = $3, occurred_at = $4, latitude = $5, longitude = $6, address_key = $7, held = $8,
                   call_at = $9, revision = $10, body = $11 where incident_id = $1""",
            record.incident.incident_id,
            *_columns(record),
        )
        await self._write(record.incident, entries)

    def _number_entries(self, record: Record, entries: Sequence[pb.TimelineEntry], now: datetime) -> None:
        incident = record.incident
        incident.revision += 1
        incident.changed_at.FromDatetime(now)
        for entry in entries:
            incident.timeline_entries += 1
            entry.sequence = incident.timeline_entries

    async def _write(self, incident: pb.Incident, entries: Sequence[pb.TimelineEntry]) -> None:
        if entries:
            await self._connection.executemany(
                "insert into timeline_entry (entry_id, agency_id, incident_id, sequence, corrects, body) values ($1, $2, $3, $4, $5, $6)",
                [
                    (e.entry_id, incident.agency_id, incident.incident_id, e.sequence, e.corrects or None, e.SerializeToString())
                    for e in entries
                ],
            )
        await self._outbox.add(
            self._connection,
            incident_subject(incident.agency_id),
            incident,
            message_id=f"{incident.incident_id}:{incident.revision}",
            agency_id=incident.agency_id,
        )

    async def entry(self, entry_id: str) -> tuple[pb.TimelineEntry | None, bool]:
        row = await self._connection.fetchrow(
            """select e.sequence, e.body, c.entry_id as corrected_by from timeline_entry e
               left join timeline_entry c on c.corrects = e.entry_id where e.entry_id = $1""",
            entry_id,
        )
        return (None, False) if row is None else (_entry(row), row["corrected_by"] is not None)

    async def lock_signals(self, agency_id: str) -> None:
        await self._connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 4))", agency_id)

    async def incident_of_call(self, agency_id: str, call_id: str) -> str:
        found = await self._connection.fetchval(
            "select incident_id from incident_call where agency_id = $1 and call_id = $2", agency_id, call_id
        )
        return str(found or "")

    async def bind_call(self, agency_id: str, call_id: str, incident_id: str) -> None:
        await self._connection.execute(
            "insert into incident_call (agency_id, call_id, incident_id) values ($1, $2, $3)", agency_id, call_id, incident_id
        )

    async def lock_unit(self, unit_id: str) -> str:
        await self._connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 2))", unit_id)
        return str(await self._connection.fetchval("select incident_id from unit_work where unit_id = $1", unit_id) or "")

    async def set_work(self, agency_id: str, unit_id: str, incident_id: str) -> None:
        await self._connection.execute(
            """insert into unit_work (unit_id, agency_id, incident_id) values ($1, $2, $3)
               on conflict (unit_id) do update set incident_id = excluded.incident_id""",
            unit_id,
            agency_id,
            incident_id,
        )

    async def end_work(self, incident_id: str, unit_ids: Sequence[str]) -> None:
        await self._connection.execute(
            "delete from unit_work where incident_id = $1 and unit_id = any($2::text[])", incident_id, list(unit_ids)
        )

    async def note_alerts(self, alerts: Sequence[KnownAlert]) -> set[str]:
        coordinates = [alert.happening.coordinate for alert in alerts]
        rows = await self._connection.fetch(
            """insert into known_alert (alert_id, agency_id, occurred_at, latitude, longitude, body)
               select distinct on (1) * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::float8[], $5::float8[], $6::bytea[])
               on conflict (alert_id) do nothing returning alert_id""",
            [alert.reference.alert_id for alert in alerts],
            [alert.agency_id for alert in alerts],
            [alert.occurred_at for alert in alerts],
            [None if coordinate is None else coordinate.latitude_deg for coordinate in coordinates],
            [None if coordinate is None else coordinate.longitude_deg for coordinate in coordinates],
            [alert.reference.SerializeToString() for alert in alerts],
        )
        return {row["alert_id"] for row in rows}

    async def lock_alert(self, alert_id: str) -> KnownAlert | None:
        row = await self._connection.fetchrow(
            "select agency_id, body, occurred_at, incident_id, entry_id from known_alert where alert_id = $1 for update", alert_id
        )
        return None if row is None else _known(row)

    async def bind_alert(self, alert_id: str, incident_id: str, entry_id: str, *, detached: bool) -> None:
        await self._connection.execute(
            "update known_alert set incident_id = $2, entry_id = $3, detached = $4 where alert_id = $1",
            alert_id,
            incident_id or None,
            entry_id,
            detached,
        )

    async def free_alerts(self, agency_id: str, since: datetime, until: datetime) -> list[KnownAlert]:
        rows = await self._connection.fetch(
            """select agency_id, body, occurred_at, incident_id, entry_id from known_alert
               where agency_id = $1 and occurred_at between $2 and $3 and incident_id is null and not detached
               order by occurred_at, alert_id limit 200""",
            agency_id,
            since,
            until,
        )
        return [_known(row) for row in rows]

    async def open_incidents(self, agency_id: str, since: datetime, until: datetime) -> list[Happening]:
        rows = await self._connection.fetch(
            """select body from incident where agency_id = $1 and state = 'open' and occurred_at between $2 and $3
               order by occurred_at desc limit 500""",
            agency_id,
            since,
            until,
        )
        found = [pb.Incident.FromString(row["body"]) for row in rows]
        return [
            Happening(item.incident_id, item.position.coordinate, item.occurred_at.ToDatetime(UTC))
            for item in found
            if item.position.HasField("coordinate")
        ]

    async def add_photo(self, photo_id: str, agency_id: str, incident_id: str, object_key: str) -> None:
        try:
            await self._connection.execute(
                "insert into incident_photo (photo_id, agency_id, incident_id, object_key) values ($1, $2, $3, $4)",
                photo_id,
                agency_id,
                incident_id,
                object_key,
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict("The photo was added by a repeat of this request at the same moment: read the timeline again.") from error


def _columns(record: Record) -> tuple[Any, ...]:
    """state ... body, in the order of the table."""
    incident = record.incident
    coordinate = incident.position.coordinate if incident.position.HasField("coordinate") else None
    return (
        _STATES[incident.state],
        incident.priority,
        incident.occurred_at.ToDatetime(UTC),
        None if coordinate is None else coordinate.latitude_deg,
        None if coordinate is None else coordinate.longitude_deg,
        address_key(incident.address),
        sorted(record.held),
        record.call_at,
        incident.revision,
        incident.SerializeToString(),
    )


def _entry(row: Any) -> pb.TimelineEntry:
    entry = pb.TimelineEntry.FromString(row["body"])
    entry.sequence, entry.corrected_by = row["sequence"], row["corrected_by"] or ""
    return entry


def _known(row: Any) -> KnownAlert:
    return KnownAlert(
        row["agency_id"], pb.AlertReference.FromString(row["body"]), row["occurred_at"], row["incident_id"] or "", row["entry_id"]
    )
