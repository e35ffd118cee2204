"""The CustomResourceDefinitions: structural, and they let in what we show and keep out what can't be carried out."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proof.kubernetes_api import custom_resources
from proof.structural import admitted
from rtcc_chassis.errors import InvalidInput
from rtcc_operator.domain.resources import InvalidResource, agency_spec, agreement_of
from rtcc_registry.domain.people import checked_agency

EXAMPLES = Path(__file__).parents[1] / "examples"
SCHEMAS = {crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for crd in custom_resources().values()}


def examples() -> list[dict[str, Any]]:
    return [item for path in sorted(EXAMPLES.glob("*.yaml")) for item in yaml.safe_load_all(path.read_text())]


def _example(kind: str) -> dict[str, Any]:
    return copy.deepcopy(next(item for item in examples() if item["kind"] == kind))


def _nodes(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, below in schema.get("properties", {}).items():
        found += _nodes(below, f"{path}.{name}")
    if "items" in schema:
        found += _nodes(schema["items"], f"{path}[]")
    return found


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_each_schema_is_structural(kind: str) -> None:
    # CRD documentation, "Specifying a structural schema": a type at each node, no references, bounded lists and texts
    for path, node in _nodes(SCHEMAS[kind]):
        assert "type" in node, path
        assert not {"$ref", "definitions", "additionalProperties", "patternProperties", "uniqueItems"} & set(node), path
        assert set(node.get("required", ())) <= set(node.get("properties", ())), path
        if ".spec" in path and node["type"] == "array":
            assert "maxItems" in node, path
        if ".spec" in path and node["type"] == "string":
            assert "maxLength" in node or "format" in node, path
        if "default" in node and node["type"] != "object":
            assert not admitted({"type": "object", "properties": {"spec": {"type": "object", "properties": {"x": node}}}}, {"spec": {}})[1]


def test_each_definition_has_a_status_and_columns_that_point_somewhere() -> None:
    for plural, crd in custom_resources().items():
        assert crd["metadata"]["name"] == f"{plural}.{crd['spec']['group']}"
        (version,) = crd["spec"]["versions"]
        assert version["subresources"] == {"status": {}}
        paths = {path for path, _ in _nodes(version["schema"]["openAPIV3Schema"])}
        for column in version["additionalPrinterColumns"]:
            bare = column["jsonPath"].split("[?")[0]
            assert bare in paths or bare == ".metadata.creationTimestamp", column
        conditions = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["conditions"]
        assert conditions["x-kubernetes-list-map-keys"] == ["type"]


@pytest.mark.parametrize("item", examples(), ids=lambda item: item["metadata"]["name"])
def test_our_examples_are_valid_and_can_be_carried_out(item: dict[str, Any]) -> None:
    stored, problems = admitted(SCHEMAS[item["kind"]], item)
    assert not problems
    if item["kind"] == "Agency":
        spec = agency_spec(stored)
        assert checked_agency(spec.agency).agency_id == item["metadata"]["name"]
    else:
        assert agreement_of(stored).alert_kinds == item["spec"]["alertKinds"]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Agency", {"name": ""}),
        ("Agency", {"name": 5}),
        ("Agency", {"firstAdministrator": {"login": "x"}}),
        ("Agency", {"firstAdministrator": {"login": "Has Space", "displayName": "X"}}),
        ("Agency", {"jurisdiction": "California"}),
        ("Agency", {"barredReceivers": ["everybody"]}),
        ("Agency", {"barredReceivers": ["federal", "federal"]}),
        ("Agency", {"area": [{"latitude": 91, "longitude": 0}] * 3}),
        ("Agency", {"bus": {"connectionsMost": 0}}),
        ("Agency", {"objects": {"quotaBytes": -1}}),
        ("SharingAgreement", {"grantor": "Harbor City"}),
        ("SharingAgreement", {"validUntil": 5}),
        ("SharingAgreement", {"alertKinds": ["plate_hit", "plate_hit"]}),
        ("SharingAgreement", {"purposes": ["Two Words"]}),
    ],
)
def test_what_can_not_be_carried_out_is_not_let_in(kind: str, change: dict[str, Any]) -> None:
    item = _example(kind)
    item["spec"] |= change
    assert admitted(SCHEMAS[kind], item)[1]


def test_what_is_unknown_is_pruned_and_defaults_are_filled() -> None:
    item = _example("Agency")
    item["spec"]["secretDoor"] = True
    stored, problems = admitted(SCHEMAS["Agency"], item)
    assert not problems
    assert "secretDoor" not in stored["spec"]
    assert stored["spec"]["bus"] == {"connectionsMost": 1000, "payloadBytesMost": 1048576, "subscriptionsMost": 10000}
    assert stored["spec"]["suspended"] is False


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_fields = sorted({name for schema in SCHEMAS.values() for name in schema["properties"]["spec"]["properties"]})


@given(spec=_json | st.dictionaries(st.sampled_from(_fields), _json, max_size=6), name=_json)
@settings(max_examples=300)
def test_any_resource_is_read_or_refused_with_a_reason(spec: Any, name: Any) -> None:
    """Were the schema replaced by a laxer one, a resource still can't bring the controller down."""
    for read in (agency_spec, agreement_of):
        try:
            read({"metadata": {"name": name, "generation": 1}, "spec": spec})
        except (InvalidResource, InvalidInput) as error:
            assert error.message
