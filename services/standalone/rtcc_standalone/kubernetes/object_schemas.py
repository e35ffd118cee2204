"""Strict schemas for every object: Kubernetes' own out of kubernetes-validate, ours out of the CRDs. No schema is a failure."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import jsonschema
from kubernetes_validate import utils
from referencing import Registry, Resource

from rtcc_standalone.kubernetes.rendering import Object, called


def newest_kubernetes() -> str:
    """The newest version of which there are schemas: "1.37"."""
    return str(utils.major_minor(utils.latest_version()))


def violations(objects: Iterable[Object], crds: Iterable[Object], kubernetes: str) -> list[str]:
    """What the schemas of this Kubernetes version and of our CRDs don't allow."""
    own = {key: schema for crd in crds for key, schema in _schemas_of(crd)}
    found = []
    for item in objects:
        validator = own.get((item["apiVersion"], item["kind"])) or _validator(item["apiVersion"], item["kind"], kubernetes)
        if validator is None:
            found.append(f"{called(item)}: Kubernetes {kubernetes} has no {item['apiVersion']} {item['kind']}, and no CRD of ours does")
            continue
        for error in validator.iter_errors(item):
            found.append(f"{called(item)}: {'.'.join(str(part) for part in error.absolute_path) or 'object'}: {error.message}")
    return found


def _schemas_of(crd: Object) -> Iterable[tuple[tuple[str, str], Any]]:
    spec = crd["spec"]
    for version in spec["versions"]:
        schema = _closed(version["schema"]["openAPIV3Schema"])
        # every object has these, the API server checks them itself
        schema["properties"] = {**schema.get("properties", {}), **{name: {} for name in ("apiVersion", "kind", "metadata")}}
        yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), jsonschema.Draft202012Validator(schema)


def _closed(schema: Any) -> Any:
    """A copy in which unknown fields are errors: the API server drops them silently, and a typo would be lost."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if "properties" in schema and isinstance(schema["properties"], dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


@lru_cache
def _registry(folder: str) -> Any:
    definitions = utils.schema_contents(f"kubernetes-json-schema/{folder}/_definitions.json", folder)
    return Resource.from_contents(definitions) @ Registry()


@lru_cache
def _validator(api_version: str, kind: str, kubernetes: str) -> Any:
    known = [version for version in utils.all_versions() if utils.major_minor(version) == kubernetes]
    if not known:
        raise utils.VersionNotSupportedError(version=kubernetes)
    folder = f"v{known[-1]}-local-strict"
    group, _, version = api_version.rpartition("/")
    prefix = f"{group.split('.')[0]}-{version}" if group else version
    try:
        schema = utils.schema_contents(f"kubernetes-json-schema/{folder}/{kind.lower()}-{prefix}.json", kubernetes)
    except FileNotFoundError:
        return None
    return jsonschema.Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _registry(folder))
