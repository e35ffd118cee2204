"""Signing in: each way ends in `Sessions.begin`, each try is audited (R8), nothing short of two factors gets a session (R1)."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rtcc.registry.v1.registry_pb2 import Person
from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, RtccError
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_gateway.credentials import Passwords, Seal, accepted_step, new_secret
from rtcc_gateway.domain import (
    AccountEnded,
    AccountLocked,
    BannerRequired,
    LinkUsed,
    Method,
    Session,
    SignInFailed,
    check_password,
    normalise_login,
    safe_next,
    secret_hash,
)
from rtcc_gateway.measures import SIGN_INS
from rtcc_gateway.passkeys import Site, credential_id_of, request_options, verify_request
from rtcc_gateway.people import People
from rtcc_gateway.ports import AccountStore, Audit
from rtcc_gateway.records import Account, Challenge, DemoLink, Visitor
from rtcc_gateway.sessions import Sessions
from rtcc_gateway.settings import GatewaySettings
from rtcc_gateway.single_sign_on import Identity

CHALLENGE_S = 300
_PLATFORM = Scope.platform("gateway")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session and the secret that goes into the cookie ("" when the browser already has it)."""

    session: Session
    cookie: str


@dataclass(frozen=True, slots=True)
class NextStep:
    """The first factor held; one of `methods` must follow with `challenge_id`."""

    challenge_id: str
    methods: tuple[str, ...]
    expires_in_s: int = CHALLENGE_S


