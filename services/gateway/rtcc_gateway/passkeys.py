"""WebAuthn (W3C Level 3): what the browser is asked and what its answer proves.

User verification is always demanded: it is the second factor.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from rtcc_gateway.domain import SignInFailed
from rtcc_gateway.records import Passkey


@dataclass(frozen=True, slots=True)
class Site:
    """The origin that the browser shows; its host is the relying party's id."""

    origin: str
    host: str
    name: str

    @property
    def passkeys_possible(self) -> bool:
        """Browsers know no passkeys for IP addresses."""
        return not (":" in self.host or self.host.replace(".", "").isdigit())


def request_options(site: Site, allowed: Sequence[Passkey]) -> tuple[dict[str, Any], str]:
    """Options for `navigator.credentials.get` and the challenge to remember; `allowed` empty: any discoverable passkey."""
    options = generate_authentication_options(
        rp_id=site.host,
        allow_credentials=[PublicKeyCredentialDescriptor(id=key.credential_id) for key in allowed] or None,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return json.loads(options_to_json(options)), _text(options.challenge)


def creation_options(site: Site, person_id: str, login: str, display_name: str) -> tuple[dict[str, Any], str]:
    """Options for `navigator.credentials.create` and the challenge to remember."""
    options = generate_registration_options(
        rp_id=site.host,
        rp_name=site.name,
        user_id=person_id.encode(),
        user_name=login,
        user_display_name=display_name,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
    )
    return json.loads(options_to_json(options)), _text(options.challenge)


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a verified registration gives."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


def verify_creation(site: Site, challenge: str, credential: dict[str, Any]) -> NewCredential:
    """Raises SignInFailed when the authenticator's answer doesn't hold."""
    try:
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise SignInFailed from error
    return NewCredential(verified.credential_id, verified.credential_public_key, verified.sign_count)


def credential_id_of(credential: dict[str, Any]) -> bytes:
    """The id that an answer names, not yet proved. Raises SignInFailed."""
    identifier = credential.get("id")
    if not isinstance(identifier, str) or len(identifier) > 2000:
        raise SignInFailed
    try:
        return base64url_to_bytes(identifier)
    except ValueError as error:
        raise SignInFailed from error


def verify_request(site: Site, challenge: str, credential: dict[str, Any], known: Passkey) -> int:
    """The authenticator's new counter; raises SignInFailed when the answer doesn't hold (a counter that runs back: a cloned key)."""
    try:
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=known.public_key,
            credential_current_sign_count=known.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise SignInFailed from error
    return verified.new_sign_count


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
