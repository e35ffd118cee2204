"""MISB ST 0601 inside of video: the standard's own examples, another library as peer, bad input, and a real MPEG-TS over UDP."""

import asyncio
import math
import os
import time
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from pymisb.common.encoder import build_st0601_packet
from pymisb.klvdata.streamparser import StreamParser

from rtcc.registry.v1.registry_pb2 import CAMERA_PULL_ALWAYS, Camera
from rtcc_chassis.testing import free_port, poll
from rtcc_demo.drone_video import DroneFlight, DroneTransmitter
from rtcc_video.domain import StreamAddresses
from rtcc_video.drone_video import METADATA, DroneVideos, drone_video_message
from rtcc_video.feeds import Feeds
from rtcc_video.settings import VideoSettings
from rtcc_video.sources.klv import BadKlv, find_packets, read_items, read_length, read_tag, write_items, write_length, write_tag
from rtcc_video.sources.uas_metadata import _NUMBERS, KEY, Number, UasMetadata, checksum, read_packets, write_packet

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1_000_000)

# MISB ST 0601, the "example" lines of its tags: (tag, bytes, value)
EXAMPLES = [
    (5, "71c2", 159.9744), (6, "fd3d", -0.4315251), (7, "08b8", 3.405814), (13, "5595b66d", 60.17682296), (14, "5b5360c4", 128.42675904),
    (15, "c221", 14190.72), (16, "cd9c", 144.5713), (17, "d917", 152.6436), (18, "724a0a20", 160.71921147), (19, "87f84b86", -168.79232483),
    (20, "7dc55ece", 176.86543764), (21, "03830926", 68590.98), (22, "1281", 722.8199), (23, "f101a229", -10.54238863),
    (24, "14bc082b", 29.15789012), (25, "34f3", 3216.037), (75, "c221", 14190.72), (90, "ff62e2f2", -0.43152510),
]  # fmt: skip


@pytest.mark.parametrize(("tag", "value", "expected"), EXAMPLES)
def test_numbers_are_those_of_the_standards_examples(tag: int, value: str, expected: float) -> None:
    name, number = _NUMBERS[tag]
    read = number.read(bytes.fromhex(value))
    # as exact as they are printed
    assert read == pytest.approx(expected, rel=2e-5), name
    assert read is not None and number.write(read).hex() == value


def capture() -> bytes:
    folder = Path(os.environ.get("RTCC_CAPTURES", Path(__file__).parents[3].parent / "shared" / "data"))
    file = folder / "klv1.bin"
    if not file.exists():
        pytest.skip(f"no capture klv1.bin in {folder}: set RTCC_CAPTURES to a folder that has it")
    return file.read_bytes()


def test_a_capture_is_read_once_its_checksum_fits() -> None:
    captured = capture()
    # its checksum is another example's
    with pytest.raises(BadKlv, match="checksum doesn't fit"):
        read_packets(captured)
    (read,) = read_packets(captured[:-2] + checksum(captured[:-2]).to_bytes(2))
    assert (read.mission_id, read.platform_designation, read.image_source) == ("Mission 12", "Predator", "EO Nose")
    assert read.time_us == 1_231_798_102_000_000
    assert (read.sensor_latitude_deg, read.sensor_longitude_deg) == (pytest.approx(60.17682297), pytest.approx(128.42675904))
    assert (read.frame_latitude_deg, read.frame_longitude_deg) == (pytest.approx(-10.54238863), pytest.approx(29.15789012))
    assert read.slant_range_m == pytest.approx(68590.98, abs=0.01)


