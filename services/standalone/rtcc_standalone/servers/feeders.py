"""The demo's devices, in a process of their own: to the platform they are strangers at the door."""

import asyncio
import signal
import sys
from pathlib import Path

from rtcc_standalone.errors import last_lines
from rtcc_standalone.launching import Launch, plain_environment


class FeedersProcess:
    """`python -m rtcc_demo FILE`. Ready when its cameras answer, which at the first start waits for their clips to be drawn."""

    name = "feeders"
    after: tuple[str, ...] = ("gateway", "video")
    # two busy cores draw for minutes, two idle ones for half of one
    ready_timeout_s = 1200.0
    stop_signal = signal.SIGTERM
    stop_timeout_s = 10.0

    def __init__(self, *, settings_file: Path, camera_port: int, log: Path) -> None:
        self._settings_file = settings_file
        self._camera_port = camera_port
        self._log = log

    @property
    def log(self) -> Path:
        return self._log

    def news(self) -> str:
        """The newest line of its log that is meant for people ("drawing street scenes 3/8"); empty: none."""
        return next((line for line in reversed(last_lines(self._log).splitlines()) if line.startswith("drawing")), "")

    def prepare(self) -> None:
        return

    def launch(self) -> Launch:
        return Launch(
            command=[sys.executable, "-m", "rtcc_demo", str(self._settings_file)],
            log=self._log,
            folder=self._settings_file.parent,
            environment=plain_environment(PYTHONUNBUFFERED="1"),
        )

    async def is_ready(self) -> bool:
        try:
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection("127.0.0.1", self._camera_port)
                writer.close()
        except (OSError, TimeoutError):
            return False
        return True

    async def after_ready(self) -> None:
        return
