"""The REST routes, made from the `http` option of each call: rights, purpose and audit are the called service's gate."""

import re
from collections.abc import Iterable
from typing import Any

import grpc
from aiohttp import web
from google.protobuf.message import Message

from rtcc.contract.v1.contract_pb2 import AUDIENCE_PERSON
from rtcc_chassis.errors import Unavailable, from_rpc
from rtcc_chassis.rpc import CallRule, all_rules
from rtcc_chassis.scope import Scope
from rtcc_gateway.http.door import DOOR, SMALL_BODY_BYTES, Door, read_body
from rtcc_gateway.http.transcoding import request_message, response_json

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
_LONG_CALLS_S = {
    "hot_list.import": 120.0,
    "record_import.start": 60.0,
    "camera.import": 60.0,
    "audit.verify": 120.0,
    "alert.acknowledge": 10.0,
}


def routes() -> list[web.RouteDef]:
    """One route per call for people, fixed paths before those with fields."""
    rules = [rule for rule in all_rules().values() if rule.http_path and rule.audience == AUDIENCE_PERSON]
    made = [web.route(rule.http_method, _pattern(rule.http_path), _handler(rule)) for rule in sorted(rules, key=_fixed_first)]
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
        caller = await door.caller(request, changes=changes)
        body = await read_body(request, limit_bytes) if has_body else b""
        message = request_message(
            rule.request_type,
            path_fields={name: request.match_info[name.replace(".", "__")] for name in path_fields},
            query=list(request.query.items()),
            body=body,
            has_body=has_body,
        )
        return await _answer(rule, await call(door, rule, message, caller.scope))

    return handle


async def _answer(rule: CallRule, response: Message) -> web.Response:
    fields = response.DESCRIPTOR.fields_by_name
    if "jpeg" in fields:
        return web.Response(body=response.jpeg, content_type="image/jpeg", headers={"Cache-Control": "no-store"})  # type: ignore[attr-defined] # the descriptor says so
    if "image" in fields and "content_type" in fields:
        answer: Any = response
        kind = answer.content_type if answer.content_type in _IMAGE_TYPES else "application/octet-stream"
        return web.Response(body=answer.image, content_type=kind, headers={"Cache-Control": "no-store"})
    return web.Response(
        body=await response_json(response), content_type="application/json", charset="utf-8", headers={"Cache-Control": "no-store"}
    )


async def call(door: Door, rule: CallRule, message: Message, scope: Scope) -> Message:
    """Call the service that owns the method, as `scope`. Raises the error that it answered."""
    multicallable = door.ctx.channels.channel(rule.service).unary_unary(
        rule.path, request_serializer=rule.request_type.SerializeToString, response_deserializer=rule.response_type.FromString
    )
    timeout = _LONG_CALLS_S.get(rule.action, door.settings.call_timeout_s)
    try:
        response: Message = await multicallable(message, metadata=door.ctx.tokens.metadata(scope), timeout=timeout)
    except grpc.RpcError as error:
        raise from_rpc(error) from error
    except (grpc.aio.UsageError, grpc.aio.InternalError) as error:
        raise Unavailable(rule.service) from error
    return response


def rule_for(path: str) -> CallRule:
    """The rule of a method, by its path."""
    return all_rules()[path]


def canonical_paths() -> Iterable[str]:
    """What the isolation tests walk: "<METHOD> <path>" of every route here."""
    for route in routes():
        yield f"{route.method} {route.path}"
