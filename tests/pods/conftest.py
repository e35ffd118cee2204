"""The rendered consortium in pods, on real NATS, PostgreSQL and S3 of this machine. Long, so only with `./rtcc test --soak`."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from playwright.async_api import Browser

from pods.pod_world import PodWorld, written
from pods.pods import BRIDGE, Pods, addresses, bridge_kept, container_store, pod_network
from pods.relay import relayed
from proof.browser import chromium
from proof.door import Door, door_at
from proof.platform import UNBOUNDED, proven
from rtcc_chassis.rpc.probes import LIVE
from rtcc_demo.render.clips import draw_clip
from rtcc_demo.render.scenes import scene_names
from rtcc_demo.rtsp_server import RtspServer
from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.development.containers import missing_programs
from rtcc_standalone.kubernetes.images import DEBIAN_BASE, Builder, image_services
from rtcc_standalone.kubernetes.rendering import EXAMPLES, Object, render
from rtcc_standalone.kubernetes.secrets import Plan, manifests
from rtcc_standalone.kubernetes.tools import tool
from rtcc_standalone.throwaway import throwaway_platform

_INSTALLATION = "region"
_REPOSITORY, _TAG = "localhost/openrtcc", "pods"
# it works on Kubernetes resources, and here is no Kubernetes
_NOT_HERE = ("operator",)


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    if os.environ.get("RTCC_SOAK") != "1":
        pytest.skip("builds an image for every service and runs them all: ./rtcc test --soak tests/pods")
    if missing := missing_programs():
        pytest.skip(f"{', '.join(missing)} can't be had here: install buildah, podman, runc and mmdebstrap")
    if os.geteuid() != 0:
        pytest.skip("pods with addresses of their own need root")


@dataclass
class Consortium:
    """All pods, and a world of agencies that only talks to them."""

    pods: Pods
    world: PodWorld
    images_s: float
    ready_s: float


@pytest.fixture(scope="session")
def _engine(_possible: None) -> Iterator[None]:
    with container_store(checkout_root() / ".tools" / "images" / "store"), pod_network():
        yield


@pytest.fixture(scope="session")
def built(_engine: None) -> float:
    """Every service's image; the seconds that took."""
    began = time.monotonic()
    builder = Builder(checkout_root(), "buildah", _REPOSITORY, _TAG, DEBIAN_BASE)
    builder.debian_base()
    for service in _services():
        builder.build(service)
    return time.monotonic() - began


@pytest.fixture(scope="session")
def _bridge(built: float) -> Iterator[None]:
    with bridge_kept(f"{_REPOSITORY}/registry:{_TAG}"):
        yield


def _services() -> list[str]:
    return [service for service in image_services(checkout_root()) if service not in _NOT_HERE]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def consortium(built: float, _bridge: None, door: Door, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Consortium]:
    """The example of charts/examples, with the stores of a throwaway installation."""
    root, where = checkout_root(), addresses(_services())
    folder = tmp_path_factory.mktemp("pods")
    origin = f"https://{where['gateway']}:8443"
    settings = {
        "RTCC_GATEWAY_ORIGIN": origin,
        "RTCC_RPC_ADDRESSES": json.dumps({service: f"{address}:7000" for service, address in where.items()}),
    }
    async with throwaway_platform(processes=(), settings=settings) as supervisor:
        installation = supervisor.installation
        credentials, ports = installation.credentials, installation.ports
        plan = Plan(
            installation=_INSTALLATION,
            namespace=_INSTALLATION,
            database=f"{BRIDGE}:{ports['postgres']}/rtcc",
            database_options="",
            object_keys=(credentials.s3_access_key, credentials.s3_secret_key),
            door=(door.certificate, door.key),
            extra={
                "gateway": {"oidc-client-secret": "nobody-asks"},
                "intake": {"cot.crt": door.certificate, "cot.key": door.key, "cot-ca.crt": door.certificate},
            },
        )
        given = manifests(credentials, plan)
        _believe_the_test(given, credentials.trust.read_text())
        objects = render(
            tool(root, "helm4"), root / "charts" / "rtcc",
            [root / EXAMPLES / "consortium" / "values.yaml", written(folder, "here.yaml", _values(origin, ports, where["video"]))],
            release=_INSTALLATION, namespace=_INSTALLATION,
        )  # fmt: skip
        pods = Pods(objects, given, folder, where)
        async with relayed(BRIDGE, [ports[name] for name in ("nats", "postgres", "s3")]):
            began = time.monotonic()
            try:
                await asyncio.to_thread(pods.start)
                for service in where:
                    await _ready(pods, service)
                ready_s = time.monotonic() - began
                async with proven(supervisor, door.believed) as platform:
                    yield Consortium(pods, PodWorld(platform), built, ready_s)
            finally:
                await asyncio.to_thread(pods.remove)


def _values(origin: str, ports: dict[str, int], video: str) -> str:
    """What differs here from the example: addresses, passwords instead of credentials, stores without TLS on one machine."""
    prefix = "RTCC_GATEWAY_"
    unbounded = {name.removeprefix(prefix).lower(): float(value) for name, value in UNBOUNDED.items() if name.startswith(prefix)}
    values = {
        "global": {
            "origin": origin,
            "image": {"repository": _REPOSITORY, "tag": _TAG},
            "nats": {"url": f"nats://{BRIDGE}:{ports['nats']}", "signIn": "password", "authority": "", "streamSizeFactor": 0.1},
            "objects": {"endpoint": f"{BRIDGE}:{ports['s3']}", "secure": False},
            "telemetry": {"endpoint": ""},
            "authorities": "none",
        },
        "operator": {"enabled": False},
        "gateway": {"settings": {name: int(value) if name.endswith("burst") else value for name, value in unbounded.items()}},
        "video": {"media": {"publicAddresses": [video]}},
    }
    return yaml.safe_dump(values)


def _believe_the_test(given: list[Object], trust: str) -> None:
    """The proofs call in anybody's name, the command line's included, which a cluster doesn't believe."""
    (config,) = [item for item in given if item["metadata"]["name"] == f"{_INSTALLATION}-trust"]
    config["data"]["trust.json"] = trust


async def _ready(pods: Pods, service: str) -> None:
    """As a kubelet asks: alive from the start, ready before the deadline."""
    deadline = time.monotonic() + 120
    told: object = "nothing"
    async with grpc.aio.insecure_channel(f"{pods.addresses[service]}:7001") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < deadline:
            try:
                answers = [await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=2) for name in (LIVE, "")]
                told = [answer.status for answer in answers]
                if told == [health_pb2.HealthCheckResponse.SERVING] * 2:
                    return
            except grpc.aio.AioRpcError as error:
                told = error.code()
            await asyncio.sleep(0.2)
    pytest.fail(f"{service} isn't ready after 120 s ({told}):\n{pods.logs(service)}")


@pytest.fixture(scope="session")
def door(_possible: None) -> Door:
    """Where the gateway's pod will stand."""
    return door_at(addresses(_services())["gateway"])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(door: Door) -> AsyncIterator[Browser]:
    """Real Chromium that believes the pods' door."""
    async with chromium(door.browser_flag) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def street_cameras(_bridge: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RtspServer]:
    """A real RTSP server outside of the pods, at an address that they reach."""
    clip: Path = tmp_path_factory.mktemp("clips") / "street.mp4"
    await asyncio.to_thread(draw_clip, scene_names()[0], clip)
    async with RtspServer({f"cam{number}": clip for number in range(1, 5)}, "relay", "street-word", host=BRIDGE) as server:
        yield server
