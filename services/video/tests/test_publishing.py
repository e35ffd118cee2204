"""WHIP publishers on the relay's socket: aiortc as the client, loss on the way, and parsers against noise."""

import asyncio
import contextlib
import itertools
import random
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from rtcc_chassis.testing import poll
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.rtp import MalformedPacket, build_rtp_header, build_sender_report, parse_rtcp
from rtcc_video.engine.sdp import UnusableOffer
from rtcc_video.engine.sockets import UdpReader, bind_udp
from rtcc_video.engine.srtp import AEAD_AES_128_GCM, AES128_CM_SHA1_80, SrtpFailed, SrtpKeys, SrtpProfile
from rtcc_video.engine.unprotect import make_unprotector
from rtcc_video.engine.viewer import CloseReason
from rtcc_video.publishing.feedback import build_nack, build_pli, build_remb, build_report, read_sender_feedback
from rtcc_video.publishing.offer import OurSide, build_publisher_answer, parse_publisher_offer
from rtcc_video.publishing.publisher import Publisher, PublisherSettings
from rtcc_video.sources.source import SourceFailed


class Collected:
    """A feed's half of the seam."""

    watched = True

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.starts = 0
        self.refuse = ""
        self.watched_live = True

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        self.starts += 1

    def on_unit(self, unit: AccessUnit) -> None:
        if self.refuse:
            raise SourceFailed(self.refuse, lasting=True)
        self.units.append(unit)


def adopt(endpoint: Endpoint, offer_sdp: str, sink: Collected, closed: list[CloseReason]) -> tuple[Publisher, str]:
    offer = parse_publisher_offer(offer_sdp)
    schedule = asyncio.get_running_loop().call_later
    publisher = Publisher("p1", offer, sink, PublisherSettings(), endpoint.identity, endpoint.clock, schedule)
    endpoint.adopt(publisher, closed.append)
    addresses, port, tcp = endpoint.announced
    ours = OurSide(publisher.link.ice_ufrag, publisher.link.ice_pwd, endpoint.identity.fingerprint_sha256, addresses, port, tcp)
    return publisher, build_publisher_answer(offer, ours, 1)


@asynccontextmanager
async def publishing(
    endpoint: Endpoint, track: MediaStreamTrack, sink: Collected
) -> AsyncIterator[tuple[Publisher, RTCPeerConnection, list[CloseReason]]]:
    """aiortc sends the track."""
    connection, closed = RTCPeerConnection(RTCConfiguration(iceServers=[])), list[CloseReason]()
    try:
        connection.addTransceiver(track, direction="sendonly")
        await connection.setLocalDescription(await connection.createOffer())
        publisher, answer = adopt(endpoint, connection.localDescription.sdp, sink, closed)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        yield publisher, connection, closed
    finally:
        await connection.close()


async def until(condition: Any, deadline_s: float = 30) -> None:
    async def ask() -> bool:
        return bool(condition())

    await poll(ask, deadline_s=deadline_s)


async def test_a_publishers_pictures_arrive_whole_and_its_goodbye_ends_it(endpoint: Endpoint, make_clip: Any, clip_track: Any) -> None:
    sink = Collected()
    async with publishing(endpoint, clip_track(make_clip(frames=60, gop=30)), sink) as (publisher, connection, closed):
        await until(lambda: len(sink.units) > 60)
        assert sink.starts == 1
        assert sink.units[0].key
        assert {nal[0] & 0x1F for nal in sink.units[0].nals} >= {5, 7, 8}
        assert publisher.link.secured
        await connection.close()
        await until(lambda: closed)
    assert closed == [CloseReason.CLIENT_LEFT]


