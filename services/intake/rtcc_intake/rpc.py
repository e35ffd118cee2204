"""rtcc.intake.v1.IntakeService: messages to domain and back."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict, SerializeToJsonError
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from rtcc.intake.v1 import intake_pb2, intake_pb2_grpc
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import current_scope
from rtcc_intake.app.certificates import Certificates
from rtcc_intake.app.deliveries import IntakeApp
from rtcc_intake.app.feeds import Feeds
from rtcc_intake.app.kit import ConnectorKit, Tried
from rtcc_intake.app.ports import Feed, StoredMapping
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

    def __init__(
        self, app: IntakeApp, kit: ConnectorKit, feeds: Feeds, certificates: Certificates, *, cot_address: str, cot_authority: str
    ) -> None:
        self._app = app
        self._kit = kit
        self._feeds = feeds
        self._certificates = certificates
        self._cot_address = cot_address
        self._cot_authority = cot_authority

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

    async def ListNewestEvents(self, request: intake_pb2.ListNewestEventsRequest, context: Any) -> intake_pb2.ListNewestEventsResponse:
        events = await self._app.list_newest(current_scope(), request.kinds, request.limit)
        return intake_pb2.ListNewestEventsResponse(events=events)

    async def SetSourceMapping(self, request: intake_pb2.SetSourceMappingRequest, context: Any) -> intake_pb2.SetSourceMappingResponse:
        document = _document(request.mapping)
        mapping = await self._kit.set_mapping(current_scope(), request.source_id, document, dry_run=request.dry_run)
        return intake_pb2.SetSourceMappingResponse(mapping=_mapping(mapping))

    async def GetSourceMapping(self, request: intake_pb2.GetSourceMappingRequest, context: Any) -> intake_pb2.GetSourceMappingResponse:
        mapping, recorded, recording = await self._kit.mapping(current_scope(), request.source_id)
        return intake_pb2.GetSourceMappingResponse(mapping=_mapping(mapping) if mapping else None, recorded=recorded, recording=recording)

    async def StartRecording(self, request: intake_pb2.StartRecordingRequest, context: Any) -> intake_pb2.StartRecordingResponse:
        recording = await self._kit.start_recording(current_scope(), request.source_id, request.count)
        return intake_pb2.StartRecordingResponse(recording=recording)

    async def TryMapping(self, request: intake_pb2.TryMappingRequest, context: Any) -> intake_pb2.TryMappingResponse:
        tried = await self._kit.try_mapping(current_scope(), request.source_id, _document(request.mapping))
        return intake_pb2.TryMappingResponse(
            understood_before=sum(not one.before_problem for one in tried),
            understood_after=sum(not one.after_problem for one in tried),
            changed=sum(bool(one.changes) for one in tried),
            deliveries=[_tried(one) for one in tried],
        )

    async def SetSourceFeed(self, request: intake_pb2.SetSourceFeedRequest, context: Any) -> intake_pb2.SetSourceFeedResponse:
        wanted = request.feed
        feed = Feed(request.source_id, "", wanted.url, wanted.every_s, wanted.header_name, wanted.header_value)
        return intake_pb2.SetSourceFeedResponse(feed=_feed(await self._feeds.set_feed(current_scope(), request.source_id, feed)))

    async def GetSourceFeed(self, request: intake_pb2.GetSourceFeedRequest, context: Any) -> intake_pb2.GetSourceFeedResponse:
        feed = await self._feeds.feed(current_scope(), request.source_id)
        return intake_pb2.GetSourceFeedResponse(feed=_feed(feed) if feed else None)

    async def IssueSourceCertificate(
        self, request: intake_pb2.IssueSourceCertificateRequest, context: Any
    ) -> intake_pb2.IssueSourceCertificateResponse:
        issued = await self._certificates.issue(current_scope(), request.source_id)
        answer = intake_pb2.IssueSourceCertificateResponse(
            certificate=issued.certificate.certificate,
            private_key=issued.private_key,
            authority=self._cot_authority,
            address=self._cot_address,
        )
        answer.valid_until.FromDatetime(issued.certificate.valid_until)
        return answer


def _document(mapping: Struct) -> dict[str, Any]:
    """Numbers of a Struct are doubles: whole ones become whole again, so that a constant 5 is told as 5."""
    try:
        return dict(_whole(MessageToDict(mapping)))
    except (SerializeToJsonError, ValueError) as error:
        raise InvalidInput.one("mapping", "holds a number that JSON has not: NaN or Infinity") from error


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _mapping(mapping: StoredMapping) -> intake_pb2.SourceMapping:
    message = intake_pb2.SourceMapping(
        source_id=mapping.source_id, agency_id=mapping.agency_id, revision=mapping.revision, changed_by=mapping.changed_by
    )
    message.mapping.update(mapping.document)
    message.changed_at.FromDatetime(mapping.changed_at)
    return message


def _tried(tried: Tried) -> intake_pb2.TriedDelivery:
    message = intake_pb2.TriedDelivery(
        delivery_id=tried.recorded.delivery_id,
        before=tried.before,
        after=tried.after,
        before_problem=tried.before_problem,
        after_problem=tried.after_problem,
        changes=[intake_pb2.FieldChange(field=field, before=before, after=after) for field, before, after in tried.changes],
    )
    message.received_at.FromDatetime(tried.recorded.received_at)
    return message


def _feed(feed: Feed) -> intake_pb2.SourceFeed:
    message = intake_pb2.SourceFeed(
        source_id=feed.source_id,
        agency_id=feed.agency_id,
        url=feed.url,
        every_s=feed.every_s,
        header_name=feed.header_name,
        problem=feed.problem,
        vehicles=feed.vehicles,
    )
    if feed.fetched_at is not None:
        message.fetched_at.FromDatetime(feed.fetched_at)
    return message


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
