"""Pictures as a camera's packets, some of them damaged on the way: for tests that compare two ways of taking them."""

import struct

from hypothesis import strategies as st

from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.packetizer import packetize
from rtcc_video.engine.rtp import build_rtp_header


def nal(kind: int, size: int) -> bytes:
    return bytes((0x60 | kind,)) + bytes((index * 7 + size) % 251 + 1 for index in range(size - 1))


pictures = st.lists(
    st.tuples(st.booleans(), st.lists(st.sampled_from([5, 900, 1186, 1187, 2400, 5000]), min_size=1, max_size=3)), min_size=1, max_size=12
)
# what happens to a packet: (how, with what)
accidents = st.lists(
    st.tuples(st.sampled_from(["lost", "twice", "byte", "cut", "short", "later"]), st.integers(0, 10_000), st.integers(0, 255)), max_size=6
)


def packets_of(units: list[tuple[bool, list[int]]], mishaps: list[tuple[str, int, int]]) -> list[bytes]:
    """Pictures as a camera sends them, some packets damaged."""
    packets, sequence = [], 65_530
    for number, (key, sizes) in enumerate(units):
        nals = ((nal(7, 20), nal(8, 4)) if key else ()) + tuple(nal(5 if key else 1, size) for size in sizes)
        payloads = packetize(AccessUnit(nals, 0, key))
        for position, payload in enumerate(payloads):
            packets.append(build_rtp_header(96, position == len(payloads) - 1, sequence, number * 3000, 7) + payload)
            sequence += 1
    for how, where, what in mishaps:
        at = where % len(packets)
        data = packets[at]
        if how == "lost":
            packets[at] = b""
        elif how == "twice":
            packets[at : at + 1] = [data, data]
        elif how == "byte" and data:
            # the header and the first bytes behind it are where it matters
            position = where % min(len(data), 16)
            packets[at] = data[:position] + bytes((what,)) + data[position + 1 :]
        elif how == "short":
            packets[at] = data[: what % 16]
        elif how == "later":
            packets.append(packets.pop(at))
    return [packet for packet in packets if packet]


def wire_of(units: list[tuple[bool, list[int]]], mishaps: list[tuple[str, int, int]]) -> bytes:
    """The same inside an RTSP connection."""
    framed = [struct.pack("!BBH", 0x24, 0, len(packet)) + packet for packet in packets_of(units, mishaps)]
    framed.insert(len(framed) // 2, b"$\x01\x00\x04rtcpRTSP/1.0 200 OK\r\nCSeq: 5\r\n\r\n")
    return b"".join(framed)
