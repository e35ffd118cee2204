"""proto <-> domain of what relays ask each other."""

from collections.abc import Callable

from rtcc.video.v1 import relay_pb2 as pb
from rtcc.video.v1 import relay_pb2_grpc
from rtcc.video.v1.footage_pb2 import CameraRecording
from rtcc.video.v1.video_pb2 import Viewer
from rtcc_chassis.errors import InvalidInput, NotFound, Unavailable
from rtcc_chassis.scope import Scope, current_scope
from rtcc_video.app import Rights
from rtcc_video.cascade.origin import Origin
from rtcc_video.cascade.placement import Placement
from rtcc_video.feeds import Feeds

TAKE_STREAM = "camera.take_stream"
_ID_MOST = 80

# The relays that this one hears, itself among them; none while it doesn't hear NATS.
type Heard = Callable[[], list[str]]
# Of one agency, on this relay: who watches its cameras, and what its recorders do with how full a spool (used, at most).
type Viewers = Callable[[Scope], list[Viewer]]
type Recordings = Callable[[Scope], tuple[list[CameraRecording], int, int]]


class RelayServicer(relay_pb2_grpc.RelayServiceServicer):
    """`address`: where edges connect."""

    def __init__(
        self,
        rights: Rights,
        feeds: Feeds,
        placement: Placement,
        origin: Origin | None,
        address: Callable[[], str],
        viewers: Viewers,
        recordings: Recordings,
        heard: Heard,
    ) -> None:
        self._rights = rights
        self._feeds = feeds
        self._placement = placement
        self._origin = origin
        self._address = address
        self._viewers = viewers
        self._recordings = recordings
        self._heard = heard

    async def TakeStream(self, request: pb.TakeStreamRequest, context: object) -> pb.TakeStreamResponse:
        for field in ("camera_id", "stream_id", "relay_id"):
            value = getattr(request, field)
            if not value or len(value) > _ID_MOST:
                raise InvalidInput.one(field, f"is needed, at most {_ID_MOST} characters")
        camera = self._rights.camera(request.camera_id)
        self._rights.require(current_scope(), TAKE_STREAM, camera)
        if self._origin is None or not self._placement.here(camera.camera_id):
            raise Unavailable(f"the pictures of camera {camera.camera_id}", "another relay is its origin")
        feed = self._feeds.get(camera.camera_id, request.stream_id)
        if feed is None:
            raise NotFound("stream", request.stream_id)
        ticket = self._origin.issue(camera.camera_id, request.stream_id, request.relay_id)
        # connects meanwhile
        feed.want()
        return pb.TakeStreamResponse(cascade_address=self._address(), ticket=ticket, gives_sound=True)

    async def DescribeRelay(self, request: pb.DescribeRelayRequest, context: object) -> pb.DescribeRelayResponse:
        scope = current_scope()
        recordings, used, limit = self._recordings(scope)
        return pb.DescribeRelayResponse(viewers=self._viewers(scope), recordings=recordings, spool_bytes=used, spool_limit_bytes=limit)

    async def HearRelays(self, request: pb.HearRelaysRequest, context: object) -> pb.HearRelaysResponse:
        return pb.HearRelaysResponse(relay_ids=self._heard())
