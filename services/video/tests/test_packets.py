"""Packetiser and depacketiser, RTP, RTCP, H.264 headers."""

import contextlib
import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc_video.engine.depacketizer import Depacketizer
from rtcc_video.engine.frames import RING_PACKETS, Frame, Ring
from rtcc_video.engine.h264 import (
    AccessUnit,
    MalformedBitstream,
    ParameterSets,
    is_b_slice,
    make_access_unit,
    parse_sps,
    split_annex_b,
)
from rtcc_video.engine.packetizer import PAYLOAD_LIMIT_BYTES, RUN_LIMIT_PACKETS, measure, packetize, runs
from rtcc_video.engine.rtp import (
    MalformedPacket,
    RtpPacket,
    build_goodbye,
    build_rtp_header,
    build_sender_report,
    parse_rtcp,
    parse_rtp,
    parse_sender_clock,
)

SPS = bytes.fromhex("6742c01eda0280f684000003000400000300f23c58ba80")
PPS = bytes.fromhex("68ce3c80")


def nal(kind: int, size: int) -> bytes:
    return bytes((0x60 | kind,)) + bytes((index * 7 + size) % 251 + 1 for index in range(size - 1))


sizes = st.integers(2, 5000) | st.integers(PAYLOAD_LIMIT_BYTES - 3, PAYLOAD_LIMIT_BYTES + 3)
access_units = st.builds(
    lambda key, slices: AccessUnit(((SPS, PPS) if key else ()) + tuple(nal(5 if key else 1, size) for size in slices), 0, key),
    st.booleans(),
    st.lists(sizes, min_size=1, max_size=5),
)


def packets_of(units: list[AccessUnit], first_sequence: int = 65530) -> list[RtpPacket]:
    sequence = itertools.count(first_sequence)
    found = []
    for number, unit in enumerate(units):
        payloads = packetize(unit)
        for index, payload in enumerate(payloads):
            found.append(RtpPacket(96, index == len(payloads) - 1, next(sequence) & 0xFFFF, number * 3000, 1, payload))
    return found


@settings(deadline=None)
@given(st.lists(access_units, min_size=1, max_size=6), st.booleans())
def test_what_is_packetised_comes_back_unchanged(units: list[AccessUnit], markers: bool) -> None:
    units = [AccessUnit((SPS, PPS, nal(5, 50)), 0, True), *units]
    depacketizer = Depacketizer(1_000_000)
    done = []
    for packet in packets_of(units):
        plain = packet if markers else RtpPacket(96, False, packet.sequence, packet.timestamp, 1, packet.payload)
        done += depacketizer.push(plain)
    expected = units if markers else units[:-1]
    assert [unit.nals for unit in done] == [unit.nals for unit in expected]
    assert [unit.timestamp for unit in done] == [number * 3000 for number in range(len(expected))]
    assert depacketizer.counters.damaged_units == 0


@settings(deadline=None)
@given(access_units)
def test_runs_are_what_segmentation_offload_demands(unit: AccessUnit) -> None:
    payloads = packetize(unit)
    assert all(0 < len(payload) <= PAYLOAD_LIMIT_BYTES for payload in payloads)
    covered = []
    for start, stop, size in runs(payloads):
        lengths = [len(payload) for payload in payloads[start:stop]]
        assert all(length == size for length in lengths[:-1])
        assert lengths[-1] <= size
        assert len(lengths) <= RUN_LIMIT_PACKETS
        covered += range(start, stop)
    assert covered == list(range(len(payloads)))


@settings(deadline=None)
@given(access_units)
def test_packets_made_when_they_are_needed_are_those_made_at_once(unit: AccessUnit) -> None:
    payloads = packetize(unit)
    now, later = Frame(payloads, 7, 90_000, unit.key, 1), Frame.of(unit, 7, 90_000, 1)
    assert (later.count, later.octets) == (now.count, now.octets) == (len(payloads), sum(map(len, payloads)))
    assert [run.headers for run in later.runs(96)] == [run.headers for run in now.runs(96)]
    assert later.payloads == payloads
    assert measure(unit) in (None, (later.count, later.octets))


