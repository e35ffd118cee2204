"""What is stored of accounts: plain values between the use cases and the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Account:
    """One person's proofs. `used_at` counts for R7."""

    person_id: str
    agency_id: str
    password_hash: str | None
    totp_sealed: bytes | None
    totp_last_step: int
    created_at: datetime
    used_at: datetime


@dataclass(frozen=True, slots=True)
class Passkey:
    """A WebAuthn credential; `public_key` is COSE (RFC 9052)."""

    credential_id: bytes
    person_id: str
    agency_id: str
    public_key: bytes
    sign_count: int
    name: str
    created_at: datetime
    used_at: datetime


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An open enrolment link; only the hash of its token is kept."""

    token_hash: bytes
    person_id: str
    agency_id: str
    totp_sealed: bytes
    bad_codes: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Challenge:
    """What waits between two steps of a sign-in. `kind` says which steps; `data` is theirs."""

    kind: str
    person_id: str
    agency_id: str
    data: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DemoLink:
    """A one-time sign-in of a demo installation."""

    person_id: str
    agency_id: str
    next_path: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a request comes from, for sessions and the audit log."""

    address: str
    user_agent: str
