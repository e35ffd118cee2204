"""The health endpoint that a kubelet asks."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rtcc_chassis.rpc.probes import LIVE, ProbeServer


async def _asked(port: int, service: str) -> int:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
        return int(answer.status)


async def test_a_process_lives_before_it_is_ready_and_after_it_refuses() -> None:
    probes = ProbeServer()
    await probes.start("127.0.0.1:0")
    try:
        serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await _asked(probes.port, LIVE), await _asked(probes.port, "")) == (serving, not_serving)
        await probes.set_ready(True)
        assert (await _asked(probes.port, LIVE), await _asked(probes.port, "")) == (serving, serving)
        await probes.set_ready(False)
        assert (await _asked(probes.port, LIVE), await _asked(probes.port, "")) == (serving, not_serving)
    finally:
        await probes.stop()


async def test_without_an_address_nothing_listens() -> None:
    probes = ProbeServer()
    await probes.start("")
    await probes.set_ready(True)
    await probes.stop()
    assert probes.port == 0
