"""Signing in: two factors, lock-out, links, locks and ends."""

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from rtcc.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from rtcc.ledger.v1.ledger_pb2 import OUTCOME_ALLOWED, OUTCOME_DENIED
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import poll

from .conftest import PASSWORD, Gateway, Secrets


async def _password(
    browser: aiohttp.ClientSession, secrets: Secrets, password: str = PASSWORD, banner: str | None = None
) -> aiohttp.ClientResponse:
    body = {"login": secrets.login, "password": password, "banner_version": secrets.banner if banner is None else banner}
    return await browser.post("/auth/sign-in", json=body)


async def test_enrolment_link_sets_password_and_code_and_signs_in(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    who = await (await browser.get("/auth/session")).json()
    assert who["signed_in"] and who["person"]["login"] == "ada" and who["person"]["agency_name"] == "Harbor"
    assert "alert.acknowledge" in who["rights"] and "person.create" not in who["rights"]


async def test_enrolment_link_works_once(gateway: Gateway) -> None:
    person = await gateway.add_person("ada", "operator")
    token = await gateway.enrolment(person)
    browser = gateway.browser()
    opened = await (await browser.post("/auth/enrol/start", json={"token": token})).json()
    secrets = Secrets("ada", opened["totp"]["secret"], opened["banner"]["version"], gateway.clock)
    body = {"token": token, "password": PASSWORD, "code": secrets.code(), "banner_version": secrets.banner}
    answers = await asyncio.gather(*(gateway.browser().post("/auth/enrol/totp", json=body) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [200, 410, 410]


async def test_enrolment_link_ends_after_72_hours(gateway: Gateway) -> None:  # R7
    token = await gateway.enrolment(await gateway.add_person("ada", "operator"))
    gateway.clock.ahead = timedelta(hours=72)
    answer = await gateway.browser().post("/auth/enrol/start", json={"token": token})
    assert answer.status == 410 and (await answer.json())["type"] == "urn:rtcc:problem:link-used"


async def test_weak_password_is_refused_with_the_field_named(gateway: Gateway) -> None:
    token = await gateway.enrolment(await gateway.add_person("ada", "operator"))
    browser = gateway.browser()
    opened = await (await browser.post("/auth/enrol/start", json={"token": token})).json()
    secrets = Secrets("ada", opened["totp"]["secret"], opened["banner"]["version"], gateway.clock)
    for password in ("short", "ada123456789", "aaaaaaaaaaaaaaaa"):
        body = {"token": token, "password": password, "code": secrets.code(), "banner_version": secrets.banner}
        answer = await browser.post("/auth/enrol/totp", json=body)
        problem = await answer.json()
        assert answer.status == 400 and problem["violations"][0]["field"] == "password"


async def test_password_alone_opens_nothing(gateway: Gateway) -> None:  # R1
    _, secrets = await gateway.enrolled("ada", "operator")
    browser = gateway.browser()
    step = await _password(browser, secrets)
    body = await step.json()
    assert step.status == 200 and body["methods"] == ["totp"]
    assert not browser.cookie_jar.filter_cookies(gateway.origin)
    assert (await browser.get("/v1/agencies")).status == 401
    answer = await browser.post("/auth/totp", json={"challenge_id": body["challenge_id"], "code": secrets.next_code()})
    assert answer.status == 200, await answer.text()
    assert (await browser.get("/v1/agencies")).status == 200


async def test_a_code_works_once(gateway: Gateway) -> None:
    _, secrets = await gateway.enrolled("ada", "operator")
    code = secrets.next_code()
    statuses = []
    for _ in range(2):
        step = await (await _password(gateway.browser(), secrets)).json()
        answer = await gateway.browser().post("/auth/totp", json={"challenge_id": step["challenge_id"], "code": code})
        statuses.append(answer.status)
    assert statuses == [200, 401]


async def test_banner_must_be_acknowledged(gateway: Gateway) -> None:  # R6
    _, secrets = await gateway.enrolled("ada", "operator")
    answer = await _password(gateway.browser(), secrets, banner="")
    assert answer.status == 409 and (await answer.json())["type"] == "urn:rtcc:problem:banner-required"


async def test_five_bad_tries_lock_until_released(gateway: Gateway) -> None:  # R2
    _, secrets = await gateway.enrolled("ada", "operator")
    browser = gateway.browser()
    statuses = [(await _password(browser, secrets, "wrong password!")).status for _ in range(5)]
    assert statuses == [401, 401, 401, 401, 423]
    assert (await _password(browser, secrets)).status == 423
    gateway.clock.ahead = timedelta(days=30)
    assert (await _password(browser, secrets)).status == 423
    gateway.clock.ahead = timedelta()
    administrator, _ = await gateway.enrolled("root", "administrator")
    assert (await administrator.post("/v1/people/person-ada/release", json={})).status == 200
    assert (await _password(browser, secrets)).status == 200


async def test_tries_in_parallel_do_not_slip_through(gateway: Gateway) -> None:  # R2
    _, secrets = await gateway.enrolled("ada", "operator")
    answers = await asyncio.gather(*(_password(gateway.browser(), secrets, f"wrong password {n}") for n in range(12)))
    assert sum(answer.status == 401 for answer in answers) <= 5
    assert (await _password(gateway.browser(), secrets)).status == 423


async def test_unknown_login_answers_like_a_known_one(gateway: Gateway) -> None:
    _, secrets = await gateway.enrolled("ada", "operator")
    browser = gateway.browser()
    known = await (await _password(browser, secrets, "wrong password!")).json()
    nobody = Secrets("nobody", "", secrets.banner, gateway.clock)
    answers = [await _password(browser, nobody, "wrong password!") for _ in range(5)]
    assert (await answers[0].json()) == known
    assert [answer.status for answer in answers] == [401, 401, 401, 401, 423]


async def test_every_try_is_audited_and_secrets_are_not(gateway: Gateway) -> None:  # R8 R9
    _, secrets = await gateway.enrolled("ada", "operator")
    await _password(gateway.browser(), secrets, "wrong password!")
    entries = [entry for entry in await gateway.audit() if entry.action == "session.sign_in"]
    assert [entry.outcome for entry in entries] == [OUTCOME_ALLOWED, OUTCOME_DENIED]
    assert (
        entries[1].reason == "wrong password"
        and entries[1].source_address == "127.0.0.1"
        and entries[1].object_ids == ["person:person-ada"]
    )
    everything = "".join(str(entry) for entry in await gateway.audit())
    assert PASSWORD not in everything and "wrong password!" not in everything and secrets.totp not in everything


async def test_account_unused_for_90_days_is_refused(gateway: Gateway) -> None:  # R7
    _, secrets = await gateway.enrolled("ada", "operator")
    gateway.clock.ahead = timedelta(days=90)
    answer = await _password(gateway.browser(), secrets)
    assert answer.status == 403 and "90 days" in (await answer.json())["detail"]


async def test_session_locks_after_30_idle_minutes_and_unlocks_with_all_factors(gateway: Gateway) -> None:  # R3
    browser, secrets = await gateway.enrolled("ada", "operator")
    gateway.clock.ahead = timedelta(minutes=29)
    assert (await browser.get("/v1/agencies")).status == 200
    # a read is no sign of the person's presence
    gateway.clock.ahead = timedelta(minutes=31)
    assert (await browser.get("/v1/agencies")).status == 423
    who = await (await browser.get("/auth/session")).json()
    assert who["locked"] and who["rights"] == []
    assert (await browser.post("/auth/reauthenticate", json={"password": PASSWORD, "code": "000000"})).status == 401
    assert (await browser.get("/v1/agencies")).status == 423
    answer = await browser.post("/auth/reauthenticate", json={"password": PASSWORD, "code": secrets.code()})
    assert answer.status == 200 and not (await answer.json())["locked"]
    assert (await browser.get("/v1/agencies")).status == 200


async def test_activity_keeps_the_session_open(gateway: Gateway) -> None:  # R3
    browser, _ = await gateway.enrolled("ada", "operator")
    for minutes in (20, 40, 60):
        gateway.clock.ahead = timedelta(minutes=minutes)
        assert (await browser.post("/auth/activity")).status == 204
    assert (await browser.get("/v1/agencies")).status == 200


async def test_session_ends_after_12_hours_however_active(gateway: Gateway) -> None:  # R4
    browser, _ = await gateway.enrolled("ada", "operator")
    for minutes in range(25, 12 * 60, 25):
        gateway.clock.ahead = timedelta(minutes=minutes)
        assert (await browser.post("/auth/activity")).status == 204
    gateway.clock.ahead = timedelta(hours=12)
    assert (await browser.get("/v1/agencies")).status == 401
    assert await (await browser.get("/auth/session")).json() == {"signed_in": False}


async def test_privileged_call_needs_a_fresh_sign_in(gateway: Gateway) -> None:  # R4
    browser, _ = await gateway.enrolled("root", "administrator")
    assert (await browser.post("/v1/units", json={"unit": {"call_sign": "4A12"}})).status == 200
    # the session's proof of presence is put back, for the gate of the called service has the real clock
    await _age_sign_in(gateway, "person-root", timedelta(minutes=11))
    answer = await browser.post("/v1/units", json={"unit": {"call_sign": "4A13"}})
    assert answer.status == 401 and (await answer.json())["type"] == "urn:rtcc:problem:reauthentication-required"


async def _age_sign_in(gateway: Gateway, person_id: str, age: timedelta) -> None:
    async with gateway.context.database.transaction(Scope.platform("gateway")) as connection:
        await connection.execute("update session set fresh_at = fresh_at - $2::interval where person_id = $1", person_id, age)
    # beyond the gateway's cache of sessions
    gateway.clock.ahead += timedelta(seconds=6)


async def test_sign_out_ends_the_session_for_good(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    stolen = gateway.browser()
    stolen.cookie_jar.update_cookies(browser.cookie_jar.filter_cookies(gateway.origin))
    assert (await stolen.get("/v1/agencies")).status == 200
    assert (await browser.post("/auth/sign-out")).status == 204
    assert (await stolen.get("/v1/agencies")).status == 401


async def test_disabled_person_is_out_at_once(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    await gateway.add_person("ada", "operator", enabled=False)

    async def refused() -> bool:
        return (await browser.get("/v1/agencies")).status == 401

    await poll(refused)


async def test_new_roles_count_from_the_next_request(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("ada", "operator")
    assert (await browser.post("/v1/cameras", json={"camera": {"name": "x"}})).status == 403
    await gateway.add_person("ada", "administrator")
    assert (await browser.post("/v1/cameras", json={"camera": {"name": "x"}})).status == 200


async def test_changed_password_ends_other_sessions(gateway: Gateway) -> None:
    browser, secrets = await gateway.enrolled("ada", "operator")
    other = gateway.browser()
    step = await (await _password(other, secrets)).json()
    assert (await other.post("/auth/totp", json={"challenge_id": step["challenge_id"], "code": secrets.next_code()})).status == 200
    gateway.clock.ahead = timedelta(minutes=2)
    body = {"current_password": PASSWORD, "code": secrets.code(), "password": "another fine pass phrase"}
    answer = await browser.post("/auth/password", json=body)
    assert answer.status == 204, await answer.text()
    assert (await browser.get("/v1/agencies")).status == 200
    assert (await other.get("/v1/agencies")).status == 401


async def test_administrator_lists_and_ends_sessions_of_the_own_agency_only(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    administrator, _ = await gateway.enrolled("root", "administrator")
    stranger, _ = await gateway.enrolled("max", "administrator", agency_id="coast")
    sessions = (await (await administrator.get("/v1/sessions")).json())["sessions"]
    assert {session["person_id"] for session in sessions} == {"person-ada", "person-root"}
    ada_session = next(session["session_id"] for session in sessions if session["person_id"] == "person-ada")
    assert (await stranger.delete(f"/v1/sessions/{ada_session}")).status == 404
    assert (await stranger.post("/v1/people/person-ada/enrolment", json={})).status == 404
    assert (await ada.get("/v1/agencies")).status == 200
    assert (await administrator.delete(f"/v1/sessions/{ada_session}")).status == 200
    assert (await ada.get("/v1/agencies")).status == 401


async def test_demo_link_signs_in_once(demo_gateway: Gateway) -> None:
    person = await demo_gateway.add_person("ada", "operator")
    url = await _demo_link(demo_gateway, person.person_id)
    browser = demo_gateway.browser()
    answer = await browser.get(url, allow_redirects=False)
    assert answer.status == 303 and answer.headers["Location"] == "/map"
    who = await (await browser.get("/auth/session")).json()
    assert who["demo"] and who["reauthenticate"] == ["demo"]
    assert (await demo_gateway.browser().get(url, allow_redirects=False)).status == 410


async def test_demo_link_ends_after_10_minutes(demo_gateway: Gateway) -> None:
    person = await demo_gateway.add_person("ada", "operator")
    url = await _demo_link(demo_gateway, person.person_id)
    demo_gateway.clock.ahead = timedelta(minutes=10)
    assert (await demo_gateway.browser().get(url, allow_redirects=False)).status == 410


async def _demo_link(gateway: Gateway, person_id: str, following: str = "/map") -> str:
    stub: Any = gateway.context.channels.stub("gateway", gateway_pb2_grpc.AccountServiceStub)
    metadata = gateway.platform.metadata(Scope.platform("standalone"))
    response = await stub.CreateDemoLink(gateway_pb2.CreateDemoLinkRequest(person_id=person_id, next=following), metadata=metadata)
    return str(response.url).removeprefix(gateway.origin)


async def test_a_normal_installation_has_no_demo_links(gateway: Gateway) -> None:
    person = await gateway.add_person("ada", "operator")
    with pytest.raises(Exception, match="started as a demo"):
        await _demo_link(gateway, person.person_id)
    assert (await gateway.browser().get("/auth/demo/" + "x" * 43, allow_redirects=False)).status == 404


async def test_demo_link_never_leads_to_another_site(demo_gateway: Gateway) -> None:
    person = await demo_gateway.add_person("ada", "operator")
    url = await _demo_link(demo_gateway, person.person_id, "//evil.example/x")
    answer = await demo_gateway.browser().get(url, allow_redirects=False)
    assert answer.headers["Location"] == "/"