async def test_a_publisher_that_nobody_watches_is_read_at_leisure_and_loses_nothing(
    endpoint: Endpoint, make_clip: Any, clip_track: Any, player: Any
) -> None:
    sink = Collected()
    async with publishing(endpoint, clip_track(make_clip(frames=60, gop=30)), sink) as (_, connection, closed):
        reader = endpoint._reader
        assert reader is not None
        await until(lambda: len(sink.units) > 10)
        assert not reader.at_leisure
        sink.watched_live = False
        await until(lambda: reader.at_leisure)
        seen = len(sink.units)
        await until(lambda: len(sink.units) > seen + 45)
        # somebody opens a view on this relay: its first check mustn't wait for a turn
        endpoint.open("viewer", player.stream, VIEWER_OFFER, lambda *_: None)
        assert not reader.at_leisure
        endpoint.close("viewer", CloseReason.CLIENT_LEFT)
        await until(lambda: reader.at_leisure)
        await connection.close()
        await until(lambda: closed)
        assert not reader.at_leisure
    steps = [later.timestamp - earlier.timestamp for earlier, later in itertools.pairwise(sink.units)]
    assert sum(step > 4500 for step in steps) <= 1, "pictures are missing"


async def test_more_than_the_kernel_keeps_ends_leisure_and_a_closed_reader_reads_no_more() -> None:
    taken: list[bytes] = []
    udp = bind_udp("127.0.0.1", 0, 100_000)
    reader = UdpReader(udp, lambda data, address: taken.append(data), lambda: 0.04)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(udp.getsockname())
        while not reader.at_leisure:
            # two within a turn: a busy machine may need more of them
            begun = len(taken)
            sender.send(b"early")
            await until(lambda begun=begun: len(taken) > begun)
        early = len(taken)
        assert early > 1
        for number in range(60):
            sender.send(b"%d" % number)
        await until(lambda: len(taken) == early + 60)
        assert not reader.at_leisure
        sender.send(b"last")
        await until(lambda: taken[-1] == b"last")
        assert not reader.at_leisure
        reader.close()
        with contextlib.suppress(ConnectionRefusedError):
            sender.send(b"late")
    assert udp.fileno() < 0


async def test_lost_packets_are_asked_for_again_and_no_picture_is_missing(endpoint: Endpoint, make_clip: Any, clip_track: Any) -> None:
    sink, noise = Collected(), random.Random(5)
    async with publishing(endpoint, clip_track(make_clip(frames=60, gop=30, size=(640, 480), bit_rate=1_500_000)), sink) as (
        publisher,
        _,
        _,
    ):
        await until(lambda: len(sink.units) > 10)
        taken, dropped = publisher.on_rtp, 0

        def lossy(datagram: bytes) -> None:
            nonlocal dropped
            if noise.random() < 0.05:
                dropped += 1
            else:
                taken(datagram)

        publisher.on_rtp = lossy  # type: ignore[method-assign] # the wire drops before the publisher sees it
        seen = len(sink.units) - 1
        await until(lambda: dropped > 10 and sink.units[-1].timestamp - sink.units[seen].timestamp >= 4 * 90_000)
    # by the pictures' own time: so many of what was sent meanwhile came
    came = sink.units[seen:]
    rate = (len(came) - 1) / ((came[-1].timestamp - came[0].timestamp) / 90_000)
    assert rate > 25, f"{rate:.1f} pictures a second with {dropped} packets lost"


async def test_video_that_cant_be_used_ends_the_publisher_with_the_reason(endpoint: Endpoint, make_clip: Any, clip_track: Any) -> None:
    sink = Collected()
    sink.refuse = "The stream has B-frames."
    async with publishing(endpoint, clip_track(make_clip(frames=30, gop=15)), sink) as (publisher, _, closed):
        await until(lambda: closed)
        assert (closed, publisher.failure) == ([CloseReason.UNUSABLE], "The stream has B-frames.")


