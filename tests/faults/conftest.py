"""A platform of these tests alone: they kill its processes."""

from collections.abc import AsyncIterator

import pytest_asyncio

from proof.platform import RunningPlatform, running_platform
from proof.world import World, build_world


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mortal_platform() -> AsyncIterator[RunningPlatform]:
    async with running_platform() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mortal_world(mortal_platform: RunningPlatform) -> World:
    return await build_world(mortal_platform)
