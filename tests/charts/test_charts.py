"""`./rtcc charts` holds, and says what is wrong when it doesn't."""

import shutil
from pathlib import Path

import pytest

from rtcc_standalone.kubernetes.rendering import Object
from rtcc_standalone.kubernetes.verification import charts, scan


@pytest.fixture
def copied(root: Path, tmp_path: Path) -> Path:
    """The charts in a checkout of their own, with this one's tools."""
    shutil.copytree(root / "charts", tmp_path / "charts", symlinks=True)
    shutil.copytree(root / "infra" / "tools", tmp_path / "infra" / "tools")
    (tmp_path / ".tools").symlink_to(root / ".tools")
    return tmp_path


@pytest.mark.timeout(400)
def test_both_helms_three_kubernetes_and_trivy_find_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert charts(root, fast=False, write=False) == 0, capsys.readouterr().out


def test_a_change_that_was_not_rendered_is_named(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = copied / "charts" / "exchange" / "values.yaml"
    values.write_text(values.read_text() + "\nterminationGracePeriodSeconds: 90\n")
    assert charts(copied, fast=True, write=False) == 1
    assert "consortium: rendered/exchange.yaml is not what the charts give now" in capsys.readouterr().out
    assert charts(copied, fast=True, write=True) == 0
    assert charts(copied, fast=True, write=False) == 0


def test_a_setting_that_the_code_doesnt_know_is_named(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = copied / "charts" / "intake" / "values.schema.json"
    schema.write_text(schema.read_text().replace('"call_list_h"', '"call_list_hours"'))
    assert charts(copied, fast=True, write=False) == 1
    assert "charts/intake/values.schema.json is not what the code says" in capsys.readouterr().out


@pytest.mark.timeout(400)
def test_trivy_finds_what_is_open(root: Path, consortium: list[Object]) -> None:
    for item in consortium:
        if item["kind"] == "Deployment":
            item["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] = False
    found = list(scan(root, consortium))
    assert any(problem.startswith("trivy: gateway.yaml: KSV") and "readOnlyRootFilesystem" in problem for problem in found), found
