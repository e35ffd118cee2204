"""WHEP (draft-ietf-wish-whep-02) with the sessions of RFC 9725: a live view for any player that speaks it."""

from typing import Any
from urllib.parse import quote

from aiohttp import web

from rtcc.video.v1 import video_pb2
from rtcc_chassis.errors import InvalidInput
from rtcc_gateway.http.door import DOOR, read_body
from rtcc_gateway.http.ice_fragments import FRAGMENT_TYPE, Asked, patched, read_patch
from rtcc_gateway.http.rest import call, rule_for

_OFFER_BYTES = 64 * 1024
_MOST_DIGITS = 5
_OFFER_TYPE = "application/sdp"
_OPEN, _UPDATE, _CLOSE = (f"/rtcc.video.v1.VideoService/{name}Viewer" for name in ("Open", "Update", "Close"))


def routes() -> list[web.RouteDef]:
    """Endpoint and session of the draft, 4."""
    return [
        web.post("/v1/whep/{camera_id}", open_whep),
        web.options("/v1/whep/{camera_id}", describe_whep),
        web.patch("/v1/whep/{camera_id}/{viewer_id}", update_whep),
        web.delete("/v1/whep/{camera_id}/{viewer_id}", close_whep),
    ]


async def describe_whep(request: web.Request) -> web.StreamResponse:
    """OPTIONS: what a POST takes (RFC 9725, 4.2). It says nothing of any camera, so nobody needs to be signed in."""
    return web.Response(status=204, headers={"Accept-Post": _OFFER_TYPE, "Allow": "OPTIONS, POST", "Cache-Control": "no-store"})


async def open_whep(request: web.Request) -> web.StreamResponse:
    """POST: the offer in, 201 with the answer, the session's address and the STUN and TURN servers out.

    `?shown_width_px=` says how wide the picture is shown: a small one needs no more than the camera's smaller stream. `?sound=true`: with
    the camera's sound, which needs its own right.
    """
    door, camera_id = request.app[DOOR], request.match_info["camera_id"]
    caller = await door.caller(request, changes=True)
    offer = await _text(request, _OFFER_TYPE, _OFFER_BYTES)
    message = video_pb2.OpenViewerRequest(
        camera_id=camera_id, offer_sdp=offer, shown_width_px=_shown_width_px(request), sound=request.query.get("sound") == "true"
    )
    opened: Any = await call(door, rule_for(_OPEN), message, caller.scope)
    answer = web.Response(text=opened.answer_sdp, status=201, content_type=_OFFER_TYPE, headers={"Cache-Control": "no-store"})
    answer.headers["Location"] = f"/v1/whep/{quote(camera_id, safe='')}/{opened.viewer_id}"
    answer.headers["ETag"] = f'"{opened.etag}"'
    answer.headers["Accept-Patch"] = FRAGMENT_TYPE
    for server in opened.ice_servers:
        answer.headers.add("Link", _link(server))
    return answer


async def update_whep(request: web.Request) -> web.StreamResponse:
    """PATCH: candidates (204) or an ICE restart (200 with our half and a new ETag), RFC 9725, 4.3.1 to 4.3.3."""
    door = request.app[DOOR]
    caller = await door.caller(request, changes=True)
    asked = await read_patch(request)
    if not isinstance(asked, Asked):
        return asked
    message = video_pb2.UpdateViewerRequest(
        camera_id=request.match_info["camera_id"],
        viewer_id=request.match_info["viewer_id"],
        sdp_fragment=asked.fragment,
        etag=asked.etag,
    )
    return await patched(lambda: call(door, rule_for(_UPDATE), message, caller.scope))


async def close_whep(request: web.Request) -> web.StreamResponse:
    """DELETE on the location that the answer named."""
    door = request.app[DOOR]
    caller = await door.caller(request, changes=True)
    message = video_pb2.CloseViewerRequest(camera_id=request.match_info["camera_id"], viewer_id=request.match_info["viewer_id"])
    await call(door, rule_for(_CLOSE), message, caller.scope)
    return web.Response(status=200)


def _shown_width_px(request: web.Request) -> int:
    told = request.query.get("shown_width_px", "0")
    if not (told.isascii() and told.isdigit() and len(told) <= _MOST_DIGITS):
        raise InvalidInput.one("shown_width_px", f"is a whole number of pixels, of at most {_MOST_DIGITS} digits")
    return int(told)


async def _text(request: web.Request, content_type: str, limit_bytes: int) -> str:
    if request.content_type != content_type:
        raise InvalidInput.one("Content-Type", f"must be {content_type}")
    try:
        return (await read_body(request, limit_bytes)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput.one("", "the body is not UTF-8 (RFC 8866)") from error


def _link(server: video_pb2.IceServer) -> str:
    """RFC 9725, 4.6: `<stun:host>; rel="ice-server"`, with the account of a TURN server."""
    parts = [f"<{server.url}>", 'rel="ice-server"']
    if server.username:
        parts += [f'username="{server.username}"', f'credential="{server.credential}"', 'credential-type="password"']
    return "; ".join(parts)
