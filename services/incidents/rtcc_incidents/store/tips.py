"""Tips, their bounds, and the tip line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from rtcc.event.v1 import event_pb2
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import directory_subject, event_subject
from rtcc_incidents.app.ports import StoredTip
from rtcc_incidents.domain.tips import Told
from rtcc_incidents.store.incidents import IncidentTransaction

_STATES = {
    pb.TIP_STATE_NEW: "new",
    pb.TIP_STATE_ACCEPTED: "accepted",
    pb.TIP_STATE_REJECTED: "rejected",
    pb.TIP_STATE_SPAM: "spam",
}


class TipStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator["TipTransaction"]:
        async with self._database.transaction(scope) as connection:
            yield TipTransaction(connection, self._outbox)

    async def list_tips(self, scope: Scope, state: str, *, include_promoted: bool, limit: int) -> list[pb.Tip]:
        """Newest first. `state` "": new and accepted ones."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select body from tip where agency_id = $1 and state = any($2::text[]) and ($3 or incident_id is null)
                   order by received_at desc limit $4""",
                scope.agency_id,
                [state] if state else ["new", "accepted"],
                include_promoted,
                limit,
            )
        return [pb.Tip.FromString(row["body"]) for row in rows]

    async def get(self, scope: Scope, tip_id: str) -> StoredTip | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select body, photo_object, photo from tip where tip_id = $1", tip_id)
        return None if row is None else _stored(row)

    async def get_line(self, scope: Scope, agency_id: str) -> pb.TipLine:
        """Closed until somebody opened it."""
        async with self._database.transaction(scope) as connection:
            body = await connection.fetchval("select body from tip_line where agency_id = $1", agency_id)
        return pb.TipLine(agency_id=agency_id) if body is None else pb.TipLine.FromString(body)

    async def set_line(self, scope: Scope, line: pb.TipLine) -> pb.TipLine:
        async with self._database.transaction(scope) as connection:
            body = await connection.fetchval("select body from tip_line where agency_id = $1 for update", line.agency_id)
            await connection.execute(
                "insert into tip_line (agency_id, body) values ($1, $2) on conflict (agency_id) do update set body = excluded.body",
                line.agency_id,
                line.SerializeToString(),
            )
            subject = directory_subject("tip_line", line.agency_id, line.agency_id)
            await self._outbox.add(connection, subject, line, message_id=new_id(), agency_id=line.agency_id)
        return pb.TipLine(agency_id=line.agency_id) if body is None else pb.TipLine.FromString(body)

    async def forget_senders(self, scope: Scope, now: datetime) -> None:
        """The bounds look one hour back; nothing about a sender is kept longer than two."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from tip_sender where sent_at < $1", now - timedelta(hours=2))


class TipTransaction:
    """Statements of one transaction."""

    def __init__(self, connection: Any, outbox: Outbox) -> None:
        self._connection = connection
        self._outbox = outbox

    @property
    def incidents(self) -> IncidentTransaction:
        return IncidentTransaction(self._connection, self._outbox)

    async def lock_agency(self, agency_id: str) -> None:
        await self._connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 3))", agency_id)

    async def sent_since(self, agency_id: str, sender_hash: str, since: datetime) -> tuple[int, int]:
        row = await self._connection.fetchrow(
            """select count(*) filter (where sender_hash = $2) as own, count(*) as every from tip_sender
               where agency_id = $1 and sent_at > $3""",
            agency_id,
            sender_hash,
            since,
        )
        return int(row["own"]), int(row["every"])

    async def note_sender(self, agency_id: str, sender_hash: str, at: datetime) -> None:
        await self._connection.execute(
            "insert into tip_sender (agency_id, sender_hash, sent_at) values ($1, $2, $3)", agency_id, sender_hash, at
        )

    async def told_since(self, agency_id: str, since: datetime) -> list[Told]:
        rows = await self._connection.fetch(
            """select body from tip where agency_id = $1 and received_at > $2 and state <> 'spam' order by received_at desc limit 500""",
            agency_id,
            since,
        )
        tips = [pb.Tip.FromString(row["body"]) for row in rows]
        return [Told.of(tip, tip.received_at.ToDatetime(UTC)) for tip in tips]

    async def insert(self, stored: StoredTip) -> bool:
        tip = stored.tip
        inserted = await self._connection.fetchval(
            """insert into tip (tip_id, agency_id, state, group_id, received_at, photo_object, photo, revision, body)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (tip_id) do nothing returning true""",
            tip.tip_id,
            tip.agency_id,
            _STATES[tip.state],
            tip.group_id,
            tip.received_at.ToDatetime(UTC),
            stored.photo_object,
            stored.photo.SerializeToString() if stored.photo is not None else None,
            tip.revision,
            tip.SerializeToString(),
        )
        return bool(inserted)

    async def announce(self, stored: StoredTip) -> None:
        tip = stored.tip
        event = event_pb2.Event(event_id=tip.tip_id, agency_id=tip.agency_id, source_id="tip-line", kind="tip")
        event.occurred_at.CopyFrom(tip.occurred_at)
        event.received_at.CopyFrom(tip.received_at)
        if tip.position.HasField("coordinate"):
            event.position.CopyFrom(tip.position)
        # how to reach somebody who told something is for those who read tips, not for every consumer of events
        event.tip.CopyFrom(
            event_pb2.Tip(
                reference_code=tip.reference_code, channel=tip.channel, category=tip.category, text=tip.text, address=tip.address,
                photo_object=stored.photo_object,
            )
        )  # fmt: skip
        await self._outbox.add(self._connection, event_subject(tip.agency_id, "tip"), event, message_id=tip.tip_id, agency_id=tip.agency_id)

    async def lock(self, tip_id: str) -> StoredTip | None:
        row = await self._connection.fetchrow("select body, photo_object, photo from tip where tip_id = $1 for update", tip_id)
        return None if row is None else _stored(row)

    async def lock_group(self, group_id: str) -> list[StoredTip]:
        rows = await self._connection.fetch(
            "select body, photo_object, photo from tip where group_id = $1 order by tip_id for update", group_id
        )
        return [_stored(row) for row in rows]

    async def save(self, tip: pb.Tip) -> None:
        tip.revision += 1
        await self._connection.execute(
            "update tip set state = $2, group_id = $3, incident_id = $4, revision = $5, body = $6 where tip_id = $1",
            tip.tip_id,
            _STATES[tip.state],
            tip.group_id,
            tip.incident_id or None,
            tip.revision,
            tip.SerializeToString(),
        )


def _stored(row: Any) -> StoredTip:
    photo = None if row["photo"] is None else pb.PhotoReference.FromString(row["photo"])
    return StoredTip(pb.Tip.FromString(row["body"]), row["photo_object"], photo)
