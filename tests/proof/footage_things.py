"""A camera whose clip is recorded by the running platform."""

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from proof.platform import rule_named, until
from proof.world import World
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import evidence_pb2, footage_pb2
from rtcc_chassis.clock import utc_now

_CLIP = "recorded.mp4"
_CAMERAS: dict[tuple[int, str, int], str] = {}
_SEGMENTS: dict[tuple[int, str], footage_pb2.FootageSegment] = {}


def write_clip(path: Path, darkest: int = 0, width_px: int = 160, height_px: int = 120) -> None:
    """Two seconds, 10 pictures a second, a key picture each second; from `darkest` (at most 27) to light."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = width_px, height_px, "yuv420p", Fraction(1, 10)
        stream.codec_context.gop_size = 10
        stream.codec_context.options = {"profile": "baseline", "tune": "zerolatency", "sc_threshold": "0"}
        for number in range(20):
            picture = np.full((height_px, width_px, 3), darkest + number * 12, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def write_walk(path: Path) -> None:
    """A still street with a little noise, 22 s of 10 pictures a second; somebody crosses it from second 16 to 20."""
    chance = np.random.default_rng(5)
    street = np.kron(chance.uniform(60, 190, (12, 16)), np.ones((20, 20))) + chance.normal(0, 6, (240, 320))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 320, 240, "yuv420p", Fraction(1, 10)
        stream.codec_context.gop_size = 10
        stream.codec_context.options = {
            "profile": "baseline",
            "preset": "veryfast",
            "tune": "zerolatency",
            "sc_threshold": "0",
            "crf": "27",
        }
        for number in range(220):
            picture = street + chance.normal(0, 1, street.shape)
            if 160 <= number < 200:
                left = 20 + (number - 160) * 6
                picture[90:170, left : left + 30] = np.linspace(250, 20, 80)[:, None]
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8), format="gray").reformat(format="yuv420p")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def write_coloured(path: Path) -> None:
    """A grey street, 2 s of 10 pictures a second, a key picture each second; a red square in its upper left, a blue one in the middle."""
    picture = np.full((256, 256, 3), 120, np.uint8)
    picture[0:64, 0:64], picture[128:192, 128:192] = (230, 20, 20), (20, 20, 230)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 256, 256, "yuv420p", Fraction(1, 10)
        stream.codec_context.gop_size = 10
        stream.codec_context.options = {"profile": "baseline", "tune": "zerolatency", "sc_threshold": "0", "crf": "18"}
        for frame in [*[av.VideoFrame.from_ndarray(picture, format="rgb24")] * 20, None]:
            for packet in stream.encode(frame):
                container.mux(packet)


async def recorded_camera(
    world: World, agency_id: str, number: int = 0, name: str = _CLIP, write: Callable[[Path], None] = write_clip
) -> str:
    """An own camera of the agency that is recorded continuously, showing what `write` makes; the same one each time."""
    key = (id(world.platform), agency_id, number)
    if key not in _CAMERAS:
        clip = world.platform.supervisor.installation.folder.files / name
        if not clip.is_file():
            write(clip)
        camera = registry_pb2.Camera(
            name=f"Recorded {number} of {agency_id}", kind=registry_pb2.CAMERA_KIND_STREET, owner=agency_id, enabled=True,
            stream_url=f"file:{name}", coordinate=geo_pb2.Coordinate(latitude_deg=60.18, longitude_deg=24.95), field_of_view_deg=80,
        )  # fmt: skip
        everything = world.everything(agency_id)
        answer = await world.platform.ask("CreateCamera", everything, registry_pb2.CreateCameraRequest(camera=camera))
        camera_id = str(answer.camera.camera_id)
        policy = footage_pb2.RecordingPolicy(camera_id=camera_id, mode=footage_pb2.RECORDING_MODE_CONTINUOUS, keep_s=86_400)
        request, metadata = footage_pb2.SetRecordingPolicyRequest(policy=policy), world.platform.metadata(everything)

        async def known() -> bool:
            # the video service hears of the camera a moment after the registry has it
            return (await world.platform.call(rule_named("SetRecordingPolicy"), request, metadata)).message is not None

        await until(known, deadline_s=30, every_s=0.2)
        _CAMERAS[key] = camera_id
    return _CAMERAS[key]


async def wait_for_footage(world: World, agency_id: str, camera_id: str, seconds: float = 0.0) -> footage_pb2.FootageSegment:
    """The oldest segment, once more than so many seconds are recorded."""
    found: list[footage_pb2.FootageSegment] = []

    async def stored() -> bool:
        request = footage_pb2.ListFootageRequest(camera_id=camera_id)
        request.starts_at.FromDatetime(utc_now() - timedelta(hours=1))
        request.ends_at.FromDatetime(utc_now())
        answer = await world.platform.ask("ListFootage", world.everything(agency_id), request)
        found[:] = answer.segments
        return bool(found) and found[-1].ended_at.seconds - found[0].started_at.seconds > seconds

    await until(stored, deadline_s=60, every_s=0.5)
    return found[0]


async def recorded(world: World, agency_id: str) -> tuple[str, footage_pb2.FootageSegment]:
    """An own camera of the agency with a stored segment; the same one each time."""
    camera_id = await recorded_camera(world, agency_id)
    key = (id(world.platform), camera_id)
    if key not in _SEGMENTS:
        _SEGMENTS[key] = await wait_for_footage(world, agency_id, camera_id)
    return camera_id, _SEGMENTS[key]


async def export_order(world: World, agency_id: str) -> evidence_pb2.CreateExportRequest:
    """Of the stored segment."""
    camera_id, segment = await recorded(world, agency_id)
    return evidence_pb2.CreateExportRequest(
        camera_id=camera_id, starts_at=segment.started_at, ends_at=segment.ended_at, reason=f"for the proof of {agency_id}"
    )


async def exported(world: World, agency_id: str) -> str:
    """The id of an export that is ready."""
    everything = world.everything(agency_id)
    made = await world.platform.ask("CreateExport", everything, await export_order(world, agency_id))

    async def ready() -> bool:
        answer = await world.platform.ask("ListExports", everything, evidence_pb2.ListExportsRequest())
        return any(one.export_id == made.export.export_id and one.state == evidence_pb2.EXPORT_STATE_READY for one in answer.exports)

    await until(ready, deadline_s=30, every_s=0.2)
    return str(made.export.export_id)
