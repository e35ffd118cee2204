"""Cameras that send pictures over RTSP in two sizes, and can be switched off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from proof.footage_things import write_clip
from proof.world import World
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_demo.rtsp_server import RtspServer

LARGE_PX, SMALL_PX = (640, 360), (160, 90)
_WORD = "street-word"


@asynccontextmanager
async def device(folder: Path, port: int = 0) -> AsyncIterator[RtspServer]:
    """Serves one picture stream as `large` and `small`."""
    clips = {"large": folder / "large.mp4", "small": folder / "small.mp4"}
    for name, size in (("large", LARGE_PX), ("small", SMALL_PX)):
        if not clips[name].is_file():
            write_clip(clips[name], width_px=size[0], height_px=size[1])
    async with RtspServer(clips, "relay", _WORD, port=port) as server:
        yield server


async def live_camera(world: World, agency_id: str, server: RtspServer, name: str, at: tuple[float, float] = (60.1712, 24.9443)) -> str:
    """A camera of the agency that the device sends, with its smaller stream; `at` is latitude and longitude."""
    camera = registry_pb2.Camera(
        name=name, kind=registry_pb2.CAMERA_KIND_STREET, owner=agency_id, enabled=True, field_of_view_deg=80,
        coordinate=geo_pb2.Coordinate(latitude_deg=at[0], longitude_deg=at[1]), stream_url=server.url("large"),
        streams=[registry_pb2.CameraStream(stream_id="low", role=registry_pb2.CAMERA_STREAM_ROLE_LOW, stream_url=server.url("small"))],
    )  # fmt: skip
    answer = await world.platform.ask("CreateCamera", world.everything(agency_id), registry_pb2.CreateCameraRequest(camera=camera))
    return str(answer.camera.camera_id)
