"""The data folder: all that an installation on one machine is. It can be backed up, moved and opened again after `kill -9`."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rtcc_standalone.errors import FolderInUseError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
# others may pass through (PostgreSQL runs as another user when we are root) but not list
PASSABLE_FOLDER = 0o711


class DataFolder:
    """Paths below one folder, and the only way in which files are written there."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.installation = self.path / "installation.json"
        self.secrets = self.path / "secrets"
        self.logs = self.path / "logs"
        self.run = self.path / "run"
        self.agencies = self.path / "agencies"
        # logins of sources that speak MQTT
        self.sources = self.agencies / "sources"
        self.nats = self.path / "nats"
        self.objects = self.path / "objects"
        self.postgres = self.path / "postgres"
        self.files = self.path / "files"
        # recorded video on its way to the object store
        self.spool = self.path / "spool"
        self.status = self.run / "status.json"
        # a backup asks by the first file, the supervisor answers by the second
        self.rest_request = self.run / "rest.request"
        self.rest_granted = self.run / "rest.granted"
        self._lock = self.run / "supervisor.lock"

    def create(self) -> None:
        """Make the folders; repairs modes that were opened by hand."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(PASSABLE_FOLDER)
        for folder in (self.secrets, self.logs, self.run, self.agencies, self.sources, self.nats, self.objects, self.files, self.spool):
            folder.mkdir(exist_ok=True)
            folder.chmod(PRIVATE_FOLDER)
        for secret in self.secrets.rglob("*"):
            secret.chmod(PRIVATE_FOLDER if secret.is_dir() else PRIVATE_FILE)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def supervisor_id(self) -> int | None:
        """The process id of the supervisor that runs on this folder, None when none does.

        The lock is the truth and not the number in it: the kernel drops the lock with its process, however that ended.
        """
        try:
            with self._lock.open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read().strip() or 0)
        except OSError:
            return None
        return None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the folder for this process. Raises FolderInUseError when another supervisor has it."""
        self.run.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise FolderInUseError(self.path, int(file.read().strip() or 0)) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file at once, readable by its owner alone, on disk before it is visible."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(PRIVATE_FILE)
    fresh.replace(path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    write_private(path, json.dumps(value, indent=2) + "\n")
