"""The search function sees what row-level security lets see, for every subset of agencies, and asks its index."""

import itertools
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from proof.invented_persons import asked_wrongly, population
from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.scope import EVERY_AGENCY, Scope
from rtcc_chassis.testing import Servers
from rtcc_identity import service
from rtcc_identity.app.ports import Query
from rtcc_identity.app.search import query_of, rank
from rtcc_identity.domain.dates import BirthDate, parse
from rtcc_identity.domain.names import asked_names
from rtcc_identity.domain.records import Prepared, prepared
from rtcc_identity.domain.scoring import Asked
from rtcc_identity.store import RecordStore

AGENCIES = ("north", "east", "south", "west")
SUBSETS = [subset for size in range(5) for subset in itertools.combinations(AGENCIES, size)]
PEOPLE = population(2_000, seed=5)
QUERIES = asked_wrongly(PEOPLE, 48, seed=6)
TODAY = BirthDate(2026, 1, 1)
# as the function asks, under the policies alone
PLAIN = """select record_number from person_index p where p.keys operator(pg_catalog.&&) $1
    order by (p.surname = any ($2))::integer * 2 + (p.given = any ($3) or p.formal = any ($3))::integer * 2
        + (p.birth = any ($4))::integer * 3 + (p.birth between $5 and $6)::integer + p.has_aliases::integer * 2 desc, p.record_number
    limit $7"""


def asked_of(name: str, birth: str) -> Asked:
    return Asked(asked_names(name), parse(birth, "birth_date", TODAY.year), 0, TODAY)


def ordered_by(query: Query, limit: int = 5_000) -> tuple[Any, ...]:
    return query.surnames, query.givens, query.births, query.birth_low, query.birth_high, limit


def arguments(query: Query) -> tuple[Any, ...]:
    return query.strong, query.weak, *ordered_by(query)


def record_of(number: int) -> Prepared:
    person = PEOPLE[number]
    record = pb.Record(record_id=f"p{number}", agency_id=AGENCIES[number % 4])
    record.person.names.add(given_names=person.given, surname=person.surname)
    record.person.birth_date = person.birth
    record.changed_at.GetCurrentTime()
    return prepared(record, record.changed_at.ToDatetime())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(servers: Servers) -> AsyncIterator[Database]:
    """Two thousand persons of four agencies, everyone in one of them."""
    name = await servers.create_database()
    made = await Database.connect(await servers.database_url(name, "identity"), "identity", pool_size=2)
    await made.migrate(Path(service.__file__).parent / "migrations")
    store = RecordStore(made)
    for place, agency_id in enumerate(AGENCIES):
        own = [record_of(number) for number in range(place, len(PEOPLE), 4)]
        for start in range(0, len(own), 250):
            await store.put(Scope.service("identity", agency_id), own[start : start + 250])
    administrator = await asyncpg.connect(
        f"postgresql://postgres:{servers.password}@127.0.0.1:{await servers.postgres_port()}/{name}",
        server_settings={"search_path": "identity"},
    )
    await administrator.execute("analyze person_index")
    await administrator.close()
    yield made
    await made.close()


async def by_function(database: Database, scope: Scope, grantors: tuple[str, ...], query: Query) -> list[int]:
    async with database.transaction(scope, grantors) as connection:
        return [row[0] for row in await connection.fetch("select * from find_persons($1, $2, $3, $4, $5, $6, $7, $8)", *arguments(query))]


async def by_policies(database: Database, scope: Scope, grantors: tuple[str, ...], query: Query) -> list[int]:
    async with database.transaction(scope, grantors) as connection:
        found = [row[0] for row in await connection.fetch(PLAIN, query.strong, *ordered_by(query))]
        if len(found) < 10 and query.weak:
            found += [row[0] for row in await connection.fetch(PLAIN, query.weak, *ordered_by(query))]
        return found


@pytest.mark.parametrize("visible", SUBSETS, ids=lambda subset: "+".join(subset) or "nobody")
async def test_the_function_finds_what_the_policies_show(database: Database, visible: tuple[str, ...]) -> None:
    scope = Scope.service("identity", visible[0] if visible else "nowhere")
    found = 0
    for wrongly in random.Random(len(visible)).sample(QUERIES, 12):
        query = query_of(asked_of(wrongly.name, wrongly.birth))
        numbers = await by_function(database, scope, visible[1:], query)
        assert numbers == await by_policies(database, scope, visible[1:], query)
        found += len(numbers)
    assert bool(found) == bool(visible)