@given(st.integers(0, 30), st.integers(3, 12))
def test_a_lost_packet_costs_its_picture_and_all_to_the_next_key(lost: int, pictures: int) -> None:
    units = [AccessUnit((SPS, PPS, nal(5, 3000)), 0, True)]
    units += [AccessUnit((nal(1, 2500),), 0, False) for _ in range(pictures)]
    units += [AccessUnit((SPS, PPS, nal(5, 3000)), 0, True), AccessUnit((nal(1, 700),), 0, False)]
    packets = packets_of(units)
    del packets[1 + lost % (len(packets) - 7)]
    depacketizer = Depacketizer(1_000_000)
    done = [unit.nals for packet in packets for unit in depacketizer.push(packet)]
    whole = [unit.nals for unit in units]
    intact = next((index for index, found in enumerate(done) if found != whole[index]), len(done))
    assert done[:intact] == whole[:intact]
    assert done[intact:] == whole[-len(done[intact:]) :] if done[intact:] else True
    assert all(nals in whole for nals in done)
    assert depacketizer.counters.damaged_units >= 1


def test_a_picture_above_the_limit_is_dropped_and_counted() -> None:
    units = [AccessUnit((SPS, PPS, nal(5, 5000)), 0, True), AccessUnit((SPS, PPS, nal(5, 500)), 0, True)]
    depacketizer = Depacketizer(2000)
    done = [unit for packet in packets_of(units) for unit in depacketizer.push(packet)]
    assert [unit.nals for unit in done] == [units[1].nals]
    assert depacketizer.counters.oversized_units == 1


def test_parameter_sets_under_their_own_time_stamp_belong_to_the_next_picture() -> None:
    depacketizer = Depacketizer(10_000)
    packets = [RtpPacket(96, True, 1, 0, 1, SPS), RtpPacket(96, True, 2, 0, 1, PPS), RtpPacket(96, True, 3, 3000, 1, nal(5, 90))]
    done = [unit for packet in packets for unit in depacketizer.push(packet)]
    assert [unit.nals for unit in done] == [(SPS, PPS, nal(5, 90))]


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 65535), st.integers(0, 2**32 - 1), st.booleans()), max_size=30))
def test_depacketiser_survives_noise(noise: list[tuple[bytes, int, int, bool]]) -> None:
    depacketizer = Depacketizer(500)
    for payload, sequence, timestamp, marker in noise:
        for unit in depacketizer.push(RtpPacket(96, marker, sequence, timestamp, 1, payload)):
            assert unit.nals


@given(st.binary(max_size=120))
def test_rtp_rtcp_and_annex_b_survive_noise(data: bytes) -> None:
    for parse in (parse_rtp, parse_rtcp):
        with contextlib.suppress(MalformedPacket):
            parse(data)
    make_access_unit(split_annex_b(data), 0)
    is_b_slice(data)
    with contextlib.suppress(MalformedBitstream):
        parse_sps(b"\x67" + data)


@given(st.integers(0, 127), st.booleans(), st.integers(0, 65535), st.integers(0, 2**32 - 1), st.binary(max_size=50), st.integers(0, 9))
def test_rtp_header_is_read_back_with_extension_and_padding(
    kind: int, marker: bool, sequence: int, timestamp: int, payload: bytes, padding: int
) -> None:
    header = bytearray(build_rtp_header(kind, marker, sequence, timestamp, 77))
    header[0] |= 0x10
    extension = b"\xbe\xde\x00\x01\x10\x00\x00\x00"
    tail = bytes(padding - 1) + bytes((padding,)) if padding else b""
    header[0] |= 0x20 if padding else 0
    assert parse_rtp(bytes(header) + extension + payload + tail) == RtpPacket(kind, marker, sequence, timestamp, 77, payload)


