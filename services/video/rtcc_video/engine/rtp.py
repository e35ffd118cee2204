"""RTP and RTCP packets (RFC 3550, 4585, 5104): the parts that a video relay reads and writes."""

import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple

CLOCK_HZ: Final = 90_000
_NTP_EPOCH_OFFSET_S: Final = 2_208_988_800

_SENDER_REPORT = 200
_RECEIVER_REPORT = 201
_DESCRIPTION = 202
_BYE = 203
_TRANSPORT_FEEDBACK = 205
_PAYLOAD_FEEDBACK = 206
_PICTURE_LOSS = 1
_FULL_INTRA = 4
_APPLICATION = 15
_LONGEST_ROUND_TRIP_TICKS = 30 * 65536

_HEADER = struct.Struct("!BBHII")
_REPORT = struct.Struct("!IIIIII")


class MalformedPacket(ValueError):
    """Bytes that aren't the RTP or RTCP they were taken for. Always safe to drop; the peer resends or doesn't."""


class RtpPacket(NamedTuple):
    """An RTP packet, extension and padding already removed from `payload`."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse_rtp(data: bytes) -> RtpPacket:
    """Reads an RTP packet (RFC 3550, 5.1). Raises `MalformedPacket`."""
    if len(data) < 12:
        raise MalformedPacket(f"RTP packet of {len(data)} bytes, at least 12 are needed")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise MalformedPacket(f"RTP version {first >> 6}, only 2 exists")
    offset = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < offset + 4:
            raise MalformedPacket("RTP header extension is cut off")
        offset += 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4], "big")
    end = len(data)
    if first & 0x20:
        end -= data[-1]
    if offset > end:
        raise MalformedPacket("RTP header or padding is longer than the packet")
    return RtpPacket(second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, data[offset:end])


def build_rtp_header(payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int) -> bytes:
    """The 12 byte header of a packet without extension; numbers are cut to their field."""
    return _HEADER.pack(0x80, (0x80 if marker else 0) | payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)


class ReceptionReport(NamedTuple):
    """What a receiver says of our stream: share lost since its last report (0..1), total lost, jitter in ticks."""

    ssrc: int
    fraction_lost: float
    packets_lost: int
    highest_sequence: int
    jitter_ticks: int
    # The middle 32 bits of the NTP time of our last report that it has, and 1/65536 s since; 0: it has none.
    last_sender_report: int = 0
    delay_since: int = 0

    def round_trip_s(self, unix_s: float) -> float | None:
        """The time there and back (RFC 3550, 6.4.1) when the report came at `unix_s`; None when it can't be told."""
        if not self.last_sender_report:
            return None
        now = int((unix_s + _NTP_EPOCH_OFFSET_S) * 65536) & 0xFFFFFFFF
        ticks = (now - self.delay_since - self.last_sender_report) & 0xFFFFFFFF
        return ticks / 65536 if ticks < _LONGEST_ROUND_TRIP_TICKS else None


@dataclass(slots=True)
class Feedback:
    """The sum of a compound RTCP packet, as far as a sender of video acts on it."""

    reports: list[ReceptionReport] = field(default_factory=list)
    lost_sequences: list[int] = field(default_factory=list)
    key_frame_wanted: bool = False
    goodbye: bool = False
    estimate_bps: float | None = None


def parse_rtcp(data: bytes, about: int | None = None) -> Feedback:
    """Reads a compound packet (RFC 3550, 6; NACK and PLI of RFC 4585, 6; FIR of RFC 5104, 4.3.1; REMB of draft-alvestrand-rmcat-remb-03).

    `about`: only what is said of this SSRC. Unknown kinds are skipped. Raises `MalformedPacket`.
    """
    feedback = Feedback()
    offset = 0
    while offset < len(data):
        if len(data) - offset < 4 or data[offset] >> 6 != 2:
            raise MalformedPacket("RTCP header is cut off or not of version 2")
        length = 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4], "big")
        if offset + length > len(data):
            raise MalformedPacket("RTCP packet is longer than its datagram")
        _read_rtcp(data[offset + 1], data[offset] & 0x1F, data[offset + 4 : offset + length], feedback, about)
        offset += length
    return feedback


