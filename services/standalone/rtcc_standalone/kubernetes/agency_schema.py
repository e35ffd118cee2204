"""The agency chart's values.schema.json, made from the definitions of the resources that it renders."""

import json
from pathlib import Path
from typing import Any

import yaml

from rtcc_standalone.kubernetes.rendering import CHARTS

SCHEMA = CHARTS / "agency" / "values.schema.json"
_DEFINITIONS = CHARTS / "operator" / "crds"
# what only an API server understands
_OF_THE_SERVER = ("default", "format")


def agency_schema_text(root: Path) -> str:
    """A mistake in an agency's values is told by Helm, with the same bounds that the API server has."""
    fields, terms = (_specification(root, name)["properties"] for name in ("agencies", "sharingagreements"))
    grantor = terms.pop("grantor")
    for name in ("barredReceivers", "barredPurposes", "soundAllowed"):
        fields[name] = {"anyOf": [{"type": "null"}, fields[name]]}
    for part, name in ((fields, "jurisdiction"), (fields["firstAdministrator"]["properties"], "email")):
        part[name] = {"anyOf": [{"const": ""}, part[name]]}
    fields["area"] = {"anyOf": [{"type": "array", "maxItems": 0}, fields["area"]]}
    agreement = {"type": "object", "additionalProperties": False, "required": ["grantee"], "properties": terms}
    fields |= {
        "id": grantor,
        "global": {"type": "object"},
        "agreements": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"},
            "additionalProperties": agreement,
        },
    }
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Made by `./rtcc charts --write` from the definitions in ../operator/crds.",
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "name", "firstAdministrator"],
        "properties": dict(sorted(fields.items())),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _specification(root: Path, name: str) -> Any:
    definition = yaml.safe_load((root / _DEFINITIONS / f"{name}.yaml").read_text())
    return _plain(definition["spec"]["versions"][-1]["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _plain(schema: Any) -> Any:
    """JSON Schema without Kubernetes' additions; unknown fields are errors."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(value) for key, value in schema.items() if not key.startswith("x-kubernetes") and key not in _OF_THE_SERVER}
    if isinstance(schema.get("properties"), dict):
        plain["additionalProperties"] = False
    return plain
