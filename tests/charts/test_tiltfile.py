"""The Tiltfile, evaluated: real Starlark, Tilt's builtins recorded, what it names held against charts and code."""

from pathlib import Path
from typing import Any

import pytest
import starlark

from rtcc_standalone.kubernetes.images import image_services
from rtcc_standalone.kubernetes.rendering import Object, render

type Calls = list[tuple[str, tuple[Any, ...], dict[str, Any]]]


def _evaluated(root: Path, helm: Path, own_values: dict[str, Any]) -> tuple[Calls, list[Object]]:
    """The calls in order, and what its `helm` renders."""
    calls: Calls = []
    rendered: list[Object] = []
    module = starlark.Module()

    def recorded(name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            calls.append((name, arguments, named))
            if name == "read_yaml":
                return own_values
            if name == "helm":
                existing = [root / value for value in named["values"] if value != "tilt-values.yaml"]
                rendered.extend(
                    render(helm, root / arguments[0], existing, release=named["name"], namespace=named["namespace"], settings=named["set"])
                )
                return "rendered"
            return None

        return call

    for name in ("allow_k8s_contexts", "read_yaml", "k8s_yaml", "helm", "custom_build", "k8s_resource", "local_resource"):
        module.add_callable(name, recorded(name))
    dialect = starlark.Dialect.extended()
    dialect.enable_top_level_stmt = True
    text = (root / "Tiltfile").read_text()
    starlark.eval(module, starlark.parse("Tiltfile", text, dialect), starlark.Globals.standard())
    return calls, rendered


@pytest.mark.parametrize("own_values", [{}, {"gateway": {}}])
def test_each_service_is_built_from_its_own_sources_and_deployed(root: Path, helm: Path, own_values: dict[str, Any]) -> None:
    calls, rendered = _evaluated(root, helm, own_values)
    builds = {arguments[0]: (arguments[1], named) for name, arguments, named in calls if name == "custom_build"}
    deployments = {item["metadata"]["name"]: item for item in rendered if item["kind"] == "Deployment"}
    images = {item["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[0] for item in deployments.values()}
    assert set(builds) == images
    assert {image.rpartition("/")[2] for image in builds} == set(image_services(root))
    for image, (command, named) in builds.items():
        assert command.startswith("./rtcc images ") and command.endswith(f" {image.rpartition('/')[2]}")
        assert all((root / path).exists() for path in named["deps"]), image
    resources = [arguments[0] for name, arguments, _ in calls if name == "k8s_resource"]
    assert set(resources) == set(deployments)
    (chart,) = [named for name, _, named in calls if name == "helm"]
    assert ("tilt-values.yaml" in chart["values"]) == bool(own_values)


def test_it_refuses_contexts_that_are_not_local(root: Path, helm: Path) -> None:
    calls, _ = _evaluated(root, helm, {})
    name, arguments, _ = calls[0]
    assert name == "allow_k8s_contexts"
    assert all(context.startswith(("kind-", "k3d-", "minikube", "docker-desktop")) for context in arguments[0])
