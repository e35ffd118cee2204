"""Fixtures for the tests of all services: real servers, one small platform a test."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from rtcc_chassis.testing import Servers, TestPlatform, test_platform


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Real NATS, PostgreSQL and S3 binaries, started on demand."""
    started = Servers()
    yield started
    started.stop()


@pytest_asyncio.fixture
async def small_platform(servers: Servers) -> AsyncIterator[TestPlatform]:
    """A platform of this test alone: own NATS, own database, the services it is told to serve."""
    async with test_platform(servers) as platform:
        yield platform
