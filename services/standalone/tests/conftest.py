"""Real servers: one set a module where tests only read, one a test where they kill."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtcc_standalone.supervisor import Supervisor
from rtcc_standalone.throwaway import throwaway_platform

Until = Callable[[Callable[[], Any]], Awaitable[Any]]


@pytest.fixture
def until() -> Until:
    """`await until(question)`: ask (sync or async) until the answer is truthy, at most 60 s."""

    async def ask(question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 60
        while True:
            answer = question()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer:
                return answer
            assert time.monotonic() < deadline, f"not within 60 s: {question}"
            await asyncio.sleep(0.02)

    return ask


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can reach (pytest's tmp_path is closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="rtcc-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Supervisor]:
    """NATS, PostgreSQL and S3 without service processes; nobody kills these."""
    async with throwaway_platform(processes=()) as supervisor:
        yield supervisor


@pytest.fixture
async def mortal_servers() -> AsyncIterator[Supervisor]:
    """The same for one test that may kill them."""
    async with throwaway_platform(processes=()) as supervisor:
        yield supervisor
