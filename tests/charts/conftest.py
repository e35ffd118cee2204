"""What the tests of the charts share: the tools, and the objects of the consortium."""

import copy
from pathlib import Path

import pytest

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.kubernetes.object_schemas import newest_kubernetes
from rtcc_standalone.kubernetes.rendering import EXAMPLES, Object
from rtcc_standalone.kubernetes.tools import tool
from rtcc_standalone.kubernetes.verification import rendered


@pytest.fixture(scope="session")
def root() -> Path:
    return checkout_root()


@pytest.fixture(scope="session")
def helm(root: Path) -> Path:
    """Helm 4; that Helm 3 gives the same is shown by `./rtcc charts`."""
    return tool(root, "helm4")


@pytest.fixture(scope="session")
def _consortium(root: Path, helm: Path) -> list[Object]:
    return rendered(helm, root, root / EXAMPLES / "consortium", newest_kubernetes())


@pytest.fixture(scope="session")
def single_agency(root: Path, helm: Path) -> list[Object]:
    """To be read only."""
    return rendered(helm, root, root / EXAMPLES / "single-agency", newest_kubernetes())


@pytest.fixture
def consortium(_consortium: list[Object]) -> list[Object]:
    """A copy that a test may break."""
    return copy.deepcopy(_consortium)
