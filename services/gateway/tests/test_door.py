"""The HTTP door: headers, origins, bounds, routes made from the contracts, devices."""

import asyncio
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rtcc.contract.v1.contract_pb2 import AUDIENCE_PERSON
from rtcc_chassis.rpc import all_rules
from rtcc_chassis.settings import InvalidSetting
from rtcc_chassis.testing import TestPlatform
from rtcc_gateway.http import whep
from rtcc_gateway.http.rest import canonical_paths
from rtcc_gateway.settings import GatewaySettings

from .conftest import PASSWORD, Gateway, Secrets, start_gateway

EXPECTED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def _kind(answer: aiohttp.ClientResponse) -> str:
    return str((await answer.json())["type"]).rsplit(":", 1)[1]


async def test_every_answer_carries_the_security_headers(gateway: Gateway) -> None:
    browser = gateway.browser()
    for path in ("/", "/auth/session", "/v1/agencies", "/nothing", "/healthz"):
        answer = await browser.get(path)
        assert {name: answer.headers.get(name) for name in EXPECTED_HEADERS} == EXPECTED_HEADERS, path
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy


async def test_every_route_of_the_contracts_is_served_and_none_answers_nobody(gateway: Gateway) -> None:  # R1
    expected = {
        (rule.http_method, rule.http_path.replace(".", "__"))
        for rule in all_rules().values()
        if rule.http_path and rule.audience == AUDIENCE_PERSON
    }
    served = {tuple(path.split(" ", 1)) for path in canonical_paths()}
    assert expected <= served
    served |= {(route.method, route.path) for route in whep.routes() if route.method != "OPTIONS"}
    for method, path in sorted(served):
        stranger = gateway.browser()
        answer = await stranger.request(method, path.replace("{", "").replace("}", ""), json={})
        assert answer.status == 401, (method, path)
        await stranger.close()


async def test_no_call_for_services_or_devices_has_a_route() -> None:
    assert not [rule.path for rule in all_rules().values() if rule.http_path and rule.audience != AUDIENCE_PERSON]


