"""Which failures of PostgreSQL pass by themselves, and which never will."""

import asyncio

import asyncpg
import pytest

from rtcc_chassis.errors import InvalidInput, Unavailable
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform


async def test_an_argument_that_can_never_fit_is_not_called_unavailable(small_platform: TestPlatform) -> None:
    database = (await small_platform.context("alerting")).database
    # a consumer waits out Unavailable for ever: one such message would hold up all that come after it
    with pytest.raises(asyncpg.DataError, match="value out of int16 range"):
        async with database.transaction(Scope.platform("alerting")) as connection:
            await connection.fetchval("select $1::smallint", 70_000)


async def test_a_connection_that_is_cut_is_unavailable_and_the_next_one_works(small_platform: TestPlatform) -> None:
    database = (await small_platform.context("alerting")).database
    scope = Scope.platform("alerting")
    with pytest.raises(Unavailable):
        async with database.transaction(scope) as connection:
            await connection.execute("select pg_terminate_backend(pg_backend_pid())")
    async with database.transaction(scope) as connection:
        assert await connection.fetchval("select 1") == 1


async def test_a_null_character_is_the_callers_mistake(small_platform: TestPlatform) -> None:
    database = (await small_platform.context("alerting")).database
    with pytest.raises(InvalidInput, match="null character"):
        async with database.transaction(Scope.platform("alerting")) as connection:
            await connection.fetchval("select $1::text", "a\0b")


@pytest.mark.parametrize("agency_id", ["east", "o'brien", "a\\'; drop table x; --", "'', true); select pg_sleep(9); --", "Ä 漢", ""])
async def test_a_scope_is_data_whatever_stands_in_it(small_platform: TestPlatform, agency_id: str) -> None:
    database = (await small_platform.context("alerting")).database
    scope = Scope.service("alerting", agency_id)
    async with database.transaction(scope) as connection:
        assert await connection.fetchval("select current_setting('rtcc.agency')") == agency_id
        assert await connection.fetchval("select current_setting('rtcc.principal')") == "service:alerting"
    with pytest.raises(ValueError):
        async with database.transaction(Scope.service("alerting", "a\0b")):
            pytest.fail("a NUL was taken")


async def test_a_transaction_that_failed_leaves_nothing_and_its_scope_ends_with_it(small_platform: TestPlatform) -> None:
    database = (await small_platform.context("alerting")).database
    ended: list[bool] = []
    database.on_end(lambda connection, *, committed: ended.append(committed))
    scope = Scope.platform("alerting")
    async with database.transaction(scope) as connection:
        await connection.execute("create table thing (name text)")
    for error, statement in ((ZeroDivisionError, "select 1"), (asyncpg.DivisionByZeroError, "select 1 / 0")):
        with pytest.raises(error):
            async with database.transaction(scope) as connection:
                await connection.execute("insert into thing values ('lost')")
                await connection.execute(statement)
                raise ZeroDivisionError
    with pytest.raises(asyncio.TimeoutError):
        async with asyncio.timeout(None) as limit:
            async with database.transaction(scope) as connection:
                await connection.execute("insert into thing values ('late')")
                limit.reschedule(asyncio.get_running_loop().time() + 0.2)
                await connection.execute("select pg_sleep(60)")
    async with database.transaction(Scope.service("alerting", "east")) as connection:
        assert await connection.fetchval("select count(*) from thing") == 0
        assert await connection.fetchval("select current_setting('rtcc.agency')") == "east"
    assert ended == [True, False, False, False, True]
    async with database.statement(scope) as connection:
        # outside of a transaction no scope is left over from one before
        assert await connection.fetchval("select current_setting('rtcc.agency', true)") in (None, "")
