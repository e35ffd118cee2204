"""The gRPC server of a process: health, reflection, TLS that reloads, and the gate around every method."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from rtcc_chassis.access import Access
from rtcc_chassis.clock import Clock
from rtcc_chassis.rpc.contracts import CallRule, all_rules
from rtcc_chassis.rpc.gate import DeviceAuthenticator, Gate
from rtcc_chassis.settings import ChassisSettings
from rtcc_chassis.tokens import TokenVerifier

_LOG = logging.getLogger(__name__)
_MAXIMUM_MESSAGE_BYTES = 68 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", _MAXIMUM_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAXIMUM_MESSAGE_BYTES),
    ("grpc.max_connection_age_ms", 30 * 60 * 1000),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
)


class _GateInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc] # grpc ships no types
    """Wraps each handler of a contract in the gate; health and reflection pass as they are."""

    def __init__(self, gate: Gate, accesses: dict[str, Access]) -> None:
        self._gate = gate
        self._accesses = accesses

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        rule = all_rules().get(details.method)
        if handler is None or rule is None:
            return handler
        access = self._accesses[rule.path.split("/")[1]]
        if rule.server_streaming:
            raise RuntimeError(f"{rule.path}: streams to the caller are not served; use JetStream or the live socket")
        return _guarded_handler(self._gate, rule, access, handler)


def _guarded_handler(gate: Gate, rule: CallRule, access: Access, handler: Any) -> Any:
    behaviour: Callable[[Any, Any], Any] = handler.stream_unary if rule.client_streaming else handler.unary_unary

    async def guarded(request: Any, context: Any) -> Any:
        return await gate.call(rule, access, behaviour, request, context)

    make = grpc.stream_unary_rpc_method_handler if rule.client_streaming else grpc.unary_unary_rpc_method_handler
    # the gate parses, so that garbage from nobody costs nothing and garbage from somebody is an error with a reason
    return make(guarded, request_deserializer=None, response_serializer=handler.response_serializer)


class RpcServer:
    """One per process. Services add their servicers, the runner starts and stops it."""

    def __init__(self, settings: ChassisSettings, verifier: TokenVerifier, clock: Clock) -> None:
        self._settings = settings
        self._accesses: dict[str, Access] = {}
        self._names: list[str] = []
        self.gate = Gate(verifier, clock, settings.rpc_concurrency)
        self._server = grpc.aio.server(interceptors=[_GateInterceptor(self.gate, self._accesses)], options=_OPTIONS)
        self._health = HealthServicer()
        self.port = 0

    def for_service(self, access: Access) -> "ServiceRpc":
        """The view that one service gets: what it adds is guarded by its own access."""
        return ServiceRpc(self, access)

    def register(self, add: Callable[[Any, Any], None], servicer: object, access: Access) -> None:
        before = set(all_rules())
        module_name = add.__name__.removeprefix("add_").removesuffix("Servicer_to_server")
        matches = {path.split("/")[1] for path in before if path.split("/")[1].endswith(f".{module_name}")}
        for full_name in matches:
            self._accesses[full_name] = access
            self._names.append(full_name)
        add(servicer, self._server)

    async def start(self) -> int:
        """Listen; the answer is the port."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*self._names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME), self._server
        )
        settings = self._settings
        if settings.tls_certificate_file:
            self.port = self._server.add_secure_port(settings.rpc_listen, _reloading_credentials(settings))
        else:
            host = settings.rpc_listen.rpartition(":")[0]
            if host not in ("127.0.0.1", "[::1]", "localhost"):
                _LOG.warning("gRPC listens on %s without TLS: set RTCC_TLS_CERTIFICATE_FILE (R14)", host)
            self.port = self._server.add_insecure_port(settings.rpc_listen)
        await self._server.start()
        return self.port

    async def set_serving(self, serving: bool) -> None:
        """What health probes are told, for the process ("") and each service."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Refuse new calls, let running ones end."""
        await self.set_serving(False)
        await self._server.stop(grace_s)


class ServiceRpc:
    """`ctx.rpc`: add servicers and, for uplinks, a way to recognise devices."""

    def __init__(self, server: RpcServer, access: Access) -> None:
        self._server = server
        self._access = access

    def add(self, add_servicer_to_server: Callable[[Any, Any], None], servicer: object) -> None:
        """For instance `ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, Servicer(app))`."""
        self._server.register(add_servicer_to_server, servicer, self._access)

    @property
    def port(self) -> int:
        """Where this process answers; 0 before all of its services are ready."""
        return self._server.port

    def authenticate_devices(self, authenticator: DeviceAuthenticator) -> None:
        """Recognise devices by their metadata (device id and key) where no token is sent."""
        self._server.gate.device_authenticator = authenticator


def _reloading_credentials(settings: ChassisSettings) -> Any:
    certificate, key, authority = (
        Path(p) if p else None for p in (settings.tls_certificate_file, settings.tls_key_file, settings.tls_authority_file)
    )
    seen: list[int] = []

    def load() -> Any:
        files = [path for path in (certificate, key, authority) if path is not None]
        seen[:] = [path.stat().st_mtime_ns for path in files]
        assert certificate is not None and key is not None
        return grpc.ssl_server_certificate_configuration(
            [(key.read_bytes(), certificate.read_bytes())], authority.read_bytes() if authority else None
        )

    def fetch() -> Any:
        try:
            changed = [path.stat().st_mtime_ns for path in (certificate, key, authority) if path is not None] != seen
            return load() if changed else None
        except (OSError, ValueError):
            _LOG.exception("the new TLS certificate can't be read: the old one stays")
            return None

    return grpc.dynamic_ssl_server_credentials(load(), fetch, require_client_authentication=False)
