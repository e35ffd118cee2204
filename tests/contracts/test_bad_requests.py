"""Bytes that are no message, JSON that is none, values of the wrong kind: each call answers with what was wrong and goes on."""

import random
from typing import Any

import aiohttp
import grpc
import pytest

from proof.platform import RunningPlatform, rule_named
from proof.world import OWNER, World
from rtcc.contract.v1.contract_pb2 import AUDIENCE_PERSON
from rtcc_chassis.rpc import CallRule, all_rules
from rtcc_chassis.scope import Scope

RULES = sorted(all_rules().values(), key=lambda rule: rule.path)
WITH_BODY = [rule for rule in RULES if rule.http_method in ("POST", "PUT") and rule.audience == AUDIENCE_PERSON]
WITH_QUERY = [rule for rule in RULES if rule.http_method == "GET" and rule.audience == AUDIENCE_PERSON]
# a field number with a length beyond the end (protobuf encoding, "length-delimited"), and a tag of an unknown wire type
CUT_OFF, NO_WIRE_TYPE = b"\x0a\xff\xff\xff\x7fab", b"\x0f\x0f\x0f"


def named(rule: CallRule) -> str:
    return f"{rule.service}.{rule.method}"


def path_of(rule: CallRule) -> str:
    path = rule.http_path
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + "0197a0b0-0000-7000-8000-000000000000" + rest.partition("}")[2]
    return path


async def send(platform: RunningPlatform, rule: CallRule, data: bytes, scope: Scope) -> grpc.StatusCode:
    """Raw bytes in place of a request."""
    channel = platform.channels.channel(rule.service)
    kind = channel.stream_unary if rule.client_streaming else channel.unary_unary
    multicallable = kind(rule.path, request_serializer=lambda raw: raw, response_deserializer=rule.response_type.FromString)
    try:
        await multicallable(iter((data,)) if rule.client_streaming else data, metadata=platform.metadata(scope), timeout=40)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("rule", RULES, ids=named)
async def test_bytes_that_are_no_message_end_one_call_and_nothing_else(platform: RunningPlatform, world: World, rule: CallRule) -> None:
    scope = world.everything(OWNER)
    if rule.audience != AUDIENCE_PERSON:
        scope = Scope(OWNER, "device", "device", frozenset()) if rule.client_streaming else Scope.service("gateway", OWNER)
    for data in (CUT_OFF, NO_WIRE_TYPE):
        code = await send(platform, rule, data, scope)
        # grpc answers INTERNAL for what its own deserialiser can't read
        assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL, grpc.StatusCode.PERMISSION_DENIED), code.name
    await platform.ask("ListCameras", world.everything(OWNER))


async def test_noise_never_breaks_a_call(platform: RunningPlatform, world: World) -> None:
    chance = random.Random(29)
    harmless = [rule for rule in RULES if rule.method.startswith(("List", "Get", "Find", "Rank", "Search"))]
    for _ in range(150):
        data = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 40)))
        code = await send(platform, chance.choice(harmless), data, world.everything(OWNER))
        assert code is not grpc.StatusCode.UNAVAILABLE and code is not grpc.StatusCode.UNKNOWN, data
    await platform.ask("ListAlerts", world.everything(OWNER))


async def test_an_oversize_message_is_refused(platform: RunningPlatform, world: World) -> None:
    # the sender's own bound is the same: bytes go out through a channel without one
    rule = rule_named("ListCameras")
    authority = platform.supervisor.installation.credentials.tls.authority.read_bytes()
    address = platform.settings().rpc_addresses["registry"]
    options = [("grpc.max_send_message_length", -1), ("grpc.ssl_target_name_override", "rtcc.internal")]
    async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authority), options) as channel:
        call = channel.unary_unary(rule.path, request_serializer=lambda raw: raw, response_deserializer=rule.response_type.FromString)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"\x0a" + b"\x00" * (69 * 1024 * 1024), metadata=platform.metadata(world.everything(OWNER)), timeout=30)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await platform.ask("ListCameras", world.everything(OWNER))


BROKEN_BODIES: dict[str, bytes] = {
    "no JSON": b"hello",
    "cut off": b'{"a": ',
    "invalid UTF-8": b'{"a": "\xff"}',
    "a list": b"[1]",
    "a number": b"1",
    "deep": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "unknown field": b'{"no_such_field": 1}',
    "a name twice": b'{"a": 1, "a": 2}',
}


@pytest.mark.parametrize("rule", WITH_BODY, ids=named)
async def test_json_that_is_no_request_is_refused_with_a_reason(
    platform: RunningPlatform, browser: aiohttp.ClientSession, rule: CallRule
) -> None:
    for name, data in BROKEN_BODIES.items():
        async with browser.request(
            rule.http_method, f"{platform.url}{path_of(rule)}", data=data, headers={"Content-Type": "application/json"}
        ) as answer:
            content: Any = await answer.json(content_type=None)
            assert 400 <= answer.status < 500 and content["type"] == "urn:rtcc:problem:invalid-input", f"{name}: {answer.status} {content}"
            assert content["violations"] and content["detail"]


@pytest.mark.parametrize("rule", WITH_QUERY, ids=named)
async def test_a_parameter_that_is_none_is_refused(platform: RunningPlatform, browser: aiohttp.ClientSession, rule: CallRule) -> None:
    for query in ("no_such_parameter=1", "limit=many", "limit=-1", "limit=99999999999999999999", "coordinate.latitude_deg=north"):
        field = query.partition("=")[0].partition(".")[0]
        async with browser.get(f"{platform.url}{path_of(rule)}?{query}") as answer:
            assert answer.status < 500, query
            if field not in rule.request_type.DESCRIPTOR.fields_by_name:
                assert 400 <= answer.status < 500, f"{query} was overlooked"


@pytest.mark.parametrize(
    "change",
    [
        {"coordinate.latitude_deg": "91"},
        {"coordinate.longitude_deg": "-181"},
        {"coordinate.latitude_deg": "nan"},
        {"coordinate.latitude_deg": "inf"},
        {"limit": "1000000"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/v1/cameras/nearest", "/v1/positions/nearest"])
async def test_a_place_off_the_globe_is_refused(
    platform: RunningPlatform, browser: aiohttp.ClientSession, path: str, change: dict[str, str]
) -> None:
    query = {"coordinate.latitude_deg": "60.17", "coordinate.longitude_deg": "24.94", **change}
    async with browser.get(f"{platform.url}{path}", params=query) as answer:
        assert 400 <= answer.status < 500, await answer.text()
