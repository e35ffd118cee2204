"""rtcc.live.v1 on the wire, put together from parts that are encoded once and shared by every viewer.

Protobuf fields may be concatenated (protobuf.dev, "Encoding", last one wins / repeated append): so an alert is encoded once and
each frame only joins bytes.
"""

from collections.abc import Iterable
from datetime import datetime

from rtcc.live.v1 import live_pb2 as pb

_FIELDS = pb.ServerFrame.DESCRIPTOR.fields_by_name


def varint(value: int) -> bytes:
    """Base 128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(number: int, payload: bytes) -> bytes:
    """A length-delimited field (wire type 2)."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def frame(kind: str, body: bytes, sent_at: datetime, cursor: str = "") -> bytes:
    """A ServerFrame whose `kind` ("alerts", "positions", ...) holds the encoded `body`."""
    head = pb.ServerFrame(cursor=cursor)
    head.sent_at.FromDatetime(sent_at)
    return head.SerializeToString() + delimited(_FIELDS[kind].number, body)


def listed(payloads: Iterable[bytes], *, snapshot: bool, snapshot_number: int = 2) -> bytes:
    """A body whose field 1 repeats `payloads` and whose `snapshot` has the number given: Alerts, SharedAlerts, Calls."""
    body = b"".join(delimited(1, payload) for payload in payloads)
    return body + (varint(snapshot_number << 3) + b"\x01" if snapshot else b"")


def portions(payloads: Iterable[bytes], limit_bytes: int) -> list[list[bytes]]:
    """Parts of about `limit_bytes`, at least one, so that a long list is shown while it arrives."""
    parts: list[list[bytes]] = [[]]
    size = 0
    for payload in payloads:
        if size and size + len(payload) > limit_bytes:
            parts.append([])
            size = 0
        parts[-1].append(payload)
        size += len(payload)
    return parts


def cursor_text(epoch: str, sequences: Iterable[int]) -> str:
    """Opaque to clients: the life of this gateway and the newest sequence of each feed."""
    return ".".join((epoch, *(str(sequence) for sequence in sequences)))


def cursor_sequences(cursor: str, epoch: str, feeds: int) -> tuple[int, ...] | None:
    """The sequences of a cursor of this gateway's life; None for any other text."""
    parts = cursor.split(".")
    if len(cursor) > 200 or len(parts) != feeds + 1 or parts[0] != epoch:
        return None
    if not all(part.isascii() and part.isdigit() for part in parts[1:]):
        return None
    return tuple(int(part) for part in parts[1:])
