"""Several real relay processes on one real NATS, PostgreSQL and RTSP camera each, and aiortc as their viewers."""

import asyncio
import hashlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.registry.v1.registry_pb2 import Camera
from rtcc.video.v1 import relay_pb2_grpc, video_pb2_grpc
from rtcc.video.v1 import video_pb2 as pb
from rtcc.video.v1.footage_pb2_grpc import FootageServiceStub
from rtcc.video.v1.hls_pb2_grpc import HlsServiceStub
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError, from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.members import Members, owner_of
from rtcc_chassis.relays import Relay, read_lease
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import directory_subject
from rtcc_chassis.testing import TestPlatform, free_port, person, poll
from rtcc_demo.rtsp_server import RtspServer

OPERATOR = person("east", "operator", name="East Operator")
KEY = "the key of a body camera"
CAMERAS = ("c1", "c2", "c3", "c4")


class Registry(registry_pb2_grpc.RegistryServiceServicer):
    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}

    async def GetCameraStream(self, request: Any, context: Any) -> registry_pb2.GetCameraStreamResponse:
        key = hashlib.sha256(KEY.encode()).hexdigest() if request.camera_id == "body" else ""
        return registry_pb2.GetCameraStreamResponse(stream_url=self.addresses.get(request.camera_id, ""), publish_key_sha256=key)


class Watching:
    """A viewer that keeps every picture's moment of arrival."""

    def __init__(self, connection: RTCPeerConnection, viewer_id: str) -> None:
        self.connection, self.viewer_id = connection, viewer_id
        self.arrivals: list[float] = []
        self.width = 0
        self._task = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        while True:
            frame = await self.connection.getReceivers()[0].track.recv()
            self.width = frame.width
            self.arrivals.append(time.monotonic())

    async def sees(self, count: int = 5, deadline_s: float = 40.0) -> float:
        """Waits for so many more pictures; when the last of them came."""
        wanted = len(self.arrivals) + count

        async def came() -> bool:
            return len(self.arrivals) >= wanted

        await poll(came, deadline_s=deadline_s)
        return self.arrivals[wanted - 1]

    def longest_gap_s(self, since_s: float) -> float:
        """The longest time without a new picture since then, until now."""
        moments = [max(since_s, moment) for moment in self.arrivals if moment >= since_s - 1] + [time.monotonic()]
        return max((later - earlier for earlier, later in itertools.pairwise(moments)), default=float("inf"))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.connection.close()


@dataclass(frozen=True, slots=True)
class Publishing:
    """A device that sends."""

    connection: RTCPeerConnection
    publisher_id: str


