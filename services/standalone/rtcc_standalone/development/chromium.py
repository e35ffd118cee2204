"""A Chromium for tests: found on the machine, else installed from Debian (as root) or by Playwright, else those tests skip and say so."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ENVIRONMENT_NAME = "RTCC_CHROMIUM"


def find_chromium() -> Path | None:
    """RTCC_CHROMIUM, the PATH, then Playwright's cache."""
    named = os.environ.get(ENVIRONMENT_NAME)
    if named and Path(named).is_file():
        return Path(named)
    for program in _PROGRAMS:
        if found := shutil.which(program):
            return Path(found)
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    candidates = sorted(cache.glob("chromium-*/chrome-linux*/chrome"), reverse=True)
    return candidates[0] if candidates else None


def ensure_chromium(progress: Callable[[str], None]) -> Path | None:
    """Find or install one; None when the machine has no way to it, with the reason told."""
    if found := find_chromium():
        return found
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if os.geteuid() == 0 and shutil.which("apt-get"):
        progress("no Chromium here: installing it from Debian")
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False, capture_output=True)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], env=environment, check=False, capture_output=True
        )
        if found := find_chromium():
            return found
    progress("no Chromium here: asking Playwright for one")
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False, capture_output=True)
    found = find_chromium()
    if found is None:
        progress("no Chromium could be had: tests in a browser will skip (install chromium, or set RTCC_CHROMIUM to one)")
    return found
