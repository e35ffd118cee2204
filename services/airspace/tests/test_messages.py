"""The Open Drone ID codec: frames written by others, and what hypothesis makes up."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_airspace.domain import messages as odid
from rtcc_airspace.domain.messages import (
    Authentication,
    BasicId,
    DamagedMessage,
    Location,
    Message,
    OperatorId,
    SelfId,
    System,
    decode,
    encode,
    pack_of,
    split_pack,
)

# written by other implementations, or put together by hand from the tables of ASTM F3411-22a
GOLDEN: list[tuple[str, Message]] = [
    (
        # the published worked example of tuupola/librid
        "12202d3e0420bd5c25401c190d0000c10834084a0339300100",
        Location(
            status=2, latitude_deg=62.683472, longitude_deg=21.974944, direction_deg=45, speed_mps=15.5, vertical_mps=2.0,
            altitude_m=120.5, height_m=50.0, horizontal_accuracy=10, vertical_accuracy=4, speed_accuracy=3, tenths=12345, time_accuracy=1,
        ),
    ),
    # opendroneid-core-c, unit_odid_wifi_beacon.cpp: a hybrid lift aircraft by serial number
    ("0214" + b"USS-Enterprise".ljust(20, b"\0").hex() + "000000", BasicId(1, 4, "USS-Enterprise")),
    # table 5: a session id is no text
    ("0242" + "01" + "ff" * 8 + "00" * 11 + "000000", BasicId(4, 2, "01" + "ff" * 8 + "00" * 11)),
    # table 7, fast speed and a westward direction: 63.75 + 4 * 0.75 m/s, 180 + 90 degrees, -2 m/s, above ground, nothing else known
    ("1227" + "5a04fc" + "00000000" + "00000000" + "0000" * 3 + "0000" + "ffff" + "0000", Location(
        status=2, latitude_deg=None, longitude_deg=None, direction_deg=270, speed_mps=66.75, vertical_mps=-2.0, height_above_ground=True,
    )),
    # all unknown: 361 degrees, 255 m/s, 63 m/s
    ("1203" + "b5ff7e" + "00000000" + "00000000" + "0000" * 3 + "0000" + "ffff" + "0000", Location(0, None, None)),
    # table 9: self-ID text
    ("3200" + b"Roof inspection".ljust(23, b"\0").hex(), SelfId(0, "Roof inspection")),
    # table 10: live GNSS of the pilot, EU open category class 2, told 100 s after 2019-01-01
    (
        "4205" + "00a3e111" + "80f0fa02" + "0100" + "00" + "0000" + "0000" + "13" + "2a08" + "64000000" + "00",
        System(1, 30.0, 5.0, 1, category=1, category_class=3, altitude_m=45.0, told_at=datetime(2019, 1, 1, 0, 1, 40, tzinfo=UTC)),
    ),
    # table 11: operator id
    ("5200" + b"FIN87astrdge12k8".ljust(20, b"\0").hex() + "000000", OperatorId(0, "FIN87astrdge12k8")),
    # table 8: the first of two pages of a signature over the message set, then the second
    (
        "2230" + "01" + "1f" + "3c000000" + bytes(range(17)).hex(),
        Authentication(3, 0, bytes(range(17)), 1, 31, datetime(2019, 1, 1, 0, 1, tzinfo=UTC)),
    ),
    ("2231" + bytes(range(23)).hex(), Authentication(3, 1, bytes(range(23)))),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "message"), GOLDEN, ids=[type(message).__name__ for _, message in GOLDEN])
def test_golden_frames_are_read_and_written(frame: str, message: Message) -> None:
    data = bytes.fromhex(frame)
    assert decode(data) == message
    assert encode(message).hex() == frame


def test_the_first_protocol_version_is_read_too() -> None:
    assert decode(b"\x00" + bytes.fromhex(GOLDEN[1][0])[1:]) == GOLDEN[1][1]


ascii_text = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)
altitudes = st.none() | st.integers(1, 65_535).map(lambda code: code / 2 - 1000)
nibble = st.integers(0, 15)
e7 = st.integers(-900_000_000, 900_000_000).filter(bool).map(lambda value: value / 1e7)
moments = st.none() | st.integers(1, 2**32 - 1).map(
    lambda seconds: odid.EPOCH + (datetime(2019, 1, 2, tzinfo=UTC) - odid.EPOCH) / 86_400 * seconds
)
speeds = st.none() | st.integers(0, 255).map(lambda code: code * 0.25) | st.integers(1, 254).map(lambda code: 63.75 + code * 0.75)
locations = st.builds(
    Location,
    status=nibble,
    latitude_deg=e7,
    longitude_deg=e7,
    direction_deg=st.none() | st.integers(0, 359),
    speed_mps=speeds,
    vertical_mps=st.none() | st.integers(-124, 124).map(lambda code: code / 2),
    pressure_altitude_m=altitudes,
    altitude_m=altitudes,
    height_m=altitudes,
    height_above_ground=st.booleans(),
    horizontal_accuracy=nibble,
    vertical_accuracy=nibble,
    pressure_accuracy=nibble,
    speed_accuracy=nibble,
    tenths=st.none() | st.integers(0, 65_534),
    time_accuracy=nibble,
)
every_message: st.SearchStrategy[Message] = st.one_of(
    st.builds(BasicId, st.sampled_from([0, 1, 2]), nibble, ascii_text),
    st.builds(BasicId, st.sampled_from([3, 4]), nibble, st.binary(min_size=20, max_size=20).filter(any).map(bytes.hex)),
    locations,
    st.builds(
        Authentication, nibble, st.just(0), st.binary(min_size=17, max_size=17), nibble, st.integers(0, 255),
        moments.map(lambda moment: moment or odid.EPOCH),
    ),
    st.builds(Authentication, nibble, st.integers(1, 15), st.binary(min_size=23, max_size=23)),
    st.builds(SelfId, st.integers(0, 255), ascii_text),
    st.builds(
        System, st.integers(0, 3), e7, e7, st.integers(0, 7), st.integers(0, 65_535), st.integers(0, 255).map(lambda code: code * 10),
        altitudes, altitudes, nibble, nibble, altitudes, moments,
    ),
    st.builds(OperatorId, st.integers(0, 255), ascii_text),
)  # fmt: skip


@given(every_message)
def test_what_is_written_is_read_again(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.lists(every_message, min_size=1, max_size=9))
def test_a_pack_holds_up_to_nine(messages: list[Message]) -> None:
    assert [decode(part) for part in split_pack(pack_of(messages))] == messages


@given(st.binary(max_size=300))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    try:
        parts = split_pack(data)
    except DamagedMessage:
        return
    for part in parts:
        try:
            message = decode(part)
        except DamagedMessage:
            continue
        # what was read can be written, and means the same
        assert decode(encode(message)) == message


@given(locations, st.sampled_from(["latitude_deg", "longitude_deg"]))
def test_one_unknown_coordinate_makes_the_place_unknown(location: Location, field: str) -> None:
    told = decode(encode(replace(location, **{field: None})))
    assert isinstance(told, Location)
    assert (told.latitude_deg, told.longitude_deg) == (None, None)


@pytest.mark.parametrize(
    ("pack", "word"),
    [
        (b"", "no bytes"),
        (b"\xf2\x19", "ends in its head"),
        (b"\xf2\x18\x01" + bytes(25), "of 24 bytes"),
        (b"\xf2\x19\x00", "of 0 messages"),
        (b"\xf2\x19\x0a" + bytes(250), "of 10 messages"),
        (b"\xf2\x19\x02" + bytes(49), "cut off"),
        (b"\x12" + bytes(23), "of 24 bytes"),
    ],
)
def test_a_damaged_pack_says_what_is_wrong(pack: bytes, word: str) -> None:
    with pytest.raises(DamagedMessage, match=word):
        split_pack(pack)


def test_values_beyond_the_format_are_cut_to_its_ends() -> None:
    told = decode(encode(Location(2, 1.0, 1.0, speed_mps=900, vertical_mps=-90, altitude_m=99_999, height_m=-5_000)))
    assert isinstance(told, Location)
    assert (told.speed_mps, told.vertical_mps, told.altitude_m) == (254.25, -62.0, 31_767.5)


def test_what_cant_be_printed_is_left_out_of_texts() -> None:
    frame = b"\x32\x00" + b"a\x1b[2Jb\xffc".ljust(23, b"\0")
    assert decode(frame) == SelfId(0, "a[2Jbc")
