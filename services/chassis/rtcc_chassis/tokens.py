"""Short-lived signed identities between services: JWT (RFC 7519) with EdDSA over Ed25519 (RFC 8037)."""

import json
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from rtcc_chassis.errors import Unauthenticated
from rtcc_chassis.scope import PrincipalKind, Scope

AUDIENCE = "openrtcc"
LIFETIME_S = 60
PEOPLE_ISSUER = "gateway"
_CACHE_SIZE = 4096


class TokenIssuer:
    """Signs for one service. Only the gateway may name people and devices; the verifier enforces it."""

    def __init__(self, service: str, key: Ed25519PrivateKey) -> None:
        self._service = service
        self._key = key
        self._cache: OrderedDict[Scope, tuple[float, str]] = OrderedDict()

    @classmethod
    def from_file(cls, service: str, path: Path) -> "TokenIssuer":
        key = load_pem_private_key(path.read_bytes(), password=None)
        return cls(service, cast(Ed25519PrivateKey, key))

    def token(self, scope: Scope) -> str:
        """A token for `scope`, reused for half of its life."""
        now = time.time()
        cached = self._cache.get(scope)
        if cached is not None and cached[0] > now:
            return cached[1]
        claims: dict[str, Any] = {
            "iss": self._service,
            "aud": AUDIENCE,
            "iat": int(now),
            "exp": int(now) + LIFETIME_S,
            "sub": scope.principal_id,
            "kind": scope.principal_kind,
            "agency": scope.agency_id,
            "roles": sorted(scope.roles),
            "name": scope.display_name,
            "sid": scope.session_id,
            "purpose": scope.purpose,
            "case": scope.case_number,
            "address": scope.source_address,
            "idempotency": scope.idempotency_key,
        }
        if scope.signed_in_at is not None:
            claims["signed_in"] = scope.signed_in_at.timestamp()
        token = jwt.encode(claims, self._key, algorithm="EdDSA")
        self._cache[scope] = (now + LIFETIME_S / 2, token)
        while len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        return token

    def metadata(self, scope: Scope | None = None) -> tuple[tuple[str, str], ...]:
        """gRPC metadata for a call: a person's own token travels on, a service's is made here."""
        if scope is None:
            scope = Scope.platform(self._service)
        if scope.principal_kind != "service" and self._service != PEOPLE_ISSUER:
            if not scope.token:
                raise Unauthenticated("this scope has no token to travel with: make the call inside the person's own call")
            return (("authorization", f"Bearer {scope.token}"),)
        return (("authorization", f"Bearer {self.token(scope)}"),)


class TokenVerifier:
    """Believes the services in the trust file. The file is read again when it changes."""

    def __init__(self, keys: dict[str, Ed25519PublicKey], path: Path | None = None) -> None:
        self._keys = keys
        self._path = path
        self._changed = path.stat().st_mtime_ns if path else 0
        self._cache: OrderedDict[str, tuple[float, Scope]] = OrderedDict()

    @classmethod
    def from_file(cls, path: Path) -> "TokenVerifier":
        return cls(_read_trust(path), path)

    def verify(self, token: str) -> Scope:
        """The caller, or Unauthenticated with the reason."""
        now = time.time()
        cached = self._cache.get(token)
        if cached is not None and cached[0] > now:
            return cached[1]
        self._reload()
        claims = self._decode(token)
        scope = _scope_of(claims, token)
        self._cache[token] = (float(claims["exp"]), scope)
        while len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        return scope

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss", "")
            key = self._keys.get(issuer) if isinstance(issuer, str) else None
            if key is None:
                raise Unauthenticated(f"the token's issuer {str(issuer)[:40]!r} is not trusted here")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                leeway=5,
                options={"require": ["exp", "iat", "sub", "kind", "agency", "roles"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token can't be believed: {error}") from error
        if issuer != PEOPLE_ISSUER and (claims["kind"] != "service" or claims["sub"] != f"service:{issuer}"):
            raise Unauthenticated(f"{issuer} may only speak for itself")
        return claims

    def _reload(self) -> None:
        if self._path is not None and (changed := self._path.stat().st_mtime_ns) != self._changed:
            self._keys, self._changed = _read_trust(self._path), changed


def _read_trust(path: Path) -> dict[str, Ed25519PublicKey]:
    entries: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return {name: cast(Ed25519PublicKey, load_pem_public_key(pem.encode())) for name, pem in entries.items()}


def _scope_of(claims: dict[str, Any], token: str) -> Scope:
    kind = claims["kind"]
    if kind not in ("person", "device", "service") or not isinstance(claims["roles"], list):
        raise Unauthenticated("the token's principal is malformed")
    scope = Scope(
        agency_id=str(claims["agency"]),
        principal_id=str(claims["sub"]),
        principal_kind=cast(PrincipalKind, kind),
        roles=frozenset(str(role) for role in claims["roles"]),
        display_name=str(claims.get("name", "")),
        session_id=str(claims.get("sid", "")),
        purpose=str(claims.get("purpose", "")),
        case_number=str(claims.get("case", "")),
        source_address=str(claims.get("address", "")),
        idempotency_key=str(claims.get("idempotency", "")),
        token=token,
    )
    if "signed_in" in claims:
        scope = replace(scope, signed_in_at=datetime.fromtimestamp(float(claims["signed_in"]), UTC))
    return scope
