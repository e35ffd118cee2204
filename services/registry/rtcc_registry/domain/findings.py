"""Collecting everything that is wrong with one request."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from rtcc_chassis.errors import InvalidInput, Violation

NAME_LENGTH = 120

# A chosen id of a camera, source, unit or zone becomes a subject token: no dot, star, greater-than or space.
_OBJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


class Findings:
    """Collects what is wrong with one request, so that a person sees all of it at once."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.violations: list[Violation] = []

    def add(self, field: str, reason: str) -> None:
        """`field` is relative to the message named at construction."""
        self.violations.append(Violation(f"{self._prefix}.{field}" if self._prefix else field, reason))

    def require(self, holds: bool, field: str, reason: str) -> None:
        if not holds:
            self.add(field, reason)

    def text(self, field: str, value: str, *, longest: int = NAME_LENGTH, needed: bool = True) -> str:
        """A line of text for people: trimmed, printable, bounded."""
        value = value.strip()
        if needed and not value:
            self.add(field, "is needed")
        if len(value) > longest:
            self.add(field, f"has {len(value)} characters, at most {longest} are allowed")
        if not value.isprintable():
            self.add(field, "holds control characters")
        return value

    def identifier(self, field: str, value: str) -> None:
        if not _OBJECT_ID.match(value):
            self.add(field, "must be 1 to 64 letters, digits, '-' or '_', the first a letter or digit")

    def chosen_identifier(self, field: str, value: str) -> None:
        """As `identifier`; empty means that the platform chooses."""
        if value:
            self.identifier(field, value)

    def extend(self, violations: Iterable[Violation]) -> None:
        self.violations.extend(violations)

    def raise_if_any(self) -> None:
        if self.violations:
            raise InvalidInput(self.violations)


def moment(stamp: Timestamp, found: Findings, field: str) -> datetime | None:
    """A protobuf Timestamp as UTC; a violation when it is outside of years 1 to 9999."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        found.add(field, "is not a time")
        return None
