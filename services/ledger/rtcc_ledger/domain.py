"""What a stored entry is, derived from its bytes alone, and what a verification found."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from google.protobuf.message import DecodeError

from rtcc.ledger.v1 import ledger_pb2
from rtcc_ledger.merkle import leaf_hash

UNREADABLE = "unreadable"
_MOST_PROBLEMS = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of one log: `body` is what the hash covers, the rest is an index over it and nothing else."""

    body: bytes
    hash: bytes
    entry_id: str
    recorded_at: datetime
    action: str
    outcome: int
    principal_id: str
    principal_agency_id: str
    owner_agency_id: str
    search: str
    object_ids: tuple[str, ...] = ()


def leaf_of(body: bytes) -> Leaf:
    """The index columns of an entry. Bytes that are no entry are kept too, as "unreadable": a log leaves nothing out."""
    entry = ledger_pb2.AuditEntry()
    try:
        entry.ParseFromString(body)
        recorded_at = entry.recorded_at.ToDatetime(UTC)
    except (DecodeError, OverflowError, ValueError):
        return _unreadable(body)
    if not entry.entry_id:
        return _unreadable(body)
    objects = tuple(dict.fromkeys(_storable(identifier) for identifier in entry.object_ids if identifier))
    words = (
        entry.action,
        entry.principal_name,
        entry.principal_id,
        entry.reason,
        entry.purpose,
        entry.case_number,
        entry.agreement_id,
        *objects,
    )
    return Leaf(
        body=body,
        hash=leaf_hash(body),
        entry_id=_storable(entry.entry_id),
        recorded_at=recorded_at,
        action=_storable(entry.action),
        outcome=int(entry.outcome),
        principal_id=_storable(entry.principal_id),
        principal_agency_id=_storable(entry.principal_agency_id),
        owner_agency_id=_storable(entry.owner_agency_id),
        search=_storable(" ".join(words).lower()),
        object_ids=objects,
    )


def _unreadable(body: bytes) -> Leaf:
    digest = hashlib.sha256(body).hexdigest()[:32]
    return Leaf(body, leaf_hash(body), f"{UNREADABLE}-{digest}", _EPOCH, UNREADABLE, 0, "", "", "", UNREADABLE)


def _storable(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\x00", " ")


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as stored: `note` is the signed text."""

    agency_id: str
    number: int
    tree_size: int
    root_hash: bytes
    signed_at: datetime
    key_id: str
    note: str
    signature: bytes

    def to_message(self) -> ledger_pb2.Checkpoint:
        message = ledger_pb2.Checkpoint(
            agency_id=self.agency_id,
            tree_size=self.tree_size,
            root_hash=self.root_hash,
            signature=self.signature,
            key_id=self.key_id,
            note=self.note,
        )
        message.signed_at.FromDatetime(self.signed_at)
        return message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was written; `leaf_index` is where."""

    leaf_index: int
    what: str


@dataclass(slots=True)
class AgencyReport:
    """What the verification of one agency's log found."""

    agency_id: str
    tree_size: int = 0
    checkpoints: int = 0
    root_hash: bytes = b""
    problems: list[Problem] = field(default_factory=list)
    problems_left_out: int = 0

    @property
    def intact(self) -> bool:
        return not self.problems

    def add(self, leaf_index: int, what: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(Problem(leaf_index, what))
        else:
            self.problems_left_out += 1
