"""A packetised picture, shared by every viewer of a stream."""

from collections import deque
from typing import Final

from rtcc_video.engine.packetizer import runs
from rtcc_video.engine.rtp import build_rtp_header

RING_PACKETS: Final = 2048
RING_S: Final = 5.0


class Frame:
    """The packets of one picture under the stream's one RTP identity.

    `first_index` is the extended sequence number (RFC 3711, 3.3.1: roll-over counter << 16 | sequence) of the first packet.
    Headers are made once per payload type, packet numbers once per roll-over base; viewers only encrypt.
    Everything is cut into runs that go to the kernel in one call (see `packetizer.runs`).
    """

    __slots__ = ("_headers", "_numbers", "bounds", "first_index", "key", "octets", "payloads", "run_payloads", "ssrc", "timestamp")

    def __init__(self, payloads: list[bytes], first_index: int, timestamp: int, key: bool, ssrc: int) -> None:
        self.payloads = payloads
        self.first_index = first_index
        self.timestamp = timestamp & 0xFFFFFFFF
        self.key = key
        self.ssrc = ssrc
        self.octets = sum(map(len, payloads))
        self.bounds = runs(payloads)
        self.run_payloads = [payloads[start:stop] for start, stop, _ in self.bounds]
        self._headers: dict[int, list[list[bytes]]] = {}
        self._numbers: dict[int, list[list[int]]] = {}

    def restamped(self, timestamp: int) -> "Frame":
        """The same packets under another time stamp; payloads and numbers are shared."""
        twin = Frame.__new__(Frame)
        twin.payloads, twin.first_index, twin.key, twin.ssrc = self.payloads, self.first_index, self.key, self.ssrc
        twin.octets, twin.bounds, twin.run_payloads, twin._numbers = self.octets, self.bounds, self.run_payloads, self._numbers
        twin.timestamp = timestamp & 0xFFFFFFFF
        twin._headers = {}
        return twin

    def headers(self, payload_type: int) -> list[list[bytes]]:
        """RTP headers per run; the marker stands on the last packet (RFC 6184, 5.1)."""
        found = self._headers.get(payload_type)
        if found is None:
            last = len(self.payloads) - 1
            found = [
                [
                    build_rtp_header(payload_type, position == last, self.first_index + position, self.timestamp, self.ssrc)
                    for position in range(start, stop)
                ]
                for start, stop, _ in self.bounds
            ]
            self._headers[payload_type] = found
        return found

    def numbers(self, roll_over_base: int) -> list[list[int]]:
        """`ssrc << 48 | index` per run, with the roll-over counter of a viewer who joined at `roll_over_base`."""
        found = self._numbers.get(roll_over_base)
        if found is None:
            first = (self.ssrc << 48) + self.first_index - (roll_over_base << 16)
            found = [[first + position for position in range(start, stop)] for start, stop, _ in self.bounds]
            self._numbers[roll_over_base] = found
        return found


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
        index = newest - ((newest - sequence) & 0xFFFF)
        if index < 0 or newest - index >= RING_PACKETS:
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
