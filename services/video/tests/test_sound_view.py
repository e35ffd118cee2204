"""What a viewer hears: nothing until it is switched on, then the camera's tone; and what an offer must have for it."""

import asyncio
import itertools
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy
import pytest
import pytest_asyncio
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from rtcc_chassis.testing import poll
from rtcc_demo.rtsp_sound import TONE_HZ, make_sound
from rtcc_video.engine.answer import AnsweredSound, build_answer
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.engine.rtp import parse_rtp, parse_sender_clock
from rtcc_video.engine.sdp import AnswerParameters, parse_offer, parse_session
from rtcc_video.engine.sound import LiveSound, SoundIntake
from rtcc_video.engine.sound_outlet import SoundOutlet
from rtcc_video.engine.srtp import AEAD_AES_128_GCM, AES128_CM_SHA1_80, SrtpProfile, make_rtp_protector
from rtcc_video.engine.stream import LiveStream
from rtcc_video.engine.viewer import Viewer

from .conftest import Player
from .test_srtp_dtls import keys_of

LIMIT_S = 60
PACKET = bytes((31 << 3,)) + b"sound"

VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=recvonly", "a=mid:v", "a=rtpmap:96 H264/90000",
    "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f", "a=ice-ufrag:Wt6c", "a=ice-pwd:0mN6yDJrjHQ4sYbnQm3kQ1Aq",
    "a=fingerprint:sha-256 AA:BB", "a=setup:actpass",
)  # fmt: skip
OURS = AnswerParameters("ours", "o" * 24, "CC:DD", ("192.0.2.9",), 4000, True, 1001, "camera")


def offer_of(bundle: tuple[str, ...], *sections: tuple[str, ...]) -> str:
    head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", *([f"a=group:BUNDLE {' '.join(bundle)}"] if bundle else [])]
    return "\r\n".join([*head, *(line for section in sections for line in section), ""])


def audio(port: int = 9, direction: str = "recvonly", codec: str = "opus/48000/2", mid: str = "a", *more: str) -> tuple[str, ...]:
    return (f"m=audio {port} UDP/TLS/RTP/SAVPF 111 0", f"a={direction}", f"a=mid:{mid}", f"a=rtpmap:111 {codec}", *more)


def answered(offer_sdp: str, may_hear: bool = True) -> str:
    offer = parse_offer(offer_sdp)
    sound = AnsweredSound(offer.sound, 2002) if offer.sound is not None and may_hear else None
    return build_answer(offer, offer.formats[0], OURS, sound)


def test_the_sound_is_bundled_with_the_pictures_by_one_transport_and_one_name() -> None:
    for order in ((VIDEO, audio()), (audio(), VIDEO)):
        mids = tuple(line[6:] for section in order for line in section if line.startswith("a=mid:"))
        answer = answered(offer_of(mids, *order))
        description = parse_session(answer)
        assert description.session("group") == [f"BUNDLE {' '.join(mids)}"]
        sections = {media.kind: media for media in description.media}
        heard = sections["audio"]
        assert heard.port == 4000 and heard.formats == ("111",) and heard.first("sendonly") is not None
        assert heard.first("rtpmap") == "111 opus/48000/2"
        assert heard.first("ssrc") == "2002 cname:camera" and sections["video"].first("ssrc") == "1001 cname:camera"
        # one stream: what browsers keep in step
        assert [(media.first("msid") or "").split()[0] for media in description.media] == ["camera", "camera"]
        assert not heard.all("rtcp-fb")
        for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup"):
            assert heard.first(name) == sections["video"].first(name)
        # the first of the bundle carries the candidates for both (RFC 9143, 7.3.1)
        assert [bool(media.all("candidate")) for media in description.media] == [True, False]


