"""What the supervisor asks of anything it keeps alive."""

import signal
from pathlib import Path
from typing import Protocol

from rtcc_standalone.launching import Launch


class Server(Protocol):
    """One supervised process. `after`: names of the servers that must be ready before it starts."""

    name: str
    after: tuple[str, ...]
    # how long it may take to become ready, including recovery after a crash
    ready_timeout_s: float
    stop_signal: signal.Signals
    stop_timeout_s: float

    @property
    def log(self) -> Path: ...

    def prepare(self) -> None:
        """Write its files and clear what a killed predecessor left; runs before every start."""

    def launch(self) -> Launch: ...

    async def is_ready(self) -> bool:
        """Whether it answers now; quick, never raises for a server that isn't there yet."""

    async def after_ready(self) -> None:
        """Work that needs the running server: roles, schemas. Repeatable."""
