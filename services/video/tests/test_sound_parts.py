"""The parts that sound passes through, against noise: descriptions, packets, the converter's words, its tables and its coder."""

import itertools
import struct
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_demo.rtsp_sound import TONE_HZ
from rtcc_video.engine.opus import MalformedSound, samples_of
from rtcc_video.engine.rtp import RtpPacket
from rtcc_video.engine.sdp import UnusableOffer, parse_session
from rtcc_video.engine.sound import LiveSound
from rtcc_video.engine.sound_track import SoundKind, SoundTrack, UnitHeaders, find_sound_track
from rtcc_video.sources.opus_coder import FrameCoder, OpusCoder
from rtcc_video.sources.sound_child import a_law, make_coder, mu_law
from rtcc_video.sources.sound_conversion import SoundConverters
from rtcc_video.sources.sound_inlet import UNIT_LIMIT_BYTES, SoundInlet, SoundReport
from rtcc_video.sources.sound_messages import USAGE, USED, MessageReader, pack
from rtcc_video.sources.sound_receiver import SoundReceiver, read_unit_sizes

from .ears import Ears, listening, tone_of

HBR = UnitHeaders(13, 3, 3)
SDP = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
AAC = "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 mpeg4-generic/16000/1\r\na=fmtp:98 streamtype=5;mode=AAC-hbr;config=1408\r\na=control:two\r\n"


def track_of(text: str) -> SoundTrack | None:
    return find_sound_track(parse_session(SDP + text))[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("m=audio 0 RTP/AVP 0\r\n", SoundKind("PCMU", 8_000)),
        ("m=audio 0 RTP/AVP 8\r\na=rtpmap:8 pcma/8000/1\r\n", SoundKind("PCMA", 8_000)),
        ("m=audio 0 RTP/AVP 97\r\na=rtpmap:97 PCMU/16000/2\r\n", SoundKind("PCMU", 16_000, 2)),
        ("m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\n", SoundKind("OPUS", 48_000, 2)),
        ("m=audio 0 RTP/AVP 97 0\r\na=rtpmap:97 G726-32/8000\r\n", SoundKind("PCMU", 8_000)),
        ("m=audio 0 RTP/AVP 97\r\na=sendonly\r\na=rtpmap:97 opus/48000/2\r\nm=audio 0 RTP/AVP 8\r\n", SoundKind("PCMA", 8_000)),
        (AAC, SoundKind("AAC", 16_000, 1, b"\x14\x08")),
        # the configuration of AAC-LC, made from rate and channels: the same as the camera's above
        (AAC.replace(";config=1408", ""), SoundKind("AAC", 16_000, 1, b"\x14\x08")),
    ],
)
def test_the_first_usable_track_of_a_description_is_taken(text: str, kind: SoundKind) -> None:
    track = track_of(text)
    assert track is not None and track.kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000\r\n",
        "m=audio 0 RTP/SAVP 0\r\n",
        "m=audio 0 RTP/AVP 0\r\na=inactive\r\n",
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/44100/2\r\n",
        AAC.replace("AAC-hbr", "CELP-cbr"),
        AAC.replace("config=1408", "config=14xx"),
        AAC.replace("config=1408", "config=1408;auxiliaryDataSizeLength=4"),
        AAC.replace("config=1408", "config=1408;sizelength=0"),
        AAC.replace("16000", "16001"),
    ],
)
def test_what_cant_be_used_is_no_track(text: str) -> None:
    assert track_of(text) is None


@given(st.data())
def test_any_description_has_a_sound_track_or_none(data: st.DataObject) -> None:
    lines = (SDP + AAC + "m=audio 0 RTP/AVP 0 8 97\r\na=rtpmap:97 opus/48000/2\r\n").split("\r\n")
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(1, len(lines) - 1))
        lines[at] = data.draw(st.sampled_from(lines) | st.text(max_size=30) | st.just("a=fmtp:98 sizelength=99"))
    try:
        track, others = find_sound_track(parse_session("\r\n".join(lines)))
    except UnusableOffer:
        return
    assert track is None or (0 <= track.payload_type <= 127 and track.kind.clock_hz > 0 and 1 <= track.kind.channels <= 8)
    assert all(len(name) <= 20 and name.isascii() for name in others)


def aac_payload(units: list[bytes], headers: UnitHeaders = HBR) -> bytes:
    """As RFC 3640, 3.2.1 has it, written the slow way: bit by bit."""
    bits = ""
    for number, unit in enumerate(units):
        index_bits = headers.delta_bits if number else headers.index_bits
        bits += f"{len(unit):0{headers.size_bits}b}" + "0" * index_bits
    packed = bytes(int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8))
    return struct.pack("!H", len(bits)) + packed + b"".join(units)


