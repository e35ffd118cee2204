"""The REST routes, made from the `http` option of each call: rights, purpose and audit are the called service's gate."""

import re
from collections.abc import Iterable
from typing import Any

import grpc
from aiohttp import web
from google.protobuf.message import Message

from rtcc.contract.v1.contract_pb2 import AUDIENCE_PERSON
from rtcc.video.v1.evidence_pb2 import GetExportPartRequest, ListExportsRequest
from rtcc_chassis.errors import NotFound, Unavailable, from_rpc
from rtcc_chassis.rpc import CallRule, all_rules
from rtcc_chassis.scope import Scope
from rtcc_gateway.http.door import DOOR, SMALL_BODY_BYTES, Door, read_body
from rtcc_gateway.http.transcoding import request_message, response_json
from rtcc_gateway.relays import ANSWER_S, unreachable

_SEGMENT = re.compile(r"\{([a-z0-9_.]+)\}")
# base64 makes 4 MiB of CSV 5.4, and 64 MiB 86
_LARGE_BODIES = {
    "camera.import": 6 * 1024 * 1024,
    "hot_list.import": 88 * 1024 * 1024,
    "person_record.set_photo": 3 * 1024 * 1024,
    "record_import.start": 88 * 1024 * 1024,
    "incident.add_photo": 12 * 1024 * 1024,
    "floor_plan.create": 12 * 1024 * 1024,
}
# what a service may say that an image is: nothing that a browser runs
_IMAGE_TYPES = frozenset({"image/jpeg", "image/png"})
# and of recordings: what players fetch
_MEDIA_TYPES = frozenset({"video/mp4", "application/vnd.apple.mpegurl", "application/zip"})
_LONG_CALLS_S = {
    "hot_list.import": 120.0,
    "record_import.start": 60.0,
    "camera.import": 60.0,
    "audit.verify": 120.0,
    "alert.acknowledge": 10.0,
}
# a relay that died with such a session in it leaves nothing behind that another one would have to know of
_BEGUN_ANEW = frozenset({"OpenViewer", "OpenHlsViewer", "OpenPublisher", "RelayPublisher"})
_LIVE_MEDIA = "camera.fetch_view"
# delivery directives of HLS (RFC 8216bis, 6.2.5); others that begin so are left aside, for players may send what a server doesn't know
_DIRECTIVES = {"_HLS_msn": "hls_msn", "_HLS_part": "hls_part"}
_EXPORT_RULES = ("/rtcc.video.v1.EvidenceService/ListExports", "/rtcc.video.v1.EvidenceService/GetExportPart")


def routes() -> list[web.RouteDef]:
    """One route per call for people, fixed paths before those with fields."""
    rules = [rule for rule in all_rules().values() if rule.http_path and rule.audience == AUDIENCE_PERSON]
    made = [web.route(rule.http_method, _pattern(rule.http_path), _handler(rule)) for rule in sorted(rules, key=_fixed_first)]
    made.append(web.get("/v1/exports/{export_id}/file", export_file))
    return made


def _fixed_first(rule: CallRule) -> tuple[int, str]:
    return rule.http_path.count("{"), rule.http_path


def _pattern(http_path: str) -> str:
    # aiohttp's names take no dots
    return _SEGMENT.sub(lambda found: "{" + found[1].replace(".", "__") + "}", http_path)


def _handler(rule: CallRule) -> Any:
    path_fields = _SEGMENT.findall(rule.http_path)
    changes = rule.http_method not in ("GET", "HEAD")
    has_body = rule.http_method in ("POST", "PUT")
    limit_bytes = _LARGE_BODIES.get(rule.action, SMALL_BODY_BYTES)

    async def handle(request: web.Request) -> web.StreamResponse:
        door = request.app[DOOR]
        caller = await door.caller(request, changes=changes, live_media=rule.action == _LIVE_MEDIA)
        body = await read_body(request, limit_bytes) if has_body else b""
        message = request_message(
            rule.request_type,
            path_fields={name: request.match_info[name.replace(".", "__")] for name in path_fields},
            query=_query(request, directives=rule.action == _LIVE_MEDIA),
            body=body,
            has_body=has_body,
        )
        return await _answer(request, await call(door, rule, message, caller.scope))

    return handle


def _query(request: web.Request, *, directives: bool) -> list[tuple[str, str]]:
    pairs = list(request.query.items())
    if not directives:
        return pairs
    return [(_DIRECTIVES.get(name, name), text) for name, text in pairs if name in _DIRECTIVES or not name.startswith("_HLS_")]


