"""proto <-> domain."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from rtcc.ledger.v1 import ledger_pb2 as pb
from rtcc.ledger.v1 import ledger_pb2_grpc
from rtcc_chassis.access import touched
from rtcc_chassis.scope import current_scope
from rtcc_ledger.app import EntryFilter, LedgerApp, StoredLeaf, page_size


class LedgerServicer(ledger_pb2_grpc.LedgerServiceServicer):
    """The log of the caller's own agency, whoever asks: no request names an agency."""

    def __init__(self, app: LedgerApp) -> None:
        self._app = app

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Any) -> pb.ListEntriesResponse:
        wanted = EntryFilter(page_size(request.limit), request.before_leaf or None, request.action, request.principal_id, request.text)
        leaves, size = await self._app.list_entries(current_scope(), wanted)
        _touched_page(leaves)
        return pb.ListEntriesResponse(entries=map(stored_entry, leaves), tree_size=size)

    async def ListAccesses(self, request: pb.ListAccessesRequest, context: Any) -> pb.ListAccessesResponse:
        leaves = await self._app.list_accesses(current_scope(), request.object_id, page_size(request.limit))
        return pb.ListAccessesResponse(entries=map(stored_entry, leaves))

    async def ListOwnEntries(self, request: pb.ListOwnEntriesRequest, context: Any) -> pb.ListOwnEntriesResponse:
        scope = current_scope()
        leaves, _ = await self._app.list_entries(scope, EntryFilter(page_size(request.limit), principal_id=scope.principal_id))
        return pb.ListOwnEntriesResponse(entries=map(stored_entry, leaves))

    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Any) -> pb.GetCheckpointResponse:
        checkpoint = await self._app.newest_checkpoint(current_scope())
        return pb.GetCheckpointResponse(checkpoint=checkpoint.to_message())

    async def GetInclusionProof(self, request: pb.GetInclusionProofRequest, context: Any) -> pb.GetInclusionProofResponse:
        proof = await self._app.prove(current_scope(), request.entry_id)
        return pb.GetInclusionProofResponse(entry=stored_entry(proof.leaf), hashes=proof.hashes, checkpoint=proof.checkpoint.to_message())

    async def VerifyLedger(self, request: pb.VerifyLedgerRequest, context: Any) -> pb.VerifyLedgerResponse:
        report = await self._app.verify(current_scope())
        return pb.VerifyLedgerResponse(
            intact=report.intact,
            tree_size=report.tree_size,
            checkpoints=report.checkpoints,
            problems=[pb.LedgerProblem(leaf_index=problem.leaf_index, what=problem.what) for problem in report.problems],
            root_hash=report.root_hash,
        )


def stored_entry(leaf: StoredLeaf) -> pb.StoredEntry:
    """As it stands in the log; bytes that are no entry are named so."""
    stored = pb.StoredEntry(leaf_index=leaf.leaf_index, leaf_hash=leaf.leaf_hash)
    try:
        stored.entry.ParseFromString(leaf.body)
    except DecodeError:
        stored.entry.Clear()
        stored.entry.action = "unreadable"
    return stored


def _touched_page(leaves: Sequence[StoredLeaf]) -> None:
    """R8: which part of the log was read."""
    if leaves:
        touched(f"audit:{leaves[-1].leaf_index}-{leaves[0].leaf_index}")
