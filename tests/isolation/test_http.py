"""Every HTTP route, tried by nobody, across sites, by other roles, without purpose, and by another agency."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from google.protobuf import json_format
from google.protobuf.message import Message

from proof.platform import RunningPlatform
from proof.requests import ICE_RESTART, OF_A_THING, OFFER, PUBLISHER_OFFER
from proof.world import OWNER, ROLES, STRANGER, World
from rtcc.contract.v1.contract_pb2 import AUDIENCE_PERSON
from rtcc.ledger.v1.ledger_pb2 import OUTCOME_DENIED, OUTCOME_FAILED
from rtcc_chassis.access import PolicyEngine, Resource
from rtcc_chassis.rpc import CallRule, all_rules
from rtcc_gateway.http.rest import canonical_paths

RULES = sorted((rule for rule in all_rules().values() if rule.http_path and rule.audience == AUDIENCE_PERSON), key=lambda rule: rule.path)
ROUTES = sorted(canonical_paths())
SESSION_ROUTES = [
    "POST /auth/activity", "POST /auth/lock", "POST /auth/reauthenticate", "POST /auth/password", "POST /auth/sign-out", "GET /v1/live",
    "POST /v1/whep/{camera_id}", "PATCH /v1/whep/{camera_id}/{viewer_id}", "DELETE /v1/whep/{camera_id}/{viewer_id}",
]  # fmt: skip
CHANGES = {"Rtcc-Request": "1"}
REASON = {"Rtcc-Purpose": "investigation", "Rtcc-Case-Number": "26-0001"}


def named(rule: CallRule) -> str:
    return f"{rule.http_method} {rule.http_path}"


each_call = pytest.mark.parametrize("rule", RULES, ids=named)


@dataclass
class Browser:
    """A signed-in person's cookie jar."""

    person_id: str
    client: aiohttp.ClientSession


@dataclass
class Browsers:
    """`one[agency][role]`, and `all[agency]`: a person with every role that an agency gives."""

    one: dict[str, dict[str, Browser]]
    all: dict[str, Browser]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browsers(platform: RunningPlatform, world: World) -> AsyncIterator[Browsers]:
    clients: list[aiohttp.ClientSession] = []

    async def browser(person: Any) -> Browser:
        client = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        clients.append(client)
        await world.sign_in(client, person)
        return Browser(person.person_id, client)

    try:
        one = {agency: {role: await browser(world.people[agency][role]) for role in ROLES} for agency in (OWNER, STRANGER)}
        everything = [role for role in ROLES if role != "platform_operator"]
        yield Browsers(one, {agency: await browser(await world.person(agency, *everything)) for agency in (OWNER, STRANGER)})
    finally:
        for client in clients:
            await client.close()


def filled(route: str) -> tuple[str, str]:
    """(method, path) with something in each segment."""
    method, path = route.split(" ", 1)
    return method, re.sub(r"\{[^}]+\}", "0197a0b0-0000-7000-8000-000000000000", path)


async def answered(
    platform: RunningPlatform, client: aiohttp.ClientSession, method: str, path: str, headers: dict[str, str], body: Any = None
) -> tuple[int, str, Any]:
    """(status, problem name, body)"""
    async with client.request(method, f"{platform.url}{path}", headers=headers, json=body, allow_redirects=False) as response:
        content = await response.json(content_type=None) if "json" in response.content_type else await response.read()
        kind = content.get("type", "").rpartition(":")[2] if isinstance(content, dict) and response.status >= 400 else ""
        return response.status, kind, content


@pytest.mark.parametrize("route", [*ROUTES, *SESSION_ROUTES])
async def test_nobody_is_answered(platform: RunningPlatform, route: str) -> None:
    # R1
    method, path = filled(route)
    headers = {**CHANGES, **REASON, "Origin": platform.url}
    for cookies in ({}, {"rtcc": "garbage"}, {"rtcc": "A" * 43}, {"__Host-rtcc": "A" * 43}):
        async with aiohttp.ClientSession(cookies=cookies) as client:
            status, kind, _ = await answered(platform, client, method, path, headers, {} if method in ("POST", "PUT") else None)
            if route == "POST /auth/sign-out" and status == 204:
                continue  # there is nothing to end
            assert (status, kind) == (401, "unauthenticated"), f"{route}: {status} {kind}"


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.startswith("GET ")])
async def test_a_page_of_another_site_changes_nothing(platform: RunningPlatform, browsers: Browsers, route: str) -> None:
    method, path = filled(route)
    client = browsers.all[OWNER].client
    attempts: list[dict[str, str]] = [
        {},
        {**CHANGES, "Origin": "https://evil.example"},
        {**CHANGES, "Origin": "null"},
        {**CHANGES, "Sec-Fetch-Site": "cross-site"},
    ]
    for headers in attempts:
        status, kind, _ = await answered(platform, client, method, path, {**headers, **REASON}, {} if method != "DELETE" else None)
        assert (status, kind) == (403, "cross-site-request"), f"{headers}: {status} {kind}"


