"""The call graph in the charts is the one in the code: whoever opens a channel may, and nobody else."""

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from rtcc_chassis.rpc import all_rules
from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.kubernetes.values_schemas import services

SERVICES = services(checkout_root())
# what a service given everything takes, and what one that wires itself does
_STORE_USES = {("ctx", "objects"), ("context", "objects"), ("Objects", "connect")}


def _trees(service: str) -> Iterator[tuple[Path, ast.Module]]:
    """The service's modules, and those of the chassis that it names (some make calls in its place)."""
    chassis: set[Path] = set()
    for path in sorted((checkout_root() / "services" / service / f"rtcc_{service}").rglob("*.py")):
        tree = ast.parse(path.read_text())
        yield path, tree
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rtcc_chassis."):
                chassis.add((checkout_root() / "services" / "chassis").joinpath(*node.module.split(".")).with_suffix(".py"))
    for path in sorted(chassis):
        if path.is_file():
            yield path, ast.parse(path.read_text())


def _channel_calls(service: str) -> Iterator[tuple[Path, ast.expr]]:
    """The first argument of each `.channels.stub(...)`, `channels.channel(...)` and so on."""
    for path, tree in _trees(service):
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("stub", "channel")):
                continue
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if name.lstrip("_") == "channels" and node.args:
                yield path, node.args[0]


@cache
def called_in_code(service: str) -> set[str]:
    """A literal name is that service; `rule.service` is every service whose calls have an HTTP route."""
    targets = set()
    for path, argument in _channel_calls(service):
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            targets.add(argument.value)
        elif isinstance(argument, ast.Attribute) and argument.attr == "service":
            targets |= {rule.service for rule in all_rules().values() if rule.http_path}
        else:
            pytest.fail(f"{path}:{argument.lineno}: whom does it call? The charts need a name that can be read")
    return targets - {service}


def _values(service: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = yaml.safe_load((checkout_root() / "charts" / service / "values.yaml").read_text())
    return values


@pytest.mark.parametrize("service", SERVICES)
def test_a_chart_lets_its_service_call_whom_the_code_calls(service: str) -> None:
    if importlib.util.find_spec(f"rtcc_{service}") is None:
        pytest.fail(f"charts/{service} has no code")
    assert set(_values(service)["calls"]) == called_in_code(service)


@pytest.mark.parametrize("service", SERVICES)
def test_a_chart_lets_in_who_calls(service: str) -> None:
    callers = {other for other in SERVICES if service in called_in_code(other)}
    assert set(_values(service)["calledBy"]) == callers


@pytest.mark.parametrize("service", SERVICES)
def test_a_chart_opens_the_object_store_to_those_who_use_it(service: str) -> None:
    own = checkout_root() / "services" / service
    uses = any(
        isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in _STORE_USES
        for path, tree in _trees(service)
        if path.is_relative_to(own)
        for node in ast.walk(tree)
    )
    assert _values(service).get("stores", {}).get("objects", False) == uses  # type: ignore[attr-defined] # the one mapping among lists


def test_every_service_has_a_chart() -> None:
    platform = checkout_root() / "services"
    workloads = {path.parent.parent.name for path in platform.glob("*/rtcc_*/service.py")}
    assert workloads <= set(SERVICES)
