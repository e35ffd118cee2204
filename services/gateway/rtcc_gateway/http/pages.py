"""The console's files: a fixed list made at start, so no path of a request ever reaches the file system."""

import mimetypes
from pathlib import Path

from aiohttp import web

from rtcc_console import static_folder
from rtcc_gateway.http.door import DOOR
from rtcc_gateway.http.problems import NoSuchPath

# the pages of the console; any other path that is no file is 404
_SCREENS = frozenset({
    "", "map", "alerts", "incident", "wall", "units", "air", "search", "cameras", "share", "sharing", "audit", "admin", "field", "sign-in",
    "enrol", "setup", "set-up", "people", "sources", "hot-lists", "quarantine", "lock", "playback", "exports", "settings", "kitchen",
})  # fmt: skip
_FOR_EVER = "public, max-age=31536000, immutable"
_CHECK_EACH_TIME = "no-cache"
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".pmtiles": "application/vnd.pmtiles",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}


class Pages:
    """`files` by URL path. Empty when the console isn't built: then "/" says so."""

    def __init__(self, folder: Path | None) -> None:
        self._files: dict[str, Path] = {}
        if folder is not None:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    self._files["/" + path.relative_to(folder).as_posix()] = path

    @classmethod
    def of_console(cls) -> "Pages":
        """The pages shipped with rtcc_console."""
        try:
            return cls(static_folder())
        except RuntimeError:
            return cls(None)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET of anything that no other route takes. Range requests work: the map is read in pieces."""
        door = request.app[DOOR]
        path = request.path
        if path.startswith(("/v1/", "/auth/")):
            door.take_address(request)
            raise NoSuchPath(404)
        found = self._files.get(path)
        if found is None:
            if path.split("/")[1] not in _SCREENS:
                raise NoSuchPath(404)
            found = self._files.get("/index.html")
        if found is None:
            text = "The console's pages are not built: run ./rtcc gen, then start again."
            return web.Response(status=503, text=text, content_type="text/plain")
        headers = {
            "Cache-Control": _FOR_EVER if path.startswith("/assets/") else _CHECK_EACH_TIME,
            "Content-Type": _TYPES.get(found.suffix) or mimetypes.guess_type(found.name)[0] or "application/octet-stream",
        }
        return web.FileResponse(found, headers=headers)


async def health(request: web.Request) -> web.StreamResponse:
    """For load balancers: nothing about the installation."""
    stopping = request.app[DOOR].ctx.lifecycle.stopping.is_set()
    return web.Response(status=503 if stopping else 200, text="stopping" if stopping else "ok", headers={"Cache-Control": "no-store"})
