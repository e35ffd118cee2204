"""Records in PostgreSQL. Each change and its directory message are one transaction; secrets are sealed before they reach the database."""

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
from google.protobuf.message import Message

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.bus import Outgoing
from rtcc_chassis.database import Database
from rtcc_chassis.errors import Conflict, InvalidInput
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import EVERY_AGENCY, Scope
from rtcc_chassis.sealing import Seal
from rtcc_chassis.streams import directory_subject
from rtcc_registry.app.records import EVERY_KIND, Kind

DELETED = b""
# no address, key or JSON begins so
_SEALED = "sealed:"


class PostgresWork:
    """One transaction. Table names come from `Kind`, never from a caller; row-level security limits every statement to the scope."""

    def __init__(self, connection: Any, outbox: Outbox, scope: Scope, seal: Seal) -> None:
        self._connection = connection
        self._outbox = outbox
        self._scope = scope
        self._seal = seal

    async def get[M: Message](self, kind: Kind[M], identifier: str, *, lock: bool = False) -> M | None:
        suffix = " for update" if lock else ""
        body = await self._connection.fetchval(f"select record from {kind.name} where id = $1{suffix}", identifier)
        return None if body is None else kind.message_type.FromString(body)

    async def all[M: Message](self, kind: Kind[M]) -> list[M]:
        rows = await self._connection.fetch(f"select record from {kind.name} order by id")
        return [kind.message_type.FromString(row["record"]) for row in rows]

    async def find[M: Message](self, kind: Kind[M], natural_key: str) -> M | None:
        body = await self._connection.fetchval(f"select record from {kind.name} where natural_key = $1", natural_key)
        return None if body is None else kind.message_type.FromString(body)

    async def insert[M: Message](self, kind: Kind[M], record: M, *, secret: str = "") -> bool:
        columns, values = _own_columns(record)
        names = "".join(f", {name}" for name in columns)
        places = "".join(f", ${number}" for number in range(6, 6 + len(columns)))
        try:
            inserted = await self._connection.fetchval(
                f"insert into {kind.name} (id, agency_id, natural_key, secret, record{names}) values ($1, $2, $3, $4, $5{places}) "
                "on conflict (id) do nothing returning true",
                kind.identifier(record),
                kind.owner(record),
                kind.natural_key(record),
                self._sealed(kind, kind.identifier(record), secret),
                record.SerializeToString(),
                *values,
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict(kind.natural_key_taken) from error
        except asyncpg.ForeignKeyViolationError as error:
            raise InvalidInput.one("agency_id", "no such agency in this installation") from error
        if inserted:
            await self._publish(kind, record)
        return bool(inserted)

    async def replace[M: Message](self, kind: Kind[M], record: M) -> None:
        columns, values = _own_columns(record)
        sets = "".join(f", {name} = ${number}" for number, name in enumerate(columns, start=4))
        try:
            await self._connection.execute(
                f"update {kind.name} set record = $2, natural_key = $3, changed_at = now(){sets} where id = $1",
                kind.identifier(record),
                record.SerializeToString(),
                kind.natural_key(record),
                *values,
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict(kind.natural_key_taken) from error
        await self._publish(kind, record)

    async def delete[M: Message](self, kind: Kind[M], record: M) -> None:
        await self._connection.execute(f"delete from {kind.name} where id = $1", kind.identifier(record))
        await self._publish(kind, record, DELETED)

    async def secret[M: Message](self, kind: Kind[M], identifier: str) -> str | None:
        value: str | None = await self._connection.fetchval(f"select secret from {kind.name} where id = $1", identifier)
        return None if value is None else self._opened(kind, identifier, value)

    async def set_secret[M: Message](self, kind: Kind[M], identifier: str, secret: str) -> None:
        sealed = self._sealed(kind, identifier, secret)
        await self._connection.execute(f"update {kind.name} set secret = $2, changed_at = now() where id = $1", identifier, sealed)

    async def insert_many[M: Message](self, kind: Kind[M], records: Sequence[tuple[M, str]]) -> set[str]:
        try:
            rows = await self._connection.fetch(
                f"""insert into {kind.name} (id, agency_id, natural_key, secret, record)
                    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[])
                    on conflict (id) do nothing returning id""",
                [kind.identifier(record) for record, _ in records],
                [kind.owner(record) for record, _ in records],
                [kind.natural_key(record) for record, _ in records],
                [self._sealed(kind, kind.identifier(record), secret) for record, secret in records],
                [record.SerializeToString() for record, _ in records],
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict(kind.natural_key_taken) from error
        inserted = {row["id"] for row in rows}
        await self._publish_many(kind, [record for record, _ in records if kind.identifier(record) in inserted])
        return inserted

    async def replace_many[M: Message](self, kind: Kind[M], records: Sequence[tuple[M, str | None]]) -> None:
        try:
            await self._connection.execute(
                f"""update {kind.name} t set record = n.record, natural_key = n.natural_key, secret = coalesce(n.secret, t.secret),
                        changed_at = now()
                    from unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) as n (id, natural_key, secret, record)
                    where t.id = n.id""",
                [kind.identifier(record) for record, _ in records],
                [kind.natural_key(record) for record, _ in records],
                [None if secret is None else self._sealed(kind, kind.identifier(record), secret) for record, secret in records],
                [record.SerializeToString() for record, _ in records],
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict(kind.natural_key_taken) from error
        await self._publish_many(kind, [record for record, _ in records])

    async def secrets[M: Message](self, kind: Kind[M]) -> dict[str, str]:
        rows = await self._connection.fetch(f"select id, secret from {kind.name} where secret <> ''")
        return {row["id"]: self._opened(kind, row["id"], row["secret"]) for row in rows}

    async def seal_plain[M: Message](self, kind: Kind[M]) -> int:
        """Seals what a version without sealing stored; how many there were."""
        rows = await self._connection.fetch(
            f"select id, secret from {kind.name} where secret <> '' and secret not like '{_SEALED}%' for update"
        )
        await self._connection.executemany(
            f"update {kind.name} set secret = $2 where id = $1", [(row["id"], self._sealed(kind, row["id"], row["secret"])) for row in rows]
        )
        return len(rows)

    async def count_of_agency[M: Message](self, kind: Kind[M], agency_id: str) -> int:
        return int(await self._connection.fetchval(f"select count(*) from {kind.name} where agency_id = $1", agency_id))

    async def add_change(self, old: pb.Agreement | None, new: pb.Agreement) -> None:
        await self._connection.execute(
            """insert into agreement_change
               (agreement_id, revision, agency_id, grantee_agency_id, changed_at, changed_by, old_value, new_value)
               values ($1, $2, $3, $4, $5, $6, $7, $8)""",
            new.agreement_id,
            new.revision,
            new.grantor_agency_id,
            new.grantee_agency_id,
            new.changed_at.ToDatetime(tzinfo=UTC),
            new.changed_by,
            None if old is None else old.SerializeToString(),
            new.SerializeToString(),
        )

    async def changes(self) -> list[tuple[str, pb.AgreementChange]]:
        rows = await self._connection.fetch(
            """select agreement_id, revision, changed_at, changed_by, old_value, new_value
               from agreement_change order by agreement_id, revision"""
        )
        return [(row["agreement_id"], _change(row)) for row in rows]

    async def hold_still(self) -> None:
        await self._connection.execute(f"lock table {', '.join(kind.name for kind in EVERY_KIND)} in share mode")

    async def hold_agreements(self) -> None:
        await self._connection.execute("lock table agreement in share row exclusive mode")

    async def about_to_agree(self) -> None:
        # what an insert takes, only earlier: before the agencies are read
        await self._connection.execute("lock table agreement in row exclusive mode")

    async def publish_again[M: Message](self, kind: Kind[M], record: M) -> None:
        await self._publish(kind, record)

    async def retract[M: Message](self, kind: Kind[M], record: M) -> None:
        await self._publish(kind, record, DELETED)

    async def ended_people(self, now: datetime, limit: int) -> Sequence[pb.Person]:
        rows = await self._connection.fetch(
            "select record from person where ends_at <= $1 order by ends_at limit $2 for update skip locked", now, limit
        )
        return [pb.Person.FromString(row["record"]) for row in rows]

    def _sealed[M: Message](self, kind: Kind[M], identifier: str, secret: str) -> str:
        if not secret:
            return ""
        return _SEALED + base64.b64encode(self._seal.close(secret, f"{kind.name}:{identifier}")).decode()

    def _opened[M: Message](self, kind: Kind[M], identifier: str, stored: str) -> str:
        if not stored.startswith(_SEALED):
            return stored
        return self._seal.open(base64.b64decode(stored.removeprefix(_SEALED)), f"{kind.name}:{identifier}")

    async def _publish[M: Message](self, kind: Kind[M], record: M, body: bytes | None = None) -> None:
        await self._outbox.add_many(self._connection, [self._outgoing(kind, record, body)])

    async def _publish_many[M: Message](self, kind: Kind[M], records: Sequence[M]) -> None:
        if records:
            await self._outbox.add_many(self._connection, [self._outgoing(kind, record) for record in records])

    def _outgoing[M: Message](self, kind: Kind[M], record: M, body: bytes | None = None) -> Outgoing:
        owner = kind.owner(record)
        # the row in the outbox is the acting agency's: a grantee may end an agreement that is its grantor's record
        writer = owner if self._scope.agency_id == EVERY_AGENCY else self._scope.agency_id
        subject = directory_subject(kind.name, owner, kind.identifier(record))
        return Outgoing(subject, record if body is None else body, new_id(), writer)


class RegistryStore:
    """Opens transactions."""

    def __init__(self, database: Database, outbox: Outbox, seal: Seal) -> None:
        self._database = database
        self._outbox = outbox
        self._seal = seal

    @asynccontextmanager
    async def work(self, scope: Scope) -> AsyncIterator[PostgresWork]:
        async with self._database.transaction(scope) as connection:
            yield PostgresWork(connection, self._outbox, scope, self._seal)


def _own_columns(record: Message) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """The columns that only one table has."""
    if isinstance(record, pb.Agreement):
        return ("grantee_agency_id",), (record.grantee_agency_id,)
    if isinstance(record, pb.Person):
        ends = record.ends_at.ToDatetime(tzinfo=UTC) if record.enabled and record.HasField("ends_at") else None
        return ("ends_at",), (ends,)
    return (), ()


def _change(row: Any) -> pb.AgreementChange:
    change = pb.AgreementChange(revision=row["revision"], changed_by=row["changed_by"])
    change.changed_at.FromDatetime(row["changed_at"])
    if row["old_value"] is not None:
        change.old_value.ParseFromString(row["old_value"])
    change.new_value.ParseFromString(row["new_value"])
    return change
