"""Fixtures of the proofs across services. One real platform a session; tests that kill processes start their own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from proof.platform import RunningPlatform, running_platform
from proof.tiny_model import detector_settings
from proof.world import World, build_world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningPlatform]:
    """Supervisor with embedded servers and all services, demo mode, on a temporary folder; a tiny model looks at its recordings."""
    async with running_platform(detector_settings(tmp_path_factory.mktemp("model"))) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(platform: RunningPlatform) -> World:
    """Three agencies with people and things; `anchor` and `beacon` share nothing."""
    return await build_world(platform)