@dataclass(slots=True)
class SignIn:
    """All ways in."""

    store: AccountStore
    sessions: Sessions
    people: People
    audit: Audit
    clock: Clock
    settings: GatewaySettings
    seal: Seal
    banner_version: str
    demo: bool
    passwords: Passwords = field(default_factory=Passwords)

    def require_banner(self, version: str) -> None:
        """R6."""
        if version != self.banner_version:
            raise BannerRequired

    # -- password, then code -----------------------------------------------------------------------------------------

    async def with_password(self, login: str, password: str, banner: str, visitor: Visitor) -> NextStep:
        """The first step. Raises SignInFailed, AccountLocked, AccountEnded or BannerRequired."""
        self.require_banner(banner)
        login = normalise_login(login)
        person = self.people.by_login(login)
        account = await self.store.account(_PLATFORM, person.person_id) if person else None
        try_id = await self._begin_try(login, person, "password", visitor)
        if not await self.passwords.verify(account.password_hash if account else None, password):
            raise await self._bad(login, person, "password", visitor)
        await self.store.forgive_try(_PLATFORM, try_id)
        assert person is not None and account is not None
        self._require_usable(person, account)
        return await self.second_step(person, account)

    async def second_step(self, person: Person, account: Account) -> NextStep:
        """Ask for a second factor of a person whose first one held."""
        methods = await self._second_factors(account)
        if not methods:
            raise AccountEnded("it has no second factor")
        challenge_id = await self._remember("second_factor", person.person_id, person.agency_id, {})
        return NextStep(challenge_id, methods)

    async def with_code(self, challenge_id: str, code: str, visitor: Visitor) -> SignedIn:
        """The second step with a one-time code."""
        challenge = await self.store.challenge(_PLATFORM, secret_hash(challenge_id), self.clock())
        if challenge is None or challenge.kind != "second_factor":
            raise SignInFailed
        person = self.people.require_active(self.people.get(challenge.person_id), self.clock())
        await self._check_code(person, code, visitor)
        if await self.store.take_challenge(_PLATFORM, secret_hash(challenge_id), self.clock()) is None:
            raise SignInFailed
        return await self.finish(person, "totp", visitor)

    async def _check_code(self, person: Person, code: str, visitor: Visitor) -> None:
        login = normalise_login(person.login)
        account = await self.store.account(_PLATFORM, person.person_id)
        await self._begin_try(login, person, "totp", visitor)
        step = None
        if account is not None and account.totp_sealed is not None:
            step = accepted_step(self.seal.open(account.totp_sealed, person.person_id), code, self.clock(), account.totp_last_step)
        if step is None or not await self.store.take_totp_step(_PLATFORM, person.person_id, step):
            raise await self._bad(login, person, "totp", visitor)

    # -- passkey -----------------------------------------------------------------------------------------------------

    async def passkey_options(self, site: Site, person_id: str, purpose: str, banner: str) -> tuple[str, dict[str, Any]]:
        """Challenge id and options. `person_id` "": any passkey of this site; `purpose` "sign_in" or "reauthenticate"."""
        if purpose == "sign_in" and not person_id:
            self.require_banner(banner)
        allowed = await self.store.passkeys_of(_PLATFORM, person_id) if person_id else []
        options, challenge = request_options(site, allowed)
        challenge_id = await self._remember(f"passkey_{purpose}", person_id, "", {"challenge": challenge})
        return challenge_id, options

    async def reauthenticates(self, challenge_id: str) -> bool:
        """Whether the challenge was begun inside a session."""
        challenge = await self.store.challenge(_PLATFORM, secret_hash(challenge_id), self.clock())
        return challenge is not None and challenge.kind == "passkey_reauthenticate"

    async def person_of_challenge(self, challenge_id: str) -> str:
        """Whose second factor `challenge_id` waits for."""
        challenge = await self.store.challenge(_PLATFORM, secret_hash(challenge_id), self.clock())
        if challenge is None or challenge.kind != "second_factor":
            raise SignInFailed
        return challenge.person_id

    async def with_passkey(self, site: Site, challenge_id: str, credential: dict[str, Any], visitor: Visitor) -> SignedIn:
        """A passkey with user verification is two factors."""
        person = await self._check_passkey(site, "passkey_sign_in", challenge_id, credential, visitor)
        return await self.finish(person, "passkey", visitor)

    async def _check_passkey(self, site: Site, kind: str, challenge_id: str, credential: dict[str, Any], visitor: Visitor) -> Person:
        challenge = await self.store.take_challenge(_PLATFORM, secret_hash(challenge_id), self.clock())
        known = await self.store.passkey(_PLATFORM, credential_id_of(credential))
        person = self.people.get(known.person_id) if known else None
        if (
            challenge is None
            or challenge.kind != kind
            or known is None
            or person is None
            or challenge.person_id not in ("", known.person_id)
        ):
            await self._record(Outcome.DENIED, "passkey", person, visitor, "unknown passkey or stale challenge")
            raise SignInFailed
        login = normalise_login(person.login)
        await self._begin_try(login, person, "passkey", visitor)
        try:
            sign_count = verify_request(site, challenge.data["challenge"], credential, known)
        except SignInFailed:
            raise await self._bad(login, person, "passkey", visitor) from None
        await self.store.use_passkey(_PLATFORM, known.credential_id, sign_count, self.clock())
        return person

    # -- again, in a session -------------------------------------------------------------------------------------------

    async def again_with_password(self, session: Session, password: str, code: str, visitor: Visitor) -> Session:
        """R3 and R4: unlock, or make fresh for a privileged act."""
        person = self.sessions.person_of(session)
        if session.method == "demo" and self.demo and not password and not code:
            return await self._renewed(session, person, "demo", visitor)
        account = await self.store.account(_PLATFORM, person.person_id)
        login = normalise_login(person.login)
        try_id = await self._begin_try(login, person, "password", visitor)
        if not await self.passwords.verify(account.password_hash if account else None, password):
            raise await self._bad(login, person, "password", visitor)
        await self.store.forgive_try(_PLATFORM, try_id)
        await self._check_code(person, code, visitor)
        return await self._renewed(session, person, "totp", visitor)

    async def again_with_passkey(
        self, site: Site, session: Session, challenge_id: str, credential: dict[str, Any], visitor: Visitor
    ) -> Session:
        """The same with a passkey of the same person."""
        person = await self._check_passkey(site, "passkey_reauthenticate", challenge_id, credential, visitor)
        if person.person_id != session.person_id:
            raise SignInFailed
        return await self._renewed(session, self.sessions.person_of(session), "passkey", visitor)

    async def _renewed(self, session: Session, person: Person, how: str, visitor: Visitor) -> Session:
        await self.store.forgive_login(_PLATFORM, normalise_login(person.login))
        await self._record(Outcome.ALLOWED, how, person, visitor, "", action="session.reauthenticate")
        return await self.sessions.renew(session)

    async def change_password(self, session: Session, current: str, code: str, password: str, visitor: Visitor) -> None:
        """Ends the person's other sessions; audited (R8)."""
        person = self.sessions.person_of(session)
        check_password(password, normalise_login(person.login), person.display_name)
        await self.again_with_password(session, current, code, visitor)
        await self._record(Outcome.ALLOWED, "password", person, visitor, "", action="account.change_password")
        await self.store.set_password(_PLATFORM, person.person_id, await self.passwords.hash(password))
        await self.sessions.end_all_of(person.person_id, "signed_out", keep=session.session_id)

    # -- links ---------------------------------------------------------------------------------------------------------

    async def create_demo_link(self, person: Person, next_path: str) -> tuple[str, datetime]:
        """The secret of a one-time sign-in; the caller made sure that this is a demo."""
        secret = new_secret()
        expires_at = self.clock() + timedelta(seconds=self.settings.demo_link_lifetime_s)
        await self.store.create_demo_link(
            _PLATFORM, secret_hash(secret), DemoLink(person.person_id, person.agency_id, safe_next(next_path), expires_at)
        )
        return secret, expires_at

    async def with_demo_link(self, secret: str, visitor: Visitor) -> tuple[SignedIn, str]:
        """Session and the path that opens next. Demo data only, loopback only: the one way in without a second factor."""
        link = await self.store.take_demo_link(_PLATFORM, secret_hash(secret), self.clock()) if self.demo else None
        if link is None:
            await self._record(Outcome.DENIED, "demo", None, visitor, "unknown or used demo link")
            raise LinkUsed
        person = self.people.require_active(self.people.get(link.person_id), self.clock())
        return await self.finish(person, "demo", visitor), link.next_path

    # -- single sign-on ------------------------------------------------------------------------------------------------

    async def remember_trip(self, trip: Mapping[str, str]) -> str:
        """What must be matched when the browser is back from the provider; the answer goes into a cookie of that browser."""
        return await self._remember("oidc", "", "", trip)

    async def take_trip(self, trip_id: str, state: str) -> Mapping[str, str]:
        """Single use; `state` must be the one sent (RFC 6749 section 10.12)."""
        trip = await self.store.take_challenge(_PLATFORM, secret_hash(trip_id), self.clock()) if trip_id else None
        if trip is None or trip.kind != "oidc" or not hmac.compare_digest(trip.data["state"].encode(), state.encode()):
            raise SignInFailed
        return trip.data

    async def with_identity(self, identity: Identity, visitor: Visitor) -> SignedIn | NextStep:
        """A person of ours by verified e-mail, else by login. Without the provider's word for a second factor, ours is asked (R1)."""
        person = self.people.by_email(identity.email) if identity.email else None
        person = person or self.people.by_login(normalise_login(identity.login))
        if person is None:
            await self._record(Outcome.DENIED, "oidc", None, visitor, "the provider's person is nobody here")
            raise SignInFailed
        self.people.require_active(person, self.clock())
        if identity.second_factor:
            return await self.finish(person, "oidc", visitor)
        account = await self.store.account(_PLATFORM, person.person_id)
        if account is None:
            await self._record(Outcome.DENIED, "oidc", person, visitor, "no second factor")
            raise AccountEnded("your provider checked no second factor and you have none here: ask for an enrolment link")
        self._require_usable(person, account)
        return await self.second_step(person, account)

    # -- shared ----------------------------------------------------------------------------------------------------------

    async def finish(self, person: Person, method: Method, visitor: Visitor) -> SignedIn:
        """Every way in ends here: R7 is checked, the try audited, the session begun."""
        person = self.people.require_active(person, self.clock())
        account = await self.store.account(_PLATFORM, person.person_id)
        if account is not None:
            self._require_usable(person, account)
            await self.store.mark_used(_PLATFORM, person.person_id, self.clock())
        await self.store.forgive_login(_PLATFORM, normalise_login(person.login))
        await self._record(Outcome.ALLOWED, method, person, visitor, "")
        secret, session = await self.sessions.begin(person, method, visitor)
        return SignedIn(session, secret)

    async def reauthentication_methods(self, session: Session) -> tuple[str, ...]:
        """What `/auth/reauthenticate` takes from this person."""
        if session.method == "demo":
            return ("demo",)
        account = await self.store.account(_PLATFORM, session.person_id)
        methods = await self._second_factors(account) if account else ()
        return tuple(name for name in methods if name != "totp" or (account and account.password_hash)) or ("oidc",)

    async def _second_factors(self, account: Account) -> tuple[str, ...]:
        methods = ["totp"] if account.totp_sealed is not None else []
        if await self.store.passkeys_of(_PLATFORM, account.person_id):
            methods.append("passkey")
        return tuple(methods)

    def _require_usable(self, person: Person, account: Account) -> None:
        self.people.require_active(person, self.clock())
        if self.clock() - account.used_at >= timedelta(days=self.settings.inactive_days):
            raise AccountEnded(f"it was not used for {self.settings.inactive_days} days")

    async def _remember(self, kind: str, person_id: str, agency_id: str, data: Mapping[str, str]) -> str:
        secret = new_secret()
        expires_at = self.clock() + timedelta(seconds=CHALLENGE_S)
        await self.store.add_challenge(_PLATFORM, secret_hash(secret), Challenge(kind, person_id, agency_id, data, expires_at))
        return secret

    async def _begin_try(self, login: str, person: Person | None, how: str, visitor: Visitor) -> str:
        if not login:
            raise InvalidInput.one("login", "is empty")
        try_id, settings = new_id(), self.settings
        agency_id = person.agency_id if person else ""
        answer = await self.store.begin_try(
            _PLATFORM, login, agency_id, try_id, self.clock(), settings.bad_tries, settings.bad_tries_window_s
        )
        if answer == "locked":
            await self._record(Outcome.DENIED, how, person, visitor, "locked")
            raise AccountLocked(settings.bad_tries)
        return try_id

    async def _bad(self, login: str, person: Person | None, how: str, visitor: Visitor) -> RtccError:
        """Record a bad try; the error to raise."""
        settings = self.settings
        agency_id = person.agency_id if person else ""
        answer = await self.store.fail_try(_PLATFORM, login, agency_id, self.clock(), settings.bad_tries, settings.bad_tries_window_s)
        await self._record(Outcome.DENIED, how, person, visitor, f"wrong {how}" + (", now locked" if answer == "locked" else ""))
        return AccountLocked(settings.bad_tries) if answer == "locked" else SignInFailed()

    async def _record(
        self, outcome: Outcome, how: str, person: Person | None, visitor: Visitor, reason: str, action: str = "session.sign_in"
    ) -> None:
        """R8, R9. The login of somebody unknown isn't written down: it may be a password typed into the wrong field."""
        if action == "session.sign_in":
            SIGN_INS.labels(how, outcome).inc()
        scope = None
        if person is not None:
            scope = Scope(person.agency_id, person.person_id, "person", frozenset(person.roles), display_name=person.display_name)
        object_ids = (f"person:{person.person_id}",) if person is not None else ()
        await self.audit.record(
            AuditDraft(action, f"gateway {how}", outcome, scope, reason=reason, object_ids=object_ids, source_address=visitor.address)
        )