@each_call
async def test_a_role_without_the_right_is_refused_and_audited(
    platform: RunningPlatform, world: World, browsers: Browsers, policies: PolicyEngine, rule: CallRule
) -> None:
    tried = 0
    method, path = filled(named(rule))
    for role, browser in browsers.one[OWNER].items():
        if policies.decide(world.scope(OWNER, role), rule.action, Resource.collection(OWNER)).allowed:
            continue
        tried += 1
        status, kind, _ = await answered(
            platform, browser.client, method, path, {**CHANGES, **REASON}, {} if method in ("POST", "PUT") else None
        )
        assert (status, kind) == (403, "refused"), f"{role}: {status} {kind}"
        await platform.audit.find(lambda entry: entry.action == rule.action and entry.outcome == OUTCOME_DENIED, by=browser.person_id)
    assert tried or rule.action in ("agency.list", "audit.read_own")


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.purpose_required], ids=named)
async def test_a_query_without_purpose_is_refused(platform: RunningPlatform, browsers: Browsers, rule: CallRule) -> None:
    # R18
    method, path = filled(named(rule))
    for headers in ({}, {"Rtcc-Purpose": "x"}, {"Rtcc-Case-Number": "x"}, {"Rtcc-Purpose": "%20", "Rtcc-Case-Number": "x"}):
        status, kind, _ = await answered(
            platform, browsers.all[OWNER].client, method, path, {**CHANGES, **headers}, {} if method in ("POST", "PUT") else None
        )
        assert kind == "purpose-required" and 400 <= status < 500, f"{headers}: {status} {kind}"


def as_http(rule: CallRule, request: Message) -> tuple[str, str, Any]:
    """(method, path with query, body) of a request, as docs/integrators/http.md says."""
    values = json_format.MessageToDict(request, preserving_proto_field_name=True)
    path = rule.http_path
    for field in re.findall(r"\{([a-z0-9_.]+)\}", rule.http_path):
        place, *rest = values, *field.split(".")
        for part in rest[:-1]:
            place = place[part]
        path = path.replace("{" + field + "}", str(place.pop(rest[-1], "")))
    if rule.http_method in ("POST", "PUT"):
        return rule.http_method, path, values
    query = "&".join(f"{name}={value}" for name, value in values.items())
    return rule.http_method, f"{path}?{query}" if query else path, None


# creating makes and searching finds own things: their answers are checked one by one in test_calls.py
ABOUT_A_THING = [
    rule
    for rule in RULES
    if rule.method in OF_A_THING and rule.object_field and not rule.method.startswith(("Create", "Search", "ListAcc"))
]


@pytest.mark.parametrize("rule", ABOUT_A_THING, ids=named)
async def test_another_agency_is_turned_away_and_the_try_is_audited(
    platform: RunningPlatform, world: World, browsers: Browsers, rule: CallRule
) -> None:
    request = await OF_A_THING[rule.method](world, OWNER)
    method, path, body = as_http(rule, request)
    stranger = browsers.all[STRANGER]
    seen = len(platform.audit.entries)
    status, kind, _ = await answered(platform, stranger.client, method, path, {**CHANGES, **REASON}, body)
    assert (status, kind) in ((404, "not-found"), (403, "refused")), f"{status} {kind}"
    await platform.audit.find(
        lambda entry: (
            entry.principal_id == stranger.person_id and entry.action == rule.action and entry.outcome in (OUTCOME_DENIED, OUTCOME_FAILED)
        ),
        since=seen,
    )
    own = ("CloseViewer", "UpdateViewer", "SetViewerSound", "GetHlsPlaylist", "GetHlsMedia", "ClosePublisher", "UpdatePublisher")
    if rule.method in own:
        return  # a view is its viewer's, and what somebody sends is that person's: colleagues can't touch it either
    # the owner's own people reach it by the same request
    status, kind, _ = await answered(platform, browsers.all[OWNER].client, method, path, {**CHANGES, **REASON}, body)
    assert kind not in ("not-found", "refused", "invalid-input", "internal"), f"{status} {kind}"


