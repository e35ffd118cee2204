"""JSON Web Tokens of NATS, version 2 (NATS documentation "JWTs", github.com/nats-io/jwt): claims, signing, reading."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rtcc_chassis.errors import RtccError
from rtcc_operator.domain.keys import Key

_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


class UnreadableToken(RtccError):
    """Not a token of NATS."""


def signed(issuer: Key, subject: str, name: str, claims: Mapping[str, Any], issued_at_s: int) -> str:
    """`claims` are the `nats` part. The id is the hash of the content, so equal content at an equal time is an equal token."""
    body: dict[str, Any] = {"iat": issued_at_s, "iss": issuer.public, "name": name, "sub": subject, "nats": dict(claims)}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
    body["jti"] = base64.b32encode(digest).decode().rstrip("=")
    signing = f"{_part(_HEADER)}.{_part(body)}"
    return f"{signing}.{_encoded(issuer.sign(signing.encode()))}"


def claims_of(token: str) -> dict[str, Any]:
    """The payload, unverified: for comparing what a server holds with what it should."""
    try:
        part = token.split(".")[1]
        payload = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError) as error:
        raise UnreadableToken("What the NATS server answered is no token.") from error
    if not isinstance(payload, dict):
        raise UnreadableToken("The token's payload is no object.")
    return payload


def same_meaning(one: str, other: str) -> bool:
    """Whether two tokens differ in nothing but when they were issued, inside and out."""
    return bool(_timeless(claims_of(one)) == _timeless(claims_of(other)))


def _timeless(payload: Any) -> Any:
    if isinstance(payload, dict):
        kept = {key: _timeless(value) for key, value in payload.items() if key not in ("iat", "jti")}
        # an activation is a token inside of the token
        if isinstance(kept.get("token"), str) and kept["token"].count(".") == 2:
            kept["token"] = _timeless(claims_of(kept["token"]))
        return kept
    if isinstance(payload, list):
        return sorted((_timeless(entry) for entry in payload), key=lambda entry: json.dumps(entry, sort_keys=True))
    return payload


def credentials_file(token: str, seed: str) -> str:
    """The text of a .creds file."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def token_of_credentials(text: str) -> str:
    """The token in a .creds file."""
    lines = text.splitlines()
    for number, line in enumerate(lines[:-1]):
        if "BEGIN NATS USER JWT" in line:
            return lines[number + 1].strip()
    raise UnreadableToken("The credentials hold no token.")


def _part(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
