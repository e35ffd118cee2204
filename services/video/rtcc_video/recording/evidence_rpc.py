"""rtcc.video.v1.EvidenceService: messages to domain and back; and the ledger as exports ask it."""

from datetime import UTC
from typing import Any, Final

import grpc

from rtcc.ledger.v1 import ledger_pb2, ledger_pb2_grpc
from rtcc.video.v1 import evidence_pb2 as pb
from rtcc.video.v1 import evidence_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import from_rpc
from rtcc_chassis.scope import Scope, current_scope
from rtcc_video.recording.export_store import Export
from rtcc_video.recording.exports import MEDIA_TYPE, PART_BYTES, Exports
from rtcc_video.recording.footage import need_window
from rtcc_video.recording.rpc import moment_of

_MOST_ENTRIES: Final = 500
_STATES: Final = {
    "waiting": pb.EXPORT_STATE_WAITING,
    "running": pb.EXPORT_STATE_RUNNING,
    "ready": pb.EXPORT_STATE_READY,
    "failed": pb.EXPORT_STATE_FAILED,
}


class EvidenceServicer(evidence_pb2_grpc.EvidenceServiceServicer):
    """The gate has checked rights before; it audits after."""

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    async def CreateExport(self, request: pb.CreateExportRequest, context: Any) -> pb.CreateExportResponse:
        window = need_window(moment_of(request, "starts_at"), moment_of(request, "ends_at"))
        made = await self._exports.create(current_scope(), request.camera_id, *window, request.reason, with_sound=request.with_sound)
        return pb.CreateExportResponse(export=export_message(made))

    async def ListExports(self, request: pb.ListExportsRequest, context: Any) -> pb.ListExportsResponse:
        found = await self._exports.list_all(current_scope(), request.limit)
        return pb.ListExportsResponse(exports=[export_message(one) for one in found])

    async def GetExportPart(self, request: pb.GetExportPartRequest, context: Any) -> pb.GetExportPartResponse:
        data = await self._exports.part(current_scope(), request.export_id, request.part)
        return pb.GetExportPartResponse(media=data, content_type=MEDIA_TYPE)


class LedgerCustody:
    """See `exports.Custody`: the owner's log, asked in the video service's name, which that log then holds too."""

    def __init__(self, ctx: ServiceContext) -> None:
        self._ctx = ctx

    async def entries(self, agency_id: str, camera_id: str) -> list[dict[str, Any]]:
        """The newest 500 about a camera. Raises `RtccError`."""
        stub = self._ctx.channels.stub("ledger", ledger_pb2_grpc.LedgerServiceStub)
        request = ledger_pb2.ListAccessesRequest(object_id=f"camera:{camera_id}", limit=_MOST_ENTRIES)
        try:
            answer = await stub.ListAccesses(request, metadata=self._ctx.tokens.metadata(Scope.service("video", agency_id)))
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        return [_custody(stored) for stored in answer.entries]


def _custody(stored: ledger_pb2.StoredEntry) -> dict[str, Any]:
    entry = stored.entry
    return {
        "entry_id": entry.entry_id,
        "recorded_at": entry.recorded_at.ToDatetime(tzinfo=UTC).isoformat(),
        "action": entry.action,
        "outcome": ledger_pb2.Outcome.Name(entry.outcome),
        "person_id": entry.principal_id,
        "name": entry.principal_name,
        "agency_id": entry.principal_agency_id,
        "purpose": entry.purpose,
        "case_number": entry.case_number,
        "object_ids": list(entry.object_ids),
        "leaf_index": stored.leaf_index,
        "leaf_hash": stored.leaf_hash.hex(),
    }


def export_message(export: Export) -> pb.Export:
    """An export as on the wire."""
    order = export.order
    message = pb.Export(
        export_id=order.export_id,
        camera_id=order.camera_id,
        owner_agency_id=order.owner_agency_id,
        state=_STATES[export.state],
        problem=export.problem,
        progress_percent=export.progress_percent,
        reason=order.reason,
        purpose=order.purpose,
        case_number=order.case_number,
        created_by=order.created_by,
        created_by_name=order.created_by_name,
        sha256=export.sha256,
        bytes=export.size_bytes,
        parts=-(-export.size_bytes // PART_BYTES),
        segments=export.segments,
        original_export_id=order.original_export_id,
        with_sound=order.with_sound,
    )
    message.starts_at.FromDatetime(order.starts_at)
    message.ends_at.FromDatetime(order.ends_at)
    message.created_at.FromDatetime(order.created_at)
    if export.finished_at is not None:
        message.finished_at.FromDatetime(export.finished_at)
    return message
