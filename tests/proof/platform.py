"""The real platform as `./rtcc up` starts it (supervisor, NATS, PostgreSQL, S3, all services), on a temporary folder."""

import asyncio
import contextlib
import dataclasses
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import grpc
from google.protobuf.message import Message

from proof.audit_watch import AuditWatch
from rtcc_chassis.bus import Bus
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.rpc import CallRule, Channels, all_rules
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import ChassisSettings, read
from rtcc_chassis.testing import free_port
from rtcc_chassis.tokens import TokenIssuer
from rtcc_standalone.credentials import COMMAND_LINE
from rtcc_standalone.installation import PROCESSES
from rtcc_standalone.supervisor import Supervisor
from rtcc_standalone.throwaway import throwaway_platform

# alerting, as tests need it: nothing that changes alerts by itself while a test compares them
PATIENT = {
    # mail servers and webhooks of the tests are on this machine
    "RTCC_ALERTING_NOTIFICATION_NETWORKS": "127.0.0.0/8",
    "RTCC_ALERTING_SUPERVISORS_AFTER_S": "86400",
    "RTCC_ALERTING_EVERY_DESK_AFTER_S": "172800",
    "RTCC_ALERTING_CAMERA_DOWN_AFTER_S": "86400",
}
# the tests ask more often than a person or an address may
UNBOUNDED = {
    # the mail servers and webhooks of the tests are on this machine
    "RTCC_ALERTING_NOTIFICATION_NETWORKS": "127.0.0.0/8",
    "RTCC_GATEWAY_ADDRESS_RATE": "100000",
    "RTCC_GATEWAY_ADDRESS_BURST": "100000",
    "RTCC_GATEWAY_SESSION_RATE": "100000",
    "RTCC_GATEWAY_SESSION_BURST": "100000",
    "RTCC_GATEWAY_SIGN_IN_RATE_PER_MINUTE": "100000",
    "RTCC_GATEWAY_SIGN_IN_BURST": "100000",
}


async def until[T](question: Callable[[], Awaitable[T]], *, deadline_s: float = 30.0, every_s: float = 0.05) -> T:
    """Ask until the answer is truthy; AssertionError after the deadline."""
    ends = time.monotonic() + deadline_s
    while not (answer := await question()):
        assert time.monotonic() < ends, f"not within {deadline_s} s: {question}"
        await asyncio.sleep(every_s)
    return answer


@dataclasses.dataclass
class Answer:
    """How a call ended: `code` OK with a message, or an error's code and text."""

    code: grpc.StatusCode
    message: Message | None = None
    details: str = ""


