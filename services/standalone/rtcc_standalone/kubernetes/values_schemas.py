"""Each thin chart's values.schema.json, made from the library's parts and the service's own settings class: what the code doesn't know
can't be set, and what it knows can."""

import dataclasses
import importlib
import inspect
import json
import re
import types
import typing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rtcc_chassis.settings import ChassisSettings
from rtcc_standalone.kubernetes.agency_schema import SCHEMA, agency_schema_text
from rtcc_standalone.kubernetes.rendering import CHARTS

# what the charts themselves set from their values and globals
GIVEN_BY_CHART = frozenset(
    [
        "database_url",
        "nats_url",
        "nats_user",
        "nats_password",
        "nats_credentials",
        "nats_authority",
        "s3_endpoint",
        "s3_access_key",
        "s3_secret_key",
        "s3_secure",
        "s3_authority",
        "s3_bucket_prefix",
        "rpc_listen",
        "rpc_addresses",
        "token_key_file",
        "token_trust_file",
        "tls_certificate_file",
        "tls_key_file",
        "tls_authority_file",
        "otlp_endpoint",
        "metrics_listen",
        "health_listen",
        "log_level",
        "mode",
        "stream_size_factor",
    ]
)
# per service: what its chart sets, or takes as `secretSettings`
_GIVEN_TO = {
    "alerting": {"console_origin", "sealing_secret"},
    "gateway": {"listen", "origin", "certificate_file", "certificate_key_file", "sealing_secret", "oidc_client_secret"},
    "video": {
        "media_listen",
        "public_addresses",
        "files_folder",
        "turn_secret",
        "evidence_key_file",
        "spool_folder",
        "cascade_listen",
        "relay_address",
        "detector_model_file",
        "detector_model_sha256",
        "detector_declaration_file",
    },
    "intake": {"cot_listen", "cot_certificate_file", "cot_key_file", "cot_authority_file"},
    "ledger": {"checkpoint_key_file"},
    "registry": {"sealing_secret"},
    "operator": {"namespace", "nats_operator_seed", "nats_platform_seed"},
}
# what only some services' charts have
_PARTS = (("door", "gateway"), ("media", "video"), ("detector", "video"), ("devices", "intake"), ("devices", "airspace"))
_SINGLE = ("airspace", "ledger", "exchange")
_LIBRARY = CHARTS / "service" / "values.schema.json"


def services(root: Path) -> list[str]:
    """Those with a thin chart."""
    return sorted(path.parent.name for path in (root / CHARTS).glob("*/Chart.yaml") if (path.parent / "charts" / "service").exists())


def schema_text(root: Path, service: str) -> str:
    """The whole schema of one thin chart."""
    library = json.loads((root / _LIBRARY).read_text())
    parts = {name: part for name, part in library["properties"].items() if name not in ("global", "settings")}
    definitions = {name: part for name, part in library["$defs"].items() if name not in ("detector", "devices", "door", "media")}
    if service in _SINGLE:
        parts["single"] = {"const": True}
        parts["replicas"] = {**parts["replicas"], "maximum": 1}
        parts["autoscaling"] = {**parts["autoscaling"], "properties": {"enabled": {"const": False}}}
    for part, owner in _PARTS:
        if service == owner:
            parts[part] = library["$defs"][part]
    schema = {
        "$schema": library["$schema"],
        "$comment": "Made by `./rtcc charts --write` from ../service/values.schema.json and the service's settings.py.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "global": {"type": "object", "description": "Strict in ../service/values.schema.json, which sees it wherever it was set."},
            "service": {"type": "object"},
            "settings": {"type": "object", "additionalProperties": False, "properties": _settings(service)},
            **parts,
        },
        "$defs": definitions,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schemas(root: Path) -> list[Path]:
    """Bring all up to date; the answer is which were not."""
    changed = []
    for path, text in _wanted(root).items():
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
            changed.append(path)
    return changed


def outdated_schemas(root: Path) -> list[str]:
    """Those that differ from what the code says now."""
    return [
        f"{path.relative_to(root)} is not what the code says: run ./rtcc charts --write"
        for path, text in _wanted(root).items()
        if not path.is_file() or path.read_text() != text
    ]


def _wanted(root: Path) -> dict[Path, str]:
    wanted = {root / CHARTS / service / "values.schema.json": schema_text(root, service) for service in services(root)}
    return {**wanted, root / SCHEMA: agency_schema_text(root)}


def settings_classes(service: str) -> list[type]:
    """The service's own settings and those of the chassis."""
    if find_spec(f"rtcc_{service}") is None or find_spec(f"rtcc_{service}.settings") is None:
        return [ChassisSettings]
    module = importlib.import_module(f"rtcc_{service}.settings")
    own = [
        item
        for item in vars(module).values()
        if isinstance(item, type)
        and dataclasses.is_dataclass(item)
        and item.__module__ == module.__name__
        and item.__name__.endswith("Settings")
    ]
    return [*own, ChassisSettings]


def _settings(service: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for cls in settings_classes(service):
        given = GIVEN_BY_CHART if cls is ChassisSettings else _GIVEN_TO.get(service, set())
        hints, remarks = typing.get_type_hints(cls), _remarks(cls)
        for item in dataclasses.fields(cls):
            if item.name not in given:
                remark = {"description": remarks[item.name]} if remarks.get(item.name) else {}
                found[item.name] = {**_type(hints[item.name]), **remark}
    return dict(sorted(found.items()))


def _type(hint: Any) -> dict[str, Any]:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
        origin = typing.get_origin(hint)
    if origin is tuple:
        return {"type": "array", "items": {"type": "string"}}
    if origin is dict:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if origin is typing.Literal:
        return {"enum": list(typing.get_args(hint))}
    return {"type": {bool: "boolean", int: "integer", float: "number"}.get(hint, "string")}


def _remarks(cls: type) -> dict[str, str]:
    """The comment above each field."""
    remarks: dict[str, str] = {}
    waiting: list[str] = []
    for line in inspect.getsource(cls).splitlines():
        text = line.strip()
        if text.startswith("#"):
            waiting.append(text.removeprefix("#").strip())
        elif match := re.match(r"([a-z_0-9]+)\s*:", text):
            remarks[match.group(1)] = " ".join(waiting)
            waiting = []
        else:
            waiting = []
    return remarks
