"""Keys, lengths and values (SMPTE ST 336): 16-byte universal keys around local sets, whose tags are BER-OID and lengths BER."""

from collections.abc import Iterable, Iterator
from typing import Final

KEY_BYTES: Final = 16
# lengths of more bytes would be packets of more than 4 GiB
_LENGTH_BYTES_MOST: Final = 4
# a tag beyond 28 bits is in no standard
_TAG_BYTES_MOST: Final = 4


class BadKlv(ValueError):
    """Bytes that are no KLV: says what is wrong, at which byte."""


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """A BER length (ST 336, 5.3: short or long form) and where what follows begins. Raises `BadKlv`."""
    if at >= len(data):
        raise BadKlv(f"a length is missing at byte {at}")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if not 1 <= count <= _LENGTH_BYTES_MOST:
        raise BadKlv(f"a length of {count} bytes at byte {at}: 1 to {_LENGTH_BYTES_MOST} are read")
    end = at + 1 + count
    if end > len(data):
        raise BadKlv(f"a length is cut off at byte {at}")
    return int.from_bytes(data[at + 1 : end]), end


def write_length(length: int) -> bytes:
    """The shortest form."""
    if length < 0x80:
        return bytes((length,))
    count = (length.bit_length() + 7) // 8
    if count > _LENGTH_BYTES_MOST:
        raise BadKlv(f"{length} bytes are more than a packet may have")
    return bytes((0x80 | count,)) + length.to_bytes(count)


def read_tag(data: bytes, at: int) -> tuple[int, int]:
    """A BER-OID tag (seven bits a byte, the top bit says that more follows) and where its length begins. Raises `BadKlv`."""
    tag = 0
    for place in range(at, min(at + _TAG_BYTES_MOST, len(data))):
        tag = tag << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return tag, place + 1
    raise BadKlv(f"a tag is cut off or too long at byte {at}")


def write_tag(tag: int) -> bytes:
    """Its BER-OID form."""
    parts = [tag & 0x7F]
    while tag := tag >> 7:
        parts.append(tag & 0x7F | 0x80)
    if len(parts) > _TAG_BYTES_MOST:
        raise BadKlv("a tag has at most 28 bits")
    return bytes(reversed(parts))


def read_items(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """A local set's items as (tag, value, where the value begins). Raises `BadKlv` where it breaks off; what came before was given."""
    at = 0
    while at < len(data):
        tag, at = read_tag(data, at)
        length, at = read_length(data, at)
        if length > len(data) - at:
            raise BadKlv(f"tag {tag} says that it has {length} bytes, {len(data) - at} are left")
        yield tag, data[at : at + length], at
        at += length


def write_items(items: Iterable[tuple[int, bytes]]) -> bytes:
    """A local set of these items, in their order."""
    return b"".join(write_tag(tag) + write_length(len(value)) + value for tag, value in items)


def find_packets(data: bytes, key: bytes) -> Iterator[tuple[bytes, int]]:
    """(packet, where its value begins in it) of every packet of that key: also behind an access unit header of a synchronous stream
    (ISO 13818-1, 2.12.4). What is cut off is left out.
    """
    at = data.find(key)
    while at >= 0:
        try:
            length, value_at = read_length(data, at + KEY_BYTES)
        except BadKlv:
            return
        end = value_at + length
        if end <= len(data):
            yield data[at:end], value_at - at
            at = data.find(key, end)
        else:
            at = data.find(key, value_at)
