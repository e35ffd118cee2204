"""Small secrets at rest: AES-256-GCM (NIST SP 800-38D), the key derived by HKDF (RFC 5869) from a secret that the database doesn't hold."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rtcc_chassis.errors import RtccError

_NONCE_BYTES = 12


class SealBroken(RtccError):
    """Sealed with another key, moved to another row, or damaged."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The stored secret of {what} can't be opened: set it again. Was the sealing secret changed?")


class Seal:
    """`purpose` keeps the keys of different uses apart. The owner is bound in: a sealed text can't be moved to another row."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=f"openrtcc sealing {purpose}".encode()).derive(secret))

    def close(self, text: str, owner: str) -> bytes:
        """The sealed form of `text`: nonce, then ciphertext with its tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), owner.encode())

    def open(self, sealed: bytes, owner: str) -> str:
        """The text; raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken(owner) from error