class Crew:
    """The relays, by their ids."""

    def __init__(self, platform: TestPlatform, context: ServiceContext, folder: Path) -> None:
        self.platform, self.context, self.folder = platform, context, folder
        self.registry = Registry()
        self.members: Members[Relay] = Members("video", read_lease)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.servers: dict[str, RtspServer] = {}
        self._used: set[str] = set()

    async def start(self, count: int = 1, **settings: str) -> list[str]:
        """New relays; their ids."""
        return list(await asyncio.gather(*(self._start(settings) for _ in range(count))))

    async def _start(self, settings: dict[str, str]) -> str:
        port = free_port()
        spool = self.folder / f"spool-{port}"
        overrides = {
            "video_cascade_listen": "127.0.0.1:0", "video_spool_folder": str(spool), "video_helper": "off", "video_drain_s": "25",
            "video_segment_s": "1",
        } | settings  # fmt: skip
        process = await self.platform.start_process("video", port, **overrides)

        async def announced() -> str:
            for relay_id, relay in self.members.live().items():
                if relay.rpc_address.endswith(f":{port}") and relay_id not in self._used:
                    return relay_id
            return ""

        relay_id = await poll(announced, deadline_s=60)
        self._used.add(relay_id)
        self.processes[relay_id] = process
        return relay_id

    def kill(self, relay_id: str, number: signal.Signals = signal.SIGKILL) -> None:
        os.killpg(self.processes[relay_id].pid, number)

    async def gone(self, relay_id: str) -> None:
        async def lost() -> bool:
            return self.members.get(relay_id) is None

        await poll(lost, deadline_s=30)

    async def camera_of(self, relay_id: str) -> str:
        """A new camera, at the server `spare`, whose origin is this relay."""
        camera_id = next(found for found in map("x{}".format, range(1000)) if self.origin(found) == relay_id)
        self.registry.addresses[camera_id] = self.servers["spare"].url("spare")
        await self.register(camera_id)
        await self.sessions("spare", 1)
        return camera_id

    async def register(self, camera_id: str, *, enabled: bool = True) -> None:
        """Enters a camera of agency east."""
        body = camera_id == "body"
        camera = Camera(camera_id=camera_id, agency_id="east", name=camera_id, enabled=enabled, has_stream=True, published=body)
        await self.put("camera", camera_id, camera)

    async def put(self, kind: str, identifier: str, message: Any) -> None:
        """Writes to the directory as the registry does."""
        await self.context.bus.publish(directory_subject(kind, "east", identifier), message, message_id=new_id(), agency_id="east")

    def origin(self, camera_id: str) -> str:
        ready = [relay_id for relay_id, relay in self.members.live().items() if not relay.draining]
        return owner_of(camera_id, ready)

    def edge(self, camera_id: str) -> str:
        """A relay that isn't the camera's origin."""
        return next(
            relay_id for relay_id, relay in self.members.live().items() if not relay.draining and relay_id != self.origin(camera_id)
        )

    async def call(self, relay_id: str, scope: Scope, method: str, request: Any, service: str = "Video") -> Any:
        relay = self.members.get(relay_id)
        assert relay is not None, f"{relay_id} doesn't live"
        stubs = {
            "Video": video_pb2_grpc.VideoServiceStub, "Relay": relay_pb2_grpc.RelayServiceStub, "Footage": FootageServiceStub,
            "Hls": HlsServiceStub,
        }  # fmt: skip
        stub = stubs[service](self.context.channels.at(relay.rpc_address))
        try:
            return await getattr(stub, method)(request, metadata=self.platform.metadata(scope), wait_for_ready=False)
        except grpc.RpcError as error:
            raise from_rpc(error) from error

    @asynccontextmanager
    async def watching(self, relay_id: str, camera_id: str, scope: Scope = OPERATOR) -> AsyncIterator[Watching]:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTransceiver("video", direction="recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        request = pb.OpenViewerRequest(camera_id=camera_id, offer_sdp=connection.localDescription.sdp)
        opened = await self.until(relay_id, scope, "OpenViewer", request)
        await connection.setRemoteDescription(RTCSessionDescription(opened.answer_sdp, "answer"))
        found = Watching(connection, opened.viewer_id)
        try:
            yield found
        finally:
            await found.close()

    @asynccontextmanager
    async def publishing(self, relay_id: str, track: MediaStreamTrack) -> AsyncIterator[Publishing]:
        """The camera `body` sends to this relay by its key."""
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            connection.addTransceiver(track, direction="sendonly")
            await connection.setLocalDescription(await connection.createOffer())
            offer = connection.localDescription.sdp
            request = pb.RelayPublisherRequest(camera_id="body", publish_key=KEY, offer_sdp=offer, source_address="192.0.2.1")
            opened = await self.until(relay_id, Scope.platform("gateway"), "RelayPublisher", request)
            await connection.setRemoteDescription(RTCSessionDescription(opened.answer_sdp, "answer"))
            yield Publishing(connection, opened.publisher_id)
        finally:
            await connection.close()

    async def until(self, relay_id: str, scope: Scope, method: str, request: Any, condition: Any = bool, deadline_s: float = 40) -> Any:
        async def ask() -> Any:
            try:
                answer = await self.call(relay_id, scope, method, request)
            except RtccError:
                return None
            return answer if condition(answer) else None

        return await poll(ask, deadline_s=deadline_s)

    async def sessions(self, camera_id: str, count: int, deadline_s: float = 40.0) -> None:
        """Waits until the camera has exactly so many clients."""

        async def counted() -> bool:
            return self.servers[camera_id].connections == count

        try:
            await poll(counted, deadline_s=deadline_s)
        except AssertionError:
            raise AssertionError(f"{camera_id} has {self.servers[camera_id].connections} clients and not {count}") from None


@asynccontextmanager
async def crew_of(platform: TestPlatform, clip: Path, folder: Path) -> AsyncIterator[Crew]:
    """A crew without relays: `start` them."""
    async with AsyncExitStack() as stack:
        context = await platform.context("registry")
        crew = Crew(platform, context, folder)

        async def serve_registry(ctx: ServiceContext) -> None:
            ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, crew.registry)
            ctx.lifecycle.ready()
            await ctx.lifecycle.stopping.wait()

        for camera_id in (*CAMERAS, "spare"):
            server = crew.servers[camera_id] = await stack.enter_async_context(RtspServer({camera_id: clip}, "viewer", "secret"))
            crew.registry.addresses[camera_id] = server.url(camera_id)
        for camera_id in (*CAMERAS, "body"):
            await crew.register(camera_id)
        await platform.serve({"registry": serve_registry})
        await crew.members.follow(context.bus)
        context.lifecycle.spawn(crew.members.run(context.bus), "members")
        try:
            yield crew
        finally:
            for process in crew.processes.values():
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
