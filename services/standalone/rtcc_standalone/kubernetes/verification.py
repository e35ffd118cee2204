"""`./rtcc charts`: the examples rendered by every Helm for every Kubernetes we name, and everything that can be said about the result
without a cluster."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from rtcc_standalone.kubernetes import rules
from rtcc_standalone.kubernetes.object_schemas import newest_kubernetes, violations
from rtcc_standalone.kubernetes.rendering import CHARTS, EXAMPLES, Object, RenderError, render, text_of
from rtcc_standalone.kubernetes.tools import tool
from rtcc_standalone.kubernetes.values_schemas import outdated_schemas, services, write_schemas
from rtcc_standalone.terminal import say

OLD_KUBERNETES = ("1.31", "1.34")


@dataclass(frozen=True)
class Release:
    """One `helm install` of an example: the platform, or one agency's resources. The paths are relative to the checkout."""

    chart: Path
    values: Path
    name: str
    namespace: str


def examples(root: Path) -> list[Path]:
    return sorted(path.parent for path in (root / EXAMPLES).glob("*/values.yaml"))


def releases(root: Path, example: Path) -> list[Release]:
    """The platform first, then its agencies."""
    values = yaml.safe_load((example / "values.yaml").read_text())
    name = values.get("global", {}).get("installation", "rtcc")
    found = [Release(root / CHARTS / "rtcc", example / "values.yaml", name, name)]
    found += [Release(root / CHARTS / "agency", path, path.stem, name) for path in sorted((example / "agencies").glob("*.yaml"))]
    return found


def rendered(helm: Path, root: Path, example: Path, kubernetes: str) -> list[Object]:
    """All objects of an example."""
    return [
        item
        for release in releases(root, example)
        for item in render(
            helm, release.chart, [release.values], release=release.name, namespace=release.namespace, kubernetes=f"{kubernetes}.0"
        )
    ]


def crds(root: Path) -> list[Object]:
    """Our own kinds."""
    return [item for path in sorted((root / CHARTS).glob("*/crds/*.yaml")) for item in yaml.safe_load_all(path.read_text()) if item]


def by_file(objects: list[Object]) -> dict[str, str]:
    """What is committed below an example's `rendered/`: a file for each service, and one for what belongs to none."""
    groups: dict[str, list[Object]] = {}
    for item in objects:
        name = item["metadata"].get("labels", {}).get("app.kubernetes.io/name", "installation")
        if item["kind"] != "CustomResourceDefinition":  # they stand in the chart, word for word
            groups.setdefault(f"{name}.yaml", []).append(item)
    return {name: text_of(group) for name, group in groups.items()}


def charts(root: Path, *, fast: bool, write: bool) -> int:
    """Exit code 0: all holds. `fast`: one Helm, the newest Kubernetes, no Trivy. `write`: schemas and rendered examples anew."""
    if write:
        for path in write_schemas(root):
            say(f"written {path.relative_to(root)}")
    problems = outdated_schemas(root)
    try:
        problems += _check_examples(root, fast=fast, write=write)
        if not fast:
            problems += _lint(root)
    except RenderError as error:
        problems.append(str(error))
    for problem in problems:
        say(f"  {problem}")
    say(f"{len(problems)} problems" if problems else "the charts hold")
    return 1 if problems else 0


def _check_examples(root: Path, *, fast: bool, write: bool) -> Iterator[str]:
    newest = newest_kubernetes()
    ours = crds(root)
    for example in examples(root):
        objects = rendered(tool(root, "helm4"), root, example, newest)
        say(f"{example.name}: {len(objects)} objects of {len(releases(root, example))} releases")
        yield from (f"{example.name}: {problem}" for problem in _compare(example, by_file(objects), write=write))
        yield from (f"{example.name}: {problem}" for problem in rules.broken(objects))
        yield from (f"{example.name}, Kubernetes {newest}: {problem}" for problem in violations(objects, ours, newest))
        if not fast:
            yield from (f"{example.name}: {problem}" for problem in _check_versions(root, example, objects, newest))
            yield from (f"{example.name}: {problem}" for problem in scan(root, objects))


def _check_versions(root: Path, example: Path, objects: list[Object], newest: str) -> Iterator[str]:
    """Each Helm gives the same for each Kubernetes, and each Kubernetes takes it."""
    ours = crds(root)
    for kubernetes in (*OLD_KUBERNETES, newest):
        for helm in ("helm3", "helm4"):
            if rendered(tool(root, helm), root, example, kubernetes) != objects:
                yield f"{helm} renders for Kubernetes {kubernetes} something else than helm4 for {newest}"
        yield from (f"Kubernetes {kubernetes}: {problem}" for problem in violations(objects, ours, kubernetes))
        say(f"{example.name}: Helm 3 and Helm 4 agree, Kubernetes {kubernetes} knows every field")


def _compare(example: Path, wanted: dict[str, str], *, write: bool) -> Iterator[str]:
    folder = example / "rendered"
    present = {path.name: path for path in folder.glob("*.yaml")}
    if write:
        folder.mkdir(exist_ok=True)
        for name, text in wanted.items():
            (folder / name).write_text(text)
        for name in present.keys() - wanted.keys():
            present[name].unlink()
        return
    for name in sorted(wanted.keys() | present.keys()):
        if name not in present or name not in wanted or present[name].read_text() != wanted[name]:
            yield f"rendered/{name} is not what the charts give now: look at the change, then ./rtcc charts --write"


def scan(root: Path, objects: list[Object]) -> Iterator[str]:
    """Trivy's misconfiguration checks (those in the program: nothing is fetched) at zero HIGH and CRITICAL."""
    with tempfile.TemporaryDirectory(prefix="rtcc-charts-") as folder:
        for name, text in by_file(objects).items():
            (Path(folder) / name).write_text(text)
        command = [
            str(tool(root, "trivy")), "config", "--quiet", "--skip-check-update", "--skip-version-check", "--severity", "HIGH,CRITICAL",
            "--format", "json", "--cache-dir", f"{folder}/.cache", folder,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield f"trivy ended with {done.returncode}: {done.stderr.strip()}"
        return
    results = json.loads(done.stdout).get("Results", [])
    checked = sum(result.get("MisconfSummary", {}).get("Successes", 0) for result in results)
    if not checked:
        yield "trivy checked nothing"
    for result in results:
        for finding in result.get("Misconfigurations", []):
            yield f"trivy: {result['Target']}: {finding['ID']} {finding['Severity']} {finding['Message']}"
    say(f"trivy: {checked} checks passed")


def _lint(root: Path) -> Iterator[str]:
    """`helm lint --strict` of the umbrella with each example, and of each thin chart with what only an installation can say."""
    least = ["--set", "global.image.repository=registry.example/openrtcc", "--set", "global.origin=https://rtcc.example"]
    runs = [(root / CHARTS / "rtcc", ["--values", str(example / "values.yaml")]) for example in examples(root)]
    runs += [(root / CHARTS / name, least) for name in services(root)]
    for helm in ("helm3", "helm4"):
        for chart, arguments in runs:
            command = [str(tool(root, helm)), "lint", "--strict", "--quiet", str(chart), *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                yield f"{helm} lint {chart.name}:\n{done.stdout.strip()}"
