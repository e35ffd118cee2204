"""Recordings of cameras, how long they are kept, and copies of them."""

from google.protobuf.message import Message

from proof import footage_things
from proof.requests.building import Builder, asks, asks_of
from proof.world import World
from rtcc.video.v1 import evidence_pb2 as evidence
from rtcc.video.v1 import footage_pb2 as pb
from rtcc.video.v1 import footage_search_pb2 as search
from rtcc.video.v1 import redaction_pb2 as redaction


async def _policy(world: World, agency_id: str) -> pb.RecordingPolicy:
    return pb.RecordingPolicy(camera_id=await world.camera(agency_id), mode=pb.RECORDING_MODE_OFF, keep_s=86_400)


async def _hold(world: World, agency_id: str) -> pb.FootageHold:
    return pb.FootageHold(reason="26-0003", camera_id=await world.camera(agency_id))


async def _placed_hold(world: World, agency_id: str) -> str:
    request = pb.PlaceFootageHoldRequest(hold=pb.FootageHold(reason="26-0004"))
    return str((await world.platform.ask("PlaceFootageHold", world.everything(agency_id), request)).hold.hold_id)


async def _window(world: World, agency_id: str) -> tuple[object, ...]:
    """(camera, start, end) of something recorded"""
    camera_id, segment = await footage_things.recorded(world, agency_id)
    return camera_id, segment.started_at, segment.ended_at


async def _segment(world: World, agency_id: str) -> tuple[str, str]:
    """(camera, segment)"""
    camera_id, segment = await footage_things.recorded(world, agency_id)
    return camera_id, segment.segment_id


async def _export(world: World, agency_id: str) -> Message:
    return await footage_things.export_order(world, agency_id)


async def _redaction(world: World, agency_id: str) -> Message:
    return redaction.CreateRedactionRequest(
        export_id=await footage_things.exported(world, agency_id),
        mode=redaction.REDACTION_MODE_OUTSIDE,
        style=redaction.REDACTION_STYLE_COVER,
        reason="for the proof",
    )


async def _motion(world: World, agency_id: str) -> search.ListMotionRequest:
    camera_id, segment = await footage_things.recorded(world, agency_id)
    return search.ListMotionRequest(camera_ids=[camera_id], starts_at=segment.started_at, ends_at=segment.ended_at)


async def _search(world: World, agency_id: str) -> search.SearchFootageRequest:
    camera_id, segment = await footage_things.recorded(world, agency_id)
    return search.SearchFootageRequest(camera_ids=[camera_id], starts_at=segment.started_at, ends_at=segment.ended_at, kinds=["motion"])


REQUESTS: dict[str, Builder] = {
    "SetRecordingPolicy": asks(pb.SetRecordingPolicyRequest, policy=_policy),
    "PlaceFootageHold": asks(pb.PlaceFootageHoldRequest, hold=_hold),
    "ReleaseFootageHold": asks(pb.ReleaseFootageHoldRequest, hold_id=_placed_hold),
    "ListFootage": asks_of(_window, pb.ListFootageRequest, "camera_id", "starts_at", "ends_at"),
    "GetFootageMedia": asks_of(_segment, pb.GetFootageMediaRequest, "camera_id", "media_id"),
    "GetFootageSound": asks_of(_segment, pb.GetFootageSoundRequest, "camera_id", "", sound_id="init"),
    "GetFootagePlaylist": asks_of(_window, pb.GetFootagePlaylistRequest, "camera_id", "starts_at", "ends_at"),
    "GetFootagePicture": asks_of(_window, pb.GetFootagePictureRequest, "camera_id", "", "at"),
    "ListMotion": _motion,
    "SearchFootage": _search,
    "CreateExport": _export,
    "CreateRedaction": _redaction,
    "GetExportPart": asks(evidence.GetExportPartRequest, export_id=footage_things.exported),
}
