"""An installation for a test: own folder, free ports, gone afterwards."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rtcc_standalone.installation import PROCESSES, Mode, open_installation
from rtcc_standalone.ports import NAMES, PREFERRED, choose
from rtcc_standalone.supervisor import Supervisor


@asynccontextmanager
async def throwaway_platform(
    *, processes: Sequence[str] = tuple(PROCESSES), mode: Mode = "production", settings: Mapping[str, str] | None = None
) -> AsyncIterator[Supervisor]:
    """Real NATS, PostgreSQL and S3 and, as asked, service processes (`processes=()`: none). The supervisor's `installation` tells the rest.

    Must be entered in the main thread's event loop.
    """
    # not pytest's tmp_path: PostgreSQL runs as another user when we are root, and that folder is closed to others
    folder = Path(tempfile.mkdtemp(prefix="rtcc-test-"))
    try:
        folder.chmod(0o711)
        installation = open_installation(folder, mode=mode, wanted_ports=unusual_ports(), settings=settings)
        with installation.folder.exclusive():
            supervisor = Supervisor(installation, processes=processes)
            await supervisor.start()
            try:
                yield supervisor
            finally:
                await supervisor.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unusual_ports() -> dict[str, int]:
    """Never the preferred ports: a platform may run beside the tests. Nor any that another test was given and binds in a while."""
    from rtcc_chassis.testing import keep_port

    taken = set(PREFERRED.values())
    while True:
        chosen = choose({}, taken=taken)
        others = {port for port in chosen.values() if not keep_port(port)}
        if not others:
            return {name: chosen[name] for name in NAMES}
        # those that were kept for us meanwhile are given again by nobody: there are enough
        taken |= set(chosen.values())
