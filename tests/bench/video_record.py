"""What recording costs beside viewing: one video service process that pulls 40 cameras, records all of them, and serves 160 viewers.

The service is the real one, started as a pod starts it (`python -m rtcc_video`), with RTSP in, segments hashed into its spool, stored in
a real SeaweedFS and indexed in a real PostgreSQL, rights and audit on. Cameras (the demo's RTSP server) and viewers (real ICE and DTLS,
then SRTP dropped in a socket filter) are other processes: only the service's own CPU is counted, by /proc/<pid>/stat. Loopback charges
the receivers' half of each packet to the sender.

`./rtcc bench video-record [--cameras 40] [--viewers 160] [--seconds 20]`
"""

import argparse
import asyncio
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _video_stream import CLIP_SECONDS, encode_clip
from _video_viewers import Viewer

from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.video.v1 import footage_pb2, footage_pb2_grpc, video_pb2, video_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import directory_subject
from rtcc_chassis.testing import Servers, TestPlatform, free_port, person, poll, test_platform

_CHIEF = person("east", "administrator", name="Chief")
_OPERATOR = person("east", "operator", name="Operator", purpose="bench", case_number="B-1")
_TICKS = os.sysconf("SC_CLK_TCK")


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Cores of the service's process: CPU-seconds a second."""
    parser = argparse.ArgumentParser(prog="bench video-record", description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=40)
    parser.add_argument("--viewers", type=int, default=160)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args(list(argv))
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_clip(clip)
        return asyncio.run(_measure(clip, Path(folder), arguments))


