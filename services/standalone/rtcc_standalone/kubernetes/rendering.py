"""Charts to objects by the real Helm, and objects to the text that is committed."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from rtcc_standalone.errors import StandaloneError

type Object = dict[str, Any]
CHARTS = Path("charts")
EXAMPLES = CHARTS / "examples"
_CLUSTER_WIDE_FIRST = ("Namespace", "CustomResourceDefinition")


class RenderError(StandaloneError):
    """Helm refused a chart or its values."""

    def __init__(self, chart: str, output: str) -> None:
        super().__init__(f"helm refuses {chart}:\n{output}")


def render(
    helm: Path,
    chart: Path,
    values: Sequence[Path] = (),
    *,
    release: str,
    namespace: str,
    kubernetes: str = "",
    settings: Sequence[str] = (),
) -> list[Object]:
    """The objects of one release. `settings`: key=value as `--set` takes them. Raises RenderError."""
    command: list[str] = [str(helm), "template", release, str(chart), "--namespace", namespace, "--include-crds"]
    for file in values:
        command += ["--values", str(file)]
    for setting in settings:
        command += ["--set", setting]
    if kubernetes:
        command += ["--kube-version", kubernetes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # the lines about links in charts/*/charts are Helm's habit and no news
        lines = [line for line in done.stderr.splitlines() if "symbolic link" not in line]
        raise RenderError(str(chart), "\n".join(lines))
    return ordered(item for item in yaml.safe_load_all(done.stdout) if item)


def ordered(objects: Iterable[Object]) -> list[Object]:
    """By kind and name: Helm 3 and Helm 4 print in different orders."""
    return sorted(objects, key=lambda item: (item["kind"] not in _CLUSTER_WIDE_FIRST, item["kind"], item["metadata"]["name"]))


def text_of(objects: Iterable[Object]) -> str:
    """As it is committed: one document an object, keys in the order of their names."""
    return "".join(f"---\n{yaml.safe_dump(item, width=140, allow_unicode=True)}" for item in objects)


def called(item: Object) -> str:
    """`Deployment rtcc-video`."""
    return f"{item['kind']} {item['metadata']['name']}"
