"""What it costs that one relay takes a stream from another: CPU of both per stream and second.

Two real processes of the video service (`python -m rtcc_video`) with rights and audit on; every camera's origin is the first. Measured
are both with nobody watching, with one viewer of each camera at the second relay (the edge), and with a second one, whose difference is
what a viewer costs. Cameras (the demo's RTSP server) are another process and viewers (real ICE and DTLS, then SRTP dropped in a socket
filter) this one; only the relays' own CPU is counted. Loopback charges the receiver's half of each packet to the sender. No TLS between
the relays, as between services on loopback.

`./rtcc bench video-cascade [--cameras 12] [--seconds 10]`
"""

import argparse
import asyncio
import dataclasses
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import video_record
from _video_stream import CLIP_SECONDS, encode_clip
from _video_viewers import Viewer

from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.video.v1 import video_pb2, video_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.members import Members, owner_of
from rtcc_chassis.relays import Relay, read_lease
from rtcc_chassis.streams import directory_subject
from rtcc_chassis.testing import Servers, TestPlatform, free_port, person, poll, test_platform

_OPERATOR = person("east", "operator", name="Operator")


def run(argv: Sequence[str]) -> dict[str, Any]:
    """CPU-milliseconds per stream and second."""
    parser = argparse.ArgumentParser(prog="bench video-cascade", description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args(list(argv))
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_clip(clip)
        return asyncio.run(_measure(clip, arguments))


async def _measure(clip: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    servers = Servers()
    command = [sys.executable, video_record.__file__, str(clip), str(arguments.cameras)]
    cameras = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert cameras.stdout is not None
    rtsp_port = int(await cameras.stdout.readline())
    try:
        async with test_platform(servers) as platform:
            return await _compare(platform, clip, rtsp_port, arguments)
    finally:
        cameras.kill()
        await cameras.wait()
        servers.stop()


async def _compare(platform: TestPlatform, clip: Path, rtsp_port: int, arguments: argparse.Namespace) -> dict[str, Any]:
    count, addresses = arguments.cameras, dict[str, str]()

    class Registry(registry_pb2_grpc.RegistryServiceServicer):
        async def GetCameraStream(self, request: Any, context: Any) -> registry_pb2.GetCameraStreamResponse:
            return registry_pb2.GetCameraStreamResponse(stream_url=addresses[request.camera_id])

    async def serve(ctx: ServiceContext) -> None:
        ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, Registry())
        ctx.lifecycle.ready()
        await ctx.lifecycle.stopping.wait()

    context = await platform.context("registry")
    await platform.serve({"registry": serve})
    members: Members[Relay] = Members("video", read_lease)
    await members.follow(context.bus)
    overrides = {"video_cascade_listen": "127.0.0.1:0", "video_media_listen": "127.0.0.1:0", "video_viewer_limit": "1000"}
    overrides |= {"video_agency_viewer_limit": "1000"}
    pids: list[int] = []
    ids: list[str] = []
    for _ in range(2):
        process = await platform.start_process("video", free_port(), **overrides)
        pids.append(process.pid)
        await poll(lambda: _at_least(members, len(pids)), deadline_s=30)
        ids += [relay_id for relay_id in members.live() if relay_id not in ids]
    origin, edge = ids
    # every camera is one of the first relay's
    names = itertools.islice((name for name in map("c{}".format, itertools.count()) if owner_of(name, ids) == origin), count)
    chosen = list(names)
    for number, name in enumerate(chosen):
        addresses[name] = f"rtsp://bench:bench@127.0.0.1:{rtsp_port}/c{number}"
        camera = registry_pb2.Camera(camera_id=name, agency_id="east", name=name, enabled=True, has_stream=True)
        await context.bus.publish(directory_subject("camera", "east", name), camera, message_id=new_id(), agency_id="east")
    relay = members.get(edge)
    assert relay is not None
    channels = type(context.channels)(dataclasses.replace(context.settings, rpc_addresses={"video": relay.rpc_address}))
    video = video_pb2_grpc.VideoServiceStub(channels.channel("video"))
    metadata = platform.metadata(_OPERATOR)

    async def all_live() -> bool:
        answer = await video.ListCameraHealth(video_pb2.ListCameraHealthRequest(), metadata=metadata)
        return sum(camera.state == video_pb2.CAMERA_STATE_LIVE for camera in answer.cameras) == count

    await poll(all_live, deadline_s=60, every_s=0.5)
    viewers: list[Viewer] = []
    found: list[tuple[float, float]] = [await _cores(pids, arguments.seconds)]
    for _ in range(2):
        for name in chosen:

            async def exchange(offer: str, name: str = name) -> str:
                request = video_pb2.OpenViewerRequest(camera_id=name, offer_sdp=offer)
                return str((await video.OpenViewer(request, metadata=metadata)).answer_sdp)

            viewers.append(await Viewer().offer_to(exchange))
        await asyncio.gather(*(viewer.media_seen() for viewer in viewers))
        await asyncio.sleep(1.0)
        found.append(await _cores(pids, arguments.seconds))
    for viewer in viewers:
        viewer.close()
    await channels.close()
    idle, once, twice = found
    viewer_ms = (twice[1] - once[1]) * 1000 / count
    return {
        "cascade_origin_ms_per_stream_s": round((once[0] - idle[0]) * 1000 / count, 2),
        "cascade_edge_ms_per_stream_s": round((once[1] - idle[1]) * 1000 / count - viewer_ms, 2),
        "viewer_ms_per_stream_s": round(viewer_ms, 2),
        "rtsp_origin_ms_per_stream_s": round(idle[0] * 1000 / count, 2),
        "edge_idle_cores": round(idle[1], 3),
        "stream_kbit_per_s": round(clip.stat().st_size * 8 / CLIP_SECONDS / 1000),
        "conditions": (
            f"{count} RTSP cameras 1280x720 30 fps, nothing recorded; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
            "loopback, no TLS"
        ),
    }


async def _at_least(members: Members[Relay], count: int) -> bool:
    return len(members.live()) >= count


async def _cores(pids: Sequence[int], seconds: float) -> tuple[float, float]:
    before, begun = [video_record.cpu_s(pid) for pid in pids], time.monotonic()
    await asyncio.sleep(seconds)
    elapsed_s = time.monotonic() - begun
    first, second = ((video_record.cpu_s(pid) - was) / elapsed_s for pid, was in zip(pids, before, strict=True))
    return first, second