async def _answer(request: web.Request, response: Message) -> web.Response:
    fields = response.DESCRIPTOR.fields_by_name
    if "jpeg" in fields:
        return web.Response(body=response.jpeg, content_type="image/jpeg", headers={"Cache-Control": "no-store"})  # type: ignore[attr-defined] # the descriptor says so
    if "image" in fields and "content_type" in fields:
        answer: Any = response
        kind = answer.content_type if answer.content_type in _IMAGE_TYPES else "application/octet-stream"
        return web.Response(body=answer.image, content_type=kind, headers={"Cache-Control": "no-store"})
    if "media" in fields and "content_type" in fields:
        answer = response
        kind = answer.content_type if answer.content_type in _MEDIA_TYPES else "application/octet-stream"
        return ranged(request, answer.media, kind)
    return web.Response(
        body=await response_json(response), content_type="application/json", charset="utf-8", headers={"Cache-Control": "no-store"}
    )


def ranged(request: web.Request, body: bytes, content_type: str) -> web.Response:
    """The body, or the one range of it that was asked for (RFC 9110, 14): 206, or 416 when it lies outside. What is no range, or several,
    is left aside, as 14.2 lets a server do."""
    headers = {"Cache-Control": "no-store", "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    try:
        asked = request.http_range
    except ValueError:
        asked = slice(None, None)
    if asked.start is None and asked.stop is None:
        return web.Response(body=body, content_type=content_type, headers=headers)
    start, stop, _ = asked.indices(len(body))
    if start >= stop:
        return web.Response(status=416, headers=headers | {"Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
    return web.Response(status=206, body=body[start:stop], content_type=content_type, headers=headers)


async def call(door: Door, rule: CallRule, message: Message, scope: Scope) -> Message:
    """Call the service that owns the method, as `scope`. Raises the error that it answered."""
    return await call_with(door, rule, message, door.ctx.tokens.metadata(scope))


async def call_with(door: Door, rule: CallRule, message: Message, metadata: tuple[tuple[str, str], ...]) -> Message:
    """As `call`. Of several relays the one that holds the session, or the best one; when nobody answers there, the next."""
    timeout = _LONG_CALLS_S.get(rule.action, door.settings.call_timeout_s)
    places = door.relays.places(rule, message)
    while True:
        address = places.addresses.pop(0) if places.addresses else ""
        repeatable = bool(places.addresses) and (rule.http_method == "GET" or rule.method in _BEGUN_ANEW)
        channel = door.ctx.channels.at(address) if address else door.ctx.channels.channel(rule.service)
        ask = channel.unary_unary(
            rule.path, request_serializer=rule.request_type.SerializeToString, response_deserializer=rule.response_type.FromString
        )
        hurried = repeatable and rule.method in _BEGUN_ANEW
        patience = min(timeout, ANSWER_S) if hurried else timeout
        try:
            response: Message = await ask(message, metadata=metadata, timeout=patience, wait_for_ready=not (repeatable or places.held))
        except grpc.RpcError as error:
            if repeatable and unreachable(error, hurried=hurried):
                continue
            raise from_rpc(error) from error
        except (grpc.aio.UsageError, grpc.aio.InternalError) as error:
            if repeatable:
                continue
            raise Unavailable(rule.service) from error
        return response


def rule_for(path: str) -> CallRule:
    """The rule of a method, by its path."""
    return all_rules()[path]


async def export_file(request: web.Request) -> web.StreamResponse:
    """GET /v1/exports/{export_id}/file: the whole archive, part by part."""
    door = request.app[DOOR]
    caller = await door.caller(request, changes=False)
    export_id = request.match_info["export_id"]
    listed: Any = await call(door, rule_for(_EXPORT_RULES[0]), ListExportsRequest(limit=200), caller.scope)
    found = next((one for one in listed.exports if one.export_id == export_id), None)
    if found is None:
        raise NotFound("export", export_id[:80])
    # refuses before the first byte is sent
    part: Any = await call(door, rule_for(_EXPORT_RULES[1]), GetExportPartRequest(export_id=export_id, part=0), caller.scope)
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="export-{export_id}.zip"'}
    response = web.StreamResponse(headers=headers)
    response.content_type, response.content_length = "application/zip", found.bytes
    await response.prepare(request)
    await response.write(part.media)
    for number in range(1, found.parts):
        part = await call(door, rule_for(_EXPORT_RULES[1]), GetExportPartRequest(export_id=export_id, part=number), caller.scope)
        await response.write(part.media)
    await response.write_eof()
    return response


def canonical_paths() -> Iterable[str]:
    """What the isolation tests walk: "<METHOD> <path>" of every route here."""
    for route in routes():
        yield f"{route.method} {route.path}"
