"""The one way to ask for the time, so that rules and tests can be given another."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Now, in UTC, with microseconds."""
    return datetime.now(UTC)
