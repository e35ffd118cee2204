"""Starting a child process that can't outlive its parent, as another user when asked."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# how the message of a child begins that may not change its user
CANNOT_BECOME = "cannot become user id"


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
            *tied_command(launch),
            cwd=launch.folder,
            env=dict(launch.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


# Runs alone in the new process, which then becomes the server. Not a `preexec_fn`: Python code between fork and exec of a process
# with threads can hang for ever, for instance in the garbage collector. The death signal is asked for after the change of user,
# which would clear it (prctl(2)), and the parent is looked at after that, for it may have died meanwhile.
_TIE = f"""
import ctypes, os, sys
parent, number, user = (int(text) for text in sys.argv[1:4])
if user >= 0:
    try:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    except OSError as error:
        sys.exit("{CANNOT_BECOME} %d: %s" % (user, error))
ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, number, 0, 0, 0)
if os.getppid() != parent:
    os._exit(125)
os.execv(sys.argv[4], sys.argv[4:])
"""


def tied_command(launch: Launch) -> list[str]:
    """The command of `launch` behind a few lines that change the user and bind its life to ours. Its program must be a path."""
    return _behind_tie(launch.command, int(launch.orphan_signal), launch.user_id)


def command_as_user(command: Sequence[str], user_id: int | None) -> list[str]:
    """`command` behind a few lines that change the user: `subprocess`'s own way forks, which libraries with threads don't survive."""
    return _behind_tie(command, 0, user_id)


def _behind_tie(command: Sequence[str], orphan_signal: int, user_id: int | None) -> list[str]:
    user = -1 if user_id is None else user_id
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), str(orphan_signal), str(user), *command]


def plain_environment(**extra: str) -> dict[str, str]:
    """What a server needs of our environment and no more: proxies, tokens and odd locales stay out."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C.UTF-8", **extra}