@pytest.mark.parametrize(
    "section",
    [
        audio(direction="sendonly"),
        audio(direction="inactive"),
        audio(port=0),
        audio(codec="PCMU/8000"),
        audio(codec="opus/48000/1"),
        audio(mid="a b"),
        ("m=audio 9 RTP/AVP 111", "a=mid:a", "a=rtpmap:111 opus/48000/2"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 900", "a=mid:a", "a=rtpmap:900 opus/48000/2"),
    ],
)
def test_sound_that_can_not_be_sent_is_refused_and_the_pictures_are_not(section: tuple[str, ...]) -> None:
    description = parse_session(answered(offer_of(("v", "a"), VIDEO, section)))
    assert [media.port for media in description.media] == [4000, 0]
    assert description.session("group") == ["BUNDLE v"]


def test_unbundled_or_forbidden_sound_is_refused() -> None:
    for offer, may_hear in (
        (offer_of((), VIDEO, audio()), True),
        (offer_of(("v",), VIDEO, audio()), True),
        (offer_of(("v", "a"), VIDEO, audio()), False),
    ):
        assert [media.port for media in parse_session(answered(offer, may_hear)).media] == [4000, 0]
    # what waits to be bundled has port 0 and is no refusal
    waiting = offer_of(("v", "a"), VIDEO, audio(0, "recvonly", "opus/48000/2", "a", "a=bundle-only"))
    assert [media.port for media in parse_session(answered(waiting)).media] == [4000, 4000]


LINES = st.sampled_from(
    [
        "a=mid:a", "a=mid:v", "a=mid:", "a=sendonly", "a=recvonly", "a=inactive", "a=bundle-only", "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:x opus/48000/2", "a=rtpmap:0 PCMU/8000", "m=audio 0 UDP/TLS/RTP/SAVPF 111", "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    ]
)  # fmt: skip


@given(
    st.lists(LINES | st.text(alphabet="am=:/ 019\r", max_size=30).map("a=x".__add__), max_size=14),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_any_offer_is_answered_section_by_section(lines: list[str], first: bool, bundled: bool, may_hear: bool) -> None:
    sections = (audio()[:1], tuple(lines), VIDEO) if first else (VIDEO, audio()[:1], tuple(lines))
    offer_sdp = offer_of(("v", "a") if bundled else (), *sections)
    description, asked = parse_session(answered(offer_sdp, may_hear)), parse_session(offer_sdp)
    assert [media.kind for media in description.media] == [media.kind for media in asked.media]
    taken = [media for media in description.media if media.port]
    assert [media.kind for media in taken].count("video") == 1 and len(taken) <= 2
    if len(taken) == 2:
        assert may_hear and bundled
        (heard,) = (media for media in taken if media.kind == "audio")
        assert description.session("group") == [f"BUNDLE {' '.join(media.first('mid') or '' for media in taken)}"] or not first
        assert heard.first("mid") == "a" and heard.first("rtpmap") == "111 opus/48000/2"
    assert sum(bool(media.all("candidate")) for media in description.media) == 1


class Way:
    """A path that keeps what is sent on it."""

    host, port = "192.0.2.1", 5000

    def __init__(self) -> None:
        self.congested, self.full = False, False
        self.packets: list[bytes] = []

    def send(self, datagram: bytes) -> None:
        self.packets.append(datagram)

    def send_run(self, buffers: Any, packets: int, segment_bytes: int) -> bool:
        if not self.full:
            self.packets.append(b"".join(buffers))
        return not self.full

    def close(self) -> None: ...


def opened(profile: SrtpProfile) -> tuple[SoundOutlet, Way, SoundIntake, Callable[[bytes], bytes]]:
    """An outlet with keys and a path, a source for it, and how its receiver opens packets."""
    sound = LiveSound(lambda: 100.0)
    sound.allow(True)
    intake = sound.open()
    assert intake is not None
    outlet, way = SoundOutlet(sound, 111), Way()
    outlet.open(make_rtp_protector(keys_of(profile, True)))
    outlet.move(way)
    client = keys_of(profile, False)
    policy = Policy(key=client.remote_key + client.remote_salt, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile.libsrtp_profile)
    return outlet, way, intake, Session(policy).unprotect


@pytest.mark.parametrize("profile", [AEAD_AES_128_GCM, AES128_CM_SHA1_80])
def test_a_receiver_opens_every_packet_over_roll_overs_and_long_silences(profile: SrtpProfile) -> None:
    outlet, way, intake, unprotect = opened(profile)
    assert outlet.switch(True)
    numbers: list[int] = []
    clock = itertools.count(0, 960)
    # twice round the 16 bits, with the sound off for more than half a round in between
    for number in range(150_000):
        if number == 30_000:
            outlet.switch(False)
        if number == 80_000:
            outlet.switch(True)
        intake.give(PACKET, next(clock))
        for packet in way.packets:
            numbers.append(parse_rtp(unprotect(packet)).sequence)
        way.packets.clear()
    assert len(numbers) == 100_000 and outlet.packets_sent == 100_000
    assert all(later == (earlier + 1) & 0xFFFF for earlier, later in itertools.pairwise(numbers))
    assert outlet.heard_s == pytest.approx(2000)


def test_a_full_path_costs_sound_and_nothing_else() -> None:
    outlet, way, intake, unprotect = opened(AEAD_AES_128_GCM)
    outlet.switch(True)
    intake.give(PACKET, 0)
    way.congested = True
    for number in range(1, 100):
        intake.give(PACKET, number * 960)
    way.congested = False
    intake.give(PACKET, 100 * 960)
    first, second = (parse_rtp(unprotect(packet)) for packet in way.packets)
    # no hole in the numbers, one in the time; a new beginning is marked (RFC 7587, 4.2)
    assert second.sequence == (first.sequence + 1) & 0xFFFF and second.marker
    assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 96_000
    assert (outlet.packets_sent, outlet.packets_dropped) == (2, 99)
    # a number that was used isn't used again, though the kernel didn't take it: GCM must not meet one twice
    way.full = True
    intake.give(PACKET, 101 * 960)
    way.full = False
    intake.give(PACKET, 102 * 960)
    assert parse_rtp(unprotect(way.packets[-1])).sequence == (second.sequence + 2) & 0xFFFF
    outlet.move(None)
    intake.give(PACKET, 103 * 960)
    assert len(way.packets) == 3


def test_pictures_and_sound_never_have_one_ssrc(player_stream: LiveStream) -> None:
    # one key for both: the same number under the same SSRC would give GCM's key away
    for _ in range(200):
        assert LiveSound(lambda: 0.0).ssrc % 2 == 0
    assert player_stream.ssrc % 2 == 1


def test_who_hears_keeps_the_camera_connected(player_stream: LiveStream) -> None:
    """Its pictures may be shown so small that they come from the camera's smaller stream."""
    player_stream.sound.allow(True)
    outlet = SoundOutlet(player_stream.sound, 111)
    assert not player_stream.watched
    outlet.switch(True)
    assert player_stream.watched
    outlet.switch(False)
    assert not player_stream.watched


@pytest.fixture
def player_stream() -> LiveStream:
    return Player([]).stream


class Microphone:
    """Gives a stream a tone in real time."""

    def __init__(self, stream: LiveStream) -> None:
        self._stream = stream
        self._tone = make_sound("OPUS")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._stream.sound.allow(True)
        intake = self._stream.sound.open()
        assert intake is not None
        self._task = asyncio.create_task(self._run(intake))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, intake: SoundIntake) -> None:
        started, tone = time.monotonic(), self._tone
        for number in itertools.count():
            intake.give(tone.payloads[number % len(tone.payloads)], number * tone.samples)
            await asyncio.sleep(max(0.0, started + (number + 1) * tone.samples / tone.clock_hz - time.monotonic()))


@pytest_asyncio.fixture
async def microphone(player: Any) -> AsyncIterator[Microphone]:
    heard = Microphone(player.stream)
    heard.start()
    yield heard
    await heard.stop()


@asynccontextmanager
async def hearing(endpoint: Endpoint, stream: LiveStream) -> AsyncIterator[tuple[RTCPeerConnection, Viewer]]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver("video", direction="recvonly")
        connection.addTransceiver("audio", direction="recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        viewer, answer = endpoint.open("viewer", stream, connection.localDescription.sdp, lambda *_: None, may_hear=True)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        yield connection, viewer
    finally:
        await connection.close()


def loudest_hz(frames: list[Any]) -> tuple[float, float]:
    """The tone that prevails, and how loud it is, 1 being the most."""
    samples = numpy.concatenate([frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0] for frame in frames]) / 32_768
    spectrum = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(len(samples))))
    return float(numpy.fft.rfftfreq(len(samples), 1 / frames[0].sample_rate)[spectrum.argmax()]), float(numpy.abs(samples).max())


