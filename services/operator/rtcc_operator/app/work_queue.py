"""Keys to work on: each at most once at a time, repeats merged, failures later and later."""

import asyncio
import random
from collections.abc import Callable

from prometheus_client import Gauge

from rtcc_operator.domain.back_off import back_off_s

Key = tuple[str, str]
DEPTH = Gauge("rtcc_operator_queue_depth", "Resources that wait to be looked at.")


class WorkQueue:
    """Of one event loop. A key that is added while it is worked on comes again afterwards."""

    def __init__(self, first_s: float, longest_s: float, chance: Callable[[], float] = random.random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._chance = chance
        self._waiting: dict[Key, None] = {}
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._more = asyncio.Event()

    def add(self, key: Key) -> None:
        if key in self._working:
            self._again.add(key)
            return
        if (timer := self._later.pop(key, None)) is not None:
            timer.cancel()
        self._waiting[key] = None
        DEPTH.set(len(self._waiting))
        self._more.set()

    async def take(self) -> Key:
        """The next key; `done` or `failed` must follow."""
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        DEPTH.set(len(self._waiting))
        self._working.add(key)
        return key

    def done(self, key: Key) -> None:
        self._failures.pop(key, None)
        self._finish(key)

    def failed(self, key: Key) -> float:
        """Comes again by itself; the answer is in how many seconds."""
        self._failures[key] = self._failures.get(key, 0) + 1
        wait_s = back_off_s(self._failures[key], self._chance(), self._first_s, self._longest_s)
        if not self._finish(key):
            self._later[key] = asyncio.get_running_loop().call_later(wait_s, self._due, key)
        return wait_s

    def _due(self, key: Key) -> None:
        self._later.pop(key, None)
        self.add(key)

    def _finish(self, key: Key) -> bool:
        """Whether it waits again because it was added meanwhile."""
        self._working.discard(key)
        if key not in self._again:
            return False
        self._again.discard(key)
        self.add(key)
        return True
