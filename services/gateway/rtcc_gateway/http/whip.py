"""WHIP (RFC 9725): a camera's pictures from its own device, by a key, or from a signed-in person's browser."""

from typing import Any

from aiohttp import web

from rtcc.video.v1 import video_pb2
from rtcc_chassis.errors import InvalidInput
from rtcc_gateway.http.door import DOOR, Door, read_body
from rtcc_gateway.http.ice_fragments import FRAGMENT_TYPE, Asked, patched, read_patch
from rtcc_gateway.http.rest import call, call_with, rule_for

_OFFER_BYTES = 64 * 1024
_OPEN = "/rtcc.video.v1.VideoService/OpenPublisher"
_UPDATE = "/rtcc.video.v1.VideoService/UpdatePublisher"
_CLOSE = "/rtcc.video.v1.VideoService/ClosePublisher"
_RELAY = "/rtcc.video.v1.VideoService/RelayPublisher"


def routes() -> list[web.RouteDef]:
    """Endpoint and session of RFC 9725, 4.2."""
    return [
        web.post("/v1/whip/{camera_id}", open_whip),
        web.delete("/v1/whip/{camera_id}/{publisher_id}", close_whip),
        web.patch("/v1/whip/{camera_id}/{publisher_id}", patch_whip),
    ]


async def open_whip(request: web.Request) -> web.StreamResponse:
    """POST: the offer in, 201 with the answer and the session's address out."""
    door, camera_id = request.app[DOOR], request.match_info["camera_id"]
    key = _bearer(request)
    if key is None:
        caller = await door.caller(request, changes=True)
        offer = await _offer(request)
        message = video_pb2.OpenPublisherRequest(camera_id=camera_id, offer_sdp=offer)
        opened: Any = await call(door, rule_for(_OPEN), message, caller.scope)
    else:
        _take(door, request, camera_id)
        relayed = video_pb2.RelayPublisherRequest(
            camera_id=camera_id, publish_key=key, offer_sdp=await _offer(request), source_address=door.address(request)
        )
        opened = await _relay(door, relayed)
    headers = {
        "Location": f"/v1/whip/{camera_id}/{opened.publisher_id}",
        "ETag": f'"{opened.etag}"',
        "Accept-Patch": FRAGMENT_TYPE,
        "Cache-Control": "no-store",
    }
    return web.Response(text=opened.answer_sdp, status=201, content_type="application/sdp", headers=headers)


async def close_whip(request: web.Request) -> web.StreamResponse:
    """DELETE on the session's address."""
    door, key = request.app[DOOR], _bearer(request)
    camera_id, publisher_id = request.match_info["camera_id"], request.match_info["publisher_id"]
    if key is None:
        caller = await door.caller(request, changes=True)
        message = video_pb2.ClosePublisherRequest(camera_id=camera_id, publisher_id=publisher_id)
        await call(door, rule_for(_CLOSE), message, caller.scope)
    else:
        _take(door, request, camera_id)
        await _relay(door, video_pb2.RelayPublisherRequest(camera_id=camera_id, publish_key=key, publisher_id=publisher_id))
    return web.Response(status=200)


async def patch_whip(request: web.Request) -> web.StreamResponse:
    """PATCH: candidates that trickle in, or an ICE restart (RFC 9725, 4.3.1 to 4.3.3)."""
    door, key = request.app[DOOR], _bearer(request)
    camera_id, publisher_id = request.match_info["camera_id"], request.match_info["publisher_id"]
    if key is None:
        caller = await door.caller(request, changes=True)
    else:
        _take(door, request, camera_id)
    asked = await read_patch(request)
    if not isinstance(asked, Asked):
        return asked

    async def update() -> Any:
        if key is None:
            message = video_pb2.UpdatePublisherRequest(
                camera_id=camera_id, publisher_id=publisher_id, sdp_fragment=asked.fragment, etag=asked.etag
            )
            return await call(door, rule_for(_UPDATE), message, caller.scope)
        # `only_check`: a video service of before would close it
        relayed = video_pb2.RelayPublisherRequest(
            camera_id=camera_id,
            publish_key=key,
            publisher_id=publisher_id,
            sdp_fragment=asked.fragment,
            etag=asked.etag,
            only_check=True,
        )
        return await _relay(door, relayed)

    return await patched(update)


def _bearer(request: web.Request) -> str | None:
    """The key of a device; None: it must be a signed-in person."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _take(door: Door, request: web.Request, camera_id: str) -> None:
    """Tries are bounded by camera and address: with 256 random bits a key isn't guessed, and a device gone wild is slowed."""
    door.take_device(f"whip {camera_id[:80]} {door.address(request)}")


async def _offer(request: web.Request) -> str:
    if request.content_type != "application/sdp":
        raise InvalidInput.one("Content-Type", "must be application/sdp")
    try:
        return (await read_body(request, _OFFER_BYTES)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput.one("", "the offer is not UTF-8 (RFC 8866)") from error


async def _relay(door: Door, message: video_pb2.RelayPublisherRequest) -> video_pb2.RelayPublisherResponse:
    response: Any = await call_with(door, rule_for(_RELAY), message, door.ctx.tokens.metadata())
    answer: video_pb2.RelayPublisherResponse = response
    return answer
