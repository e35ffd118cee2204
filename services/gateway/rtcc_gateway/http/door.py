"""What every HTTP handler works with, and how a request becomes a caller."""

import asyncio
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web

from rtcc.registry.v1.registry_pb2 import Person
from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import InvalidInput, Unauthenticated
from rtcc_chassis.scope import Scope
from rtcc_gateway.app import SignIn
from rtcc_gateway.domain import CrossSiteRequest, RateLimit, Session, SessionLocked
from rtcc_gateway.enrolment import Enrolments
from rtcc_gateway.http.problems import TooFast, TooLarge
from rtcc_gateway.passkeys import Site
from rtcc_gateway.people import People
from rtcc_gateway.records import Visitor
from rtcc_gateway.relays import Relays
from rtcc_gateway.sessions import Sessions
from rtcc_gateway.settings import GatewaySettings
from rtcc_gateway.single_sign_on import Provider

SMALL_BODY_BYTES = 256 * 1024
_HEADER_CHARACTERS = 200
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BODY_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """One table of buckets per kind of caller."""

    session: RateLimit
    # of a session too: parts of live pictures
    live_media: RateLimit
    address: RateLimit
    device: RateLimit
    sign_in: RateLimit
    # the public tip form, by sender and by agency
    tip_sender: RateLimit
    tip_agency: RateLimit
    # refused requests of nobody that are written to the log, per address
    refusals: RateLimit

    @classmethod
    def of(cls, settings: GatewaySettings) -> "Limits":
        return cls(
            session=RateLimit(settings.session_rate, settings.session_burst),
            live_media=RateLimit(settings.live_media_rate, settings.live_media_burst),
            address=RateLimit(settings.address_rate, settings.address_burst),
            device=RateLimit(settings.device_rate, settings.device_burst),
            sign_in=RateLimit(settings.sign_in_rate_per_minute / 60, settings.sign_in_burst),
            tip_sender=RateLimit(settings.tip_sender_rate_per_minute / 60, settings.tip_sender_burst),
            tip_agency=RateLimit(settings.tip_agency_rate_per_minute / 60, settings.tip_agency_burst),
            refusals=RateLimit(0.1, 5),
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in person with an open session."""

    session: Session
    person: Person
    scope: Scope


@dataclass(slots=True)
class Door:
    """Everything behind the door."""

    ctx: ServiceContext
    settings: GatewaySettings
    people: People
    sessions: Sessions
    sign_in: SignIn
    enrolments: Enrolments
    provider: Provider | None
    origin: str
    hosts: frozenset[str]
    limits: Limits
    # seals the keys of public forms, and hashes their senders' addresses
    tip_key: bytes
    relays: Relays
    # connections that haven't sent a whole request head yet: they are cut after a while
    silent: set[Any] = field(default_factory=set)

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by HTTPS."""
        return self.origin.startswith("https://")

    @property
    def cookie_name(self) -> str:
        """The __Host- prefix binds the cookie to HTTPS, this host and every path (RFC 6265bis section 4.1.3)."""
        return "__Host-rtcc" if self.secure else "rtcc"

    def site(self, request: web.Request) -> Site:
        """The relying party as the browser sees it."""
        host = urlsplit(f"//{request.host}").hostname or ""
        scheme = "https" if self.secure else "http"
        return Site(f"{scheme}://{request.host}", host, self.settings.installation_name)

    def address(self, request: web.Request) -> str:
        """The peer; behind a trusted proxy the last address that no trusted proxy has."""
        peer = request.remote or ""
        if not self.settings.trusted_proxies or not self._trusted(peer):
            return peer
        for part in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
            if (candidate := part.strip()) and not self._trusted(candidate):
                return candidate[:64]
        return peer

    def _trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
            return any(parsed in ipaddress.ip_network(network, strict=False) for network in self.settings.trusted_proxies)
        except ValueError:
            return False

    def visitor(self, request: web.Request) -> Visitor:
        """For sessions and the log."""
        return Visitor(self.address(request), _CONTROL.sub(" ", request.headers.get("User-Agent", ""))[:300])

    def require_same_origin(self, request: web.Request) -> None:
        """Against cross-site request forgery: a header that a form can't send, and the origin the browser names."""
        origin = request.headers.get("Origin")
        if request.headers.get("Rtcc-Request") != "1" or (origin is not None and not self.is_own_origin(origin)):
            raise CrossSiteRequest
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise CrossSiteRequest

    def is_own_origin(self, origin: str) -> bool:
        """Whether a page of ours sent it."""
        parts = urlsplit(origin)
        return parts.scheme == ("https" if self.secure else "http") and parts.netloc.lower() in self.hosts

    async def session_of(self, request: web.Request) -> Session | None:
        """The session of the cookie that hasn't expired; it may be locked."""
        secret = request.cookies.get(self.cookie_name, "")
        session = await self.sessions.find(secret) if secret else None
        if session is not None and session.standing(self.ctx.clock(), self.sessions.policy) == "expired":
            await self.sessions.end(session.session_id, "expired")
            return None
        return session

    async def caller(self, request: web.Request, *, changes: bool, live_media: bool = False) -> Caller:
        """The signed-in person, or the reason why not. `changes`: counts as the person's activity and must be same-origin. `live_media`:
        counts with the many requests of those who watch over HTTPS."""
        address = self.address(request)
        session = await self.session_of(request)
        if session is None:
            self._take(self.limits.address, address)
            await self._record_refusal(request, address)
            raise Unauthenticated("Sign in first.")
        self._take(self.limits.live_media if live_media else self.limits.session, session.session_id)
        if changes:
            self.require_same_origin(request)
        person = self.sessions.person_of(session)
        if session.standing(self.ctx.clock(), self.sessions.policy) == "locked":
            await self.sessions.lock(session)
            raise SessionLocked
        session = await self.sessions.seen(session, active=changes)
        scope = self.sessions.scope(
            session,
            person,
            purpose=decoded_header(request, "Rtcc-Purpose"),
            case_number=decoded_header(request, "Rtcc-Case-Number"),
            address=address,
            key=_idempotency_key(request),
        )
        return Caller(session, person, scope)

    def take_sign_in(self, request: web.Request) -> None:
        """Tries of one address are bounded, whatever logins it tries."""
        self._take(self.limits.sign_in, self.address(request))

    def take_address(self, request: web.Request) -> None:
        """Public paths are bounded by address."""
        self._take(self.limits.address, self.address(request))

    def take_device(self, key: str) -> None:
        """Devices are bounded by source and address."""
        self._take(self.limits.device, key)

    def _take(self, limit: RateLimit, key: str) -> None:
        if (wait_s := limit.take(key, self.ctx.clock().timestamp())) > 0:
            raise TooFast(wait_s)

    async def _record_refusal(self, request: web.Request, address: str) -> None:
        """R8: tries of nobody are logged, but bounded per address so that a scan can't fill the log."""
        if self.limits.refusals.take(address, self.ctx.clock().timestamp()) == 0:
            route = request.match_info.route.resource
            place = f"{request.method} {route.canonical if route is not None else request.path[:80]}"
            await self.ctx.access.record(
                AuditDraft("session.require", place, Outcome.DENIED, reason="not signed in", source_address=address)
            )


DOOR = web.AppKey("door", Door)


def decoded_header(request: web.Request, name: str) -> str:
    """A percent-encoded UTF-8 header of at most 200 characters. Raises InvalidInput."""
    raw = request.headers.get(name, "")
    if len(raw) > 12 * _HEADER_CHARACTERS:
        raise InvalidInput.one(name, f"has more than {_HEADER_CHARACTERS} characters")
    try:
        text = unquote(raw, errors="strict").strip()
    except UnicodeDecodeError as error:
        raise InvalidInput.one(name, "is not percent-encoded UTF-8") from error
    if len(text) > _HEADER_CHARACTERS or _CONTROL.search(text) or not text.isprintable():
        raise InvalidInput.one(name, f"must be printable and have at most {_HEADER_CHARACTERS} characters")
    return text


def _idempotency_key(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if key and not _KEY.fullmatch(key):
        raise InvalidInput.one("Idempotency-Key", "must be 1 to 64 of A-Z a-z 0-9 _ -")
    return key


async def read_body(request: web.Request, limit_bytes: int) -> bytes:
    """The whole body, refused above the bound before it is in memory. A client that sends it too slowly is dropped."""
    if (request.content_length or 0) > limit_bytes:
        raise TooLarge(limit_bytes)
    parts: list[bytes] = []
    size = 0
    try:
        # 256 kbit/s is the slowest that is waited for
        async with asyncio.timeout(_BODY_TIMEOUT_S + limit_bytes / 32_000):
            async for part in request.content.iter_any():
                size += len(part)
                if size > limit_bytes:
                    raise TooLarge(limit_bytes)
                parts.append(part)
    except TimeoutError as error:
        raise InvalidInput.one("", "the body did not arrive in time") from error
    except web.RequestPayloadError as error:
        raise InvalidInput.one("", "the body ended early or its encoding is broken") from error
    return b"".join(parts)
