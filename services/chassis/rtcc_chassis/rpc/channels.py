"""Channels to other services: one long-lived channel a target, trace and deadline on every call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
from opentelemetry.trace import SpanKind

from rtcc_chassis.errors import Unavailable
from rtcc_chassis.settings import ChassisSettings
from rtcc_chassis.telemetry import inject_trace, span

_TIMEOUT_S = 10.0
_OPTIONS = (
    ("grpc.max_receive_message_length", 68 * 1024 * 1024),
    ("grpc.max_send_message_length", 68 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_retries", 1),
    ("grpc.ssl_target_name_override", "rtcc.internal"),
)

S = TypeVar("S")


class _ClientInterceptor(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc] # grpc ships no types
    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        with span(f"call {method.rsplit('/', 1)[-1]}", SpanKind.CLIENT, attributes={"rpc.method": method}):
            headers: dict[str, str] = {}
            inject_trace(headers)
            metadata = grpc.aio.Metadata(*(details.metadata or ()), *headers.items())
            timeout = _TIMEOUT_S if details.timeout is None else details.timeout
            changed = grpc.aio.ClientCallDetails(
                details.method, timeout, metadata, details.credentials, True if details.wait_for_ready is None else details.wait_for_ready
            )
            return await continuation(changed, request)


class Channels:
    """Addresses come from the settings: {"registry": "host:port"}."""

    def __init__(self, settings: ChassisSettings) -> None:
        self._settings = settings
        self._channels: dict[str, Any] = {}

    def channel(self, service: str) -> Any:
        """The channel to a service; Unavailable when its address is not configured."""
        address = self._settings.rpc_addresses.get(service)
        if not address:
            raise Unavailable(service, "its address is not configured: set RTCC_RPC_ADDRESSES")
        return self.at(address)

    def at(self, address: str) -> Any:
        """The channel to one process, for what only that one holds: "host:port"."""
        if address not in self._channels:
            options = [option for option in _OPTIONS if self._settings.tls_authority_file or option[0] != "grpc.ssl_target_name_override"]
            if self._settings.tls_authority_file:
                credentials = grpc.ssl_channel_credentials(Path(self._settings.tls_authority_file).read_bytes())
                self._channels[address] = grpc.aio.secure_channel(address, credentials, options, interceptors=[_ClientInterceptor()])
            else:
                self._channels[address] = grpc.aio.insecure_channel(address, options, interceptors=[_ClientInterceptor()])
        return self._channels[address]

    def stub(self, service: str, stub_type: Callable[[Any], S]) -> S:
        """A stub: `channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)`; calls carry `metadata=ctx.tokens.metadata(scope)`."""
        return stub_type(self.channel(service))

    async def forget(self, address: str) -> None:
        """Closes the channel to a process that is gone; one of the settings stays, for whoever comes back there."""
        if address in self._channels and address not in self._settings.rpc_addresses.values():
            await self._channels.pop(address).close()

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()