@dataclasses.dataclass
class RunningPlatform:
    """Calls in anybody's name: the tests hold the installation's own keys."""

    supervisor: Supervisor
    channels: Channels
    issuers: dict[str, TokenIssuer]
    bus: Bus
    audit: AuditWatch
    # process -> where Prometheus would scrape it
    metrics: dict[str, str] = dataclasses.field(default_factory=dict)
    # of whom the door's certificate is believed; None: the door speaks plain HTTP on loopback
    believed: ssl.SSLContext | None = None
    # where a test may serve a feed that the platform fetches by plain http
    feed_port: int = 0

    def http(self, **options: Any) -> aiohttp.ClientSession:
        """A client that believes this platform's door."""
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.believed) if self.believed else None, **options)

    @property
    def url(self) -> str:
        return self.supervisor.installation.url

    @property
    def environment(self) -> dict[str, str]:
        return self.supervisor.installation.environment()

    def settings(self, service: str = COMMAND_LINE) -> ChassisSettings:
        """What a process of this installation would be told."""
        return read(ChassisSettings, service, {"RTCC_DATABASE_URL": "postgresql://none", **self.environment})

    def metadata(self, scope: Scope) -> tuple[tuple[str, str], ...]:
        """As the gateway signs for people and devices, and each service for itself."""
        issuer = scope.principal_id.removeprefix("service:") if scope.principal_kind == "service" else "gateway"
        return self.issuers[issuer].metadata(scope)

    async def call(self, rule: CallRule, request: Message, metadata: tuple[tuple[str, str], ...], timeout_s: float = 40.0) -> Answer:
        """One call, whatever its kind of request; errors are answers."""
        channel = self.channels.channel(rule.service)
        serialise, parse = rule.request_type.SerializeToString, rule.response_type.FromString
        try:
            if rule.client_streaming:
                multicallable = channel.stream_unary(rule.path, request_serializer=serialise, response_deserializer=parse)
                response = await multicallable(iter((request,)), metadata=metadata, timeout=timeout_s)
            else:
                multicallable = channel.unary_unary(rule.path, request_serializer=serialise, response_deserializer=parse)
                response = await multicallable(request, metadata=metadata, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return Answer(error.code(), details=error.details() or "")
        return Answer(grpc.StatusCode.OK, response)

    async def ask(self, method: str, scope: Scope, request: Message | None = None) -> Any:
        """The answer of `Method`, which must be OK. A method's name is unique in the contracts."""
        rule = rule_named(method)
        answer = await self.call(rule, request if request is not None else rule.request_type(), self.metadata(scope))
        assert answer.code is grpc.StatusCode.OK, f"{method}: {answer.code.name} {answer.details}"
        return answer.message

    async def deliver(
        self, source_id: str, secret: str, body: Mapping[str, Any] | bytes, delivery_id: str = "", door: str = "hooks", **changed: str
    ) -> Any:
        """Signed, over HTTP; (status, JSON). `changed` replaces headers, by names without "Rtcc-"; `door`: "hooks" or "airspace"."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = signed_headers(secret, data, delivery_id)
        headers.update({f"Rtcc-{name.title()}": value for name, value in changed.items()})
        async with (
            self.http() as client,
            client.post(f"{self.url}/v1/{door}/{source_id}", data=data, headers=headers) as response,
        ):
            return response.status, await response.json(content_type=None)


def signed_headers(secret: str, body: bytes, delivery_id: str = "", sent_at: float | None = None) -> dict[str, str]:
    """The three headers of docs/integrators/webhooks.md, made independently of the product's code."""
    timestamp, delivery = str(int(time.time() if sent_at is None else sent_at)), delivery_id or new_id()
    signature = hmac.new(secret.encode(), f"{timestamp}.{delivery}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "Rtcc-Timestamp": timestamp,
        "Rtcc-Delivery": delivery,
        "Rtcc-Signature": f"v1={signature}",
    }


def rule_named(method: str) -> CallRule:
    """The rule of a method by its bare name."""
    (found,) = [rule for rule in all_rules().values() if rule.method == method]
    return found


@asynccontextmanager
async def running_platform(settings: Mapping[str, str] | None = None) -> AsyncIterator[RunningPlatform]:
    """A demo installation (its one-time links are how the tests sign in), gone at the end."""
    metrics = {process: f"127.0.0.1:{free_port()}" for process in PROCESSES}
    listening = {f"RTCC_{services[0].upper()}_METRICS_LISTEN": metrics[process] for process, services in PROCESSES.items()}
    feed_port = free_port()
    wanted = {**UNBOUNDED, **PATIENT, **listening, "RTCC_INTAKE_FEED_HOSTS": f"127.0.0.1:{feed_port}", **(settings or {})}
    async with throwaway_platform(mode="demo", settings=wanted) as supervisor, proven(supervisor) as platform:
        platform.metrics = {process: f"http://{address}/metrics" for process, address in metrics.items()}
        platform.feed_port = feed_port
        yield platform


@asynccontextmanager
async def proven(supervisor: Supervisor, believed: ssl.SSLContext | None = None) -> AsyncIterator[RunningPlatform]:
    """Connected to what the supervisor's settings name, wherever that runs."""
    keeper = asyncio.create_task(supervisor.wait())
    installation = supervisor.installation
    chassis = read(ChassisSettings, COMMAND_LINE, {"RTCC_DATABASE_URL": "postgresql://none", **installation.environment()})
    issuers = {name: TokenIssuer.from_file(name, path) for name, path in installation.credentials.token_keys.items()}
    bus, channels = await Bus.connect(chassis, "proof"), Channels(chassis)
    audit = AuditWatch(bus)
    watching = asyncio.create_task(audit.run())
    try:
        await audit.caught_up()
        yield RunningPlatform(supervisor, channels, issuers, bus, audit, believed=believed)
    finally:
        for task in (watching, keeper):
            task.cancel()
        await asyncio.gather(watching, keeper, return_exceptions=True)
        await channels.close()
        with contextlib.suppress(Exception):
            await bus.drain()
