"""Rules of retention (R22): what a rule and a hold may say, and what proves a deletion."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rtcc_chassis import retention
from rtcc_chassis.errors import InvalidInput, Violation

_LONGEST_KIND = 40


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """`source_id` and `kind` empty: every one. `keep_s` counts from the receipt of an event."""

    source_id: str
    kind: str
    keep_s: int
    changed_at: datetime | None = None
    changed_by: str = ""


@dataclass(frozen=True, slots=True)
class RetentionHold:
    """Covers what fits all that it names."""

    hold_id: str
    reason: str
    source_id: str
    kind: str
    plate: str
    occurred_from: datetime | None
    occurred_until: datetime | None
    placed_at: datetime
    placed_by: str
    released_at: datetime | None = None
    released_by: str = ""


@dataclass(frozen=True, slots=True)
class DueEvent:
    """One event whose time is over, under which rule, and what must go with it."""

    event_id: str
    body: bytes
    received_at: datetime
    stream_sequence: int | None
    image_object: str | None
    rule: RetentionRule


@dataclass(frozen=True, slots=True)
class Deletion:
    """The proof of one batch: all of its events were due under `rule`."""

    deletion_id: str
    rule: RetentionRule
    deleted_at: datetime
    events: int
    oldest_received_at: datetime
    newest_received_at: datetime
    leaves: bytes
    digest: str


def check_rule(rule: RetentionRule) -> None:
    """Raises InvalidInput. 0 seconds, "no rule", is none to check."""
    found = []
    if len(rule.kind) > _LONGEST_KIND or not (rule.kind == "" or rule.kind.replace("_", "").isalnum()):
        found.append(Violation("rule.kind", "is no kind of event, such as plate_read"))
    if rule.keep_s:
        found += retention.wrong_keep("rule.keep_s", rule.keep_s)
    if found:
        raise InvalidInput(found)


def check_hold(hold: RetentionHold) -> None:
    """Raises InvalidInput."""
    found = retention.wrong_hold("hold.reason", hold.reason, "hold.occurred_until", hold.occurred_from, hold.occurred_until)
    if len(hold.kind) > _LONGEST_KIND or not (hold.kind == "" or hold.kind.replace("_", "").isalnum()):
        found.append(Violation("hold.kind", "is no kind of event, such as plate_read"))
    if found:
        raise InvalidInput(found)


def leaf(event_id: str, body: bytes) -> bytes:
    """What shows later that this very event was deleted, and says nothing about it to anybody else."""
    return hashlib.sha256(event_id.encode() + b"\x00" + body).digest()


def proof_of(deletion_id: str, rule: RetentionRule, events: Iterable[DueEvent], deleted_at: datetime) -> Deletion:
    """Of a batch that was due under one rule. The order in which events were found is part of no proof."""
    batch = list(events)
    leaves, digest = retention.sealed(leaf(event.event_id, event.body) for event in batch)
    return Deletion(
        deletion_id=deletion_id,
        rule=rule,
        deleted_at=deleted_at,
        events=len(batch),
        oldest_received_at=min(event.received_at for event in batch),
        newest_received_at=max(event.received_at for event in batch),
        leaves=leaves,
        digest=digest,
    )


def proves(deletion: Deletion, event_id: str, body: bytes) -> bool:
    """Whether this event was in the batch and the proof is whole."""
    return retention.contains(deletion.leaves, deletion.digest, deletion.events, leaf(event_id, body))
