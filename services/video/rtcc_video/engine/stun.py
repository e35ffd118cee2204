"""STUN for an ICE-lite agent (RFC 8489, RFC 8445): read and answer connectivity checks."""

import binascii
import hashlib
import hmac
import ipaddress
import struct
from functools import lru_cache
from typing import Final, NamedTuple

MAGIC_COOKIE: Final = 0x2112A442
_COOKIE: Final = MAGIC_COOKIE.to_bytes(4, "big")
BINDING_REQUEST: Final = 0x0001
BINDING_SUCCESS: Final = 0x0101
BINDING_ERROR: Final = 0x0111

ATTRIBUTE_USERNAME: Final = 0x0006
ATTRIBUTE_INTEGRITY: Final = 0x0008
ATTRIBUTE_ERROR_CODE: Final = 0x0009
ATTRIBUTE_MAPPED_ADDRESS: Final = 0x0020
ATTRIBUTE_PRIORITY: Final = 0x0024
ATTRIBUTE_USE_CANDIDATE: Final = 0x0025
ATTRIBUTE_FINGERPRINT: Final = 0x8028
ATTRIBUTE_CONTROLLED: Final = 0x8029
ATTRIBUTE_CONTROLLING: Final = 0x802A

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_ANSWER = struct.Struct("!HHI12sHH")
_FINGERPRINT = struct.Struct("!HHI")
_FINGERPRINT_MASK = 0x5354554E
_INTEGRITY_HEAD = _ATTRIBUTE.pack(ATTRIBUTE_INTEGRITY, 20)
_LIMIT_BYTES = 1500
_SHA1_BLOCK_BYTES = 64


class MalformedStun(ValueError):
    """Bytes that aren't a STUN message: drop them without an answer."""


class IntegrityKey:
    """A password as the key of MESSAGE-INTEGRITY (HMAC-SHA1, RFC 2104), for checks that come again and again: both hashes are begun with it
    once. `hmac.digest` has OpenSSL look up its algorithm for each message, which costs more than all else that a check needs."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, password: bytes) -> None:
        if len(password) > _SHA1_BLOCK_BYTES:
            password = hashlib.sha1(password).digest()
        key = password.ljust(_SHA1_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha1(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha1(bytes(byte ^ 0x5C for byte in key))

    def sign(self, signed: bytes) -> bytes:
        """The HMAC of `signed`."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return outer.digest()


class StunMessage(NamedTuple):
    """A parsed message; `attributes` holds the first of each type, `raw` the bytes that integrity is computed over."""

    kind: int
    transaction: bytes
    attributes: dict[int, bytes]
    integrity_offset: int | None
    raw: bytes

    @property
    def username(self) -> str | None:
        """USERNAME, or None when it is absent or not UTF-8."""
        value = self.attributes.get(ATTRIBUTE_USERNAME)
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError:
            return None

    @property
    def nominates(self) -> bool:
        """Whether the controlling side chose this path (USE-CANDIDATE)."""
        return ATTRIBUTE_USE_CANDIDATE in self.attributes

    def is_authentic(self, password: bytes | IntegrityKey) -> bool:
        """Whether MESSAGE-INTEGRITY (RFC 8489, 14.5) was made with `password`; False when it is absent."""
        if self.integrity_offset is None:
            return False
        signed = self.raw[:2] + struct.pack("!H", self.integrity_offset + 4) + self.raw[4 : self.integrity_offset]
        return hmac.compare_digest(_integrity(password, signed), self.attributes[ATTRIBUTE_INTEGRITY])


def parse_stun(data: bytes) -> StunMessage:
    """Reads a message and checks its FINGERPRINT when there is one. Raises `MalformedStun`."""
    if not 20 <= len(data) <= _LIMIT_BYTES:
        raise MalformedStun(f"{len(data)} bytes, a check has 20 to {_LIMIT_BYTES}")
    kind, length, cookie, transaction = _HEADER.unpack_from(data)
    if cookie != MAGIC_COOKIE or kind & 0xC000 or length % 4 or length + 20 != len(data):
        raise MalformedStun("cookie, type or length is wrong")
    attributes: dict[int, bytes] = {}
    integrity_offset: int | None = None
    offset = 20
    while offset < len(data):
        attribute, size = _ATTRIBUTE.unpack_from(data, offset)
        value = data[offset + 4 : offset + 4 + size]
        if len(value) < size:
            raise MalformedStun(f"attribute {attribute:#06x} is cut off")
        if attribute == ATTRIBUTE_FINGERPRINT:
            expected = binascii.crc32(data[:offset]) ^ _FINGERPRINT_MASK
            if size != 4 or int.from_bytes(value, "big") != expected:
                raise MalformedStun("fingerprint is wrong")
        elif integrity_offset is None:
            # What follows the integrity attribute isn't covered by it and must be ignored (RFC 8489, 14.5).
            if attribute == ATTRIBUTE_INTEGRITY:
                if size != 20:
                    raise MalformedStun("integrity has the wrong length")
                integrity_offset = offset
            attributes.setdefault(attribute, value)
        offset += 4 + size + (-size % 4)
    return StunMessage(kind, transaction, attributes, integrity_offset, data)


