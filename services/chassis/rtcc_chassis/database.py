"""PostgreSQL: one schema and role a service, a scope for each transaction, row-level security behind every query."""

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from rtcc_chassis.errors import InvalidInput, RtccError, Unavailable
from rtcc_chassis.scope import Scope
from rtcc_chassis.telemetry import span

_MIGRATION_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_CONNECTION_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    # another backend was killed and the server restarts them all
    asyncpg.CrashShutdownError,
    # too many connections, disk or memory full: passes, and must never make a good message look poisonous
    asyncpg.InsufficientResourcesError,
    OSError,
    TimeoutError,
)

# Run before a service's own migrations. The functions are what migrations call.
_BOOTSTRAP = """
create table if not exists rtcc_migration (
    version int primary key, name text not null, sha256 text not null, applied_at timestamptz not null default now());

create or replace function rtcc_protect(table_name text, variadic agency_columns text[] default array['agency_id']) returns void
language plpgsql as $$
declare
    condition text;
begin
    select string_agg(format('%I = current_setting(''rtcc.agency'', true)', c), ' or ') into condition from unnest(agency_columns) c;
    condition := format('(current_setting(''rtcc.agency'', true) = ''*'' or %s)', condition);
    execute format('alter table %I enable row level security', table_name);
    execute format('alter table %I force row level security', table_name);
    execute format('drop policy if exists agency_scope on %I', table_name);
    execute format('create policy agency_scope on %I using (%s) with check (%s)', table_name, condition, condition);
end $$;

create or replace function rtcc_create_outbox() returns void language plpgsql as $$
begin
    create table if not exists rtcc_outbox (
        sequence bigint generated always as identity primary key, agency_id text not null, subject text not null, message_id text not null,
        event_type text not null, headers jsonb not null, body bytea not null, written_at timestamptz not null default now());
    perform rtcc_protect('rtcc_outbox');
end $$;
"""


class TransactionEnded(Protocol):
    """Told of the end of every transaction."""

    def __call__(self, connection: Any, *, committed: bool) -> None: ...


class MigrationError(RtccError):
    """The stored schema and the migrations in the package don't fit together."""


