"""Errors as application/problem+json (RFC 9457): one table, the same words everywhere."""

import json
import math
from dataclasses import dataclass

from aiohttp import web

from rtcc_chassis.errors import (
    Conflict,
    Exhausted,
    FreshSignInRequired,
    InvalidInput,
    NotFound,
    PurposeRequired,
    Refused,
    RtccError,
    Unauthenticated,
    Unavailable,
    http_status,
)
from rtcc_gateway.domain import AccountEnded, AccountLocked, BannerRequired, CrossSiteRequest, LinkUsed, SessionLocked, SignInFailed

MEDIA_TYPE = "application/problem+json"


class TooLarge(RtccError):
    """A body above the bound of its route."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The body is larger than the {limit_bytes // 1024} KiB that this path takes.")


class TooFast(Exhausted):
    """Above the rate of a session or address."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__("Your rate of requests", "this door")


class NoSuchPath(RtccError):
    """No route, or not with this method."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__("There is nothing at this path." if status == 404 else "This path doesn't take that method.")


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    title: str
    help: str
    status: int = 0


_KINDS: dict[type[RtccError], _Kind] = {
    InvalidInput: _Kind("invalid-input", "The request is not valid", "Correct the fields named and send the request again."),
    Unauthenticated: _Kind("unauthenticated", "Sign in first", "Sign in and send the request again."),
    SignInFailed: _Kind("sign-in-failed", "Sign-in failed", "Check what you typed and try again.", 401),
    FreshSignInRequired: _Kind(
        "reauthentication-required", "Show that it is you", "POST /auth/reauthenticate, then send the call again.", 401
    ),
    SessionLocked: _Kind("session-locked", "The session is locked", "POST /auth/reauthenticate, then send the call again.", 423),
    AccountLocked: _Kind("account-locked", "The account is locked", "An administrator releases it under People.", 423),
    AccountEnded: _Kind("refused", "The account can't sign in", "Ask an administrator of your agency.", 403),
    BannerRequired: _Kind(
        "banner-required", "The use banner must be acknowledged", "GET /auth/banner and send its version as banner_version."
    ),
    LinkUsed: _Kind("link-used", "The link doesn't work any more", "Ask for a new one.", 410),
    CrossSiteRequest: _Kind("cross-site-request", "Refused for safety", "Send Rtcc-Request: 1 from this origin.", 403),
    Refused: _Kind("refused", "You may not do that", "Ask an administrator of your agency for the right."),
    PurposeRequired: _Kind("purpose-required", "A purpose is needed", "Send Rtcc-Purpose and Rtcc-Case-Number."),
    NotFound: _Kind("not-found", "Not found", "Check the id; it may have been removed."),
    NoSuchPath: _Kind("not-found", "Not found", "docs/integrators/http.md lists every path."),
    Conflict: _Kind("conflict", "Not in this state", "Read the object again, then decide."),
    TooLarge: _Kind("too-large", "The body is too large", "Send less, or in parts.", 413),
    Exhausted: _Kind("exhausted", "Too much at once", "Wait and send it again."),
    Unavailable: _Kind("unavailable", "Not available now", "Send it again in a few seconds, with the same Idempotency-Key."),
    RtccError: _Kind("internal", "Something failed inside the platform", "Tell the installation's operator, with the time of day."),
}


def kind_of(error: RtccError) -> str:
    """The last part of the problem's `type`."""
    return _kind(error).name


def problem_response(error: RtccError, status: int | None = None) -> web.Response:
    """The answer for an error; `status` where a protocol wants another one than the table has."""
    kind = _kind(error)
    status = status or (error.status if isinstance(error, NoSuchPath) else kind.status or http_status(error))
    body: dict[str, object] = {
        "type": f"urn:rtcc:problem:{kind.name}", "title": kind.title, "status": status, "detail": error.message, "help": kind.help,
    }  # fmt: skip
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, InvalidInput):
        body["violations"] = [{"field": violation.field, "reason": violation.reason} for violation in error.violations]
    if isinstance(error, Exhausted | Unavailable):
        wait_s = max(1, math.ceil(error.wait_s)) if isinstance(error, TooFast) else 2
        body["retry_after_s"] = wait_s
        headers["Retry-After"] = str(wait_s)
    if status == 401:
        headers["WWW-Authenticate"] = 'Session realm="OpenRTCC"'
    return web.Response(body=json.dumps(body, ensure_ascii=False).encode(), status=status, content_type=MEDIA_TYPE, headers=headers)


def _kind(error: RtccError) -> _Kind:
    for parent in type(error).__mro__:
        if parent in _KINDS:
            return _KINDS[parent]
    return _KINDS[RtccError]
