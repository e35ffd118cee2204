"""Identifiers: sortable new ones, and derived ones that make a repeated write the same write."""

import os
import time
import uuid

_NAMESPACE = uuid.UUID("6f2a1f0c-8d6e-5a8b-9b51-0f6e3c5d7a10")


def new_id() -> str:
    """A UUIDv7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then random."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def derived_id(*parts: str) -> str:
    """The same parts give the same id: a retried create lands on the row it made before."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))