def test_feedback_of_a_compound_packet() -> None:
    report = struct.pack("!BBHIIIIIII", 0x81, 201, 7, 1, 99, (64 << 24) | 0xFFFFFE, 70000, 450, 0, 0)
    nack = struct.pack("!BBHIIHH", 0x81, 205, 3, 1, 99, 65535, 0b101)
    pli = struct.pack("!BBHII", 0x81, 206, 2, 1, 99)
    feedback = parse_rtcp(report + nack + pli + build_goodbye(5))
    assert feedback.reports[0].fraction_lost == 0.25
    assert feedback.reports[0].packets_lost == -2
    assert feedback.lost_sequences == [65535, 0, 2]
    assert feedback.key_frame_wanted
    assert feedback.goodbye


def test_sender_report_is_readable_and_carries_the_ntp_time() -> None:
    report = build_sender_report(7, 1_700_000_000.5, 123, 10, 1000, "name")
    assert parse_rtcp(report).reports == []
    seconds, fraction = struct.unpack_from("!II", report, 8)
    assert seconds - 2_208_988_800 == 1_700_000_000
    assert fraction == 0x80000000
    assert len(report) % 4 == 0


def test_ring_finds_across_the_sequence_wrap_and_forgets_the_old() -> None:
    ring = Ring()
    ring.next_index = 65_500
    for _ in range(60):
        ring.add(Frame([b"a", b"b"], ring.next_index, 0, False, 1), 1.0)
    found = ring.find(65_501)
    assert found is not None
    assert (found[0].first_index, found[1]) == (65_500, 1)
    assert ring.find((ring.next_index - 1) & 0xFFFF) is not None
    assert ring.find(ring.next_index & 0xFFFF) is None
    for _ in range(RING_PACKETS // 2):
        ring.add(Frame([b"a", b"b"], ring.next_index, 0, False, 1), 1.0)
    assert ring.find(65_501) is None


def test_ring_of_a_slow_camera_forgets_by_age() -> None:
    ring = Ring()
    for second in range(30):
        ring.add(Frame([b"picture"], second, 0, False, 1), float(second))
    assert [sequence for sequence in range(30) if ring.find(sequence)] == [24, 25, 26, 27, 28, 29]
    assert ring.oldest_index == 24


def test_sps_of_a_baseline_camera() -> None:
    parameters = parse_sps(SPS)
    assert (parameters.width_px, parameters.height_px, parameters.profile_level_id) == (640, 480, "42c01e")
    assert parameters.reorder_frames == 0


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_reordering_is_seen_in_the_bitstream(make_clip, profile: str, b_frames: int) -> None:  # type: ignore[no-untyped-def] # fixture
    import av

    b_frames = 0 if profile == "baseline" else b_frames
    path = make_clip(frames=30, profile=profile, b_frames=b_frames, size=(322, 242))
    slices, sequence = [], None
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            for part in to_annex_b.filter(packet) if packet.size else []:
                for unit in split_annex_b(bytes(part)):
                    if unit[0] & 0x1F == 7:
                        sequence = parse_sps(unit)
                    slices.append(is_b_slice(unit))
    assert sequence is not None
    assert (sequence.width_px, sequence.height_px) == (322, 242)
    assert any(slices) == bool(b_frames)
    assert (sequence.reorder_frames or 0) > 0 if b_frames else not sequence.reorder_frames


def test_parameter_sets_go_before_a_key_picture_that_came_without() -> None:
    known = ParameterSets([SPS, PPS])
    bare = AccessUnit((nal(5, 20),), 0, True)
    completed = known.complete(bare)
    assert completed is not None
    assert completed.nals == (SPS, PPS, nal(5, 20))
    assert ParameterSets().complete(bare) is None
    delta = AccessUnit((nal(1, 20),), 0, False)
    assert known.complete(delta) is delta


@given(st.floats(1_000_000_000, 4_000_000_000), st.integers(0, 2**32 - 1))
def test_a_sender_report_gives_back_its_senders_clock_also_after_2036(unix_s: float, timestamp: int) -> None:
    found = parse_sender_clock(build_sender_report(1, unix_s, timestamp, 5, 500, "c"))
    assert found is not None
    assert abs(found[0] - unix_s * 1_000_000) < 2
    assert found[1] == timestamp


@given(st.binary(max_size=64))
def test_other_bytes_are_no_clock_and_no_crash(data: bytes) -> None:
    found = parse_sender_clock(data)
    assert found is None or data[1] == 200
