"""A rendered installation run by podman: one pod a Deployment, each at an address of its own, as the charts say it."""

import base64
import copy
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rtcc_standalone.kubernetes.rendering import Object

NETWORK = "rtcc-pods"
_PREFIX = "10.231.77"
BRIDGE = f"{_PREFIX}.1"
_USER = 65532
# runc and cgroupfs: crun and systemd aren't everywhere; ulimits that containers inside containers can have
_ENGINE = """[containers]
default_ulimits = ["nofile=20000:20000","nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


@contextmanager
def container_store(folder: Path) -> Iterator[None]:
    """buildah and podman with a store of their own: nothing of the machine's is touched."""
    settings = folder / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder / "images"}"\nrunroot = "{folder / "run"}"\n'
    )
    (settings / "containers.conf").write_text(_ENGINE)
    names = {"CONTAINERS_STORAGE_CONF": settings / "storage.conf", "CONTAINERS_CONF": settings / "containers.conf"}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(path) for name, path in names.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def podman(*arguments: str, check: bool = True) -> str:
    """Its standard output; AssertionError with what it said."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert not check or done.returncode == 0, f"podman {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


@contextmanager
def pod_network() -> Iterator[None]:
    """A bridge whose first address is this machine."""
    podman("network", "rm", "--force", NETWORK, check=False)
    podman("network", "create", "--subnet", f"{_PREFIX}.0/24", "--gateway", BRIDGE, "--disable-dns", NETWORK)
    try:
        yield
    finally:
        podman("network", "rm", "--force", NETWORK, check=False)


@contextmanager
def bridge_kept(image: str) -> Iterator[None]:
    """The bridge is there only while somebody is on it: a container that does nothing."""
    name = f"{NETWORK}-keeper"
    podman("rm", "--force", "--time", "0", name, check=False)
    podman("run", "--detach", "--name", name, "--network", NETWORK, "--ip", f"{_PREFIX}.2", "--entrypoint", "sleep", image, "infinity")
    try:
        yield
    finally:
        podman("rm", "--force", "--time", "0", name, check=False)


def addresses(services: Sequence[str]) -> dict[str, str]:
    """A pod's address by its service."""
    return {service: f"{_PREFIX}.{10 + number}" for number, service in enumerate(sorted(services))}


@dataclass
class Pods:
    """The Deployments of a rendered installation, turned into what podman 4 understands.

    podman knows neither Services nor mounted Secrets: names stand in each pod's hosts file, Secrets and ConfigMaps are folders that only
    the pod's user can read.
    """

    objects: list[Object]
    given: list[Object]
    folder: Path
    addresses: Mapping[str, str]
    started: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """All at once; whoever needs another waits for it."""
        for item in self.objects:
            if item["kind"] == "Deployment":
                service = item["metadata"]["labels"]["app.kubernetes.io/name"]
                file = self.folder / f"{service}.yaml"
                file.write_text(yaml.safe_dump(self._for_podman(item, service)))
                self.started[service] = f"{item['metadata']['name']}-pod-0"
                podman("play", "kube", "--network", NETWORK, "--ip", self.addresses[service], str(file))

    def container(self, service: str) -> str:
        return f"{self.started[service]}-{service}"

    def logs(self, service: str, lines: int = 30) -> str:
        done = subprocess.run(
            ["podman", "logs", "--tail", str(lines), self.container(service)], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def stop(self, service: str, grace_s: int) -> tuple[int, float]:
        """SIGTERM; exit code and seconds."""
        began = time.monotonic()
        podman("stop", "--time", str(grace_s), self.container(service))
        code = podman("inspect", "--format", "{{.State.ExitCode}}", self.container(service))
        return int(code), time.monotonic() - began

    def remove(self) -> None:
        for name in self.started.values():
            podman("pod", "rm", "--force", "--time", "2", name, check=False)

    def _for_podman(self, deployment: Object, service: str) -> Object:
        result = copy.deepcopy(deployment)
        pod = result["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        pod["hostAliases"] = [
            {"ip": address, "hostnames": self._names(deployment, other)} for other, address in self.addresses.items() if other != service
        ]
        pod["volumes"] = [self._volume(volume, service) for volume in pod["volumes"]]
        container["imagePullPolicy"] = "Never"
        for variable in container["env"]:
            if variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") in ("status.hostIP", "status.podIP"):
                variable.pop("valueFrom")
                variable["value"] = self.addresses[service]
        # podman knows no gRPC probes (the test asks), and would publish each port on this machine's own addresses
        for name in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports"):
            container.pop(name, None)
        return result

    def _names(self, deployment: Object, service: str) -> list[str]:
        metadata = deployment["metadata"]
        name = f"{metadata['labels']['app.kubernetes.io/instance']}-{service}"
        return [name, f"{name}.{metadata['namespace']}.svc"]

    def _volume(self, volume: dict[str, Any], service: str) -> dict[str, Any]:
        place = self.folder / service / volume["name"]
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        kind, name = (
            ("Secret", volume["secret"]["secretName"]) if "secret" in volume else ("ConfigMap", volume.get("configMap", {}).get("name"))
        )
        if name:
            (source,) = [item for item in self.given if (item["kind"], item["metadata"]["name"]) == (kind, name)]
            for key, value in source["data"].items():
                (place / key).write_bytes(base64.b64decode(value) if kind == "Secret" else value.encode())
                (place / key).chmod(0o400)
                os.chown(place / key, _USER, _USER)
        os.chown(place, _USER, _USER)
        return {"name": volume["name"], "hostPath": {"path": str(place), "type": "Directory"}}