async def test_ffmpegs_own_whip_muxer_publishes(endpoint: Endpoint, make_clip: Any) -> None:
    """It is the DTLS server (setup:passive), and another implementation of everything."""
    sink, closed, ended = Collected(), list[CloseReason](), threading.Event()

    async def whip(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer some-key"
        _, answer = adopt(endpoint, await request.text(), sink, closed)
        return web.Response(text=answer, status=201, content_type="application/sdp", headers={"Location": "/whip/1"})

    async def gone(request: web.Request) -> web.Response:
        return web.Response()

    application = web.Application()
    application.add_routes([web.post("/whip", whip), web.delete("/whip/1", gone)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/whip"
    sending = asyncio.create_task(asyncio.to_thread(send_by_ffmpeg, make_clip(frames=60, gop=30), url, ended))
    try:
        await until(lambda: len(sink.units) > 45 or sending.done())
        assert sink.units[0].key
    finally:
        ended.set()
        await sending
        await runner.cleanup()
    await until(lambda: closed)
    assert closed == [CloseReason.CLIENT_LEFT]


def send_by_ffmpeg(clip: Path, url: str, ended: threading.Event) -> None:
    """The clip's own H.264 in real time, round and round."""
    with av.open(str(clip)) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        with av.open(url, "w", format="whip", options={"authorization": "some-key"}) as container:
            out = container.add_stream_from_template(stream)
            for number in range(10_000):
                if ended.wait(1 / 30):
                    return
                packet = packets[number % len(packets)]
                packet.stream, packet.time_base = out, Fraction(1, 90_000)
                packet.pts = packet.dts = number * 3000
                container.mux(packet)


OFFER = "\r\n".join(
    (
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0",
        "a=rtpmap:111 opus/48000/2", "m=video 9 UDP/TLS/RTP/SAVPF 96 102 104", "a=ice-ufrag:Wt6c", "a=ice-pwd:0mN6yDJrjHQ4sYbnQm3kQ1Aq",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass", "a=mid:1", "a=sendonly", "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000", "a=rtpmap:102 H264/90000", "a=fmtp:102 packetization-mode=1;profile-level-id=640032",
        "a=rtpmap:104 H264/90000", "a=fmtp:104 packetization-mode=1;profile-level-id=42e01f", "",
    )
)  # fmt: skip
VIEWER_OFFER = OFFER.replace("a=sendonly", "a=recvonly").replace("m=audio 9", "m=audio 0")
OURS = OurSide("uf", "pw" * 12, ":".join(["CD"] * 32), ("192.0.2.1", "2001:db8::1"), 7000, True)


def test_the_answer_takes_the_video_prefers_constrained_baseline_and_refuses_the_rest() -> None:
    answer = build_publisher_answer(parse_publisher_offer(OFFER), OURS, 7)
    assert "m=audio 0 UDP/TLS/RTP/SAVPF 111" in answer
    assert "m=video 7000 UDP/TLS/RTP/SAVPF 104 102\r\n" in answer
    assert "a=setup:passive" in answer
    assert "a=recvonly" in answer
    assert answer.count("a=candidate:") == 4
    assert "a=group:BUNDLE 1\r\n" in answer


def test_a_publisher_that_waits_as_dtls_server_is_called() -> None:
    offer = parse_publisher_offer(OFFER.replace("setup:actpass", "setup:passive"))
    assert "a=setup:active" in build_publisher_answer(offer, OURS, 7)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("a=sendonly", "a=recvonly"), "doesn't send video"),
        (("m=video 9", "m=video 0"), "no active video"),
        (("H264", "VP9"), "no H.264"),
        (("UDP/TLS/RTP/SAVPF 96", "RTP/AVP 96"), "UDP/TLS"),
        (("sha-256", "sha-1"), "fingerprint"),
        (("a=ice-pwd", "a=ice-none"), "ice-pwd"),
    ],
)
def test_an_unusable_offer_says_what_is_wrong(change: tuple[str, str], reason: str) -> None:
    with pytest.raises(UnusableOffer, match=reason):
        parse_publisher_offer(OFFER.replace(*change))


