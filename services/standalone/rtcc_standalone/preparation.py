"""What must be made from the sources before the platform can start: contracts, then the console."""

from collections.abc import Callable
from pathlib import Path

from rtcc_standalone.development.generate import generate


def prepare(root: Path, progress: Callable[[str], None], *, console: bool = True) -> None:
    """Bring generated code and the built console up to date; instant when nothing changed."""
    if generate(root):
        progress("contracts compiled")
    if console:
        from rtcc_console.build import build

        if build(progress):
            progress("console built")
