"""Intake with the real registry, on real NATS, PostgreSQL and S3."""

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rtcc.intake.v1 import intake_pb2 as pb
from rtcc.intake.v1.intake_pb2_grpc import IntakeServiceStub
from rtcc.registry.v1 import registry_pb2
from rtcc.registry.v1.registry_pb2_grpc import RegistryServiceStub
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.signature import sign
from rtcc_chassis.testing import TestPlatform, free_port, person, poll
from rtcc_intake.service import serve
from rtcc_location.service import serve as serve_location
from rtcc_registry.service import serve as serve_registry
from rtcc_standalone.certificates import TlsFiles, ensure_certificates

SUPERVISOR = person("east", "supervisor", "operator", name="Anna A", purpose="investigation", case_number="26-1")
ADMINISTRATOR = person("east", "administrator", name="Cleo C")
NEIGHBOUR = person("west", "supervisor", "operator", "administrator", name="Dora D", purpose="investigation", case_number="26-2")
OWNER = Scope.platform("standalone")
GATEWAY = Scope.platform("gateway")


def read_body(plate: str = "ABC-123", **more: Any) -> bytes:
    body = {
        "read_id": new_id(),
        "camera_id": "c1",
        "plate": plate,
        "state": "FI",
        "confidence": 0.9,
        "captured_at": datetime.now(UTC).isoformat(),
        "lat": 60.17,
        "lon": 24.94,
    }
    return json.dumps({name: value for name, value in (body | more).items() if value is not None}).encode()


class MovableClock:
    """The time of the service, which may be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Intake:
    """The running service as a test uses it."""

    platform: TestPlatform
    context: ServiceContext
    stub: Any
    registry: Any
    source_id: str
    secret: str
    # a host that feeds may be fetched from, and the TAK listener's own certificate
    feed_port: int
    tls: TlsFiles
    clock: MovableClock

    def as_(self, scope: Scope) -> tuple[tuple[str, str], ...]:
        return self.platform.metadata(scope)

    def signed(self, body: bytes, delivery_id: str = "", **changes: Any) -> pb.SubmitDeliveryRequest:
        timestamp, delivery_id = str(int(time.time())), delivery_id or new_id()
        values = {"source_id": self.source_id, "timestamp": timestamp, "delivery_id": delivery_id, "body": body} | changes
        values.setdefault("signature", sign(self.secret, values["timestamp"], values["delivery_id"], body))
        return pb.SubmitDeliveryRequest(**values)

    async def submit(self, body: bytes, delivery_id: str = "", **changes: Any) -> pb.SubmitDeliveryResponse:
        answer = await self.stub.SubmitDelivery(self.signed(body, delivery_id, **changes), metadata=self.as_(GATEWAY))
        return pb.SubmitDeliveryResponse.FromString(answer.SerializeToString())

    async def stored_messages(self, stream: str) -> int:
        return int((await self.context.bus.jetstream.stream_info(stream)).state.messages)

    async def waiting(self, scope: Scope = SUPERVISOR) -> list[pb.QuarantineEntry]:
        return list((await self.stub.ListQuarantine(pb.ListQuarantineRequest(), metadata=self.as_(scope))).entries)

    async def search(self, plate: str, scope: Scope = SUPERVISOR, **more: Any) -> list[str]:
        answer = await self.stub.SearchPlateReads(pb.SearchPlateReadsRequest(plate=plate, **more), metadata=self.as_(scope))
        return [read.plate_read.plate for read in answer.reads]

    async def source(self, adapter: str) -> tuple[str, str]:
        wanted = registry_pb2.Source(name=f"a {adapter} source", adapter=adapter, enabled=True)
        request = registry_pb2.CreateSourceRequest(source=wanted)
        created = await self.registry.CreateSource(request, metadata=self.as_(ADMINISTRATOR))
        sources = self.context.directory.mirror("source", registry_pb2.Source)

        async def mirrored() -> bool:
            return sources.get(created.source.source_id) is not None

        await poll(mirrored)
        return created.source.source_id, created.secret


@pytest_asyncio.fixture
async def intake(small_platform: TestPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Intake:
    tls, feed_port = ensure_certificates(tmp_path), free_port()
    for name, value in {
        "COT_LISTEN": f"127.0.0.1:{free_port()}",
        "COT_CERTIFICATE_FILE": str(tls.certificate),
        "COT_KEY_FILE": str(tls.key),
        "COT_AUTHORITY_FILE": str(tls.authority),
        "FEED_HOSTS": f"127.0.0.1:{feed_port}",
    }.items():
        monkeypatch.setenv(f"RTCC_INTAKE_{name}", value)
    await small_platform.servers.s3_endpoint()
    clock = MovableClock()
    context = replace(await small_platform.context("intake"), clock=clock)
    small_platform._contexts["intake"] = context
    await small_platform.serve({"registry": serve_registry, "location": serve_location, "intake": serve})
    stub = context.channels.stub("intake", IntakeServiceStub)
    running = Intake(small_platform, context, stub, context.channels.stub("registry", RegistryServiceStub), "", "", feed_port, tls, clock)
    for agency_id in ("east", "west"):
        request = registry_pb2.CreateAgencyRequest(agency_id=agency_id, name=agency_id.title())
        await running.registry.CreateAgency(request, metadata=running.as_(OWNER))
    running.source_id, running.secret = await running.source("plate_read")
    return running