async def test_a_viewer_hears_the_cameras_tone_while_it_is_switched_on(endpoint: Endpoint, player: Any, microphone: Microphone) -> None:
    async with hearing(endpoint, player.stream) as (connection, viewer), asyncio.timeout(LIMIT_S):
        pictures, sound = (receiver.track for receiver in connection.getReceivers())
        for _ in range(10):
            await pictures.recv()
        assert viewer.sound is not None and not viewer.hears and viewer.sound.packets_sent == 0
        assert viewer.outlet.in_lane
        assert viewer.set_sound(True) and player.stream.sound.listeners == 1
        # the codec's beginning, and what a busy machine delays, sound otherwise
        tone_hz, loudness = 0.0, 0.0
        while abs(tone_hz - TONE_HZ) > 5 or not 0.3 < loudness < 0.7:
            tone_hz, loudness = loudest_hz([await sound.recv() for _ in range(25)])
        # sound takes nobody out of the lane of those who follow the pictures
        assert viewer.outlet.in_lane

        player.stream.sound.allow(False)
        sent = viewer.sound.packets_sent
        assert not viewer.hears and not viewer.set_sound(True)
        for _ in range(20):
            await pictures.recv()
        assert viewer.sound.packets_sent == sent
        counters = viewer.counters
        assert counters.sound_heard_s == pytest.approx(sent * 0.02) and counters.octets_sent > viewer.sound.octets_sent > 0


