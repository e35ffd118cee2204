"""A packetised picture, shared by every viewer of a stream."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import Final

from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.packetizer import measure, packetize, runs, unpack
from rtcc_video.engine.rtp import build_rtp_header

RING_PACKETS: Final = 2048
RING_S: Final = 5.0


class Run:
    """Consecutive packets of a frame that go to the kernel in one call (see `packetizer.runs`).

    `buffers` is header, sealed payload, header, ...: the headers stand in it for good, the payloads are put in for each viewer and
    leave for the kernel before the next viewer's turn, so that nothing is built per viewer but what is encrypted for it.
    """

    __slots__ = ("_number", "buffers", "count", "first", "headers", "payloads", "size")

    def __init__(self, headers: list[bytes], payloads: list[bytes], first: int, ssrc: int, size: int) -> None:
        self.headers = headers
        self.payloads = payloads
        self.first = first
        self.count = len(payloads)
        self.size = size
        # The nonces of all packets side by side, each 12 bytes: SSRC, roll-over counter and sequence number (RFC 7714, 8.1).
        self._number = numbers_side_by_side(ssrc << 48 | first, self.count)
        self.buffers: list[bytes] = [b""] * (2 * self.count)
        self.buffers[0::2] = headers

    def numbers(self, roll_over_base: int) -> int:
        """The packets' numbers, side by side, for a viewer who joined when the roll-over counter was at `roll_over_base`."""
        return self._number - (roll_over_base << 16) * ones(self.count)


class Frame:
    """The packets of one picture under the stream's one RTP identity.

    `first_index` is the extended sequence number (RFC 3711, 3.3.1: roll-over counter << 16 | sequence) of the first packet.
    Headers are made once per payload type, packet numbers once for all viewers; these only encrypt.
    """

    __slots__ = ("_payloads", "_runs", "_unit", "count", "first_index", "key", "octets", "ssrc", "timestamp")

    def __init__(self, payloads: list[bytes], first_index: int, timestamp: int, key: bool, ssrc: int) -> None:
        self._payloads: list[bytes] | None = payloads
        self._unit: AccessUnit | None = None
        self.count = len(payloads)
        self.octets = sum(map(len, payloads))
        self.first_index = first_index
        self.timestamp = timestamp & 0xFFFFFFFF
        self.key = key
        self.ssrc = ssrc
        self._runs: dict[int, list[Run]] | None = None

    @classmethod
    def of(cls, unit: AccessUnit, first_index: int, timestamp: int, ssrc: int) -> "Frame":
        """A picture's packets, which are made when the first viewer needs them: most cameras are watched by nobody."""
        measured = measure(unit)
        if measured is None:
            return cls(packetize(unit), first_index, timestamp, unit.key, ssrc)
        frame = cls.__new__(cls)
        frame.count, frame.octets = measured
        frame._payloads, frame._unit, frame._runs = None, unit, None
        frame.first_index, frame.timestamp, frame.key, frame.ssrc = first_index, timestamp & 0xFFFFFFFF, unit.key, ssrc
        return frame

    @property
    def payloads(self) -> list[bytes]:
        """What each packet carries, without headers."""
        found = self._payloads
        if found is None:
            assert self._unit is not None  # one of the two is always there
            found, self._unit = packetize(self._unit), None
            self._payloads = found
        return found

    @property
    def nals(self) -> Sequence[bytes]:
        """The picture's NAL units, for those who send it by other ways than packets."""
        return self._unit.nals if self._unit is not None else unpack(self.payloads)

    @property
    def lone_nal(self) -> bytes | None:
        """The one slice of several packets that it consists of, while nobody needed the packets by themselves."""
        unit = self._unit
        return unit.nals[0] if unit is not None and len(unit.nals) == 1 and self.count > 1 else None

    def renamed(self, first_index: int, timestamp: int, ssrc: int) -> "Frame":
        """The same payloads as other packets: a joiner's squeezed time stamps, or the own numbers of a viewer that left some out."""
        twin = Frame.__new__(Frame)
        twin._payloads, twin._unit, twin._runs = self.payloads, None, None
        twin.count, twin.octets, twin.key = self.count, self.octets, self.key
        twin.first_index, twin.timestamp, twin.ssrc = first_index, timestamp & 0xFFFFFFFF, ssrc
        return twin

    def restamped(self, timestamp: int) -> "Frame":
        """The same packets under another time stamp."""
        return self.renamed(self.first_index, timestamp, self.ssrc)

    def runs(self, payload_type: int) -> list[Run]:
        """The packets run by run; the marker stands on the last of the frame (RFC 6184, 5.1)."""
        if self._runs is None:
            self._runs = {}
        found = self._runs.get(payload_type)
        if found is None:
            payloads = self.payloads
            last = len(payloads) - 1
            found = [
                Run(
                    [
                        build_rtp_header(payload_type, position == last, self.first_index + position, self.timestamp, self.ssrc)
                        for position in range(start, stop)
                    ],
                    payloads[start:stop],
                    self.first_index + start,
                    self.ssrc,
                    size,
                )
                for start, stop, size in runs(payloads)
            ]
            self._runs[payload_type] = found
        return found

    def single(self, payload_type: int, position: int) -> Run:
        """One packet as a run of its own, for resending."""
        index, marker = self.first_index + position, position == self.count - 1
        header = build_rtp_header(payload_type, marker, index, self.timestamp, self.ssrc)
        payload = self.payloads[position]
        return Run([header], [payload], index, self.ssrc, len(payload))

    def forget_runs(self) -> None:
        """Lets go of what can be made again: the frame stays in the ring for seconds, its last viewer's sealed bytes needn't."""
        self._runs = None


