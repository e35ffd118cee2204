"""OpenID Connect Core 1.0, code flow with PKCE (RFC 7636), for any provider that has a discovery document."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from rtcc_chassis.errors import Unavailable
from rtcc_gateway.credentials import new_secret
from rtcc_gateway.domain import SignInFailed

# what a provider may sign with; never "none", never a shared secret
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_METADATA_S = 3600.0
_CLOCK_SKEW_S = 60
_TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says it is. `second_factor`: it says that it checked one."""

    subject: str
    email: str
    login: str
    second_factor: bool


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what must be remembered until it is back."""

    url: str
    state: str
    nonce: str
    verifier: str


class Provider:
    """One OpenID provider. Raises Unavailable when it is away and SignInFailed when its word doesn't hold."""

    def __init__(
        self, http: aiohttp.ClientSession, issuer: str, client_id: str, client_secret: str, second_factor_values: tuple[str, ...]
    ) -> None:
        self._http = http
        self._issuer = issuer.rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._second_factor_values = frozenset(second_factor_values)
        self._metadata: Mapping[str, Any] = {}
        self._keys: KeySet | None = None
        self._fetched_s = -_METADATA_S

    async def depart(self, return_address: str) -> Departure:
        """Begin: RFC 6749 section 4.1.1 with state, nonce and an S256 challenge."""
        metadata = await self._discover()
        state, nonce, verifier = new_secret(), new_secret(), new_secret()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code", "client_id": self._client_id, "redirect_uri": return_address, "scope": "openid email profile",
            "state": state, "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        endpoint = str(metadata["authorization_endpoint"])
        return Departure(f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", state, nonce, verifier)

    async def arrive(self, code: str, return_address: str, nonce: str, verifier: str) -> Identity:
        """Exchange the code and verify the ID token (OpenID Connect Core section 3.1.3.7)."""
        metadata = await self._discover()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": return_address, "code_verifier": verifier}
        headers: dict[str, str] = {}
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if self._client_secret and "client_secret_basic" in methods:
            # RFC 6749 section 2.3.1: both are form-encoded before they are joined
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": self._client_id} | ({"client_secret": self._client_secret} if self._client_secret else {})
        answer = await self._json("POST", str(metadata["token_endpoint"]), form, headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise SignInFailed
        return self._identity(await self._claims(token), nonce)

    async def _claims(self, token: str) -> Mapping[str, Any]:
        for attempt in ("cached keys", "new keys"):
            try:
                return jwt.decode(token, await self._key_set(fresh=attempt == "new keys"), algorithms=_ALGORITHMS).claims
            except (JoseError, ValueError) as error:
                problem = error
        raise SignInFailed from problem

    def _identity(self, claims: Mapping[str, Any], nonce: str) -> Identity:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        now = time.time()
        expires, issued = claims.get("exp"), claims.get("iat")
        holds = (
            str(claims.get("iss", "")).rstrip("/") == self._issuer
            and self._client_id in audiences
            and (len(audiences) == 1 or claims.get("azp") == self._client_id)
            and isinstance(expires, int | float) and expires > now - _CLOCK_SKEW_S
            and isinstance(issued, int | float) and issued < now + _CLOCK_SKEW_S
            and hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode())
            and bool(claims.get("sub"))
        )  # fmt: skip
        if not holds:
            raise SignInFailed
        amr = claims.get("amr")
        references = {str(value) for value in amr} if isinstance(amr, list) else set()
        references.add(str(claims.get("acr", "")))
        # an address that the provider did not verify could be anybody's
        email = str(claims.get("email", "")) if claims.get("email_verified") is True else ""
        return Identity(
            subject=str(claims["sub"]),
            email=email,
            login=str(claims.get("preferred_username", "")),
            second_factor=bool(references & self._second_factor_values),
        )

    async def _discover(self) -> Mapping[str, Any]:
        if time.monotonic() - self._fetched_s < _METADATA_S:
            return self._metadata
        metadata = await self._json("GET", f"{self._issuer}/.well-known/openid-configuration")
        if str(metadata.get("issuer", "")).rstrip("/") != self._issuer:
            raise Unavailable("Single sign-on", "the provider's discovery document names another issuer: correct RTCC_GATEWAY_OIDC_ISSUER")
        self._metadata, self._keys, self._fetched_s = metadata, None, time.monotonic()
        return metadata

    async def _key_set(self, *, fresh: bool) -> KeySet:
        if self._keys is None or fresh:
            answer = await self._json("GET", str((await self._discover())["jwks_uri"]))
            self._keys = KeySet.import_key_set({"keys": list(answer.get("keys", []))})
        return self._keys

    async def _json(
        self, method: str, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        try:
            async with self._http.request(method, url, data=form, headers=headers, timeout=_TIMEOUT, allow_redirects=False) as response:
                body = await response.content.read(256 * 1024)
                if response.status in (400, 401, 403) and method == "POST":
                    raise SignInFailed
                if response.status != 200:
                    raise Unavailable("Single sign-on", f"the provider answered {response.status}")
                answer = json.loads(body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable("Single sign-on", "the provider can't be reached or can't be read; use your password and code") from error
        if not isinstance(answer, dict):
            raise Unavailable("Single sign-on", "the provider's answer is no JSON object")
        return answer
