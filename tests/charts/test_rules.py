"""Each rule about the objects of one installation sees its own kind of mistake."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rtcc_standalone.kubernetes.object_schemas import newest_kubernetes, violations
from rtcc_standalone.kubernetes.rendering import Object
from rtcc_standalone.kubernetes.rules import broken
from rtcc_standalone.kubernetes.verification import crds

type Break = Callable[[list[Object]], None]


def _the(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


def _container(objects: list[Object], service: str) -> Object:
    container: Object = _the(objects, "Deployment", f"region-{service}")["spec"]["template"]["spec"]["containers"][0]
    return container


def _set(container_of: str, *path: str, to: object) -> Break:
    def change(objects: list[Object]) -> None:
        place = _container(objects, container_of)
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def _spec(kind: str, name: str, *path: str, to: object) -> Break:
    def change(objects: list[Object]) -> None:
        place = _the(objects, kind, name)["spec"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def _without(kind: str, name: str) -> Break:
    return lambda objects: objects.remove(_the(objects, kind, name))


def _twice(objects: list[Object]) -> None:
    objects.append(_the(objects, "ServiceAccount", "region-intake"))


def _another_caller(objects: list[Object]) -> None:
    rules = _the(objects, "NetworkPolicy", "region-ledger")["spec"]["ingress"]
    rules[0]["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] = "intake"


def _other_key(objects: list[Object]) -> None:
    (variable,) = [item for item in _container(objects, "ledger")["env"] if item["name"] == "RTCC_LEDGER_CHECKPOINT_KEY_FILE"]
    variable["value"] = "/etc/rtcc/secret/checkpoint.key"


def _nowhere(objects: list[Object]) -> None:
    container = _container(objects, "intake")
    container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] != "objects"]


def _unknown_secret(objects: list[Object]) -> None:
    volumes = _the(objects, "Deployment", "region-video")["spec"]["template"]["spec"]["volumes"]
    (volume,) = [volume for volume in volumes if volume["name"] == "tls"]
    volume["secret"]["secretName"] = "region-tls"


def _readable(objects: list[Object]) -> None:
    volumes = _the(objects, "Deployment", "region-video")["spec"]["template"]["spec"]["volumes"]
    (volume,) = [volume for volume in volumes if volume["name"] == "tls"]
    volume["secret"]["defaultMode"] = 0o444


def _in_the_environment(objects: list[Object]) -> None:
    _container(objects, "video")["env"].append(
        {"name": "RTCC_DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "region-video", "key": "database-url"}}}
    )


def _own_secret(objects: list[Object]) -> None:
    objects.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "region-made"}, "data": {}})


BREAKS: dict[str, Break] = {
    "ServiceAccount region-intake is there twice": _twice,
    "Service region-intake chooses no pod": _spec("Service", "region-intake", "selector", to={"app.kubernetes.io/name": "intakes"}),
    "PodDisruptionBudget region-video chooses no pod": _spec(
        "PodDisruptionBudget", "region-video", "selector", to={"matchLabels": {"a": "b"}}
    ),
    "Deployment region-video doesn't choose its own pods": _spec("Deployment", "region-video", "selector", "matchLabels", to={"a": "b"}),
    "Service region-intake: Deployment region-intake has no port http": _spec(
        "Service", "region-intake", "ports", to=[{"name": "http", "port": 7000, "targetPort": "http"}]
    ),
    "the protocol of media-udp differs": _spec(
        "Service", "region-video-media", "ports", to=[{"name": "media", "port": 31200, "targetPort": "media-udp", "protocol": "TCP"}]
    ),
    "livenessProbe asks a port that the container doesn't have": _set("video", "livenessProbe", "grpc", "port", to=7002),
    "startupProbe.failureThreshold is 0": _set("video", "startupProbe", "failureThreshold", to=0),
    "NetworkPolicy region-ledger opens TCP 8000": _spec("NetworkPolicy", "region-ledger", "ingress", to=[{"ports": [{"port": 8000}]}]),
    "keeps TCP 9090 of Deployment region-ledger closed": _spec(
        "NetworkPolicy", "region-ledger", "ingress", to=[{"ports": [{"port": 7001}]}]
    ),
    "reads the key checkpoint.key, which region-ledger isn't declared to have": _other_key,
    "RTCC_S3_ACCESS_KEY_FILE names /etc/rtcc/objects/access-key, and nothing is mounted there": _nowhere,
    "mounts region-tls, which nobody makes": _unknown_secret,
    "HorizontalPodAutoscaler region-intake scales nothing": _without("Deployment", "region-intake"),
    "both say how many": _spec("Deployment", "region-intake", "replicas", to=3),
    "minReplicas is above maxReplicas": _spec("HorizontalPodAutoscaler", "region-intake", "minReplicas", to=99),
    "ledger lets intake in, but intake may not call it": _another_caller,
    "gateway may call ledger, but ledger lets gateway not in": _another_caller,
    "ledger has no NetworkPolicy of its own": _without("NetworkPolicy", "region-ledger"),
    "Deployment region-video is privileged": _set("video", "securityContext", "privileged", to=True),
    "keeps capabilities": _set("video", "securityContext", "capabilities", to={"drop": ["NET_RAW"]}),
    "has an image without a firm tag": _set("video", "image", to="registry.example/video:latest"),
    "says nothing about its resources": _set("video", "resources", to={"requests": {"cpu": "1"}}),
    "takes a Kubernetes token without need": _spec(
        "Deployment", "region-video", "template", "spec", "automountServiceAccountToken", to=True
    ),
    "shares the node's namespaces": _spec("Deployment", "region-video", "template", "spec", "hostNetwork", to=True),
    "runs as root": _spec("Deployment", "region-video", "template", "spec", "securityContext", "runAsNonRoot", to=False),
    "readable by everybody in the pod": _readable,
    "RTCC_DATABASE_URL puts a secret into the environment": _in_the_environment,
    "Secret region-made is made by a chart": _own_secret,
}


def test_the_consortium_breaks_no_rule(consortium: list[Object]) -> None:
    assert broken(consortium) == []


@pytest.mark.parametrize("told", BREAKS)
def test_a_mistake_is_told(consortium: list[Object], told: str) -> None:
    BREAKS[told](consortium)
    problems = broken(consortium)
    assert any(told in problem for problem in problems), problems


def test_schemas_are_strict_and_a_kind_without_one_is_told(consortium: list[Object], root: Path) -> None:
    newest = newest_kubernetes()
    assert violations(consortium, crds(root), newest) == []
    _container(consortium, "video")["imagePulPolicy"] = "Always"
    _the(consortium, "Service", "region-intake")["kind"] = "Servise"
    _the(consortium, "Agency", "harbor")["spec"]["timezone"] = "UTC"
    problems = violations(consortium, crds(root), newest)
    assert any("imagePulPolicy" in problem for problem in problems), problems
    assert any("no v1 Servise" in problem for problem in problems), problems
    assert any(problem.startswith("Agency harbor") and "timezone" in problem for problem in problems), problems
