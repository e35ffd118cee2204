"""Enrolment: a single-use link with which a person sets password and code, or a passkey, and is signed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rtcc.registry.v1.registry_pb2 import Person
from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import Scope
from rtcc_gateway.app import CHALLENGE_S, SignedIn, SignIn
from rtcc_gateway.credentials import accepted_step, new_secret, new_totp_secret, qr_svg, totp_uri
from rtcc_gateway.domain import LinkUsed, SignInFailed, check_password, normalise_login, secret_hash
from rtcc_gateway.passkeys import Site, creation_options, verify_creation
from rtcc_gateway.records import Account, Challenge, Enrolment, Passkey, Visitor

_BAD_CODES = 10
_PLATFORM = Scope.platform("gateway")


@dataclass(frozen=True, slots=True)
class OpenEnrolment:
    """What the enrolment page shows."""

    person: Person
    expires_at: datetime
    totp_secret: str
    totp_uri: str
    qr_svg: str


class Enrolments:
    """Works on the same store, people and audit as sign-in."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in
        self._store = sign_in.store
        self._seal = sign_in.seal
        self._clock = sign_in.clock

    async def create(self, person: Person) -> tuple[str, datetime]:
        """The secret of a new link, and when it ends. Earlier links of the person end now; sessions and proofs stay until it is used."""
        self._sign_in.people.require_active(person, self._clock())
        secret, now = new_secret(), self._clock()
        expires_at = now + timedelta(seconds=self._sign_in.settings.enrolment_lifetime_s)
        await self._store.create_enrolment(
            _PLATFORM,
            Enrolment(
                token_hash=secret_hash(secret),
                person_id=person.person_id,
                agency_id=person.agency_id,
                totp_sealed=self._seal.close(new_totp_secret(), person.person_id),
                bad_codes=0,
                created_at=now,
                expires_at=expires_at,
            ),
        )
        return secret, expires_at

    async def look(self, secret: str) -> OpenEnrolment:
        """Raises LinkUsed."""
        enrolment, person = await self._open(secret)
        totp_secret = self._seal.open(enrolment.totp_sealed, person.person_id)
        uri = totp_uri(totp_secret, person.login, self._sign_in.settings.installation_name)
        return OpenEnrolment(person, enrolment.expires_at, totp_secret, uri, qr_svg(uri))

    async def with_totp(self, secret: str, password: str, code: str, banner: str, visitor: Visitor) -> SignedIn:
        """Password and code. Raises InvalidInput (the link stays good), LinkUsed or BannerRequired."""
        self._sign_in.require_banner(banner)
        enrolment, person = await self._open(secret)
        check_password(password, normalise_login(person.login), person.display_name)
        step = accepted_step(self._seal.open(enrolment.totp_sealed, person.person_id), code, self._clock(), 0)
        if step is None:
            await self._store.count_bad_code(_PLATFORM, enrolment.token_hash, _BAD_CODES)
            raise InvalidInput.one("code", "is not the code that the app shows now")
        now = self._clock()
        password_hash = await self._sign_in.passwords.hash(password)
        account = Account(person.person_id, person.agency_id, password_hash, enrolment.totp_sealed, step, now, now)
        return await self._complete(enrolment, person, account, None, visitor)

    async def passkey_options(self, site: Site, secret: str) -> tuple[str, dict[str, Any]]:
        """Challenge id and creation options."""
        enrolment, person = await self._open(secret)
        options, challenge = creation_options(site, person.person_id, person.login, person.display_name)
        challenge_id = new_secret()
        waiting = Challenge(
            "enrol_passkey", person.person_id, enrolment.agency_id, {"challenge": challenge}, self._clock() + timedelta(seconds=CHALLENGE_S)
        )
        await self._store.add_challenge(_PLATFORM, secret_hash(challenge_id), waiting)
        return challenge_id, options

    async def with_passkey(
        self, site: Site, secret: str, challenge_id: str, credential: dict[str, Any], name: str, banner: str, visitor: Visitor
    ) -> SignedIn:
        """A passkey with user verification. Raises LinkUsed, SignInFailed or BannerRequired."""
        self._sign_in.require_banner(banner)
        enrolment, person = await self._open(secret)
        challenge = await self._store.take_challenge(_PLATFORM, secret_hash(challenge_id), self._clock())
        if challenge is None or challenge.kind != "enrol_passkey" or challenge.person_id != person.person_id:
            raise SignInFailed
        new = verify_creation(site, challenge.data["challenge"], credential)
        now = self._clock()
        account = Account(person.person_id, person.agency_id, None, None, 0, now, now)
        passkey = Passkey(
            new.credential_id, person.person_id, person.agency_id, new.public_key, new.sign_count, name.strip()[:80] or "Passkey", now, now
        )
        return await self._complete(enrolment, person, account, passkey, visitor)

    async def _open(self, secret: str) -> tuple[Enrolment, Person]:
        enrolment = await self._store.enrolment(_PLATFORM, secret_hash(secret), self._clock())
        if enrolment is None:
            raise LinkUsed
        return enrolment, self._sign_in.people.require_active(self._sign_in.people.get(enrolment.person_id), self._clock())

    async def _complete(
        self, enrolment: Enrolment, person: Person, account: Account, passkey: Passkey | None, visitor: Visitor
    ) -> SignedIn:
        scope = Scope(person.agency_id, person.person_id, "person", frozenset(person.roles), display_name=person.display_name)
        await self._sign_in.audit.record(
            AuditDraft(
                "account.enrolled", "gateway enrolment", Outcome.ALLOWED, scope, object_ids=(f"person:{person.person_id}",),
                source_address=visitor.address, reason="passkey" if passkey else "password and one-time code",
            )
        )  # fmt: skip
        if not await self._store.complete_enrolment(_PLATFORM, enrolment.token_hash, account, passkey):
            raise LinkUsed
        await self._store.release(_PLATFORM, normalise_login(person.login))
        await self._sign_in.sessions.end_all_of(person.person_id, "signed_out")
        return await self._sign_in.finish(person, "passkey" if passkey else "totp", visitor)