@given(st.data())
def test_any_offer_is_read_or_refused_and_nothing_of_it_breaks_our_answer(data: st.DataObject) -> None:
    lines = OFFER.split("\r\n")
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at] = data.draw(st.text(max_size=30) | st.sampled_from(lines) | st.just(""))
    try:
        answer = build_publisher_answer(parse_publisher_offer("\r\n".join(lines)), OURS, 7)
    except UnusableOffer:
        return
    assert all(line[1:2] == "=" for line in answer.split("\r\n") if line)


def keys(profile: SrtpProfile) -> tuple[SrtpKeys, SrtpKeys]:
    """Both sides' view of one set."""
    one, other = bytes(range(profile.key_bytes)), bytes(range(100, 100 + profile.key_bytes))
    salt, other_salt = bytes(profile.salt_bytes), bytes([9]) * profile.salt_bytes
    return SrtpKeys(profile, one, salt, other, other_salt), SrtpKeys(profile, other, other_salt, one, salt)


@pytest.mark.parametrize("profile", [AEAD_AES_128_GCM, AES128_CM_SHA1_80])
def test_what_a_sender_protects_is_opened_once_across_the_roll_over_and_altered_bytes_never(profile: SrtpProfile) -> None:
    """What libsrtp, which we didn't write, sends."""
    ours, theirs = keys(profile)
    policy = Policy(theirs.local_key + theirs.local_salt, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile.libsrtp_profile)
    sender, opener = Session(policy), make_unprotector(ours)
    order = [*range(65_500, 65_600), *range(65_640, 65_600, -1)]
    packets = {}
    for index in sorted(order):
        header = build_rtp_header(96, False, index, index * 3000, 77)
        payload = index.to_bytes(4, "big") * 5
        packets[index] = sender.protect(header + payload)
    for index in order:
        packet = opener.open(packets[index])
        assert (packet.sequence, packet.payload) == (index & 0xFFFF, index.to_bytes(4, "big") * 5)
    for index in order[-5:]:
        with pytest.raises(SrtpFailed):
            opener.open(packets[index])
    fresh = make_unprotector(ours)
    for position in (1, 5, 20, -1):
        altered = bytearray(packets[65_500])
        altered[position] ^= 1
        with pytest.raises((SrtpFailed, MalformedPacket)):
            fresh.open(bytes(altered))
    assert fresh.open(packets[65_500]).ssrc == 77


@given(st.binary(max_size=200))
def test_noise_is_never_opened(data: bytes) -> None:
    for profile in (AEAD_AES_128_GCM, AES128_CM_SHA1_80):
        opener = make_unprotector(keys(profile)[0])
        with pytest.raises((SrtpFailed, MalformedPacket)):
            opener.open(data)


@given(st.sets(st.integers(0, 400), min_size=1, max_size=60), st.integers(0, 65_535))
def test_a_nack_names_exactly_what_is_missing(missing: set[int], start: int) -> None:
    sequences = [(start + offset) & 0xFFFF for offset in sorted(missing)]
    feedback = parse_rtcp(build_report(1, None) + build_nack(1, 2, sequences))
    assert sorted(feedback.lost_sequences) == sorted(sequences)


@given(st.integers(0, 2**31))
def test_a_remb_says_the_rate_to_a_hundredth(bits_per_s: int) -> None:
    packet = build_remb(1, 2, bits_per_s)
    assert parse_rtcp(packet + build_pli(1, 2)).key_frame_wanted
    exponent, mantissa = packet[17] >> 2, (packet[17] & 3) << 16 | packet[18] << 8 | packet[19]
    assert abs((mantissa << exponent) - bits_per_s) <= bits_per_s / 100


@given(st.binary(max_size=120))
def test_any_feedback_is_read_or_refused(data: bytes) -> None:
    for noise in (data, build_sender_report(5, 1e9, 7, 1, 2, "c") + data):
        try:
            read_sender_feedback(noise)
        except MalformedPacket:
            continue
