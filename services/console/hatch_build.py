"""A wheel of the console carries its built pages: whoever installs it needs no Node."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PagesHook(BuildHookInterface[Any]):
    """Refuses a wheel without pages. Editable installs of a checkout build theirs at start."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version` is "standard" for a real wheel, "editable" for a checkout."""
        if version == "editable":
            return
        pages = Path(self.root) / "rtcc_console" / "static"
        if not (pages / "index.html").is_file():
            raise FileNotFoundError(
                f"{pages} holds no built pages; run `python -m rtcc_console.build` in this checkout before building the wheel"
            )
        build_data["artifacts"].append("rtcc_console/static/**")
