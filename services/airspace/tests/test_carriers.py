"""Remote ID inside Bluetooth, Wi-Fi beacons and NAN; and a capture of real transmitters."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_airspace.domain.carriers import (
    READERS,
    read_beacon,
    read_bluetooth,
    read_nan,
    write_beacon,
    write_bluetooth,
    write_element,
    write_nan,
)
from rtcc_airspace.domain.messages import BasicId, DamagedMessage, Location, OperatorId, SelfId, System, decode, pack_of, split_pack

MAC = bytes.fromhex("123456214365")
PACK = pack_of([BasicId(1, 4, "USS-Enterprise"), Location(2, 60.17, 24.94)])
packs = st.binary(min_size=1, max_size=228)
CAPTURES = Path(os.environ.get("RTCC_CAPTURES") or Path(__file__).parents[4] / "shared" / "data")


@given(packs, st.integers(0, 255))
def test_each_carrier_gives_back_what_was_put_in(pack: bytes, counter: int) -> None:
    assert read_bluetooth(b"\x02\x01\x06" + write_bluetooth(pack, counter)) == pack
    assert read_beacon(write_beacon(pack, counter, MAC, b"RID")) == pack
    assert read_beacon(b"\x00\x03abc" + write_element(pack, counter)) == pack
    frame = write_nan(pack, counter, MAC)
    assert read_nan(frame) == pack
    assert read_nan(frame[24:]) == pack


@given(st.binary(max_size=400), st.sampled_from(sorted(READERS)))
def test_no_bytes_break_a_reader(data: bytes, carrier: str) -> None:
    try:
        READERS[carrier](data)
    except DamagedMessage:
        return


@given(packs, st.data())
def test_a_frame_cut_anywhere_is_damaged_or_shorter_never_more(pack: bytes, data: st.DataObject) -> None:
    for carrier, frame in (
        ("bluetooth", write_bluetooth(pack, 0)),
        ("wifi_beacon", write_element(pack, 0)),
        ("wifi_nan", write_nan(pack, 0, MAC)),
    ):
        cut = frame[: data.draw(st.integers(0, len(frame) - 1))]
        try:
            assert pack.startswith(READERS[carrier](cut)) or carrier == "wifi_nan"
        except DamagedMessage:
            continue


def test_golden_beacon_of_the_reference_library() -> None:
    # opendroneid-core-c, unit_odid_wifi_beacon.cpp: the frame up to its second message, then that message
    frame = bytes.fromhex(
        "80000000ffffffffffff1234562143651234562143650000ffffffffffffffff64002004"
        "0014" + b"testSSID_0123456789A".hex() + "01018c" + "dd3afa0bbc0d55" + "f21902"
        "0214" + b"USS-Enterprise".ljust(20, b"\0").hex() + "000000" + "1220" + "00" * 23
    )
    first, second = split_pack(read_beacon(frame))
    assert decode(first) == BasicId(1, 4, "USS-Enterprise")
    location = decode(second)
    assert isinstance(location, Location) and location.status == 2
    assert write_beacon(read_beacon(frame), 0x55, MAC, b"testSSID_0123456789A") == frame[:24] + bytes(8) + frame[32:]


def test_golden_bluetooth_advertisement() -> None:
    # F3411-22a figure 5: length 30, service data, 0xFFFA, application code 0x0D, counter, one message
    message = "0214" + b"USS-Enterprise".ljust(20, b"\0").hex() + "000000"
    advertisement = bytes.fromhex("1e16faff0d2a" + message)
    assert write_bluetooth(bytes.fromhex(message), 0x2A) == advertisement
    assert decode(split_pack(read_bluetooth(advertisement))[0]) == BasicId(1, 4, "USS-Enterprise")


@pytest.mark.parametrize(
    ("carrier", "data", "word"),
    [
        ("bluetooth", b"\x02\x01\x06", "without service data"),
        ("bluetooth", b"\x1e\x16\xfa\xff", "cut off"),
        ("wifi_beacon", b"\x00\x03abc", "without the vendor element"),
        ("wifi_beacon", write_element(PACK, 0)[:-1], "cut off"),
        ("wifi_nan", b"\x04\x09abcdef", "no NAN"),
        ("wifi_nan", write_nan(PACK, 0, MAC)[24:-20], "cut off"),
    ],
)
def test_a_damaged_frame_says_what_is_wrong(carrier: str, data: bytes, word: str) -> None:
    with pytest.raises(DamagedMessage, match=word):
        READERS[carrier](data)


def frames_of_pcap(path: Path) -> Iterator[bytes]:
    """The frames of a little-endian pcap file of link type 127 without their radiotap head."""
    data = path.read_bytes()
    magic, link_type = struct.unpack_from("<I16xI", data)
    assert (magic, link_type) == (0xA1B2C3D4, 127)
    at = 24
    while at < len(data):
        (length,) = struct.unpack_from("<8xI4x", data, at)
        frame = data[at + 16 : at + 16 + length]
        yield frame[int.from_bytes(frame[2:4], "little") :]
        at += 16 + length


def test_a_real_capture_is_read() -> None:
    path = CAPTURES / "odid_wifi_bcn_sample.pcap"
    if not path.is_file():
        pytest.skip(f"the capture {path.name} is not here: set RTCC_CAPTURES to the folder that holds it")
    frames = list(frames_of_pcap(path))
    assert len(frames) == 21
    seen = [[decode(part) for part in split_pack(read_beacon(frame))] for frame in frames]
    assert all([type(message) for message in messages] == [BasicId, Location, SelfId, System, OperatorId] for messages in seen)
    basic, location, self_id, system, operator = seen[0]
    assert (basic, self_id, operator) == (BasicId(0, 0, "MFG1A0123456789"), SelfId(0, "Recreational"), OperatorId(0, "GBR-OP-123ABCD"))
    assert isinstance(location, Location) and isinstance(system, System)
    # near each other: the drone and its operator
    assert (location.latitude_deg, location.longitude_deg) == pytest.approx((system.latitude_deg, system.longitude_deg), abs=0.01)
