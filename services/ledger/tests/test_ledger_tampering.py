"""R12: any change of what is stored is found, whatever rights were used for it."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from rtcc.ledger.v1 import ledger_pb2 as pb
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform
from rtcc_ledger.app import LedgerApp
from rtcc_ledger.note import CheckpointSigner, CheckpointText, CheckpointVerifier
from rtcc_ledger.service import MIGRATIONS
from rtcc_ledger.store import PostgresLogStore
from rtcc_ledger.verify import verify_database

TABLES = ("ledger_entry", "ledger_object", "ledger_node", "ledger_checkpoint", "ledger_tree")
COLUMNS = {
    "ledger_entry": (
        "agency_id", "leaf_index", "entry_id", "leaf_hash", "body", "recorded_at", "action", "outcome", "principal_id",
        "principal_agency_id", "owner_agency_id", "search",
    ),
    "ledger_object": ("agency_id", "object_id", "leaf_index"),
    "ledger_node": ("agency_id", "last_leaf", "level", "hash"),
    "ledger_checkpoint": ("agency_id", "number", "tree_size", "root_hash", "signed_at", "key_id", "note", "signature"),
    "ledger_tree": ("agency_id", "size", "frontier", "root_hash", "checkpoints"),
}  # fmt: skip
AGENCIES = ("espoo", "vantaa")
START = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass
class StoredLog:
    """A ledger's tables, the key to them, and a way around every protection."""

    app: LedgerApp
    verifier: CheckpointVerifier
    owner: Any
    verify: Callable[[], Awaitable[list[str]]]

    async def restore(self) -> None:
        for table in TABLES:
            await self.owner.execute(f"truncate {table}")
            await self.owner.execute(f"insert into {table} select * from saved_{table}")


def body(agency_id: str, number: int) -> bytes:
    entry = pb.AuditEntry(
        entry_id=new_id(), agency_id=agency_id, action=f"camera.action{number % 3}", outcome=pb.OUTCOME_ALLOWED,
        principal_id=f"p{number % 4}", principal_name="Aino", principal_agency_id="espoo", owner_agency_id=agency_id,
        object_ids=[f"camera:c{number % 5}", "camera:all"],
    )  # fmt: skip
    entry.recorded_at.FromDatetime(START + timedelta(seconds=number))
    return entry.SerializeToString()


@pytest_asyncio.fixture
async def log(small_platform: TestPlatform) -> AsyncIterator[StoredLog]:
    context = await small_platform.context("ledger")
    await context.database.migrate(MIGRATIONS)
    signer = CheckpointSigner.derived("openrtcc", context.settings.token_key_file)
    verifier = CheckpointVerifier("openrtcc", [signer.public_key])
    app = LedgerApp(PostgresLogStore(context.database, verifier), signer, lambda: START)
    chance = random.Random(7)
    numbers = iter(range(1000))
    while (start := next(numbers)) < 60:
        batch = [start, *(next(numbers) for _ in range(chance.randrange(6)))]
        await app.append([(agency_id, body(agency_id, number)) for number in batch for agency_id in AGENCIES])
    port = await small_platform.servers.postgres_port()
    owner = await asyncpg.connect(
        f"postgresql://postgres:{small_platform.servers.password}@127.0.0.1:{port}/{small_platform.database}",
        server_settings={"search_path": "ledger"},
    )
    # a database administrator: no triggers, no row-level security
    await owner.execute("set session_replication_role = replica")
    for table in TABLES:
        await owner.execute(f"create table saved_{table} as table {table}")

    async def verify() -> list[str]:
        return [f"{one.agency_id}: {problem.what}" for one in await verify_database(context.database, verifier) for problem in one.problems]

    try:
        yield StoredLog(app, verifier, owner, verify)
    finally:
        await owner.close()


def changed(value: Any) -> Any:
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:] if value else b"\x00"
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    if isinstance(value, int):
        return value + 1000
    return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"


async def test_untouched_logs_are_intact(log: StoredLog) -> None:
    assert await log.verify() == []


async def test_a_change_of_any_column_of_any_table_is_found(log: StoredLog) -> None:
    chance = random.Random(11)
    for table, columns in COLUMNS.items():
        for column in columns:
            for _ in range(3):
                rows = await log.owner.fetch(f"select ctid, * from {table}")
                row = chance.choice(rows)
                await log.owner.execute(f"update {table} set {column} = $1 where ctid = $2", changed(row[column]), row["ctid"])
                assert await log.verify(), f"{table}.{column} of {dict(row)}"
                await log.restore()
    assert await log.verify() == []


async def test_a_flip_of_any_bit_of_an_entry_is_found(log: StoredLog) -> None:
    chance = random.Random(13)
    for _ in range(25):
        row = chance.choice(await log.owner.fetch("select ctid, body from ledger_entry"))
        flipped = bytearray(row["body"])
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        await log.owner.execute("update ledger_entry set body = $1 where ctid = $2", bytes(flipped), row["ctid"])
        assert await log.verify()
        await log.owner.execute("update ledger_entry set body = $1 where body = $2", row["body"], bytes(flipped))
    assert await log.verify() == []


