"""Sources with their mappings, feeds and certificates; deliveries, quarantine, plate reads, retention."""

import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from proof.platform import rule_named, until
from proof.requests.building import Builder, Maker, asks, signed_body
from proof.world import World, gunshot
from rtcc.intake.v1 import intake_pb2 as pb
from rtcc.intake.v1 import retention_pb2 as retention
from rtcc_chassis.identifiers import new_id

_ALARM_MAPPING = ParseDict(
    {
        "event": "alarm",
        "fields": {"alarm_id": "/id", "type": {"constant": "fire"}, "state": {"constant": "active"}, "raised_at": "/at"},
    },
    Struct(),
)
# nothing listens there, and a private address isn't asked anyway
_FEED = pb.SourceFeed(url="https://127.0.0.1:9/vehicles", every_s=3600)


def a_source(adapter: str) -> Maker:
    async def make(world: World, agency_id: str) -> str:
        source_id = (await world.source(agency_id, adapter)).source_id
        rule, request = rule_named("GetSourceFeed"), pb.GetSourceFeedRequest(source_id=source_id)
        metadata = world.platform.metadata(world.everything(agency_id))

        async def known() -> bool:
            return (await world.platform.call(rule, request, metadata)).code is not grpc.StatusCode.NOT_FOUND

        # the directory brings it to intake a moment after the registry has it
        await until(known)
        return source_id

    return make


_mapped, _fetched, _gunshots = a_source("mapped"), a_source("gtfs_realtime"), a_source("gunshot")


async def _delivery(world: World, agency_id: str) -> Message:
    return pb.SubmitDeliveryRequest(**signed_body(await world.gunshot_source(agency_id), gunshot(f"GS-{new_id()}")))


async def _read_plate(world: World, agency_id: str) -> str:
    alert_id = await world.plate_alert(agency_id)
    alert = await world.alert_where(agency_id, lambda alert: alert.alert_id == alert_id)
    return alert.event.plate_read.plate


async def _retention_rule(world: World, agency_id: str) -> retention.RetentionRule:
    return retention.RetentionRule(source_id=await _gunshots(world, agency_id), kind="plate_read", keep_s=86_400)


async def _hold(world: World, agency_id: str) -> retention.RetentionHold:
    return retention.RetentionHold(reason="26-0001", source_id=await _gunshots(world, agency_id))


async def _placed_hold(world: World, agency_id: str) -> str:
    request = retention.PlaceHoldRequest(hold=retention.RetentionHold(reason="26-0002", kind="gunshot"))
    return str((await world.platform.ask("PlaceHold", world.everything(agency_id), request)).hold.hold_id)


REQUESTS: dict[str, Builder] = {
    "SubmitDelivery": _delivery,
    "SearchPlateReads": asks(pb.SearchPlateReadsRequest, plate=_read_plate),
    "ReplayQuarantined": asks(pb.ReplayQuarantinedRequest, quarantine_id=World.quarantined),
    "DiscardQuarantined": asks(pb.DiscardQuarantinedRequest, quarantine_id=World.quarantined, reason="noise"),
    "SetSourceMapping": asks(pb.SetSourceMappingRequest, source_id=_mapped, mapping=_ALARM_MAPPING),
    "GetSourceMapping": asks(pb.GetSourceMappingRequest, source_id=_mapped),
    "StartRecording": asks(pb.StartRecordingRequest, source_id=_mapped, count=1),
    "TryMapping": asks(pb.TryMappingRequest, source_id=_mapped, mapping=_ALARM_MAPPING),
    "SetSourceFeed": asks(pb.SetSourceFeedRequest, source_id=_fetched, feed=_FEED),
    "GetSourceFeed": asks(pb.GetSourceFeedRequest, source_id=_fetched),
    "IssueSourceCertificate": asks(pb.IssueSourceCertificateRequest, source_id=a_source("cot")),
    "SetRetentionRule": asks(retention.SetRetentionRuleRequest, rule=_retention_rule),
    "PlaceHold": asks(retention.PlaceHoldRequest, hold=_hold),
    "ReleaseHold": asks(retention.ReleaseHoldRequest, hold_id=_placed_hold),
}
