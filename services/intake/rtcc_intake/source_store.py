"""Mappings, recordings, feeds and certificates of sources in PostgreSQL."""

import json
from datetime import datetime, timedelta
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_intake.app.ports import Feed, Recorded, SourceCertificate, StoredMapping

# recordings hold what people sent about people: they are a tool, not an archive
KEEP_RECORDINGS = timedelta(days=7)
_MAXIMUM_RECORDED_BYTES = 16 * 1024 * 1024
_FEED = "source_id, agency_id, url, every_s, header_name, header_value, fetched_at, problem, vehicles"


class SourceStore:
    """Implements `app.ports.SourceStore`: every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mapping(self, scope: Scope, source_id: str) -> StoredMapping | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select * from source_mapping where source_id = $1", source_id)
        return None if row is None else _mapping(row)

    async def put_mapping(self, scope: Scope, mapping: StoredMapping) -> StoredMapping:
        """The answer has the new revision."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                """insert into source_mapping (source_id, agency_id, revision, mapping, changed_at, changed_by)
                   values ($1, $2, 1, $3::jsonb, $4, $5)
                   on conflict (source_id) do update set revision = source_mapping.revision + 1, mapping = excluded.mapping,
                       changed_at = excluded.changed_at, changed_by = excluded.changed_by
                   returning *""",
                mapping.source_id,
                mapping.agency_id,
                json.dumps(mapping.document),
                mapping.changed_at,
                mapping.changed_by,
            )
        return _mapping(row)

    async def start_recording(self, scope: Scope, source_id: str, agency_id: str, count: int, now: datetime) -> None:
        """The recording before goes, and those of the agency that are a week old."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                "delete from recorded_delivery where source_id = $1 or received_at < $2", source_id, now - KEEP_RECORDINGS
            )
            await connection.execute(
                """insert into source_recording (source_id, agency_id, remaining, started_at) values ($1, $2, $3, $4)
                   on conflict (source_id) do update set remaining = excluded.remaining, started_at = excluded.started_at""",
                source_id,
                agency_id,
                count,
                now,
            )

    async def recording(self, scope: Scope) -> set[str]:
        """Sources that are being recorded; a recording that nobody filled in a week has ended."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select source_id from source_recording where remaining > 0 and started_at > now() - $1::interval", KEEP_RECORDINGS
            )
        return {row["source_id"] for row in rows}

    async def record(self, scope: Scope, source_id: str, agency_id: str, delivery: Recorded) -> bool:
        """Keep it once; False: the recording is complete, by number or by size."""
        async with self._database.transaction(scope) as connection:
            remaining = await connection.fetchval("select remaining from source_recording where source_id = $1 for update", source_id)
            if not remaining:
                return False
            status = await connection.execute(
                """insert into recorded_delivery (source_id, agency_id, delivery_id, received_at, body) values ($1, $2, $3, $4, $5)
                   on conflict (source_id, delivery_id) do nothing""",
                source_id,
                agency_id,
                delivery.delivery_id,
                delivery.received_at,
                delivery.body,
            )
            size = await connection.fetchval("select sum(length(body)) from recorded_delivery where source_id = $1", source_id)
            left = remaining - (1 if status == "INSERT 0 1" else 0) if size < _MAXIMUM_RECORDED_BYTES else 0
            await connection.execute("update source_recording set remaining = $2 where source_id = $1", source_id, left)
        return bool(left)

    async def recorded(self, scope: Scope, source_id: str) -> tuple[list[Recorded], int]:
        """(what was recorded, newest first; how many more will be)"""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select * from recorded_delivery where source_id = $1 order by received_at desc", source_id)
            remaining = await connection.fetchval("select remaining from source_recording where source_id = $1", source_id)
        return [Recorded(row["delivery_id"], row["received_at"], row["body"]) for row in rows], remaining or 0

    async def feed(self, scope: Scope, source_id: str) -> Feed | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(f"select {_FEED} from source_feed where source_id = $1", source_id)
        return None if row is None else Feed(**dict(row))

    async def put_feed(self, scope: Scope, feed: Feed, now: datetime) -> None:
        """Due at once."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """insert into source_feed (source_id, agency_id, url, every_s, header_name, header_value, next_at)
                   values ($1, $2, $3, $4, $5, $6, $7)
                   on conflict (source_id) do update set url = excluded.url, every_s = excluded.every_s,
                       header_name = excluded.header_name, header_value = excluded.header_value, next_at = excluded.next_at,
                       problem = ''""",
                feed.source_id,
                feed.agency_id,
                feed.url,
                feed.every_s,
                feed.header_name,
                feed.header_value,
                now,
            )

    async def claim_feeds(self, scope: Scope, now: datetime, limit: int) -> list[Feed]:
        """Feeds that are due, each given to one asker only until it is due again."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                f"""update source_feed set next_at = $1 + make_interval(secs => every_s)
                    where source_id in (
                        select source_id from source_feed where next_at <= $1 order by next_at limit $2 for update skip locked)
                    returning {_FEED}""",
                now,
                limit,
            )
        return [Feed(**dict(row)) for row in rows]

    async def feed_fetched(self, scope: Scope, feed: Feed) -> None:
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                "update source_feed set fetched_at = $2, problem = $3, vehicles = $4 where source_id = $1",
                feed.source_id,
                feed.fetched_at,
                feed.problem.replace("\0", ""),
                feed.vehicles,
            )

    async def put_certificate(self, scope: Scope, certificate: SourceCertificate) -> None:
        """The one before is void."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """insert into source_certificate (source_id, agency_id, fingerprint_sha256, certificate, valid_until)
                   values ($1, $2, $3, $4, $5)
                   on conflict (source_id) do update set fingerprint_sha256 = excluded.fingerprint_sha256,
                       certificate = excluded.certificate, valid_until = excluded.valid_until""",
                certificate.source_id,
                certificate.agency_id,
                certificate.fingerprint_sha256,
                certificate.certificate,
                certificate.valid_until,
            )

    async def certificates(self, scope: Scope, now: datetime) -> list[SourceCertificate]:
        """Those that are valid."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select * from source_certificate where valid_until > $1", now)
        return [SourceCertificate(**dict(row)) for row in rows]


def _mapping(row: Any) -> StoredMapping:
    return StoredMapping(
        row["source_id"], row["agency_id"], row["revision"], json.loads(row["mapping"]), row["changed_at"], row["changed_by"]
    )
