"""Signed checkpoints: text of C2SP tlog-checkpoint, signature of C2SP signed-note (Ed25519, type 0x01).

Anyone can verify them with the public key and no software of ours: the formats are those of Go's checksum database.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_ED25519 = b"\x01"
_TIME = "signed-at "
_NUMBER = "number "


class MalformedCheckpoint(ValueError):
    """A note that is no checkpoint of ours."""


class UnusableKey(ValueError):
    """The checkpoint key can't be used."""


@dataclass(frozen=True, slots=True)
class CheckpointText:
    """What is signed: the log's name, its size and root, and as extension lines a running number and the time."""

    origin: str
    tree_size: int
    root_hash: bytes
    number: int
    signed_at: datetime

    def to_text(self) -> str:
        time = self.signed_at.astimezone(UTC).isoformat(timespec="microseconds")
        return f"{self.origin}\n{self.tree_size}\n{_base64(self.root_hash)}\n{_NUMBER}{self.number}\n{_TIME}{time}\n"

    @classmethod
    def from_text(cls, text: str) -> "CheckpointText":
        """Raises MalformedCheckpoint."""
        try:
            origin, size, root, number, time, rest = text.split("\n")
            if rest or not number.startswith(_NUMBER) or not time.startswith(_TIME):
                raise ValueError("its extension lines are not number and time")
            found = cls(
                origin,
                int(size),
                base64.b64decode(root, validate=True),
                int(number.removeprefix(_NUMBER)),
                datetime.fromisoformat(time.removeprefix(_TIME)),
            )
        except ValueError as error:
            raise MalformedCheckpoint(f"not a checkpoint of this ledger: {error}") from error
        if found.to_text() != text:
            raise MalformedCheckpoint("not in its one canonical form")
        return found


def key_id(name: str, public_key: bytes) -> str:
    """The key hash of C2SP signed-note: 4 bytes, here as 8 hex digits."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4].hex()


class CheckpointSigner:
    """Holds the installation's checkpoint key. `name` is the key's name and the first part of every log's origin."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name = name
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()
        self.key_id = key_id(name, self.public_key)

    @classmethod
    def from_file(cls, name: str, path: Path) -> "CheckpointSigner":
        """An Ed25519 private key in PEM (PKCS #8). Raises UnusableKey."""
        return cls(name, _read_key(path))

    @classmethod
    def derived(cls, name: str, token_key: Path) -> "CheckpointSigner":
        """For installations that name no key of its own: HKDF-SHA256 (RFC 5869) of the service's token key."""
        secret = _read_key(token_key).private_bytes_raw()
        seed = HKDF(SHA256(), 32, None, b"openrtcc ledger checkpoint").derive(secret)
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    def origin(self, agency_id: str) -> str:
        """The log's name: "openrtcc/espoo"."""
        return f"{self.name}/{agency_id}"

    def sign(self, text: str) -> bytes:
        """64 bytes over the UTF-8 of the text."""
        return self._key.sign(text.encode())


class CheckpointVerifier:
    """Believes the public keys it is given (32 bytes each)."""

    def __init__(self, name: str, public_keys: Iterable[bytes]) -> None:
        self.name = name
        self._keys = {key_id(name, raw): Ed25519PublicKey.from_public_bytes(raw) for raw in public_keys}

    def holds(self, text: str, signature: bytes, signed_with: str) -> bool:
        """Whether one of the keys signed this text."""
        key = self._keys.get(signed_with)
        if key is None:
            return False
        try:
            key.verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


def signed_note(text: str, name: str, signed_with: str, signature: bytes) -> str:
    """The complete note as other software reads it: text, empty line, em dash, key name, key hash and signature."""
    return f"{text}\n\N{EM DASH} {name} {_base64(bytes.fromhex(signed_with) + signature)}\n"


def split_note(note: str) -> tuple[str, str, str, bytes]:
    """(text, key name, key id, signature) of a complete note with one signature. Raises MalformedCheckpoint."""
    text, separator, last = note.partition("\n\n")
    parts = last.removesuffix("\n").split(" ")
    if not separator or len(parts) != 3 or parts[0] != "\N{EM DASH}":
        raise MalformedCheckpoint("a signed note ends with an empty line and a line of em dash, key name and signature")
    try:
        blob = base64.b64decode(parts[2], validate=True)
    except ValueError as error:
        raise MalformedCheckpoint(f"the signature is not base64: {error}") from error
    return text + "\n", parts[1], blob[:4].hex(), blob[4:]


def verifier_key(name: str, public_key: bytes) -> str:
    """The key as other software takes it (C2SP signed-note verifier key): name+hash+base64."""
    return f"{name}+{key_id(name, public_key)}+{_base64(_ED25519 + public_key)}"


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise UnusableKey(f"{path}: {error}; it must be an Ed25519 private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey(f"{path} is not an Ed25519 key")
    return key


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
