"""Dashboards, alert rules and the page that explains them: well-formed, alike, and complete."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from rtcc_standalone.development.dashboards import written

ROOT = Path(__file__).parents[2]
TELEMETRY = ROOT / "infra" / "telemetry"
PAGE = ROOT / "docs" / "operations" / "telemetry.md"
RULES = [rule for group in yaml.safe_load((TELEMETRY / "rules" / "rtcc.yaml").read_text())["groups"] for rule in group["rules"]]
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((TELEMETRY / "dashboards").glob("*.json"))}


def queries() -> list[tuple[str, str]]:
    """(where it stands, PromQL)."""
    found = [(f"rule {rule['alert']}", rule["expr"]) for rule in RULES]
    for name, board in DASHBOARDS.items():
        found += [(f"{name}: {panel['title']}", target["expr"]) for panel in board["panels"] for target in panel["targets"]]
    return found


@pytest.mark.parametrize(("where", "query"), queries(), ids=lambda value: value[:40])
def test_each_query_is_promql(where: str, query: str) -> None:
    promql_parser.parse(query)


def test_a_wrong_query_would_be_found() -> None:
    with pytest.raises(ValueError):
        promql_parser.parse("sum by (method (rate(rtcc_rpc_seconds_count[5m]))")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_rule_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["action"].partition("#")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-") for line in PAGE.read_text().splitlines() if line[:1] == "#"
    }
    assert (page, anchor) == ("docs/operations/telemetry.md", rule["alert"].lower())
    assert anchor in headings


def test_what_must_raise_an_alarm_does() -> None:
    # R11, R14, R24 by their number
    assert {rule["labels"].get("requirement") for rule in RULES} >= {"R11", "R14", "R24"}
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_dashboards_are_what_the_generator_writes() -> None:
    """python -m rtcc_standalone.development.dashboards"""
    committed = {path.name: path.read_text() for path in (TELEMETRY / "dashboards").glob("*.json")}
    assert committed == written()


def test_each_service_has_its_dashboard() -> None:
    services = {path.name for path in (ROOT / "charts").iterdir() if (path / "Chart.yaml").is_file()} - {
        "service",
        "rtcc",
        "agency",
        "console",
    }
    assert services <= set(DASHBOARDS)
    for board in DASHBOARDS.values():
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
        assert len(set(places)) == len(places)


def test_the_page_lists_each_metric_of_the_code_and_no_other() -> None:
    defined = set()
    for path in (ROOT / "services").glob("*/rtcc_*/**/*.py"):
        found = re.findall(r'\b(Counter|Gauge|Histogram)\(\s*"(rtcc_[a-z0-9_]+)"', path.read_text())
        defined |= {f"{name.removesuffix('_total')}_total" if kind == "Counter" else name for kind, name in found}
    listed = set(re.findall(r"^\| `(rtcc_[a-z0-9_]+)`", PAGE.read_text(), re.M))
    assert defined - listed == set(), "not in docs/operations/telemetry.md"
    assert listed - defined == set(), "in docs/operations/telemetry.md but not in the code"


def test_the_collector_s_pipelines_use_what_is_configured() -> None:
    config = yaml.safe_load((TELEMETRY / "collector.yaml").read_text())
    for name, pipeline in config["service"]["pipelines"].items():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(config[part]), name
    assert set(config["service"]["extensions"]) <= set(config["extensions"])
