"""`./rtcc bench NAME`: a measurement in tests/bench/NAME.py with `run(argv) -> dict`."""

import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.terminal import say


class UnknownBenchError(StandaloneError):
    """There is no such measurement."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no measurement {name!r}. There are: {', '.join(known) or 'none'}.")


def names(root: Path) -> list[str]:
    """All measurements, as they are typed: alert-path."""
    return sorted(
        path.stem.replace("_", "-")
        for path in (root / "tests" / "bench").glob("*.py")
        if not path.stem.startswith("_") and path.stem != "conftest"
    )


def bench(root: Path, name: str, arguments: Sequence[str], *, only_json: bool) -> int:
    """Run it and print its figures; the last line is one JSON object of them."""
    path = root / "tests" / "bench" / f"{name.replace('-', '_')}.py"
    if not path.is_file():
        raise UnknownBenchError(name, names(root))
    figures = _load(path)(list(arguments))
    if not only_json:
        width = max((len(key) for key in figures), default=0)
        for key, value in figures.items():
            say(f"{key:{width}}  {value}")
    say(json.dumps(figures))
    return 0


def _load(path: Path) -> Callable[[list[str]], dict[str, Any]]:
    sys.path.insert(0, str(path.parent))  # measurements may share modules beside them
    spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
    assert spec and spec.loader  # a .py file has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return cast(Callable[[list[str]], dict[str, Any]], module.run)
