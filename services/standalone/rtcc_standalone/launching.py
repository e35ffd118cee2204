"""Starting a child process that can't outlive its parent, as another user when asked."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtcc_standalone.errors import PrivilegeError

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Launch:
    """What to run. `user_id`: None for our own; `orphan_signal`: what the kernel sends the child when we die."""

    command: Sequence[str]
    log: Path
    folder: Path
    environment: Mapping[str, str]
    user_id: int | None = None
    orphan_signal: signal.Signals = signal.SIGKILL


async def spawn(launch: Launch) -> asyncio.subprocess.Process:
    """Start it with output appended to its log. Only to be called in the main thread: the kernel ties the death signal to the thread."""
    launch.log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            *launch.command,
            cwd=launch.folder,
            env=dict(launch.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            user=launch.user_id,
            group=launch.user_id,
            extra_groups=[] if launch.user_id is not None else None,
            preexec_fn=tie_to_parent(os.getpid(), launch.orphan_signal),
        )
    except PermissionError as error:
        if launch.user_id is None:
            raise
        raise PrivilegeError(launch.user_id, str(error)) from error
    finally:
        os.close(descriptor)


def tie_to_parent(parent_id: int, orphan_signal: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`, which runs after the change of user: that change would clear the death signal (prctl(2))."""

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)
        if os.getppid() != parent_id:  # the parent died between fork and prctl
            os._exit(125)

    return tie


def plain_environment(**extra: str) -> dict[str, str]:
    """What a server needs of our environment and no more: proxies, tokens and odd locales stay out."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C.UTF-8", **extra}
