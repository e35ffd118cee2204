"""The life of one supervised process: start, wait until ready, restart with back-off, stop."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from rtcc_standalone.errors import ServerStartError
from rtcc_standalone.launching import spawn
from rtcc_standalone.servers.server import Server

_LOG = logging.getLogger(__name__)
_POLL_S = 0.05
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 15.0
# after this long without a crash the next one counts as the first
_STABLE_S = 60.0

State = Literal["waiting", "starting", "ready", "restarting", "stopped", "failed"]


@dataclass
class Facts:
    """What `status` shows of one process. Times are seconds since the epoch."""

    state: State = "waiting"
    process_id: int = 0
    started_at: float = 0.0
    ready_after_s: float = 0.0
    restarts: int = 0
    last_exit: str = ""
    problem: str = ""


@dataclass
class Supervised:
    """One server and the task that keeps it alive. `changed` is called after each change of `facts`."""

    server: Server
    changed: Callable[[], None]
    facts: Facts = field(default_factory=Facts)
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def keep_alive(self) -> None:
        """Run until `stop`. The first start must succeed (raises ServerStartError); later ones are repeated for ever."""
        crashes, self._stopping = 0, False
        while not self._stopping:
            began = time.monotonic()
            try:
                await self._start()
                await self._wait_for_exit()
            except ServerStartError as error:
                self._set("failed", problem=str(error))
                await self._kill()
                if not self.ready.is_set() and crashes == 0:
                    raise
                _LOG.error("%s", error)
            if self._stopping:
                break
            crashes = crashes + 1 if time.monotonic() - began < _STABLE_S else 1
            self.ready.clear()
            self.facts.restarts += 1
            pause = min(_FIRST_PAUSE_S * 2 ** (crashes - 1), _LONGEST_PAUSE_S)
            self._set("restarting")
            _LOG.warning("%s ended (%s); again in %.1f s", self.server.name, self.facts.last_exit, pause)
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        """Ask it to end, wait its time, then insist."""
        self._stopping = True
        self.ready.clear()
        process = self._process
        if process is None or process.returncode is not None:
            self._set("stopped")
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(self.server.stop_signal)
        try:
            async with asyncio.timeout(self.server.stop_timeout_s):
                await process.wait()
        except TimeoutError:
            _LOG.warning("%s did not end in %.0f s and is killed", self.server.name, self.server.stop_timeout_s)
            await self._kill()
        self._set("stopped")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the running process; nothing happens when it isn't there."""
        if self._process is not None and self.is_running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _start(self) -> None:
        server, began = self.server, time.monotonic()
        self._set("starting", problem="")
        await asyncio.to_thread(server.prepare)
        self._process = await spawn(server.launch())
        self.facts.process_id, self.facts.started_at = self._process.pid, time.time()
        self._set("starting")
        deadline = began + server.ready_timeout_s
        while not await server.is_ready():
            if self._process.returncode is not None:
                raise ServerStartError(server.name, f"it ended with {_describe(self._process.returncode)}", server.log)
            if time.monotonic() > deadline:
                raise ServerStartError(server.name, f"it was not ready after {server.ready_timeout_s:.0f} s", server.log)
            await asyncio.sleep(_POLL_S)
        if self._process.returncode is not None:  # another program answers on its port
            raise ServerStartError(server.name, f"it ended with {_describe(self._process.returncode)}", server.log)
        await server.after_ready()
        self.facts.ready_after_s = round(time.monotonic() - began, 2)
        self._set("ready")
        self.ready.set()

    async def _wait_for_exit(self) -> None:
        assert self._process is not None  # set by _start
        code = await self._process.wait()
        self.facts.last_exit = _describe(code)

    async def _kill(self) -> None:
        """The whole session: a child of the server must not live on."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        if self._process is not None:
            self.facts.last_exit = _describe(self._process.returncode)

    def _set(self, state: State, *, problem: str | None = None) -> None:
        self.facts.state = state
        if problem is not None:
            self.facts.problem = problem
        self.changed()


def _describe(code: int | None) -> str:
    if code is None:
        return "no exit code"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
