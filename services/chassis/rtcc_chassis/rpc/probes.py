"""Health for probes that speak no TLS (Kubernetes' native gRPC probes): a port of its own that answers nothing else."""

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

# the service name that a liveness or startup probe asks for; "" is asked for readiness
LIVE = "live"


class ProbeServer:
    """`live` is served from the first moment of the process, "" only while calls are taken."""

    def __init__(self) -> None:
        self._health = HealthServicer()
        self._server: Any = None
        self.port = 0

    async def start(self, listen: str) -> None:
        """Listen on host:port; an empty text starts nothing."""
        if not listen:
            return
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.port = self._server.add_insecure_port(listen)
        await self._health.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        await self.set_ready(False)
        await self._server.start()

    async def set_ready(self, ready: bool) -> None:
        """What a readiness probe is told."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set("", status)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