async def test_another_agency_gets_no_picture_by_whep(platform: RunningPlatform, world: World, browsers: Browsers) -> None:
    camera_id = await world.camera(OWNER)
    headers = {**CHANGES, **REASON, "Content-Type": "application/sdp"}
    async with browsers.all[STRANGER].client.post(f"{platform.url}/v1/whep/{camera_id}", data=OFFER, headers=headers) as response:
        assert response.status in (403, 404)
    view = f"{platform.url}/v1/whep/{camera_id}/{await world.open_viewer(OWNER, camera_id, OFFER)}"
    restart = headers | {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"}
    async with browsers.all[STRANGER].client.patch(view, data=ICE_RESTART, headers=restart) as response:
        assert response.status == 404
    async with browsers.all[STRANGER].client.delete(view, headers=headers) as response:
        assert response.status == 404


async def test_whip_opens_to_the_cameras_own_key_and_to_nothing_else(platform: RunningPlatform, world: World, browsers: Browsers) -> None:
    camera_id, other_id = await world.camera(OWNER, published=True), await world.camera(OWNER, published=True)
    key, other_key = await world.publish_key(OWNER, camera_id), await world.publish_key(OWNER, other_id)
    # somebody sends as this camera already: the device, the newest, takes over
    await world.open_publisher(OWNER, camera_id, PUBLISHER_OFFER)
    endpoint, sdp = f"{platform.url}/v1/whip/{camera_id}", {"Content-Type": "application/sdp"}
    right = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as device:
        wrong = ({}, {"Authorization": "Bearer "}, {"Authorization": "Basic eDp5"}, {"Authorization": f"Bearer {other_key}"})
        for headers in wrong:
            async with device.post(endpoint, data=PUBLISHER_OFFER, headers={**sdp, **headers}) as response:
                assert response.status == 401, headers
        async with device.post(f"{platform.url}/v1/whip/nowhere", data=PUBLISHER_OFFER, headers={**sdp, **right}) as response:
            assert response.status == 401
        for body, kind, status in (
            ("hello", "application/sdp", 400),
            (PUBLISHER_OFFER, "application/json", 400),
            ("v" * 70_000, "application/sdp", 413),
        ):
            async with device.post(endpoint, data=body, headers={"Content-Type": kind, **right}) as response:
                assert response.status == status, await response.text()
        async with device.post(endpoint, data=PUBLISHER_OFFER, headers={**sdp, **right}) as response:
            assert (response.status, response.content_type) == (201, "application/sdp")
            session, tag = platform.url + response.headers["Location"], response.headers["ETag"]
            assert (await response.text()).startswith("v=0")
        fragment = {"Content-Type": "application/trickle-ice-sdpfrag", **right}
        tries = (({}, 428), ({"If-Match": '"another"'}, 412), ({"If-Match": "*"}, 400), ({"If-Match": tag}, 204))
        for headers, status in tries:
            async with device.patch(session, data="a=end-of-candidates", headers={**fragment, **headers}) as response:
                assert response.status == status
        async with device.patch(session, data=ICE_RESTART, headers={**fragment, "If-Match": "*"}) as response:
            assert (response.status, response.content_type) == (200, "application/trickle-ice-sdpfrag")
            assert f"a=ice-ufrag:{response.headers['ETag'].strip(chr(34))}" in await response.text()
        # the ICE session before has ended
        async with device.patch(session, data="a=end-of-candidates", headers={**fragment, "If-Match": tag}) as response:
            assert response.status == 412
        for change in (device.delete, device.patch):
            async with change(session, headers={**fragment, "If-Match": tag, "Authorization": f"Bearer {other_key}"}) as response:
                assert response.status == 401
        async with device.delete(session, headers=right) as response:
            assert response.status == 200
        async with device.delete(session, headers=right) as response:
            assert response.status == 404
    # a person's cookie is no key for another site's page, nor for another agency
    async with browsers.all[OWNER].client.post(endpoint, data=PUBLISHER_OFFER, headers=sdp) as response:
        assert response.status == 403
    async with browsers.all[STRANGER].client.post(endpoint, data=PUBLISHER_OFFER, headers={**sdp, **CHANGES, **REASON}) as response:
        assert response.status in (403, 404)
    assert not any(secret in str(entry) for entry in platform.audit.entries for secret in (key, other_key))


async def test_every_answer_carries_the_security_headers(platform: RunningPlatform, browsers: Browsers) -> None:
    for path in ("/healthz", "/auth/banner", "/v1/cameras", "/nothing", "/v1/nothing", "/map"):
        async with browsers.all[OWNER].client.get(f"{platform.url}{path}") as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(platform: RunningPlatform, world: World) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        await world.sign_in(client, world.people[OWNER]["operator"])
        (cookie,) = list(client.cookie_jar)
        assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == "/"


async def test_a_one_time_link_works_once(platform: RunningPlatform, world: World) -> None:
    from rtcc.gateway.v1 import gateway_pb2
    from rtcc_chassis.scope import Scope

    person = world.people[OWNER]["officer"]
    request = gateway_pb2.CreateDemoLinkRequest(person_id=person.person_id, next="//evil.example")
    link = (await platform.ask("CreateDemoLink", Scope.service("standalone", OWNER), request)).url
    async with aiohttp.ClientSession() as first, first.get(link, allow_redirects=False) as response:
        assert response.status == 303
        # never to another site
        assert response.headers["Location"].startswith("/") and not response.headers["Location"].startswith("//")
    async with aiohttp.ClientSession() as second, second.get(link, allow_redirects=False) as response:
        assert response.status == 410


async def test_a_name_that_is_not_ours_is_not_served(platform: RunningPlatform, browsers: Browsers) -> None:
    # DNS rebinding
    async with browsers.all[OWNER].client.get(f"{platform.url}/v1/cameras", headers={"Host": "evil.example"}) as response:
        assert response.status in (400, 421, 422)