def build_stun(kind: int, transaction: bytes, attributes: list[tuple[int, bytes]], password: bytes | IntegrityKey | None) -> bytes:
    """A message with the attributes in order, then integrity when there is a password, then the fingerprint."""
    body = b"".join(_ATTRIBUTE.pack(number, len(value)) + value + bytes(-len(value) % 4) for number, value in attributes)
    if password is not None:
        signed = _HEADER.pack(kind, len(body) + 24, MAGIC_COOKIE, transaction) + body
        body += _INTEGRITY_HEAD + _integrity(password, signed)
    message = _HEADER.pack(kind, len(body) + 8, MAGIC_COOKIE, transaction) + body
    return message + _FINGERPRINT.pack(ATTRIBUTE_FINGERPRINT, 4, binascii.crc32(message) ^ _FINGERPRINT_MASK)


def _integrity(password: bytes | IntegrityKey, signed: bytes) -> bytes:
    return password.sign(signed) if isinstance(password, IntegrityKey) else hmac.digest(password, signed, "sha1")


def encode_address(host: str, port: int, transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS (RFC 8489, 14.2); an IPv4 address that came mapped into IPv6 is written as IPv4."""
    packed = _packed(host)
    mask = _COOKIE + transaction if len(packed) == 16 else _COOKIE
    covered = int.from_bytes(packed, "big") ^ int.from_bytes(mask, "big")
    return struct.pack("!BBH", 0, 1 if len(packed) == 4 else 2, port ^ (MAGIC_COOKIE >> 16)) + covered.to_bytes(len(packed), "big")


@lru_cache(4096)
def _packed(host: str) -> bytes:
    """Viewers ask every few seconds, each from where it asked before."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.packed


def decode_address(value: bytes, transaction: bytes) -> tuple[str, int]:
    """The inverse of `encode_address`. Raises `MalformedStun`."""
    if len(value) not in (8, 20) or value[1] != (1 if len(value) == 8 else 2):
        raise MalformedStun("mapped address has the wrong length or family")
    mask = struct.pack("!I", MAGIC_COOKIE) + transaction
    packed = bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))
    return str(ipaddress.ip_address(packed)), int.from_bytes(value[2:4], "big") ^ (MAGIC_COOKIE >> 16)


def answer_check(request: StunMessage, password: bytes | IntegrityKey, host: str, port: int) -> bytes:
    """The success response to an authentic check that came from `host` and `port`: what `build_stun` makes, in fewer steps."""
    mapped = encode_address(host, port, request.transaction)
    bytes_signed = 4 + len(mapped) + 24
    head = _ANSWER.pack(BINDING_SUCCESS, bytes_signed, MAGIC_COOKIE, request.transaction, ATTRIBUTE_MAPPED_ADDRESS, len(mapped)) + mapped
    signature = _integrity(password, head)
    message = b"".join((head[:2], (bytes_signed + 8).to_bytes(2, "big"), head[4:], _INTEGRITY_HEAD, signature))
    return message + _FINGERPRINT.pack(ATTRIBUTE_FINGERPRINT, 4, binascii.crc32(message) ^ _FINGERPRINT_MASK)


def answer_role_conflict(request: StunMessage, password: bytes | IntegrityKey) -> bytes:
    """Error 487: a lite agent is always controlled, so a peer that also claims to be must switch (RFC 8445, 7.3.1.1)."""
    error = b"\x00\x00\x04\x57Role Conflict"
    return build_stun(BINDING_ERROR, request.transaction, [(ATTRIBUTE_ERROR_CODE, error)], password)