def numbers_side_by_side(first: int, count: int) -> int:
    """`first`, `first + 1`, ... as one number of `12 * count` bytes; each of them has at most 12 bytes."""
    return first * ones(count) + _ramp(count)


@cache
def ones(count: int) -> int:
    """`count` times the 12 byte number 1, side by side: multiplied with a number it repeats that."""
    return int.from_bytes((1).to_bytes(12, "big") * count, "big")


@cache
def _ramp(count: int) -> int:
    return int.from_bytes(b"".join(number.to_bytes(12, "big") for number in range(count)), "big")


class Ring:
    """The newest packets of a stream by their extended sequence number, for resending: at most 2,048, and none older than 5 s.

    The age bounds memory where it counts: hundreds of slow cameras. It exceeds the longest cached group, whose packets a joiner may miss.
    """

    def __init__(self) -> None:
        # (second of the clock, frame), numbers rising
        self._frames: deque[tuple[float, Frame]] = deque()
        self._packets = 0
        self.next_index = 0

    def add(self, frame: Frame, now_s: float) -> None:
        """Takes every packet of a frame; what is too old or too much falls out."""
        frames = self._frames
        frames.append((now_s, frame))
        self.next_index = frame.first_index + frame.count
        self._packets += frame.count
        oldest_s = now_s - RING_S
        while len(frames) > 1 and (self._packets > RING_PACKETS or frames[0][0] < oldest_s):
            self._packets -= frames.popleft()[1].count

    def find(self, sequence: int) -> tuple[Frame, int] | None:
        """The frame and the position in it of the newest packet with this 16 bit sequence number, if still kept."""
        newest = self.next_index - 1
        return self.find_index(newest - ((newest - sequence) & 0xFFFF))

    def find_index(self, index: int) -> tuple[Frame, int] | None:
        """The frame and the position in it of the packet with this extended number, if still kept."""
        if not 0 <= self.next_index - 1 - index < RING_PACKETS or index < 0:
            return None
        at = bisect_right(self._frames, index, key=_first_index) - 1
        if at < 0:
            return None
        frame = self._frames[at][1]
        return (frame, index - frame.first_index) if index - frame.first_index < frame.count else None

    @property
    def oldest_index(self) -> int:
        """No packet below this number can be found any more."""
        return self._frames[0][1].first_index if self._frames else self.next_index


def _first_index(kept: tuple[float, Frame]) -> int:
    return kept[1].first_index
