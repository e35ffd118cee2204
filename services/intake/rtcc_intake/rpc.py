"""rtcc.intake.v1.IntakeService: messages to domain and back."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from rtcc.intake.v1 import intake_pb2, intake_pb2_grpc
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import current_scope
from rtcc_intake.app import IntakeApp
from rtcc_intake.domain import Delivery, EntryStatus, Outcome, QuarantineEntry

_OUTCOMES = {
    Outcome.ACCEPTED: intake_pb2.DELIVERY_OUTCOME_ACCEPTED,
    Outcome.DUPLICATE: intake_pb2.DELIVERY_OUTCOME_DUPLICATE,
    Outcome.QUARANTINED: intake_pb2.DELIVERY_OUTCOME_QUARANTINED,
}
_STATUSES = {
    EntryStatus.WAITING: intake_pb2.QUARANTINE_STATUS_WAITING,
    EntryStatus.REPLAYED: intake_pb2.QUARANTINE_STATUS_REPLAYED,
    EntryStatus.DISCARDED: intake_pb2.QUARANTINE_STATUS_DISCARDED,
}
_WANTED = {intake_pb2.QUARANTINE_STATUS_UNSPECIFIED: EntryStatus.WAITING} | {number: status for status, number in _STATUSES.items()}


class IntakeServicer(intake_pb2_grpc.IntakeServiceServicer):
    """The gate has checked rights and purpose before; it audits after."""

    def __init__(self, app: IntakeApp) -> None:
        self._app = app

    async def SubmitDelivery(self, request: intake_pb2.SubmitDeliveryRequest, context: Any) -> intake_pb2.SubmitDeliveryResponse:
        delivery = Delivery(
            request.source_id, request.timestamp, request.delivery_id, request.signature, request.body, request.source_address
        )
        result = await self._app.submit(delivery)
        return intake_pb2.SubmitDeliveryResponse(
            outcome=_OUTCOMES[result.outcome], event_id=result.event_id, quarantine_id=result.quarantine_id, reason=result.reason
        )

    async def ListQuarantine(self, request: intake_pb2.ListQuarantineRequest, context: Any) -> intake_pb2.ListQuarantineResponse:
        if request.status not in _WANTED:
            raise InvalidInput.one("status", "is not a status of the quarantine")
        entries = await self._app.list_quarantine(current_scope(), _WANTED[request.status], request.limit)
        return intake_pb2.ListQuarantineResponse(entries=[_entry(entry) for entry in entries])

    async def ReplayQuarantined(self, request: intake_pb2.ReplayQuarantinedRequest, context: Any) -> intake_pb2.ReplayQuarantinedResponse:
        entry, event_id = await self._app.replay(current_scope(), request.quarantine_id)
        return intake_pb2.ReplayQuarantinedResponse(entry=_entry(entry), event_id=event_id)

    async def DiscardQuarantined(
        self, request: intake_pb2.DiscardQuarantinedRequest, context: Any
    ) -> intake_pb2.DiscardQuarantinedResponse:
        entry = await self._app.discard(current_scope(), request.quarantine_id, request.reason)
        return intake_pb2.DiscardQuarantinedResponse(entry=_entry(entry))

    async def SearchPlateReads(self, request: intake_pb2.SearchPlateReadsRequest, context: Any) -> intake_pb2.SearchPlateReadsResponse:
        since = _time(getattr(request, "from"), "from") if request.HasField("from") else None
        until = _time(request.until, "until") if request.HasField("until") else None
        reads = await self._app.search_plate_reads(current_scope(), request.plate, since, until, request.limit)
        return intake_pb2.SearchPlateReadsResponse(reads=reads)

    async def ListCalls(self, request: intake_pb2.ListCallsRequest, context: Any) -> intake_pb2.ListCallsResponse:
        return intake_pb2.ListCallsResponse(calls=await self._app.list_calls(current_scope(), request.limit))


def _time(stamp: Timestamp, field: str) -> datetime:
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput.one(field, "is not a time") from error


def _entry(entry: QuarantineEntry) -> intake_pb2.QuarantineEntry:
    message = intake_pb2.QuarantineEntry(
        quarantine_id=entry.quarantine_id,
        agency_id=entry.agency_id,
        source_id=entry.source_id,
        reason=entry.reason,
        place=entry.place,
        size_bytes=entry.size_bytes or len(entry.body),
        excerpt=entry.excerpt,
        status=_STATUSES[entry.status],
        service=entry.service,
        attempts=entry.attempts,
    )
    message.received_at.FromDatetime(entry.received_at)
    return message
