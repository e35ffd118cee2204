"""The command line and what stands behind its verbs for developers."""

import ast
import json
import os
import socket
import stat
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.cli import main, parser, passed_on
from rtcc_standalone.development.bench import UnknownBenchError, bench
from rtcc_standalone.development.generate import GenerationFailedError, generate
from rtcc_standalone.doctor import Finding, examine
from rtcc_standalone.folder import DataFolder
from rtcc_standalone.installation import open_installation
from rtcc_standalone.throwaway import unusual_ports

ROOT = checkout_root()
CONTRACT = """syntax = "proto3";
package rtcc.test.v1;
import "google/rpc/status.proto";
message Thing { string name = 1; google.rpc.Status status = 2; }
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """./rtcc as a module."""
    loader = SourceFileLoader("rtcc_script", str(ROOT / "rtcc"))
    spec = spec_from_loader("rtcc_script", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "words",
    [
        *(
            [verb]
            for verb in [
                "demo",
                "demo-links",
                "up",
                "down",
                "status",
                "doctor",
                "test",
                "check",
                "bench",
                "gen",
                "lock",
                "charts",
                "images",
                "secrets",
                "backup",
                "restore",
                "agency",
                "user",
                "ledger",
            ]
        ),
        ["agency", "add"],
        ["user", "add"],
        ["user", "enrol"],
        ["ledger", "verify"],
    ],
    ids=" ".join,
)
def test_every_verb_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert f"./rtcc {' '.join(words)}" in capsys.readouterr().out


def test_verbs_for_a_running_platform_tell_that_none_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--data", str(tmp_path / "none")]) == 1
    assert "holds no installation" in capsys.readouterr().err
    open_installation(tmp_path / "data")
    assert main(["agency", "add", "harbor", "Harbor", "--data", str(tmp_path / "data")]) == 1
    assert "./rtcc up" in capsys.readouterr().err
    assert main(["status", "--data", str(tmp_path / "data")]) == 3


def test_bad_port_is_refused_with_the_names_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["up", "--port", "door=80"])
    assert "gateway" in capsys.readouterr().err


def test_script_needs_nothing_newer_than_python_3_8() -> None:
    ast.parse((ROOT / "rtcc").read_text(), feature_version=(3, 8))
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(ast.parse((ROOT / "rtcc").read_text()))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert imported <= set(sys.stdlib_module_names)


def test_script_takes_no_unfit_python(script: ModuleType, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    assert script.usable(sys.executable)
    assert not script.usable(str(old))
    assert not script.usable(str(tmp_path / "absent"))


def test_script_tells_of_an_incomplete_clone(script: ModuleType) -> None:
    with pytest.raises(script.SetupError, match="complete clone"):
        script.digest(["absent.lock"])


def test_script_sets_up_again_when_the_lock_or_the_place_changed(script: ModuleType) -> None:
    wanted = {"lock": "1", "members": "2"}
    known = {"locks": {"requirements.lock": "1"}, "members": "2", "root": script.ROOT}
    assert script.up_to_date("requirements.lock", wanted, known)
    assert not script.up_to_date("requirements.lock", {**wanted, "lock": "new"}, known)
    assert not script.up_to_date("requirements.lock", {**wanted, "members": "new"}, known)
    assert not script.up_to_date("requirements.lock", wanted, {**known, "root": "elsewhere"})
    assert not script.up_to_date("requirements-dev.lock", wanted, known)


def test_lock_files_name_no_address_and_a_hash_for_each_package() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / name).read_text().splitlines()
        assert not [line for line in lines if "://" in line or "--index" in line or "--find-links" in line]
        packages = [index for index, line in enumerate(lines) if "==" in line and not line.startswith(("#", " "))]
        assert len(packages) > 40
        assert all("--hash=sha256:" in lines[index + 1] for index in packages)


def test_contracts_are_compiled_once_and_again_when_they_change(tmp_path: Path) -> None:
    source = tmp_path / "proto" / "rtcc" / "test" / "v1" / "test.proto"
    source.parent.mkdir(parents=True)
    source.write_text(CONTRACT)
    assert generate(tmp_path)
    made = tmp_path / "proto" / "generated" / "rtcc" / "test" / "v1" / "test_pb2.py"
    assert made.is_file()
    assert not generate(tmp_path)
    source.rename(source.with_name("renamed.proto"))
    assert generate(tmp_path)
    assert not made.exists()


def test_refused_contract_leaves_the_generated_code_alone(tmp_path: Path) -> None:
    source = tmp_path / "proto" / "rtcc" / "test" / "v1" / "test.proto"
    source.parent.mkdir(parents=True)
    source.write_text(CONTRACT)
    generate(tmp_path)
    source.write_text(CONTRACT + "message {")
    with pytest.raises(GenerationFailedError, match=r"test\.proto:5"):
        generate(tmp_path)
    assert (tmp_path / "proto" / "generated" / "rtcc" / "test" / "v1" / "test_pb2.py").is_file()


def test_bench_ends_with_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tests" / "bench"
    folder.mkdir(parents=True)
    (folder / "two_words.py").write_text("def run(argv):\n    return {'figure_ms': len(argv)}\n")
    assert bench(tmp_path, "two-words", ["--a", "b"], only_json=False) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"figure_ms": 2}
    with pytest.raises(UnknownBenchError, match="two-words"):
        bench(tmp_path, "three", [], only_json=True)


@pytest.mark.parametrize(
    ("typed", "arguments"),
    [
        ("test", []),
        ("test --soak services/video", ["services/video"]),
        ("test -k word services/video --soak -x", ["-k", "word", "services/video", "-x"]),
        ("bench startup --cold --json", ["--cold"]),
        ("bench --json startup --picture x.png", ["--picture", "x.png"]),
    ],
)
def test_options_that_are_not_ours_are_handed_on_in_order(typed: str, arguments: list[str]) -> None:
    options = parser().parse_args(passed_on(typed.split()))
    assert options.arguments == arguments
    assert getattr(options, "soak", None) in (None, "--soak" in typed)
    assert getattr(options, "json", None) in (None, "--json" in typed)


def findings(folder: Path) -> list[Finding]:
    return list(examine(ROOT, DataFolder(folder)))


def test_doctor_finds_nothing_broken_in_a_new_installation(open_folder: Path) -> None:
    open_installation(open_folder, wanted_ports=unusual_ports())
    assert [finding for finding in findings(open_folder) if finding.verdict == "broken"] == []


def test_doctor_names_the_program_on_a_taken_port(open_folder: Path) -> None:
    installation = open_installation(open_folder, wanted_ports=unusual_ports())
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", installation.ports["gateway"]))
        stranger.listen()
        (found,) = [finding for finding in findings(open_folder) if finding.verdict == "broken"]
    assert f"port {installation.ports['gateway']} (gateway)" in found.text
    assert f"process {os.getpid()}" in found.text
    assert "--port gateway=NUMBER" in found.advice


def test_doctor_sees_secrets_that_were_opened(open_folder: Path) -> None:
    installation = open_installation(open_folder)
    installation.credentials.trust.chmod(0o644)
    (found,) = [finding for finding in findings(open_folder) if "open to other users" in finding.text]
    assert found.verdict == "warning"
    assert stat.S_IMODE(installation.credentials.trust.stat().st_mode) == 0o644  # it looks and does not touch


def test_doctor_tells_a_broken_installation_file_with_the_way_out(open_folder: Path) -> None:
    open_installation(open_folder, wanted_ports=unusual_ports()).folder.installation.write_text("{")
    (found,) = [finding for finding in findings(open_folder) if finding.verdict == "broken"]
    assert "./rtcc restore" in found.advice


def test_script_hands_over(tmp_path: Path) -> None:
    done = subprocess.run([ROOT / "rtcc", "status", "--data", tmp_path / "none"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "holds no installation" in done.stderr


def test_verbs_work_in_a_fresh_clone_without_generated_code(tmp_path: Path) -> None:
    """Only the modules that the script reaches before anything is generated; checked by hiding the contracts."""
    hide = "import sys; sys.modules['rtcc'] = None; import rtcc_standalone.cli, rtcc_standalone.development.generate, "
    hide += "rtcc_standalone.verbs."
    for module in ("platform", "doctor", "development", "archive"):
        subprocess.run([sys.executable, "-c", hide + module], cwd=tmp_path, check=True)
