"""Signed-in browsers: begin, find, keep awake, lock, renew, end. What ends here ends at once in every gateway of the installation."""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from rtcc.registry.v1.registry_pb2 import Person
from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Unauthenticated
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_gateway.credentials import new_secret
from rtcc_gateway.domain import AccountEnded, Method, Session, SessionPolicy, secret_hash
from rtcc_gateway.people import People
from rtcc_gateway.ports import Audit, SessionStore
from rtcc_gateway.records import Visitor

_LOG = logging.getLogger(__name__)
_CACHE_SIZE = 5000
# another gateway's change is heard within milliseconds; this bounds what a lost message could do
_CACHE_S = 5.0
_SEEN_EVERY = timedelta(seconds=30)
_PLATFORM = Scope.platform("gateway")

EndListener = Callable[[str, str], None]


class Announcer(Protocol):
    """Tells the other gateways of the installation."""

    async def __call__(self, message: bytes) -> None: ...


class Sessions:
    """`ended` listeners get (session id, reason): "signed_out", "idle", "expired", "disabled"."""

    def __init__(
        self,
        store: SessionStore,
        people: People,
        audit: Audit,
        clock: Clock,
        policy: SessionPolicy,
        exempt_roles: frozenset[str],
        announce: Announcer,
    ) -> None:
        self._store = store
        self._people = people
        self._audit = audit
        self._clock = clock
        self.policy = policy
        self._exempt_roles = exempt_roles
        self._announce = announce
        self._cache: OrderedDict[bytes, tuple[datetime, Session]] = OrderedDict()
        self._listeners: list[EndListener] = []

    def on_end(self, listener: EndListener) -> None:
        """Called in the event loop when a session ends or locks; must be quick."""
        self._listeners.append(listener)

    async def begin(self, person: Person, method: Method, visitor: Visitor) -> tuple[str, Session]:
        """A new session and the secret of its cookie. Exempt terminals (R3) are audited as such."""
        now = self._clock()
        exempt = bool(self._exempt_roles.intersection(person.roles))
        secret = new_secret()
        session = Session(
            session_id=new_id(), person_id=person.person_id, agency_id=person.agency_id, method=method, started_at=now, fresh_at=now,
            active_at=now, last_seen_at=now, locked=False, lock_exempt=exempt, source_address=visitor.address,
            user_agent=visitor.user_agent[:300],
        )  # fmt: skip
        scope = self.scope(session, person)
        await self._audit.record(
            AuditDraft("session.begin", f"gateway {method}", Outcome.ALLOWED, scope, object_ids=(f"session:{session.session_id}",))
        )
        if exempt:
            reason = f"terminal of role {', '.join(sorted(self._exempt_roles.intersection(person.roles)))} does not lock (R3)"
            await self._audit.record(AuditDraft("session.lock_exemption", "gateway", Outcome.ALLOWED, scope, reason=reason))
        await self._store.add_session(_PLATFORM, secret_hash(secret), session)
        return secret, session

    async def find(self, secret: str) -> Session | None:
        """The session of a cookie, whatever its standing; None when there is none."""
        if not 20 <= len(secret) <= 100:
            return None
        key, now = secret_hash(secret), self._clock()
        cached = self._cache.get(key)
        if cached is not None and cached[0] > now:
            return cached[1]
        session = await self._store.session_by_token(_PLATFORM, key)
        self._cache.pop(key, None)
        if session is not None:
            self._cache[key] = (now + timedelta(seconds=_CACHE_S), session)
            while len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        return session

    async def by_id(self, session_id: str) -> Session | None:
        """For live sockets, which hold no cookie once they are open."""
        return await self._store.session(_PLATFORM, session_id)

    def person_of(self, session: Session) -> Person:
        """Raises Unauthenticated when the person is gone, disabled or in another agency now."""
        try:
            person = self._people.require_active(self._people.get(session.person_id), self._clock())
        except AccountEnded as error:
            raise Unauthenticated(error.message) from error
        if person.agency_id != session.agency_id:
            raise Unauthenticated("Your account moved to another agency: sign in again.")
        return person

    def scope(
        self, session: Session, person: Person, *, purpose: str = "", case_number: str = "", address: str = "", key: str = ""
    ) -> Scope:
        """Who the caller is to every service. Roles are today's, not those of the sign-in."""
        return Scope(
            agency_id=person.agency_id, principal_id=person.person_id, principal_kind="person", roles=frozenset(person.roles),
            display_name=person.display_name, session_id=session.session_id, purpose=purpose, case_number=case_number,
            source_address=address or session.source_address, idempotency_key=key, signed_in_at=session.fresh_at,
        )  # fmt: skip

    async def seen(self, session: Session, *, active: bool) -> Session:
        """Note a request; `active`: the person did something, which moves the idle lock. Written at most every 30 s."""
        now = self._clock()
        stale = now - session.last_seen_at >= _SEEN_EVERY
        if not stale and not (active and now - session.active_at >= _SEEN_EVERY):
            return session
        updated = replace(session, last_seen_at=now, active_at=now if active else session.active_at)
        await self._store.update_session(_PLATFORM, updated)
        self._forget(session.session_id)
        return updated

    async def renew(self, session: Session) -> Session:
        """After the person proved all factors again: unlocked and fresh."""
        updated = session.renewed(self._clock())
        if not await self._store.update_session(_PLATFORM, updated):
            raise Unauthenticated("This session has ended: sign in again.")
        await self._changed(session.session_id, "")
        return updated

    async def lock(self, session: Session) -> None:
        """R3: content is hidden until the person proves to be there."""
        if not session.locked:
            await self._store.update_session(_PLATFORM, replace(session, locked=True))
        await self._changed(session.session_id, "idle")

    async def end(self, session_id: str, reason: str) -> bool:
        """For ever; whether there was one."""
        ended = await self._store.end_session(_PLATFORM, session_id)
        await self._changed(session_id, reason)
        return ended

    async def end_all_of(self, person_id: str, reason: str, keep: str = "") -> None:
        """Every session of a person but `keep`."""
        for session in await self._store.sessions_of_person(_PLATFORM, person_id):
            if session.session_id != keep:
                await self.end(session.session_id, reason)

    def hear(self, message: bytes) -> None:
        """Another gateway, or this one, changed a session."""
        try:
            body = json.loads(message)
            session_id, reason = str(body["session_id"]), str(body["reason"])
        except (ValueError, KeyError, TypeError):
            _LOG.warning("a session announcement could not be read")
            return
        self._forget(session_id)
        if reason:
            for listener in self._listeners:
                listener(session_id, reason)

    async def _changed(self, session_id: str, reason: str) -> None:
        message = json.dumps({"session_id": session_id, "reason": reason}).encode()
        self.hear(message)
        await self._announce(message)

    def _forget(self, session_id: str) -> None:
        for key in [key for key, (_, session) in self._cache.items() if session.session_id == session_id]:
            del self._cache[key]
