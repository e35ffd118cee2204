"""Viewers with aiortc as the real WebRTC peer: it does ICE, DTLS and SRTP, and decodes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st

from rtcc_chassis.testing import SOAK, poll
from rtcc_video.engine import stun
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings, TooManyViewers
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.quality import Quality
from rtcc_video.engine.rtp import parse_rtp
from rtcc_video.engine.sdp import UnusableOffer, find_camera_track, parse_offer, parse_session
from rtcc_video.engine.stream import LiveStream, UnforwardableVideo
from rtcc_video.engine.viewer import CloseReason, Viewer

from .conftest import Player, read_units

# Generous: these tests prove behaviour, `./rtcc bench video-fanout` measures speed.
LIMIT_S = 60


class Watching:
    """An aiortc peer that watches one stream."""

    def __init__(self, connection: RTCPeerConnection, viewer: Viewer, answer: str, closed: list[CloseReason]) -> None:
        self.connection, self.viewer, self.answer, self.closed = connection, viewer, answer, closed

    async def frames(self, count: int) -> list[Any]:
        track = self.connection.getReceivers()[0].track
        async with asyncio.timeout(LIMIT_S):
            return [await track.recv() for _ in range(count)]


@asynccontextmanager
async def watch(endpoint: Endpoint, stream: LiveStream, viewer_id: str = "viewer", **options: Any) -> AsyncIterator[Watching]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    closed: list[CloseReason] = []
    try:
        connection.addTransceiver("video", direction="recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        viewer, answer = endpoint.open(viewer_id, stream, offer, lambda _, reason: closed.append(reason), **options)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        yield Watching(connection, viewer, answer, closed)
    finally:
        await connection.close()


async def test_a_joiner_decodes_pictures_that_move(endpoint: Endpoint, player: Any) -> None:
    await poll_sync(lambda: player.stream.frames_total > 10)
    async with watch(endpoint, player.stream) as watching:
        frames = await watching.frames(45)
        assert (frames[0].width, frames[0].height) == (640, 480)
        assert abs(int(frames[-1].to_ndarray(format="rgb24").mean()) - int(frames[20].to_ndarray(format="rgb24").mean())) > 2
        times = [frame.time for frame in frames]
        assert times == sorted(times)
        report = await poll_value(lambda: watching.viewer.counters.last_report)
        assert report.packets_lost == 0


async def test_a_joiner_gets_the_group_so_far_and_not_a_second_of_nothing(endpoint: Endpoint, player: Any) -> None:
    await poll_sync(lambda: len(player.stream.group) >= 20)
    begun = player.stream.group[0].first_index
    async with watch(endpoint, player.stream) as watching:
        first = (await watching.frames(1))[0]
        assert first.key_frame
        outlet = watching.viewer.outlet
        assert outlet.first_index is not None
        assert outlet.first_index <= begun or player.stream.group[0].first_index != begun
        assert outlet.first_frame_s is not None
        assert not SOAK or outlet.first_frame_s - watching.viewer.times.opened_s < 5


async def test_many_viewers_share_one_identity_and_each_can_leave(endpoint: Endpoint, player: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        all_watching = [await stack.enter_async_context(watch(endpoint, player.stream, f"v{number}")) for number in range(4)]
        for watching in all_watching:
            await watching.frames(10)
        assert {f"a=ssrc:{player.stream.ssrc}" in watching.answer for watching in all_watching} == {True}
        await all_watching[0].connection.close()
        await poll_sync(lambda: all_watching[0].closed == [CloseReason.CLIENT_LEFT])
        await all_watching[1].frames(10)
        assert len(endpoint.viewers) == 3


async def test_closing_a_view_tells_the_peer_at_once(endpoint: Endpoint, player: Any) -> None:
    async with watch(endpoint, player.stream) as watching:
        await watching.frames(5)
        assert endpoint.close("viewer", CloseReason.REVOKED)
        assert watching.closed == [CloseReason.REVOKED]
        assert not endpoint.close("viewer", CloseReason.REVOKED)
        await poll_sync(lambda: watching.connection.connectionState in ("closed", "failed"))
        sent = watching.viewer.counters.packets_sent
        total = player.stream.frames_total
        await poll_sync(lambda: player.stream.frames_total > total + 5)
        assert watching.viewer.counters.packets_sent == sent


async def test_lost_packets_are_resent_with_the_bytes_first_sent(player: Any) -> None:
    endpoint = Endpoint(EndpointSettings())
    await endpoint.start()
    lossy = LossySend(endpoint, every=15)
    await poll_sync(lambda: len(player.stream.group) >= 10)
    async with watch(endpoint, player.stream) as watching:
        await watching.frames(60)
        await poll_sync(lambda: watching.viewer.counters.packets_resent > 5)
    assert lossy.dropped > 5
    assert lossy.contents_by_number_are_unique()
    await endpoint.stop()


class LossySend:
    """Drops every n-th packet on its way out, and remembers which bytes each packet number was sent with."""

    def __init__(self, endpoint: Endpoint, every: int) -> None:
        self._every, self._count, self.dropped = every, 0, 0
        self._seen: dict[tuple[int, int], set[bytes]] = {}
        sender = endpoint._sender
        assert sender is not None
        self._sendmsg = sender.sendmsg
        # One packet a call; where the network begins, its losses begin.
        sender.offload = False
        sender.sendmsg = self._lossy  # type: ignore[method-assign, assignment] # same call, fewer arguments

    def _lossy(self, buffers: Any, control: Any, flags: int, address: Any) -> int:
        data = b"".join(buffers)
        packet = parse_rtp(data)
        self._seen.setdefault((packet.ssrc, packet.sequence), set()).add(data)
        self._count += 1
        if self._count % self._every == 0:
            self.dropped += 1
            return len(data)
        return self._sendmsg([data], (), 0, address)

    def contents_by_number_are_unique(self) -> bool:
        return all(len(contents) == 1 for contents in self._seen.values())


async def test_a_thin_link_gets_the_smaller_stream_under_the_same_name_and_the_full_one_again(
    endpoint: Endpoint, player: Any, make_clip: Any
) -> None:
    small = Player(read_units(make_clip(frames=60, gop=30, size=(320, 240))))
    small.start()
    lossy = LossySend(endpoint, every=10**9)
    async with watch(endpoint, player.stream) as watching:
        await watching.frames(10)
        viewer = watching.viewer
        viewer.judge_link = lambda: viewer.link.verdict  # type: ignore[method-assign] # the link is good: only the choice is tried
        for quality, width in ((Quality.SUBSTREAM, 320), (Quality.FULL, 640), (Quality.SUBSTREAM, 320)):
            viewer.outlet.choose(quality, small.stream)
            async with asyncio.timeout(LIMIT_S):
                while (await watching.frames(1))[0].width != width:
                    pass
            assert len(await watching.frames(20)) == 20
        assert not viewer.outlet.in_lane
        report = await poll_value(lambda: watching.viewer.last_report)
        assert report.packets_lost == 0
    assert lossy.contents_by_number_are_unique()
    await small.stop()


async def test_a_picture_that_is_shown_small_is_the_smaller_stream_until_it_is_enlarged(
    endpoint: Endpoint, player: Any, make_clip: Any
) -> None:
    small = Player(read_units(make_clip(frames=60, gop=30, size=(320, 240))))
    small.start()
    player.stream.smaller = lambda: small.stream
    async with watch(endpoint, player.stream) as watching:
        await watching.frames(10)
        for shown_small, width in ((True, 320), (False, 640)):
            endpoint.viewer("viewer").show(shown_small)
            async with asyncio.timeout(LIMIT_S):
                while (await watching.frames(1))[0].width != width:
                    pass
            assert watching.viewer.link_facts.limited_by == ""
    with pytest.raises(KeyError):
        endpoint.viewer("viewer")
    await small.stop()


async def test_without_offload_the_same_packets_leave_one_by_one(endpoint: Endpoint, player: Any) -> None:
    assert endpoint._sender is not None
    endpoint._sender.offload = False
    async with watch(endpoint, player.stream) as watching:
        assert len(await watching.frames(20)) == 20


async def test_views_end_by_the_clock_and_when_never_connected(player: Any, units: list[AccessUnit]) -> None:
    endpoint = Endpoint(EndpointSettings(setup_timeout_s=3.0))
    await endpoint.start()
    closed: list[CloseReason] = []
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    endpoint.open("silent", player.stream, connection.localDescription.sdp, lambda _, reason: closed.append(reason))
    async with watch(endpoint, player.stream, "short", expires_s=endpoint.clock() + 4.0) as watching:
        await watching.frames(5)
        await poll_sync(lambda: watching.closed == [CloseReason.EXPIRED])
    await poll_sync(lambda: closed == [CloseReason.NEVER_CONNECTED])
    await connection.close()
    await endpoint.stop()


async def test_the_viewer_limit_holds(player: Any) -> None:
    endpoint = Endpoint(EndpointSettings(viewer_limit=1))
    await endpoint.start()
    async with watch(endpoint, player.stream) as watching:
        with pytest.raises(TooManyViewers):
            endpoint.open("second", player.stream, watching.connection.localDescription.sdp, lambda *_: None)
    await endpoint.stop()


async def test_checks_with_a_wrong_password_or_name_get_no_answer(endpoint: Endpoint, player: Any) -> None:
    async with watch(endpoint, player.stream) as watching:
        await watching.frames(1)
        setup = watching.viewer.setup
        peer = setup.offer.ice_ufrag
        right = f"{setup.ice_ufrag}:{peer}"
        for username, password in [(right, b"wrong"), (f"{setup.ice_ufrag}:other", setup.ice_pwd.encode()), ("none:x", b"y")]:
            assert await answer_to_check(endpoint.port, username, password, wait_s=0.3) is None
        assert await answer_to_check(endpoint.port, right, setup.ice_pwd.encode(), wait_s=30.0) is not None


async def answer_to_check(port: int, username: str, password: bytes, wait_s: float) -> bytes | None:
    check = stun.build_stun(stun.BINDING_REQUEST, b"t" * 12, [(stun.ATTRIBUTE_USERNAME, username.encode())], password)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.connect(("127.0.0.1", port))
        probe.send(check)
        try:
            async with asyncio.timeout(wait_s):
                return await asyncio.get_running_loop().sock_recv(probe, 2000)
        except TimeoutError:
            return None


async def test_noise_on_both_ports_hurts_nobody(endpoint: Endpoint, player: Any) -> None:
    async with watch(endpoint, player.stream) as watching:
        await watching.frames(2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            for first in range(256):
                probe.sendto(bytes((first,)) + b"\xff" * (first % 40), ("127.0.0.1", endpoint.port))
        _, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(b"\xff\xff garbage")
        writer.close()
        assert len(await watching.frames(10)) == 10


async def test_b_frames_are_refused_with_what_to_do(make_clip: Any) -> None:
    from fractions import Fraction

    import av

    from rtcc_video.engine.h264 import make_access_unit, split_annex_b
    from rtcc_video.engine.stream import StreamLimits

    stream = LiveStream(StreamLimits(), lambda: 1.0)
    with av.open(str(make_clip(frames=30, profile="main", b_frames=2))) as container, pytest.raises(UnforwardableVideo, match="B-frames"):
        video = container.streams.video[0]
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", video)
        for packet in container.demux(video):
            for part in to_annex_b.filter(packet) if packet.size else []:
                unit = make_access_unit(split_annex_b(bytes(part)), round(Fraction(packet.dts or 0) * 3000))
                if unit:
                    stream.publish(unit)


def test_time_stamps_go_on_when_the_source_begins_anew(units: list[AccessUnit]) -> None:
    from rtcc_video.engine.stream import StreamLimits

    now = [100.0]
    stream = LiveStream(StreamLimits(), lambda: now[0])
    stream.publish(AccessUnit(units[0].nals, 5_000_000, True))
    first = stream.group[0].timestamp
    now[0] += 3.0
    stream.restart_clock()
    assert stream.group == []
    stream.publish(AccessUnit(units[0].nals, 17, True))
    assert stream.group[0].timestamp - first == 3 * 90_000


def test_the_group_cache_is_bounded_in_bytes_and_time(units: list[AccessUnit]) -> None:
    from rtcc_video.engine.stream import StreamLimits

    now = [100.0]
    by_time = LiveStream(StreamLimits(group_s=1.0), lambda: now[0])
    by_size = LiveStream(StreamLimits(group_bytes=10_000), lambda: now[0])
    key, delta = units[0], units[1]
    for number in range(40):
        for stream in (by_time, by_size):
            stream.publish(AccessUnit((key if number == 0 else delta).nals, number * 3000, number == 0))
        now[0] += 1 / 30
    assert by_time.group == []
    assert by_size.group == []


OFFER_LINES = st.sampled_from(
    [
        "v=0",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "m=video x",
        "a=rtpmap:96 H264/90000",
        "a=rtpmap:999 H264/90000",
        "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f",
        "a=fmtp:96 packetization-mode=1;profile-level-id=zz",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:actpass",
        "a=setup:passive",
        "a=mid:0",
        "a=mid:\x00 x",
        "a=group:BUNDLE 0 1",
        "a=recvonly",
        "a=sendonly",
        "a=fmtp:96 sprop-parameter-sets=%%%,===",
        "a=control:trackID=1",
    ]
)


@given(st.lists(OFFER_LINES | st.text(max_size=40), max_size=30))
def test_any_sdp_is_understood_or_refused_with_a_reason(lines: list[str]) -> None:
    text = "\r\n".join(["v=0", *lines])
    for read in (parse_offer, lambda text: find_camera_track(parse_session(text))):
        try:
            read(text)
        except UnusableOffer as refusal:
            assert len(str(refusal)) > 10


def test_an_offer_without_h264_says_so() -> None:
    lines = ["v=0", "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000", "a=ice-ufrag:ab", "a=ice-pwd:cd", "a=fingerprint:sha-256 AA"]
    with pytest.raises(UnusableOffer, match=r"H\.264"):
        parse_offer("\r\n".join(lines))


def test_the_format_nearest_to_the_camera_is_chosen() -> None:
    formats = [("96", "42001f", 1), ("97", "42e01f", 0), ("98", "42e01f", 1), ("99", "4d001f", 1), ("100", "64001f", 1)]
    lines = ["v=0", "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100", "a=ice-ufrag:ab", "a=ice-pwd:cd", "a=fingerprint:sha-256 AA"]
    for number, profile, mode in formats:
        lines += [f"a=rtpmap:{number} H264/90000", f"a=fmtp:{number} profile-level-id={profile};packetization-mode={mode}"]
    offer = parse_offer("\r\n".join(lines))
    for profile, expected in [(None, 98), ("42c01e", 98), ("4d4028", 99), ("640028", 100), ("f40028", 98), ("42001e", 96)]:
        assert offer.choose_format(profile).payload_type == expected


async def poll_sync(question: Any, deadline_s: float = LIMIT_S) -> None:
    async def ask() -> bool:
        return bool(question())

    await poll(ask, deadline_s=deadline_s)


async def poll_value(question: Any) -> Any:
    async def ask() -> Any:
        return question()

    return await poll(ask, deadline_s=LIMIT_S)
