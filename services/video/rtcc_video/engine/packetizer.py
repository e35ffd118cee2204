"""H.264 access units to RTP payloads (RFC 6184), shaped for UDP generic segmentation offload."""

from typing import Final

from rtcc_video.engine.h264 import NAL_PPS, NAL_SPS, AccessUnit

# 12 (RTP) + 1186 + 16 (GCM tag) + 8 (UDP) + 20 (IPv4) = 1242: passes every tunnel that WebRTC is expected to pass.
PAYLOAD_LIMIT_BYTES: Final = 1186
# The kernel takes at most 64 segments and 65,507 bytes at once (UDP_MAX_SEGMENTS); 50 x 1,214 stays below both.
RUN_LIMIT_PACKETS: Final = 50

_STAP_A = 24
_FU_A = 28


def packetize(unit: AccessUnit, limit: int = PAYLOAD_LIMIT_BYTES) -> list[bytes]:
    """The RTP payloads of one picture, in order.

    Parameter sets share one STAP-A (RFC 6184, 5.7.1); a slice above `limit` bytes becomes FU-A fragments (5.8) of equal
    size, only the last of them shorter: exactly what segmentation offload demands of one system call.
    """
    payloads: list[bytes] = []
    parameter_sets: list[bytes] = []
    for nal in unit.nals:
        if nal[0] & 0x1F in (NAL_SPS, NAL_PPS):
            parameter_sets.append(nal)
            continue
        if parameter_sets:
            payloads += _aggregate(parameter_sets, limit)
            parameter_sets = []
        if len(nal) <= limit:
            payloads.append(nal)
        else:
            _fragment(nal, limit, payloads)
    return payloads + _aggregate(parameter_sets, limit)


def unpack(payloads: list[bytes]) -> list[bytes]:
    """The NAL units that `packetize` made these payloads of; of its own payloads alone, all of them in order."""
    nals: list[bytes] = []
    fragments: list[bytes] = []
    for payload in payloads:
        kind = payload[0] & 0x1F
        if kind == _STAP_A:
            at = 1
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                nals.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == _FU_A:
            if payload[1] & 0x80:
                fragments = [bytes((payload[0] & 0xE0 | payload[1] & 0x1F,))]
            fragments.append(payload[2:])
            if payload[1] & 0x40:
                nals.append(b"".join(fragments))
        else:
            nals.append(payload)
    return nals


def measure(unit: AccessUnit, limit: int = PAYLOAD_LIMIT_BYTES) -> tuple[int, int] | None:
    """How many payloads `packetize` makes of a picture without parameter sets, and their bytes in all; None for one with some."""
    count = octets = 0
    for nal in unit.nals:
        if nal[0] & 0x1F in (NAL_SPS, NAL_PPS):
            return None
        size = len(nal)
        if size <= limit:
            count += 1
            octets += size
        else:
            fragments = -((1 - size) // (limit - 2))
            count += fragments
            octets += size - 1 + 2 * fragments
    return count, octets


def runs(payloads: list[bytes]) -> list[tuple[int, int, int]]:
    """Cuts payloads into `(start, stop, size)`: equal sizes, the last of a run may be shorter, at most 50 packets."""
    found: list[tuple[int, int, int]] = []
    start = 0
    for index in range(1, len(payloads) + 1):
        size = len(payloads[start])
        if index < len(payloads) and index - start < RUN_LIMIT_PACKETS:
            follows = len(payloads[index - 1]) == size and len(payloads[index]) <= size
            if follows:
                continue
        found.append((start, index, size))
        start = index
    return found


def _aggregate(nals: list[bytes], limit: int) -> list[bytes]:
    if len(nals) < 2 or 1 + sum(2 + len(nal) for nal in nals) > limit:
        payloads: list[bytes] = []
        for nal in nals:
            if len(nal) <= limit:
                payloads.append(nal)
            else:
                _fragment(nal, limit, payloads)
        return payloads
    importance = max(nal[0] & 0x60 for nal in nals)
    parts = [bytes((importance | _STAP_A,))]
    for nal in nals:
        parts += (len(nal).to_bytes(2, "big"), nal)
    return [b"".join(parts)]


def _fragment(nal: bytes, limit: int, payloads: list[bytes]) -> None:
    body = len(nal) - 1
    count = -(-body // (limit - 2))
    size = -(-body // count)
    indicator = (nal[0] & 0xE0) | _FU_A
    kind = nal[0] & 0x1F
    middle = bytes((indicator, kind))
    last = 1 + (count - 1) * size
    payloads.append(bytes((indicator, 0x80 | kind)) + nal[1 : 1 + size])
    payloads.extend(middle + nal[offset : offset + size] for offset in range(1 + size, last, size))
    payloads.append(bytes((indicator, 0x40 | kind)) + nal[last:])
