"""Whose a camera is, and what stands on the way between relays."""

import secrets
import time

import hypothesis.strategies as st
import pytest
from hypothesis import given

from rtcc.video.v1.relay_pb2 import RelayLease
from rtcc_chassis.members import Members
from rtcc_chassis.relays import Relay, read_lease
from rtcc_chassis.settings import InvalidSetting
from rtcc_video.cascade import wire
from rtcc_video.cascade.fence import Fence
from rtcc_video.cascade.group import group_of
from rtcc_video.cascade.placement import Placement
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.stream import LiveStream, StreamLimits
from rtcc_video.settings import VideoSettings

CAMERAS = [f"camera-{number}" for number in range(300)]
nals = st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=6).map(tuple)
pictures = st.builds(wire.Picture, nals, st.integers(-(2**62), 2**62), st.booleans(), st.integers(0, 2**63))
sounds = st.builds(wire.Sound, st.binary(min_size=1, max_size=1500), st.integers(-(2**62), 2**62))


def packed(one: wire.Message) -> bytes:
    if isinstance(one, wire.Sound):
        return wire.pack_sound(one.payload, one.timestamp)
    assert isinstance(one, wire.Picture)
    return wire.pack_picture(one.nals, one.timestamp, one.key, one.sent_us)


def lease(relay_id: str, **more: object) -> bytes:
    return RelayLease(relay_id=relay_id, rpc_address="127.0.0.1:1", lease_ms=1200, **more).SerializeToString()  # type: ignore[arg-type] # fields


class Crew:
    """What one relay hears of two others."""

    def __init__(self) -> None:
        self.members: Members[Relay] = Members("video", read_lease)
        self.own, self.second, self.third = (secrets.token_hex(8) for _ in range(3))
        self.placement = Placement(self.own, self.members)
        self.moves = 0
        self.placement.on_change(self._moved)
        for relay_id in (self.own, self.second, self.third):
            self.members.take(lease(relay_id))

    def _moved(self) -> None:
        self.moves += 1

    def origins(self) -> dict[str, str]:
        return {camera_id: self.placement.origin(camera_id) for camera_id in CAMERAS}


def test_a_lost_relays_cameras_go_to_the_others_and_no_other_camera_moves() -> None:
    crew = Crew()
    before = crew.origins()
    assert set(before.values()) == {crew.own, crew.second, crew.third}
    crew.members.take(lease(crew.third, gone=True))
    after = crew.origins()
    assert {camera_id for camera_id in CAMERAS if before[camera_id] != after[camera_id]} == {c for c in CAMERAS if before[c] == crew.third}


OTHERS, BOTH, NOBODY = frozenset({"other"}), frozenset({"me", "other"}), frozenset[str]()


@pytest.mark.parametrize(
    ("unheard_s", "answers", "lets_go"),
    [
        (1.0, [OTHERS], False),  # its lease still runs
        (1.3, [OTHERS], True),  # another relay has lost it
        (1.3, [None, OTHERS], True),
        (1.3, [OTHERS, BOTH], False),  # somebody hears it: the others will
        (60.0, [NOBODY], False),  # NATS is away for all: nobody takes over
        (60.0, [NOBODY, None], False),
        (4.9, [None, None], False),  # nobody answers: it may be cut off from them too
        (5.1, [None, None], True),
        (60.0, [], False),  # it was alone
    ],
)
def test_a_relay_that_isnt_heard_lets_go_when_another_may_have_its_cameras(
    unheard_s: float, answers: list[frozenset[str] | None], lets_go: bool
) -> None:
    assert Fence("me", 1.2, 5.0).must_let_go(unheard_s, answers) is lets_go
    assert not Fence("me", 1.2, 0.0).must_let_go(10 * unheard_s, [None])


def test_a_cut_off_relay_keeps_only_the_cameras_that_send_to_it_and_gets_all_of_its_own_back() -> None:
    crew = Crew()
    before = crew.origins()
    crew.placement.publish("camera-7", True)
    crew.placement.let_go(True)
    cut_off = crew.origins()
    assert {camera_id for camera_id, origin in cut_off.items() if origin == crew.own} == {"camera-7"}
    assert all(cut_off[camera_id] == origin for camera_id, origin in before.items() if origin != crew.own and camera_id != "camera-7")
    crew.placement.publish("camera-7", False)
    crew.placement.let_go(False)
    assert crew.origins() == before
    # alone, there is nobody to give to
    for relay_id in (crew.second, crew.third):
        crew.members.take(lease(relay_id, gone=True))
    crew.placement.let_go(True)
    assert set(crew.origins().values()) == {crew.own}


def test_heartbeats_that_say_nothing_new_move_nothing() -> None:
    crew = Crew()
    moves = crew.moves
    for viewers in range(20):
        crew.members.take(lease(crew.second, viewers=viewers, load=viewers / 100))
    assert crew.moves == moves


