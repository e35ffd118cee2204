"""OpenID Connect against a provider that really issues, signs and checks: code flow, PKCE, nonce, second factor."""

import base64
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import aiohttp
import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from rtcc_chassis.testing import TestPlatform, free_port

from .conftest import Gateway, start_gateway

CLIENT_ID, CLIENT_SECRET = "openrtcc", "a client secret"


@dataclass
class Provider:
    """A small OpenID provider; `claims` are what it says of whoever signs in, `tamper` changes a token's claims last."""

    port: int
    claims: dict[str, Any] = field(default_factory=dict)
    tamper: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}))
    signing_key: RSAKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def discovery(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    async def authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        assert query["response_type"] == "code" and query["client_id"] == CLIENT_ID and query["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        raise web.HTTPFound(f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}")

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self.codes.pop(str(form["code"]), None)
        expected = "Basic " + base64.b64encode(f"{CLIENT_ID}:{quote_plus(CLIENT_SECRET)}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest()).rstrip(b"=").decode()
        if asked is None or challenge != asked["code_challenge"] or request.headers.get("Authorization") != expected:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "sub": "s1", "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims | self.claims | self.tamper, self.signing_key or self.key)
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": token})


@asynccontextmanager
async def running_provider() -> AsyncIterator[Provider]:
    provider = Provider(free_port())
    app = web.Application()
    app.add_routes(
        [
            web.get("/.well-known/openid-configuration", provider.discovery),
            web.get("/authorize", provider.authorize),
            web.post("/token", provider.token),
            web.get("/keys", provider.keys),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", provider.port).start()
    try:
        yield provider
    finally:
        await runner.cleanup()


@asynccontextmanager
async def single_sign_on(platform: TestPlatform) -> AsyncIterator[tuple[Gateway, Provider]]:
    async with running_provider() as provider:
        gateway = await start_gateway(platform, oidc_issuer=provider.issuer, oidc_client_id=CLIENT_ID, oidc_client_secret=CLIENT_SECRET)
        yield gateway, provider
        await gateway.close()


async def _travel(browser: aiohttp.ClientSession, following: str = "/map") -> aiohttp.ClientResponse:
    """Start, provider, callback: what the browser does, up to the gateway's last answer."""
    banner = (await (await browser.get("/auth/banner")).json())["banner"]["version"]
    start = await browser.get("/auth/oidc/start", params={"banner_version": banner, "next": following}, allow_redirects=False)
    assert start.status == 303
    away = await browser.get(start.headers["Location"], allow_redirects=False)
    return await browser.get(away.headers["Location"], allow_redirects=False)


async def test_provider_that_checked_two_factors_signs_a_known_person_in(small_platform: TestPlatform) -> None:  # R1
    async with single_sign_on(small_platform) as (gateway, provider):
        await gateway.add_person("ada", "operator", email="ada@harbor.example")
        provider.claims = {"email": "ADA@harbor.example", "email_verified": True, "amr": ["pwd", "otp"]}
        browser = gateway.browser()
        end = await _travel(browser)
        assert (end.status, end.headers["Location"]) == (303, "/map")
        who = await (await browser.get("/auth/session")).json()
        assert who["person"]["login"] == "ada" and (await browser.get("/v1/agencies")).status == 200


async def test_one_factor_at_the_provider_is_not_enough(small_platform: TestPlatform) -> None:  # R1
    async with single_sign_on(small_platform) as (gateway, provider):
        _, secrets = await gateway.enrolled("ada", "operator", email="ada@harbor.example")
        provider.claims = {"email": "ada@harbor.example", "email_verified": True, "amr": ["pwd"]}
        browser = gateway.browser()
        end = await _travel(browser)
        parts = urlsplit(end.headers["Location"])
        query = parse_qs(parts.query)
        assert parts.path == "/sign-in" and query["methods"] == ["totp"] and query["next"] == ["/map"]
        assert (await browser.get("/v1/agencies")).status == 401
        body = {"challenge_id": query["challenge_id"][0], "code": secrets.next_code()}
        assert (await browser.post("/auth/totp", json=body)).status == 200
        assert (await browser.get("/v1/agencies")).status == 200


@pytest.mark.parametrize(
    ("claims", "tamper"),
    [
        ({"email": "nobody@harbor.example", "email_verified": True}, {}),
        # an address that the provider didn't verify could be anybody's
        ({"email": "ada@harbor.example", "email_verified": False}, {}),
        ({"email": "ada@harbor.example", "email_verified": "true"}, {}),
        ({"email": "ada@harbor.example", "email_verified": True}, {"nonce": "another"}),
        ({"email": "ada@harbor.example", "email_verified": True}, {"aud": "another-client"}),
        ({"email": "ada@harbor.example", "email_verified": True}, {"aud": ["openrtcc", "other"], "azp": "other"}),
        ({"email": "ada@harbor.example", "email_verified": True}, {"iss": "https://evil.example"}),
        ({"email": "ada@harbor.example", "email_verified": True}, {"exp": 1}),
    ],
)
async def test_word_that_does_not_hold_opens_nothing(small_platform: TestPlatform, claims: dict[str, Any], tamper: dict[str, Any]) -> None:
    async with single_sign_on(small_platform) as (gateway, provider):
        await gateway.add_person("ada", "operator", email="ada@harbor.example")
        provider.claims, provider.tamper = claims | {"amr": ["mfa"]}, tamper
        browser = gateway.browser()
        end = await _travel(browser)
        assert end.headers["Location"] == "/sign-in?problem=sign-in-failed"
        assert (await (await browser.get("/auth/session")).json()) == {"signed_in": False}


async def test_token_signed_with_another_key_opens_nothing(small_platform: TestPlatform) -> None:
    async with single_sign_on(small_platform) as (gateway, provider):
        await gateway.add_person("ada", "operator", email="ada@harbor.example")
        provider.claims = {"email": "ada@harbor.example", "email_verified": True, "amr": ["mfa"]}
        provider.signing_key = RSAKey.generate_key(2048, {"kid": "k1"})
        assert (await _travel(gateway.browser())).headers["Location"] == "/sign-in?problem=sign-in-failed"


async def test_return_belongs_to_the_browser_that_left_and_works_once(small_platform: TestPlatform) -> None:
    async with single_sign_on(small_platform) as (gateway, provider):
        await gateway.add_person("ada", "operator", email="ada@harbor.example")
        provider.claims = {"email": "ada@harbor.example", "email_verified": True, "amr": ["mfa"]}
        attacker, victim = gateway.browser(), gateway.browser()
        banner = (await (await attacker.get("/auth/banner")).json())["banner"]["version"]
        start = await attacker.get("/auth/oidc/start", params={"banner_version": banner}, allow_redirects=False)
        away = await attacker.get(start.headers["Location"], allow_redirects=False)
        back = away.headers["Location"]
        # sign-in forgery: the attacker's return link in the victim's browser
        assert (await victim.get(back, allow_redirects=False)).headers["Location"] == "/sign-in?problem=sign-in-failed"
        assert (await attacker.get(back, allow_redirects=False)).headers["Location"] == "/"
        assert (await attacker.get(back, allow_redirects=False)).headers["Location"] == "/sign-in?problem=sign-in-failed"


async def test_banner_comes_before_the_provider(small_platform: TestPlatform) -> None:  # R6
    async with single_sign_on(small_platform) as (gateway, _):
        answer = await gateway.browser().get("/auth/oidc/start", allow_redirects=False)
        assert answer.headers["Location"] == "/sign-in?problem=banner-required"


async def test_provider_that_is_away_is_named(small_platform: TestPlatform) -> None:
    gateway = await start_gateway(small_platform, oidc_issuer=f"http://127.0.0.1:{free_port()}", oidc_client_id="x")
    browser = gateway.browser()
    banner = (await (await browser.get("/auth/banner")).json())["banner"]["version"]
    answer = await browser.get("/auth/oidc/start", params={"banner_version": banner}, allow_redirects=False)
    assert answer.headers["Location"] == "/sign-in?problem=unavailable"
    await gateway.close()
