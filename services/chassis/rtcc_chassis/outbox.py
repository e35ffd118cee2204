"""Transactional outbox: a message is written in the transaction that it tells about and published, acknowledged, right after.

A message that this process committed is published from memory; its row is what survives a crash, and goes once the message is
acknowledged. Rows of an earlier life, of another instance that died, or of a failed publish are read from the table.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message
from prometheus_client import Gauge

from rtcc_chassis.bus import Bus, Outgoing
from rtcc_chassis.database import Database
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)
_BATCH = 500
# more than this waiting in memory: the table is read instead
_MOST_READY = 20_000
_LOOK_EVERY_S = 1.0
_FORGET_EVERY_S = 0.1
_RETRY_S = 0.5
_LAST_FORGET_S = 3.0
_MEASURE_EVERY_S = 10.0
WAITING = Gauge("rtcc_outbox_messages", "Messages of committed transactions that NATS has not taken yet.", ["service"])
OLDEST = Gauge("rtcc_outbox_oldest_timestamp_seconds", "When the oldest of them was written, Unix time; 0: none waits.", ["service"])


class Outbox:
    """Migrations make its table with `select rtcc_create_outbox();`. Several instances of a service may run it."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._scope = Scope.platform(database.service)
        # by the id() of the connection whose transaction wrote them
        self._uncommitted: dict[int, list[tuple[int, Outgoing]]] = {}
        self._ready: deque[tuple[int, Outgoing]] = deque()
        self._wake = asyncio.Event()
        # the rows of what is ready or published and not yet forgotten: no business of a look at the table
        self._known: set[int] = set()
        self._published: list[int] = []
        # the table may hold what memory does not
        self._behind = True
        self._measured_at = -_MEASURE_EVERY_S
        database.on_end(self._on_end)

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
        frozen = [frozen_message(message) for message in messages]
        rows = await connection.fetch(
            """insert into rtcc_outbox (agency_id, subject, message_id, event_type, headers, body)
               select agency_id, subject, message_id, event_type, headers, body
               from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::bytea[])
                    with ordinality as m(agency_id, subject, message_id, event_type, headers, body, position)
               order by position returning sequence""",
            *columns_of(frozen),
        )
        # identity values follow the order of the insert
        sequences = sorted(row["sequence"] for row in rows)
        self._uncommitted.setdefault(id(connection), []).extend(zip(sequences, frozen, strict=True))

    def committed(self, messages: Sequence[tuple[int, Outgoing]]) -> None:
        """Rows that a statement of the caller's own wrote and that are durable: (sequence, message) in order."""
        if not messages:
            return
        if len(self._ready) + len(messages) > _MOST_READY:
            self._behind = True
        else:
            self._ready.extend(messages)
            self._known.update(sequence for sequence, _ in messages)
        self._wake.set()

    def _on_end(self, connection: Any, *, committed: bool) -> None:
        messages = self._uncommitted.pop(id(connection), None)
        if messages and committed:
            self.committed(messages)

    async def run(self) -> None:
        """Publish in order, for ever; looks at the table by itself every second, so nothing waits for a lost signal."""
        forgetting = asyncio.create_task(self._forget_for_ever(), name=f"{self._database.service} outbox forgets")
        looked_at = 0.0
        try:
            while True:
                self._wake.clear()
                try:
                    if self._behind or time.monotonic() - looked_at > _LOOK_EVERY_S:
                        await self._catch_up()
                        looked_at = time.monotonic()
                    while self._ready and not self._behind:
                        await self._publish_ready()
                    await self._measure()
                except RtccError as error:
                    _LOG.warning("outbox of %s: waiting, %s", self._database.service, error)
                    self._behind = True
                    await self._measure()
                    await asyncio.sleep(_RETRY_S)
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._wake.wait()
        finally:
            forgetting.cancel()
            await asyncio.gather(forgetting, return_exceptions=True)

    async def _measure(self) -> None:
        now = time.monotonic()
        if now - self._measured_at < _MEASURE_EVERY_S:
            return
        self._measured_at = now
        try:
            async with self._database.transaction(self._scope) as connection:
                row = await connection.fetchrow(
                    "select count(*) as waiting, min(written_at) as oldest from rtcc_outbox where sequence <> all($1::bigint[])",
                    self._published,
                )
        except RtccError:
            # the database is away: the last values stand, and its own service says so
            return
        WAITING.labels(self._database.service).set(row["waiting"])
        OLDEST.labels(self._database.service).set(row["oldest"].timestamp() if row["oldest"] else 0)

    async def _publish_ready(self) -> None:
        batch = [self._ready.popleft() for _ in range(min(_BATCH, len(self._ready)))]
        await self._bus.publish_many([message for _, message in batch])
        self._published.extend(sequence for sequence, _ in batch)

    async def _catch_up(self) -> None:
        """What the table holds and memory doesn't; when behind, memory is dropped first, so that the order of the table stands."""
        if self._behind:
            self._ready.clear()
            self._known = set(self._published)
        while await self._publish_stored():
            pass
        self._behind = False

    async def _publish_stored(self) -> bool:
        async with self._database.transaction(self._scope) as connection:
            if not await connection.fetchval("select pg_try_advisory_xact_lock(hashtext($1))", f"rtcc-outbox-{self._database.service}"):
                return False
            # a young row belongs to the instance that wrote it, as long as that one lives
            rows = await connection.fetch(
                """select sequence, agency_id, subject, message_id, event_type, headers, body from rtcc_outbox
                   where sequence <> all($2::bigint[]) and ($3 or written_at < now() - interval '1 second') order by sequence limit $1""",
                _BATCH,
                list(self._known),
                self._behind,
            )
            if not rows:
                return False
            await self._bus.publish_many([_stored(row) for row in rows])
            await connection.execute("delete from rtcc_outbox where sequence = any($1::bigint[])", [row["sequence"] for row in rows])
        return len(rows) == _BATCH

    async def _forget_for_ever(self) -> None:
        try:
            while True:
                await asyncio.sleep(_FORGET_EVERY_S)
                try:
                    await self._forget()
                except RtccError as error:
                    _LOG.info("outbox of %s: published rows stay a while, %s", self._database.service, error)
        except asyncio.CancelledError:
            # a clean stop leaves nothing that a later life would publish again
            with contextlib.suppress(RtccError, TimeoutError):
                async with asyncio.timeout(_LAST_FORGET_S):
                    await self._forget()
            raise

    async def _forget(self) -> None:
        if not self._published:
            return
        gone, self._published = self._published, []
        try:
            async with self._database.transaction(self._scope) as connection:
                # a delete that a crash undoes is a message published again under its id, which the stream and every reader ignore:
                # it needs no fsync of its own
                await connection.execute("set local synchronous_commit = off")
                await connection.execute("delete from rtcc_outbox where sequence = any($1::bigint[])", gone)
        except BaseException:
            self._published = gone + self._published
            raise
        self._known.difference_update(gone)


def frozen_message(message: Outgoing) -> Outgoing:
    """As it will be published, whenever that is: the trace and the time of now, the body as bytes."""
    return Outgoing(message.subject, message.body(), message.message_id, message.agency_id, message.event_type, message.all_headers())


def columns_of(frozen: Sequence[Outgoing]) -> list[list[Any]]:
    """agency_id, subject, message_id, event_type, headers as JSON, body."""
    rows = [(m.agency_id, m.subject, m.message_id, m.event_type, json.dumps(dict(m.headers)), m.message) for m in frozen]
    return [list(column) for column in zip(*rows, strict=True)]


def _stored(row: Any) -> Outgoing:
    return Outgoing(row["subject"], row["body"], row["message_id"], row["agency_id"], row["event_type"], json.loads(row["headers"]))
