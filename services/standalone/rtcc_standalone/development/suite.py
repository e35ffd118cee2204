"""`./rtcc test`: the tests, with what they need found or installed first."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rtcc_standalone.development.chromium import ENVIRONMENT_NAME, ensure_chromium
from rtcc_standalone.development.containers import ensure_containers, wanted
from rtcc_standalone.terminal import Steps

# processes that test at once; each has servers of its own, the first of them a platform (conftest.py)
_WORKERS = 4


def run_tests(root: Path, arguments: Sequence[str], *, soak: bool) -> int:
    """pytest over `arguments` (paths and pytest's own options; none: everything). The answer is its exit code."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    if (chromium := ensure_chromium(Steps())) is not None:
        environment[ENVIRONMENT_NAME] = str(chromium)
    if soak:
        environment["RTCC_SOAK"] = "1"
    if wanted(arguments, soak=soak):
        ensure_containers(Steps())
    # everything: four files at a time, because many tests wait for processes to start and end; in the order of the folders, so that
    # the long ones of tests/ come first and many short ones fill the end (xdist would begin with the files that have the most tests)
    shared_out = [] if arguments else ["--numprocesses", str(_WORKERS), "--dist", "loadfile", "--no-loadscope-reorder"]
    return subprocess.run([sys.executable, "-m", "pytest", *shared_out, *arguments], cwd=root, env=environment, check=False).returncode
