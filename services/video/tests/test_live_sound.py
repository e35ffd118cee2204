"""A camera's sound inside the relay: off at first, one numbering for all who hear it, nothing after it is forbidden."""

from hypothesis import given
from hypothesis import strategies as st

from rtcc_video.engine.opus import CLOCK_HZ, MalformedSound, is_stereo, samples_of
from rtcc_video.engine.rtp import parse_rtp, parse_sender_clock
from rtcc_video.engine.sound import LiveSound

from .ears import Ears

# 20 ms of music with one frame, mono (RFC 6716, table 2: configuration 31)
PACKET = bytes((31 << 3,)) + b"sound"


class _Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _allowed() -> tuple[LiveSound, _Clock]:
    clock = _Clock()
    sound = LiveSound(clock)
    sound.allow(True)
    return sound, clock


def test_sound_is_off_until_somebody_allows_it() -> None:
    sound, ear = LiveSound(_Clock()), Ears()
    assert not sound.allowed and sound.open() is None and not sound.attach(ear) and not sound.wanted
    sound.take(1, PACKET, 0)
    assert sound.packets_total == 0 and not ear.heard


def test_forbidding_ends_it_for_who_hears_and_for_what_was_opened() -> None:
    sound, _ = _allowed()
    ear = Ears()
    intake = sound.open()
    assert intake is not None and sound.attach(ear) and intake.wanted
    intake.give(PACKET, 0)
    sound.allow(False)
    assert ear.ended == 1 and not intake.wanted
    intake.give(PACKET, 960)
    sound.allow(True)
    assert sound.attach(ear)
    intake.give(PACKET, 1920)
    assert [packet.timestamp for packet in ear.heard] == [ear.heard[0].timestamp]
    again = sound.open()
    assert again is not None
    again.give(PACKET, 0)
    assert len(ear.heard) == 2


def test_who_hears_gets_rising_numbers_over_restarts_and_jumps() -> None:
    sound, clock = _allowed()
    ear = Ears()
    sound.attach(ear)
    first, second = sound.open(), sound.open()
    assert first is not None and second is not None
    first.give(PACKET, 5000)
    clock.now_s += 0.02
    first.give(PACKET, 5960)
    clock.now_s += 1.0
    second.give(PACKET, 77)
    first.give(PACKET, 6920)  # its time is over
    clock.now_s += 0.02
    second.give(PACKET, 77 + 960)
    clock.now_s += 0.02
    second.give(PACKET, 77 + 3 * 960)  # one was lost on the way
    clock.now_s += 0.5
    second.give(PACKET, 3)  # its clock jumped
    assert ear.steps == [960, 960 + CLOCK_HZ, 960, 1920, 960 + CLOCK_HZ // 2]
    assert [packet.began for packet in ear.heard] == [True, False, True, False, True, True]
    assert [packet.sequence - ear.heard[0].sequence for packet in ear.heard] == list(range(6))


def test_the_report_tells_the_time_of_the_newest_sound() -> None:
    sound, clock = _allowed()
    assert sound.sender_report(1_700_000_000.0, "name") is None
    ear, intake = Ears(), sound.open()
    assert intake is not None
    sound.attach(ear)
    intake.give(PACKET, 0)
    clock.now_s += 2.0
    report = sound.sender_report(1_700_000_000.0, "name")
    assert report is not None
    found = parse_sender_clock(report)
    assert found == (1_700_000_000_000_000, (ear.heard[0].timestamp + 960 + 2 * CLOCK_HZ) & 0xFFFFFFFF)


def test_a_packet_says_how_long_it_is() -> None:
    # configuration and count of frames (RFC 6716, 3.1 and 3.2)
    assert samples_of(bytes((0 << 3,))) == 480
    assert samples_of(bytes((3 << 3 | 0,))) == 2880
    assert samples_of(bytes((13 << 3 | 1,)) + b"ab") == 1920
    assert samples_of(bytes((16 << 3 | 2,)) + b"\x01ab") == 240
    assert samples_of(bytes((31 << 3 | 3, 6)) + b"x") == 5760
    assert is_stereo(bytes((31 << 3 | 4,))) and not is_stereo(PACKET) and not is_stereo(b"")


@given(st.binary(max_size=64), st.integers(0, 2**40))
def test_whatever_comes_is_passed_on_or_counted(payload: bytes, timestamp: int) -> None:
    sound, _ = _allowed()
    ear, intake = Ears(), sound.open()
    assert intake is not None
    sound.attach(ear)
    intake.give(payload, timestamp)
    assert len(ear.heard) + sound.malformed_total == 1
    if ear.heard:
        packet = ear.heard[0]
        assert 0 < packet.samples <= CLOCK_HZ * 120 // 1000
        parsed = parse_rtp(packet.header(111, sound.ssrc) + payload)
        assert (parsed.payload_type, parsed.payload, parsed.ssrc) == (111, payload, sound.ssrc)
    else:
        try:
            samples_of(payload)
        except MalformedSound as error:
            assert str(error)
        else:
            raise AssertionError("a good packet was counted as malformed")