class Database:
    """A pool whose every connection belongs to one service and whose every transaction belongs to one scope."""

    def __init__(self, pool: Any, service: str) -> None:
        self._pool = pool
        self.service = service
        self._after_transaction: list[TransactionEnded] = []

    @classmethod
    async def connect(cls, url: str, service: str, *, pool_size: int = 8) -> "Database":
        """Waits up to 60 s for the server. The role owns the schema named like the service."""
        schema = service.replace("-", "_")
        deadline = time.monotonic() + 60
        while True:
            try:
                pool = await asyncpg.create_pool(
                    url,
                    min_size=1,
                    max_size=pool_size,
                    command_timeout=30,
                    timeout=10,
                    max_inactive_connection_lifetime=60,
                    reset=_nothing_to_reset,
                    server_settings={"search_path": schema, "application_name": f"rtcc-{service}", "timezone": "UTC", "jit": "off"},
                )
                return cls(pool, service)
            except _CONNECTION_ERRORS as error:
                if time.monotonic() > deadline:
                    raise Unavailable("PostgreSQL", f"no connection for {service} in 60 s ({error})") from error
                await asyncio.sleep(0.2)

    def on_end(self, callback: TransactionEnded) -> None:
        """Called after every transaction with its connection and whether it is durable; must be quick and not raise."""
        self._after_transaction.append(callback)

    @asynccontextmanager
    async def transaction(self, scope: Scope, grantors: Sequence[str] = ()) -> AsyncIterator[Any]:
        """A connection inside a transaction in which only `scope`'s agency is visible. Raises Unavailable when the server is away.

        `grantors`: agencies that share with it, for tables whose policies read `rtcc.shared_agencies`; the others don't know them.
        """
        committed, connection = False, None
        try:
            with span(f"{self.service} transaction"):
                async with self._pool.acquire(timeout=10) as connection:
                    # one round trip for both: asyncpg's own transaction would need another for the scope
                    await connection.execute(_begin(scope, grantors))
                    try:
                        yield connection
                    except BaseException:
                        await _roll_back(connection)
                        raise
                    await connection.execute("commit")
            committed = True
        except _CONNECTION_ERRORS as error:
            raise Unavailable("PostgreSQL") from error
        except asyncpg.CharacterNotInRepertoireError as error:
            # the one character that protobuf's strings take and PostgreSQL's don't: a caller's mistake, not ours
            raise InvalidInput.one("", "a text holds a null character") from error
        finally:
            if connection is not None:
                for callback in self._after_transaction:
                    callback(connection, committed=committed)

    @asynccontextmanager
    async def statement(self, scope: Scope) -> AsyncIterator[Any]:
        """A connection for single calls of database functions that take `scope.agency_id` and set it for themselves.

        Each is a transaction of its own in one round trip, where `transaction` needs four. Without a scope row-level security shows
        nothing, so a statement that forgets it finds no row.
        """
        try:
            with span(f"{self.service} statement"):
                async with self._pool.acquire(timeout=10) as connection:
                    yield connection
        except _CONNECTION_ERRORS as error:
            raise Unavailable("PostgreSQL") from error

    async def migrate(self, folder: Path) -> int:
        """Apply the numbered forward-only migrations of `folder`; the answer is how many were new. One instance at a time does it."""
        files = _migration_files(folder)
        applied = 0
        async with self._pool.acquire(timeout=10) as connection, connection.transaction():
            await connection.execute(
                "select pg_advisory_xact_lock(hashtext($1)), set_config('rtcc.agency', '*', true)", f"rtcc-migrate-{self.service}"
            )
            await connection.execute(_BOOTSTRAP)
            known = {row["version"]: row for row in await connection.fetch("select version, name, sha256 from rtcc_migration")}
            for path in files:
                version, text = int(path.name[:4]), path.read_text(encoding="utf-8")
                digest = hashlib.sha256(text.encode()).hexdigest()
                if version in known:
                    if known[version]["sha256"] != digest:
                        raise MigrationError(f"{path.name} was changed after it was applied: write a new migration instead.")
                    continue
                await connection.execute(text)
                await connection.execute(
                    "insert into rtcc_migration(version, name, sha256) values ($1, $2, $3)", version, path.name, digest
                )
                applied += 1
        return applied

    async def close(self) -> None:
        """Wait 5 s for transactions, then cut them."""
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


def _begin(scope: Scope, grantors: Sequence[str]) -> str:
    values = {"rtcc.agency": scope.agency_id, "rtcc.principal": scope.principal_id, "rtcc.shared_agencies": ",".join(grantors)}
    return "begin; select " + ", ".join(f"set_config('{name}', {_literal(value)}, true)" for name, value in values.items())


def _literal(text: str) -> str:
    """A string constant (PostgreSQL documentation, 4.1.2.1; standard_conforming_strings is on, so a backslash is one)."""
    if "\0" in text:
        raise ValueError("a scope holds no NUL")
    return "'" + text.replace("'", "''") + "'"


async def _roll_back(connection: Any) -> None:
    """A connection that is gone has rolled back by itself."""
    if not connection.is_closed():
        with contextlib.suppress(*_CONNECTION_ERRORS):
            await connection.execute("rollback")


async def _nothing_to_reset(connection: Any) -> None:
    """Settings and locks here are local to a transaction, and asyncpg rolls an open one back by itself: its reset query is one more
    round trip in the way of every caller."""


def _migration_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.sql"))
    for path in files:
        if not _MIGRATION_NAME.match(path.name):
            raise MigrationError(f"{path.name}: a migration is named NNNN_what_it_does.sql.")
    return files
