"""The archive of events and the quarantine in PostgreSQL."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rtcc.event.v1 import event_pb2
from rtcc_chassis.database import Database
from rtcc_chassis.errors import Exhausted
from rtcc_chassis.scope import Scope
from rtcc_intake.domain import EntryStatus, QuarantineEntry, like_pattern, thing_of

# a thing without news for so long leaves the list of newest states; the archive keeps it
_THING_DAYS = 8


class IntakeStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_events(self, scope: Scope, events: Sequence[event_pb2.Event], sequences: Sequence[int] | None = None) -> int:
        """Archive a batch; the answer is how many were new. Repeated ones change nothing.

        `sequences`: where each stands in the stream, so that it can be erased there when its time is over (R22).
        """
        places: Sequence[int | None] = sequences if sequences is not None else [None] * len(events)
        rows = [(*_event_row(event), place) for event, place in zip(events, places, strict=True)]
        async with self._database.transaction(scope) as connection:
            status = await connection.execute(
                """insert into event (event_id, agency_id, source_id, kind, occurred_at, received_at, latitude_deg, longitude_deg,
                                      plate, camera_id, call_id, body, image_object, stream_sequence)
                   select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::float8[],
                                        $8::float8[], $9::text[], $10::text[], $11::text[], $12::bytea[], $13::text[], $14::bigint[])
                   on conflict (event_id) do nothing""",
                *(list(column) for column in zip(*rows, strict=True)),
            )
            await _keep_newest(connection, events)
            await _keep_warnings(connection, events)
        return int(status.rsplit(" ", 1)[-1])

    async def has_event(self, scope: Scope, event_id: str) -> bool:
        async with self._database.transaction(scope) as connection:
            return await connection.fetchval("select true from event where event_id = $1", event_id) is True

    async def search_plates(
        self, scope: Scope, pattern: str, since: datetime | None, until: datetime | None, limit: int
    ) -> list[event_pb2.Event]:
        """`pattern`: normalised, "?" for one character. Newest first."""
        prefix = pattern.split("?", 1)[0]
        # "~" sorts behind every character of a plate
        bounds = (pattern, pattern) if prefix == pattern else (prefix, prefix + "~")
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select body from event
                   where agency_id = $1 and plate >= $2 and plate <= $3 and plate like $4
                     and occurred_at >= coalesce($5, '-infinity'::timestamptz) and occurred_at < coalesce($6, 'infinity'::timestamptz)
                   order by occurred_at desc limit $7""",
                scope.agency_id,
                *bounds,
                like_pattern(pattern),
                since,
                until,
                limit,
            )
        return [event_pb2.Event.FromString(row["body"]) for row in rows]

    async def newest_calls(self, scope: Scope, since: datetime, limit: int) -> list[event_pb2.Event]:
        """The newest event of each call that had one since then."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select body from (
                       select distinct on (call_id) call_id, occurred_at, body from event
                       where agency_id = $1 and kind = 'call_for_service' and occurred_at >= $2
                       order by call_id, occurred_at desc, received_at desc) newest
                   order by occurred_at desc limit $3""",
                scope.agency_id,
                since,
                limit,
            )
        return [event_pb2.Event.FromString(row["body"]) for row in rows]

    async def newest_things(self, scope: Scope, kinds: Sequence[str], since: datetime, now: datetime, limit: int) -> list[event_pb2.Event]:
        """The newest event of each thing that had one since then, isn't over and hasn't ended; newest first."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select body from thing
                   where agency_id = $1 and kind = any($2) and not over and occurred_at >= $3 and coalesce(ends_at, 'infinity') > $4
                   order by occurred_at desc limit $5""",
                scope.agency_id,
                list(kinds),
                since,
                now,
                limit,
            )
        return [event_pb2.Event.FromString(row["body"]) for row in rows]

    async def warning_of(self, scope: Scope, message_ids: Sequence[str]) -> str:
        """The warning that the earliest known of these CAP messages ("sender,identifier") belongs to; "": none is known."""
        async with self._database.transaction(scope) as connection:
            warning_id = await connection.fetchval(
                "select warning_id from warning_message where agency_id = $1 and message_id = any($2) order by sent_at limit 1",
                scope.agency_id,
                list(message_ids),
            )
        return str(warning_id or "")

    async def add_quarantined(self, scope: Scope, entry: QuarantineEntry, limit: int) -> None:
        """Store once; raises Exhausted when `limit` entries of the source wait already."""
        async with self._database.transaction(scope) as connection:
            waiting = await connection.fetchval(
                "select count(*) from quarantine where agency_id = $1 and source_id = $2 and status = 'waiting' and quarantine_id <> $3",
                entry.agency_id,
                entry.source_id,
                entry.quarantine_id,
            )
            if waiting >= limit:
                raise Exhausted(f"the quarantine of source {entry.source_id}", limit)
            await connection.execute(
                """insert into quarantine (quarantine_id, agency_id, source_id, service, received_at, reason, place, body,
                                           attempts, delivery_id, subject, headers)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb) on conflict (quarantine_id) do nothing""",
                entry.quarantine_id,
                entry.agency_id,
                entry.source_id,
                entry.service,
                entry.received_at,
                _storable(entry.reason),
                _storable(entry.place),
                entry.body,
                entry.attempts,
                entry.delivery_id,
                entry.subject,
                json.dumps(dict(entry.headers or {})),
            )

    async def count_waiting(self, scope: Scope) -> dict[str, int]:
        """Quarantine entries that wait, by agency."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select agency_id, count(*) filter (where status = 'waiting') as waiting from quarantine group by agency_id"
            )
        return {row["agency_id"]: row["waiting"] for row in rows}

    async def list_quarantined(self, scope: Scope, status: EntryStatus, limit: int) -> list[QuarantineEntry]:
        """Newest first; the bodies are cut to what the excerpt needs."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select *, substring(body for 2048) as body_start, length(body) as size_bytes from quarantine
                   where agency_id = $1 and status = $2 order by received_at desc limit $3""",
                scope.agency_id,
                status.value,
                limit,
            )
        return [_entry(row, row["body_start"]) for row in rows]

    async def get_quarantined(self, scope: Scope, quarantine_id: str) -> QuarantineEntry | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select *, length(body) as size_bytes from quarantine where quarantine_id = $1", quarantine_id)
        return _entry(row, row["body"]) if row is not None else None

    async def decide_quarantined(self, scope: Scope, entry: QuarantineEntry, decided_at: datetime, event_id: str, reason: str) -> bool:
        """Write the decision if the entry still waits; False: somebody else was first."""
        async with self._database.transaction(scope) as connection:
            status = await connection.execute(
                """update quarantine set status = $2, attempts = $3, reason = $4, place = $5, event_id = $6, decided_by = $7,
                                         decided_at = $8, decided_reason = $9
                   where quarantine_id = $1 and status = 'waiting'""",
                entry.quarantine_id,
                entry.status.value,
                entry.attempts,
                _storable(entry.reason),
                _storable(entry.place),
                event_id,
                scope.principal_id,
                decided_at,
                reason,
            )
        return bool(status == "UPDATE 1")


async def _keep_newest(connection: Any, events: Sequence[event_pb2.Event]) -> None:
    newest: dict[tuple[str, str, str], tuple[Any, ...]] = {}
    for event in events:
        thing = thing_of(event)
        if thing is None:
            continue
        key = (event.agency_id, event.kind, _storable(thing.thing_id))
        occurred_at = event.occurred_at.ToDatetime(UTC)
        if key not in newest or newest[key][3] <= occurred_at:
            received_at = event.received_at.ToDatetime(UTC)
            newest[key] = (*key, occurred_at, received_at, thing.over, thing.ends_at, event.SerializeToString())
    if not newest:
        return
    await connection.execute(
        """insert into thing (agency_id, kind, thing_id, occurred_at, received_at, over, ends_at, body)
           select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::boolean[],
                                $7::timestamptz[], $8::bytea[])
           on conflict (agency_id, kind, thing_id) do update set occurred_at = excluded.occurred_at, received_at = excluded.received_at,
               over = excluded.over, ends_at = excluded.ends_at, body = excluded.body
           where thing.occurred_at <= excluded.occurred_at""",
        *(list(column) for column in zip(*newest.values(), strict=True)),
    )
    await connection.execute("delete from thing where occurred_at < now() - make_interval(days => $1)", _THING_DAYS)


async def _keep_warnings(connection: Any, events: Sequence[event_pb2.Event]) -> None:
    rows = [
        (event.agency_id, _storable(f"{event.warning.sender},{event.warning.identifier}"), event.warning.warning_id, event.warning.sent_at)
        for event in events
        if event.HasField("warning")
    ]
    if not rows:
        return
    await connection.executemany(
        """insert into warning_message (agency_id, message_id, warning_id, sent_at) values ($1, $2, $3, $4)
           on conflict (agency_id, message_id) do nothing""",
        [(*row[:3], row[3].ToDatetime(UTC)) for row in rows],
    )


def _storable(text: str) -> str:
    """PostgreSQL text holds neither NUL nor lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", errors="backslashreplace").decode()