def _read_rtcp(kind: int, count: int, body: bytes, feedback: Feedback, about: int | None) -> None:
    if kind in (_SENDER_REPORT, _RECEIVER_REPORT):
        start = 24 if kind == _SENDER_REPORT else 4
        if len(body) < start + 24 * count:
            raise MalformedPacket("RTCP report has fewer blocks than it counts")
        for index in range(count):
            ssrc, loss, highest, jitter, last_report, delay = _REPORT.unpack_from(body, start + 24 * index)
            if about not in (None, ssrc):
                continue
            total = loss & 0xFFFFFF
            total -= 0x1000000 if total & 0x800000 else 0
            feedback.reports.append(ReceptionReport(ssrc, (loss >> 24) / 256, total, highest, jitter, last_report, delay))
    elif kind == _TRANSPORT_FEEDBACK and count == 1:
        if about is not None and body[4:8] != about.to_bytes(4, "big"):
            return
        for position in range(8, len(body) - 3, 4):
            lost, mask = struct.unpack_from("!HH", body, position)
            feedback.lost_sequences.append(lost)
            feedback.lost_sequences += [(lost + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1]
    elif kind == _PAYLOAD_FEEDBACK and count in (_PICTURE_LOSS, _FULL_INTRA):
        # The picture loss names the stream in its header, the intra request in its entries.
        named = body[4:8] if count == _PICTURE_LOSS else body[8:12]
        feedback.key_frame_wanted |= about is None or named == about.to_bytes(4, "big")
    elif kind == _PAYLOAD_FEEDBACK and count == _APPLICATION and body[8:12] == b"REMB" and len(body) >= 16:
        packed = int.from_bytes(body[13:16], "big")
        feedback.estimate_bps = float((packed & 0x3FFFF) << (packed >> 18))
    elif kind == _BYE:
        feedback.goodbye = True


def build_sender_report(ssrc: int, unix_s: float, timestamp: int, packets: int, octets: int, cname: str) -> bytes:
    """A sender report with its SDES CNAME (RFC 3550, 6.4.1 and 6.5): `timestamp` is the RTP time of `unix_s`."""
    seconds = int(unix_s)
    fraction = int((unix_s - seconds) * 0x100000000) & 0xFFFFFFFF
    report = struct.pack(
        "!BBHIIIIII",
        0x80,
        _SENDER_REPORT,
        6,
        ssrc,
        (seconds + _NTP_EPOCH_OFFSET_S) & 0xFFFFFFFF,
        fraction,
        timestamp & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    name = cname.encode()[:255]
    item = bytes((1, len(name))) + name + b"\x00"
    item += bytes(-len(item) % 4)
    return report + struct.pack("!BBHI", 0x81, _DESCRIPTION, 1 + len(item) // 4, ssrc) + item


def parse_sender_clock(data: bytes) -> tuple[int, int] | None:
    """What a compound packet that begins with a sender report says of its sender's clock: Unix time in microseconds, and the RTP time
    of the same moment (RFC 3550, 6.4.1). None for anything else, and for a sender without a clock (NTP time 0)."""
    if len(data) < 28 or data[0] >> 6 != 2 or data[1] != _SENDER_REPORT:
        return None
    seconds, fraction, timestamp = struct.unpack_from("!III", data, 8)
    if seconds == 0:
        return None
    # NTP's 32 bits begin anew in 2036 (RFC 4330, 3)
    unix_s = seconds - _NTP_EPOCH_OFFSET_S if seconds & 0x80000000 else seconds + 0x100000000 - _NTP_EPOCH_OFFSET_S
    return unix_s * 1_000_000 + (fraction * 1_000_000 >> 32), timestamp


def build_receiver_report(own_ssrc: int) -> bytes:
    """An empty receiver report: keeps a camera's session alive."""
    return struct.pack("!BBHI", 0x80, _RECEIVER_REPORT, 1, own_ssrc)


def build_goodbye(ssrc: int) -> bytes:
    """An empty receiver report followed by BYE (a compound packet must start with a report; RFC 3550, 6.1)."""
    return struct.pack("!BBHI", 0x80, _RECEIVER_REPORT, 1, ssrc) + struct.pack("!BBHI", 0x81, _BYE, 1, ssrc)
