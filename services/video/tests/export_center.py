"""The service with something recorded, ready to be exported."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rtcc.ledger.v1 import ledger_pb2, ledger_pb2_grpc
from rtcc.registry.v1.registry_pb2 import Camera
from rtcc.video.v1 import evidence_pb2 as pb
from rtcc.video.v1 import evidence_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.recording.domain import Segment, moment
from rtcc_video.recording.segmenter import RawSegment, Segmenter, SegmentLimits
from rtcc_video.recording.sound import SegmentSound
from rtcc_video.recording.store import FootageStore
from rtcc_video.service import serve

from .sounds import PACKET_SAMPLES, tone

NOON_US = 1_795_000_000_000_000
NOON = moment(NOON_US)
DETECTIVE = person("east", "investigator", name="East Detective", purpose="robbery", case_number="E-1")
PARTNER = person("west", "investigator", name="West Detective", purpose="robbery", case_number="W-1")


def recorded(units: list[AccessUnit]) -> list[tuple[Segment, RawSegment, bytes]]:
    """Two segments of a second each, with a tone of 880 Hz as their sound."""
    raw: list[RawSegment] = []
    segmenter = Segmenter(SegmentLimits(target_s=0.9), raw.append)
    for number, unit in enumerate(units):
        segmenter.take(unit, NOON_US + number * 33_333, number * 33_333)
    segmenter.finish()
    found = []
    tones = [(payload, PACKET_SAMPLES) for payload in tone(880, 2)]
    for number, silent in enumerate(raw):
        one = replace(silent, sound=SegmentSound(silent.started_us, tuple(tones[50 * number : 50 * number + 50])))
        data, sound = one.to_bytes(), one.sound_bytes()
        segment = Segment(
            new_id(), "east", "c1", moment(one.started_us), moment(one.ended_us), moment(one.started_us - 250_000), 250, one.init.init_id,
            f"footage/c1/{one.number}.m4s", hashlib.sha256(data).hexdigest(), len(data), len(one.pictures), one.continues, True,
            hashlib.sha256(sound).hexdigest(), len(sound),
        )  # fmt: skip
        found.append((segment, one, data))
    return found


class Center:
    """The service with two stored segments of camera c1 of agency east."""

    def __init__(self, platform: TestPlatform, context: ServiceContext) -> None:
        self.platform, self.context = platform, context
        self.stub = evidence_pb2_grpc.EvidenceServiceStub(context.channels.channel("video"))
        self.asked: list[str] = []

    async def call(self, scope: Scope, method: str, **fields: Any) -> Any:
        try:
            request = getattr(pb, f"{method}Request")(**fields)
            return await getattr(self.stub, method)(request, metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def order(self, scope: Scope = DETECTIVE, **fields: Any) -> pb.Export:
        values = {"camera_id": "c1", "starts_at": NOON, "ends_at": NOON + timedelta(seconds=2), "reason": "for court"}
        made: pb.Export = (await self.call(scope, "CreateExport", **(values | fields))).export
        return made

    async def finished(self, scope: Scope, export_id: str) -> pb.Export:
        async def ask() -> pb.Export | None:
            listed = (await self.call(scope, "ListExports")).exports
            done = (pb.EXPORT_STATE_READY, pb.EXPORT_STATE_FAILED)
            return next((one for one in listed if one.export_id == export_id and one.state in done), None)

        found = await poll(ask, deadline_s=30, every_s=0.1)
        assert found is not None
        return found

    async def whole(self, scope: Scope, export: pb.Export) -> bytes:
        """The archive, as its parts are handed out."""
        answers = [await self.call(scope, "GetExportPart", export_id=export.export_id, part=number) for number in range(export.parts)]
        return b"".join(answer.media for answer in answers)

    async def store(self, type_name: str, identifier: str, message: Any) -> None:
        subject = directory_subject(type_name, "east", identifier)
        await self.context.bus.publish(subject, message, message_id=new_id(), agency_id="east")


@asynccontextmanager
async def serving_exports(
    small_platform: TestPlatform, units: list[AccessUnit], key: Ed25519PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Center]:
    """The service, with an object store and somebody's ledger."""
    await small_platform.servers.s3_endpoint()
    key_file = tmp_path / "evidence.pem"
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    monkeypatch.setenv("RTCC_VIDEO_EVIDENCE_KEY_FILE", str(key_file))
    monkeypatch.setenv("RTCC_VIDEO_SPOOL_FOLDER", str(tmp_path / "spool"))
    context = await small_platform.context("video")
    found = Center(small_platform, context)
    parts = recorded(units)

    class Ledger(ledger_pb2_grpc.LedgerServiceServicer):
        """The one call of the ledger that video makes."""

        async def ListAccesses(self, request: Any, context: Any) -> ledger_pb2.ListAccessesResponse:
            found.asked.append(request.object_id)
            answer = ledger_pb2.ListAccessesResponse()
            for number, ids in enumerate((["camera:c1", f"segment:{parts[0][0].segment_id}"], ["camera:c1"])):
                entry = answer.entries.add(leaf_index=number).entry
                entry.action, entry.principal_name = "footage.read", "Somebody"
                entry.object_ids.extend(ids)
            return answer

    async def serve_ledger(ctx: ServiceContext) -> None:
        ctx.rpc.add(ledger_pb2_grpc.add_LedgerServiceServicer_to_server, Ledger())
        ctx.lifecycle.ready()
        await ctx.lifecycle.stopping.wait()

    await found.store("camera", "c1", Camera(camera_id="c1", agency_id="east", name="North", enabled=True))
    await small_platform.serve({"ledger": serve_ledger, "video": serve})
    east = Scope.service("video", "east")
    for segment, raw, data in parts:
        await context.objects.put(east, "east", segment.object_key, data, "video/mp4")
        await context.objects.put(east, "east", segment.sound_key, raw.sound_bytes(), "audio/mp4")
    store = FootageStore(context.database)
    await store.add_segments(east, [segment for segment, _, _ in parts], [("east", parts[0][1].init)])
    yield found
    await small_platform.close()
