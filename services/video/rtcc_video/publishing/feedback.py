"""RTCP that a receiver of video sends and reads (RFC 3550, RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb)."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine.rtp import MalformedPacket

_SENDER_REPORT: Final = 200
_RECEIVER_REPORT: Final = 201
_BYE: Final = 203
_TRANSPORT_FEEDBACK: Final = 205
_PAYLOAD_FEEDBACK: Final = 206
_NACK: Final = 1
_PLI: Final = 1
_APPLICATION: Final = 15


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The middle 32 bits of the sender's NTP time, which our next report repeats."""

    ssrc: int
    middle_ntp: int


@dataclass(frozen=True, slots=True)
class Received:
    """One receiver report block: `lost` of `expected` in this interval, the rest since the start."""

    ssrc: int
    fraction_lost: float
    lost_total: int
    highest_index: int
    jitter_ticks: int
    last_report: int
    since_last_report_s: float


def read_sender_feedback(data: bytes) -> tuple[list[SenderReport], bool]:
    """(sender reports, whether the sender said goodbye) of a compound packet. Raises `MalformedPacket`."""
    reports: list[SenderReport] = []
    goodbye = False
    for kind, body in _packets(data):
        if kind == _SENDER_REPORT:
            if len(body) < 24:
                raise MalformedPacket("RTCP sender report is cut off")
            reports.append(SenderReport(int.from_bytes(body[:4], "big"), int.from_bytes(body[6:10], "big")))
        elif kind == _BYE:
            goodbye = True
    return reports, goodbye


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(data):
        if len(data) - offset < 4 or data[offset] >> 6 != 2:
            raise MalformedPacket("RTCP header is cut off or not of version 2")
        length = 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4], "big")
        if offset + length > len(data):
            raise MalformedPacket("RTCP packet is longer than its datagram")
        yield data[offset + 1], data[offset + 4 : offset + length]
        offset += length


def build_report(own_ssrc: int, block: Received | None) -> bytes:
    """A receiver report, which begins every compound packet (RFC 3550, 6.4.2)."""
    if block is None:
        return struct.pack("!BBHI", 0x80, _RECEIVER_REPORT, 1, own_ssrc)
    lost = max(-0x800000, min(0x7FFFFF, block.lost_total)) & 0xFFFFFF
    return struct.pack(
        "!BBHIIIIIII",
        0x81,
        _RECEIVER_REPORT,
        7,
        own_ssrc,
        block.ssrc,
        min(255, int(block.fraction_lost * 256)) << 24 | lost,
        block.highest_index & 0xFFFFFFFF,
        block.jitter_ticks & 0xFFFFFFFF,
        block.last_report,
        min(0xFFFFFFFF, int(block.since_last_report_s * 65536)) if block.last_report else 0,
    )


def build_nack(own_ssrc: int, ssrc: int, sequences: Sequence[int]) -> bytes:
    """Asks for packets again (RFC 4585, 6.2.1); `sequences` rise, modulo 2^16."""
    items: list[tuple[int, int]] = []
    for sequence in sequences:
        ahead = (sequence - items[-1][0]) & 0xFFFF if items else 0
        if items and 1 <= ahead <= 16:
            items[-1] = (items[-1][0], items[-1][1] | 1 << (ahead - 1))
        elif not items or ahead:
            items.append((sequence & 0xFFFF, 0))
    body = b"".join(struct.pack("!HH", *item) for item in items)
    return struct.pack("!BBHII", 0x80 | _NACK, _TRANSPORT_FEEDBACK, 2 + len(items), own_ssrc, ssrc) + body


def build_pli(own_ssrc: int, ssrc: int) -> bytes:
    """Asks for a key picture (RFC 4585, 6.3.1)."""
    return struct.pack("!BBHII", 0x80 | _PLI, _PAYLOAD_FEEDBACK, 2, own_ssrc, ssrc)


def build_remb(own_ssrc: int, ssrc: int, bits_per_s: int) -> bytes:
    """What the sender may send at most."""
    exponent = max(0, bits_per_s.bit_length() - 18)
    mantissa = bits_per_s >> exponent
    packed = 1 << 24 | exponent << 18 | mantissa
    return struct.pack("!BBHII4sII", 0x80 | _APPLICATION, _PAYLOAD_FEEDBACK, 5, own_ssrc, 0, b"REMB", packed, ssrc)