def test_another_librarys_packet_is_read_and_ours_by_it() -> None:
    told = {"timestamp_us": NOW_US, "platform_heading": 91.5, "platform_pitch": -3.0, "platform_roll": 4.0, "sensor_lat": 60.17}
    told |= {"sensor_lon": 24.94, "sensor_alt": 120.0, "sensor_rel_az": 270.0, "sensor_rel_el": -35.0, "slant_range": 150.0}
    told |= {"fc_lat": 60.171, "fc_lon": 24.941, "fc_elev": 11.0}
    (read,) = read_packets(build_st0601_packet(told))
    assert read.time_us == NOW_US
    assert read.sensor_latitude_deg == pytest.approx(60.17, abs=1e-7) and read.sensor_longitude_deg == pytest.approx(24.94, abs=1e-7)
    assert read.heading_deg == pytest.approx(91.5, abs=0.01) and read.relative_elevation_deg == pytest.approx(-35, abs=1e-6)
    assert read.frame_elevation_m == pytest.approx(11, abs=0.2) and read.slant_range_m == pytest.approx(150, abs=0.01)
    (packet,) = StreamParser(write_packet(replace(read, mission_id="M 7", platform_tail="OH-1")))
    theirs = {key: value[1] for key, value in packet.MetadataList().items()}
    assert theirs[3] == "M 7" and theirs[4] == "OH-1"
    assert float(theirs[13]) == pytest.approx(60.17, abs=1e-4) and float(theirs[5]) == pytest.approx(91.5, abs=0.01)


def numbers(number: Number) -> st.SearchStrategy[float]:
    """Values that the integer stands for exactly."""
    steps = (1 << 8 * number.size) - 1
    whole = st.integers(-(steps >> 1), steps >> 1) if number.signed else st.integers(0, steps)
    return whole.map(lambda value: number.read(value.to_bytes(number.size, signed=number.signed))).map(lambda read: read or 0.0)


PLACES = st.tuples(numbers(_NUMBERS[13][1]), numbers(_NUMBERS[14][1]))
TEXTS = st.text("ABC xyz-019", max_size=20).map(str.strip)


@settings(max_examples=40)
@given(
    st.builds(
        UasMetadata,
        time_us=st.integers(0, 2**64 - 1),
        version=st.none() | st.integers(0, 255),
        ground_speed_mps=st.none() | st.integers(0, 255),
        corners=st.just(()) | st.tuples(PLACES, PLACES, PLACES, PLACES),
        **{name: TEXTS for name in ("mission_id", "platform_tail", "platform_designation", "platform_call_sign", "image_source")},
        **{name: st.none() | numbers(number) for name, number in _NUMBERS.values()},
    )
)
def test_what_is_written_is_read_again(metadata: UasMetadata) -> None:
    (read,) = read_packets(b"\x00\x00\x00\x01\x00" + write_packet(metadata) + b"noise")
    assert write_packet(read) == write_packet(metadata)
    assert (read.mission_id, read.version, read.time_us, len(read.corners)) == (
        metadata.mission_id, metadata.version, metadata.time_us, len(metadata.corners),
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 2**28 - 1), st.binary(max_size=300)), max_size=10))
def test_items_of_any_tag_and_length_are_read_again(items: list[tuple[int, bytes]]) -> None:
    assert [(tag, value) for tag, value, _ in read_items(write_items(items))] == items


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**28 - 1))
def test_lengths_and_tags_are_read_again(length: int, tag: int) -> None:
    assert read_length(write_length(length), 0) == (length, len(write_length(length)))
    assert read_tag(write_tag(tag), 0) == (tag, len(write_tag(tag)))


@given(st.data(), st.binary(max_size=40))
def test_a_damaged_packet_is_refused_or_read_but_never_breaks_anything(data: Any, noise: bytes) -> None:
    packet = bytearray(write_packet(UasMetadata(NOW_US, mission_id="M", sensor_latitude_deg=60.0, sensor_longitude_deg=24.0)))
    for _ in range(data.draw(st.integers(0, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    bytes_ = bytes(packet[: data.draw(st.integers(0, len(packet)))]) + noise
    videos = DroneVideos()
    videos.take("east", "c1", bytes_, NOW, 0.0)
    assert len(videos.fetch()) <= 1
    for forged in (noise, KEY + noise, KEY + write_length(len(noise)) + noise):
        assert all(len(found) <= len(forged) for found, _ in find_packets(forged, KEY))
        videos.take("east", "c1", forged, NOW, 10.0)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda packet: packet[:-1], "no whole"),
        (lambda packet: packet[:-1] + bytes((packet[-1] ^ 1,)), "doesn't fit"),
        (lambda packet: KEY + write_length(4) + b"\x02\x02\x00\x01", "no checksum"),
        (lambda packet: KEY + write_length(5) + b"\x01\x02\x00\x00\x03", "isn't the last"),
        (lambda packet: KEY + write_length(3) + b"\x05\x7f\x00", "says that it has 127"),
        (lambda packet: KEY + write_length(600) + b"\x05\x00" * 300, "more than 256"),
        (lambda packet: KEY + b"\x85\xff\xff\xff\xff\xff", "no whole"),
        (lambda packet: b"", "no whole"),
    ],
)
def test_what_is_wrong_is_named(damage: Any, reason: str) -> None:
    with pytest.raises(BadKlv, match=reason):
        read_packets(damage(write_packet(UasMetadata(NOW_US))))


