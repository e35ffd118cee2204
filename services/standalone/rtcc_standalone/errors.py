"""What can go wrong on one machine. Each message says what was wrong, where, and what to do."""

from pathlib import Path


class StandaloneError(RuntimeError):
    """A failure the command line shows without a traceback."""


class FolderInUseError(StandaloneError):
    """Another supervisor runs on the same data folder."""

    def __init__(self, folder: Path, process_id: int) -> None:
        self.folder = folder
        self.process_id = process_id
        super().__init__(
            f"A platform already runs on {folder} (supervisor process {process_id}). "
            "See it with ./rtcc status, end it with ./rtcc down, or start another one with --data OTHER_FOLDER."
        )


class NotRunningError(StandaloneError):
    """A verb needs the running platform."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"No platform runs on {folder}. Start it with ./rtcc up (or name its folder with --data DIR).")


class NoInstallationError(StandaloneError):
    """The data folder holds no installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"{folder} holds no installation. ./rtcc up makes one; --data DIR or RTCC_DATA names another folder.")


class PortTakenError(StandaloneError):
    """A port of the installation is used by a stranger."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        super().__init__(
            f"Port {port} ({name}) is used by another program. End that program, or choose another port: ./rtcc up --port {name}=NUMBER"
        )


class ServerStartError(StandaloneError):
    """A server did not become ready."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        self.name = name
        self.log = log
        tail = last_lines(log)
        super().__init__(f"{name} did not start: {reason}. Its log is {log}" + (f" and ends with:\n{tail}" if tail else "; it is empty."))


class PrivilegeError(StandaloneError):
    """PostgreSQL refuses to run as root, and here root can't become anybody else."""

    def __init__(self, user_id: int, reason: str) -> None:
        self.user_id = user_id
        super().__init__(
            f"PostgreSQL must not run as root and this process can't become user id {user_id} ({reason}). "
            "Run ./rtcc as an ordinary user, or allow user id changes in this container, or name an external database (docs/operations.md)."
        )


def last_lines(path: Path, count: int = 12) -> str:
    """The end of a log file; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])
    except OSError:
        return ""
