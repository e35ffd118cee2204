"""SOAP 1.2 messages to a device, signed with WS-UsernameToken (ONVIF Core, 5.12; WSS UsernameToken Profile 1.0, digest)."""

import base64
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final
from xml.sax.saxutils import escape

from rtcc_video.onvif.markup import BadMarkup, Element, read_markup
from rtcc_video.sources.source import SourceFailed

_ENVELOPE: Final = "http://www.w3.org/2003/05/soap-envelope"
_SECURITY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_UTILITY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_DIGEST: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
_BASE64: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"


class SignInRefused(SourceFailed):
    """User name or password are wrong, or the account may not do this."""


class DeviceRefuses(SourceFailed):
    """The device understood, and answers that it doesn't do this."""


def password_digest(nonce: bytes, created: str, password: str) -> str:
    """Base64 of SHA-1 over the three (WSS UsernameToken Profile 1.0, 3.1)."""
    return base64.b64encode(hashlib.sha1(nonce + created.encode() + password.encode(), usedforsecurity=False).digest()).decode()


def username_token(username: str, password: str, now: datetime, nonce: bytes) -> str:
    """The security header: the digest is of nonce, time and password, so that the password isn't on the wire. `now`: the device's."""
    created = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
    return (
        f'<w:Security xmlns:w="{_SECURITY}" xmlns:u="{_UTILITY}" s:mustUnderstand="1"><w:UsernameToken>'
        f"<w:Username>{escape(username)}</w:Username>"
        f'<w:Password Type="{_DIGEST}">{password_digest(nonce, created, password)}</w:Password>'
        f'<w:Nonce EncodingType="{_BASE64}">{base64.b64encode(nonce).decode()}</w:Nonce>'
        f"<u:Created>{created}</u:Created></w:UsernameToken></w:Security>"
    )


def envelope(body: str, security: str) -> bytes:
    """The whole message."""
    header = f"<s:Header>{security}</s:Header>" if security else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{_ENVELOPE}">{header}<s:Body>{body}</s:Body></s:Envelope>'.encode()


def new_token(username: str, password: str, device_now: datetime) -> str:
    """A token that is used once; "" without an account."""
    return username_token(username, password, device_now, secrets.token_bytes(16)) if username else ""


def read_answer(status: int, body: bytes, wanted: str) -> Element:
    """The answer's element of that name. Raises `SourceFailed`, `SignInRefused` for an account that isn't taken."""
    if status == 401:
        raise SignInRefused("The device refuses user name or password.", lasting=True)
    try:
        root = read_markup(body)
    except BadMarkup as error:
        if not 200 <= status < 300:
            raise SourceFailed(f"The device answers with HTTP status {status}: is this its ONVIF address?", lasting=True) from error
        raise SourceFailed(f"The device's answer can't be read: {error}.", lasting=True) from error
    content = root.find("Body") if root.name == "Envelope" else None
    fault = content.find("Fault") if content is not None else None
    if fault is not None:
        _raise(fault)
    found = content.find(wanted) if content is not None else None
    if found is None:
        raise SourceFailed("The device answers with something else than was asked: is this its ONVIF address?", lasting=True)
    return found


def _raise(fault: Element) -> None:
    codes: list[str] = []
    code = fault.find("Code")
    while code is not None and len(codes) < 4:
        codes.append(code.value("Value", limit=80).rpartition(":")[2])
        code = code.find("Subcode")
    if {"NotAuthorized", "FailedAuthentication", "InvalidSecurity"} & set(codes):
        raise SignInRefused("The device refuses user name or password, or the account may not do this.", lasting=True)
    text = fault.value("Reason", "Text", limit=120) or fault.value("faultstring", limit=120) or "no reason told"
    raise DeviceRefuses(f"The device refuses: {text}", lasting=True)


def clock_offset(answer: Element, now: datetime) -> timedelta:
    """How far the device's clock is ahead (GetSystemDateAndTime); none when it tells no time."""
    told = answer.anywhere("UTCDateTime")
    if told is None:
        return timedelta()
    day = [told.value("Date", name, limit=6) for name in ("Year", "Month", "Day")]
    time = [told.value("Time", name, limit=6) for name in ("Hour", "Minute", "Second")]
    try:
        year, month, date, hour, minute, second = (int(part) for part in (*day, *time))
        return datetime(year, month, date, hour, minute, second, tzinfo=now.tzinfo) - now
    except (ValueError, OverflowError):
        return timedelta()
