"""What the proofs of isolation share."""

import pytest

from rtcc_chassis.access import PolicyEngine


@pytest.fixture(scope="session")
def policies() -> PolicyEngine:
    """The policies as every service has them."""
    return PolicyEngine.load()