def _event_row(event: event_pb2.Event) -> tuple[Any, ...]:
    coordinate = event.position.coordinate if event.position.HasField("coordinate") else None
    return (
        event.event_id,
        event.agency_id,
        event.source_id,
        event.kind,
        event.occurred_at.ToDatetime(UTC),
        event.received_at.ToDatetime(UTC),
        coordinate.latitude_deg if coordinate else None,
        coordinate.longitude_deg if coordinate else None,
        event.plate_read.plate if event.HasField("plate_read") else None,
        event.plate_read.camera_id if event.HasField("plate_read") else None,
        event.call_for_service.call_id if event.HasField("call_for_service") else None,
        event.SerializeToString(),
        event.plate_read.image_object or None if event.HasField("plate_read") else None,
    )


def _entry(row: Any, body: bytes) -> QuarantineEntry:
    return QuarantineEntry(
        quarantine_id=row["quarantine_id"],
        agency_id=row["agency_id"],
        source_id=row["source_id"],
        received_at=row["received_at"],
        reason=row["reason"],
        place=row["place"],
        body=body,
        status=EntryStatus(row["status"]),
        service=row["service"],
        attempts=row["attempts"],
        delivery_id=row["delivery_id"],
        subject=row["subject"],
        headers=json.loads(row["headers"]),
        size_bytes=row["size_bytes"],
    )
