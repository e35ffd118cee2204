"""The whole service over real gRPC, NATS and PostgreSQL, with aiortc as the browser and a real RTSP camera."""

import asyncio
import dataclasses
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar

import grpc
import pytest
import pytest_asyncio
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc.ledger.v1.ledger_pb2 import OUTCOME_DENIED, AuditEntry
from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, AGREEMENT_STATUS_REVOKED, Agreement, Camera, Person
from rtcc.video.v1 import video_pb2 as pb
from rtcc.video.v1 import video_pb2_grpc
from rtcc_chassis.clock import utc_now
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import (
    Conflict,
    Exhausted,
    InvalidInput,
    NotFound,
    PurposeRequired,
    Refused,
    RtccError,
    Unauthenticated,
    Unavailable,
    from_rpc,
)
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import AUDIT, directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_video.service import serve

OPERATOR = person("east", "operator", name="East Operator")
PARTNER = person("west", "operator", name="West Operator", purpose="stolen vehicle", case_number="W-1")


class _Registry(registry_pb2_grpc.RegistryServiceServicer):
    """The one call of the registry that video makes."""

    addresses: ClassVar[dict[str, str]] = {}
    keys: ClassVar[dict[str, str]] = {}

    async def GetCameraStream(self, request: Any, context: Any) -> registry_pb2.GetCameraStreamResponse:
        key = self.keys.get(request.camera_id, "")
        return registry_pb2.GetCameraStreamResponse(
            stream_url=self.addresses.get(request.camera_id, ""),
            publish_key_sha256=hashlib.sha256(key.encode()).hexdigest() if key else "",
        )


async def _serve_registry(ctx: ServiceContext) -> None:
    ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, _Registry())
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


