"""The life of a process: ready, running, draining in order, and an exit code that says how it ended."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from rtcc_chassis.settings import InvalidSetting

_LOG = logging.getLogger(__name__)
EXIT_CLEAN = 0
EXIT_FAILED = 70  # EX_SOFTWARE: a part that must not end ended; the supervisor restarts us


class Lifecycle:
    """Shared by all services of a process."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.exit_code = EXIT_CLEAN
        self._ready = 0
        self._expected = 1
        self._all_ready = asyncio.Event()
        self._departures: list[tuple[Callable[[], Awaitable[None]], float]] = []
        self._drains: list[Callable[[], Awaitable[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def expect(self, services: int) -> None:
        """How many services must say ready."""
        self._expected = services

    def ready(self) -> None:
        """This service can take calls."""
        self._ready += 1
        if self._ready >= self._expected:
            self._all_ready.set()

    async def all_ready(self) -> None:
        await self._all_ready.wait()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run for the life of the process. If it ends with an error, the process drains and exits with 70."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def on_drain(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Called at the end, the last registered first, each bounded to 10 s."""
        self._drains.append(callback)

    def on_departure(self, callback: Callable[[], Awaitable[None]], limit_s: float) -> None:
        """Called before anything else ends, while calls are still answered: for handing over what callers hold here."""
        self._departures.append((callback, limit_s))

    async def depart(self) -> None:
        """Hand over. Nothing to do after a failure: what failed can't be trusted to."""
        if self.exit_code == EXIT_CLEAN:
            await asyncio.gather(*(_bounded(callback, limit_s) for callback, limit_s in self._departures))

    def stop(self, exit_code: int = EXIT_CLEAN) -> None:
        self.exit_code = max(self.exit_code, exit_code)
        self.stopping.set()

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def drain(self) -> None:
        """Stop the spawned work, then run the drains."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for callback in reversed(self._drains):
            try:
                async with asyncio.timeout(10):
                    await callback()
            except Exception:
                _LOG.exception("a drain step failed")

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self.stopping.is_set():
            if isinstance(error, InvalidSetting):
                # its text is about what an operator wrote, and says what to do; that of other errors stays out of the log
                _LOG.critical("%s can't run: %s", task.get_name(), error.message)
            else:
                _LOG.critical("%s ended with an error", task.get_name(), exc_info=error)
            self.stop(EXIT_FAILED)


async def _bounded(callback: Callable[[], Awaitable[None]], limit_s: float) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await callback()
    except TimeoutError:
        _LOG.info("the hand-over wasn't complete after %.0f s", limit_s)
    except Exception:
        _LOG.exception("a hand-over failed")
