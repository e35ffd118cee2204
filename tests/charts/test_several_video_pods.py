"""Several video pods: each on a node of its own, announced under its address, and open to the others."""

import subprocess
from pathlib import Path

import pytest
import yaml

from rtcc_standalone.kubernetes.object_schemas import newest_kubernetes, violations
from rtcc_standalone.kubernetes.rendering import Object
from rtcc_standalone.kubernetes.rules import broken


def _rendered(helm: Path, root: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """The video chart alone."""
    least = ("global.image.repository=registry.example/openrtcc", "global.origin=https://rtcc.example", "replicas=3")
    command = [str(helm), "template", "rtcc", str(root / "charts" / "video"), "--namespace", "rtcc"]
    for setting in (*least, *settings):
        command += ["--set", setting]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("choice", ["media.type=NodePort", "media.hostPort=true"])
def test_each_pod_has_a_node_of_its_own_and_announces_it(helm: Path, root: Path, choice: str) -> None:
    done = _rendered(helm, root, choice)
    assert done.returncode == 0, done.stderr
    objects: list[Object] = [item for item in yaml.safe_load_all(done.stdout) if item]
    assert violations(objects, [], newest_kubernetes()) == []
    assert broken(objects) == []
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    assert deployment["spec"]["replicas"] == 3
    # a new pod needs the port, and so the place, of an old one
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    (rule,) = deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["topologyKey"] == "kubernetes.io/hostname"
    assert rule["labelSelector"] == deployment["spec"]["selector"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    told = {variable["name"]: variable for variable in container["env"]}
    assert told["NODE_ADDRESS"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.hostIP"
    assert told["RTCC_VIDEO_PUBLIC_ADDRESSES"]["value"] == "$(NODE_ADDRESS)"
    # its gRPC and its pictures are for the other pods under the pod's own address
    assert told["RTCC_VIDEO_RELAY_ADDRESS"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"
    assert told["RTCC_VIDEO_CASCADE_LISTEN"]["value"].endswith(":7010")
    media = [item for item in objects if item["kind"] == "Service" and item["metadata"]["name"].endswith("-media")]
    assert [item["spec"]["externalTrafficPolicy"] for item in media] == (["Local"] if "NodePort" in choice else [])


def test_pods_of_the_service_and_nobody_else_take_its_pictures(helm: Path, root: Path) -> None:
    objects: list[Object] = [item for item in yaml.safe_load_all(_rendered(helm, root).stdout) if item]
    (policy,) = [item for item in objects if item["kind"] == "NetworkPolicy"]
    own = [{"podSelector": policy["spec"]["podSelector"]}]
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        open_at = [rule for rule in policy["spec"][direction] if {"port": 7010} in rule.get("ports", [])]
        assert [rule[peers] for rule in open_at] == [own]
        assert open_at[0]["ports"] == [{"port": 7000}, {"port": 7010}]


def test_pods_come_and_go_with_their_load(helm: Path, root: Path) -> None:
    objects: list[Object] = [item for item in yaml.safe_load_all(_rendered(helm, root, "autoscaling.enabled=true").stdout) if item]
    (scaler,) = [item for item in objects if item["kind"] == "HorizontalPodAutoscaler"]
    assert scaler["spec"]["metrics"][0]["pods"]["metric"]["name"] == "rtcc_video_load"
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    assert "replicas" not in deployment["spec"] and "affinity" in deployment["spec"]["template"]["spec"]


def test_one_address_for_all_is_refused(helm: Path, root: Path) -> None:
    done = _rendered(helm, root, "media.type=LoadBalancer", "media.publicAddresses={198.51.100.20}")
    assert done.returncode != 0
    assert "media.type LoadBalancer" in done.stderr
