"""A packetised picture, shared by every viewer of a stream."""

from collections import deque
from functools import cache
from typing import Final

from rtcc_video.engine.packetizer import runs
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

    __slots__ = ("_runs", "bounds", "first_index", "key", "octets", "payloads", "ssrc", "timestamp")

    def __init__(self, payloads: list[bytes], first_index: int, timestamp: int, key: bool, ssrc: int) -> None:
        self.payloads = payloads
        self.first_index = first_index
        self.timestamp = timestamp & 0xFFFFFFFF
        self.key = key
        self.ssrc = ssrc
        self.octets = sum(map(len, payloads))
        self.bounds = runs(payloads)
        self._runs: dict[int, list[Run]] = {}

    def renamed(self, first_index: int, timestamp: int, ssrc: int) -> "Frame":
        """The same payloads as other packets: a joiner's squeezed time stamps, or the own numbers of a viewer that left some out."""
        twin = Frame.__new__(Frame)
        twin.payloads, twin.key, twin.octets, twin.bounds = self.payloads, self.key, self.octets, self.bounds
        twin.first_index, twin.timestamp, twin.ssrc = first_index, timestamp & 0xFFFFFFFF, ssrc
        twin._runs = {}
        return twin

    def restamped(self, timestamp: int) -> "Frame":
        """The same packets under another time stamp."""
        return self.renamed(self.first_index, timestamp, self.ssrc)

    def runs(self, payload_type: int) -> list[Run]:
        """The packets run by run; the marker stands on the last of the frame (RFC 6184, 5.1)."""
        found = self._runs.get(payload_type)
        if found is None:
            last = len(self.payloads) - 1
            found = [
                Run(
                    [
                        build_rtp_header(payload_type, position == last, self.first_index + position, self.timestamp, self.ssrc)
                        for position in range(start, stop)
                    ],
                    self.payloads[start:stop],
                    self.first_index + start,
                    self.ssrc,
                    size,
                )
                for start, stop, size in self.bounds
            ]
            self._runs[payload_type] = found
        return found

    def single(self, payload_type: int, position: int) -> Run:
        """One packet as a run of its own, for resending."""
        index, marker = self.first_index + position, position == len(self.payloads) - 1
        header = build_rtp_header(payload_type, marker, index, self.timestamp, self.ssrc)
        payload = self.payloads[position]
        return Run([header], [payload], index, self.ssrc, len(payload))

    def forget_runs(self) -> None:
        """Lets go of what can be made again: the frame stays in the ring for seconds, its last viewer's sealed bytes needn't."""
        self._runs.clear()


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
        self._slots: list[Frame | None] = [None] * RING_PACKETS
        self._frames: deque[tuple[float, Frame]] = deque()
        self._packets = 0
        self.next_index = 0

    def add(self, frame: Frame, now_s: float) -> None:
        """Takes every packet of a frame; what is too old or too much falls out."""
        for index in range(frame.first_index, frame.first_index + len(frame.payloads)):
            self._slots[index % RING_PACKETS] = frame
        self.next_index = frame.first_index + len(frame.payloads)
        self._frames.append((now_s, frame))
        self._packets += len(frame.payloads)
        while len(self._frames) > 1 and (self._packets > RING_PACKETS or now_s - self._frames[0][0] > RING_S):
            self._drop_oldest()

    def find(self, sequence: int) -> tuple[Frame, int] | None:
        """The frame and the position in it of the newest packet with this 16 bit sequence number, if still kept."""
        newest = self.next_index - 1
        return self.find_index(newest - ((newest - sequence) & 0xFFFF))

    def find_index(self, index: int) -> tuple[Frame, int] | None:
        """The frame and the position in it of the packet with this extended number, if still kept."""
        newest = self.next_index - 1
        if not 0 <= newest - index < RING_PACKETS or index < 0:
            return None
        frame = self._slots[index % RING_PACKETS]
        if frame is None or not frame.first_index <= index < frame.first_index + len(frame.payloads):
            return None
        return frame, index - frame.first_index

    @property
    def oldest_index(self) -> int:
        """No packet below this number can be found any more."""
        return self._frames[0][1].first_index if self._frames else self.next_index

    def _drop_oldest(self) -> None:
        _, frame = self._frames.popleft()
        self._packets -= len(frame.payloads)
        for index in range(frame.first_index, frame.first_index + len(frame.payloads)):
            if self._slots[index % RING_PACKETS] is frame:
                self._slots[index % RING_PACKETS] = None
