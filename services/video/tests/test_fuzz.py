"""Whatever arrives at the media port: nothing crashes, nothing grows, and nobody reaches another's view."""

import datetime
import os
import random
import struct
import tracemalloc
from collections.abc import AsyncIterator, Sequence

import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc_chassis.testing import poll
from rtcc_video.engine import stun
from rtcc_video.engine.dtls import DtlsIdentity, DtlsSession
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.rtp import Feedback, MalformedPacket, build_goodbye, parse_rtcp
from rtcc_video.engine.srtp import RtcpProtector
from rtcc_video.engine.stream import LiveStream, StreamLimits
from rtcc_video.engine.viewer import CloseReason, Viewer

IDENTITY = DtlsIdentity(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
OFFER = "\r\n".join(
    [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
        "m=video 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", "a=recvonly", "a=mid:0", "a=rtcp-mux",
        "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f", "a=rtcp-fb:96 goog-remb",
        "a=ice-ufrag:Wt6c", "a=ice-pwd:0mN6yDJrjHQ4sYbnQm3kQ1Aq", f"a=fingerprint:sha-256 {IDENTITY.fingerprint_sha256}", "a=setup:active",
    ]
)  # fmt: skip


class Wire:
    """A path to a peer in memory: what the relay sends stays here."""

    congested = False

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.datagrams: list[bytes] = []
        self.runs: list[bytes] = []

    def send(self, datagram: bytes) -> None:
        self.datagrams.append(datagram)

    def send_run(self, buffers: Sequence[bytes], packets: int, segment_bytes: int) -> bool:
        self.runs.append(b"".join(buffers))
        return True

    def close(self) -> None:
        pass


class Peer:
    """A viewer in memory: real checks, a real DTLS handshake, real SRTCP."""

    def __init__(self, endpoint: Endpoint, stream: LiveStream, name: str, port: int) -> None:
        self.address = ("192.0.2.1", port)
        self.wire = Wire(*self.address)
        self.viewer: Viewer = endpoint.open(name, stream, OFFER, lambda *_: None)[0]
        self._endpoint = endpoint
        credentials = self.viewer.credentials
        attributes = [(stun.ATTRIBUTE_USERNAME, credentials.username), (stun.ATTRIBUTE_USE_CANDIDATE, b"")]
        self.check = stun.build_stun(stun.BINDING_REQUEST, os.urandom(12), attributes, credentials.password)
        self.receive(self.check)
        dtls = DtlsSession(IDENTITY, [("sha-256", endpoint._identity.fingerprint_sha256)], is_server=False)
        self.wire.datagrams.clear()
        outgoing = dtls.start()
        self.first_flight = list(outgoing)
        for _ in range(8):
            for datagram in outgoing:
                self.receive(datagram)
            answers, self.wire.datagrams = self.wire.datagrams, []
            outgoing = [datagram for answer in answers if 20 <= answer[0] <= 63 for datagram in dtls.receive(answer)]
        assert dtls.keys is not None
        assert self.viewer.secured
        self.rtcp = RtcpProtector(dtls.keys)

    def receive(self, datagram: bytes, address: tuple[str, int] | None = None) -> None:
        self._endpoint.on_datagram(datagram, self.wire, address or self.address)

    def feedback(self, media_ssrc: int, lost: int | None = None) -> bytes:
        """A picture loss indication, or a NACK, about a stream."""
        start = struct.pack("!BBHI", 0x80, 201, 1, 7)
        if lost is None:
            return self.rtcp.protect(start + struct.pack("!BBHII", 0x81, 206, 2, 7, media_ssrc))
        return self.rtcp.protect(start + struct.pack("!BBHIIHH", 0x81, 205, 3, 7, media_ssrc, lost, 0))


@pytest_asyncio.fixture
async def wired() -> AsyncIterator[Endpoint]:
    """A relay whose peers are in memory; its sockets are open, but nothing comes by them."""
    endpoint = Endpoint(EndpointSettings())
    await endpoint.start()
    yield endpoint
    await endpoint.stop()


def played(units: list[AccessUnit], pictures: int = 12) -> LiveStream:
    stream = LiveStream(StreamLimits(), lambda: 1.0)
    for number, unit in enumerate(units[:pictures]):
        stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
    return stream


async def settled(viewer: Viewer) -> None:
    """Until the joiner's group has left."""

    async def ask() -> bool:
        return viewer.counters.packets_sent > 0 and not viewer.outlet._backlog

    await poll(ask)


async def test_a_viewers_feedback_reaches_its_own_view_alone(wired: Endpoint, units: list[AccessUnit]) -> None:
    mine, other = played(units), played(units)
    first, second = Peer(wired, mine, "first", 1001), Peer(wired, other, "second", 1002)
    await settled(first.viewer)
    await settled(second.viewer)
    # About another's stream: not even one's own view is touched.
    first.receive(first.feedback(other.ssrc))
    first.receive(first.feedback(other.ssrc, lost=other.group[0].first_index & 0xFFFF))
    assert first.viewer.counters.groups_resent == second.viewer.counters.groups_resent == 0
    assert first.viewer.counters.packets_resent == second.viewer.counters.packets_resent == 0
    # From another's address: it was made with other keys.
    second.receive(first.feedback(other.ssrc), first.address)
    stray = first.feedback(other.ssrc)
    second.receive(stray, second.address)
    assert second.viewer.counters.groups_resent == 0
    # Its own works, and only once: a repeated packet is a replay.
    own = first.feedback(mine.ssrc, lost=mine.group[0].first_index & 0xFFFF)
    first.receive(own)
    first.receive(own)
    assert first.viewer.counters.packets_resent == 1
    assert second.viewer.counters.packets_resent == 0


async def test_noise_at_the_port_changes_nothing_and_holds_no_memory(wired: Endpoint, units: list[AccessUnit]) -> None:
    stream = played(units)
    peers = [Peer(wired, stream, f"v{number}", 2000 + number) for number in range(3)]
    for peer in peers:
        await settled(peer.viewer)
    chance = random.Random(5)
    seeds = [seed for peer in peers for seed in (peer.check, *peer.first_flight, peer.feedback(stream.ssrc), b"\x80" + bytes(40))]
    addresses = [peer.address for peer in peers] + [("198.51.100.9", 9)]

    def noise(count: int) -> None:
        for _ in range(count):
            data = bytearray(chance.choice(seeds))
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            if chance.random() < 0.3:
                data = data[: chance.randrange(len(data) + 1)]
            wired.on_datagram(bytes(data), None, chance.choice(addresses))

    noise(500)
    tracemalloc.start()
    noise(500)
    before = tracemalloc.get_traced_memory()[0]
    noise(6000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 200_000
    assert len(wired.viewers) == 3
    # A check that was damaged behind its integrity, or not at all, is authentic wherever it comes from.
    assert set(wired._by_address) <= set(addresses)
    assert all(peer.viewer.failure is None and peer.viewer.secured for peer in peers)
    before_it = [taken(peer.viewer) for peer in peers]
    stream.publish(AccessUnit(units[0].nals, 99_000, True))

    async def served() -> bool:
        # A repeated picture loss indication that came through unharmed may still be answered first.
        return all(taken(peer.viewer) > before for peer, before in zip(peers, before_it, strict=True))

    await poll(served)


def taken(viewer: Viewer) -> int:
    """Packets that left for a viewer, wherever it may be now."""
    return viewer.counters.packets_sent + viewer.counters.packets_dropped


async def test_a_broken_first_flight_ends_that_view_alone(wired: Endpoint, units: list[AccessUnit]) -> None:
    stream = played(units)
    staying = Peer(wired, stream, "staying", 3001)
    chance = random.Random(9)
    for number in range(60):
        wire = Wire("192.0.2.9", 4000 + number)
        viewer = wired.open(f"broken{number}", stream, OFFER, lambda *_: None)[0]
        credentials = viewer.credentials
        check = stun.build_stun(
            stun.BINDING_REQUEST, os.urandom(12), [(stun.ATTRIBUTE_USERNAME, credentials.username)], credentials.password
        )
        wired.on_datagram(check, wire, (wire.host, wire.port))
        flight = bytearray(staying.first_flight[0])
        for _ in range(chance.randrange(1, 12)):
            flight[chance.randrange(len(flight))] = chance.randrange(256)
        flight[0] = 22
        for _ in range(3):
            wired.on_datagram(bytes(flight), wire, (wire.host, wire.port))
        assert not viewer.secured
        wired.close(f"broken{number}", CloseReason.CLIENT_LEFT)
    assert [viewer.setup.viewer_id for viewer in wired.viewers] == ["staying"]
    assert len(wired._by_address) == 1


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 31), st.sampled_from([200, 201, 202, 203, 204, 205, 206, 207]))
def test_any_rtcp_is_read_or_refused(body: bytes, count: int, kind: int) -> None:
    padded = body + bytes(-len(body) % 4)
    packet = struct.pack("!BBH", 0x80 | count, kind, len(padded) // 4) + padded
    for data in (packet, body, packet + build_goodbye(5)):
        try:
            found = parse_rtcp(data, about=5)
        except MalformedPacket:
            continue
        assert isinstance(found, Feedback)
        assert found.estimate_bps is None or found.estimate_bps >= 0


def test_an_estimate_is_read_as_browsers_write_it() -> None:
    # draft-alvestrand-rmcat-remb-03, 2.2: mantissa 18 bits, exponent 6
    remb = struct.pack("!BBHII4sII", 0x8F, 206, 5, 1, 0, b"REMB", 1 << 24 | 3 << 18 | 200_000, 77)
    assert parse_rtcp(remb).estimate_bps == 1_600_000
