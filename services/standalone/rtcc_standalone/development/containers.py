"""buildah and podman for tests/pods: found on the machine, else installed from Debian (as root), else those tests skip and say so."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence

_PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap")
_PACKAGES = ("buildah", "podman", "runc", "catatonit", "containernetworking-plugins", "netavark", "aardvark-dns", "iptables", "mmdebstrap")


def missing_programs() -> list[str]:
    return [program for program in _PROGRAMS if shutil.which(program) is None]


def wanted(arguments: Sequence[str], *, soak: bool) -> bool:
    """Whether this run of the tests comes to tests/pods."""
    paths = [argument for argument in arguments if "tests" in argument]
    return soak and (not paths or any("tests/pods" in path or path.rstrip("/") == "tests" for path in paths))


def ensure_containers(progress: Callable[[str], None]) -> None:
    """Install what is missing where that is allowed."""
    if not missing_programs() or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    progress("no buildah and podman here: installing them from Debian")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False, capture_output=True)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *_PACKAGES]
    subprocess.run(command, env=environment, check=False, capture_output=True)