def test_memory_stays_flat_under_noise() -> None:
    videos = DroneVideos()
    forged = (KEY + b"\x84\x7f\xff\xff\xff" + bytes(1000)) * 20
    videos.take("east", "c1", forged, NOW, 0.0)
    tracemalloc.start()
    for turn in range(300):
        videos.take("east", "c1", forged, NOW, float(turn))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


def test_offsets_stand_for_corners_when_no_full_ones_are_told() -> None:
    metadata = UasMetadata(NOW_US, frame_latitude_deg=60.0, frame_longitude_deg=24.0)
    offsets = write_items((tag, Number(2, -0.075, 0.075).write(0.001 * (tag - 29.5))) for tag in range(26, 34))
    inner = write_packet(metadata)[17:-4] + offsets + b"\x01\x02"
    packet = KEY + write_length(len(inner) + 2) + inner
    (read,) = read_packets(packet + checksum(packet).to_bytes(2))
    assert read.corners[0] == (pytest.approx(59.9965, abs=1e-5), pytest.approx(23.9975, abs=1e-5))
    assert read.corners[3] == (pytest.approx(60.0025, abs=1e-5), pytest.approx(24.0035, abs=1e-5))


FULL = UasMetadata(
    NOW_US, heading_deg=90.0, sensor_latitude_deg=60.17, sensor_longitude_deg=24.94, sensor_altitude_m=130.0, relative_azimuth_deg=300.0,
    frame_latitude_deg=60.171, frame_longitude_deg=24.941, frame_elevation_m=10.0, platform_tail="OH-1", pitch_deg=2.0, full_pitch_deg=2.5,
)  # fmt: skip


def test_what_others_are_told_follows_from_the_packet() -> None:
    message = drone_video_message("east", "c1", FULL, NOW + timedelta(seconds=1))
    assert message is not None
    assert message.height_m == 120 and message.pitch_deg == 2.5 and message.view.bearing_deg == 30
    assert message.observed_at.ToMicroseconds() == NOW_US
    # above sea level isn't above the ellipsoid: that stays untold
    assert not message.position.HasField("altitude_m")


@pytest.mark.parametrize("time_us", [0, NOW_US - 60_000_000, NOW_US + 60_000_000, 2**64 - 1])
def test_a_clock_that_is_far_off_is_not_believed(time_us: int) -> None:
    message = drone_video_message("east", "c1", replace(FULL, time_us=time_us), NOW)
    assert message is not None and message.observed_at.ToMicroseconds() == NOW_US


@pytest.mark.parametrize("place", [(None, 24.0), (0.0, 0.0)])
def test_without_a_place_nobody_is_told(place: tuple[float | None, float]) -> None:
    assert drone_video_message("east", "c1", replace(FULL, sensor_latitude_deg=place[0], sensor_longitude_deg=place[1]), NOW) is None


def test_no_more_is_told_than_a_map_needs() -> None:
    videos, packet = DroneVideos(), write_packet(FULL)
    before = {outcome: METADATA.labels(outcome)._value.get() for outcome in ("taken", "thinned")}
    for tick in range(30):
        videos.take("east", "c1", packet, NOW, tick / 30)
        videos.take("east", "c2", packet, NOW, tick / 30)
    told = METADATA.labels("taken")._value.get() - before["taken"]
    assert told == 10 and METADATA.labels("thinned")._value.get() - before["thinned"] == 50
    assert {message.camera_id for message in videos.fetch()} == {"c1", "c2"} and not videos.fetch()


