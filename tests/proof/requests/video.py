"""Live views and pictures of cameras."""

from proof import wall_things
from proof.requests.building import Builder, asks, asks_of
from proof.world import World
from rtcc.video.v1 import hls_pb2, ptz_pb2, relay_pb2, wall_pb2
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.identifiers import new_id

# a browser's receive-only offer (RFC 8866, RFC 8829), with a certificate that is nobody's
OFFER = "\r\n".join(
    (
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=video 9 UDP/TLS/RTP/SAVPF 102",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=ice-ufrag:Wt6c",
        "a=ice-pwd:0mN6yDJrjHQ4sYbnQm3kQ1Aq",
        "a=ice-options:trickle",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "a=mid:0",
        "a=recvonly",
        "a=rtcp-mux",
        "a=rtpmap:102 H264/90000",
        "a=rtcp-fb:102 nack",
        "a=rtcp-fb:102 nack pli",
        "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "",
    )
)
PUBLISHER_OFFER = OFFER.replace("a=recvonly", "a=sendonly")
# an ICE restart as WHEP's PATCH brings it (RFC 8840)
ICE_RESTART = "a=ice-ufrag:Zz9c\r\na=ice-pwd:9mN6yDJrjHQ4sYbnQm3kQ1Aq\r\n"


async def _update(world: World, agency_id: str) -> pb.UpdateViewerRequest:
    camera_id, viewer_id = await _viewer(world, agency_id)
    return pb.UpdateViewerRequest(camera_id=camera_id, viewer_id=viewer_id, etag="*", sdp_fragment=ICE_RESTART)


async def _update_publisher(world: World, agency_id: str) -> pb.UpdatePublisherRequest:
    camera_id, publisher_id = await _publisher(world, agency_id)
    return pb.UpdatePublisherRequest(camera_id=camera_id, publisher_id=publisher_id, etag="*", sdp_fragment=ICE_RESTART)


async def _viewer(world: World, agency_id: str) -> tuple[str, str]:
    """(camera, viewer)"""
    camera_id = await world.camera(agency_id)
    return camera_id, await world.open_viewer(agency_id, camera_id, OFFER)


async def _hls_viewer(world: World, agency_id: str) -> tuple[str, str]:
    """(camera, viewer)"""
    camera_id = await world.camera(agency_id)
    return camera_id, await world.open_hls_viewer(agency_id, camera_id)


async def _publisher(world: World, agency_id: str) -> tuple[str, str]:
    """(camera, publisher)"""
    camera_id = await world.published_camera(agency_id)
    return camera_id, await world.open_publisher(agency_id, camera_id, PUBLISHER_OFFER)


async def _keyed(world: World, agency_id: str) -> tuple[str, str]:
    """(camera, the key of its device)"""
    camera_id = await world.published_camera(agency_id)
    return camera_id, await world.publish_key(agency_id, camera_id)


async def _controlled(world: World, agency_id: str) -> tuple[str, str]:
    """(a camera that can be moved, a lease that is over)"""
    return await world.movable_camera(agency_id), new_id()


async def _wall(world: World, agency_id: str) -> wall_pb2.Wall:
    """With a camera that the video service has heard of."""
    slots = [wall_pb2.WallSlot(cell=0, span=1, camera_id=await world.camera(agency_id))]
    await wall_things.saved_wall(world, agency_id, "Hall", 4, slots)
    return wall_pb2.Wall(name="Lobby", tiles=4, slots=slots)


async def _saved_wall(world: World, agency_id: str) -> str:
    slots = [wall_pb2.WallSlot(cell=0, span=1, camera_id=await world.camera(agency_id))]
    return await wall_things.saved_wall(world, agency_id, "Lobby", 4, slots)


REQUESTS: dict[str, Builder] = {
    "OpenViewer": asks(pb.OpenViewerRequest, camera_id=World.camera, offer_sdp=OFFER),
    "CloseViewer": asks_of(_viewer, pb.CloseViewerRequest, "camera_id", "viewer_id"),
    "UpdateViewer": _update,
    "SetViewerSound": asks_of(_viewer, pb.SetViewerSoundRequest, "camera_id", "viewer_id"),
    "OpenHlsViewer": asks(hls_pb2.OpenHlsViewerRequest, camera_id=World.camera),
    "GetHlsPlaylist": asks_of(_hls_viewer, hls_pb2.GetHlsPlaylistRequest, "camera_id", "viewer_id"),
    "GetHlsMedia": asks_of(_hls_viewer, hls_pb2.GetHlsMediaRequest, "camera_id", "viewer_id", media_id="p0-" + "0" * 16),
    "OpenPublisher": asks(pb.OpenPublisherRequest, camera_id=World.published_camera, offer_sdp=PUBLISHER_OFFER),
    "UpdatePublisher": _update_publisher,
    "ClosePublisher": asks_of(_publisher, pb.ClosePublisherRequest, "camera_id", "publisher_id"),
    "RelayPublisher": asks_of(_keyed, pb.RelayPublisherRequest, "camera_id", "publish_key", offer_sdp=PUBLISHER_OFFER),
    "TakeStream": asks(relay_pb2.TakeStreamRequest, camera_id=World.camera, stream_id="main", relay_id="0" * 16),
    "TakeControl": asks(ptz_pb2.TakeControlRequest, camera_id=World.movable_camera),
    "TakeOverControl": asks(ptz_pb2.TakeOverControlRequest, camera_id=World.movable_camera),
    "RenewControl": asks_of(_controlled, ptz_pb2.RenewControlRequest, "camera_id", "lease_id"),
    "ReleaseControl": asks_of(_controlled, ptz_pb2.ReleaseControlRequest, "camera_id", "lease_id"),
    "SetPreset": asks_of(_controlled, ptz_pb2.SetPresetRequest, "camera_id", "lease_id", name="Gate"),
    "RemovePreset": asks_of(_controlled, ptz_pb2.RemovePresetRequest, "camera_id", "lease_id", token="1"),
    "MoveCamera": asks_of(_controlled, ptz_pb2.MoveCameraRequest, "camera_id", "lease_id", stop=True),
    "SaveWall": asks(wall_pb2.SaveWallRequest, wall=_wall),
    "RemoveWall": asks(wall_pb2.RemoveWallRequest, wall_id=_saved_wall),
    "GetSnapshot": asks(pb.GetSnapshotRequest, camera_id=World.camera),
}
