"""Sound of devices that send by themselves: taken as Opus where it is allowed, whatever the order of the offer's sections."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st

from rtcc_demo.rtsp_sound import TONE_HZ
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.engine.sdp import UnusableOffer
from rtcc_video.engine.sound import LiveSound
from rtcc_video.publishing.offer import OurSide, build_publisher_answer, parse_publisher_offer
from rtcc_video.publishing.publisher import Publisher, PublisherSettings
from rtcc_video.publishing.receiver import receive_sound
from rtcc_video.sources.sound_conversion import SoundConverters
from rtcc_video.sources.sound_inlet import SoundReport, SoundWay

from .ears import listening, tone_of
from .test_publishing import OFFER, OURS, Collected, until

BUNDLED = OFFER.replace("m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 9 UDP/TLS/RTP/SAVPF 111 63").replace(
    "a=rtpmap:111 opus/48000/2",
    "a=ice-ufrag:AudioU\r\na=ice-pwd:audio6yDJrjHQ4sYbnQm3kQ1Aq\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:111 opus/48000/2",
)


class Tone(MediaStreamTrack):
    """20 ms at a time, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._began_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._began_s + self._number / 50 - time.monotonic()))
        wave = np.sin((np.arange(960) + self._number * 960) * 2 * np.pi * TONE_HZ / 48_000) * 10_000
        frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._number * 960, Fraction(1, 48_000)
        self._number += 1
        return frame


@asynccontextmanager
async def publishing(
    endpoint: Endpoint, tracks: list[MediaStreamTrack], sound: LiveSound, sink: Collected
) -> AsyncIterator[RTCPeerConnection]:
    """aiortc sends the tracks in this order."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        for track in tracks:
            connection.addTransceiver(track, direction="sendonly")
        await connection.setLocalDescription(await connection.createOffer())
        offer = parse_publisher_offer(connection.localDescription.sdp, sound_allowed=sound.allowed)
        intake = sound.open()
        taking = receive_sound(offer, None if intake is None else SoundWay(intake, SoundConverters(0), SoundReport()))
        schedule = asyncio.get_running_loop().call_later
        publisher = Publisher("p1", offer, sink, PublisherSettings(), endpoint.identity, endpoint.clock, schedule, taking)
        endpoint.adopt(publisher, lambda reason: None)
        addresses, port, tcp = endpoint.announced
        ours = OurSide(publisher.link.ice_ufrag, publisher.link.ice_pwd, endpoint.identity.fingerprint_sha256, addresses, port, tcp)
        await connection.setRemoteDescription(RTCSessionDescription(build_publisher_answer(offer, ours, 1), "answer"))
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("sound_first", [True, False])
async def test_a_devices_tone_is_heard_beside_its_pictures(endpoint: Endpoint, make_clip: Any, clip_track: Any, sound_first: bool) -> None:
    sound, sink = LiveSound(time.monotonic), Collected()
    sound.allow(True)
    ears = listening(sound)
    tracks = [Tone(), clip_track(make_clip(frames=60, gop=30))]
    async with publishing(endpoint, tracks if sound_first else tracks[::-1], sound, sink):
        await ears.until(60)
        await until(lambda: len(sink.units) > 20)
        found_hz, share = await tone_of(ears.heard)
        assert abs(found_hz - TONE_HZ) < 5
        assert share > 0.9
        assert set(ears.steps) == {960}
        sound.allow(False)
        pictures, heard = len(sink.units), len(ears.heard)
        await until(lambda: len(sink.units) > pictures + 15)
        assert len(ears.heard) == heard


def test_the_answer_takes_opus_alone_and_both_go_the_way_of_the_first_section() -> None:
    offer = parse_publisher_offer(BUNDLED, sound_allowed=True)
    assert offer.sound is not None and offer.sound.payload_type == 111
    assert offer.remote.ice_ufrag == "AudioU"
    answer = build_publisher_answer(offer, OURS, 7)
    assert "m=audio 7000 UDP/TLS/RTP/SAVPF 111\r\n" in answer
    assert "a=group:BUNDLE 0 1\r\n" in answer
    assert answer.count("a=recvonly") == 2
    # the same offer where it isn't allowed
    silent = parse_publisher_offer(BUNDLED)
    assert silent.sound is None and silent.remote.ice_ufrag == "Wt6c"
    assert "m=audio 0 " in build_publisher_answer(silent, OURS, 7)


@pytest.mark.parametrize(
    "change",
    [
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 1"),
        ("m=audio 9", "m=audio 0"),
        ("opus/48000/2", "PCMU/8000"),
        ("111", "104"),
        ("a=mid:0", "a=mid:0\r\na=recvonly"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 RTP/AVP"),
    ],
)
def test_sound_that_cant_be_taken_leaves_the_pictures(change: tuple[str, str]) -> None:
    offer = parse_publisher_offer(BUNDLED.replace(*change), sound_allowed=True)
    assert offer.sound is None
    report, sound = SoundReport(), LiveSound(time.monotonic)
    sound.allow(True)
    intake = sound.open()
    assert intake is not None
    assert receive_sound(offer, SoundWay(intake, SoundConverters(0), report)) is None
    assert "no Opus" in report.reason


@given(st.data())
def test_any_offer_of_sound_is_read_or_refused_and_nothing_of_it_breaks_our_answer(data: st.DataObject) -> None:
    lines = BUNDLED.split("\r\n")
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at] = data.draw(st.text(max_size=30) | st.sampled_from(lines) | st.just(""))
    try:
        answer = build_publisher_answer(parse_publisher_offer("\r\n".join(lines), sound_allowed=True), OURS, 7)
    except UnusableOffer:
        return
    assert all(line[1:2] == "=" for line in answer.split("\r\n") if line)
