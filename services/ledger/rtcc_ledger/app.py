"""Use cases of the ledger: take entries in, answer from them, prove them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, NotFound, Violation
from rtcc_chassis.scope import Scope
from rtcc_ledger.domain import AgencyReport, Leaf, SignedCheckpoint, leaf_of
from rtcc_ledger.merkle import Frontier, NodeId, Span, complete_nodes, inclusion_path, span_hash
from rtcc_ledger.note import CheckpointSigner, CheckpointText

MOST_LISTED = 500
_LISTED = 100


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """An entry where it stands."""

    leaf_index: int
    leaf_hash: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """What one batch adds to one log; written in one transaction."""

    leaves: Sequence[Leaf]
    first_index: int
    nodes: Mapping[NodeId, bytes]
    frontier: Frontier
    checkpoint: SignedCheckpoint


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries to list, newest first below `before_leaf` (None: from the newest)."""

    limit: int
    before_leaf: int | None = None
    action: str = ""
    principal_id: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The entry, the hashes up to the root, and the signed root."""

    leaf: StoredLeaf
    hashes: tuple[bytes, ...]
    checkpoint: SignedCheckpoint


class LogTransaction(Protocol):
    """One open transaction on the logs."""

    async def lock_tree(self, agency_id: str) -> tuple[Frontier, int]:
        """The frontier and the number of checkpoints so far; held until the transaction ends."""
        ...

    async def known_entry_ids(self, agency_id: str, entry_ids: Sequence[str]) -> set[str]: ...

    async def write(self, agency_id: str, appended: Appended) -> None: ...


class LogStore(Protocol):
    """Where the logs are."""

    async def append(self, work: "AppendWork") -> list[SignedCheckpoint]:
        """Run `work` in one transaction of the platform's scope."""
        ...

    async def list_entries(self, scope: Scope, wanted: EntryFilter) -> tuple[list[StoredLeaf], int]: ...

    async def list_accesses(self, scope: Scope, object_id: str, limit: int) -> list[StoredLeaf]: ...

    async def find_entry(self, scope: Scope, entry_id: str) -> StoredLeaf | None: ...

    async def newest_checkpoint(self, scope: Scope) -> SignedCheckpoint | None: ...

    async def hashes(self, scope: Scope, nodes: Sequence[NodeId]) -> dict[NodeId, bytes]: ...

    async def verify(self, scope: Scope) -> AgencyReport: ...


class AppendWork(Protocol):
    async def __call__(self, transaction: LogTransaction) -> list[SignedCheckpoint]: ...


class LedgerApp:
    """`scope.agency_id` names the log in every question."""

    def __init__(self, store: LogStore, signer: CheckpointSigner, clock: Clock) -> None:
        self._store = store
        self._signer = signer
        self._clock = clock

    async def append(self, entries: Sequence[tuple[str, bytes]]) -> list[SignedCheckpoint]:
        """Add (agency id, entry bytes) in order; an entry id that a log already holds is left out, so repeating is harmless.

        Returns the new checkpoint of each log that grew. The logs are locked in the order of their names.
        """
        by_agency: dict[str, list[bytes]] = {}
        for agency_id, body in entries:
            by_agency.setdefault(agency_id, []).append(body)

        async def work(transaction: LogTransaction) -> list[SignedCheckpoint]:
            grown = [await self._append_to(transaction, agency_id, by_agency[agency_id]) for agency_id in sorted(by_agency)]
            return [checkpoint for checkpoint in grown if checkpoint is not None]

        return await self._store.append(work)

    async def _append_to(self, transaction: LogTransaction, agency_id: str, bodies: Sequence[bytes]) -> SignedCheckpoint | None:
        frontier, checkpoints = await transaction.lock_tree(agency_id)
        offered: dict[str, Leaf] = {}
        for leaf in map(leaf_of, bodies):
            offered.setdefault(leaf.entry_id, leaf)
        known = await transaction.known_entry_ids(agency_id, list(offered))
        fresh = [leaf for leaf in offered.values() if leaf.entry_id not in known]
        if not fresh:
            return None
        grown, nodes = frontier.append(leaf.hash for leaf in fresh)
        checkpoint = self._sign(agency_id, grown, checkpoints + 1)
        await transaction.write(agency_id, Appended(fresh, frontier.size, nodes, grown, checkpoint))
        return checkpoint

    def _sign(self, agency_id: str, frontier: Frontier, number: int) -> SignedCheckpoint:
        now = self._clock()
        text = CheckpointText(self._signer.origin(agency_id), frontier.size, frontier.root(), number, now).to_text()
        return SignedCheckpoint(agency_id, number, frontier.size, frontier.root(), now, self._signer.key_id, text, self._signer.sign(text))

    async def list_entries(self, scope: Scope, wanted: EntryFilter) -> tuple[list[StoredLeaf], int]:
        """A page and the size of the log."""
        return await self._store.list_entries(scope, wanted)

    async def list_accesses(self, scope: Scope, object_id: str, limit: int) -> list[StoredLeaf]:
        """Who touched "<kind>:<id>", newest first: own people and partners, the refused included."""
        kind, separator, identifier = object_id.partition(":")
        if not (kind and separator and identifier):
            raise InvalidInput([Violation("object_id", 'must be written as <kind>:<id>, for instance "camera:c1" or "plate_read:ABC123"')])
        return await self._store.list_accesses(scope, object_id, limit)

    async def newest_checkpoint(self, scope: Scope) -> SignedCheckpoint:
        """NotFound while the log is empty."""
        checkpoint = await self._store.newest_checkpoint(scope)
        if checkpoint is None:
            raise NotFound("checkpoint", scope.agency_id)
        return checkpoint

    async def prove(self, scope: Scope, entry_id: str) -> InclusionProof:
        """That an entry stands in the log under the newest checkpoint. NotFound for an entry of no or another log."""
        leaf = await self._store.find_entry(scope, entry_id)
        if leaf is None:
            raise NotFound("audit entry", entry_id)
        checkpoint = await self.newest_checkpoint(scope)
        path = inclusion_path(leaf.leaf_index, checkpoint.tree_size)
        hashes = await self._store.hashes(scope, _needed(path))
        return InclusionProof(leaf, tuple(span_hash(span, hashes) for span in path), checkpoint)

    async def verify(self, scope: Scope) -> AgencyReport:
        """Recompute the caller agency's log from its bytes and compare it with every checkpoint."""
        return await self._store.verify(scope)


def page_size(asked: int) -> int:
    """0: 100; at most 500."""
    return min(asked, MOST_LISTED) or _LISTED


def _needed(path: Sequence[Span]) -> list[NodeId]:
    return [node for span in path for node in complete_nodes(span)]
