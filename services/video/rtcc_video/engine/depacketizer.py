"""RTP payloads back to H.264 access units (RFC 6184), for what arrives from cameras."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtcc_video.engine.h264 import AccessUnit, make_access_unit
from rtcc_video.engine.intake import ANY_TYPE, Intake
from rtcc_video.engine.rtp import RtpPacket

_STAP_A = 24
_FU_A = 28
_RESTART_AFTER = 32
# "$", channel, length; RTP header without CSRC; indicator and header of a fragment
_FRAGMENT = struct.Struct("!HHHHIIBB")
# the same of a datagram
_DATAGRAM = struct.Struct("!HHIIBB")
_SHORTEST_FRAGMENT = 15
_START, _END, _BOTH = 0x80, 0x40, 0xC0


@dataclass(slots=True)
class DepacketizerCounters:
    """What didn't become a picture: pictures with a hole, payload kinds that aren't ours, pictures over the limit."""

    damaged_units: int = 0
    refused_payloads: int = 0
    oversized_units: int = 0


@dataclass(slots=True)
class Depacketizer:
    """Collects packets of one stream to access units; complete pictures come out in order.

    A picture with a lost packet is dropped, and so is everything up to the next key picture: a wrong picture is worse
    evidence than a missing one. `limit_bytes` bounds one picture.
    """

    limit_bytes: int
    counters: DepacketizerCounters = field(default_factory=DepacketizerCounters)
    _nals: list[bytes] = field(default_factory=list)
    _fragments: list[bytes] = field(default_factory=list)
    _size: int = 0
    _timestamp: int | None = None
    _unwrapped: int = 0
    _sequence: int | None = None
    _damaged: bool = False
    _wait_for_key: bool = True
    _behind: int = 0

    @property
    def waits_for_key(self) -> bool:
        """Whether everything up to the next key picture is dropped."""
        return self._wait_for_key

    def push(self, packet: RtpPacket) -> Sequence[AccessUnit]:
        """The pictures that this packet completes: none, one, or two when the marker of the one before was missing."""
        if self.take_middle(packet):
            return ()
        done: list[AccessUnit] = []
        gap = self._sequence is not None and packet.sequence != (self._sequence + 1) & 0xFFFF
        if gap and self._sequence is not None and (packet.sequence - self._sequence - 1) & 0xFFFF >= 0x8000:
            # Late or repeated; so many in a row are a sender that counts anew.
            self._behind += 1
            if self._behind < _RESTART_AFTER:
                return done
        self._behind = 0
        self._sequence = packet.sequence
        self._damaged |= gap
        if self._timestamp is not None and packet.timestamp != self._timestamp:
            self._finish(done)
            # The hole may reach into the picture that starts here.
            self._damaged |= gap
        self._advance_clock(packet.timestamp)
        self._take(packet.payload)
        if packet.marker:
            self._finish(done)
        return done

    def take_middle(self, packet: RtpPacket) -> bool:
        """Takes the next middle fragment of the picture at hand, as most packets are; False: it is something else, and to be pushed."""
        payload, sequence = packet.payload, self._sequence
        size = self._size + len(payload)
        if (
            packet.marker or not self._fragments or sequence is None or packet.sequence != (sequence + 1) & 0xFFFF
            or packet.timestamp != self._timestamp or self._damaged or len(payload) < 3 or payload[0] & 0x1F != _FU_A
            or payload[1] & 0xC0 or size > self.limit_bytes
        ):  # fmt: skip
            return False
        self._sequence, self._behind, self._size = packet.sequence, 0, size
        self._fragments.append(payload[2:])
        return True

    def take_datagram(self, data: bytes, sequence: int, ssrc: int) -> bool:
        """Takes a datagram with this number of this sender, if it is the next middle fragment of the picture at hand, and makes no packet
        of it; False: it is something else, for `parse_rtp`."""
        size = self._size + len(data) - 12
        if len(data) < _SHORTEST_FRAGMENT or not self._fragments or self._damaged or size > self.limit_bytes or self._sequence is None:
            return False
        head, number, timestamp, sender, indicator, kind = _DATAGRAM.unpack_from(data)
        if (
            head & 0xFF80 != 0x8000 or number != sequence or sender != ssrc or number != (self._sequence + 1) & 0xFFFF
            or timestamp != self._timestamp or indicator & 0x1F != _FU_A or kind & 0xC0
        ):  # fmt: skip
            return False
        self._sequence, self._behind, self._size = number, 0, size
        self._fragments.append(data[14:])
        return True

    def take_interleaved(self, buffer: bytes, at: int, mark: int, done: list[AccessUnit]) -> int:
        """Takes packets inside an RTSP connection (RFC 2326, 10.12) from `buffer[at:]` for as long as each is a fragment in its place, as
        most of a camera's packets are; returns where it stopped. Pictures that are complete go to `done`.

        `mark`: "$" and the channel as one number. What isn't taken goes through `parse_rtp` and `push`, which do the same and all the rest.
        """
        if self._sequence is None or self._damaged:
            return at
        total = len(buffer)
        last = total - _FRAGMENT.size
        unpack, limit, fragments = _FRAGMENT.unpack_from, self.limit_bytes, self._fragments
        sequence, size, timestamp = self._sequence, self._size, self._timestamp
        while at <= last:
            found, length, head, number, stamp, _, indicator, kind = unpack(buffer, at)
            end, grown, place = at + 4 + length, size + length - 12, kind & 0xC0
            if (
                found != mark or number != (sequence + 1) & 0xFFFF or indicator & 0x1F != _FU_A or head & 0xFF00 != 0x8000
                or length < _SHORTEST_FRAGMENT or end > total or grown > limit
            ):  # fmt: skip
                break
            if not place:
                if stamp != timestamp or not fragments or head & 0x80:
                    break
                fragments.append(buffer[at + 18 : end])
            elif place == _START:
                if fragments or timestamp not in (stamp, None) or head & 0x80:
                    break
                self._advance_clock(stamp)
                timestamp = stamp
                fragments += (bytes((indicator & 0xE0 | kind & 0x1F,)), buffer[at + 18 : end])
            elif place == _END and fragments and stamp == timestamp:
                fragments.append(buffer[at + 18 : end])
                self._nals.append(b"".join(fragments))
                fragments.clear()
            else:
                break
            sequence, size, at = number, grown, end
            if head & 0x80:
                # the end of the picture
                self._sequence, self._size, self._behind = sequence, size, 0
                self._finish(done)
                fragments, size, timestamp = self._fragments, self._size, self._timestamp
        if sequence != self._sequence:
            self._sequence, self._size, self._behind = sequence, size, 0
        return at

    def expect(self, intake: Intake, index: int, ssrc: int, payload_type: int = ANY_TYPE) -> bool:
        """Tells the helper what the next packet must be; False: nothing can be taken together now. `index`: see `Intake.expect`."""
        sequence = self._sequence
        if sequence is None or self._damaged or index & 0xFFFF != (sequence + 1) & 0xFFFF:
            return False
        nal = self._fragments[0][0] if self._fragments else None
        intake.expect(index, ssrc, payload_type, self.limit_bytes, self._timestamp, nal, self._size)
        return True

    def absorb(self, intake: Intake, done: list[AccessUnit]) -> None:
        """What the helper took since `expect`: the same as `push` for each packet."""
        if not intake.taken or self._sequence is None:
            return
        self._sequence, self._behind = (self._sequence + intake.taken) & 0xFFFF, 0
        for nal, timestamp, ends_picture in intake.nals():
            self._advance_clock(timestamp)
            if self._fragments:
                nal = b"".join((*self._fragments, nal))
                self._fragments = []
            self._nals.append(nal)
            if ends_picture:
                self._finish(done)
        if intake.open:
            self._advance_clock(intake.timestamp)
            self._fragments.append(intake.rest())
        self._size = intake.size

    def take_interleaved_together(self, intake: Intake, buffer: bytes, at: int, mark: int, done: list[AccessUnit]) -> int:
        """As `take_interleaved`, by the helper."""
        while self._sequence is not None and self.expect(intake, self._sequence + 1, 0):
            at = intake.take_interleaved(buffer, at, mark)
            self.absorb(intake, done)
            if not intake.full:
                break
        return at

    def _advance_clock(self, timestamp: int) -> None:
        step = (timestamp - self._unwrapped) & 0xFFFFFFFF
        self._unwrapped += step - 0x100000000 if step >= 0x80000000 else step
        self._timestamp = timestamp

    def _take(self, payload: bytes) -> None:
        if not payload:
            return
        self._size += len(payload)
        if self._size > self.limit_bytes:
            if not self._damaged:
                self.counters.oversized_units += 1
            self._damaged = True
            self._nals.clear()
            self._fragments.clear()
            return
        kind = payload[0] & 0x1F
        if 1 <= kind <= 23:
            self._nals.append(payload)
        elif kind == _STAP_A:
            self._take_aggregate(payload)
        elif kind == _FU_A:
            self._take_fragment(payload)
        else:
            self.counters.refused_payloads += 1
            self._damaged = True

    def _take_aggregate(self, payload: bytes) -> None:
        offset = 1
        while offset + 2 <= len(payload):
            length = int.from_bytes(payload[offset : offset + 2], "big")
            offset += 2
            if length == 0 or offset + length > len(payload):
                self._damaged = True
                return
            self._nals.append(payload[offset : offset + length])
            offset += length

    def _take_fragment(self, payload: bytes) -> None:
        if len(payload) < 3:
            self._damaged = True
            return
        header = payload[1]
        if header & 0x80:
            if self._fragments:
                self._damaged = True
            self._fragments = [bytes(((payload[0] & 0xE0) | (header & 0x1F),)), payload[2:]]
        elif not self._fragments:
            self._damaged = True
            return
        else:
            self._fragments.append(payload[2:])
        if header & 0x40:
            self._nals.append(b"".join(self._fragments))
            self._fragments = []

    def _finish(self, done: list[AccessUnit]) -> None:
        damaged = self._damaged or bool(self._fragments)
        unit = make_access_unit(self._nals, self._unwrapped)
        had_data = bool(self._nals) or damaged
        if unit is None and not damaged and self._nals:
            # Parameter sets may travel under their own time stamp, ahead of the picture: keep them for it.
            self._nals = [nal for nal in self._nals if nal[0] & 0x1F in (7, 8)][-16:]
            self._size = sum(map(len, self._nals))
            self._timestamp = None
            return
        self._nals = []
        self._fragments = []
        self._size = 0
        self._damaged = False
        self._timestamp = None
        if damaged:
            self.counters.damaged_units += int(had_data)
            self._wait_for_key = True
        elif unit is not None and (unit.key or not self._wait_for_key):
            self._wait_for_key = False
            done.append(unit)
