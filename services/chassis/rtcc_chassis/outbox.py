"""Transactional outbox: a message is written in the transaction that it tells about and published, acknowledged, right after."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from prometheus_client import Gauge

from rtcc_chassis.bus import Bus, Outgoing
from rtcc_chassis.database import Database
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)
_BATCH = 500
_MEASURE_EVERY_S = 10.0
WAITING = Gauge("rtcc_outbox_messages", "Messages of committed transactions that NATS has not taken yet.", ["service"])
OLDEST = Gauge("rtcc_outbox_oldest_timestamp_seconds", "When the oldest of them was written, Unix time; 0: none waits.", ["service"])


class Outbox:
    """Migrations make its table with `select rtcc_create_outbox();`. Several instances of a service may run it."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._scope = Scope.platform(database.service)
        self._wake = asyncio.Event()
        self._dirty = True
        self._measured_at = -_MEASURE_EVERY_S
        database.on_commit(self._on_commit)

    async def add(
        self,
        connection: Any,
        subject: str,
        message: Message | bytes,
        *,
        message_id: str,
        agency_id: str,
        event_type: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Part of the caller's transaction; published once it commits."""
        await self.add_many(connection, [Outgoing(subject, message, message_id, agency_id, event_type, headers or {})])

    async def add_many(self, connection: Any, messages: list[Outgoing]) -> None:
        """As `add`; one statement for all."""
        rows = [(m.agency_id, m.subject, m.message_id, m.event_type, json.dumps(m.all_headers()), m.body()) for m in messages]
        await connection.execute(
            """insert into rtcc_outbox (agency_id, subject, message_id, event_type, headers, body)
               select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::bytea[])""",
            *(list(column) for column in zip(*rows, strict=True)),
        )
        self._dirty = True

    def _on_commit(self) -> None:
        if self._dirty:
            self._wake.set()

    async def run(self) -> None:
        """Publish in order, for ever; looks by itself every second, so nothing waits for a lost signal."""
        while True:
            self._wake.clear()
            self._dirty = False
            try:
                while await self._publish_batch():
                    pass
                await self._measure()
            except RtccError as error:
                _LOG.warning("outbox of %s: waiting, %s", self._database.service, error)
                self._dirty = True
                await self._measure()
                await asyncio.sleep(0.5)
                continue
            try:
                async with asyncio.timeout(1):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _measure(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._measured_at < _MEASURE_EVERY_S:
            return
        self._measured_at = now
        try:
            async with self._database.transaction(self._scope) as connection:
                row = await connection.fetchrow("select count(*) as waiting, min(written_at) as oldest from rtcc_outbox")
        except RtccError:
            # the database is away: the last values stand, and its own service says so
            return
        WAITING.labels(self._database.service).set(row["waiting"])
        OLDEST.labels(self._database.service).set(row["oldest"].timestamp() if row["oldest"] else 0)

    async def _publish_batch(self) -> bool:
        async with self._database.transaction(self._scope) as connection:
            if not await connection.fetchval("select pg_try_advisory_xact_lock(hashtext($1))", f"rtcc-outbox-{self._database.service}"):
                return False
            rows = await connection.fetch(
                "select sequence, agency_id, subject, message_id, event_type, headers, body from rtcc_outbox order by sequence limit $1",
                _BATCH,
            )
            if not rows:
                return False
            await self._bus.publish_many(
                [
                    Outgoing(
                        r["subject"],
                        r["body"],
                        r["message_id"],
                        r["agency_id"],
                        r["event_type"],
                        {k: v for k, v in json.loads(r["headers"]).items()},
                    )
                    for r in rows
                ]
            )
            await connection.execute("delete from rtcc_outbox where sequence = any($1::bigint[])", [row["sequence"] for row in rows])
        return len(rows) == _BATCH