@given(
    own=st.sampled_from([*AGENCIES, "nowhere", "", EVERY_AGENCY]),
    grantors=st.lists(st.sampled_from([*AGENCIES, "nowhere", "", "*"]), max_size=5),
    keys=st.lists(st.integers(0, len(QUERIES) - 1), min_size=1, max_size=3),
)
@settings(max_examples=60, deadline=None)
async def test_any_settings_and_keys_give_what_the_policies_give(
    database: Database, own: str, grantors: list[str], keys: list[int]
) -> None:
    asked = [query_of(asked_of(QUERIES[at].name, QUERIES[at].birth)) for at in keys]
    query = Query(
        sorted({key for one in asked for key in one.strong}), sorted({key for one in asked for key in one.weak}), [1], [2], [3], 0, 1
    )
    scope = Scope.service("identity", own)
    assert await by_function(database, scope, tuple(grantors), query) == await by_policies(database, scope, tuple(grantors), query)


async def test_without_a_scope_nothing_is_found(database: Database) -> None:
    query = query_of(asked_of(QUERIES[0].name, QUERIES[0].birth))
    async with database._pool.acquire() as connection:  # the raw pool: nothing has set an agency
        assert await connection.fetch("select * from find_persons($1, $2, $3, $4, $5, $6, $7, $8)", *arguments(query)) == []


async def test_the_role_of_the_function_reads_its_index_and_nothing_else(database: Database) -> None:
    async with database.transaction(Scope.platform("identity")) as connection:
        await connection.execute("set local role rtcc_identity_search")
        assert await connection.fetchval("select count(*) from person_index") == len(PEOPLE)
    for statement in ("select count(*) from record", "delete from person_index", "create table x (y int)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.transaction(Scope.platform("identity")) as connection:
                await connection.execute("set local role rtcc_identity_search")
                await connection.execute(statement)


async def test_the_plan_is_a_look_into_the_index_of_keys(database: Database) -> None:
    query = query_of(asked_of(QUERIES[0].name, QUERIES[0].birth))
    async with database.transaction(Scope.service("identity", "north")) as connection:
        await connection.execute("set local role rtcc_identity_search; set local plan_cache_mode = force_custom_plan")
        await connection.execute("set local enable_seqscan = off")
        plan = "\n".join(row[0] for row in await connection.fetch(f"explain {PLAIN}", query.strong, *ordered_by(query)))
    assert "Bitmap Index Scan on person_index_keys" in plan, plan
    # no filter of a policy before the index condition
    assert "current_setting" not in plan, plan


async def test_the_function_keeps_its_settings_and_its_owner(database: Database) -> None:
    async with database.transaction(Scope.platform("identity")) as connection:
        row = await connection.fetchrow(
            """select prosecdef, proconfig, proowner::regrole::text as owner, has_function_privilege('public', oid, 'execute') as everybody
               from pg_proc where proname = 'find_persons'"""
        )
    assert (row["prosecdef"], row["owner"], row["everybody"]) == (True, "rtcc_identity_search", False)
    assert {"plan_cache_mode=force_custom_plan", "enable_seqscan=off", "search_path=identity, pg_temp"} == set(row["proconfig"])


async def test_intarray_is_neither_there_nor_named(database: Database) -> None:
    """Its `&&` would shadow PostgreSQL's own, and the index would go unused: the operator is named with its schema."""
    async with database.transaction(Scope.platform("identity")) as connection:
        assert await connection.fetchval("select count(*) from pg_extension where extname = 'intarray'") == 0
        body = await connection.fetchval("select prosrc from pg_proc where proname = 'find_persons'")
    assert re.findall(r"\S*&&\S*", body) == ["operator(pg_catalog.&&)"]


async def test_the_wanted_person_is_among_the_ten_best(database: Database) -> None:
    store, scope, hits = RecordStore(database), Scope.service("identity", "north"), 0
    for wrongly in QUERIES:
        asked = asked_of(wrongly.name, wrongly.birth)
        best = rank(asked, await store.candidates(scope, query_of(asked), AGENCIES[1:]), 10)
        found = await store.by_numbers(scope, [one.candidate.record_number for one in best], AGENCIES[1:])
        hits += f"p{wrongly.truth}" in {one.record.record_id for one in found.values()}
    assert hits >= 47, f"{hits} of {len(QUERIES)}"


async def test_an_index_of_older_rules_is_made_anew(database: Database) -> None:
    store, scope = RecordStore(database), Scope.platform("identity")
    async with database.transaction(scope) as connection:
        before = await connection.fetch("select * from person_index order by record_number limit 40")
        await connection.execute(
            "update person_index set index_version = 0, keys = '{1}' where record_number = any($1::bigint[])",
            [row["record_number"] for row in before],
        )
    assert [await store.index_anew(scope, 30) for _ in range(3)] == [30, 10, 0]
    async with database.transaction(scope) as connection:
        assert await connection.fetch("select * from person_index order by record_number limit 40") == before