@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=20),
    st.sampled_from([HBR, UnitHeaders(6, 2, 2), UnitHeaders(13, 0, 0)]),
)
def test_access_units_come_out_as_they_went_in(units: list[bytes], headers: UnitHeaders) -> None:
    sizes, data = read_unit_sizes(aac_payload(units, headers), headers)
    assert (sizes, data) == ([len(unit) for unit in units], b"".join(units))


@given(st.binary(max_size=200), st.integers(1, 16), st.integers(0, 16), st.integers(0, 16))
def test_any_payload_is_cut_or_refused(payload: bytes, size_bits: int, index_bits: int, delta_bits: int) -> None:
    try:
        sizes, data = read_unit_sizes(payload, UnitHeaders(size_bits, index_bits, delta_bits))
    except MalformedSound:
        return
    assert sizes and all(0 < size <= UNIT_LIMIT_BYTES for size in sizes)
    assert payload.endswith(data)


class Units:
    """An inlet that keeps what comes."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, int]] = []

    def take(self, unit: bytes, timestamp: int) -> None:
        self.taken.append((unit, timestamp))

    def close(self) -> None:
        pass


def receiver(inlet: Any) -> SoundReceiver:
    return SoundReceiver(SoundTrack("", 98, SoundKind("AAC", 16_000, 1, b"\x14\x08"), HBR), inlet)


def packet(number: int, timestamp: int, payload: bytes, marker: bool = True, ssrc: int = 7) -> RtpPacket:
    return RtpPacket(98, marker, number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload)


def test_out_of_order_split_and_wrapped_around_they_come_in_order() -> None:
    units = Units()
    taking = receiver(units)
    long = bytes(range(256)) * 8
    header = struct.pack("!HH", 16, len(long) << 3)
    start = 0xFFFFFFFF - 1500
    sent = [
        packet(0xFFFE, start, aac_payload([b"one", b"two"])),
        packet(0xFFFF, start + 2048, header + long[:1000], marker=False),
        packet(0, start + 2048, header + long[1000:]),
        packet(2, start + 4096, aac_payload([b"four"])),
        packet(1, start + 3072, aac_payload([b"three"])),
    ]
    for number, one in enumerate(sent):
        taking.push(one, number / 50)
    assert units.taken == [(b"one", start), (b"two", start + 1024), (long, start + 2048), (b"three", start + 3072), (b"four", start + 4096)]
    # a part is lost: the rest of that unit is too, and the next one is whole
    taking.push(packet(3, start + 5120, header + long[:1000], marker=False), 1.0)
    for number in range(5, 30):
        taking.push(packet(number, start + 5120 + 1024 * (number - 5), aac_payload([b"%d" % number])), 1.0 + number)
    assert [unit for unit, _ in units.taken[5:]] == [b"%d" % number for number in range(5, 30)]


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=40), st.booleans(), st.integers(0, 1)), max_size=60
    )
)
def test_whatever_packets_come_nothing_breaks_and_little_is_kept(sent: list[tuple[int, int, bytes, bool, int]]) -> None:
    units = Units()
    taking = receiver(units)
    for at, (number, timestamp, payload, marker, ssrc) in enumerate(sent):
        taking.push(packet(number, timestamp, payload, marker, ssrc), at / 50)
    assert sum(map(len, taking._parts)) <= UNIT_LIMIT_BYTES
    assert len(units.taken) <= sum(len(payload) for _, _, payload, _, _ in sent)


def test_the_tables_of_g711_are_libavs() -> None:
    for name, ours in (("pcm_mulaw", mu_law), ("pcm_alaw", a_law)):
        decoder: Any = av.CodecContext.create(name, "r")
        decoder.sample_rate, decoder.layout = 8_000, "mono"
        (frame,) = decoder.decode(av.Packet(bytes(range(256))))
        assert frame.to_ndarray().reshape(-1).tolist() == [ours(value) for value in range(256)]


def given_to(kind: SoundKind, units: list[tuple[bytes, int]]) -> list[tuple[int, bytes]]:
    coder = make_coder({"codec": kind.codec, "clock_hz": kind.clock_hz, "channels": kind.channels, "config": kind.config.hex()})
    return [made for unit, timestamp in units for made in coder.take(unit, timestamp)]


def test_a_hole_becomes_silence_a_jump_a_new_beginning_and_jitter_nothing() -> None:
    silence = bytes([0xFF]) * 160
    stamps = [0, 160, 330, 470, 640, 640 + 3 * 160, 100_000, 100_160]
    made = given_to(SoundKind("PCMU", 8_000), [(silence, stamp) for stamp in stamps])
    assert [at for at, _ in made] == [0, 960, 1920, 2880, 3840, 4800, 5760, 6720, 600_000, 600_960]
    assert all(samples_of(packet) == 960 for _, packet in made)


@pytest.mark.parametrize(("rate_hz", "layout"), [(44_100, "stereo"), (48_000, "stereo"), (22_050, "mono"), (32_000, "5.1")])
async def test_any_rate_and_number_of_channels_keeps_its_tone_and_its_time(rate_hz: int, layout: str) -> None:
    coder, channels = FrameCoder(), {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    wave = np.sin(np.arange(rate_hz * 2) * 2 * np.pi * TONE_HZ / rate_hz).astype(np.float32) / 3
    made: list[tuple[int, bytes]] = []
    for at in range(0, len(wave) - 1024, 1024):
        frame = av.AudioFrame.from_ndarray(np.tile(wave[at : at + 1024], (channels, 1)), format="fltp", layout=layout)
        frame.sample_rate = rate_hz
        made += coder.take(frame, at * 48_000 // rate_hz)
    steps = {after - before for (before, _), (after, _) in itertools.pairwise(made)}
    assert all(abs(step - 960) < 100 for step in steps)
    ears = Ears()
    sound = LiveSound(lambda: 1.0)
    sound.allow(True)
    sound.attach(ears)
    intake = sound.open()
    assert intake is not None
    for at, data in made:
        intake.give(data, at)
    found_hz, share = await tone_of(ears.heard)
    assert abs(found_hz - TONE_HZ) < 5
    assert share > 0.9


def test_a_coder_takes_only_what_it_can() -> None:
    for rate_hz, channels in ((44_100, 1), (48_000, 3)):
        with pytest.raises(ValueError, match="no Opus"):
            OpusCoder(rate_hz, channels, "s16")


async def test_a_source_gone_wild_is_held_to_the_speed_of_life() -> None:
    sound = LiveSound(lambda: 1.0)
    sound.allow(True)
    ears, intake = listening(sound), sound.open()
    assert intake is not None
    now_s = 0.0
    inlet = SoundInlet(SoundKind("OPUS", 48_000), intake, SoundConverters(0), SoundReport(), lambda: now_s)
    for number in range(5_000):
        inlet.take(bytes((31 << 3,)) + b"x", number * 120)
    # ten seconds at once
    assert len(ears.heard) == 4_000
    assert inlet.left_out == 1_000
    now_s = 1.0
    inlet.take(bytes((31 << 3,)) + b"x", 5_000 * 120)
    assert len(ears.heard) == 4_001


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 3), st.binary(max_size=40) | st.just(struct.pack("!q", 5) + b"\xf8x")), max_size=12
    )
)
async def test_whatever_the_converter_says_is_taken_or_ends_it(said: list[tuple[int, int, bytes]]) -> None:
    sound = LiveSound(lambda: 1.0)
    sound.allow(True)
    ears, intake, report = listening(sound), sound.open(), SoundReport()
    assert intake is not None
    converters = SoundConverters(4)
    conversion = converters.open(SoundKind("AAC", 16_000, 1, b"\x14\x08"), intake, report)
    assert conversion is not None
    child = conversion.child
    assert child._starting is not None
    child._starting.cancel()
    child.pipe_data_received(1, b"".join(pack(kind, number, body) for kind, number, body in said))
    for used_s in (0.0, float("inf"), float("nan")):
        child.pipe_data_received(1, pack(USED, 0, USAGE.pack(used_s)))
        assert 0.0 <= child.cores <= 64.0
    assert len(ears.heard) <= len(said)
    assert conversion.ended == bool(report.reason)
    child._over()
    assert conversion.ended and not converters._conversions and not converters._children
    assert len(report.reason) <= 300
    await converters.stop()


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=50)), max_size=10),
    st.lists(st.integers(1, 40), min_size=1),
)
def test_messages_come_whole_however_the_bytes_are_cut(messages: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    data, reader, found = b"".join(itertools.starmap(pack, messages)), MessageReader(), []
    sizes = itertools.cycle(cuts)
    while data:
        size = next(sizes)
        found += reader.feed(data[:size])
        data = data[size:]
    assert found == messages
