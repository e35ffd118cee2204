"""Passkeys with the machine's Chromium and its virtual authenticator: what real browsers send, not what we imagine."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from .conftest import Gateway

_FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
# what the console does: post JSON, and turn options into a credential and back
_PAGE = """() => {
  window.post = async (path, body) => {
    const headers = { 'Content-Type': 'application/json', 'Rtcc-Request': '1' };
    const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, body: answer.status === 204 ? null : await answer.json() };
  };
  window.create = async (options) =>
    (await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })).toJSON();
  window.get = async (options) =>
    (await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) })).toJSON();
}"""


def _chromium() -> str:
    named = os.environ.get("RTCC_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    cached = sorted(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
    if found is None and not cached:
        pytest.skip("no Chromium on this machine: install chromium, or set RTCC_CHROMIUM to one")
    return found or str(cached[-1])


@asynccontextmanager
async def browser_with_authenticator(gateway: Gateway, *, verifies: bool = True) -> AsyncIterator[Page]:
    """A page of the gateway's origin in a browser whose authenticator says yes at once."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_chromium(), args=list(_FLAGS), timeout=60_000)
        try:
            page = await (await browser.new_context()).new_page()
            page.set_default_timeout(60_000)
            session = await page.context.new_cdp_session(page)
            await session.send("WebAuthn.enable")
            authenticator = {
                "protocol": "ctap2", "transport": "internal", "hasResidentKey": verifies, "hasUserVerification": verifies,
                "isUserVerified": verifies, "automaticPresenceSimulation": True,
            }  # fmt: skip
            await session.send("WebAuthn.addVirtualAuthenticator", {"options": authenticator})
            await page.goto(f"{gateway.origin}/healthz")
            await page.evaluate(_PAGE)
            yield page
        finally:
            await browser.close()


async def _post(page: Page, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    answer = await page.evaluate("([path, body]) => post(path, body)", [path, body])
    return answer["status"], answer["body"]


async def _enrol(gateway: Gateway, page: Page, login: str) -> str:
    """Enrol `login` with a new passkey; the banner's version."""
    token = await gateway.enrolment(await gateway.add_person(login, "operator", "administrator"))
    _, opened = await _post(page, "/auth/enrol/start", {"token": token})
    assert opened["passkey"]
    _, start = await _post(page, "/auth/enrol/passkey/start", {"token": token})
    credential = await page.evaluate("(options) => create(options)", start["public_key"])
    body = {
        "token": token,
        "challenge_id": start["challenge_id"],
        "credential": credential,
        "name": "Desk",
        "banner_version": opened["banner"]["version"],
    }
    status, who = await _post(page, "/auth/enrol/passkey/finish", body)
    assert status == 200 and who["signed_in"] and who["reauthenticate"] == ["passkey"], who
    return str(opened["banner"]["version"])


async def _with_passkey(page: Page, start: dict[str, Any], change: Any = lambda credential: credential) -> tuple[int, Any]:
    status, begun = await _post(page, "/auth/passkey/start", start)
    assert status == 200, begun
    credential = change(await page.evaluate("(options) => get(options)", begun["public_key"]))
    return await _post(page, "/auth/passkey/finish", {"challenge_id": begun["challenge_id"], "credential": credential})


async def test_passkey_enrols_and_signs_in_without_a_login(gateway: Gateway) -> None:  # R1
    async with browser_with_authenticator(gateway) as page:
        banner = await _enrol(gateway, page, "ada")
        await _post(page, "/auth/sign-out", {})
        status, who = await _with_passkey(page, {"banner_version": banner})
        assert status == 200 and who["person"]["login"] == "ada"


async def test_passkey_unlocks_its_own_session(gateway: Gateway) -> None:  # R3
    async with browser_with_authenticator(gateway) as page:
        await _enrol(gateway, page, "ada")
        assert (await _post(page, "/auth/lock", {}))[0] == 204
        assert (await _post(page, "/v1/cameras", {"camera": {"name": "x"}}))[0] == 423
        status, who = await _with_passkey(page, {"purpose": "reauthenticate"})
        assert status == 200 and not who["locked"]
        assert (await _post(page, "/v1/cameras", {"camera": {"name": "x"}}))[0] == 200


async def test_passkey_answer_works_once_and_unchanged_only(gateway: Gateway) -> None:
    async with browser_with_authenticator(gateway) as page:
        banner = await _enrol(gateway, page, "ada")
        await _post(page, "/auth/sign-out", {})

        def forged(credential: dict[str, Any]) -> dict[str, Any]:
            signature = credential["response"]["signature"]
            credential["response"]["signature"] = signature[:-6] + ("AAAAAA" if not signature.endswith("AAAAAA") else "BBBBBB")
            return credential

        assert (await _with_passkey(page, {"banner_version": banner}, forged))[0] == 401
        _, begun = await _post(page, "/auth/passkey/start", {"banner_version": banner})
        credential = await page.evaluate("(options) => get(options)", begun["public_key"])
        body = {"challenge_id": begun["challenge_id"], "credential": credential}
        assert (await _post(page, "/auth/passkey/finish", body))[0] == 200
        await _post(page, "/auth/sign-out", {})
        assert (await _post(page, "/auth/passkey/finish", body))[0] == 401
        for junk in ({}, {"id": 5}, {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {}}, {"id": "!" * 3000}):
            _, begun = await _post(page, "/auth/passkey/start", {"banner_version": banner})
            assert (await _post(page, "/auth/passkey/finish", {"challenge_id": begun["challenge_id"], "credential": junk}))[0] == 401


async def test_authenticator_that_did_not_verify_the_person_is_not_two_factors(gateway: Gateway) -> None:  # R1
    async with browser_with_authenticator(gateway, verifies=False) as page:
        token = await gateway.enrolment(await gateway.add_person("ada", "operator"))
        _, start = await _post(page, "/auth/enrol/passkey/start", {"token": token})
        # a page that was tampered with asks for less than the server did
        start["public_key"]["authenticatorSelection"] = {"userVerification": "discouraged", "residentKey": "discouraged"}
        credential = await page.evaluate("(options) => create(options)", start["public_key"])
        _, opened = await _post(page, "/auth/enrol/start", {"token": token})
        body = {
            "token": token,
            "challenge_id": start["challenge_id"],
            "credential": credential,
            "banner_version": opened["banner"]["version"],
        }
        assert (await _post(page, "/auth/enrol/passkey/finish", body))[0] == 401


async def test_browsers_know_no_passkeys_for_an_address(gateway: Gateway) -> None:
    answer = await gateway.browser().get("/auth/banner", headers={"Host": f"127.0.0.1:{gateway.port}"})
    assert (await answer.json())["methods"]["passkey"] is False
    assert (await (await gateway.browser().get("/auth/banner")).json())["methods"]["passkey"] is True
