"""Audit entries are read by people and kept for years: no password, key or token may stand in one."""

import json
import re
from typing import Any

REMOVED = "[removed]"
_SECRET_NAME = re.compile(r"pass(word|phrase)|secret|token|(^|_)keys?($|_)|credential|totp|authorization|cookie|otp|private", re.IGNORECASE)
_SECRET_NAME_CAMEL = re.compile(r"Key($|[A-Z])|Otp")
# userinfo of a URL (RFC 3986 section 3.2.1): rtsp://user:password@host
_URL_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s\"']*@")
# a JWT (RFC 7519): three base64url parts
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*")
_BEARER = re.compile(r"(?i)\bbearer\s+\S+")


def text_without_secrets(text: str) -> str:
    """Free text with the credentials of URLs and every bearer token removed."""
    text = _URL_USERINFO.sub(lambda found: f"{found['scheme']}{REMOVED}@", text)
    return _BEARER.sub(f"Bearer {REMOVED}", _JWT.sub(REMOVED, text))


def json_without_secrets(value: str) -> str:
    """JSON with the values of secret-sounding members removed; what isn't JSON is treated as text."""
    if not value:
        return ""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return text_without_secrets(value)
    return json.dumps(_clean(parsed), ensure_ascii=False, separators=(",", ":"))


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: REMOVED if item not in ("", None) and _is_secret(name) else _clean(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return text_without_secrets(value) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name) or _SECRET_NAME_CAMEL.search(name))
