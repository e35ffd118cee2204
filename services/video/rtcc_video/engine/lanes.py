"""The hot path: a stream's pictures to all viewers that simply follow it, in one loop (or one call of the C helper).

A viewer sits in a lane while nothing sets it apart: UDP, AES-GCM, no backlog, the stream's own numbers. Everybody else is served by
`Viewer.deliver`, with the same bytes.
"""

import ctypes
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from rtcc_video.engine.accelerator import Accelerator, NativeFrame, NativeViewer, socket_address
from rtcc_video.engine.frames import Frame, Run
from rtcc_video.engine.paths import OFFLOAD_REFUSED, Address, UdpSender
from rtcc_video.engine.srtp import GcmProtector, nonce_splitter

_OVERHEAD_BYTES: Final = GcmProtector.overhead_bytes


@dataclass(frozen=True, slots=True)
class LaneKey:
    """What the viewers of a lane have in common."""

    sender: UdpSender
    payload_type: int
    roll_over_base: int


@dataclass(slots=True, eq=False)
class Seat:
    """A viewer's place in a lane: its keys, where its packets go, and how many the network didn't take."""

    protector: GcmProtector
    address: Address
    packets_dropped: int = 0
    packets_before: int = 0
    octets_before: int = 0
    native: NativeViewer | None = field(default=None, repr=False)


class Lane:
    """See the module; `packets` and `octets` count what every seat was sent, so that no viewer need be counted for itself."""

    def __init__(self, key: LaneKey, accelerator: Accelerator | None) -> None:
        self._key = key
        self._accelerator = accelerator
        self._seats: dict[int, Seat] = {}
        self._native_seats: ctypes.Array[ctypes._Pointer[NativeViewer]] | None = None
        self.packets = 0
        self.octets = 0

    def __len__(self) -> int:
        return len(self._seats)

    def enter(self, seat: Seat) -> None:
        """The seat's viewer gets every frame from now on."""
        seat.packets_before, seat.octets_before = self.packets, self.octets
        if self._accelerator is not None:
            address = socket_address(self._key.sender.family, seat.address)
            seat.native = self._accelerator.viewer(seat.protector.session_key, seat.protector.session_salt, address)
            self._native_seats = None
        self._seats[id(seat)] = seat

    def leave(self, seat: Seat) -> tuple[int, int]:
        """The seat's viewer gets nothing more from here. Packets and octets that it was sent."""
        if self._seats.pop(id(seat), None) is None:
            return 0, 0
        if self._accelerator is not None and seat.native is not None:
            self._accelerator.release(seat.native)
            seat.native, self._native_seats = None, None
        return self.sent(seat)

    def sent(self, seat: Seat) -> tuple[int, int]:
        """Packets and octets that a seat was sent since it was taken."""
        packets = self.packets - seat.packets_before
        octets = self.octets - seat.octets_before
        if not seat.packets_dropped or not packets:
            return packets, octets
        # Which packets were dropped isn't kept: they count with the mean size.
        return packets - seat.packets_dropped, octets - octets * seat.packets_dropped // packets

    def send(self, frame: Frame) -> None:
        """The frame to every seat."""
        if not self._seats:
            return
        if self._accelerator is not None:
            self._send_native(frame, self._accelerator)
        elif self._key.sender.offload:
            self._send_runs(frame.runs(self._key.payload_type))
        else:
            self._send_singly(frame.runs(self._key.payload_type))
        self.packets += frame.count
        self.octets += frame.octets + _OVERHEAD_BYTES * frame.count

    def _send_runs(self, runs: list[Run]) -> None:
        """Seat by seat, so that who sits in the middle has the whole picture when half of the work is done."""
        sender, base = self._key.sender, self._key.roll_over_base
        sendmsg, sendto, encrypted = sender.sendmsg, sender.sendto, deque[int](maxlen=0).extend
        prepared = [
            (
                run.count, 12 * run.count, run.numbers(base), nonce_splitter(run.count), run.payloads, run.headers, *_sealed(run),
                sender.control(run.size + _OVERHEAD_BYTES) if run.count > 1 else (),
            )
            for run in runs
        ]  # fmt: skip
        segment = _common_segment(runs)
        cut = segment > 0 and sender.cut(segment)
        try:
            for seat in self._seats.values():
                protector, address = seat.protector, seat.address
                for count, length, numbers, split, payloads, headers, places, packets, whole, control in prepared:
                    nonces = split((protector.salts(count) ^ numbers).to_bytes(length, "big"))
                    encrypted(map(protector.encrypt_into, nonces, payloads, headers, places))
                    try:
                        if cut:
                            sendto(whole, address)
                        else:
                            sendmsg((whole,), control, 0, address)
                    except OSError as error:
                        if count == 1 or error.errno not in OFFLOAD_REFUSED:
                            seat.packets_dropped += count
                            continue
                        sender.offload = False
                        if cut:
                            cut = not sender.cut(0)
                        if not sender.send_run(packets, count, 0, address):
                            seat.packets_dropped += count
        finally:
            if cut:
                sender.cut(0)

    def _send_singly(self, runs: list[Run]) -> None:
        sender, base = self._key.sender, self._key.roll_over_base
        for seat in self._seats.values():
            for run in runs:
                if not sender.send_run(seat.protector.protect(run, base), run.count, run.size + _OVERHEAD_BYTES, seat.address):
                    seat.packets_dropped += run.count

    def _send_native(self, frame: Frame, accelerator: Accelerator) -> None:
        if self._native_seats is None:
            taken = [seat.native for seat in self._seats.values() if seat.native is not None]
            self._native_seats = (ctypes.POINTER(NativeViewer) * len(taken))(*map(ctypes.pointer, taken))
        sender = self._key.sender
        native = NativeFrame(frame, self._key.payload_type, self._key.roll_over_base, accelerator)
        dropped, sender.offload = accelerator.send(sender.fileno(), self._native_seats, native, sender.offload)
        if dropped:
            for seat in self._seats.values():
                if seat.native is not None:
                    seat.packets_dropped += seat.native.dropped


def _common_segment(runs: list[Run]) -> int:
    """What every packet of the runs has, but the last of each, when the kernel may cut all of them alike: it then needs to be told once for
    all seats. Most pictures are one such run. 0: they differ."""
    sizes = {run.size if run.count > 1 else 0 for run in runs}
    size = sizes.pop() if len(sizes) == 1 else 0
    return size + _OVERHEAD_BYTES if size else 0


def _sealed(run: Run) -> tuple[list[memoryview], list[memoryview], memoryview]:
    """One buffer for the packets of all seats, one seat after the other, with the headers in it: where each payload is to be encrypted to,
    each packet, and the whole."""
    each = run.size + _OVERHEAD_BYTES
    whole = memoryview(bytearray((run.count - 1) * each + len(run.payloads[-1]) + _OVERHEAD_BYTES))
    packets = [whole[start : start + each] for start in range(0, len(whole), each)]
    for packet, header in zip(packets, run.headers, strict=True):
        packet[:12] = header
    return [packet[12:] for packet in packets], packets, whole


class Lanes:
    """A stream's lanes by what their viewers have in common."""

    def __init__(self) -> None:
        self._lanes: dict[LaneKey, Lane] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def enter(self, key: LaneKey, accelerator: Accelerator | None, seat: Seat) -> Lane:
        """Takes a seat in the lane of that key."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, accelerator)
        lane.enter(seat)
        return lane

    def send(self, frame: Frame) -> None:
        """The frame to everybody who sits in a lane."""
        for key, lane in tuple(self._lanes.items()):
            if len(lane):
                lane.send(frame)
            else:
                del self._lanes[key]
