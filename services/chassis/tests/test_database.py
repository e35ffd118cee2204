"""Which failures of PostgreSQL pass by themselves, and which never will."""

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
