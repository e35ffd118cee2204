"""Backup and restore: one file that holds the whole data folder, and a new folder made from it.

The services and stores rest while the files are read: a copy of running stores, each at another moment, would pair an acknowledged
message with a database that doesn't know its effect yet.
"""

import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.folder import DataFolder, read_json, write_json, write_private
from rtcc_standalone.installation import FORMAT, find_programs
from rtcc_standalone.unprivileged import hand_over, postgres_place

_MANIFEST = "openrtcc-backup.json"
_PARTS = ("agencies", "files", "nats", "objects", "secrets", "spool")
_POSTGRES = "postgres"
_PAUSE_TIMEOUT_S = 120.0
Progress = Callable[[str], None]


class BackupError(StandaloneError):
    """The backup could not be made or read."""


def backup(folder: DataFolder, archive: Path, progress: Progress) -> int:
    """Write `archive` (tar, gzip, mode 0600: it holds the secrets). The answer is its size in bytes."""
    if archive.exists():
        raise BackupError(f"{archive} exists. Name a new file, or remove it first.")
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_name(f"{archive.name}.partial")
    try:
        with _resting(folder, progress), os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
                _write(tar, folder, progress)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(archive)
    finally:
        partial.unlink(missing_ok=True)
    return archive.stat().st_size


def restore(archive: Path, target: Path, progress: Progress) -> None:
    """Make a new data folder from a backup. Refuses a folder that holds anything."""
    folder = DataFolder(target)
    if folder.path.exists() and any(folder.path.iterdir()):
        raise BackupError(f"{folder.path} is not empty. A restore makes a new folder: name another one with --data.")
    try:
        with tarfile.open(archive, "r:gz") as tar:
            manifest = _manifest(tar, archive)
            progress(f"backup of {manifest['created_at']}, installation {manifest['installation']['installation_id']}")
            folder.create()
            for member in tar:
                _extract(tar, member, folder)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BackupError(
            f"{archive} can't be read to its end ({error}). Use another copy; {folder.path} is incomplete and may be removed."
        ) from error
    place = postgres_place(folder.postgres, find_programs()["postgres"].parent)
    staged = folder.path / _POSTGRES
    staged.chmod(0o700)
    if place.data != staged:
        progress(place.moved)
        place.data.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(staged, place.data)
    if place.user_id is not None:
        hand_over(place.data, place.user_id)
    folder.create()
    write_json(folder.installation, manifest["installation"])


def _write(tar: tarfile.TarFile, folder: DataFolder, progress: Progress) -> None:
    place = postgres_place(folder.postgres, find_programs()["postgres"].parent)
    manifest = {
        "format": FORMAT,
        "created_at": datetime.now(UTC).isoformat(),
        "postgres_major": (place.data / "PG_VERSION").read_text().strip(),
        "installation": read_json(folder.installation),
    }
    content = json.dumps(manifest, indent=2).encode()
    header = tarfile.TarInfo(_MANIFEST)
    header.size, header.mtime, header.mode = len(content), int(time.time()), 0o600
    tar.addfile(header, io.BytesIO(content))
    for name, path in (*((part, folder.path / part) for part in _PARTS), (_POSTGRES, place.data)):
        progress(f"copying {name}")
        tar.add(path, arcname=name, filter=_wanted)


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """No sockets, pipes, logs of other programs or lock files; owners are set at the restore."""
    if not (member.isfile() or member.isdir()) or Path(member.name).name in ("postmaster.pid", "LOCK.pid"):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _manifest(tar: tarfile.TarFile, archive: Path) -> dict[str, Any]:
    first = tar.next()
    file = tar.extractfile(first) if first is not None and first.name == _MANIFEST else None
    if file is None:
        raise BackupError(f"{archive} is not a backup made by ./rtcc backup.")
    manifest: dict[str, Any] = json.loads(file.read())
    if manifest["format"] > FORMAT:
        raise BackupError(f"{archive} was made by a newer OpenRTCC (format {manifest['format']}). Update this checkout.")
    return manifest


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: DataFolder) -> None:
    if member.name == _MANIFEST:
        return
    if member.name.split("/", 1)[0] not in (*_PARTS, _POSTGRES):
        raise BackupError(f"The backup holds {member.name}, which no backup of ours does: it is not restored.")
    # "data": refuses absolute names, "..", links out of the folder and devices (PEP 706)
    tar.extract(member, folder.path, filter="data")


@contextmanager
def _resting(folder: DataFolder, progress: Progress) -> Iterator[None]:
    """Nothing writes below: a running supervisor stops its processes for us and starts them again afterwards."""
    if folder.supervisor_id() is None:
        with folder.exclusive():
            yield
        return
    progress("the platform rests while its files are read")
    began = time.monotonic()
    write_private(folder.rest_request, f"{os.getpid()}\n")
    try:
        while not folder.rest_granted.is_file():
            if time.monotonic() - began > _PAUSE_TIMEOUT_S or folder.supervisor_id() is None:
                raise BackupError(f"The platform did not come to rest in {_PAUSE_TIMEOUT_S:.0f} s; see {folder.logs}.")
            time.sleep(0.05)
        yield
    finally:
        folder.rest_request.unlink(missing_ok=True)
        progress(f"the platform goes on after {time.monotonic() - began:.1f} s of rest")
