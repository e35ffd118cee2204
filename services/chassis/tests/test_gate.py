"""The gate over real gRPC: who comes in, what is asked of them, and that nothing leaves without its audit entry."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rtcc.intake.v1 import intake_pb2, intake_pb2_grpc
from rtcc.ledger.v1.ledger_pb2 import OUTCOME_ALLOWED, OUTCOME_DENIED, AuditEntry, Outcome
from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc_chassis.access import touched
from rtcc_chassis.clock import utc_now
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import InvalidInput, from_rpc
from rtcc_chassis.scope import Scope, current_scope
from rtcc_chassis.streams import AUDIT
from rtcc_chassis.testing import TestPlatform, person, poll


class _Registry(registry_pb2_grpc.RegistryServiceServicer):
    async def ListCameras(self, request: Any, context: Any) -> registry_pb2.ListCamerasResponse:
        touched("camera:c1")
        return registry_pb2.ListCamerasResponse(cameras=[registry_pb2.Camera(camera_id="c1", agency_id=current_scope().agency_id)])

    async def DeleteCamera(self, request: Any, context: Any) -> registry_pb2.DeleteCameraResponse:
        raise InvalidInput.one("camera_id", "is empty")

    async def CreateUnit(self, request: Any, context: Any) -> registry_pb2.CreateUnitResponse:
        return registry_pb2.CreateUnitResponse()

    async def ListZones(self, request: Any, context: Any) -> registry_pb2.ListZonesResponse:
        raise ZeroDivisionError("a defect")


class _Intake(intake_pb2_grpc.IntakeServiceServicer):
    async def SearchPlateReads(self, request: Any, context: Any) -> intake_pb2.SearchPlateReadsResponse:
        return intake_pb2.SearchPlateReadsResponse()


async def _serve_registry(ctx: ServiceContext) -> None:
    ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, _Registry())
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


async def _serve_intake(ctx: ServiceContext) -> None:
    ctx.rpc.add(intake_pb2_grpc.add_IntakeServiceServicer_to_server, _Intake())
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


class _Served:
    def __init__(self, platform: TestPlatform, ctx: ServiceContext) -> None:
        self.platform = platform
        self.registry = ctx.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
        self.intake = ctx.channels.stub("intake", intake_pb2_grpc.IntakeServiceStub)
        self.audit: list[AuditEntry] = []

    async def collect(self, batch: Sequence[Delivery]) -> None:
        self.audit.extend(delivery.parse(AuditEntry) for delivery in batch)

    async def audited(self, action: str, outcome: Outcome) -> AuditEntry:
        async def found() -> list[AuditEntry]:
            return [entry for entry in self.audit if (entry.action, entry.outcome) == (action, outcome)]

        return (await poll(found))[-1]


@pytest_asyncio.fixture
async def served(small_platform: TestPlatform) -> AsyncIterator[_Served]:
    await small_platform.serve({"registry": _serve_registry, "intake": _serve_intake})
    ctx = await small_platform.context("registry")
    result = _Served(small_platform, ctx)
    task = asyncio.create_task(ctx.bus.tail(AUDIT, ["audit.>"], result.collect, start="all").run())
    yield result
    task.cancel()


async def _code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def test_an_allowed_call_is_answered_and_audited_with_what_it_touched(served: _Served) -> None:  # R8 R9
    operator = person("a", "operator", name="Ann Operator", source_address="192.0.2.7")
    answer = await served.registry.ListCameras(registry_pb2.ListCamerasRequest(), metadata=served.platform.metadata(operator))
    assert answer.cameras[0].agency_id == "a"
    entry = await served.audited("camera.list", OUTCOME_ALLOWED)
    assert list(entry.object_ids) == ["camera:c1"]
    assert (entry.principal_name, entry.source_address, entry.session_id) == ("Ann Operator", "192.0.2.7", "test-session")
    assert entry.bytes_out == answer.ByteSize()


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer not-a-token"),), (("authorization", "Basic YTpi"),)])
async def test_nobody_is_refused_and_audited(served: _Served, metadata: tuple[tuple[str, str], ...]) -> None:  # R1 R8
    assert await _code(served.registry.ListCameras(registry_pb2.ListCamerasRequest(), metadata=metadata)) is grpc.StatusCode.UNAUTHENTICATED
    await served.audited("camera.list", OUTCOME_DENIED)


async def test_a_service_can_not_speak_for_a_person(served: _Served) -> None:
    forged = served.platform._issuers["intake"].token(person("a", "administrator"))
    code = await _code(served.registry.ListCameras(registry_pb2.ListCamerasRequest(), metadata=(("authorization", f"Bearer {forged}"),)))
    assert code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_role_without_the_right_is_refused_and_audited(served: _Served) -> None:
    officer = person("a", "auditor")
    call = served.registry.DeleteCamera(registry_pb2.DeleteCameraRequest(camera_id="c1"), metadata=served.platform.metadata(officer))
    assert await _code(call) is grpc.StatusCode.PERMISSION_DENIED
    entry = await served.audited("camera.delete", OUTCOME_DENIED)
    assert list(entry.object_ids) == ["camera:c1"]


async def test_a_protected_query_without_purpose_is_refused(served: _Served) -> None:  # R18
    request = intake_pb2.SearchPlateReadsRequest(plate="ABC123")
    operator = person("a", "operator")
    assert (
        await _code(served.intake.SearchPlateReads(request, metadata=served.platform.metadata(operator)))
        is grpc.StatusCode.FAILED_PRECONDITION
    )
    with_purpose = person("a", "operator", purpose="stolen vehicle", case_number="26-1")
    await served.intake.SearchPlateReads(request, metadata=served.platform.metadata(with_purpose))
    entry = await served.audited("plate_read.search", OUTCOME_ALLOWED)
    assert (entry.purpose, entry.case_number, list(entry.object_ids)) == ("stolen vehicle", "26-1", ["plate_read:ABC123"])


async def test_a_privileged_act_needs_a_fresh_sign_in(served: _Served) -> None:  # R4
    import dataclasses

    fresh = person("a", "administrator")
    stale = dataclasses.replace(fresh, signed_in_at=utc_now() - timedelta(minutes=11))
    request = registry_pb2.CreateUnitRequest()
    assert await _code(served.registry.CreateUnit(request, metadata=served.platform.metadata(stale))) is grpc.StatusCode.PERMISSION_DENIED
    await served.registry.CreateUnit(request, metadata=served.platform.metadata(fresh))


async def test_bad_input_names_the_field(served: _Served) -> None:
    administrator = person("a", "administrator")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.registry.DeleteCamera(registry_pb2.DeleteCameraRequest(), metadata=served.platform.metadata(administrator))
    error = from_rpc(caught.value)
    assert isinstance(error, InvalidInput)
    assert [(violation.field, violation.reason) for violation in error.violations] == [("camera_id", "is empty")]


async def test_a_defect_is_an_internal_error_without_its_text(served: _Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.registry.ListZones(registry_pb2.ListZonesRequest(), metadata=served.platform.metadata(person("a", "operator")))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "a defect" not in caught.value.details()


async def test_a_call_for_services_is_closed_to_people(served: _Served) -> None:
    call = served.registry.GetCameraStream(
        registry_pb2.GetCameraStreamRequest(), metadata=served.platform.metadata(person("a", "administrator"))
    )
    assert await _code(call) is grpc.StatusCode.PERMISSION_DENIED


async def test_no_answer_leaves_while_the_audit_log_is_away(served: _Served) -> None:  # R11
    os.killpg(served.platform.nats_process.pid, signal.SIGKILL)
    call = served.registry.ListCameras(registry_pb2.ListCamerasRequest(), metadata=served.platform.metadata(person("a", "operator")))
    assert await _code(call) is grpc.StatusCode.UNAVAILABLE


async def test_a_garbled_request_is_an_error_not_a_crash(served: _Served) -> None:
    channel = (await served.platform.context("registry")).channels.channel("registry")
    call = channel.unary_unary("/rtcc.registry.v1.RegistryService/ListCameras")
    metadata = served.platform.metadata(person("a", "operator"))
    assert await _code(call(b"\xff\xff\xff", metadata=metadata)) is grpc.StatusCode.INVALID_ARGUMENT
    await served.registry.ListCameras(registry_pb2.ListCamerasRequest(), metadata=served.platform.metadata(person("a", "operator")))


async def test_a_service_scope_reads_for_an_agency(served: _Served) -> None:
    scope = Scope.service("video", "a")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.registry.GetCameraStream(registry_pb2.GetCameraStreamRequest(camera_id="c1"), metadata=served.platform.metadata(scope))
    assert caught.value.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL)
