"""proto <-> domain."""

from collections.abc import Awaitable, Callable, Iterable

from rtcc.video.v1 import video_pb2 as pb
from rtcc.video.v1 import video_pb2_grpc
from rtcc.video.v1.relay_pb2 import DescribeRelayResponse
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import Scope, current_scope
from rtcc_video.app import VideoApp
from rtcc_video.domain import CameraHealth, CameraState, View
from rtcc_video.engine.viewer import LinkFacts
from rtcc_video.publications import Publications

_OFFER_LIMIT = 64 * 1024
_FRAGMENT_LIMIT = 16 * 1024

_STATES: dict[CameraState, pb.CameraState.ValueType] = {
    CameraState.IDLE: pb.CAMERA_STATE_IDLE,
    CameraState.CONNECTING: pb.CAMERA_STATE_CONNECTING,
    CameraState.LIVE: pb.CAMERA_STATE_LIVE,
    CameraState.STALLED: pb.CAMERA_STATE_STALLED,
    CameraState.FAILED: pb.CAMERA_STATE_FAILED,
}

# What the other relays know of an agency.
type Others = Callable[[Scope], Awaitable[list[DescribeRelayResponse]]]


class VideoServicer(video_pb2_grpc.VideoServiceServicer):
    """The contract's calls; rights and audit are the gate's and the app's."""

    def __init__(self, app: VideoApp, publications: Publications, others: Others) -> None:
        self._app = app
        self._publications = publications
        self._others = others

    async def OpenViewer(self, request: pb.OpenViewerRequest, context: object) -> pb.OpenViewerResponse:
        _need_offer(request.camera_id, request.offer_sdp)
        opened = self._app.open_viewer(current_scope(), request.camera_id, request.offer_sdp, request.shown_width_px, sound=request.sound)
        servers = [pb.IceServer(url=server.url, username=server.username, credential=server.credential) for server in opened.ice_servers]
        return pb.OpenViewerResponse(viewer_id=opened.viewer_id, answer_sdp=opened.answer_sdp, etag=opened.etag, ice_servers=servers)

    async def UpdateViewer(self, request: pb.UpdateViewerRequest, context: object) -> pb.UpdateViewerResponse:
        _need(request.viewer_id, "viewer_id")
        if request.shown_width_px:
            viewer = self._app.show_viewer(current_scope(), request.camera_id, request.viewer_id, request.shown_width_px)
            if not request.sdp_fragment:
                return pb.UpdateViewerResponse(etag=request.etag, hears=viewer.hears)
        _need(request.etag, "etag")
        _bound_fragment(request.sdp_fragment)
        fragment, etag = self._app.update_viewer(current_scope(), request.camera_id, request.viewer_id, request.etag, request.sdp_fragment)
        return pb.UpdateViewerResponse(sdp_fragment=fragment, etag=etag)

    async def SetViewerSound(self, request: pb.SetViewerSoundRequest, context: object) -> pb.SetViewerSoundResponse:
        _need(request.viewer_id, "viewer_id")
        self._app.set_sound(current_scope(), request.camera_id, request.viewer_id, on=request.on)
        return pb.SetViewerSoundResponse()

    async def CloseViewer(self, request: pb.CloseViewerRequest, context: object) -> pb.CloseViewerResponse:
        _need(request.viewer_id, "viewer_id")
        self._app.close_viewer(current_scope(), request.camera_id, request.viewer_id)
        return pb.CloseViewerResponse()

    async def OpenPublisher(self, request: pb.OpenPublisherRequest, context: object) -> pb.OpenPublisherResponse:
        _need_offer(request.camera_id, request.offer_sdp)
        opened = self._publications.open(current_scope(), request.camera_id, request.offer_sdp)
        return pb.OpenPublisherResponse(publisher_id=opened.publisher_id, answer_sdp=opened.answer_sdp, etag=opened.etag)

    async def UpdatePublisher(self, request: pb.UpdatePublisherRequest, context: object) -> pb.UpdatePublisherResponse:
        _need(request.publisher_id, "publisher_id")
        _need(request.etag, "etag")
        _bound_fragment(request.sdp_fragment)
        fragment, etag = self._publications.update(
            current_scope(), request.camera_id, request.publisher_id, request.etag, request.sdp_fragment
        )
        return pb.UpdatePublisherResponse(sdp_fragment=fragment, etag=etag)

    async def ClosePublisher(self, request: pb.ClosePublisherRequest, context: object) -> pb.ClosePublisherResponse:
        _need(request.publisher_id, "publisher_id")
        self._publications.close(current_scope(), request.camera_id, request.publisher_id)
        return pb.ClosePublisherResponse()

    async def RelayPublisher(self, request: pb.RelayPublisherRequest, context: object) -> pb.RelayPublisherResponse:
        if request.publisher_id and request.etag:
            _bound_fragment(request.sdp_fragment)
            fragment, etag = await self._publications.update_by_key(
                request.camera_id, request.publish_key, request.publisher_id, request.etag, request.sdp_fragment
            )
            return pb.RelayPublisherResponse(publisher_id=request.publisher_id, sdp_fragment=fragment, etag=etag)
        if request.publisher_id:
            await self._publications.close_by_key(
                request.camera_id, request.publish_key, request.publisher_id, only_check=request.only_check
            )
            return pb.RelayPublisherResponse(publisher_id=request.publisher_id)
        _need_offer(request.camera_id, request.offer_sdp)
        opened = await self._publications.open_by_key(
            request.camera_id, request.publish_key, request.offer_sdp, request.source_address[:64]
        )
        return pb.RelayPublisherResponse(publisher_id=opened.publisher_id, answer_sdp=opened.answer_sdp, etag=opened.etag)

    async def GetSnapshot(self, request: pb.GetSnapshotRequest, context: object) -> pb.GetSnapshotResponse:
        _need(request.camera_id, "camera_id")
        snapshot, taken_at = await self._app.snapshot(current_scope(), request.camera_id)
        response = pb.GetSnapshotResponse(jpeg=snapshot.jpeg)
        response.taken_at.FromDatetime(taken_at)
        return response

    async def ListCameraHealth(self, request: pb.ListCameraHealthRequest, context: object) -> pb.ListCameraHealthResponse:
        return pb.ListCameraHealthResponse(cameras=map(health_message, self._app.list_health(current_scope())))

    async def ListViewers(self, request: pb.ListViewersRequest, context: object) -> pb.ListViewersResponse:
        scope = current_scope()
        elsewhere = [viewer for told in await self._others(scope) for viewer in told.viewers]
        return pb.ListViewersResponse(viewers=[*viewer_messages(self._app.list_viewers(scope)), *elsewhere])