class Center:
    """The service under test with cameras c1 and c2 of agency east, and its callers."""

    def __init__(self, platform: TestPlatform, context: ServiceContext) -> None:
        self.platform, self.context = platform, context
        self.stub = video_pb2_grpc.VideoServiceStub(context.channels.channel("video"))
        self.audit: list[AuditEntry] = []

    async def call(self, scope: Scope, method: str, request: Any) -> Any:
        try:
            return await getattr(self.stub, method)(request, metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from error

    async def store(self, type_name: str, agency_id: str, identifier: str, message: Any) -> None:
        subject = directory_subject(type_name, agency_id, identifier)
        await self.context.bus.publish(subject, message if message else b"", message_id=new_id(), agency_id=agency_id)

    async def grant(self, **changes: Any) -> Agreement:
        agreement = Agreement(
            agreement_id="a1", grantor_agency_id="east", grantee_agency_id="west", status=AGREEMENT_STATUS_ACTIVE, camera_ids=["c1"]
        )
        agreement.cameras_live = True
        for name, value in changes.items():
            setattr(agreement, name, value)
        await self.store("agreement", "east", "a1", agreement)
        return agreement

    async def until(self, scope: Scope, method: str, request: Any, condition: Any = bool, deadline_s: float = 30) -> Any:
        async def ask() -> Any:
            try:
                answer = await self.call(scope, method, request)
            except RtccError:
                return None
            return answer if condition(answer) else None

        return await poll(ask, deadline_s=deadline_s)

    async def audited(self, action: str, **fields: Any) -> AuditEntry:
        async def ask() -> AuditEntry | None:
            for entry in self.audit:
                if entry.action == action and all(getattr(entry, name) == value for name, value in fields.items()):
                    return entry
            return None

        return await poll(ask, deadline_s=30)

    @asynccontextmanager
    async def watching(self, scope: Scope, camera_id: str = "c1") -> AsyncIterator[tuple[RTCPeerConnection, str]]:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            connection.addTransceiver("video", direction="recvonly")
            await connection.setLocalDescription(await connection.createOffer())
            offer = connection.localDescription.sdp
            opened = await self.call(scope, "OpenViewer", pb.OpenViewerRequest(camera_id=camera_id, offer_sdp=offer))
            await connection.setRemoteDescription(RTCSessionDescription(opened.answer_sdp, "answer"))
            yield connection, opened.viewer_id
        finally:
            await connection.close()


async def frames(connection: RTCPeerConnection, count: int = 5) -> Any:
    async with asyncio.timeout(30):
        for _ in range(count):
            frame = await connection.getReceivers()[0].track.recv()
    return frame


async def closed(connection: RTCPeerConnection) -> None:
    async def ask() -> bool:
        return connection.connectionState in ("closed", "failed")

    await poll(ask, deadline_s=5)


@pytest_asyncio.fixture
async def center(small_platform: TestPlatform, make_clip: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Center]:
    clip = make_clip(frames=30, gop=15)
    async with RtspServer({"north": clip, "south": clip}, "viewer", "hidden-secret") as server:
        monkeypatch.setenv("RTCC_VIDEO_AGENCY_VIEWER_LIMIT", "3")
        _Registry.keys = {}
        _Registry.addresses = {"c1": server.url("north"), "c2": server.url("south"), "c3": "rtsp://viewer:hidden-secret@127.0.0.1:1/none"}
        context = await small_platform.context("video")
        found = Center(small_platform, context)

        async def on_audit(deliveries: list[Delivery]) -> None:
            found.audit += [AuditEntry.FromString(delivery.data) for delivery in deliveries]

        for camera_id in ("c1", "c2", "c3"):
            camera = Camera(camera_id=camera_id, agency_id="east", name=f"Camera {camera_id}", enabled=True, has_stream=True)
            await found.store("camera", "east", camera_id, camera)
        context.lifecycle.spawn(context.bus.tail(AUDIT, ["audit.>"], on_audit, start="all").run(), "audit")
        await small_platform.serve({"registry": _serve_registry, "video": serve})
        yield found
        await small_platform.close()


async def test_an_operator_watches_an_own_camera_and_the_log_says_how_long(center: Center) -> None:
    async with center.watching(OPERATOR) as (connection, viewer_id):
        assert (await frames(connection)).width == 320
        viewers = await center.call(person("east", "supervisor", name="Boss"), "ListViewers", pb.ListViewersRequest())
        assert [(viewer.viewer_id, viewer.viewer_name, viewer.agreement_id) for viewer in viewers.viewers] == [
            (viewer_id, "East Operator", "")
        ]
        request = pb.CloseViewerRequest(camera_id="c1", viewer_id=viewer_id)
        with pytest.raises(NotFound):
            await center.call(person("east", "operator", name="Somebody Else"), "CloseViewer", request)
        await center.call(OPERATOR, "CloseViewer", request)
        await closed(connection)
        with pytest.raises(NotFound):
            await center.call(OPERATOR, "CloseViewer", request)
    opened = await center.audited("camera.view_live", agency_id="east")
    assert list(opened.object_ids) == ["camera:c1"]
    ended = await center.audited("camera.view_ended", agency_id="east")  # R9: object, session, bytes
    assert list(ended.object_ids) == ["camera:c1"]
    assert ended.bytes_out > 1000
    assert ended.session_id == "test-session"
    assert "client left" in ended.reason


async def test_a_view_is_updated_by_its_own_viewer_while_the_right_lasts(center: Center) -> None:
    restart = "a=ice-ufrag:Zz9c\r\na=ice-pwd:9mN6yDJrjHQ4sYbnQm3kQ1Aq\r\n"
    await center.grant()
    await center.until(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    async with center.watching(PARTNER) as (connection, viewer_id):
        await frames(connection)
        request = pb.UpdateViewerRequest(camera_id="c1", viewer_id=viewer_id, etag="*", sdp_fragment=restart)
        for stranger in (OPERATOR, person("west", "operator", name="Other", purpose="stolen vehicle", case_number="W-1")):
            with pytest.raises(NotFound):
                await center.call(stranger, "UpdateViewer", request)
        updated = await center.call(PARTNER, "UpdateViewer", request)
        assert f"a=ice-ufrag:{updated.etag}" in updated.sdp_fragment
        with pytest.raises(Conflict):
            await center.call(PARTNER, "UpdateViewer", pb.UpdateViewerRequest(camera_id="c1", viewer_id=viewer_id, etag="older"))
        with pytest.raises(InvalidInput):
            await center.call(
                PARTNER, "UpdateViewer", pb.UpdateViewerRequest(camera_id="c1", viewer_id=viewer_id, etag="*", sdp_fragment="x")
            )
        await frames(connection, 10)


async def test_no_answer_holds_the_cameras_account(center: Center) -> None:
    request = pb.ListCameraHealthRequest()
    health = await center.until(OPERATOR, "ListCameraHealth", request, lambda answer: any(c.reason for c in answer.cameras))
    assert "hidden-secret" not in str(health)
    assert {camera.camera_id for camera in health.cameras} == {"c1", "c2", "c3"}
    states = await center.until(
        OPERATOR, "ListCameraHealth", request, lambda a: [c.state for c in a.cameras if c.camera_id != "c3"] == [pb.CAMERA_STATE_LIVE] * 2
    )
    live = next(camera for camera in states.cameras if camera.camera_id == "c1")
    assert (live.width_px, live.height_px) == (320, 240)
    assert next(camera for camera in states.cameras if camera.camera_id == "c3").state == pb.CAMERA_STATE_FAILED
    with pytest.raises(Unavailable) as failure:
        await center.call(OPERATOR, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c3"))
    assert "can't be reached" in failure.value.message
    assert "hidden-secret" not in failure.value.message
    with pytest.raises(Unavailable) as failure:
        async with center.watching(OPERATOR, "c3"):
            pass
    assert "can't be reached" in failure.value.message


async def test_a_partner_sees_only_what_is_granted_and_only_with_a_purpose(center: Center) -> None:
    snapshot = pb.GetSnapshotRequest(camera_id="c1")
    with pytest.raises(Refused):
        await center.call(PARTNER, "GetSnapshot", snapshot)
    with pytest.raises(Refused):
        async with center.watching(PARTNER):
            pass
    refusal = await center.audited("camera.view_live", agency_id="east", outcome=OUTCOME_DENIED)  # R8: the owner sees who was turned away
    assert refusal.principal_agency_id == "west"
    assert not (await center.call(PARTNER, "ListCameraHealth", pb.ListCameraHealthRequest())).cameras
    await center.grant()
    picture = await center.until(PARTNER, "GetSnapshot", snapshot)
    assert picture.jpeg.startswith(b"\xff\xd8")
    assert abs(picture.taken_at.ToDatetime().replace(tzinfo=utc_now().tzinfo) - utc_now()) < timedelta(seconds=5)
    with pytest.raises(PurposeRequired):  # R18, R21
        await center.call(person("west", "operator"), "GetSnapshot", snapshot)
    with pytest.raises(Refused):
        await center.call(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c2"))
    health = await center.until(PARTNER, "ListCameraHealth", pb.ListCameraHealthRequest(), lambda answer: len(answer.cameras))
    assert [camera.camera_id for camera in health.cameras] == ["c1"]
    assert not (await center.call(person("west", "supervisor"), "ListViewers", pb.ListViewersRequest())).viewers


async def test_a_revoked_agreement_ends_the_partners_view_within_five_seconds(center: Center) -> None:
    await center.grant()
    await center.until(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    async with center.watching(PARTNER) as (partner, _), center.watching(OPERATOR) as (own, _):
        await frames(partner)
        await frames(own)
        await center.grant(status=AGREEMENT_STATUS_REVOKED)
        begun = time.monotonic()
        await closed(partner)
        print(f"the partner's view ended {(time.monotonic() - begun) * 1000:.0f} ms after the directory took the revocation")
        assert time.monotonic() - begun < 5.0
        await frames(own, 10)
        with pytest.raises(Refused):
            async with center.watching(PARTNER):
                pass
    for log in ("east", "west"):
        ended = await center.audited("camera.view_ended", agency_id=log, agreement_id="a1")
        assert "right revoked" in ended.reason
        assert (ended.owner_agency_id, ended.principal_agency_id) == ("east", "west")


async def test_an_agreement_that_runs_out_or_loses_the_camera_ends_the_view(center: Center) -> None:
    for change in ("narrowed", "ended"):
        await center.grant()
        await center.until(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
        async with center.watching(PARTNER) as (partner, _):
            await frames(partner)
            agreement = await center.grant()
            if change == "narrowed":
                agreement.camera_ids[:] = ["c2"]
            else:
                agreement.valid_until.FromDatetime(utc_now() + timedelta(seconds=1))
            await center.store("agreement", "east", "a1", agreement)
            await closed(partner)


async def test_cameras_granted_during_an_alert_close_with_it(center: Center) -> None:
    await center.grant(cameras_only_during_alert=True)
    with pytest.raises(Refused):
        await center.call(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    await center.store("shared_alert", "east", "a1_alert-1", SharedAlert(agreement_id="a1", grantee_agency_id="west"))
    await center.until(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    async with center.watching(PARTNER) as (partner, _):
        await frames(partner)
        await center.store("shared_alert", "east", "a1_alert-1", None)
        await closed(partner)


async def test_a_disabled_person_and_a_removed_camera_lose_the_picture(center: Center) -> None:
    async with center.watching(OPERATOR) as (connection, _):
        await frames(connection)
        disabled = Person(person_id=OPERATOR.principal_id, agency_id="east", roles=["operator"], enabled=False)
        await center.store("person", "east", OPERATOR.principal_id, disabled)
        await closed(connection)
    other = person("east", "operator", name="Another")
    async with center.watching(other, "c2") as (connection, _):
        await frames(connection)
        await center.store("camera", "east", "c2", None)
        await closed(connection)
    with pytest.raises(NotFound):
        await center.call(other, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c2"))


async def test_a_session_that_ends_or_locks_loses_its_pictures_and_no_other(center: Center) -> None:  # R3
    other = person("east", "operator", name="Another")
    other = dataclasses.replace(other, session_id="other-session")
    async with center.watching(OPERATOR) as (ending, _), center.watching(other) as (staying, _):
        await frames(ending)
        await center.context.bus.publish_core("gateway.session", b"not json")
        await center.context.bus.publish_core("gateway.session", b'{"session_id": "other-session", "reason": ""}')
        await center.context.bus.publish_core("gateway.session", b'{"session_id": "test-session", "reason": "locked"}')
        await closed(ending)
        await frames(staying, 10)


async def test_bad_requests_are_named_and_limits_hold(center: Center) -> None:
    with pytest.raises(InvalidInput) as failure:
        await center.call(OPERATOR, "OpenViewer", pb.OpenViewerRequest(camera_id="c1", offer_sdp="hello"))
    assert failure.value.violations[0].field == "offer_sdp"
    with pytest.raises(InvalidInput):
        await center.call(OPERATOR, "OpenViewer", pb.OpenViewerRequest(camera_id="c1", offer_sdp="v=0\r\n" + "a=x\r\n" * 20_000))
    with pytest.raises(NotFound):
        await center.call(OPERATOR, "GetSnapshot", pb.GetSnapshotRequest(camera_id="nowhere"))
    with pytest.raises(Refused):
        await center.call(person("east", "auditor"), "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    async with center.watching(OPERATOR), center.watching(OPERATOR), center.watching(OPERATOR):
        with pytest.raises(Exhausted):
            async with center.watching(OPERATOR):
                pass


async def test_health_is_told_on_the_agencys_subject(center: Center) -> None:
    heard: list[pb.CameraHealth] = []

    async def on_health(message: Any) -> None:
        heard.append(pb.CameraHealth.FromString(message.data))

    await center.context.bus.subscribe_core("camera_health.east", on_health)

    async def told() -> bool:
        return any(health.camera_id == "c1" and health.viewers == 1 and health.state == pb.CAMERA_STATE_LIVE for health in heard)

    async with center.watching(OPERATOR) as (connection, _):
        await frames(connection)
        await poll(told)


@asynccontextmanager
async def sending(track: MediaStreamTrack, open_publisher: Any) -> AsyncIterator[tuple[RTCPeerConnection, Any]]:
    """aiortc publishes a track through `open_publisher(offer)`, which gives the answer."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver(track, direction="sendonly")
        await connection.setLocalDescription(await connection.createOffer())
        opened = await open_publisher(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(opened.answer_sdp, "answer"))
        yield connection, opened
    finally:
        await connection.close()


async def test_a_device_publishes_with_its_key_and_only_with_it(center: Center, make_clip: Any, clip_track: Any) -> None:
    gateway = Scope.platform("gateway")
    _Registry.keys = {"b7": "right-key"}
    body = Camera(camera_id="b7", agency_id="east", name="Body 7", enabled=True, has_stream=True, published=True)
    await center.store("camera", "east", "b7", body)
    idle = pb.CAMERA_STATE_IDLE
    await center.until(
        OPERATOR,
        "ListCameraHealth",
        pb.ListCameraHealthRequest(),
        lambda a: any(c.camera_id == "b7" and c.state == idle for c in a.cameras),
    )
    with pytest.raises(Unavailable, match="Body 7 is not available"):
        await center.call(OPERATOR, "GetSnapshot", pb.GetSnapshotRequest(camera_id="b7"))

    def by_key(key: str, camera_id: str = "b7") -> Any:
        async def opened(offer: str) -> Any:
            request = pb.RelayPublisherRequest(camera_id=camera_id, publish_key=key, offer_sdp=offer, source_address="192.0.2.7")
            return await center.call(gateway, "RelayPublisher", request)

        return opened

    clip = make_clip(frames=60, gop=30)
    for key, camera_id in (("wrong-key", "b7"), ("", "b7"), ("right-key", "c1"), ("right-key", "nowhere")):
        with pytest.raises(Unauthenticated):
            async with sending(clip_track(clip), by_key(key, camera_id)):
                pass
    async with sending(clip_track(clip), by_key("right-key")) as (first, _), center.watching(OPERATOR, "b7") as (viewer, _):
        assert (await frames(viewer)).width == 320
        # the device came back by another network: the newest wins, whoever watches goes on
        async with sending(clip_track(clip), by_key("right-key")) as (second, opened):
            await closed(first)
            await frames(viewer, 10)
            with pytest.raises(NotFound):
                request = pb.RelayPublisherRequest(camera_id="b7", publish_key="right-key", publisher_id="another")
                await center.call(gateway, "RelayPublisher", request)
            # a new key ends who has the old one, without anybody touching the device
            _Registry.keys = {"b7": "another-key"}
            body.publish_key_set_at.FromDatetime(utc_now())
            await center.store("camera", "east", "b7", body)
            await closed(second)
    ended = await center.audited("camera.publishing_ended", owner_agency_id="east")
    assert "by its key from 192.0.2.7" in ended.reason
    assert "right-key" not in str(center.audit)
    assert opened.publisher_id


async def test_an_officer_publishes_and_loses_it_with_the_right(center: Center, make_clip: Any, clip_track: Any) -> None:
    officer = person("east", "officer", name="Officer Seven")
    body = Camera(camera_id="b8", agency_id="east", name="Phone 8", enabled=True, has_stream=True, published=True)
    await center.store("camera", "east", "b8", body)
    await center.until(OPERATOR, "ListCameraHealth", pb.ListCameraHealthRequest(), lambda a: any(c.camera_id == "b8" for c in a.cameras))

    def as_person(scope: Scope, camera_id: str = "b8") -> Any:
        async def opened(offer: str) -> Any:
            return await center.call(scope, "OpenPublisher", pb.OpenPublisherRequest(camera_id=camera_id, offer_sdp=offer))

        return opened

    clip = make_clip(frames=60, gop=30)
    for scope, camera_id, error in (
        (person("east", "auditor"), "b8", Refused),
        (person("west", "officer", purpose="p", case_number="1"), "b8", Refused),
        (officer, "c1", InvalidInput),
    ):
        with pytest.raises(error):
            async with sending(clip_track(clip), as_person(scope, camera_id)):
                pass
    async with sending(clip_track(clip), as_person(officer)) as (connection, opened):
        async with center.watching(OPERATOR, "b8") as (viewer, _):
            await frames(viewer)
        with pytest.raises(NotFound):
            request = pb.ClosePublisherRequest(camera_id="b8", publisher_id=opened.publisher_id)
            await center.call(person("east", "officer", name="Somebody Else"), "ClosePublisher", request)
        await center.store(
            "person",
            "east",
            officer.principal_id,
            Person(person_id=officer.principal_id, agency_id="east", roles=["auditor"], enabled=True),
        )
        await closed(connection)
    assert "right revoked" in (await center.audited("camera.publishing_ended", principal_id=officer.principal_id)).reason
