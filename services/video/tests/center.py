"""The service with cameras and callers: real gRPC, NATS and PostgreSQL, aiortc as the browser, a real RTSP camera."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import grpc
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtcc.ledger.v1.ledger_pb2 import AuditEntry
from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agency, Agreement, Camera
from rtcc.video.v1 import hls_pb2_grpc, video_pb2_grpc
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import (
    RtccError,
    from_rpc,
)
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import AUDIT, directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import make_sound
from rtcc_video.service import serve

OPERATOR = person("east", "operator", name="East Operator")
PARTNER = person("west", "operator", name="West Operator", purpose="stolen vehicle", case_number="W-1")


class Registry(registry_pb2_grpc.RegistryServiceServicer):
    """The one call of the registry that video makes."""

    addresses: ClassVar[dict[str, str]] = {}
    keys: ClassVar[dict[str, str]] = {}
    controls: ClassVar[dict[str, str]] = {}

    async def GetCameraStream(self, request: Any, context: Any) -> registry_pb2.GetCameraStreamResponse:
        key = self.keys.get(request.camera_id, "")
        return registry_pb2.GetCameraStreamResponse(
            stream_url=self.addresses.get(request.camera_id, ""),
            publish_key_sha256=hashlib.sha256(key.encode()).hexdigest() if key else "",
            control_url=self.controls.get(request.camera_id, ""),
        )


async def serve_registry(ctx: ServiceContext) -> None:
    ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, Registry())
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


class Center:
    """The service under test with cameras c1 and c2 of agency east, and its callers."""

    def __init__(self, platform: TestPlatform, context: ServiceContext) -> None:
        self.platform, self.context = platform, context
        self.stub = video_pb2_grpc.VideoServiceStub(context.channels.channel("video"))
        self.hls = hls_pb2_grpc.HlsServiceStub(context.channels.channel("video"))
        self.audit: list[AuditEntry] = []

    async def call(self, scope: Scope, method: str, request: Any) -> Any:
        try:
            stub = self.stub if hasattr(self.stub, method) else self.hls
            return await getattr(stub, method)(request, metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from error

    async def store(self, type_name: str, agency_id: str, identifier: str, message: Any) -> None:
        subject = directory_subject(type_name, agency_id, identifier)
        await self.context.bus.publish(subject, message if message else b"", message_id=new_id(), agency_id=agency_id)

    async def allow_sound(self, *, agency: bool = True, camera: bool = True, camera_id: str = "c1") -> None:
        """What agency and camera say about sound, as the registry tells it."""
        east = Agency(agency_id="east", name="East", enabled=True, sound_allowed=agency)
        await self.store("agency", "east", "east", east)
        changed = Camera(camera_id=camera_id, agency_id="east", name=f"Camera {camera_id}", enabled=True, has_stream=True, sound=camera)
        await self.store("camera", "east", camera_id, changed)

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

    async def ended_after_s(self, since: datetime, **fields: Any) -> float:
        """How long after this moment the service ended a view, by its own clock."""
        entry = await self.audited("camera.view_ended", **fields)
        return (entry.recorded_at.ToDatetime(UTC) - since).total_seconds()

    async def audited(self, action: str, **fields: Any) -> AuditEntry:
        async def ask() -> AuditEntry | None:
            for entry in self.audit:
                if entry.action == action and all(getattr(entry, name) == value for name, value in fields.items()):
                    return entry
            return None

        return await poll(ask, deadline_s=30)

    @asynccontextmanager
    async def watching(self, scope: Scope, camera_id: str = "c1", *, sound: bool = False) -> AsyncIterator[tuple[RTCPeerConnection, str]]:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            connection.addTransceiver("video", direction="recvonly")
            await connection.setLocalDescription(await connection.createOffer())
            offer = connection.localDescription.sdp
            opened = await self.call(scope, "OpenViewer", pb.OpenViewerRequest(camera_id=camera_id, offer_sdp=offer, sound=sound))
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

    await poll(ask, deadline_s=30)


@asynccontextmanager
async def serving(small_platform: TestPlatform, make_clip: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Center]:
    """The service with cameras c1, c2 (which answer, the first with a microphone) and c3 (which doesn't)."""
    clip = make_clip(frames=30, gop=15)
    sounds = {"north": make_sound("OPUS")}
    async with RtspServer({"north": clip, "south": clip}, "viewer", "hidden-secret", sounds=sounds) as server:
        monkeypatch.setenv("RTCC_VIDEO_AGENCY_VIEWER_LIMIT", "3")
        Registry.keys = {}
        Registry.addresses = {"c1": server.url("north"), "c2": server.url("south"), "c3": "rtsp://viewer:hidden-secret@127.0.0.1:1/none"}
        context = await small_platform.context("video")
        found = Center(small_platform, context)

        async def on_audit(deliveries: list[Delivery]) -> None:
            found.audit += [AuditEntry.FromString(delivery.data) for delivery in deliveries]

        for camera_id in ("c1", "c2", "c3"):
            camera = Camera(camera_id=camera_id, agency_id="east", name=f"Camera {camera_id}", enabled=True, has_stream=True)
            await found.store("camera", "east", camera_id, camera)
        context.lifecycle.spawn(context.bus.tail(AUDIT, ["audit.>"], on_audit, start="all").run(), "audit")
        await small_platform.serve({"registry": serve_registry, "video": serve})
        yield found
        await small_platform.close()
