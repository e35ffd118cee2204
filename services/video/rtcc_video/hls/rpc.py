"""rtcc.video.v1.HlsService: messages to domain and back."""

from typing import Any, Final

from rtcc.video.v1 import hls_pb2 as pb
from rtcc.video.v1 import hls_pb2_grpc
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import current_scope
from rtcc_video.hls.app import LiveHls
from rtcc_video.hls.playlist import Wanted
from rtcc_video.recording.playlist import MEDIA_TYPE as PLAYLIST_TYPE
from rtcc_video.recording.uploader import MEDIA_TYPE

_LONGEST_ID: Final = 128


class HlsServicer(hls_pb2_grpc.HlsServiceServicer):
    """Rights and audit are the gate's and the app's."""

    def __init__(self, live: LiveHls) -> None:
        self._live = live

    async def OpenHlsViewer(self, request: pb.OpenHlsViewerRequest, context: Any) -> pb.OpenHlsViewerResponse:
        _need(request.camera_id, "camera_id")
        viewer_id, has_smaller = await self._live.open(current_scope(), request.camera_id, request.shown_width_px)
        return pb.OpenHlsViewerResponse(viewer_id=viewer_id, has_smaller=has_smaller)

    async def GetHlsPlaylist(self, request: pb.GetHlsPlaylistRequest, context: Any) -> pb.GetHlsPlaylistResponse:
        _need(request.viewer_id, "viewer_id")
        wanted = Wanted(
            request.hls_msn if request.HasField("hls_msn") else None, request.hls_part if request.HasField("hls_part") else None
        )
        text = await self._live.playlist(current_scope(), request.camera_id, request.viewer_id, wanted)
        return pb.GetHlsPlaylistResponse(media=text, content_type=PLAYLIST_TYPE)

    async def GetHlsMedia(self, request: pb.GetHlsMediaRequest, context: Any) -> pb.GetHlsMediaResponse:
        _need(request.viewer_id, "viewer_id")
        _need(request.media_id, "media_id")
        media = await self._live.media(current_scope(), request.camera_id, request.viewer_id, request.media_id)
        return pb.GetHlsMediaResponse(media=media, content_type=MEDIA_TYPE)


def _need(value: str, field: str) -> None:
    if not value or len(value) > _LONGEST_ID:
        raise InvalidInput.one(field, f"is needed, with at most {_LONGEST_ID} characters")
