"""rtcc.video.v1.FootageService: messages to domain and back."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from rtcc.video.v1 import footage_pb2 as pb
from rtcc.video.v1 import footage_pb2_grpc
from rtcc.video.v1.relay_pb2 import DescribeRelayResponse
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import Scope, current_scope
from rtcc_video.recording.domain import Deletion, FootageHold, Gap, Mode, RecorderState, RecordingPolicy, Segment
from rtcc_video.recording.footage import Footage, need_window
from rtcc_video.recording.playlist import MEDIA_TYPE as PLAYLIST_TYPE
from rtcc_video.recording.playlist import Rendition
from rtcc_video.recording.retention import Retention
from rtcc_video.recording.sound_fmp4 import MEDIA_TYPE as SOUND_TYPE
from rtcc_video.recording.store import FootageStore
from rtcc_video.recording.uploader import MEDIA_TYPE

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_MODES: Final = {
    Mode.OFF: pb.RECORDING_MODE_OFF,
    Mode.CONTINUOUS: pb.RECORDING_MODE_CONTINUOUS,
    Mode.ON_EVENT: pb.RECORDING_MODE_ON_EVENT,
}
_STATES: Final = {
    RecorderState.OFF: pb.RECORDING_STATE_OFF,
    RecorderState.RECORDING: pb.RECORDING_STATE_RECORDING,
    RecorderState.WAITING: pb.RECORDING_STATE_WAITING,
    RecorderState.FAILED: pb.RECORDING_STATE_FAILED,
}

_RENDITIONS: Final = {
    pb.FOOTAGE_RENDITION_UNSPECIFIED: Rendition.PICTURES,
    pb.FOOTAGE_RENDITION_WITH_SOUND: Rendition.WITH_SOUND,
    pb.FOOTAGE_RENDITION_SOUND: Rendition.SOUND,
}

# What the recorders do now: camera -> state, reason, and whether they hear sound; and what their spool holds, and may hold, in bytes.
type States = Callable[[], dict[str, tuple[RecorderState, str, bool]]]
type SpoolFill = Callable[[], tuple[int, int]]
# What the other relays, each recording its own cameras, know of an agency.
type Others = Callable[[Scope], Awaitable[list[DescribeRelayResponse]]]


class FootageServicer(footage_pb2_grpc.FootageServiceServicer):
    """The gate has checked rights before; it audits after."""

    def __init__(
        self,
        footage: Footage,
        retention: Retention,
        store: FootageStore,
        owns: Callable[[str, str], bool],
        states: States,
        spool_fill: SpoolFill,
        clock: Callable[[], datetime],
        others: Others,
    ) -> None:
        self._others = others
        self._footage = footage
        self._retention = retention
        self._store = store
        self._owns = owns
        self._states = states
        self._spool_fill = spool_fill
        self._clock = clock

    async def ListRecording(self, request: pb.ListRecordingRequest, context: Any) -> pb.ListRecordingResponse:
        scope = current_scope()
        used, limit = self._spool_fill()
        elsewhere = await self._others(scope)
        policies = await self._store.policies(scope)
        holds = await self._store.holds(scope, released=request.include_released_holds)
        return pb.ListRecordingResponse(
            policies=[_policy(policy) for policy in policies.values()],
            holds=[_hold(hold) for hold in holds],
            cameras=await self._cameras(scope, elsewhere),
            spool_bytes=used + sum(told.spool_bytes for told in elsewhere),
            spool_limit_bytes=limit + sum(told.spool_limit_bytes for told in elsewhere),
        )

    def recorders(self, scope: Scope) -> tuple[list[pb.CameraRecording], int, int]:
        """What the recorders of this process do with the agency's cameras, and what its spool holds, and may hold, in bytes."""
        states = {camera_id: state for camera_id, state in self._states().items() if self._owns(scope.agency_id, camera_id)}
        messages = [
            pb.CameraRecording(camera_id=one, state=_STATES[state], reason=reason, hears_sound=hears)
            for one, (state, reason, hears) in states.items()
        ]
        return messages, *self._spool_fill()

    async def SetRecordingPolicy(self, request: pb.SetRecordingPolicyRequest, context: Any) -> pb.SetRecordingPolicyResponse:
        asked = request.policy
        if request.remove:
            await self._retention.remove_policy(current_scope(), asked.camera_id)
            return pb.SetRecordingPolicyResponse()
        modes = {value: mode for mode, value in _MODES.items()}
        if asked.mode not in modes:
            raise InvalidInput.one("policy.mode", "is needed: off, continuous or on event")
        wanted = RecordingPolicy(
            asked.camera_id, modes[asked.mode], asked.keep_s, asked.pre_roll_s, asked.post_roll_s or 60, keep_sound=asked.keep_sound
        )
        return pb.SetRecordingPolicyResponse(policy=_policy(await self._retention.set_policy(current_scope(), wanted)))

    async def PlaceFootageHold(self, request: pb.PlaceFootageHoldRequest, context: Any) -> pb.PlaceFootageHoldResponse:
        asked = request.hold
        starts_at, ends_at = moment_of(asked, "starts_at", "hold."), moment_of(asked, "ends_at", "hold.")
        wanted = FootageHold(asked.hold_id, asked.reason, asked.camera_id, starts_at, ends_at, _NEVER, "")
        return pb.PlaceFootageHoldResponse(hold=_hold(await self._retention.place_hold(current_scope(), wanted)))

    async def ReleaseFootageHold(self, request: pb.ReleaseFootageHoldRequest, context: Any) -> pb.ReleaseFootageHoldResponse:
        return pb.ReleaseFootageHoldResponse(hold=_hold(await self._retention.release_hold(current_scope(), request.hold_id)))

    async def ListFootageDeletions(self, request: pb.ListFootageDeletionsRequest, context: Any) -> pb.ListFootageDeletionsResponse:
        found = await self._retention.deletions(current_scope(), request.limit)
        return pb.ListFootageDeletionsResponse(deletions=[_deletion(one) for one in found])

    async def ListFootage(self, request: pb.ListFootageRequest, context: Any) -> pb.ListFootageResponse:
        window = need_window(moment_of(request, "starts_at"), moment_of(request, "ends_at"))
        found, inits = await self._footage.list_window(current_scope(), request.camera_id, *window)
        heard = await self._footage.may_listen(current_scope(), request.camera_id)
        response = pb.ListFootageResponse(
            segments=[segment_message(segment, heard=heard) for segment in found.segments],
            gaps=[_gap(gap) for gap in found.gaps],
            inits=[pb.FootageInit(init_id=one.init_id, codec=one.codec, width_px=one.width_px, height_px=one.height_px) for one in inits],
        )
        response.now.FromDatetime(self._clock())
        return response

    async def GetFootageMedia(self, request: pb.GetFootageMediaRequest, context: Any) -> pb.GetFootageMediaResponse:
        if not request.media_id:
            raise InvalidInput.one("media_id", "is needed")
        media = await self._footage.media(current_scope(), request.camera_id, request.media_id)
        return pb.GetFootageMediaResponse(media=media, content_type=MEDIA_TYPE)

    async def GetFootageSound(self, request: pb.GetFootageSoundRequest, context: Any) -> pb.GetFootageSoundResponse:
        if not request.sound_id:
            raise InvalidInput.one("sound_id", "is needed: a segment's id, or init")
        media = await self._footage.sound(current_scope(), request.camera_id, request.sound_id)
        return pb.GetFootageSoundResponse(media=media, content_type=SOUND_TYPE)

    async def GetFootagePlaylist(self, request: pb.GetFootagePlaylistRequest, context: Any) -> pb.GetFootagePlaylistResponse:
        starts_at, ends_at = moment_of(request, "starts_at"), moment_of(request, "ends_at")
        if starts_at is None and ends_at is not None:
            raise InvalidInput.one("starts_at", "is needed with an end")
        if request.rendition not in _RENDITIONS:
            raise InvalidInput.one("rendition", "isn't known: leave it out, or ask with sound, or for the sound alone")
        rendition = _RENDITIONS[request.rendition]
        if starts_at is None and rendition is Rendition.SOUND:
            raise InvalidInput.one("starts_at", "is needed for the sound alone")
        text = await self._footage.playlist(current_scope(), request.camera_id, starts_at, ends_at, rendition)
        return pb.GetFootagePlaylistResponse(media=text.encode(), content_type=PLAYLIST_TYPE)

    async def GetFootagePicture(self, request: pb.GetFootagePictureRequest, context: Any) -> pb.GetFootagePictureResponse:
        at = moment_of(request, "at")
        if at is None:
            raise InvalidInput.one("at", "is needed")
        jpeg, taken_at = await self._footage.picture(current_scope(), request.camera_id, at)
        response = pb.GetFootagePictureResponse(jpeg=jpeg)
        response.taken_at.FromDatetime(taken_at)
        return response

    async def _cameras(self, scope: Scope, elsewhere: list[DescribeRelayResponse]) -> list[pb.CameraRecording]:
        totals = await self._store.totals(scope)
        told = [one for answer in elsewhere for one in answer.recordings] + self.recorders(scope)[0]
        states = {one.camera_id: one for one in told}
        found = []
        for camera_id in sorted(set(totals) | set(states)):
            message = pb.CameraRecording(camera_id=camera_id, state=pb.RECORDING_STATE_OFF)
            if camera_id in states:
                message.CopyFrom(states[camera_id])
            if camera_id in totals:
                oldest, newest, message.segments, message.bytes = totals[camera_id]
                message.oldest_at.FromDatetime(oldest)
                message.newest_at.FromDatetime(newest)
            found.append(message)
        return found