async def _measure(clip: Path, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    servers = Servers()
    command = [sys.executable, __file__, str(clip), str(arguments.cameras)]
    cameras = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert cameras.stdout is not None
    rtsp_port = int(await cameras.stdout.readline())
    try:
        await servers.s3_endpoint()
        async with test_platform(servers) as platform:
            bench = _Bench(platform, clip, folder, rtsp_port, arguments)
            return await bench.measure()
    finally:
        cameras.kill()
        await cameras.wait()
        servers.stop()


class _Bench:
    """One run."""

    def __init__(self, platform: TestPlatform, clip: Path, folder: Path, rtsp_port: int, arguments: argparse.Namespace) -> None:
        self._platform, self._folder, self._rtsp_port = platform, folder, rtsp_port
        self._arguments = arguments
        self._clip_bytes = clip.stat().st_size
        self._viewers: list[Viewer] = []

    async def measure(self) -> dict[str, Any]:
        port, count = free_port(), self._arguments.cameras
        await self._registry(count)
        overrides = {
            "VIDEO_SPOOL_FOLDER": str(self._folder / "spool"), "VIDEO_MEDIA_LISTEN": "127.0.0.1:0", "VIDEO_VIEWER_LIMIT": "1000",
            "VIDEO_AGENCY_VIEWER_LIMIT": "1000",
        }  # fmt: skip
        for name, value in overrides.items():
            os.environ[f"RTCC_{name}"] = value
        process = await self._platform.start_process("video", port)
        context = await self._platform.context("registry")
        addresses = {**context.settings.rpc_addresses, "video": f"127.0.0.1:{port}"}
        channels = type(context.channels)(dataclasses.replace(context.settings, rpc_addresses=addresses))
        self._video = video_pb2_grpc.VideoServiceStub(channels.channel("video"))
        self._footage = footage_pb2_grpc.FootageServiceStub(channels.channel("video"))
        await poll(lambda: self._live(count), deadline_s=60, every_s=0.5)
        idle = await self._cores(process.pid, 8.0)
        await self._record()
        await poll(lambda: self._recording(count), deadline_s=60, every_s=0.5)
        recorded = await self._cores(process.pid, self._arguments.seconds)
        for number in range(self._arguments.viewers):
            self._viewers.append(await self._watch(f"c{number % count}"))
        await asyncio.gather(*(viewer.media_seen() for viewer in self._viewers))
        await asyncio.sleep(1.0)
        before = await self._stored()
        begun = datetime.now(UTC)
        everything = await self._cores(process.pid, self._arguments.seconds)
        after = await self._stored()
        seconds = (datetime.now(UTC) - begun).total_seconds()
        memory_mb = _resident_mb(process.pid)
        for viewer in self._viewers:
            viewer.close()
        return {
            "cores_40_cameras_160_viewers": round(everything, 3),
            "cores_cameras_pulled": round(idle, 3),
            "cores_cameras_recorded": round(recorded, 3),
            "record_ms_per_camera_second": round((recorded - idle) * 1000 / count, 2),
            "segments_stored_per_s": round((after - before) / seconds, 1),
            "segments_due_per_s": round(count / 4, 1),
            "load_average": round(os.getloadavg()[0], 1),
            "resident_mb": memory_mb,
            "stream_kbit_per_s": round(self._clip_bytes * 8 / CLIP_SECONDS / 1000),
            "conditions": (
                f"{count} RTSP cameras 1280x720 30 fps, all recorded in 4 s segments to SeaweedFS and PostgreSQL, "
                f"{self._arguments.viewers} viewers; CPU-seconds of the one video process; {os.cpu_count()} cores; loopback"
            ),
        }

    async def _registry(self, count: int) -> None:
        port = self._rtsp_port

        class Registry(registry_pb2_grpc.RegistryServiceServicer):
            async def GetCameraStream(self, request: Any, context: Any) -> registry_pb2.GetCameraStreamResponse:
                return registry_pb2.GetCameraStreamResponse(stream_url=f"rtsp://bench:bench@127.0.0.1:{port}/{request.camera_id}")

        async def serve(ctx: ServiceContext) -> None:
            ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, Registry())
            ctx.lifecycle.ready()
            await ctx.lifecycle.stopping.wait()

        context = await self._platform.context("registry")
        for number in range(count):
            camera = registry_pb2.Camera(camera_id=f"c{number}", agency_id="east", name=f"c{number}", enabled=True, has_stream=True)
            subject = directory_subject("camera", "east", camera.camera_id)
            await context.bus.publish(subject, camera, message_id=new_id(), agency_id="east")
        await self._platform.serve({"registry": serve})

    def _as(self, scope: Scope) -> tuple[tuple[str, str], ...]:
        return self._platform.metadata(scope)

    async def _live(self, count: int) -> bool:
        answer = await self._video.ListCameraHealth(video_pb2.ListCameraHealthRequest(), metadata=self._as(_OPERATOR))
        return sum(camera.state == video_pb2.CAMERA_STATE_LIVE for camera in answer.cameras) == count

    async def _record(self) -> None:
        policy = footage_pb2.RecordingPolicy(mode=footage_pb2.RECORDING_MODE_CONTINUOUS, keep_s=86_400)
        await self._footage.SetRecordingPolicy(footage_pb2.SetRecordingPolicyRequest(policy=policy), metadata=self._as(_CHIEF))

    async def _recording(self, count: int) -> bool:
        answer = await self._footage.ListRecording(footage_pb2.ListRecordingRequest(), metadata=self._as(_OPERATOR))
        return sum(camera.segments > 0 for camera in answer.cameras) == count

    async def _stored(self) -> int:
        answer = await self._footage.ListRecording(footage_pb2.ListRecordingRequest(), metadata=self._as(_OPERATOR))
        return sum(camera.segments for camera in answer.cameras)

    async def _watch(self, camera_id: str) -> Viewer:
        async def exchange(offer: str) -> str:
            request = video_pb2.OpenViewerRequest(camera_id=camera_id, offer_sdp=offer)
            return str((await self._video.OpenViewer(request, metadata=self._as(_OPERATOR))).answer_sdp)

        return await Viewer().offer_to(exchange)

    async def _cores(self, pid: int, seconds: float) -> float:
        before, begun = cpu_s(pid), time.monotonic()
        await asyncio.sleep(seconds)
        return (cpu_s(pid) - before) / (time.monotonic() - begun)


def cpu_s(pid: int) -> float:
    """User and system time of a process, all its threads (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident_mb(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


async def _serve_cameras(clip: Path, count: int) -> None:
    from rtcc_demo.rtsp_server import RtspServer

    offsets = {f"c{number}": number * CLIP_SECONDS / count for number in range(count)}
    async with RtspServer({name: clip for name in offsets}, "bench", "bench", offsets_s=offsets) as server:
        print(server.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve_cameras(Path(sys.argv[1]), int(sys.argv[2])))
