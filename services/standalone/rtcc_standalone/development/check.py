"""`./rtcc check`: everything that must hold before a commit. CI runs the same."""

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rtcc_standalone.development.checks import Check, console_checks
from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.terminal import say

BASELINE = Path("proto") / "baseline.binpb"
# the types of a fresh checkout take as long as everything else together
_AT_ONCE = 2


def checks(root: Path) -> list[Check]:
    """All that apply to this checkout."""
    scripts = Path(sys.executable).parent
    python = sorted(str(path.relative_to(root)) for path in (root / "services").iterdir() if path.is_dir())
    if (root / "tests").is_dir():
        python.append("tests")
    ruff, buf = scripts / "ruff", scripts / "buf"
    found = [
        Check("format", [ruff, "format", "--check", "--quiet", *python], "run: ./rtcc check --fix"),
        Check(
            "lint", [ruff, "check", "--quiet", "--output-format", "concise", *python], "correct what is named, or run: ./rtcc check --fix"
        ),
        Check("types", [scripts / "mypy"], "correct the types named"),
        Check("layers", [scripts / "lint-imports", "--no-logo"], "imports go one way: domain <- app <- store, rpc, events <- service"),
        Check("contracts: lint", [buf, "lint"], "follow the rule named (buf.yaml)"),
        Check("contracts: format", [buf, "format", "--diff", "--exit-code"], "run: ./rtcc check --fix"),
    ]
    if (root / BASELINE).is_file():
        advice = "a contract that others use may only grow; a wanted break: ./rtcc check --accept-contracts"
        found.append(Check("contracts: compatible", [buf, "breaking", "--against", BASELINE], advice))
    if (root / "charts").is_dir():
        advice = "correct what is named; a wanted change: ./rtcc charts --write"
        found.append(Check("charts", [sys.executable, "-m", "rtcc_standalone.cli", "charts", "--fast"], advice))
    return [*found, *console_checks(root)]


def check(root: Path, *, fix: bool, only: Sequence[str] = ()) -> int:
    """Run all (or those whose name starts with a word of `only`); the answer is the exit code."""
    if fix:
        _fix(root)
    wanted = [item for item in checks(root) if not only or any(item.name.startswith(word) for word in only)]
    failed = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for item, (done, seconds) in zip(wanted, pool.map(lambda item: _run(root, item), wanted), strict=True):
            if done.returncode == 0:
                say(f"ok      {item.name} ({seconds:.1f} s)")
                continue
            failed.append(item)
            say(f"FAILED  {item.name} ({seconds:.1f} s)\n{(done.stdout + done.stderr).strip()}\n        -> {item.advice}")
    say(f"{len(failed)} failed: {', '.join(item.name for item in failed)}" if failed else "all checks hold")
    return 1 if failed else 0


def _run(root: Path, item: Check) -> tuple[subprocess.CompletedProcess[str], float]:
    """How it ended, and the seconds that it took."""
    began = time.monotonic()
    done = subprocess.run(
        [str(part) for part in item.command],
        cwd=root / item.folder,
        env=item.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done, time.monotonic() - began


class BaselineError(StandaloneError):
    """buf could not build the contracts."""

    def __init__(self, output: str) -> None:
        super().__init__(f"the contracts can't be built, so there is no new baseline; correct them first:\n{output}")


def accept_contracts(root: Path) -> None:
    """Make today's contracts the ones that later changes are compared with."""
    buf = Path(sys.executable).parent / "buf"
    command = [str(buf), "build", "--exclude-source-info", "--output", str(BASELINE)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BaselineError(done.stderr.strip())


def _fix(root: Path) -> None:
    scripts = Path(sys.executable).parent
    for command in ("ruff check --fix --quiet services tests", "ruff format --quiet services tests", "buf format --write"):
        program, *arguments = command.split()
        subprocess.run([str(scripts / program), *arguments], cwd=root, check=False, capture_output=True)