def moment_of(message: Any, field: str, prefix: str = "") -> datetime | None:
    """A time of a message, None where it is unset. Raises `InvalidInput`."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput.one(f"{prefix}{field}", "is not a time") from error


def segment_message(segment: Segment, *, heard: bool = False) -> pb.FootageSegment:
    """A segment as on the wire; `heard`: to somebody who may hear its sound."""
    message = pb.FootageSegment(
        segment_id=segment.segment_id,
        clock_difference_ms=segment.clock_difference_ms,
        init_id=segment.init_id,
        sha256=segment.sha256,
        bytes=segment.size_bytes,
        pictures=segment.pictures,
        continues=segment.continues,
        starts_with_key=segment.starts_with_key,
        sound_sha256=segment.sound_sha256 if heard else "",
        sound_bytes=segment.sound_bytes if heard else 0,
    )
    _stamp(message, started_at=segment.started_at, ended_at=segment.ended_at, camera_started_at=segment.camera_started_at)
    return message


def _gap(gap: Gap) -> pb.FootageGap:
    message = pb.FootageGap(kind=gap.kind.value, reason=gap.reason)
    _stamp(message, started_at=gap.started_at, ended_at=gap.ended_at)
    return message


def _policy(policy: RecordingPolicy) -> pb.RecordingPolicy:
    message = pb.RecordingPolicy(
        camera_id=policy.camera_id,
        mode=_MODES[policy.mode],
        keep_s=policy.keep_s,
        pre_roll_s=policy.pre_roll_s,
        post_roll_s=policy.post_roll_s,
        changed_by=policy.changed_by,
        keep_sound=policy.keep_sound,
    )
    _stamp(message, changed_at=policy.changed_at)
    return message


def _hold(hold: FootageHold) -> pb.FootageHold:
    message = pb.FootageHold(
        hold_id=hold.hold_id,
        reason=hold.reason,
        camera_id=hold.camera_id,
        placed_by=hold.placed_by,
        released_by=hold.released_by,
    )
    _stamp(message, starts_at=hold.starts_at, ends_at=hold.ends_at, placed_at=hold.placed_at, released_at=hold.released_at)
    return message


def _deletion(deletion: Deletion) -> pb.FootageDeletion:
    message = pb.FootageDeletion(
        deletion_id=deletion.deletion_id,
        camera_id=deletion.camera_id,
        keep_s=deletion.keep_s,
        segments=deletion.segments,
        bytes=deletion.size_bytes,
        leaves=deletion.leaves,
        digest=deletion.digest,
        sounds=deletion.sounds,
    )
    _stamp(message, deleted_at=deletion.deleted_at, oldest_at=deletion.oldest_at, newest_at=deletion.newest_at)
    return message


def _stamp(message: Any, **times: datetime | None) -> None:
    for name, at in times.items():
        if at is not None:
            getattr(message, name).FromDatetime(at)
