"""The built web console: static files that the gateway serves. The sources are the TypeScript program in `../web`."""

from pathlib import Path


class ConsoleNotBuiltError(RuntimeError):
    """The package was used before its web pages were built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"the console's pages are not built: {folder} has no index.html; run `./rtcc gen`, or `python -m rtcc_console.build`"
        )


def static_folder() -> Path:
    """The folder with `index.html`, `assets/` (names carry a content hash, so they may be cached for ever) and `map/`.

    Raises ConsoleNotBuiltError in a checkout whose console was not built yet.
    """
    folder = Path(__file__).parent / "static"
    if not (folder / "index.html").is_file():
        raise ConsoleNotBuiltError(folder)
    return folder