async def test_a_deleted_row_of_any_table_is_found(log: StoredLog) -> None:
    chance = random.Random(17)
    for table in COLUMNS:
        for _ in range(3):
            row = chance.choice(await log.owner.fetch(f"select ctid from {table}"))
            await log.owner.execute(f"delete from {table} where ctid = $1", row["ctid"])
            assert await log.verify(), table
            await log.restore()


async def test_an_inserted_entry_is_found_wherever_it_is_put(log: StoredLog) -> None:
    size = await log.owner.fetchval("select size from ledger_tree where agency_id = 'espoo'")
    for place in (size, size + 5, -1):
        await log.owner.execute(
            """insert into ledger_entry select agency_id, $1, 'forged', leaf_hash, body, recorded_at, action, outcome, principal_id,
               principal_agency_id, owner_agency_id, search from ledger_entry where agency_id = 'espoo' and leaf_index = 3""",
            place,
        )
        assert await log.verify()
        await log.restore()


async def test_two_entries_that_changed_places_are_found(log: StoredLog) -> None:
    for first, second in ((0, 1), (2, 40), (58, 59)):
        await log.owner.execute("update ledger_entry set leaf_index = -1 where agency_id = 'espoo' and leaf_index = $1", first)
        await log.owner.execute("update ledger_entry set leaf_index = $1 where agency_id = 'espoo' and leaf_index = $2", first, second)
        await log.owner.execute("update ledger_entry set leaf_index = $1 where agency_id = 'espoo' and leaf_index = -1", second)
        assert await log.verify()
        await log.restore()


async def test_two_agencies_whose_logs_were_exchanged_are_found(log: StoredLog) -> None:
    for table in TABLES:
        for old, new in (("espoo", "third"), ("vantaa", "espoo"), ("third", "vantaa")):
            await log.owner.execute(f"update {table} set agency_id = $1 where agency_id = $2", new, old)
    assert await log.verify()


async def test_a_log_rewritten_with_another_key_is_found(log: StoredLog, small_platform: TestPlatform) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    bodies = await log.owner.fetch("select body from ledger_entry where agency_id = 'espoo' order by leaf_index")
    for table in TABLES:
        await log.owner.execute(f"delete from {table} where agency_id = 'espoo'")
    context = await small_platform.context("ledger")
    forger = LedgerApp(
        PostgresLogStore(context.database, log.verifier), CheckpointSigner("openrtcc", Ed25519PrivateKey.generate()), lambda: START
    )
    await forger.append([("espoo", row["body"]) for row in bodies[:-1]])
    assert any("signature" in problem for problem in await log.verify())


async def test_a_log_cut_off_with_its_checkpoints_is_found_by_one_kept_elsewhere(log: StoredLog, small_platform: TestPlatform) -> None:
    context = await small_platform.context("ledger")
    store = PostgresLogStore(context.database, log.verifier)
    kept = await store.newest_checkpoint(Scope.service("ledger", "espoo"))
    assert kept is not None
    # the owner of database and key starts the log again from its first half
    bodies = await log.owner.fetch("select body from ledger_entry where agency_id = 'espoo' order by leaf_index limit 30")
    for table in TABLES:
        await log.owner.execute(f"delete from {table} where agency_id = 'espoo'")
    await log.app.append([("espoo", row["body"]) for row in bodies])
    assert await log.verify() == []
    reports = await verify_database(context.database, log.verifier, {"espoo": [CheckpointText.from_text(kept.note)]})
    assert any("cut off" in problem.what for one in reports for problem in one.problems)


async def test_the_service_itself_can_neither_change_nor_delete(log: StoredLog, small_platform: TestPlatform) -> None:
    context = await small_platform.context("ledger")
    for table in ("ledger_entry", "ledger_object", "ledger_node", "ledger_checkpoint"):
        for statement in (f"update {table} set agency_id = 'x'", f"delete from {table}", f"truncate {table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with context.database.transaction(Scope.platform("ledger")) as connection:
                    await connection.execute(statement)
        # the rights given back: the trigger still stands
        async with context.database.transaction(Scope.platform("ledger")) as connection:
            await connection.execute(f"grant update, delete on {table} to current_user")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            async with context.database.transaction(Scope.platform("ledger")) as connection:
                await connection.execute(f"delete from {table}")


async def test_a_scope_sees_only_its_own_log(log: StoredLog, small_platform: TestPlatform) -> None:
    context = await small_platform.context("ledger")
    async with context.database.transaction(Scope.service("ledger", "espoo")) as connection:
        for table in TABLES:
            assert {row["agency_id"] for row in await connection.fetch(f"select agency_id from {table}")} == {"espoo"}
