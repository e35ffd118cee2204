"""Recording over real RTSP, S3, PostgreSQL and NATS: what is kept, what isn't and why, and who may see it."""

import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
import pytest_asyncio

from rtcc.alerting.v1.alerting_pb2 import ALERT_STATE_NEW, Alert
from rtcc.ledger.v1.ledger_pb2 import OUTCOME_DENIED, AuditEntry
from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agreement, Camera
from rtcc.video.v1 import footage_pb2 as pb
from rtcc.video.v1 import footage_pb2_grpc
from rtcc_chassis.clock import utc_now
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, PurposeRequired, Refused, RtccError, from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import AUDIT, alert_subject, directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_video.recording.domain import Deletion, proves
from rtcc_video.service import serve

CHIEF = person("east", "administrator", name="East Chief")
DETECTIVE = person("east", "investigator", name="East Detective", purpose="robbery", case_number="E-1")
BOSS = person("east", "supervisor", name="East Boss", purpose="robbery", case_number="E-1")
PARTNER = person("west", "operator", name="West Operator", purpose="robbery", case_number="W-1")


class _Registry(registry_pb2_grpc.RegistryServiceServicer):
    """The one call of the registry that video makes."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = addresses

    async def GetCameraStream(self, request: Any, context: Any) -> registry_pb2.GetCameraStreamResponse:
        return registry_pb2.GetCameraStreamResponse(stream_url=self._addresses[request.camera_id])


class Center:
    """The service with a camera of agency east, recorded as policies say."""

    def __init__(self, platform: TestPlatform, context: ServiceContext, server: RtspServer) -> None:
        self.platform, self.context, self.server = platform, context, server
        self.stub = footage_pb2_grpc.FootageServiceStub(context.channels.channel("video"))
        self.audit: list[AuditEntry] = []

    async def call(self, scope: Scope, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        try:
            return await getattr(self.stub, method)(request, metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def store(self, type_name: str, agency_id: str, identifier: str, message: Any) -> None:
        subject = directory_subject(type_name, agency_id, identifier)
        await self.context.bus.publish(subject, message if message else b"", message_id=new_id(), agency_id=agency_id)

    async def policy(self, mode: int = pb.RECORDING_MODE_CONTINUOUS, **fields: Any) -> None:
        policy = pb.RecordingPolicy(**({"camera_id": "c1", "mode": mode, "keep_s": 86_400} | fields))
        await self.call(CHIEF, "SetRecordingPolicy", policy=policy)

    async def footage(self, scope: Scope = DETECTIVE, since: datetime | None = None, **fields: Any) -> Any:
        request = pb.ListFootageRequest(camera_id="c1")
        request.starts_at.FromDatetime(since or utc_now() - timedelta(hours=1))
        request.ends_at.FromDatetime(utc_now() + timedelta(hours=2))
        return await self.call(scope, "ListFootage", camera_id="c1", starts_at=request.starts_at, ends_at=request.ends_at)

    async def until(self, condition: Callable[[Any], Any], since: datetime | None = None, deadline_s: float = 30) -> Any:
        async def ask() -> Any:
            try:
                found = await self.footage(since=since)
            except RtccError:
                return None
            return found if condition(found) else None

        return await poll(ask, deadline_s=deadline_s, every_s=0.1)

    async def audited(self, action: str, **fields: Any) -> AuditEntry:
        async def ask() -> AuditEntry | None:
            for entry in self.audit:
                if entry.action == action and all(getattr(entry, name) == value for name, value in fields.items()):
                    return entry
            return None

        return await poll(ask, deadline_s=30)

    async def grant(self, **terms: Any) -> None:
        agreement = Agreement(agreement_id="a1", grantor_agency_id="east", grantee_agency_id="west", status=AGREEMENT_STATUS_ACTIVE)
        agreement.camera_ids.append("c1")
        for name, value in terms.items():
            setattr(agreement, name, value)
        await self.store("agreement", "east", "a1", agreement)


def length_s(segment: Any) -> float:
    return (segment.ended_at.ToNanoseconds() - segment.started_at.ToNanoseconds()) / 1e9


@pytest.fixture
def street(make_clip: Any) -> Path:
    """Two seconds with a key picture each half second."""
    found: Path = make_clip(frames=60, gop=15)
    return found


@pytest_asyncio.fixture
async def center(small_platform: TestPlatform, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Center]:
    await small_platform.servers.s3_endpoint()
    monkeypatch.setenv("RTCC_VIDEO_SPOOL_FOLDER", str(tmp_path / "spool"))
    monkeypatch.setenv("RTCC_VIDEO_SEGMENT_S", "0.9")
    monkeypatch.setenv("RTCC_VIDEO_RETENTION_SWEEP_S", "0.3")
    async with RtspServer({"north": street}, "viewer", "hidden-secret") as server:
        context = await small_platform.context("video")
        found = Center(small_platform, context, server)
        await _prepare(found)

        async def serve_registry(ctx: ServiceContext) -> None:
            servicer = _Registry({"c1": server.url("north")})
            ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, servicer)
            ctx.lifecycle.ready()
            await ctx.lifecycle.stopping.wait()

        await small_platform.serve({"registry": serve_registry, "video": serve})
        yield found
        await small_platform.close()


async def _prepare(center: Center) -> None:
    context = center.context

    async def on_audit(deliveries: list[Delivery]) -> None:
        center.audit += [AuditEntry.FromString(delivery.data) for delivery in deliveries]

    await center.store("camera", "east", "c1", Camera(camera_id="c1", agency_id="east", name="North", enabled=True, has_stream=True))
    context.lifecycle.spawn(context.bus.tail(AUDIT, ["audit.>"], on_audit, start="all").run(), "audit")


async def test_a_camera_is_recorded_and_played_by_those_who_may(center: Center) -> None:
    assert not (await center.footage()).segments
    begun = utc_now()
    await center.policy()
    found = await center.until(lambda answer: len(answer.segments) >= 4)
    segments = list(found.segments)
    # the very bytes that were hashed, by wall clock, one after the other (R27)
    for segment in segments[:3]:
        media = await center.call(DETECTIVE, "GetFootageMedia", camera_id="c1", media_id=segment.segment_id)
        assert (media.content_type, len(media.media)) == ("video/mp4", segment.bytes)
        assert hashlib.sha256(media.media).hexdigest() == segment.sha256
        assert 0.9 < length_s(segment) < 1.6
        assert abs(segment.started_at.ToDatetime(UTC).timestamp() - begun.timestamp()) < 60
    for before, after in pairwise(segments):
        assert after.continues
        assert after.started_at == before.ended_at
    # the camera's own time, as its sender reports tell it: the same machine's
    timed = [segment for segment in segments if segment.HasField("camera_started_at")]
    assert timed
    assert all(abs(segment.clock_difference_ms) < 2000 for segment in timed)
    init = await center.call(DETECTIVE, "GetFootageMedia", camera_id="c1", media_id=segments[0].init_id)
    assert hashlib.sha256(init.media).hexdigest() == segments[0].init_id
    assert [(one.codec[:5], one.width_px) for one in found.inits] == [("avc1.", 320)]
    entry = await center.audited("footage.read", agency_id="east")
    assert (entry.purpose, entry.case_number) == ("robbery", "E-1")

    async def named() -> bool:
        return {"camera:c1", f"segment:{segments[0].segment_id}"} <= {name for e in center.audit for name in e.object_ids}

    await poll(named)
    recording = await center.call(BOSS, "ListRecording")
    assert [(one.camera_id, one.state) for one in recording.cameras] == [("c1", pb.RECORDING_STATE_RECORDING)]
    assert recording.cameras[0].segments >= 4


async def test_without_purpose_right_or_agreement_nothing_is_seen(center: Center) -> None:
    await center.policy()
    segment_id = (await center.until(lambda answer: answer.segments)).segments[0].segment_id
    read = {"camera_id": "c1", "media_id": segment_id}
    with pytest.raises(PurposeRequired):  # R18
        await center.call(person("east", "investigator"), "GetFootageMedia", **read)
    for scope in (person("east", "auditor", purpose="p", case_number="c"), PARTNER):
        with pytest.raises(Refused):
            await center.call(scope, "GetFootageMedia", **read)
    await center.audited("footage.read", agency_id="east", principal_agency_id="west", outcome=OUTCOME_DENIED)  # R8
    await center.grant(cameras_live=True)
    with pytest.raises(Refused):
        await center.call(PARTNER, "GetFootageMedia", **read)
    await center.grant(cameras_recorded=True)

    async def granted() -> Any:
        try:
            return await center.call(PARTNER, "GetFootageMedia", **read)
        except Refused:
            return None

    assert (await poll(granted)).media
    seen = await center.audited("footage.read", agency_id="east", agreement_id="a1")  # R16: the owner's log names agreement and partner
    assert seen.principal_agency_id == "west"
    with pytest.raises(NotFound):
        foreign = pb.RecordingPolicy(camera_id="c1", mode=pb.RECORDING_MODE_OFF, keep_s=180)
        await center.call(person("west", "administrator"), "SetRecordingPolicy", policy=foreign)
    stranger = person("north", "investigator", purpose="p", case_number="c")
    with pytest.raises(Refused):
        await center.call(stranger, "GetFootageMedia", **read)


async def test_playlist_and_picture(center: Center) -> None:
    await center.policy()
    found = await center.until(lambda answer: len(answer.segments) >= 3)
    first, last = found.segments[0], found.segments[2]
    playlist = await center.call(DETECTIVE, "GetFootagePlaylist", camera_id="c1", starts_at=first.started_at, ends_at=last.ended_at)
    lines = playlist.media.decode().splitlines()
    assert playlist.content_type == "application/vnd.apple.mpegurl"
    assert lines[0] == "#EXTM3U"
    assert lines[-1] == "#EXT-X-ENDLIST"
    assert [line for line in lines if line.startswith("media/")] == [f"media/{segment.segment_id}" for segment in found.segments[:3]]
    assert f'#EXT-X-MAP:URI="media/{first.init_id}"' in lines
    entrance = (await center.call(DETECTIVE, "GetFootagePlaylist", camera_id="c1")).media.decode().splitlines()
    assert entrance[2].startswith("#EXT-X-STREAM-INF:BANDWIDTH=")
    assert 'CODECS="avc1.' in entrance[2]
    begun = datetime.fromisoformat(parse_qs(urlsplit(entrance[3]).query)["starts_at"][0])
    assert timedelta(0) < utc_now() - begun < timedelta(seconds=60)
    live = [await _live_segments(center, begun)]
    # it only grows: what a player has counted keeps its number
    await poll(lambda: _grown(center, begun, live), deadline_s=20)
    assert live[1][: len(live[0])] == live[0]
    with pytest.raises(InvalidInput, match="starts_at"):
        await center.call(DETECTIVE, "GetFootagePlaylist", camera_id="c1", starts_at=utc_now() - timedelta(hours=7))
    picture = await center.call(DETECTIVE, "GetFootagePicture", camera_id="c1", at=last.started_at)
    assert picture.jpeg.startswith(b"\xff\xd8")
    assert abs(picture.taken_at.ToNanoseconds() - last.started_at.ToNanoseconds()) < 1_500_000_000
    with pytest.raises(NotFound):
        at = first.started_at.ToDatetime(UTC) - timedelta(hours=1)
        await center.call(DETECTIVE, "GetFootagePicture", camera_id="c1", at=at)


async def _live_segments(center: Center, begun: datetime) -> list[str]:
    lines = (await center.call(DETECTIVE, "GetFootagePlaylist", camera_id="c1", starts_at=begun)).media.decode().splitlines()
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in lines
    assert "#EXT-X-MEDIA-SEQUENCE:0" in lines
    assert "#EXT-X-ENDLIST" not in lines
    return [line for line in lines if line.startswith("media/")]


async def _grown(center: Center, begun: datetime, seen: list[list[str]]) -> bool:
    now = await _live_segments(center, begun)
    if len(now) > len(seen[0]):
        seen.append(now)
    return len(seen) > 1


async def test_on_an_event_what_was_before_it_is_kept_too(center: Center) -> None:
    await center.policy(pb.RECORDING_MODE_ON_EVENT, pre_roll_s=3, post_roll_s=10)

    async def until_state(wanted: int) -> None:
        async def ask() -> bool:
            cameras = (await center.call(BOSS, "ListRecording")).cameras
            return [one.state for one in cameras] == [wanted]

        await poll(ask)

    await until_state(pb.RECORDING_STATE_WAITING)
    flowing = utc_now()
    await poll(lambda: _past(flowing + timedelta(seconds=4)), deadline_s=30)
    assert not (await center.footage()).segments
    raised = utc_now()
    alert = Alert(alert_id=new_id(), agency_id="east", kind="plate_hit", state=ALERT_STATE_NEW)
    alert.context.cameras.add(camera_id="c1", agency_id="east")
    await center.context.bus.publish(alert_subject("east"), alert, message_id=new_id(), agency_id="east")
    await until_state(pb.RECORDING_STATE_RECORDING)
    heard = utc_now()
    found = await center.until(lambda answer: answer.segments and answer.segments[-1].started_at.ToDatetime(UTC) > raised)
    began = found.segments[0].started_at.ToDatetime(UTC)
    assert began < heard - timedelta(seconds=2.0)
    assert began > raised - timedelta(seconds=5.5)
    assert all(segment.continues for segment in found.segments[1:])
    assert found.gaps[0].kind == "unknown" or "event" in found.gaps[0].reason


async def _past(moment: datetime) -> bool:
    return utc_now() > moment


async def test_a_camera_that_goes_leaves_a_gap_that_says_why(center: Center) -> None:
    await center.policy()
    await center.until(lambda answer: len(answer.segments) >= 2)
    goes = utc_now()
    await center.server.__aexit__(None, None, None)
    gone = utc_now()

    def gap_at_the_end(answer: pb.ListFootageResponse) -> pb.FootageGap | None:
        # what was in memory when it went is kept, and stored a moment later: the gap begins where the last picture ended
        return next((gap for gap in answer.gaps if gap.kind == "camera" and gap.started_at == answer.segments[-1].ended_at), None)

    gap = gap_at_the_end(await center.until(gap_at_the_end))
    assert gap is not None and "camera" in gap.reason
    assert goes - timedelta(seconds=3) < gap.started_at.ToDatetime(UTC) < gone + timedelta(seconds=3)

    async def failed() -> bool:
        state = (await center.call(BOSS, "ListRecording")).cameras[0]
        return state.state == pb.RECORDING_STATE_FAILED and bool(state.reason)

    await poll(failed)


async def test_what_is_due_is_deleted_with_a_proof_and_what_is_held_stays(center: Center, tmp_path: Path) -> None:  # R22
    await center.policy()
    await center.until(lambda answer: len(answer.segments) >= 3)
    await center.policy(pb.RECORDING_MODE_OFF)
    await center.until(lambda answer: answer.gaps and answer.gaps[-1].kind == "not_wanted")

    async def all_stored() -> bool:
        return not list((tmp_path / "spool").rglob("*.segment"))

    await poll(all_stored)
    # four minutes later by the index: three minutes are allowed
    async with center.context.database.transaction(Scope.platform("video")) as connection:
        await connection.execute(
            "update footage_segment set started_at = started_at - interval '4 min', ended_at = ended_at - interval '4 min'"
        )
    first, second, third = (await center.footage()).segments[:3]
    with pytest.raises(Refused):
        await center.call(CHIEF, "PlaceFootageHold", hold=pb.FootageHold(reason="order 1"))
    hold = pb.FootageHold(reason="order 1", camera_id="c1", starts_at=second.started_at, ends_at=second.ended_at)
    held = (await center.call(BOSS, "PlaceFootageHold", hold=hold)).hold
    with pytest.raises(InvalidInput):
        await center.policy(keep_s=60)
    media = (await center.call(DETECTIVE, "GetFootageMedia", camera_id="c1", media_id=first.segment_id)).media
    await center.policy(pb.RECORDING_MODE_OFF, keep_s=180)
    earlier = utc_now() - timedelta(hours=1)
    left = await center.until(lambda answer: len(answer.segments) == 1, since=earlier)
    assert left.segments[0].segment_id == second.segment_id
    with pytest.raises(NotFound):
        await center.call(DETECTIVE, "GetFootageMedia", camera_id="c1", media_id=first.segment_id)
    deletions = (await center.call(BOSS, "ListFootageDeletions")).deletions
    proofs = [
        Deletion("", one.camera_id, one.keep_s, utc_now(), one.segments, one.bytes, utc_now(), utc_now(), one.leaves, one.digest)
        for one in deletions
    ]
    assert sum(proof.segments for proof in proofs) >= 2
    # who kept a copy can show that it was among them
    assert any(proves(proof, hashlib.sha256(media).hexdigest()) for proof in proofs)
    assert any(proves(proof, third.sha256) for proof in proofs)
    assert not any(proves(proof, second.sha256) for proof in proofs)
    entry = await center.audited("recording.delete", agency_id="east")
    assert deletions[-1].digest in entry.new_value or deletions[0].digest in entry.new_value
    with pytest.raises(NotFound):
        await center.context.objects.get(Scope.service("video", "east"), "east", "footage/c1/nothing")
    assert any(gap.kind == "deleted" for gap in left.gaps)
    await center.call(BOSS, "ReleaseFootageHold", hold_id=held.hold_id)
    await center.until(lambda answer: not answer.segments, since=earlier)


async def test_bad_requests_are_named(center: Center) -> None:
    with pytest.raises(InvalidInput):
        await center.call(DETECTIVE, "ListFootage", camera_id="c1")
    now = utc_now()
    with pytest.raises(InvalidInput):
        await center.call(DETECTIVE, "ListFootage", camera_id="c1", starts_at=now, ends_at=now - timedelta(1))
    with pytest.raises(InvalidInput):
        await center.call(DETECTIVE, "ListFootage", camera_id="c1", starts_at=now - timedelta(days=3), ends_at=now)
    with pytest.raises(NotFound):
        await center.call(DETECTIVE, "GetFootageMedia", camera_id="nowhere", media_id="x")
    for policy in ({"camera_id": "c1", "keep_s": 3600}, {"camera_id": "c9", "keep_s": 3600, "mode": pb.RECORDING_MODE_OFF}):
        with pytest.raises((InvalidInput, NotFound)):
            await center.call(CHIEF, "SetRecordingPolicy", policy=pb.RecordingPolicy(**policy))
    with pytest.raises(NotFound):
        await center.call(BOSS, "ReleaseFootageHold", hold_id="none")


async def test_a_cameras_own_policy_is_removed_and_the_agencys_counts_again(center: Center) -> None:  # R22
    async def recorder(state: pb.RecordingState) -> bool:
        return any(one.state == state for one in (await center.call(DETECTIVE, "ListRecording")).cameras)

    own = pb.RecordingPolicy(camera_id="c1")
    with pytest.raises(NotFound):
        await center.call(CHIEF, "SetRecordingPolicy", policy=own, remove=True)
    # nothing would say any more how long the agency's recordings are kept
    with pytest.raises(InvalidInput, match="camera_id"):
        await center.call(CHIEF, "SetRecordingPolicy", remove=True)
    await center.policy(pb.RECORDING_MODE_OFF)
    # nor how long what is stored of this camera is
    with pytest.raises(Conflict, match="how long"):
        await center.call(CHIEF, "SetRecordingPolicy", policy=own, remove=True)
    await center.policy(camera_id="")
    await poll(lambda: recorder(pb.RECORDING_STATE_OFF), deadline_s=30)
    with pytest.raises(Refused):
        await center.call(BOSS, "SetRecordingPolicy", policy=own, remove=True)
    answer = await center.call(CHIEF, "SetRecordingPolicy", policy=own, remove=True)
    assert not answer.HasField("policy")
    await poll(lambda: recorder(pb.RECORDING_STATE_RECORDING), deadline_s=30)
    assert [one.camera_id for one in (await center.call(CHIEF, "ListRecording")).policies] == [""]

    async def written() -> bool:
        return any(entry.action == "recording.set" and entry.old_value and not entry.new_value for entry in center.audit)

    await poll(written, deadline_s=30)
