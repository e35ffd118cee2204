"""up, down, status: the platform of one data folder."""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.errors import FolderInUseError, StandaloneError, last_lines
from rtcc_standalone.folder import DataFolder, read_json
from rtcc_standalone.installation import Installation, open_installation
from rtcc_standalone.preparation import prepare
from rtcc_standalone.process_facts import descendants, memory_mb
from rtcc_standalone.supervisor import Supervisor
from rtcc_standalone.terminal import Steps, say, warn
from rtcc_standalone.verbs.folders import data_path, existing, named_ports

_STOP_TIMEOUT_S = 120.0
_START_TIMEOUT_S = 1800.0

END_HINT = "\nEnd with Ctrl-C or ./rtcc down."
OnReady = Callable[[Supervisor, Steps], Awaitable[None]]


class DetachedStartError(StandaloneError):
    """The platform in the background ended while starting."""

    def __init__(self, log: Path) -> None:
        super().__init__(f"The platform did not start. {log} ends with:\n{last_lines(log)}")


def up(options: argparse.Namespace) -> int:
    steps = Steps()
    path = data_path(options)
    if options.detach:
        return start_detached(options, path, steps)
    prepare(checkout_root(), steps)
    installation = open_installation(path, wanted_ports=named_ports(options), settings=caller_settings())
    return asyncio.run(serve(installation, steps, _greet))


async def _greet(supervisor: Supervisor, steps: Steps) -> None:
    from rtcc_standalone.verbs.people import first_link

    installation = supervisor.installation
    link = await first_link(installation)
    steps(f"the platform is ready ({installation.folder.path})")
    say(f"\nConsole:  {installation.url}")
    if link:
        say(f"\nThis installation has nobody yet. Its first administrator signs up here (once, within 72 h):\n\n  {link}")
        say("\nLost the link? A new one: ./rtcc user enrol admin")
    say(END_HINT)


async def serve(installation: Installation, steps: Steps, on_ready: OnReady) -> int:
    """Run the platform until SIGINT, SIGTERM or a failure that restarts can't heal."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    with installation.folder.exclusive():
        supervisor = Supervisor(installation, progress=steps)
        steps(f"starting the platform in {installation.folder.path}")
        started = asyncio.create_task(_start(supervisor, steps, on_ready))
        stop_wanted = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait([started, stop_wanted], return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                started.result()
                failed = asyncio.create_task(supervisor.wait())
                await asyncio.wait([failed, stop_wanted], return_when=asyncio.FIRST_COMPLETED)
                if failed.done():
                    failed.result()
                failed.cancel()
        finally:
            if not started.done():
                started.cancel()
                await asyncio.gather(started, return_exceptions=True)
            await supervisor.stop()
            steps("stopped")
    return 0


async def _start(supervisor: Supervisor, steps: Steps, on_ready: OnReady) -> None:
    await supervisor.start()
    await on_ready(supervisor, steps)


def caller_settings() -> dict[str, str]:
    """RTCC_<...> of the caller reach the services: every setting of every service can be set so."""
    ours = {"RTCC_DATA", "RTCC_UV", "RTCC_SOAK", "RTCC_NATS_SERVER", "RTCC_POSTGRES", "RTCC_WEED"}
    return {name: value for name, value in os.environ.items() if name.startswith("RTCC_") and name not in ours}


def start_detached(options: argparse.Namespace, path: Path, steps: Steps, arguments: Sequence[str] = ()) -> int:
    """Run the same verb in the background; returns when it says that everything is ready."""
    folder = DataFolder(path)
    if (running := folder.supervisor_id()) is not None:
        raise FolderInUseError(folder.path, running)
    folder.create()
    log = folder.log("supervisor")
    command = [sys.executable, "-m", "rtcc_standalone.cli", options.verb, "--data", str(folder.path), *arguments]
    for name, number in options.port or ():
        command += ["--port", f"{name}={number}"]
    began = log.stat().st_size if log.is_file() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    steps(f"starting in the background; its log is {log}")
    deadline, shown = time.monotonic() + _START_TIMEOUT_S, 0
    while True:
        text = _since(log, began)
        lines = text.splitlines(keepends=True)
        for line in lines[shown:]:
            if line.startswith("[") and line.endswith("\n"):
                print(line, end="", file=sys.stderr, flush=True)
        shown = len(lines) if text.endswith("\n") else max(shown, len(lines) - 1)
        if END_HINT in text:
            break
        if process.poll() is not None or time.monotonic() > deadline:
            raise DetachedStartError(log)
        time.sleep(0.1)
    say(text[text.index("\nConsole:") :].rstrip())
    return 0


def _since(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")


def down(options: argparse.Namespace) -> int:
    folder = existing(options)
    supervisor = folder.supervisor_id()
    if supervisor is None:
        warn(f"nothing runs on {folder.path}")
        return 0
    steps = Steps()
    steps(f"stopping the platform of {folder.path} (process {supervisor})")
    os.kill(supervisor, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while folder.supervisor_id() is not None:
        if time.monotonic() > deadline:
            warn(
                f"process {supervisor} still runs after {_STOP_TIMEOUT_S:.0f} s; see {folder.logs}. No data is lost by kill -9 {supervisor}"
            )
            return 1
        time.sleep(0.05)
    steps("stopped")
    return 0


def status(options: argparse.Namespace) -> int:
    """Exit code 0: all ready; 3: not running (as systemd's tools answer); 1: something is not ready."""
    folder = existing(options)
    facts = _facts(folder)
    if options.json:
        say(json.dumps(facts))
    else:
        _show(facts)
    if not facts["running"]:
        return 3
    return 0 if all(process["state"] == "ready" for process in facts["processes"].values()) else 1


def _facts(folder: DataFolder) -> dict[str, Any]:
    supervisor = folder.supervisor_id()
    if supervisor is None or not folder.status.is_file():
        return {"running": False, "folder": str(folder.path), "processes": {}}
    stored = read_json(folder.status)
    for process in stored["processes"].values():
        running = process["state"] in ("ready", "starting") and process["process_id"]
        process["memory_mb"] = round(memory_mb(descendants(process["process_id"])), 1) if running else 0.0
    stored["supervisor_memory_mb"] = round(memory_mb([supervisor]), 1)
    return {"running": True, "folder": str(folder.path), **stored}


def _show(facts: dict[str, Any]) -> None:
    if not facts["running"]:
        say(f"not running: {facts['folder']}\nStart it with ./rtcc up.")
        return
    say(f"{facts['url']}   {facts['mode']}   {facts['folder']}   supervisor {facts['supervisor_process_id']}\n")
    say(f"{'':12}{'state':12}{'process':>9}{'memory':>10}{'ready in':>10}{'restarts':>10}   ")
    total: float = facts["supervisor_memory_mb"]
    for name, process in facts["processes"].items():
        total += process["memory_mb"]
        line = f"{name:12}{process['state']:12}{process['process_id']:>9}{process['memory_mb']:>7.0f} MB"
        say(f"{line}{process['ready_after_s']:>8.1f} s{process['restarts']:>10}   {process['last_exit']}")
        if process["problem"]:
            say(f"            {process['problem']}")
    say(f"\ndevices: MQTT on 127.0.0.1:{facts['ports']['mqtt']}, TAK (TLS) on 127.0.0.1:{facts['ports']['tak']}")
    say(f"{total:.0f} MB in all (shared pages counted once), the supervisor's {facts['supervisor_memory_mb']} MB among them")