def test_a_draining_relay_is_nobodys_origin_unless_it_is_the_last() -> None:
    crew = Crew()
    crew.members.take(lease(crew.second, draining=True))
    assert set(crew.origins().values()) == {crew.own, crew.third}
    crew.placement.drain()
    assert set(crew.origins().values()) == {crew.third}
    crew.members.take(lease(crew.third, gone=True))
    assert set(crew.origins().values()) == {crew.own}


def test_a_camera_is_where_its_device_sends_and_the_newest_claim_wins() -> None:
    crew = Crew()
    claimed: list[frozenset[str]] = []
    crew.placement.on_claim(claimed.append)
    elsewhere = next(camera_id for camera_id, origin in crew.origins().items() if origin == crew.third)
    crew.placement.publish(elsewhere, True)
    assert crew.placement.here(elsewhere)
    crew.members.take(lease(crew.second, publishing_camera_ids=[elsewhere]))
    assert claimed == [frozenset({elsewhere})]
    crew.placement.publish(elsewhere, False)
    assert crew.placement.origin(elsewhere) == crew.second
    crew.members.take(lease(crew.second))
    assert crew.placement.origin(elsewhere) == crew.third


def test_a_relay_by_itself_takes_every_camera_whoever_else_lives() -> None:
    members: Members[Relay] = Members("video", read_lease)
    placement = Placement(secrets.token_hex(8), members, alone=True)
    members.take(lease(secrets.token_hex(8)))
    assert all(placement.here(camera_id) for camera_id in CAMERAS)
    assert placement.relays == 1


@given(st.binary(max_size=300))
def test_any_bytes_are_a_lease_or_refused_as_none(data: bytes) -> None:
    try:
        beat = read_lease(data)
    except ValueError:
        return
    assert len(beat.member_id) == 16
    assert 0.0 <= beat.body.load <= 1.0


@given(st.lists(pictures | sounds, min_size=1, max_size=5), st.integers(1, 200))
def test_pictures_and_sound_come_out_as_they_went_in_however_the_network_cuts_them(sent: list[wire.Message], step: int) -> None:
    data = b"".join(packed(one) + wire.QUIET for one in sent) + wire.pack_end("over")
    reader = wire.Reader(4000)
    found = [message for start in range(0, len(data), step) for message in reader.feed(data[start : start + step])]
    assert [one for one in found if isinstance(one, wire.Picture | wire.Sound)] == sent
    assert found[-1] == wire.End("over")
    assert len(found) == 2 * len(sent) + 1


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_noise_between_relays_is_refused_or_waits_and_never_grows(parts: list[bytes]) -> None:
    reader, upward = wire.Reader(1000), wire.UpwardReader()
    for part in parts:
        try:
            reader.feed(part)
            assert len(reader._buffer) <= 1000 + 64 * 1024 + 5
        except wire.MalformedCascade:
            break
    for part in parts:
        try:
            upward.feed(part)
            assert len(upward._rest) < 5
        except wire.MalformedCascade:
            break


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\xff\xff\xff\xff",
        b"\x09\x00\x00\x00\x00",
        b"\x01\x00\x00\x00\x03abc",
        wire.pack_picture([b"a"], 0, True, 0)[:-1].replace(b"\x00\x00\x00\x16", b"\x00\x00\x00\x15", 1),
        b"\x01\x00\x00\x00\x11" + b"\x00" * 17,
        wire.pack_sound(b"", 0),
        wire.pack_sound(bytes(1501), 0),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(wire.MalformedCascade):
        wire.Reader(1000).feed(data)


def test_a_joining_relay_gets_the_group_so_far_in_no_time(units: list[AccessUnit]) -> None:
    stream = LiveStream(StreamLimits(), time.monotonic)
    for number, unit in enumerate(units[:50]):
        stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
    group = group_of(stream)
    assert [unit.nals for unit in group] == [unit.nals for unit in units[30:50]]
    assert [unit.key for unit in group] == [True] + [False] * 19
    assert group[-1].timestamp == stream.last_timestamp
    assert group[-1].timestamp - group[0].timestamp == 19 * 90
    assert group_of(LiveStream(StreamLimits(), time.monotonic)) == []


@pytest.mark.parametrize("told", ["$(POD_ADDRESS)", "10.0.0.7:7000", "-relay", "two hosts"])
def test_a_relay_address_that_nobody_can_reach_is_refused_at_the_start(told: str) -> None:
    with pytest.raises(InvalidSetting, match="RTCC_VIDEO_RELAY_ADDRESS"):
        VideoSettings(cascade_listen="0.0.0.0:7010", relay_address=told).cascade_place()


@pytest.mark.parametrize("told", ["", "10.0.0.7", "fd00::7", "region-video-0.region.svc"])
def test_addresses_and_names_of_hosts_are_taken(told: str) -> None:
    assert VideoSettings(cascade_listen="0.0.0.0:7010", relay_address=told).cascade_place() == ("0.0.0.0", 7010)
