"""Proofs of identity: passwords (argon2id), one-time codes (TOTP, RFC 6238), and the sealing of what is stored of them."""

import asyncio
import base64
import os
from datetime import datetime

import pyotp
import segno
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rtcc_chassis.errors import RtccError

TOTP_PERIOD_S = 30
_CONCURRENT_HASHES = 2


class SealBroken(RtccError):
    """A sealed secret that this installation's key can't open."""

    def __init__(self) -> None:
        super().__init__(
            "A stored second factor can't be opened with this installation's sealing secret: restore it, or enrol the person anew."
        )


class Passwords:
    """argon2id with RFC 9106's second recommended parameters (64 MiB, 3 passes, 4 lanes), off the event loop, two at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turn = asyncio.Semaphore(_CONCURRENT_HASHES)
        self._decoy = self._hasher.hash(os.urandom(16).hex())

    async def hash(self, password: str) -> str:
        """The encoded hash to store."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Takes as long for a login that doesn't exist (`stored` None) as for one that does."""
        async with self._turn:
            matches = await asyncio.to_thread(self._matches, stored or self._decoy, password)
        return matches and stored is not None

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


class Seal:
    """AES-256-GCM over small secrets; the person's id is bound in, so a sealed secret can't be moved to another row."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=b"openrtcc gateway sealing v1").derive(secret))

    def close(self, text: str, person_id: str) -> bytes:
        """The sealed form of `text`."""
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, text.encode(), person_id.encode())

    def open(self, sealed: bytes, person_id: str) -> str:
        """The text; raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], person_id.encode()).decode()
        except InvalidTag as error:
            raise SealBroken from error


def new_secret() -> str:
    """256 random bits for cookies, links and challenges, base64url."""
    return base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()


def new_totp_secret() -> str:
    """160 bits, base32 (RFC 4226 section 4, R6)."""
    return pyotp.random_base32()


def totp_uri(secret: str, login: str, issuer: str) -> str:
    """The otpauth address that authenticator apps read."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)


def qr_svg(text: str) -> str:
    """A QR code without script or style, dark on white so that it scans in both themes."""
    return segno.make(text, error="m").svg_inline(
        scale=4, border=3, dark="#000", light="#fff", omitsize=False, svgclass=None, lineclass=None
    )


def accepted_step(secret: str, code: str, now: datetime, last_step: int) -> int | None:
    """The time step that `code` belongs to, one step of clock drift allowed; None when wrong or already used (RFC 6238 section 5.2)."""
    code = code.replace(" ", "")
    if len(code) != 6 or not code.isascii() or not code.isdigit():
        return None
    current = int(now.timestamp()) // TOTP_PERIOD_S
    totp = pyotp.TOTP(secret)
    for step in (current, current - 1, current + 1):
        if step > last_step and pyotp.utils.strings_equal(totp.at(step * TOTP_PERIOD_S), code):
            return step
    return None
