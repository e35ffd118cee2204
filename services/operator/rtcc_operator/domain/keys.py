"""NATS keys (nkeys): Ed25519 pairs with a type in their text form (github.com/nats-io/nkeys)."""

import hashlib
import hmac
import os
from typing import Literal

import nkeys

from rtcc_chassis.errors import RtccError

KeyKind = Literal["operator", "account", "user"]
_PREFIXES: dict[KeyKind, int] = {
    "operator": nkeys.PREFIX_BYTE_OPERATOR,
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "user": nkeys.PREFIX_BYTE_USER,
}
_LETTERS: dict[KeyKind, str] = {"operator": "O", "account": "A", "user": "U"}


class InvalidKey(RtccError):
    """A seed that is none, or of another kind. The seed itself is never part of the message."""


class Key:
    """A private key. Its text form, the seed, is a secret."""

    def __init__(self, seed: str, kind: KeyKind) -> None:
        try:
            self._pair = nkeys.from_seed(bytearray(seed.strip().encode()))
            self.public: str = self._pair.public_key.decode()
        except (nkeys.NkeysError, ValueError, UnicodeError) as error:
            raise InvalidKey(f"The seed of the NATS {kind} can't be read: {type(error).__name__}.") from error
        if not self.public.startswith(_LETTERS[kind]):
            raise InvalidKey(f"The seed is not that of a NATS {kind}: its public key is {self.public}.")
        self.seed = seed.strip()

    @classmethod
    def new(cls, kind: KeyKind) -> "Key":
        return cls(nkeys.encode_seed(os.urandom(32), _PREFIXES[kind]).decode(), kind)

    def derived(self, label: str) -> "Key":
        """A user's key that only the holder of this one can make, and always the same for a label."""
        return Key(nkeys.encode_seed(hmac.digest(self.seed.encode(), label.encode(), hashlib.sha256), _PREFIXES["user"]).decode(), "user")

    def sign(self, data: bytes) -> bytes:
        return bytes(self._pair.sign(data))

    def __repr__(self) -> str:
        return f"Key({self.public})"
