"""A camera with a microphone, from RTSP to a clip that is handed over: what flashed and what beeped together is still together."""

import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import grpc
import numpy as np
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rtcc.ledger.v1 import ledger_pb2, ledger_pb2_grpc
from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.registry.v1.registry_pb2 import Agency, Camera
from rtcc.video.v1 import evidence_pb2, evidence_pb2_grpc, footage_pb2, footage_pb2_grpc
from rtcc_chassis.clock import utc_now
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import Sound
from rtcc_video.engine.opus import CLOCK_HZ
from rtcc_video.recording.verify_export import verify
from rtcc_video.service import serve

from .sounds import PACKET_SAMPLES, loudest_hz, opus

CHIEF = person("east", "administrator", name="East Chief")
DETECTIVE = person("east", "investigator", name="East Detective", purpose="robbery", case_number="E-1")
EVERY_S, LONG_S, BEEP_HZ = 2, 0.2, 1000
RATE = 30


def write_flashes(path: Path) -> None:
    """Two seconds, dark but for its first fifth of a second; a key picture each second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 160, 120, "yuv420p", Fraction(1, RATE)
        stream.codec_context.gop_size = RATE
        stream.codec_context.options = {"profile": "baseline", "preset": "veryfast", "tune": "zerolatency", "sc_threshold": "0"}
        for number in range(EVERY_S * RATE):
            picture = np.full((120, 160, 3), 235 if number < LONG_S * RATE else 20, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def beeps() -> Sound:
    """Two seconds, quiet but for their first fifth of a second."""
    at = np.arange(EVERY_S * CLOCK_HZ)
    wave = np.where(at < LONG_S * CLOCK_HZ, 12_000 * np.sin(2 * np.pi * BEEP_HZ * at / CLOCK_HZ), 0)
    return Sound("OPUS", CLOCK_HZ, PACKET_SAMPLES, tuple(opus(wave)), b"")


class _Registry(registry_pb2_grpc.RegistryServiceServicer):
    """The one call of the registry that video makes."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def GetCameraStream(self, request: Any, context: Any) -> registry_pb2.GetCameraStreamResponse:
        return registry_pb2.GetCameraStreamResponse(stream_url=self._address)


class _Ledger(ledger_pb2_grpc.LedgerServiceServicer):
    """Of somebody whose log is empty."""

    async def ListAccesses(self, request: Any, context: Any) -> ledger_pb2.ListAccessesResponse:
        return ledger_pb2.ListAccessesResponse()


class Street:
    """Camera c1 of agency east, with a microphone."""

    def __init__(self, platform: TestPlatform, context: ServiceContext, server: RtspServer) -> None:
        self.platform, self.context, self.server = platform, context, server
        channel = context.channels.channel("video")
        self.footage = footage_pb2_grpc.FootageServiceStub(channel)
        self.evidence = evidence_pb2_grpc.EvidenceServiceStub(channel)

    async def tell(self, type_name: str, identifier: str, message: Any) -> None:
        subject = directory_subject(type_name, "east", identifier)
        await self.context.bus.publish(subject, message, message_id=new_id(), agency_id="east")

    async def policy(self, *, keep_sound: bool) -> None:
        mode = footage_pb2.RECORDING_MODE_CONTINUOUS
        policy = footage_pb2.RecordingPolicy(camera_id="c1", mode=mode, keep_s=86_400, keep_sound=keep_sound)
        request = footage_pb2.SetRecordingPolicyRequest(policy=policy)
        await self.footage.SetRecordingPolicy(request, metadata=self.platform.metadata(CHIEF))

    async def segments(self) -> list[footage_pb2.FootageSegment]:
        request = footage_pb2.ListFootageRequest(camera_id="c1")
        request.starts_at.FromDatetime(utc_now() - timedelta(hours=1))
        request.ends_at.FromDatetime(utc_now() + timedelta(hours=1))
        return list((await self.footage.ListFootage(request, metadata=self.platform.metadata(DETECTIVE))).segments)

    async def until(self, condition: Any) -> list[footage_pb2.FootageSegment]:
        async def ask() -> Any:
            try:
                found = await self.segments()
            except grpc.RpcError:
                return None
            return found if condition(found) else None

        found: list[footage_pb2.FootageSegment] = await poll(ask, deadline_s=40, every_s=0.2)
        return found

    async def export(self, starts_at: datetime, ends_at: datetime) -> bytes:
        metadata = self.platform.metadata(DETECTIVE)
        request = evidence_pb2.CreateExportRequest(camera_id="c1", reason="for court", with_sound=True)
        request.starts_at.FromDatetime(starts_at)
        request.ends_at.FromDatetime(ends_at)
        made = (await self.evidence.CreateExport(request, metadata=metadata)).export

        async def ready() -> Any:
            listed = (await self.evidence.ListExports(evidence_pb2.ListExportsRequest(), metadata=metadata)).exports
            return next((one for one in listed if one.export_id == made.export_id and one.finished_at.seconds), None)

        export = await poll(ready, deadline_s=30)
        assert export.state == evidence_pb2.EXPORT_STATE_READY, export.problem
        parts = [
            await self.evidence.GetExportPart(evidence_pb2.GetExportPartRequest(export_id=made.export_id, part=number), metadata=metadata)
            for number in range(export.parts)
        ]
        return b"".join(part.media for part in parts)


