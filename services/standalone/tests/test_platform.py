"""The whole platform through the command line, as a person at the terminal has it."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.folder import DataFolder
from rtcc_standalone.installation import PROCESSES
from rtcc_standalone.process_facts import descendants, exists
from rtcc_standalone.supervisor import INFRASTRUCTURE
from rtcc_standalone.throwaway import unusual_ports

from .conftest import Until

ROOT = checkout_root()
# several whole platforms one after the other, on a machine that may be busy
pytestmark = pytest.mark.timeout(400)


class Terminal:
    """Types ./rtcc in the checkout, always with the same data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def type(self, *words: str, code: int = 0) -> str:
        """What it prints on the standard output; its exit code must be `code`."""
        command = [str(ROOT / "rtcc"), *words, "--data", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self) -> str:
        given = [word for name, port in unusual_ports().items() for word in ("--port", f"{name}={port}")]
        return self.type("up", "--detach", *given)


@pytest.fixture
def terminal(open_folder: Path) -> Iterator[Terminal]:
    terminal = Terminal(open_folder / "data")
    yield terminal
    if DataFolder(terminal.folder).supervisor_id() is not None:
        terminal.type("down")


def test_first_day_on_one_machine(terminal: Terminal, open_folder: Path) -> None:
    printed = terminal.start()
    assert re.search(r"http://localhost:\d+/enrol#\S+", printed), printed

    assert "./rtcc user add" in terminal.type("agency", "add", "harbor", "Harbor Police", "--time-zone", "Europe/Helsinki")
    link = terminal.type("user", "add", "ada", "--agency", "harbor", "--name", "Ada Lind", "--role", "administrator")
    assert "/enrol#" in link
    assert terminal.type("user", "enrol", "ada") != link
    terminal.type("user", "enrol", "nobody", code=1)
    terminal.type("agency", "add", "harbor", "Again", code=1)

    facts = json.loads(terminal.type("status", "--json"))
    assert {name: process["state"] for name, process in facts["processes"].items()} == dict.fromkeys((*INFRASTRUCTURE, *PROCESSES), "ready")
    memory_mb = facts["supervisor_memory_mb"] + sum(process["memory_mb"] for process in facts["processes"].values())
    assert 100 < memory_mb < 1000

    reports = {report["agency_id"]: report for report in json.loads(terminal.type("ledger", "verify", "--json"))}
    assert reports["harbor"]["problems"] == []
    assert reports["harbor"]["tree_size"] > 0

    archive = open_folder / "first-day.tar.gz"
    terminal.type("backup", str(archive))
    terminal.type("down")
    terminal.type("status", code=3)

    restored = Terminal(open_folder / "restored")
    restored.type("restore", str(archive))
    assert "/enrol#" not in restored.type("up", "--detach")
    try:
        assert "/enrol#" in restored.type("user", "enrol", "ada")
        again = {report["agency_id"]: report for report in json.loads(restored.type("ledger", "verify", "--json"))}
        assert again["harbor"]["tree_size"] >= reports["harbor"]["tree_size"]
        assert again["harbor"]["problems"] == []
    finally:
        restored.type("down")


async def test_no_service_outlives_a_killed_supervisor_and_the_next_start_is_clean(terminal: Terminal, until: Until) -> None:
    terminal.start()
    supervisor = DataFolder(terminal.folder).supervisor_id()
    assert supervisor
    family = descendants(supervisor)
    assert len(family) > len(INFRASTRUCTURE) + len(PROCESSES)
    terminal.type("up", "--detach", code=1)  # a second one is refused, and the first lives on
    assert exists(supervisor)
    os.kill(supervisor, signal.SIGKILL)
    await until(lambda: not [one for one in family if exists(one)])
    assert "not running" in terminal.type("status", code=3)
    terminal.type("up", "--detach")
    assert terminal.type("status")
