"""The rules that stand as options in the contracts: read once, used by the interceptor, the gateway and the isolation tests."""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import Message

import rtcc
from rtcc.contract.v1 import contract_pb2
from rtcc_chassis.errors import RtccError


class UnguardedMethod(RtccError):
    """A method without the option `rtcc.contract.v1.call`: it is never served."""

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} has no (rtcc.contract.v1.call) option: nobody knows who may call it.")


@dataclass(frozen=True, slots=True)
class CallRule:
    """One method: `path` is "/rtcc.registry.v1.RegistryService/ListCameras"; `service` the area ("registry")."""

    path: str
    service: str
    method: str
    action: str
    http_method: str
    http_path: str
    purpose_required: bool
    privileged: bool
    audit: int
    audience: int
    object_field: str
    request_type: type[Message]
    response_type: type[Message]
    client_streaming: bool
    server_streaming: bool

    @property
    def object_kind(self) -> str:
        """The word before the dot of the action: "camera"."""
        return self.action.split(".")[0]

    def object_id(self, request: object) -> str:
        """The id that the request names ("" when it names none)."""
        value: Any = request
        for part in self.object_field.split(".") if self.object_field else ():
            value = getattr(value, part, "")
        return value if isinstance(value, str) else ""


@cache
def all_rules() -> dict[str, CallRule]:
    """Every method of every rtcc.<area>.v1 service, by path."""
    rules: dict[str, CallRule] = {}
    for module in _contract_modules():
        for service in module.services_by_name.values():
            for method in service.methods:
                rule = _rule(service.full_name, method)
                rules[rule.path] = rule
    return rules


def rule_of(path: str) -> CallRule:
    """The rule of one method; KeyError for a path of no contract."""
    return all_rules()[path]


def _contract_modules() -> list[FileDescriptor]:
    found = []
    for package in pkgutil.walk_packages(rtcc.__path__, "rtcc."):
        if package.name.endswith("_pb2"):
            found.append(importlib.import_module(package.name).DESCRIPTOR)
    if not found:
        found = [importlib.import_module(name).DESCRIPTOR for name in _modules_of_namespace()]
    return found


def _modules_of_namespace() -> list[str]:
    from pathlib import Path

    names = set()
    for root in rtcc.__path__:
        for path in Path(root).rglob("*_pb2.py"):
            names.add("rtcc." + ".".join(path.relative_to(root).with_suffix("").parts))
    return sorted(names)


def _rule(service_name: str, method: MethodDescriptor) -> CallRule:
    if not method.GetOptions().HasExtension(contract_pb2.call):
        raise UnguardedMethod(method.full_name)
    call = method.GetOptions().Extensions[contract_pb2.call]
    verb, _, path = call.http.partition(" ")
    request_type = message_factory.GetMessageClass(method.input_type)
    _check_object_field(method.full_name, call.object_field, request_type)
    return CallRule(
        path=f"/{service_name}/{method.name}",
        service=service_name.split(".")[1],
        method=method.name,
        action=call.action,
        http_method=verb,
        http_path=path,
        purpose_required=call.purpose_required,
        privileged=call.privileged,
        audit=call.audit,
        audience=call.audience,
        object_field=call.object_field,
        request_type=request_type,
        response_type=message_factory.GetMessageClass(method.output_type),
        client_streaming=method.client_streaming,
        server_streaming=method.server_streaming,
    )


def _check_object_field(method: str, object_field: str, request_type: type[Message]) -> None:
    descriptor = cast(Descriptor | None, request_type.DESCRIPTOR)
    for part in object_field.split(".") if object_field else ():
        field = descriptor.fields_by_name.get(part) if descriptor is not None else None
        if field is None:
            raise UnguardedMethod(f"{method} (object_field {object_field} does not exist)")
        descriptor = cast(Descriptor, field.message_type) if field.type == FieldDescriptor.TYPE_MESSAGE else None
