"""Where the checkout is. Everything else takes the folder as an argument."""

from pathlib import Path


class CheckoutNotFoundError(RuntimeError):
    """The package runs outside a checkout, but the verb works on the sources."""

    def __init__(self, start: Path) -> None:
        self.start = start
        super().__init__(f"No OpenRTCC checkout above {start}. Run this verb as ./rtcc inside a clone of the repository.")


def checkout_root(start: Path | None = None) -> Path:
    """The folder that holds `proto/` and `services/`, searched upwards from `start` (default: this file)."""
    origin = (start or Path(__file__)).resolve()
    for folder in (origin, *origin.parents):
        if (folder / "proto" / "rtcc").is_dir() and (folder / "services").is_dir():
            return folder
    raise CheckoutNotFoundError(origin)
