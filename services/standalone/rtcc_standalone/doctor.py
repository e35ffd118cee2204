"""`./rtcc doctor`: what is wrong with this machine or data folder, and what to do."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.folder import DataFolder, read_json
from rtcc_standalone.installation import ProgramNotFoundError, find_programs
from rtcc_standalone.ports import KNOWN_TO_PEOPLE, is_free
from rtcc_standalone.process_facts import exists
from rtcc_standalone.unprivileged import postgres_place

Verdict = Literal["ok", "warning", "broken"]
_DISK_WARNING_BYTES = 10 * 1000**3
_DISK_BROKEN_BYTES = 1000**3
_MEMORY_BYTES = 2 * 1000**3


@dataclass(frozen=True)
class Finding:
    verdict: Verdict
    text: str
    advice: str = ""


def examine(root: Path, folder: DataFolder) -> Iterator[Finding]:
    """All findings, good ones too, in the order in which they matter."""
    yield from _machine(folder)
    yield from _programs()
    yield from _checkout(root)
    yield from _data(folder)


def _machine(folder: DataFolder) -> Iterator[Finding]:
    yield Finding("ok", f"Python {sys.version.split()[0]} in {sys.prefix}")
    existing = next(path for path in (folder.path, *folder.path.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    verdict: Verdict = "broken" if free < _DISK_BROKEN_BYTES else "warning" if free < _DISK_WARNING_BYTES else "ok"
    advice = "" if verdict == "ok" else "free some space, or put the data elsewhere: ./rtcc up --data OTHER_FOLDER"
    yield Finding(verdict, f"{free / 1e9:.1f} GB free for {folder.path}", advice)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield Finding(
        "ok" if memory >= _MEMORY_BYTES else "warning",
        f"{memory / 1e9:.1f} GB memory",
        "" if memory >= _MEMORY_BYTES else "the platform takes about 1 GB: expect swapping",
    )
    if not os.access(existing, os.W_OK):
        yield Finding("broken", f"{existing} can't be written", f"run as its owner, or: chown {os.getuid()} {existing}")


def _programs() -> Iterator[Finding]:
    try:
        programs = find_programs()
    except ProgramNotFoundError as error:
        yield Finding("broken", str(error), "delete .venv/.rtcc-stamp and run ./rtcc doctor again: the packages are installed anew")
        return
    arguments = {"nats-server": ["--version"], "postgres": ["--version"], "weed": ["version"]}
    for name, path in programs.items():
        try:
            done = subprocess.run([path, *arguments[name]], capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            yield Finding("broken", f"{name} doesn't run: {error}", f"is {path} on a file system mounted noexec? Move the checkout.")
            continue
        if done.returncode == 0:
            yield Finding("ok", f"{name}: {done.stdout.strip().splitlines()[0]}")
        else:
            yield Finding(
                "broken", f"{name} ends with {done.returncode}: {done.stderr.strip()[:300]}", "its message says what the machine lacks"
            )


def _checkout(root: Path) -> Iterator[Finding]:
    generated = (root / "proto" / "generated" / ".stamp").is_file()
    yield Finding(
        "ok" if generated else "warning",
        "contracts compiled" if generated else "contracts are not compiled",
        "" if generated else "./rtcc gen",
    )
    page = (root / "services" / "console" / "rtcc_console" / "static" / "index.html").is_file()
    yield Finding(
        "ok" if page else "warning", "console built" if page else "the console is not built", "" if page else "./rtcc up builds it"
    )


def _data(folder: DataFolder) -> Iterator[Finding]:
    if not folder.installation.is_file():
        yield Finding("ok", f"{folder.path} holds no installation yet", "./rtcc up makes one")
        return
    try:
        ports: dict[str, int] = read_json(folder.installation)["ports"]
    except (ValueError, KeyError, OSError) as error:
        yield Finding(
            "broken", f"{folder.installation} can't be read ({error})", "restore it from a backup: ./rtcc restore FILE --data NEW_FOLDER"
        )
        return
    yield from _modes(folder)
    yield from _running(folder, ports)
    yield from _postgres(folder)


def _modes(folder: DataFolder) -> Iterator[Finding]:
    opened = [path for path in folder.secrets.rglob("*") if path.stat().st_mode & 0o077]
    if folder.secrets.stat().st_mode & 0o077:
        opened.append(folder.secrets)
    strangers = [path for path in (folder.path, folder.secrets, folder.installation) if path.stat().st_uid != os.getuid()]
    if opened:
        yield Finding(
            "warning",
            f"{len(opened)} secrets are open to other users ({opened[0]})",
            "the next ./rtcc up closes them; who read them before?",
        )
    else:
        yield Finding("ok", "secrets are readable by their owner alone")
    if strangers:
        yield Finding("broken", f"{strangers[0]} belongs to another user", f"run as that user, or: chown -R {os.getuid()} {folder.path}")


def _running(folder: DataFolder, ports: dict[str, int]) -> Iterator[Finding]:
    supervisor = folder.supervisor_id()
    if supervisor is not None:
        yield Finding("ok", f"the platform runs (supervisor process {supervisor})")
        if folder.status.is_file():
            for name, process in read_json(folder.status)["processes"].items():
                if process["state"] != "ready":
                    yield Finding(
                        "broken", f"{name} is {process['state']}: {process['problem'] or process['last_exit']}", f"see {folder.log(name)}"
                    )
        return
    if folder.status.is_file():
        yield Finding("ok", "the last supervisor was killed", "nothing to do: the next start recovers by itself")
    for name, port in ports.items():
        if is_free(port, datagrams=name == "media"):
            continue
        text = f"port {port} ({name}) is used by {_owner(port)}"
        if name in KNOWN_TO_PEOPLE:
            yield Finding("broken", text, f"end it, or: ./rtcc up --port {name}=NUMBER")
        else:
            yield Finding("warning", text, "nothing to do: the next start chooses another")


def _postgres(folder: DataFolder) -> Iterator[Finding]:
    try:
        place = postgres_place(folder.postgres, find_programs()["postgres"].parent)
    except StandaloneError as error:
        yield Finding("broken", str(error))
        return
    except KeyError:
        yield Finding(
            "broken", "this system has no user 'nobody', under which PostgreSQL's files are first made", "run ./rtcc as an ordinary user"
        )
        return
    if place.moved:
        yield Finding("warning", place.moved, "to keep all data together: --data in a folder that others may pass through")
    lock = place.data / "postmaster.pid"
    if lock.is_file() and folder.supervisor_id() is None:
        process_id = int(lock.read_text().split("\n", 1)[0] or 0)
        if exists(process_id):
            yield Finding(
                "warning",
                f"postmaster.pid names the living process {process_id}",
                "the next start waits for it, or removes the file when it is a stranger",
            )
        else:
            yield Finding("ok", "postmaster.pid is stale", "nothing to do: the next start removes it")


def _owner(port: int) -> str:
    """Which program listens, from /proc/net/tcp and the descriptors we may read."""
    inode = ""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            inode = fields[9]
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inode else ():
        try:
            if os.readlink(descriptor) == f"socket:[{inode}]":
                process = descriptor.parts[2]
                return f"process {process} ({Path('/proc', process, 'comm').read_text().strip()})"
        except OSError:
            continue
    return "another program"
