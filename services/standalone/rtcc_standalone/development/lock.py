"""`./rtcc lock`: the exact packages, with hashes, of all members (requirements.lock) and of developers (requirements-dev.lock)."""

import shutil
import subprocess
import tomllib
from pathlib import Path

from rtcc_standalone.errors import StandaloneError

RUNTIME = "requirements.lock"
DEVELOPMENT = "requirements-dev.lock"
_HEADER = "# Made by ./rtcc lock from the pyproject.toml of every member; never edited.\n"


class LockFailedError(StandaloneError):
    """uv found no set of packages."""

    def __init__(self, output: str) -> None:
        super().__init__(f"uv found no set of packages that fits all members; correct the pyproject.toml named here:\n{output}")


def lock(root: Path, *, upgrade: bool = False) -> None:
    """Write both files. The second holds everything: what runs and what developers need, in the same versions."""
    runtime = sorted(_requirements(root))
    with (root / "pyproject.toml").open("rb") as file:
        development = sorted(tomllib.load(file)["dependency-groups"]["dev"])
    _compile(root, runtime, RUNTIME, constraint=None, upgrade=upgrade)
    _compile(root, [*runtime, *development], DEVELOPMENT, constraint=RUNTIME, upgrade=upgrade)


def _requirements(root: Path) -> set[str]:
    found: set[str] = set()
    for project in sorted([root / "proto" / "pyproject.toml", *root.glob("services/*/pyproject.toml")]):
        with project.open("rb") as file:
            found.update(name for name in tomllib.load(file)["project"]["dependencies"] if not name.startswith("rtcc-"))
    return found


def _compile(root: Path, requirements: list[str], output: str, *, constraint: str | None, upgrade: bool) -> None:
    uv = shutil.which("uv") or str(root / ".tools" / "bin" / "uv")
    command = [
        uv, "pip", "compile", "-", "--universal", "--generate-hashes", "--python-version", "3.12", "--no-emit-index-url",
        "--no-emit-find-links", "--no-header", "--no-annotate", "--quiet", "--output-file", output,
    ]  # fmt: skip
    if constraint:
        command += ["--constraint", constraint]
    if upgrade:
        command.append("--upgrade")
    done = subprocess.run(command, cwd=root, input="\n".join(requirements), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LockFailedError(done.stderr.strip())
    path = root / output
    path.write_text(_HEADER + path.read_text())