def health_message(health: CameraHealth) -> pb.CameraHealth:
    """A camera's health as on the wire; an age of -1 s means that no frame came yet."""
    return pb.CameraHealth(
        camera_id=health.camera_id,
        agency_id=health.agency_id,
        state=_STATES[health.state],
        reason=health.reason,
        frames_per_second=round(health.frames_per_second, 1),
        kilobits_per_second=round(health.kilobits_per_second, 1),
        width_px=health.width_px,
        height_px=health.height_px,
        last_frame_age_s=-1.0 if health.last_frame_age_s is None else round(health.last_frame_age_s, 2),
        viewers=health.viewers,
        keyframe_interval_s=round(health.keyframe_interval_s, 2),
        codec=health.codec,
        transcoder_cores=round(health.transcoder_cores, 3),
        controlled_by=health.controlled_by,
        sound_allowed=health.sound_allowed,
        sound_reason=health.sound_reason,
        sound_cores=round(health.sound_cores, 3),
    )


def read_health(message: pb.CameraHealth) -> CameraHealth:
    """The opposite of `health_message`."""
    states = {number: state for state, number in _STATES.items()}
    return CameraHealth(
        message.camera_id,
        message.agency_id,
        states.get(message.state, CameraState.IDLE),
        message.reason,
        message.frames_per_second,
        message.kilobits_per_second,
        message.width_px,
        message.height_px,
        None if message.last_frame_age_s < 0 else message.last_frame_age_s,
        message.viewers,
        message.keyframe_interval_s,
        message.codec,
        message.transcoder_cores,
        message.controlled_by,
        message.sound_allowed,
        message.sound_reason,
        message.sound_cores,
    )


def viewer_messages(views: Iterable[tuple[View, LinkFacts]]) -> list[pb.Viewer]:
    messages: list[pb.Viewer] = []
    for view, link in views:
        message = pb.Viewer(
            viewer_id=view.viewer_id,
            camera_id=view.camera_id,
            viewer_agency_id=view.scope.agency_id,
            viewer_name=view.scope.display_name,
            agreement_id=view.agreement_id,
            limited_by=link.limited_by,
            packets_lost=round(link.packets_lost, 3),
            round_trip_s=round(link.round_trip_s or 0.0, 3),
            sound=link.hears,
        )
        message.since.FromDatetime(view.since)
        messages.append(message)
    return messages


def _need_offer(camera_id: str, offer_sdp: str) -> None:
    _need(camera_id, "camera_id")
    _need(offer_sdp, "offer_sdp")
    if len(offer_sdp) > _OFFER_LIMIT:
        raise InvalidInput.one("offer_sdp", f"at most {_OFFER_LIMIT} characters are taken")


def _bound_fragment(fragment: str) -> None:
    if len(fragment) > _FRAGMENT_LIMIT:
        raise InvalidInput.one("sdp_fragment", f"at most {_FRAGMENT_LIMIT} characters are taken")


def _need(value: str, field: str) -> None:
    if not value:
        raise InvalidInput.one(field, "it is needed")
