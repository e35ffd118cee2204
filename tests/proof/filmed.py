"""Cameras that film one and the same thing, a number that rises with each picture, and are recorded; the first has a microphone."""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from proof.platform import rule_named, until
from proof.world import World
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import footage_pb2
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import make_sound

PICTURES, PICTURE_MS = 100, 40
WIDTH_PX, HEIGHT_PX, BARS = 160, 120, 8
_BAR_PX = WIDTH_PX // BARS
# what each shown video of the page shows: its number, or -1 where there is no picture
NUMBERS = f"""(selector) => [...document.querySelectorAll(selector)].map((video) => {{
    if (!video.videoWidth || video.readyState < 2) return -1;
    const canvas = document.createElement('canvas');
    canvas.width = {WIDTH_PX}; canvas.height = {HEIGHT_PX};
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0, {WIDTH_PX}, {HEIGHT_PX});
    let number = 0;
    for (let bar = 0; bar < {BARS}; bar++)
        if (context.getImageData(bar * {_BAR_PX} + {_BAR_PX // 2}, {HEIGHT_PX // 2}, 1, 1).data[0] > 127) number |= 1 << bar;
    return number;
}})"""


@dataclass(frozen=True, slots=True)
class Filmed:
    """Cameras of one device, one clock."""

    server: RtspServer
    camera_ids: tuple[str, ...]


def picture_of(number: int) -> NDArray[np.uint8]:
    """The bits of a number as bars, white for one."""
    picture = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    for bar in range(BARS):
        if number >> bar & 1:
            picture[:, bar * _BAR_PX : (bar + 1) * _BAR_PX] = 235
    return picture


def number_of(jpeg: bytes) -> int:
    """Read back from a picture of any size."""
    with Image.open(io.BytesIO(jpeg)) as image:
        grey = np.asarray(image.convert("L").resize((WIDTH_PX, HEIGHT_PX)))
    return sum(1 << bar for bar in range(BARS) if grey[HEIGHT_PX // 2, bar * _BAR_PX + _BAR_PX // 2] > 127)


def pictures_apart(numbers: Sequence[int]) -> int:
    """How many pictures lie between the first and the last of them; numbers begin anew after the last one."""
    ordered = sorted(number % PICTURES for number in numbers)
    widest = max((after - before for before, after in zip(ordered, [*ordered[1:], ordered[0] + PICTURES], strict=True)), default=PICTURES)
    return PICTURES - widest


def _write_clip(path: Path) -> None:
    """Four seconds, 25 pictures a second, a key picture each second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = WIDTH_PX, HEIGHT_PX, "yuv420p", Fraction(1, 25)
        stream.codec_context.gop_size = 25
        stream.codec_context.options = {"profile": "baseline", "tune": "zerolatency", "sc_threshold": "0"}
        for number in range(PICTURES):
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture_of(number), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


@asynccontextmanager
async def filmed_cameras(world: World, agency_id: str, folder: Path, count: int) -> AsyncIterator[Filmed]:
    """Recorded continuously from now on, the first one with the tone that it hears."""
    clip = folder / "numbers.mp4"
    _write_clip(clip)
    await allow_sound(world, agency_id)
    paths = {f"n{number}": clip for number in range(count)}
    async with RtspServer(paths, "relay", "street-word", sounds={"n0": make_sound("OPUS")}) as server:
        ids = tuple([await _camera(world, agency_id, server, number) for number in range(count)])
        yield Filmed(server, ids)
        for camera_id in ids:
            request = footage_pb2.SetRecordingPolicyRequest(
                policy=footage_pb2.RecordingPolicy(camera_id=camera_id, mode=footage_pb2.RECORDING_MODE_OFF, keep_s=86_400)
            )
            await world.platform.ask("SetRecordingPolicy", world.everything(agency_id), request)


async def allow_sound(world: World, agency_id: str) -> None:
    """The agency's word; each camera needs its own."""
    everything = world.everything(agency_id)
    agencies = (await world.platform.ask("ListAgencies", everything, registry_pb2.ListAgenciesRequest())).agencies
    agency = next(one for one in agencies if one.agency_id == agency_id)
    agency.sound_allowed = True
    await world.platform.ask("UpdateAgency", everything, registry_pb2.UpdateAgencyRequest(agency=agency))


async def _camera(world: World, agency_id: str, server: RtspServer, number: int) -> str:
    camera = registry_pb2.Camera(
        name=f"Numbers {number + 1}", kind=registry_pb2.CAMERA_KIND_STREET, owner=agency_id, enabled=True, field_of_view_deg=80,
        coordinate=geo_pb2.Coordinate(latitude_deg=60.19, longitude_deg=24.95 + number * 1e-3), stream_url=server.url(f"n{number}"),
        sound=number == 0,
    )  # fmt: skip
    answer = await world.platform.ask("CreateCamera", world.everything(agency_id), registry_pb2.CreateCameraRequest(camera=camera))
    camera_id = str(answer.camera.camera_id)
    await record(world, agency_id, camera_id, keep_sound=number == 0)
    return camera_id


async def record(world: World, agency_id: str, camera_id: str, *, keep_sound: bool = False) -> None:
    """Continuously, from now on."""
    mode = footage_pb2.RECORDING_MODE_CONTINUOUS
    policy = footage_pb2.RecordingPolicy(camera_id=camera_id, mode=mode, keep_s=86_400, keep_sound=keep_sound)
    request, metadata = footage_pb2.SetRecordingPolicyRequest(policy=policy), world.platform.metadata(world.everything(agency_id))

    async def known() -> bool:
        # the video service hears of the camera a moment after the registry has it
        return (await world.platform.call(rule_named("SetRecordingPolicy"), request, metadata)).message is not None

    await until(known, deadline_s=30, every_s=0.2)
