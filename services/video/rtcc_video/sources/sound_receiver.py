"""RTP packets of a microphone, back to units of sound in their order: Opus packets, stretches of G.711, access units of AAC."""

from typing import Final

from rtcc_video.engine.opus import MalformedSound
from rtcc_video.engine.rtp import RtpPacket
from rtcc_video.engine.sound_track import SoundTrack, UnitHeaders
from rtcc_video.sources.reorder import Reorder
from rtcc_video.sources.sound_inlet import UNIT_LIMIT_BYTES, SoundInlet

_HOLD_PACKETS: Final = 16
_UNITS_MOST: Final = 64
_UNIT_SAMPLES: Final = 1024


class SoundReceiver:
    """Of one track: what comes out of order is put in order, time stamps are unwrapped, whatever is damaged is left out."""

    def __init__(self, track: SoundTrack, inlet: SoundInlet) -> None:
        self._track = track
        self._inlet = inlet
        self._reorder = Reorder(_HOLD_PACKETS)
        self._unwrapped: int | None = None
        # an access unit larger than a packet, up to here: its sequence number is the newest packet's
        self._parts: list[bytes] = []
        self._parts_time = 0
        self._sequence: int | None = None
        self.damaged_total = 0

    def push(self, packet: RtpPacket, now_s: float) -> None:
        """The next packet as it came; `now_s` is monotonic. Never raises."""
        if packet.payload_type != self._track.payload_type:
            return
        for ordered in self._reorder.push(packet, now_s):
            self._take(ordered)

    def close(self) -> None:
        """Nothing more comes."""
        self._inlet.close()

    def _take(self, packet: RtpPacket) -> None:
        timestamp = self._unwrap(packet.timestamp)
        follows = self._sequence is not None and packet.sequence == (self._sequence + 1) & 0xFFFF
        self._sequence = packet.sequence
        if not packet.payload:
            return
        if self._track.kind.codec != "AAC":
            self._inlet.take(packet.payload, timestamp)
            return
        try:
            self._take_units(packet, timestamp, follows)
        except MalformedSound:
            self._parts.clear()
            self.damaged_total += 1

    def _take_units(self, packet: RtpPacket, timestamp: int, follows: bool) -> None:
        sizes, data = read_unit_sizes(packet.payload, self._track.headers)
        if len(sizes) == 1 and (sizes[0] > len(data) or self._parts):
            self._take_part(packet, timestamp, follows, sizes[0], data)
            return
        self._parts.clear()
        offset = 0
        for number, size in enumerate(sizes):
            if offset + size > len(data):
                raise MalformedSound("access units that are longer than their packet")
            self._inlet.take(data[offset : offset + size], timestamp + number * _UNIT_SAMPLES)
            offset += size

    def _take_part(self, packet: RtpPacket, timestamp: int, follows: bool, size: int, data: bytes) -> None:
        """RFC 3640, 3.2.3: each part says the size of the whole, and the last one has the marker."""
        if self._parts and (not follows or timestamp != self._parts_time):
            self._parts.clear()
            if size <= len(data):
                self._inlet.take(data[:size], timestamp)
                return
        self._parts.append(data)
        self._parts_time = timestamp
        length = sum(map(len, self._parts))
        if length > min(size, UNIT_LIMIT_BYTES) or len(self._parts) > _UNITS_MOST:
            raise MalformedSound("parts that are longer than their access unit")
        if packet.marker or length == size:
            unit = b"".join(self._parts)
            self._parts.clear()
            if length == size:
                self._inlet.take(unit, timestamp)

    def _unwrap(self, timestamp: int) -> int:
        if self._unwrapped is None:
            self._unwrapped = timestamp
        step = (timestamp - self._unwrapped) & 0xFFFFFFFF
        self._unwrapped += step - 0x100000000 if step >= 0x80000000 else step
        return self._unwrapped


def read_unit_sizes(payload: bytes, headers: UnitHeaders) -> tuple[list[int], bytes]:
    """The sizes of the access units that a payload holds, or of the one that it is a part of, and what follows the headers
    (RFC 3640, 3.2.1). Raises `MalformedSound`, also for units that don't follow one another."""
    if len(payload) < 2:
        raise MalformedSound("a payload without the length of its headers")
    bits = payload[0] << 8 | payload[1]
    start = 2 + (bits + 7 >> 3)
    first, further = headers.size_bits + headers.index_bits, headers.size_bits + headers.delta_bits
    if start > len(payload) or bits < first:
        raise MalformedSound(f"headers of {bits} bits in a payload of {len(payload)} bytes")
    count = 1 + (bits - first) // further
    if count > _UNITS_MOST:
        raise MalformedSound(f"{count} access units in one packet, at most {_UNITS_MOST} are taken")
    fields = int.from_bytes(payload[2:start], "big") >> (start - 2) * 8 - bits
    sizes: list[int] = []
    left = bits
    for number in range(count):
        left -= headers.size_bits
        size = fields >> left & (1 << headers.size_bits) - 1
        index_bits = headers.delta_bits if number else headers.index_bits
        left -= index_bits
        if fields >> left & (1 << index_bits) - 1:
            raise MalformedSound("interleaved access units, which no camera needs")
        if not 0 < size <= UNIT_LIMIT_BYTES:
            raise MalformedSound(f"an access unit of {size} bytes, 1 to {UNIT_LIMIT_BYTES} are taken")
        sizes.append(size)
    return sizes, payload[start:]
