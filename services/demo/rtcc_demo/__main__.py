"""`python -m rtcc_demo SETTINGS.json`: runs the demo's devices until SIGINT or SIGTERM. `./rtcc demo` writes the file and starts this."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path

from rtcc_demo.render.clips import ClipsNotDrawn
from rtcc_demo.running import run_devices
from rtcc_demo.settings import UnreadableSettings, load_settings

EXIT_UNUSABLE = 2


def main() -> int:
    """The exit code: 0 after a signal, 2 when the settings or the machine don't allow a start."""
    parser = argparse.ArgumentParser(description="Run the demo's devices: trackers, plate readers, gunshot sensors, dispatch and cameras.")
    parser.add_argument("settings", type=Path, help="the file that `./rtcc demo` writes (feeders.json)")
    parser.add_argument("--gateway", metavar="URL", help="another gateway than the file names")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    code = 0
    try:
        settings = load_settings(options.settings)
        if options.gateway:
            settings = replace(settings, gateway_url=options.gateway)
        asyncio.run(_until_signalled(run_devices(settings, lambda text: print(text, flush=True))))
    except* (UnreadableSettings, ClipsNotDrawn, OSError) as group:
        for error in group.exceptions:
            print(f"The demo's devices can't run: {error}", file=sys.stderr)
        code = EXIT_UNUSABLE
    return code


async def _until_signalled(work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    sys.exit(main())
