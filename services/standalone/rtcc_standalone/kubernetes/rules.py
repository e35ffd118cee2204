"""What no schema can see: whether the objects of one installation fit each other. Each rule answers with what is wrong."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rtcc_standalone.kubernetes.rendering import Object, called

# Secrets and ConfigMaps that come from outside the charts, with their keys: `./rtcc secrets` makes them, docs/operations/install.md
# names them. A service's own Secret is called like its Deployment.
DECLARED_KEYS: dict[str, frozenset[str]] = {
    "objects": frozenset({"access-key", "secret-key"}),
    "internal-tls": frozenset({"tls.crt", "tls.key", "ca.crt"}),
    "trust": frozenset({"trust.json"}),
    "authorities": frozenset({"nats.crt", "postgresql.crt", "s3.crt"}),
    "gateway-door": frozenset({"tls.crt", "tls.key"}),
}
SERVICE_KEYS = frozenset({"token.pem", "database-url", "nats-password", "nats.creds"})
EXTRA_SERVICE_KEYS = {
    "alerting": frozenset({"sealing-secret"}),
    "gateway": frozenset({"sealing-secret", "oidc-client-secret"}),
    "intake": frozenset({"cot.crt", "cot.key", "cot-ca.crt"}),
    "ledger": frozenset({"checkpoint.pem"}),
    "video": frozenset({"evidence.pem"}),
    "operator": frozenset({"nats-operator-seed", "nats-platform-seed"}),
    "registry": frozenset({"sealing-secret"}),
}
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
_POSITIVE = ("periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold")


class Installation:
    """The objects of one release by kind."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self.objects = list(objects)

    def of(self, kind: str) -> list[Object]:
        return [item for item in self.objects if item["kind"] == kind]

    def workloads(self) -> Iterator[tuple[Object, dict[str, Any], dict[str, Any]]]:
        """(object, pod template, container)"""
        for item in self.objects:
            if item["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
                template = item["spec"]["template"]
                for container in template["spec"]["containers"]:
                    yield item, template, container

    def selecting(self, selector: dict[str, str]) -> list[Object]:
        """Workloads whose pods carry these labels."""
        return [item for item, template, _ in self.workloads() if selector.items() <= template["metadata"]["labels"].items()]


def names(found: Installation) -> Iterator[str]:
    """Names are DNS labels, and no two objects share one."""
    seen: set[tuple[str, str, str]] = set()
    for item in found.objects:
        metadata = item["metadata"]
        key = (item["kind"], metadata.get("namespace", ""), metadata["name"])
        if key in seen:
            yield f"{called(item)} is there twice"
        seen.add(key)
        if not _NAME.match(metadata["name"]):
            yield f"{called(item)}: the name is no DNS name"


def selectors(found: Installation) -> Iterator[str]:
    """Services, PodDisruptionBudgets and policies choose pods that exist; a workload chooses its own."""
    for item in found.of("Deployment"):
        labels = item["spec"]["template"]["metadata"]["labels"]
        if not item["spec"]["selector"]["matchLabels"].items() <= labels.items():
            yield f"{called(item)} doesn't choose its own pods"
        if len(found.selecting(item["spec"]["selector"]["matchLabels"])) != 1:
            yield f"{called(item)} chooses pods of others too"
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        for item in found.of(kind):
            selector = item["spec"].get("podSelector") or item["spec"]["selector"]
            if not found.selecting(selector.get("matchLabels", selector)):
                yield f"{called(item)} chooses no pod"


def ports(found: Installation) -> Iterator[str]:
    """What a Service names, a probe asks and a policy opens is a port of the container; each listening port is open to somebody."""
    for item in found.of("Service"):
        for workload in found.selecting(item["spec"]["selector"]):
            offered = {port["name"]: port for port in _ports(workload)}
            for port in item["spec"]["ports"]:
                target = offered.get(port["targetPort"])
                if target is None:
                    yield f"{called(item)}: {called(workload)} has no port {port['targetPort']}"
                elif target.get("protocol", "TCP") != port.get("protocol", "TCP"):
                    yield f"{called(item)}: the protocol of {port['targetPort']} differs from the container's"
    for item, _, container in found.workloads():
        numbers = {port["containerPort"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            settings = container.get(probe)
            if settings is None:
                yield f"{called(item)} has no {probe}"
                continue
            if settings.get("grpc", settings.get("httpGet", {})).get("port") not in numbers:
                yield f"{called(item)}: {probe} asks a port that the container doesn't have"
            for name in _POSITIVE:
                if settings.get(name, 1) < 1:
                    yield f"{called(item)}: {probe}.{name} is {settings[name]}"
    yield from _policy_ports(found)


def _policy_ports(found: Installation) -> Iterator[str]:
    for item in found.of("NetworkPolicy"):
        for workload in found.selecting(item["spec"]["podSelector"]["matchLabels"]) if item["spec"].get("ingress") else []:
            offered = {(port["containerPort"], port.get("protocol", "TCP")) for port in _ports(workload)}
            opened = {
                (port["port"], port.get("protocol", "TCP")) for rule in item["spec"].get("ingress", []) for port in rule.get("ports", [])
            }
            for number, protocol in sorted(opened - offered):
                yield f"{called(item)} opens {protocol} {number}, which {called(workload)} doesn't have"
            # gRPC may have no caller
            for number, protocol in sorted(offered - opened - {(7000, "TCP")}):
                yield f"{called(item)} keeps {protocol} {number} of {called(workload)} closed to everybody"


def _ports(workload: Object) -> list[dict[str, Any]]:
    return [port for container in workload["spec"]["template"]["spec"]["containers"] for port in container.get("ports", [])]


def references(found: Installation) -> Iterator[str]:
    """Each Secret and ConfigMap that a pod mounts is declared, and so is each key that its environment reads from there."""
    for item, template, container in found.workloads():
        volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
        mounts = {mount["mountPath"]: volumes.get(mount["name"]) for mount in container.get("volumeMounts", [])}
        for path, volume in mounts.items():
            if volume is None:
                yield f"{called(item)} mounts a volume at {path} that it doesn't have"
        for variable in container.get("env", []):
            value = variable.get("value", "")
            if not value.startswith("/etc/"):
                continue
            folder, _, key = value.rpartition("/")
            volume = mounts.get(folder)
            if volume is None and any(value.startswith(f"{path}/") for path, other in mounts.items() if other and _operators_own(other)):
                continue
            if volume is None:
                yield f"{called(item)}: {variable['name']} names {value}, and nothing is mounted there"
            elif key not in _declared(item, volume) and not _operators_own(volume):
                yield f"{called(item)}: {variable['name']} reads the key {key}, which {_source(volume)} isn't declared to have"
        for volume in volumes.values():
            if _source(volume) and not _declared(item, volume) and not _operators_own(volume):
                yield f"{called(item)} mounts {_source(volume)}, which nobody makes"


def _operators_own(volume: dict[str, Any]) -> bool:
    """What the operator fills, and what stands in it only they know: a detection model."""
    return bool(volume["name"] == "detector")


def _source(volume: dict[str, Any]) -> str:
    return str(volume.get("secret", {}).get("secretName") or volume.get("configMap", {}).get("name") or "")


def _declared(item: Object, volume: dict[str, Any]) -> frozenset[str]:
    installation = item["metadata"]["labels"]["app.kubernetes.io/instance"]
    service = item["metadata"]["labels"]["app.kubernetes.io/name"]
    name = _source(volume).removeprefix(f"{installation}-")
    if name == service:
        return SERVICE_KEYS | EXTRA_SERVICE_KEYS.get(service, frozenset())
    return DECLARED_KEYS.get(name, frozenset())


def autoscalers(found: Installation) -> Iterator[str]:
    """An autoscaler's target exists and leaves its number of pods to it."""
    workloads = {(item["kind"], item["metadata"]["name"]): item for item, _, _ in found.workloads()}
    for item in found.of("HorizontalPodAutoscaler"):
        spec = item["spec"]
        target = workloads.get((spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]))
        if target is None:
            yield f"{called(item)} scales nothing"
        elif "replicas" in target["spec"]:
            yield f"{called(item)} and {called(target)} both say how many"
        if spec["minReplicas"] > spec["maxReplicas"]:
            yield f"{called(item)}: minReplicas is above maxReplicas"


def call_graph(found: Installation) -> Iterator[str]:
    """What one may call, the other lets in, and the other way round; and each has a policy of its own."""
    policies = {
        item["metadata"]["labels"].get("app.kubernetes.io/name"): item for item in found.of("NetworkPolicy") if item["spec"].get("egress")
    }
    leaving, entering = set(), set()
    for service, item in policies.items():
        leaving |= {(service, peer) for peer in _peers(item, "egress", "to")}
        entering |= {(peer, service) for peer in _peers(item, "ingress", "from")}
    present = {item["metadata"]["labels"]["app.kubernetes.io/name"] for item, _, _ in found.workloads()}
    for caller, target in sorted(leaving - entering):
        if target in present:
            yield f"{caller} may call {target}, but {target} lets {caller} not in: calledBy in its values.yaml"
    for caller, target in sorted(entering - leaving):
        if caller in present:
            yield f"{target} lets {caller} in, but {caller} may not call it: calls in its values.yaml"
    for service in sorted(present - set(policies)):
        yield f"{service} has no NetworkPolicy of its own"


def _peers(policy: Object, direction: str, side: str) -> set[str]:
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for rule in policy["spec"].get(direction, [])
        for peer in rule.get(side, [])
        if "namespaceSelector" not in peer and "app.kubernetes.io/name" in peer.get("podSelector", {}).get("matchLabels", {})
    }


def hardening(found: Installation) -> Iterator[str]:
    """Pod Security `restricted`, read-only root, no wandering tags, bounded resources, no token that isn't needed."""
    for item, template, container in found.workloads():
        pod, context = template["spec"], container.get("securityContext", {})
        image = container["image"]
        wanted = {
            "runs as root": pod.get("securityContext", {}).get("runAsNonRoot") is True,
            "has no seccomp profile": pod.get("securityContext", {}).get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "may escalate": context.get("allowPrivilegeEscalation") is False,
            "is privileged": not context.get("privileged"),
            "keeps capabilities": context.get("capabilities", {}).get("drop") == ["ALL"] and not context["capabilities"].get("add"),
            "has a writable root": context.get("readOnlyRootFilesystem") is True,
            "shares the node's namespaces": not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")),
            "mounts the node's files": not any("hostPath" in volume for volume in pod.get("volumes", [])),
            f"has an image without a firm tag ({image})": "@" in image
            or (":" in image.rsplit("/", 1)[-1] and not image.endswith(":latest")),
            "says nothing about its resources": all(
                amount in container.get("resources", {}).get(side, {}) for side in ("requests", "limits") for amount in ("cpu", "memory")
            ),
            "takes a Kubernetes token without need": pod.get("automountServiceAccountToken") is False
            or item["metadata"]["labels"]["app.kubernetes.io/name"] == "operator",
        }
        for problem, holds in wanted.items():
            if not holds:
                yield f"{called(item)} {problem}"
        for volume in pod.get("volumes", []):
            if "secret" in volume and volume["secret"].get("defaultMode", 0o644) & 0o007:
                yield f"{called(item)}: the files of {_source(volume)} are readable by everybody in the pod"
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                yield f"{called(item)}: {variable['name']} puts a secret into the environment; mount it and name its file"


def secrets_stay_out(found: Installation) -> Iterator[str]:
    """Charts make no Secret: their values would stand in Helm's history."""
    for item in found.of("Secret"):
        yield f"{called(item)} is made by a chart"


RULES: tuple[Callable[[Installation], Iterator[str]], ...] = (
    names, selectors, ports, references, autoscalers, call_graph, hardening, secrets_stay_out,
)  # fmt: skip


def broken(objects: Iterable[Object]) -> list[str]:
    """All that is wrong with the objects of one release."""
    found = Installation(objects)
    return [problem for rule in RULES for problem in rule(found)]