def write_stream(path: Path, codec: str) -> None:
    """Two seconds of MPEG-TS with a packet of metadata beside each picture."""
    flight = DroneFlight(60.17, 24.94)
    with av.open(str(path), "w", format="mpegts") as output:
        video, data = output.add_stream(codec, rate=10), output.add_data_stream("klv")
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        video.codec_context.gop_size = 10
        video.codec_context.options = {"preset": "ultrafast", "tune": "zerolatency"} | (
            {"x265-params": "log-level=none"} if codec == "libx265" else {"profile": "baseline"}
        )
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((120, 160, 3), number * 12, np.uint8), format="rgb24")
            output.mux(video.encode(frame))
            beside = av.Packet(flight.metadata(float(number)))
            beside.stream, beside.pts, beside.dts, beside.time_base = data, number * 9_000, number * 9_000, Fraction(1, 90_000)
            output.mux(beside)
        output.mux(video.encode(None))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
async def test_metadata_comes_over_http_too_and_beside_pictures_that_are_converted(tmp_path: Path, codec: str) -> None:
    await asyncio.to_thread(write_stream, tmp_path / "drone.ts", codec)
    application = web.Application()
    application.router.add_static("/", tmp_path)
    runner, videos, seen = web.AppRunner(application), DroneVideos(), list[Any]()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def read(agency_id: str, camera_id: str) -> StreamAddresses:
        return StreamAddresses(f"http://127.0.0.1:{runner.addresses[0][1]}/drone.ts")

    feeds = Feeds(VideoSettings(), read)
    feeds.on_metadata = lambda agency_id, camera_id, data: videos.take(agency_id, camera_id, data, datetime.now(UTC), time.monotonic())
    feeds.apply("c1", Camera(camera_id="c1", agency_id="east", enabled=True, has_stream=True, pull=CAMERA_PULL_ALWAYS))
    feed = feeds.get("c1")
    assert feed is not None

    async def both() -> bool:
        seen.extend(videos.fetch())
        return len(seen) >= 3 and feed.stream.frames_total > 5

    try:
        await poll(both, deadline_s=40)
    finally:
        await feeds.stop()
        await runner.cleanup()
    assert {video.platform_tail for video in seen} == {"RTCC-1"}
    # recorded long ago by its own clock: what counts is when it came
    assert seen[0].observed_at == seen[0].received_at


async def test_pictures_and_metadata_come_out_of_one_transport_stream(make_clip: Any) -> None:
    port, videos, started = free_port(), DroneVideos(), time.time()

    async def read(agency_id: str, camera_id: str) -> StreamAddresses:
        return StreamAddresses(f"udp://127.0.0.1:{port}")

    feeds = Feeds(VideoSettings(), read)
    feeds.on_metadata = lambda agency_id, camera_id, data: videos.take(agency_id, camera_id, data, datetime.now(UTC), time.monotonic())
    feeds.apply("c1", Camera(camera_id="c1", agency_id="east", enabled=True, has_stream=True, pull=CAMERA_PULL_ALWAYS))
    transmitter = DroneTransmitter(make_clip(frames=60, gop=30), f"udp://127.0.0.1:{port}", DroneFlight(60.17, 24.94).metadata)
    transmitter.start()
    seen: list[Any] = []
    feed = feeds.get("c1")
    assert feed is not None

    async def both() -> bool:
        seen.extend(videos.fetch())
        return len(seen) >= 6 and feed.stream.frames_total > 30

    try:
        await poll(both, deadline_s=40)
    finally:
        await asyncio.to_thread(transmitter.stop)
        await feeds.stop()
    last = seen[-1]
    assert (last.agency_id, last.camera_id, last.platform_tail, last.mission_id) == ("east", "c1", "RTCC-1", "DEMO")
    assert last.observed_at.ToMicroseconds() >= started * 1e6
    assert len(last.view.corners) == 4 and last.height_m == pytest.approx(80, abs=0.5)
    place = last.position.coordinate
    away_m = math.hypot((place.latitude_deg - 60.17) * 111_320, (place.longitude_deg - 24.94) * 111_320 * math.cos(math.radians(60.17)))
    assert away_m == pytest.approx(120, abs=1)
    # they moved between the first and the last
    assert seen[0].position.coordinate != place
