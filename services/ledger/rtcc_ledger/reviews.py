"""The weekly look at the log (R13): which week, and what of it merits one."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rtcc_chassis.errors import InvalidInput
from rtcc_ledger.app import StoredLeaf

WEEK = timedelta(days=7)
_LONGEST_NOTE = 2000
_WEEK = re.compile(r"(\d{4})-W(\d{2})\Z")
# who may do what, and what is shared or kept: rights that were changed
RIGHTS = (
    "account.enrol", "account.release", "agency.create", "agency.update", "agreement.attest", "agreement.bar", "agreement.grant",
    "agreement.narrow", "agreement.revoke", "person.create", "person.set_enabled", "person.set_roles", "retention.set", "source.create",
    "unit.create",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Review:
    """One look. `own_entries`: how many of the reviewer's own acts merited it."""

    reviewed_at: datetime
    reviewed_by: str
    reviewed_by_name: str
    note: str
    findings: bool
    own_entries: int


@dataclass(frozen=True, slots=True)
class Week:
    """A complete week of one log in numbers."""

    starts_at: datetime
    entries: int
    people: int
    refused: int
    failed: int
    rights_changed: int
    across_agencies: int
    reviews: tuple[Review, ...] = field(default=())

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + WEEK

    def overdue(self, now: datetime) -> bool:
        """Nobody looked within a week of its end."""
        return not self.reviews and now - self.ends_at > WEEK


@dataclass(frozen=True, slots=True)
class Flagged:
    """An entry that merits a look, and why."""

    leaf: StoredLeaf
    reasons: tuple[str, ...]


def week_name(starts_at: datetime) -> str:
    """ISO 8601: "2026-W48"."""
    year, week, _ = starts_at.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02}"


def week_start(name: str, now: datetime) -> datetime:
    """Its Monday at midnight UTC. Raises InvalidInput for what is no week, or one that hasn't ended."""
    match = _WEEK.match(name)
    try:
        starts_at = datetime.fromisocalendar(int(match[1]), int(match[2]), 1).replace(tzinfo=UTC) if match else None
    except ValueError:
        starts_at = None
    if starts_at is None or starts_at.year > 9998:
        raise InvalidInput.one("week", f"{name[:20]!r} is no week: write 2026-W48")
    if starts_at + WEEK > now:
        raise InvalidInput.one("week", f"{name} hasn't ended: look at a week that is complete")
    return starts_at


def check_note(note: str) -> str:
    """Tidied. Raises InvalidInput."""
    note = note.strip()
    if not note or len(note) > _LONGEST_NOTE or not note.replace("\n", "").isprintable():
        raise InvalidInput.one("note", f"is needed, at most {_LONGEST_NOTE} printable characters: what was looked at and found")
    return note
