"""RTP packets that came over UDP, back in the order in which they were sent (RFC 3550, A.1 for what a restart looks like)."""

from typing import Final

from rtcc_video.engine.rtp import RtpPacket

_HALF: Final = 0x8000
# so many packets in a row behind the expected one: the sender began to count anew
_RESTART_AFTER: Final = 32


class Reorder:
    """Holds back what came too early until what is missing comes, `limit` more packets did, or `hold_s` went by.

    Duplicates and what comes after it was given up are dropped. Not for TCP, which keeps the order by itself.
    """

    def __init__(self, limit: int = 64, hold_s: float = 0.08) -> None:
        self._limit = limit
        self._hold_s = hold_s
        self._expected: int | None = None
        self._ssrc = 0
        self._waiting: dict[int, RtpPacket] = {}
        self._waiting_since_s = 0.0
        self._behind = 0

    def expects(self, packet: RtpPacket) -> bool:
        """Whether it is this packet's turn while none waits: then it is the one to go on with, after `advance` instead of `push`."""
        return not self._waiting and packet.sequence == self._expected and packet.ssrc == self._ssrc

    def advance(self, packet: RtpPacket) -> None:
        """An expected packet was taken."""
        self._behind = 0
        self._expected = (packet.sequence + 1) & 0xFFFF

    @property
    def next(self) -> tuple[int, int] | None:
        """Number and SSRC of the packet whose turn it is; None while some wait, and before the first."""
        return None if self._waiting or self._expected is None else (self._expected, self._ssrc)

    def skip(self, count: int = 1) -> None:
        """The packet whose turn it is was taken, and those behind it, `count` in all."""
        assert self._expected is not None  # or there would have been no `next`
        self._behind, self._expected = 0, (self._expected + count) & 0xFFFF

    def push(self, packet: RtpPacket, now_s: float) -> list[RtpPacket]:
        """The packets whose turn it is; `now_s` is monotonic."""
        if self._expected is None or packet.ssrc != self._ssrc:
            return self._restart(packet)
        ahead = (packet.sequence - self._expected) & 0xFFFF
        if ahead >= _HALF:
            self._behind += 1
            return self._restart(packet) if self._behind >= _RESTART_AFTER else []
        self._behind = 0
        if ahead == 0 and not self._waiting:
            self._expected = (packet.sequence + 1) & 0xFFFF
            return [packet]
        if not self._waiting:
            self._waiting_since_s = now_s
        self._waiting.setdefault(packet.sequence, packet)
        if ahead and (len(self._waiting) > self._limit or now_s - self._waiting_since_s > self._hold_s):
            expected = self._expected
            self._expected = min(self._waiting, key=lambda sequence: (sequence - expected) & 0xFFFF)
        return self._in_turn(now_s)

    def _in_turn(self, now_s: float) -> list[RtpPacket]:
        ready: list[RtpPacket] = []
        while self._expected is not None and (packet := self._waiting.pop(self._expected, None)) is not None:
            ready.append(packet)
            self._expected = (self._expected + 1) & 0xFFFF
        if ready:
            self._waiting_since_s = now_s
        return ready

    def _restart(self, packet: RtpPacket) -> list[RtpPacket]:
        self._waiting.clear()
        self._behind = 0
        self._ssrc = packet.ssrc
        self._expected = (packet.sequence + 1) & 0xFFFF
        return [packet]
