"""A process of our own services, started as `python -m rtcc_standalone.host NAME...`."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from rtcc_standalone.launching import Launch, plain_environment


class ServiceProcess:
    """Ready when every port in `ready_ports` takes connections: a service opens its gRPC port last."""

    ready_timeout_s = 90.0
    stop_signal = signal.SIGTERM
    # the chassis drains step by step, each bounded to 10 s
    stop_timeout_s = 20.0

    def __init__(
        self,
        name: str,
        services: tuple[str, ...],
        *,
        after: tuple[str, ...],
        folder: Path,
        log: Path,
        environment: Mapping[str, str],
        ready_ports: tuple[int, ...],
    ) -> None:
        self.name = name
        self.after = after
        self._services = services
        self._folder = folder
        self._log = log
        self._environment = dict(environment)
        self._ready_ports = ready_ports

    @property
    def log(self) -> Path:
        return self._log

    def prepare(self) -> None:
        return

    def launch(self) -> Launch:
        return Launch(
            command=[sys.executable, "-m", "rtcc_standalone.host", *self._services],
            log=self._log,
            folder=self._folder,
            # malloc arenas: one a thread would triple the resident memory of a process full of gRPC threads
            environment=plain_environment(PYTHONUNBUFFERED="1", PYTHONOPTIMIZE="", MALLOC_ARENA_MAX="2", **self._environment),
        )

    async def is_ready(self) -> bool:
        for port in self._ready_ports:
            try:
                async with asyncio.timeout(1):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
            except (OSError, TimeoutError):
                return False
        return True

    async def after_ready(self) -> None:
        return