async def test_state_changes_from_another_site_are_refused(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("root", "administrator")
    body = {"camera": {"name": "x"}}
    own: dict[str, str] = {"Rtcc-Request": "1", "Origin": gateway.origin}
    attempts: list[dict[str, str]] = [
        own | {"Origin": "https://evil.example"},
        own | {"Origin": "null"},
        own | {"Rtcc-Request": ""},
        own | {"Sec-Fetch-Site": "cross-site"},
        own | {"Origin": gateway.origin.replace("http:", "https:")},
    ]
    for headers in attempts:
        answer = await browser.post("/v1/cameras", json=body, headers=headers)
        assert answer.status == 403 and await _kind(answer) == "cross-site-request", headers
    assert (await browser.post("/v1/cameras", json=body, headers=own)).status == 200
    assert (await browser.post("/auth/sign-out", headers={"Rtcc-Request": ""})).status == 403


async def test_session_cookie_is_out_of_reach_for_scripts_and_other_sites(gateway: Gateway) -> None:
    person = await gateway.add_person("ada", "operator")
    token = await gateway.enrolment(person)
    browser, _ = await gateway.enrolled("bo", "operator")
    cookie = next(iter(browser.cookie_jar))
    assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == "/" and cookie.key == "rtcc"
    assert token not in str(await gateway.audit())


async def test_another_host_name_is_refused(gateway: Gateway) -> None:
    answer = await gateway.browser().get("/auth/session", headers={"Host": "evil.example"})
    assert answer.status == 400


async def test_purpose_travels_signed_to_the_service(gateway: Gateway) -> None:  # R18
    browser, _ = await gateway.enrolled("ada", "operator")
    path, body = "/v1/hot-lists/h1/entries", {"entry": {"plate": "ABC123"}}
    refused = await browser.post(path, json=body)
    assert refused.status == 428 and await _kind(refused) == "purpose-required"
    headers = {"Rtcc-Purpose": quote("Überfall, Ermittlung"), "Rtcc-Case-Number": "26-0412", "Idempotency-Key": "k-1"}
    assert (await browser.post(path, json=body, headers=headers)).status == 200
    name, request, scope = gateway.services.asked[-1]
    assert name == "AddHotListEntry" and request.hot_list_id == "h1" and request.entry.plate == "ABC123"
    assert (scope.purpose, scope.case_number, scope.idempotency_key) == ("Überfall, Ermittlung", "26-0412", "k-1")
    assert (scope.agency_id, scope.principal_id, scope.roles) == ("harbor", "person-ada", frozenset({"operator"}))


@pytest.mark.parametrize(
    "headers",
    [
        {"Rtcc-Purpose": "%ff"},
        {"Rtcc-Purpose": "a" * 201},
        {"Rtcc-Case-Number": "%00"},
        {"Rtcc-Case-Number": quote("a\nb")},
        {"Idempotency-Key": "a b"},
        {"Idempotency-Key": "k" * 65},
    ],
)
async def test_malformed_headers_are_named(gateway: Gateway, headers: dict[str, str]) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    answer = await browser.get("/v1/agencies", headers=headers)
    problem = await answer.json()
    assert answer.status == 400 and problem["violations"][0]["field"] == next(iter(headers))


async def test_query_parameters_fill_nested_fields(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    path = "/v1/positions/nearest?coordinate.latitude_deg=60.17&coordinate.longitude_deg=24.94&limit=4"
    assert (await browser.get(path)).status == 200
    request = gateway.services.asked[-1][1]
    assert (request.coordinate.latitude_deg, request.coordinate.longitude_deg, request.limit) == (60.17, 24.94, 4)


async def test_unknown_and_malformed_fields_are_named(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator", "administrator")
    for path, field in (
        ("/v1/positions/nearest?coordinate.latitude=1", "coordinate.latitude"),
        ("/v1/positions/nearest?limit=-", "limit"),
        ("/v1/positions/nearest?limit=5&limit=6", "limit"),
        ("/v1/positions/nearest?limit.x=5", "limit.x"),
        ("/v1/alerts?include_closed=perhaps", "include_closed"),
    ):
        answer = await browser.get(path)
        problem = await answer.json()
        assert answer.status == 400 and problem["violations"][0]["field"] == field, (path, problem)
    for body in (
        "{",
        "[]",
        '{"camera": 5}',
        '{"camera": {"nmae": "x"}}',
        '{"camera": {"bearing_deg": "north"}}',
        '{"a":1,"a":2}',
        "\ud800",
    ):
        data = body.encode("utf-8", "surrogatepass")
        answer = await browser.post("/v1/cameras", data=data, headers={"Content-Type": "application/json"})
        assert answer.status == 400, (body, await answer.text())


async def test_bodies_above_the_bound_are_refused(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("root", "administrator")
    answer = await browser.post("/v1/cameras", data=b"x" * (256 * 1024 + 1))
    assert answer.status == 413

    async def endless() -> Any:
        for _ in range(100):
            yield b"x" * 65536

    # chunked: the length isn't known beforehand
    answer = await browser.post("/v1/hooks/s1", data=endless())
    assert answer.status == 413


async def test_pictures_are_answered_as_pictures(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    answer = await browser.get("/v1/alerts/a1/image")
    assert answer.content_type == "image/jpeg" and await answer.read() == b"\xff\xd8picture"
    assert answer.headers["Cache-Control"] == "no-store"


FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


async def test_whep_answers_with_what_a_player_needs(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    answer = await browser.post("/v1/whep/c1", data="v=0\r\n", headers={"Content-Type": "application/sdp"})
    assert answer.status == 201 and answer.content_type == "application/sdp"
    assert answer.headers["Location"] == "/v1/whep/c1/viewer-1"
    assert answer.headers["ETag"] == '"first"'
    assert answer.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert answer.headers.getall("Link") == [
        '<stun:turn.example:3478>; rel="ice-server"',
        '<turn:turn.example:3478?transport=udp>; rel="ice-server"; username="99:viewer-1"; credential="c2VjcmV0"; '
        'credential-type="password"',
    ]
    assert gateway.services.asked[-1][1].camera_id == "c1"
    refused = await browser.post("/v1/whep/c1", json={})
    assert refused.status == 400 and refused.content_type == "application/problem+json"
    asked = await gateway.browser().request("OPTIONS", "/v1/whep/c1")
    assert asked.status == 204 and asked.headers["Accept-Post"] == "application/sdp"


async def test_whep_patch_tells_candidates_from_restarts(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    path = "/v1/whep/c1/viewer-1"
    candidate = "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n"
    trickled = await browser.request("PATCH", path, data=candidate, headers=FRAGMENT | {"If-Match": '"first"'})
    assert (trickled.status, trickled.headers["ETag"]) == (204, '"first"')
    assert gateway.services.asked[-1][1].sdp_fragment == candidate
    restarted = await browser.request("PATCH", path, data="a=ice-ufrag:abcd\r\n", headers=FRAGMENT | {"If-Match": "*"})
    assert (restarted.status, restarted.headers["ETag"]) == (200, '"second"')
    assert restarted.content_type == "application/trickle-ice-sdpfrag"
    assert await restarted.text() == "a=ice-ufrag:new1\r\n"
    for headers, status in (
        (FRAGMENT, 428),
        (FRAGMENT | {"If-Match": '"older"'}, 412),
        ({"Content-Type": "application/sdp", "If-Match": '"first"'}, 415),
    ):
        refused = await browser.request("PATCH", path, data=candidate, headers=headers)
        assert (refused.status, (await refused.json(content_type=None))["status"]) == (status, status)
        assert refused.content_type == "application/problem+json"


async def test_unknown_paths_and_methods_are_problems(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    for method, path, status in (
        ("GET", "/v1/nothing", 404), ("PATCH", "/v1/cameras", 405), ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/assets/../../settings.py", 404), ("GET", "/%00", 404),
    ):  # fmt: skip
        answer = await browser.request(method, path)
        assert answer.status == status, (method, path, answer.status)
        assert answer.content_type == "application/problem+json"


async def test_too_many_requests_are_slowed(small_platform: TestPlatform) -> None:
    gateway = await start_gateway(small_platform, address_rate=1.0, address_burst=3)
    # else a slow machine earns another request meanwhile
    gateway.clock.stop()
    browser = gateway.browser()
    answers = [await browser.get("/v1/agencies") for _ in range(5)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    await gateway.close()


async def test_silent_connections_are_cut(small_platform: TestPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtcc_gateway.http.guard._FIRST_REQUEST_S", 0.5)
    gateway = await start_gateway(small_platform)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    await writer.drain()
    # half of what a connection has by itself
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionError):
            if await reader.read(10) == b"":
                raise ConnectionError
    writer.close()
    await gateway.close()


async def test_oversized_heads_are_refused(gateway: Gateway) -> None:
    answer = await gateway.browser().get("/auth/session", headers={"X-Large": "a" * 9000})
    assert answer.status == 400


def test_listening_to_others_needs_a_certificate() -> None:  # R14
    with pytest.raises(InvalidSetting, match="certificate"):
        GatewaySettings(listen="0.0.0.0:8443").check()
    with pytest.raises(InvalidSetting, match="belong together"):
        GatewaySettings(certificate_file="x.pem").check()
    with pytest.raises(InvalidSetting, match="https"):
        GatewaySettings(origin="http://rtcc.example.org").check()
    GatewaySettings(listen="127.0.0.1:0", origin="http://localhost:8711").check()


def test_a_proxy_that_carries_us_to_others_is_no_loopback() -> None:
    assert GatewaySettings(origin="http://localhost:8711").only_this_machine and GatewaySettings().only_this_machine
    assert not GatewaySettings(origin="https://rtcc.example.org").only_this_machine


async def test_webhook_goes_to_intake_as_it_came(gateway: Gateway) -> None:
    headers = {"Rtcc-Timestamp": "1", "Rtcc-Delivery": "d-1", "Rtcc-Signature": "v1=00"}
    body = b'{"plate": "ABC123"}\xff'
    async with aiohttp.ClientSession() as device:
        answer = await device.post(f"http://127.0.0.1:{gateway.port}/v1/hooks/s1", data=body, headers=headers)
        assert answer.status == 202 and (await answer.json())["outcome"] == "DELIVERY_OUTCOME_ACCEPTED"
        delivery = gateway.services.deliveries[-1]
        assert (delivery.source_id, delivery.timestamp, delivery.delivery_id, delivery.signature, delivery.body) == (
            "s1",
            "1",
            "d-1",
            "v1=00",
            body,
        )
        too_long = headers | {"Rtcc-Delivery": "d" * 300}
        assert (await device.post(f"http://127.0.0.1:{gateway.port}/v1/hooks/s1", data=body, headers=too_long)).status == 400


async def test_osmand_query_form_and_json_become_fixes(gateway: Gateway) -> None:
    moment = int(datetime.now(UTC).timestamp())
    url = f"http://127.0.0.1:{gateway.port}/v1/osmand"
    query = {
        "id": "d1",
        "key": "k",
        "lat": "60.17",
        "lon": "24.94",
        "timestamp": str(moment),
        "speed": "10",
        "bearing": "90",
        "batt": "55.5",
    }
    document = {
        "device_id": "d2",
        "location": {
            "timestamp": "2026-05-04T10:00:00.000Z", "event": "motionchange", "battery": {"level": 0.8, "is_charging": False},
            "coords": {"latitude": 60.2, "longitude": 24.9, "accuracy": 12.5, "speed": 5.0, "heading": -1, "altitude": 20.1},
        },
    }  # fmt: skip
    async with aiohttp.ClientSession() as device:
        assert (await device.get(url, params=query)).status == 200
        assert (await device.post(url, data=query | {"id": "d3", "timestamp": str(moment * 1000), "alarm": "sos"})).status == 200
        assert (await device.post(url, params={"key": "k"}, json=document)).status == 200
    sent = {request.device_id: request for request in gateway.services.fixes}
    fix = sent["d1"].fixes[0]
    assert sent["d1"].device_key == "k" and fix.fixed_at.seconds == moment and fix.position.heading_deg == 90
    assert fix.position.speed_mps == pytest.approx(5.1444, abs=1e-3) and fix.battery_percent == 55.5 and not fix.panic
    assert sent["d3"].fixes[0].panic and sent["d3"].fixes[0].fixed_at.seconds == moment
    fix = sent["d2"].fixes[0]
    assert fix.position.speed_mps == 5 and not fix.position.HasField("heading_deg") and fix.battery_percent == pytest.approx(80)
    assert fix.fixed_at.ToJsonString() == "2026-05-04T10:00:00Z"


async def test_fixes_of_one_device_share_a_call(gateway: Gateway) -> None:
    url = f"http://127.0.0.1:{gateway.port}/v1/osmand"
    async with aiohttp.ClientSession() as device:
        queries = [{"id": "d1", "key": "k", "lat": "60.1", "lon": "24.9", "timestamp": str(1_700_000_000 + n)} for n in range(20)]
        answers = await asyncio.gather(*(device.get(url, params=query) for query in queries))
    assert {answer.status for answer in answers} == {200}
    assert sum(len(request.fixes) for request in gateway.services.fixes) == 20 and len(gateway.services.fixes) < 10


@pytest.mark.parametrize(
    "query",
    [
        {"id": "d", "key": "k", "lat": "91", "lon": "0"},
        {"id": "d", "key": "k", "lat": "nan", "lon": "0"},
        {"id": "d", "key": "k", "lat": "1"},
        {"id": "", "key": "k", "lat": "1", "lon": "1"},
        {"id": "d", "key": "k", "lat": "1", "lon": "1", "timestamp": "yesterday"},
        {"id": "d", "key": "k", "lat": "1", "lon": "1", "timestamp": "9" * 19},
    ],
)
async def test_unreadable_fixes_are_refused_with_a_reason(gateway: Gateway, query: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as device:
        answer = await device.get(f"http://127.0.0.1:{gateway.port}/v1/osmand", params=query)
        assert answer.status == 400 and json.loads(await answer.text())["violations"]


async def test_device_without_key_is_nobody(gateway: Gateway) -> None:
    async with aiohttp.ClientSession() as device:
        answer = await device.get(f"http://127.0.0.1:{gateway.port}/v1/osmand", params={"id": "d", "lat": "1", "lon": "1"})
        assert answer.status == 401


async def test_with_a_certificate_the_door_speaks_only_https(small_platform: TestPlatform, tmp_path: Path) -> None:  # R14
    certificate, key = _certificate(tmp_path)
    gateway = await start_gateway(small_platform, certificate_file=str(certificate), certificate_key_file=str(key))
    gateway.origin = gateway.origin.replace("http:", "https:")
    context = ssl.create_default_context(cafile=str(certificate))
    async with aiohttp.ClientSession(gateway.origin, connector=aiohttp.TCPConnector(ssl=context)) as browser:
        person = await gateway.add_person("ada", "operator")
        token = await gateway.enrolment(person)
        headers = {"Rtcc-Request": "1", "Origin": gateway.origin}
        opened = await (await browser.post("/auth/enrol/start", json={"token": token}, headers=headers)).json()
        secrets = Secrets("ada", opened["totp"]["secret"], opened["banner"]["version"], gateway.clock)
        body = {"token": token, "password": PASSWORD, "code": secrets.code(), "banner_version": secrets.banner}
        answer = await browser.post("/auth/enrol/totp", json=body, headers=headers)
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
        cookie = answer.cookies["__Host-rtcc"]
        assert cookie["secure"] and cookie["httponly"] and cookie["path"] == "/" and not cookie["domain"]
    with pytest.raises(aiohttp.ClientError):
        async with aiohttp.ClientSession() as plain:
            await plain.get(f"http://localhost:{gateway.port}/healthz")
    await gateway.close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(built.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_file, key_file
