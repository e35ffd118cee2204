"""The PATCH that WHEP and WHIP share (RFC 9725, 4.3.1 to 4.3.3): candidates (204), or an ICE restart (200 with our half and a new ETag)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from rtcc_chassis.errors import Conflict, InvalidInput
from rtcc_gateway.http.door import read_body
from rtcc_gateway.http.problems import problem_response

FRAGMENT_TYPE: Final = "application/trickle-ice-sdpfrag"
_FRAGMENT_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """What a PATCH brings. `etag`: the ICE session that candidates belong to, "*" for a restart."""

    etag: str
    fragment: str


async def read_patch(request: web.Request) -> Asked | web.Response:
    """The PATCH, or its refusal: 415 for another content type, 428 without If-Match. Raises `InvalidInput`, `TooLarge`."""
    if request.content_type != FRAGMENT_TYPE:
        return problem_response(InvalidInput.one("Content-Type", f"must be {FRAGMENT_TYPE}"), 415)
    etag = request.headers.get("If-Match", "").strip()
    if not etag:
        return problem_response(InvalidInput.one("If-Match", "must name the session's ETag, or * for an ICE restart"), 428)
    try:
        fragment = (await read_body(request, _FRAGMENT_BYTES)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput.one("", "the body is not UTF-8 (RFC 8866)") from error
    return Asked(etag.strip('"'), fragment)


async def patched(update: Callable[[], Awaitable[Any]]) -> web.StreamResponse:
    """The answer of what took it: `sdp_fragment` (empty for candidates) and `etag`. 412 when it names an ICE session that has ended."""
    try:
        updated = await update()
    except Conflict as error:
        return problem_response(error, 412)
    headers = {"ETag": f'"{updated.etag}"', "Cache-Control": "no-store"}
    if not updated.sdp_fragment:
        return web.Response(status=204, headers=headers)
    return web.Response(text=updated.sdp_fragment, content_type=FRAGMENT_TYPE, headers=headers)
