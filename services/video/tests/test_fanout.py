"""The hot path: Python and the C helper send the same bytes, and these are what libsrtp would send."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from rtcc_video.engine import accelerator
from rtcc_video.engine.accelerator import Accelerator, HelperUnavailable, socket_address
from rtcc_video.engine.frames import Frame
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.lanes import Lane, LaneKey, Seat
from rtcc_video.engine.packetizer import packetize
from rtcc_video.engine.paths import UdpSender
from rtcc_video.engine.srtp import GcmProtector

SSRC = 0x1234ABCD
PAYLOAD_TYPE = 99
UDP_SEGMENT = 103
SO_NO_CHECK = 11


@pytest.fixture(scope="module")
def helper(tmp_path_factory: pytest.TempPathFactory) -> Accelerator:
    """Built anew for these tests; they are skipped where there is no compiler."""
    folder = tmp_path_factory.mktemp("helper")
    folder.chmod(0o700)
    try:
        return accelerator.load(folder)
    except HelperUnavailable as reason:
        pytest.skip(f"no C helper on this machine: {reason}")


class Receiver:
    """A viewer's socket and the keys that it and the relay share."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET) -> None:
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        self.udp.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.udp.settimeout(20)
        self.key, self.salt = os.urandom(16), os.urandom(12)

    def seat(self) -> Seat:
        return Seat(GcmProtector(self.key, self.salt), self.udp.getsockname())

    def read(self, packets: int) -> list[bytes]:
        return [self.udp.recv(4000) for _ in range(packets)]

    def expected(self, frame: Frame) -> list[bytes]:
        policy = Policy(key=self.key + self.salt, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
        session = Session(policy)
        plain = [header + payload for run in frame.runs(PAYLOAD_TYPE) for header, payload in zip(run.headers, run.payloads, strict=True)]
        return [session.protect(packet) for packet in plain]


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
        yield made


def payloads_of(sizes: list[int]) -> list[bytes]:
    return [os.urandom(size) for size in sizes]


SIZES = [[700], [1186] * 7 + [400], [20, 1186, 1186, 9], [1186] * 120, [5] * 60 + [1186] * 3]


@pytest.mark.parametrize("sizes", SIZES, ids=len)
@pytest.mark.parametrize("offload", [True, False])
def test_python_helper_and_libsrtp_agree_byte_for_byte(helper: Accelerator, udp: socket.socket, sizes: list[int], offload: bool) -> None:
    frame = Frame(payloads_of(sizes), 4000, 90_000, True, SSRC)
    for used in (None, helper):
        sender = UdpSender(udp)
        sender.offload = offload
        receivers = [Receiver() for _ in range(3)]
        lane = Lane(LaneKey(sender, PAYLOAD_TYPE, 0), used)
        seats = [receiver.seat() for receiver in receivers]
        for seat in seats:
            lane.enter(seat)
        lane.send(frame)
        for receiver, seat in zip(receivers, seats, strict=True):
            got = receiver.read(len(sizes))
            assert got == receiver.expected(frame)
            assert lane.leave(seat) == (len(sizes), sum(map(len, got)))
            receiver.udp.close()
        assert sender.offload is offload
        assert udp.getsockopt(socket.IPPROTO_UDP, UDP_SEGMENT) == 0, "what is sent next would be cut"


@pytest.mark.parametrize("sizes", [[1186] * 7 + [400], [20, 1186, 1186, 9]], ids=len)
def test_where_the_kernel_refuses_to_cut_every_packet_still_leaves_once(helper: Accelerator, sizes: list[int]) -> None:
    """A socket that sends without checksums is one whose buffers the kernel won't cut."""
    frame = Frame(payloads_of(sizes), 4000, 90_000, True, SSRC)
    for used in (None, helper):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
            sender = UdpSender(udp)
            receivers = [Receiver() for _ in range(3)]
            lane = Lane(LaneKey(sender, PAYLOAD_TYPE, 0), used)
            seats = [receiver.seat() for receiver in receivers]
            for seat in seats:
                lane.enter(seat)
            for again in range(2):
                lane.send(frame if not again else frame.renamed(5000, 93_000, SSRC))
                assert not sender.offload
            assert udp.getsockopt(socket.IPPROTO_UDP, UDP_SEGMENT) == 0
            for receiver, seat in zip(receivers, seats, strict=True):
                assert receiver.read(len(sizes)) == receiver.expected(frame)
                receiver.read(len(sizes))
                receiver.udp.settimeout(0)
                with pytest.raises(BlockingIOError):
                    receiver.read(1)
                assert seat.packets_dropped == 0
                receiver.udp.close()


@pytest.mark.parametrize("size", [900, 1186, 1187, 2369, 2370, 9_001, 59_201, 59_202, 130_000, 300_000])
def test_a_slice_that_the_helper_fragments_is_what_python_makes_of_it(helper: Accelerator, udp: socket.socket, size: int) -> None:
    unit = AccessUnit((b"\x41" + os.urandom(size - 1),), 0, False)
    receiver = Receiver()
    lane = Lane(LaneKey(UdpSender(udp), PAYLOAD_TYPE, 0), helper)
    seat = receiver.seat()
    lane.enter(seat)
    frame = Frame.of(unit, 65_500, 90_000, SSRC)
    assert (frame.lone_nal is None) == (size <= 1186)
    lane.send(frame)
    got = receiver.read(frame.count)
    assert got == receiver.expected(Frame(packetize(unit), 65_500, 90_000, False, SSRC))
    assert lane.leave(seat) == (frame.count, sum(map(len, got)))
    receiver.udp.close()


def test_both_agree_behind_a_rolled_over_sequence_number(helper: Accelerator, udp: socket.socket) -> None:
    """Two viewers of one stream: who joined before the wrap has counted it, who joined after begins at zero (RFC 3711, 3.3.1)."""
    frame = Frame(payloads_of([1186] * 5 + [40]), (3 << 16) + 65_533, 1, False, SSRC)
    for base in (3, 1):
        got = []
        for used in (None, helper):
            receiver = Receiver()
            receiver.key, receiver.salt = b"k" * 16, b"s" * 12
            lane = Lane(LaneKey(UdpSender(udp), PAYLOAD_TYPE, base), used)
            lane.enter(receiver.seat())
            lane.send(frame)
            got.append(receiver.read(6))
            receiver.udp.close()
        assert got[0] == got[1]
        seat = Receiver().seat()
        protector = GcmProtector(b"k" * 16, b"s" * 12)
        by_hand = [b"".join(protector.protect(run, base)) for run in frame.runs(PAYLOAD_TYPE)]
        assert b"".join(by_hand) == b"".join(got[0])
        assert seat.packets_dropped == 0


def test_the_helper_reaches_ipv6_and_leaves_out_who_left(helper: Accelerator) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        udp.bind(("::1", 0))
        staying, leaving = Receiver(socket.AF_INET6), Receiver(socket.AF_INET6)
        lane = Lane(LaneKey(UdpSender(udp), PAYLOAD_TYPE, 0), helper)
        seats = [staying.seat(), leaving.seat()]
        for seat in seats:
            lane.enter(seat)
        lane.leave(seats[1])
        lane.send(Frame(payloads_of([300, 300, 100]), 1, 1, True, SSRC))
        assert len(staying.read(3)) == 3
        leaving.udp.settimeout(0.05)
        with pytest.raises(TimeoutError):
            leaving.read(1)
        assert len(lane) == 1
        lane.leave(seats[0])


def test_packets_that_the_kernel_refuses_count_as_dropped(helper: Accelerator, udp: socket.socket) -> None:
    for used in (None, helper):
        lane = Lane(LaneKey(UdpSender(udp), PAYLOAD_TYPE, 0), used)
        # A multicast address without a route, or port 0: the kernel says no at once.
        refused = Seat(GcmProtector(b"k" * 16, b"s" * 12), ("127.0.0.1", 0))
        receiver = Receiver()
        seat = receiver.seat()
        lane.enter(refused)
        lane.enter(seat)
        lane.send(Frame(payloads_of([500]), 1, 1, True, SSRC))
        assert len(receiver.read(1)) == 1
        assert refused.packets_dropped == 1
        assert lane.leave(refused) == (0, 0)
        assert seat.packets_dropped == 0
        receiver.udp.close()


@given(st.integers(1, 65_535))
def test_addresses_are_written_as_the_kernel_reads_them(port: int) -> None:
    assert socket_address(socket.AF_INET, ("10.1.2.3", port)) == b"\x02\x00" + port.to_bytes(2, "big") + b"\x0a\x01\x02\x03" + bytes(8)
    six = socket_address(socket.AF_INET6, ("fe80::1%lo", port, 0, 7))
    assert len(six) == 28
    assert six[2:4] == port.to_bytes(2, "big")
    assert six[8:24] == socket.inet_pton(socket.AF_INET6, "fe80::1")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 1186), min_size=1, max_size=60), st.integers(0, 70_000))
def test_packet_numbers_side_by_side_are_the_nonces_of_each_packet(sizes: list[int], first: int) -> None:
    frame = Frame([bytes(size) for size in sizes], first, 1, False, SSRC)
    base = first >> 16
    numbers = [
        int.from_bytes(run.numbers(base).to_bytes(12 * run.count, "big")[12 * position : 12 * position + 12], "big")
        for run in frame.runs(PAYLOAD_TYPE)
        for position in range(run.count)
    ]
    assert numbers == [SSRC << 48 | first - (base << 16) + position for position in range(len(sizes))]


def test_no_helper_is_loaded_from_where_others_can_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(HelperUnavailable, match="others may write"):
        accelerator.load(tmp_path)


def test_without_a_compiler_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HelperUnavailable, match="no C compiler"):
        accelerator.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, folder = tmp_path / "programs", tmp_path / "helper"
    programs.mkdir()
    folder.mkdir(mode=0o700)
    broken = programs / "cc"
    broken.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    broken.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    with pytest.raises(HelperUnavailable, match="no space left"):
        accelerator.load(folder)
    assert list(folder.iterdir()) == []