@pytest_asyncio.fixture
async def street(small_platform: TestPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Street]:
    await small_platform.servers.s3_endpoint()
    key_file, clip = tmp_path / "evidence.pem", tmp_path / "flashes.mp4"
    key_file.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_flashes(clip)
    monkeypatch.setenv("RTCC_VIDEO_EVIDENCE_KEY_FILE", str(key_file))
    monkeypatch.setenv("RTCC_VIDEO_SPOOL_FOLDER", str(tmp_path / "spool"))
    monkeypatch.setenv("RTCC_VIDEO_SEGMENT_S", "0.9")
    async with RtspServer({"north": clip}, "viewer", "hidden-secret", sounds={"north": beeps()}) as server:
        context = await small_platform.context("video")
        found = Street(small_platform, context, server)

        async def serve_registry(ctx: ServiceContext) -> None:
            ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, _Registry(server.url("north")))
            ctx.lifecycle.ready()
            await ctx.lifecycle.stopping.wait()

        async def serve_ledger(ctx: ServiceContext) -> None:
            ctx.rpc.add(ledger_pb2_grpc.add_LedgerServiceServicer_to_server, _Ledger())
            ctx.lifecycle.ready()
            await ctx.lifecycle.stopping.wait()

        camera = Camera(camera_id="c1", agency_id="east", name="North", enabled=True, has_stream=True, sound=True)
        await found.tell("camera", "c1", camera)
        await found.tell("agency", "east", Agency(agency_id="east", enabled=True, sound_allowed=True))
        await small_platform.serve({"registry": serve_registry, "ledger": serve_ledger, "video": serve})
        yield found
        await small_platform.close()


async def test_a_flash_and_its_beep_are_together_in_the_clip_that_is_handed_over(street: Street) -> None:
    await street.policy(keep_sound=False)
    silent = await street.until(lambda found: len(found) >= 2)
    # allowed, but not to be kept
    assert not any(segment.sound_bytes for segment in silent)
    await street.policy(keep_sound=True)
    found = await street.until(lambda found: sum(bool(segment.sound_bytes) for segment in found) >= 8)
    sounding = [segment for segment in found if segment.sound_bytes]
    whole = await street.export(sounding[1].started_at.ToDatetime(UTC), sounding[-1].ended_at.ToDatetime(UTC))
    manifest, _ = verify(io.BytesIO(whole))
    assert all("sound" in segment for segment in manifest["segments"][1:])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        clip = archive.read("clip-1.mp4")
    flashes, (beeped, wave) = flashes_of(clip), beeps_of(clip)
    assert abs(loudest_hz(wave) - BEEP_HZ) < 10
    # the first and the last may lack their other half
    nearest = [min(beeped, key=lambda beep: abs(beep - flash)) - flash for flash in flashes]
    pairs = [apart for apart in nearest if abs(apart) < EVERY_S / 2]
    print(f"beeps behind their flashes, ms: {[round(1000 * apart) for apart in pairs]}")
    assert len(pairs) >= 3 and max(map(abs, pairs)) < 0.1


def flashes_of(clip: bytes) -> list[float]:
    """When it grows light, s."""
    with av.open(io.BytesIO(clip)) as container:
        stream = container.streams.video[0]
        pictures = [(float(frame.pts * stream.time_base), frame.to_ndarray(format="gray").mean()) for frame in container.decode(stream)]
    return [at for (_, before), (at, light) in pairwise(pictures) if before < 127 < light]


def beeps_of(clip: bytes) -> tuple[list[float], np.ndarray]:
    """When it grows loud, s; and what is heard of all that is loud."""
    with av.open(io.BytesIO(clip)) as container:
        stream = container.streams.audio[0]
        found: list[tuple[float, np.ndarray]] = []
        for frame in container.decode(stream):
            samples = frame.to_ndarray()[0].astype(np.float64)
            began = float(frame.pts * stream.time_base)
            found += [(began + at / CLOCK_HZ, samples[at : at + 240]) for at in range(0, len(samples), 240)]
    loud = [(at, float(np.sqrt(np.mean(part**2))) > 0.1, part) for at, part in found]
    begun = [at for (_, before, _), (at, now, _) in pairwise(loud) if now and not before]
    # a beep that was cut by nothing counts once
    onsets = [at for number, at in enumerate(begun) if number == 0 or at - begun[number - 1] > 0.5]
    return onsets, np.concatenate([part for _, now, part in loud if now])
