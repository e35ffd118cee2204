"""Structural schemas as the API server uses them: prune what isn't named, fill defaults, validate (CRD documentation)."""

import copy
from typing import Any

import jsonschema


def admitted(schema: dict[str, Any], item: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(the object as it would be stored, what is wrong with it)."""
    tidy = copy.deepcopy(item)
    for name in ("spec", "status"):
        if name in tidy:
            tidy[name] = _defaulted(schema["properties"][name], _pruned(schema["properties"][name], tidy[name]))
    checker = jsonschema.Draft7Validator(_plain(schema), format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER)
    problems = [f"{'.'.join(map(str, error.path))}: {error.message}" for error in checker.iter_errors(tidy)]
    return tidy, [*problems, *_repeated(schema, tidy, "")]


def _pruned(schema: dict[str, Any], value: Any) -> Any:
    if isinstance(value, dict) and "properties" in schema:
        return {key: _pruned(schema["properties"][key], entry) for key, entry in value.items() if key in schema["properties"]}
    if isinstance(value, list) and "items" in schema:
        return [_pruned(schema["items"], entry) for entry in value]
    return value


def _defaulted(schema: dict[str, Any], value: Any) -> Any:
    if isinstance(value, dict):
        for key, below in schema.get("properties", {}).items():
            if key not in value and "default" in below:
                value[key] = copy.deepcopy(below["default"])
            if key in value:
                value[key] = _defaulted(below, value[key])
    elif isinstance(value, list) and "items" in schema:
        return [_defaulted(schema["items"], entry) for entry in value]
    return value


def _plain(schema: Any) -> Any:
    """Without what only Kubernetes knows. Numbers of JSON Schema's integer may be 1.0, as in the API server."""
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    return [_plain(entry) for entry in schema] if isinstance(schema, list) else schema


def _repeated(schema: dict[str, Any], value: Any, path: str) -> list[str]:
    """x-kubernetes-list-type: an entry of a set, a key of a map, stands once."""
    found = []
    if isinstance(value, dict):
        for key, below in schema.get("properties", {}).items():
            if key in value:
                found += _repeated(below, value[key], f"{path}.{key}")
    elif isinstance(value, list):
        kind = schema.get("x-kubernetes-list-type")
        keys = (
            value
            if kind == "set"
            else [[entry[key] for key in schema["x-kubernetes-list-map-keys"]] for entry in value]
            if kind == "map"
            else []
        )
        if any(keys.count(key) > 1 for key in keys):
            found.append(f"{path}: Duplicate value")
    return found
