"""docs/operations/install.md: each of its commands is one that the real tools take."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.cli import parser
from rtcc_standalone.kubernetes.rendering import render
from rtcc_standalone.kubernetes.tools import tool

GUIDE = Path("docs") / "operations" / "install.md"
# of other people; their charts can't be fetched everywhere
FOREIGN = ("nats/", "cnpg/", "seaweedfs/")


def commands() -> list[str]:
    """Every line of every fenced block."""
    blocks = re.findall(r"^```\n(.*?)^```", (checkout_root() / GUIDE).read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


COMMANDS = commands()


def _words(command: str) -> list[str]:
    """The first program of a pipe, with the guide's variables filled in."""
    filled = command.replace("$REPOSITORY", "registry.region.example/openrtcc").replace("$KEYS", "/keys").replace("$HOME", "/home/somebody")
    words = shlex.split(filled.partition(" | ")[0])
    return words[: words.index(">")] if ">" in words else words


def test_the_guide_has_commands_of_each_kind() -> None:
    assert {_words(command)[0] for command in COMMANDS} == {"export", "./rtcc", "kubectl", "helm", "psql"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shell_can_read_it(command: str) -> None:
    assert subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("./rtcc ")])
def test_our_own_command_line_takes_it(command: str) -> None:
    parser().parse_args(_words(command)[1:])


def _taken(program: Path, words: list[str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Ask for help at the end: the tool first reads every flag before it, and refuses one that it doesn't know."""
    environment = {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")}
    return subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith(("helm ", "kubectl "))])
def test_the_real_tools_take_every_flag(root: Path, tmp_path: Path, command: str) -> None:
    program, *words = _words(command)
    for name in ("helm3", "helm4") if program == "helm" else ("kubectl",):
        answer = _taken(tool(root, name), words, tmp_path)
        assert answer.returncode == 0, f"{name}: {answer.stderr}"
        # an unknown verb is answered with the help of the whole tool
        verb = next(word for word in words if word in ("create", "label", "apply", "get", "port-forward", "rollout", "upgrade", "repo"))
        assert f"{program} {verb}" in answer.stdout, answer.stdout[:500]


def test_a_wrong_flag_would_be_seen(root: Path, tmp_path: Path) -> None:
    assert _taken(tool(root, "helm4"), ["upgrade", "--instal", "x", "charts/rtcc"], tmp_path).returncode != 0
    assert _taken(tool(root, "kubectl"), ["apply", "--filenames", "x"], tmp_path).returncode != 0


@pytest.mark.parametrize("command", [command for command in COMMANDS if " charts/" in command and command.startswith("helm ")])
def test_our_charts_render_with_the_guides_values(root: Path, helm: Path, command: str) -> None:
    words = _words(command)
    chart = next(word for word in words if word.startswith("charts/"))
    values = [root / words[index + 1] for index, word in enumerate(words) if word == "--values"]
    settings = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    if "--reuse-values" in words:
        # what the first installation was given
        values, settings = [root / "charts/examples/single-agency/values.yaml"], ["global.image.repository=registry.example/x", *settings]
    assert render(helm, root / chart, values, release="rtcc", namespace="rtcc", settings=settings)


def test_files_that_it_names_are_there(root: Path) -> None:
    text = (root / GUIDE).read_text()
    named = set(re.findall(r"(?:infra|charts|docs|services)/[A-Za-z0-9_./-]+\.(?:yaml|md|json)", text))
    assert named
    assert all((root / name).exists() for name in named), [name for name in named if not (root / name).exists()]
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (root / GUIDE).parent.joinpath(target).exists(), target


def test_foreign_charts_are_named_by_a_repository_that_was_added() -> None:
    added = {words[3] for command in COMMANDS if (words := _words(command))[:3] == ["helm", "repo", "add"]}
    used = {word.partition("/")[0] for command in COMMANDS for word in _words(command) if word.startswith(FOREIGN)}
    assert used == added
