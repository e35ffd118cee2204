"""Subscriptions, copies and messages in PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import EVERY_AGENCY, Scope
from rtcc_chassis.streams import directory_subject, shared_alert_subject
from rtcc_exchange.app.ports import Message
from rtcc_exchange.domain import is_open, marker_id, open_marker

DELETED = b""


def acknowledged_subject(grantor_agency_id: str) -> str:
    """Where a grantor hears that a neighbour has taken notice of its alert."""
    return f"shared.{grantor_agency_id}.acknowledged"


class PostgresWork:
    """One transaction; row-level security limits every statement to the scope."""

    def __init__(self, connection: Any, outbox: Outbox, scope: Scope) -> None:
        self._connection = connection
        self._outbox = outbox
        self._scope = scope

    async def subscription(self, subscription_id: str) -> pb.Subscription | None:
        body = await self._connection.fetchval("select record from subscription where subscription_id = $1 for update", subscription_id)
        return None if body is None else pb.Subscription.FromString(body)

    async def subscriptions(self) -> list[pb.Subscription]:
        rows = await self._connection.fetch("select record from subscription order by subscription_id")
        return [pb.Subscription.FromString(row["record"]) for row in rows]

    async def put_subscription(self, subscription: pb.Subscription) -> None:
        await self._connection.execute(
            """insert into subscription (subscription_id, agreement_id, grantor_agency_id, grantee_agency_id, record)
               values ($1, $2, $3, $4, $5) on conflict (subscription_id) do update set record = excluded.record""",
            subscription.subscription_id,
            subscription.agreement_id,
            subscription.grantor_agency_id,
            subscription.grantee_agency_id,
            subscription.SerializeToString(),
        )
        await self._tell_directory("subscription", subscription.grantor_agency_id, subscription.subscription_id, subscription)

    async def delete_subscription(self, subscription: pb.Subscription) -> None:
        await self._connection.execute("delete from subscription where subscription_id = $1", subscription.subscription_id)
        await self._tell_directory("subscription", subscription.grantor_agency_id, subscription.subscription_id, DELETED)

    async def shared(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], pb.SharedAlert]:
        ordered = sorted(keys)
        rows = await self._connection.fetch(
            """select record from shared_alert where (grantee_agency_id, alert_id) in (select * from unnest($1::text[], $2::text[]))
               order by grantee_agency_id, alert_id for update""",
            [grantee for grantee, _ in ordered],
            [alert_id for _, alert_id in ordered],
        )
        copies = [pb.SharedAlert.FromString(row["record"]) for row in rows]
        return {(copy.grantee_agency_id, copy.alert.alert_id): copy for copy in copies}

    async def shared_under(self, agreement_id: str) -> list[pb.SharedAlert]:
        rows = await self._connection.fetch(
            "select record from shared_alert where agreement_id = $1 order by grantee_agency_id, alert_id for update", agreement_id
        )
        return [pb.SharedAlert.FromString(row["record"]) for row in rows]

    async def newest_shared(self, limit: int) -> list[pb.SharedAlert]:
        rows = await self._connection.fetch("select record from shared_alert order by shared_at desc, alert_id limit $1", limit)
        return [pb.SharedAlert.FromString(row["record"]) for row in rows]

    async def open_agreements(self) -> frozenset[str]:
        rows = await self._connection.fetch("select distinct agreement_id from shared_alert where is_open")
        return frozenset(row["agreement_id"] for row in rows)

    async def put_shared(self, shared: pb.SharedAlert, message_id: str) -> None:
        key = (shared.grantee_agency_id, shared.alert.alert_id)
        before = (await self.shared([key])).get(key)
        await self._connection.execute(
            """insert into shared_alert (grantee_agency_id, alert_id, grantor_agency_id, agreement_id, is_open, shared_at, record)
               values ($1, $2, $3, $4, $5, $6, $7)
               on conflict (grantee_agency_id, alert_id) do update set agreement_id = excluded.agreement_id, is_open = excluded.is_open,
                   shared_at = excluded.shared_at, record = excluded.record""",
            *key,
            shared.alert.agency_id,
            shared.agreement_id,
            is_open(shared),
            shared.shared_at.ToDatetime(tzinfo=UTC),
            shared.SerializeToString(),
        )
        await self._mark_open(before, shared)
        await self._add_delivery(shared, shared_alert_subject(shared.grantee_agency_id), message_id)

    async def delete_shared(self, shared: pb.SharedAlert) -> None:
        await self._connection.execute(
            "delete from shared_alert where grantee_agency_id = $1 and alert_id = $2 and agreement_id = $3",
            shared.grantee_agency_id,
            shared.alert.alert_id,
            shared.agreement_id,
        )
        await self._mark_open(shared, None)

    async def tell_grantor(self, shared: pb.SharedAlert, message_id: str) -> None:
        await self._outbox.add(
            self._connection,
            acknowledged_subject(shared.alert.agency_id),
            shared,
            message_id=message_id,
            agency_id=shared.grantee_agency_id,
        )

    async def sent_sequences(self, agreement_id: str, alert_ids: Collection[str] | None) -> list[int]:
        rows = await self._connection.fetch(
            """select stream_sequence from delivery
               where agreement_id = $1 and stream_sequence is not null and ($2::text[] is null or alert_id = any($2))""",
            agreement_id,
            None if alert_ids is None else list(alert_ids),
        )
        return [row["stream_sequence"] for row in rows]

    async def forget_deliveries(self, agreement_id: str, alert_ids: Collection[str] | None) -> None:
        await self._connection.execute(
            "delete from delivery where agreement_id = $1 and ($2::text[] is null or alert_id = any($2))",
            agreement_id,
            None if alert_ids is None else list(alert_ids),
        )

    async def agreements_in_use(self) -> set[str]:
        rows = await self._connection.fetch(
            f"select agreement_id from subscription union all ({_distinct_agreements('shared_alert')}) "
            f"union all ({_distinct_agreements('delivery')})"
        )
        return {row["agreement_id"] for row in rows}

    async def waiting(self, limit: int) -> Sequence[Message]:
        rows = await self._connection.fetch(
            """select number, grantee_agency_id, subject, message_id, body from delivery where stream_sequence is null
               order by number limit $1 for update""",
            limit,
        )
        return [Message(row["number"], row["grantee_agency_id"], row["subject"], row["message_id"], row["body"]) for row in rows]

    async def set_sent(self, sequences: Sequence[tuple[int, int]]) -> None:
        # the body's place is the stream now
        await self._connection.execute(
            """update delivery set stream_sequence = sent.sequence, body = ''
               from unnest($1::bigint[], $2::bigint[]) as sent (number, sequence) where delivery.number = sent.number""",
            [number for number, _ in sequences],
            [sequence for _, sequence in sequences],
        )

    async def hold_still(self) -> None:
        await self._connection.execute("lock table subscription, shared_alert in share mode")

    async def open_copies(self) -> list[pb.SharedAlert]:
        rows = await self._connection.fetch("select record from shared_alert where is_open")
        return [pb.SharedAlert.FromString(row["record"]) for row in rows]

    async def tell_subscription(self, subscription: pb.Subscription, *, exists: bool) -> None:
        body = subscription if exists else DELETED
        await self._tell_directory("subscription", subscription.grantor_agency_id, subscription.subscription_id, body)

    async def tell_open(self, marker: pb.SharedAlert, *, is_open: bool) -> None:
        await self._tell_directory("shared_alert", marker.alert.agency_id, marker_id(marker), marker if is_open else DELETED)

    async def forget_older(self, before: datetime) -> None:
        await self._connection.execute("delete from delivery where stream_sequence is not null and written_at < $1", before)
        await self._connection.execute("delete from shared_alert where not is_open and shared_at < $1", before)

    async def _add_delivery(self, shared: pb.SharedAlert, subject: str, message_id: str) -> None:
        await self._connection.execute(
            "insert into delivery (grantee_agency_id, agreement_id, alert_id, subject, message_id, body) values ($1, $2, $3, $4, $5, $6)",
            shared.grantee_agency_id,
            shared.agreement_id,
            shared.alert.alert_id,
            subject,
            message_id,
            shared.SerializeToString(),
        )

    async def _mark_open(self, before: pb.SharedAlert | None, after: pb.SharedAlert | None) -> None:
        """Directory type "shared_alert": exists while the alert is open, for agreements that grant cameras only then."""
        old = None if before is None or not is_open(before) else before
        new = None if after is None or not is_open(after) else after
        if old is not None and (new is None or new.agreement_id != old.agreement_id):
            await self._tell_directory("shared_alert", old.alert.agency_id, marker_id(old), DELETED)
        if new is not None and (old is None or new.agreement_id != old.agreement_id):
            await self._tell_directory("shared_alert", new.alert.agency_id, marker_id(new), open_marker(new))

    async def _tell_directory(self, type_name: str, agency_id: str, identifier: str, message: Any) -> None:
        subject = directory_subject(type_name, agency_id, identifier)
        await self._outbox.add(self._connection, subject, message, message_id=new_id(), agency_id=self._writer(agency_id))

    def _writer(self, owner_agency_id: str) -> str:
        """Whose outbox row it is: the acting agency's, also when the message is about a partner's object."""
        return owner_agency_id if self._scope.agency_id == EVERY_AGENCY else self._scope.agency_id


class ExchangeStore:
    """Opens transactions."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    @asynccontextmanager
    async def work(self, scope: Scope) -> AsyncIterator[PostgresWork]:
        async with self._database.transaction(scope) as connection:
            yield PostgresWork(connection, self._outbox, scope)


def _distinct_agreements(table: str) -> str:
    """The agreement ids of a table by as many index probes as there are agreements; `distinct` would read every row, each second."""
    return f"""with recursive found (agreement_id) as (
            (select agreement_id from {table} order by agreement_id limit 1)
            union all
            select (select next.agreement_id from {table} next where next.agreement_id > found.agreement_id
                    order by next.agreement_id limit 1)
            from found where found.agreement_id is not null)
        select agreement_id from found where agreement_id is not null"""