async def test_who_may_not_hear_gets_no_section(endpoint: Endpoint, player: Any, microphone: Microphone) -> None:
    viewer, answer = endpoint.open("viewer", player.stream, offer_of(("v", "a"), VIDEO, audio()), lambda *_: None)
    assert "m=audio 0 " in answer and f"a=ssrc:{player.stream.sound.ssrc}" not in answer
    assert viewer.sound is None and not viewer.set_sound(True) and viewer.set_sound(False)
    assert player.stream.sound.listeners == 0


async def test_reports_of_both_tell_one_clock(endpoint: Endpoint, player: Any, microphone: Microphone) -> None:
    """What lip sync is made of: the RTP times of one moment, under one name."""
    async with hearing(endpoint, player.stream) as (_, viewer):

        async def sends() -> bool:
            return viewer.set_sound(True) and viewer.sound is not None and viewer.sound.packets_sent > 10

        await poll(sends, deadline_s=LIMIT_S)
        assert viewer.sound is not None
        now_s, stream = time.time(), player.stream
        pictures, sound = stream.sender_report(now_s), viewer.sound.sender_report(now_s, stream.cname)
        assert pictures is not None and sound is not None
        assert stream.cname.encode() in pictures and stream.cname.encode() in sound
        assert struct.unpack_from("!I", sound, 4)[0] == stream.sound.ssrc
        (picture_us, _), (sound_us, _) = parse_sender_clock(pictures) or (0, 0), parse_sender_clock(sound) or (1, 1)
        assert picture_us == sound_us
        viewer.set_sound(False)
        assert viewer.sound.sender_report(now_s, stream.cname) is None
