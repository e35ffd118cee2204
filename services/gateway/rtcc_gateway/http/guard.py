"""Around every request: host, errors, trace, security headers, and patience with slow clients."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from opentelemetry.trace import SpanKind
from prometheus_client import Histogram

from rtcc_chassis.errors import InvalidInput, RtccError
from rtcc_chassis.telemetry import current_trace_id, span
from rtcc_gateway.http.door import DOOR, Door
from rtcc_gateway.http.problems import NoSuchPath, TooLarge, problem_response

_LOG = logging.getLogger(__name__)
HTTP_SECONDS = Histogram("rtcc_gateway_http_seconds", "Time to answer an HTTP request.", ["method", "route", "status"])
_FIRST_REQUEST_S = 20.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "manifest-src 'self'",
        # MapLibre and the shared worker start from files of this origin
        "worker-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), microphone=(), display-capture=(), geolocation=(self), usb=(), serial=(), payment=(), "
        "publickey-credentials-get=(self), publickey-credentials-create=(self)"
    ),
}
STRICT_TRANSPORT_SECURITY = "max-age=31536000; includeSubDomains"


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For every response, WebSocket handshakes included."""
    door = request.app[DOOR]
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if door.secure:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = "OpenRTCC"


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors become problems; nothing internal leaves."""
    door = request.app[DOOR]
    door.silent.discard(request.protocol)
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "-"
    started = time.perf_counter()
    status = 500
    try:
        with span(f"{request.method} {route}", SpanKind.SERVER):
            response = await _answer(door, request, handler)
        status = response.status
        return response
    finally:
        HTTP_SECONDS.labels(request.method if request.method in _METHODS else "-", route, str(status)).observe(
            time.perf_counter() - started
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


async def _answer(door: Door, request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        if request.host.lower() not in door.hosts:
            # against DNS rebinding: a page of another name must not reach us through a browser inside
            raise InvalidInput.one("Host", f"{request.host[:80]!r} is not a name of this installation: set RTCC_GATEWAY_ORIGIN")
        return await handler(request)
    except RtccError as error:
        return problem_response(error)
    except web.HTTPRequestEntityTooLarge as error:
        return problem_response(TooLarge(int(error.max_size) if hasattr(error, "max_size") else 0))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem_response(NoSuchPath(error.status) if error.status in (404, 405) else InvalidInput.one("", error.reason))
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        _LOG.exception("%s %s failed", request.method, request.match_info.route.resource)
        return problem_response(RtccError(f"This failed inside the gateway (trace {current_trace_id() or 'none'})."))


def impatient(factory: Callable[[], Any], silent: set[Any]) -> Callable[[], asyncio.Protocol]:
    """A protocol factory whose connections must send a whole first request head within 20 s (aiohttp waits for ever)."""
    loop = asyncio.get_running_loop()

    def make() -> Any:
        protocol = factory()
        silent.add(protocol)

        def check() -> None:
            if protocol in silent and protocol.transport is not None:
                protocol.transport.abort()
            silent.discard(protocol)

        loop.call_later(_FIRST_REQUEST_S, check)
        return protocol

    return make
