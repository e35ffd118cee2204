"""Keeps all servers of one installation alive: ordered start, restart with back-off, ordered stop, and a status file for others."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rtcc_standalone.credentials import agency_passwords, source_logins
from rtcc_standalone.errors import PortTakenError
from rtcc_standalone.folder import write_json, write_private
from rtcc_standalone.installation import PROCESSES, Installation
from rtcc_standalone.ports import KNOWN_TO_PEOPLE, is_free
from rtcc_standalone.process_facts import exists
from rtcc_standalone.servers.server import Server
from rtcc_standalone.servers.service_process import ServiceProcess
from rtcc_standalone.supervised import Supervised

_LOG = logging.getLogger(__name__)
_HOUSEKEEPING_S = 0.5
_LOGS_S = 30.0
_PREDECESSOR_S = 3.0
_LOG_LIMIT_BYTES = 20 * 1024 * 1024
INFRASTRUCTURE = ("nats", "postgres", "objects")

Progress = Callable[[str], None]


class Supervisor:
    """One per data folder and process; must run in the main thread (see `launching.spawn`)."""

    def __init__(
        self, installation: Installation, *, processes: Sequence[str] = tuple(PROCESSES), progress: Progress = lambda _: None
    ) -> None:
        self.installation = installation
        self._progress = progress
        self._processes = tuple(processes)
        self._agencies = agency_passwords(installation.folder)
        self._logins = source_logins(installation.folder)
        # agencies whose account has its imports: a server that starts has all
        self._linked = set(self._agencies)
        self._compose()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._started_at = time.time()
        self._logs_next = 0.0
        self._reloads_due = 0
        self._watching: asyncio.Task[None] | None = None

    def _compose(self) -> None:
        self._nats = self.installation.nats_server(self._agencies, self._logins)
        self._postgres = self.installation.postgres_server()
        servers: list[Server] = [self._nats, self._postgres, self.installation.object_server(), *self._service_processes()]
        self.supervised = {server.name: Supervised(server, self._write_status) for server in servers}

    async def start(self) -> None:
        """Returns when everything is ready; raises what kept a server from starting, after stopping the others."""
        await self._settle_ports()
        if self._postgres.place.moved:
            self._progress(self._postgres.place.moved)
        await self._postgres.wait_for_predecessor()
        for request in (self.installation.folder.rest_request, self.installation.folder.rest_granted):
            request.unlink(missing_ok=True)
        try:
            await self._start_all()
        except BaseException:
            await self.stop()
            raise
        self._watch()

    @property
    def linked_agencies(self) -> frozenset[str]:
        """Whose devices may come in: nats-server knows their accounts and is told nothing more of them."""
        return frozenset(self._linked)

    async def add(self, server: Server) -> None:
        """Keep one more process alive; returns when it is ready."""
        supervised = self.supervised[server.name] = Supervised(server, self._write_status)
        self._tasks[server.name] = asyncio.create_task(self._run(supervised), name=server.name)
        await self._until_ready()

    async def wait(self) -> None:
        """Until something fails that restarts can't heal. Any number of callers may wait."""
        await asyncio.shield(self._watching or self._watch())

    def _watch(self) -> asyncio.Task[None]:
        self._watching = asyncio.create_task(self._look_after(), name="looking after all")
        return self._watching

    async def _look_after(self) -> None:
        """New agencies to NATS, big logs cut, rest for backups."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            for task in self._tasks.values():
                if task.done():
                    task.result()
            await self._follow_agencies()
            self._cut_logs()
            if self.installation.folder.rest_request.is_file():
                await self._rest()

    async def stop(self) -> None:
        """In the opposite order of the start: the door first, the stores last."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._stop_all()
        self.installation.folder.status.unlink(missing_ok=True)

    async def _start_all(self) -> None:
        for name, supervised in self.supervised.items():
            self._tasks[name] = asyncio.create_task(self._run(supervised), name=name)
        await self._until_ready()

    async def _stop_all(self) -> None:
        for name in reversed(list(self.supervised)):
            if name not in INFRASTRUCTURE:
                await self._stop_one(name)
        await asyncio.gather(*(self._stop_one(name) for name in INFRASTRUCTURE))
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _stop_one(self, name: str) -> None:
        if self.supervised[name].is_running:
            self._progress(f"stopping {name}")
        await self.supervised[name].stop()

    async def _rest(self) -> None:
        """Everything stopped while a backup reads the files; it ends with its request, or with the process that made it."""
        folder = self.installation.folder
        self._progress("resting for a backup")
        await self._stop_all()
        write_private(folder.rest_granted, "")
        try:
            # another process writes the file: no event can tell
            while folder.rest_request.is_file() and exists(int(folder.rest_request.read_text())):  # noqa: ASYNC110 # another process removes the file
                await asyncio.sleep(0.05)
        except FileNotFoundError:
            pass
        finally:
            folder.rest_request.unlink(missing_ok=True)
            folder.rest_granted.unlink(missing_ok=True)
        await self._start_all()

    def _service_processes(self) -> list[ServiceProcess]:
        installation, environment = self.installation, self.installation.environment()
        result = []
        for process in self._processes:
            listening = [installation.ports[f"{process}_rpc"]]
            if process == "gateway":
                listening.append(installation.ports["gateway"])
            result.append(
                ServiceProcess(
                    process,
                    PROCESSES[process],
                    after=INFRASTRUCTURE,
                    folder=installation.folder.path,
                    log=installation.folder.log(process),
                    environment=environment,
                    ready_ports=tuple(listening),
                )
            )
        if "video" in self._processes:
            for name, (port, its_own) in installation.further_relays().items():
                log = installation.folder.log(name)
                folder = installation.folder.path
                result.append(
                    ServiceProcess(
                        name, PROCESSES["video"], after=INFRASTRUCTURE, folder=folder, log=log, environment=its_own, ready_ports=(port,)
                    )
                )
        return result

    async def _run(self, supervised: Supervised) -> None:
        for name in supervised.server.after:
            await self.supervised[name].ready.wait()
        await supervised.keep_alive()

    async def _until_ready(self) -> None:
        waiting: dict[str, asyncio.Task[Any]] = {
            name: asyncio.create_task(supervised.ready.wait())
            for name, supervised in self.supervised.items()
            if not supervised.ready.is_set()
        }
        try:
            while waiting:
                await asyncio.wait([*waiting.values(), *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
                for task in self._tasks.values():
                    if task.done():
                        task.result()
                for name in [name for name, task in waiting.items() if task.done()]:
                    del waiting[name]
                    self._progress(f"{name} is ready after {self.supervised[name].facts.ready_after_s:.1f} s")
        finally:
            for task in waiting.values():
                task.cancel()

    async def _settle_ports(self) -> None:
        """Ports that people type must be free; inner ones move when a stranger has them. A killed predecessor gets a moment to let go."""
        deadline = time.monotonic() + _PREDECESSOR_S
        while (taken := self._taken_ports()) and time.monotonic() < deadline:  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.1)
        for name, port in taken.items():
            if name in KNOWN_TO_PEOPLE:
                raise PortTakenError(name, port)
        if taken:
            self.installation.move_ports(taken)
            self._progress(f"other programs use the ports of {', '.join(taken)}: moved to free ones")
            self._compose()

    def _taken_ports(self) -> dict[str, int]:
        return {name: port for name, port in self.installation.ports.items() if not is_free(port, datagrams=name == "media")}

    async def _follow_agencies(self) -> None:
        known, logins = agency_passwords(self.installation.folder), source_logins(self.installation.folder)
        # an account that isn't linked yet would acknowledge to its devices what leads nowhere: they come in when it is
        logins = {agency: passwords for agency, passwords in logins.items() if agency in self._linked}
        if known != self._agencies or logins != self._logins:
            self._agencies, self._logins = known, logins
            self._linked &= known.keys()
            await asyncio.to_thread(self._nats.set_agencies, known, logins)
            # nats-server 2.15 lets in the users of a new account at the first reload and links its service import at the second
            self._reloads_due = 2
            _LOG.info("nats: accounts of %d agencies, logins of %d sources", len(known), sum(map(len, logins.values())))
        if self._reloads_due:
            self._reloads_due -= 1
            self.supervised["nats"].signal(signal.SIGHUP)
        else:
            self._linked = set(self._agencies)

    def _cut_logs(self) -> None:
        if time.monotonic() < self._logs_next:
            return
        self._logs_next = time.monotonic() + _LOGS_S
        for log in self.installation.folder.logs.glob("*.log"):
            _cut(log)

    def _write_status(self) -> None:
        installation = self.installation
        write_json(
            installation.folder.status,
            {
                "supervisor_process_id": os.getpid(),
                "started_at": self._started_at,
                "mode": installation.mode,
                "url": installation.url,
                "ports": installation.ports,
                "processes": {name: asdict(supervised.facts) for name, supervised in self.supervised.items()},
            },
        )


def _cut(log: Path) -> None:
    """Move a big log aside by copy: its writers keep the file open in append mode."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LOG_LIMIT_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
