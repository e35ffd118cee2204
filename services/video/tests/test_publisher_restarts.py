"""A publisher that restarts ICE (RFC 9725, 4.3.3): aiortc with a second ICE agent, its recording, and hostile fragments."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aioice
import pytest
import pytest_asyncio
from aiortc import RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from rtcc.registry.v1.registry_pb2 import Camera
from rtcc.video.v1 import footage_pb2, footage_pb2_grpc
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.engine.fragments import UnusableFragment
from rtcc_video.engine.ice import IceSession, OtherIceSession
from rtcc_video.engine.viewer import CloseReason
from rtcc_video.publishing.publisher import Publisher

from .center import Center, Registry, serving
from .test_publishing import OFFER, Collected, adopt, publishing, until
from .test_publishing_service import sending
from .test_whep import CANDIDATE, RESTART, checked

GATEWAY = Scope.platform("gateway")
OFFICER = person("east", "officer", name="Officer Seven")


class Restarted:
    """aiortc's connection on a fresh ICE agent, as a browser makes one for a restart: DTLS and SRTP go on as they are."""

    def __init__(self, connection: RTCPeerConnection) -> None:
        self._ice = connection.getSenders()[0].transport.transport
        self._old = self._ice._connection
        self._fresh = aioice.Connection(ice_controlling=True)
        self._pump: asyncio.Task[None] | None = None

    def _lose_network(self) -> None:
        """Nothing goes by the old address any more, neither pictures nor signs of life."""

        async def lost(data: bytes) -> None:
            return

        self._ice._send = lost
        self._old._query_consent_task.cancel()

    async def connect(self, patch: Callable[[str], Awaitable[str]]) -> None:
        """`patch(our fragment)` gives the relay's. The old network is lost, and pictures go by the new agent as soon as it has a way."""
        fresh = self._fresh
        await fresh.gather_candidates()
        told = await patch(f"a=ice-ufrag:{fresh.local_username}\r\na=ice-pwd:{fresh.local_password}\r\n")
        values = dict(line.removeprefix("a=").partition(":")[::2] for line in told.splitlines())
        fresh.remote_is_lite = "ice-lite" in values
        fresh.remote_username, fresh.remote_password = values["ice-ufrag"], values["ice-pwd"]
        for line in told.splitlines():
            if line.startswith("a=candidate:") and " udp " in line:
                await fresh.add_remote_candidate(aioice.Candidate.from_sdp(line.removeprefix("a=candidate:")))
        await fresh.add_remote_candidate(None)
        self._lose_network()
        await fresh.connect()
        self._ice._send = fresh.send
        self._pump = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        while True:
            self._old.data_received(await self._fresh.recv(), 1)

    async def close(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        await self._fresh.close()


@asynccontextmanager
async def restarted(connection: RTCPeerConnection) -> AsyncIterator[Restarted]:
    found = Restarted(connection)
    try:
        yield found
    finally:
        await found.close()


async def test_a_publisher_restarts_ice_from_another_address_and_no_picture_is_missing(
    endpoint: Endpoint, make_clip: Any, clip_track: Any
) -> None:
    sink = Collected()
    async with publishing(endpoint, clip_track(make_clip(frames=60, gop=30)), sink) as (publisher, connection, closed):
        await until(lambda: len(sink.units) > 20)
        link = publisher.link
        assert link.path is not None
        before = (link.ice_ufrag, link.ice_pwd, link.remote.ice_ufrag)
        address, unprotector = (link.path.host, link.path.port), publisher._unprotector

        async def patch(fragment: str) -> str:
            answer, etag = endpoint.update("p1", "*", fragment)
            assert etag == link.ice_ufrag != before[0]
            # until the new credentials are used, those before hold
            assert await checked(endpoint.port, before) is not None
            return answer

        async with restarted(connection) as agent:
            await agent.connect(patch)
            seen = len(sink.units)
            await until(lambda: len(sink.units) > seen + 45)
            assert (link.path.host, link.path.port) != address
            assert publisher._unprotector is unprotector, "the DTLS session goes on"
            assert sink.starts == 1
            assert not closed
            await connection.close()
            await until(lambda: closed)
    assert closed == [CloseReason.CLIENT_LEFT]
    assert not endpoint._by_ufrag
    steps = [later.timestamp - earlier.timestamp for earlier, later in pairwise(sink.units)]
    assert max(steps) <= 4500, f"pictures are missing: {max(steps)}"


async def test_a_publishers_candidates_change_nothing_and_an_ended_ice_session_is_refused(endpoint: Endpoint) -> None:
    publisher, answer = adopt(endpoint, OFFER, Collected(), [])
    first = credentials_of(publisher)
    assert f"a=ice-ufrag:{first[0]}" in answer
    assert endpoint.update("p1", first[0], f"{CANDIDATE}\r\n") == ("", first[0])
    fragment, etag = endpoint.update("p1", "*", RESTART)
    assert f"a=mid:{publisher.mid}\r\n" in fragment and f" {endpoint.port} typ host" in fragment
    with pytest.raises(OtherIceSession):
        endpoint.update("p1", first[0], CANDIDATE)
    with pytest.raises(KeyError):
        endpoint.update("p2", etag, CANDIDATE)
    assert await checked(endpoint.port, first) is not None
    assert await checked(endpoint.port, credentials_of(publisher)) is not None
    endpoint.update("p1", "*", RESTART.replace("Zz9c", "Third"))
    assert await checked(endpoint.port, first, wait_s=0.3) is None
    endpoint.release("p1", CloseReason.SHUTDOWN)
    assert not endpoint._by_ufrag


def credentials_of(publisher: Publisher) -> tuple[str, str, str]:
    current = publisher.link.ice.current
    return current.ice_ufrag, current.ice_pwd, current.peer_ufrag


LINES = st.sampled_from(
    [
        CANDIDATE,
        "a=ice-ufrag:abcd",
        "a=ice-ufrag:Wt6c",
        "a=ice-pwd:" + "p" * 24,
        "a=ice-pwd:" + "q" * 24,
        "a=mid:0",
        "a=mid:1",
        "m=video 9 RTP 0",
    ]
)
ETAGS = st.sampled_from(["*", "", "current", "before"]) | st.text(max_size=40)


@given(st.lists(st.tuples(ETAGS, st.lists(LINES | st.text(max_size=60), max_size=8)), max_size=12))
def test_whatever_is_patched_the_newest_credentials_and_those_before_hold_and_no_others(tries: list[tuple[str, list[str]]]) -> None:
    session = IceSession("Wt6c")
    known = [session.current]
    for etag, lines in tries:
        named = {"current": known[-1].ice_ufrag, "before": known[0].ice_ufrag}.get(etag, etag)
        try:
            restarts = session.update(named, "\r\n".join(lines), "1")
        except (OtherIceSession, UnusableFragment):
            restarts = False
        if restarts:
            assert named == "*"
            assert session.current.peer_ufrag != known[-1].peer_ufrag
            known.append(session.current)
        assert session.ufrags == [one.ice_ufrag for one in known[-2:]]
    assert len({one.ice_ufrag for one in known}) == len(known)


@pytest_asyncio.fixture
async def recorded(
    small_platform: TestPlatform, make_clip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Center, footage_pb2_grpc.FootageServiceStub]]:
    """The service with a published camera b9, recorded all the time in short segments."""
    await small_platform.servers.s3_endpoint()
    monkeypatch.setenv("RTCC_VIDEO_SPOOL_FOLDER", str(tmp_path / "spool"))
    monkeypatch.setenv("RTCC_VIDEO_SEGMENT_S", "0.9")
    async with serving(small_platform, make_clip, monkeypatch) as center:
        Registry.keys = {"b9": "right-key"}
        body = Camera(camera_id="b9", agency_id="east", name="Body 9", enabled=True, has_stream=True, published=True)
        await center.store("camera", "east", "b9", body)
        listed = pb.ListCameraHealthRequest()
        await center.until(OFFICER, "ListCameraHealth", listed, lambda answer: any(one.camera_id == "b9" for one in answer.cameras))
        footage = footage_pb2_grpc.FootageServiceStub(center.context.channels.channel("video"))
        policy = footage_pb2.RecordingPolicy(camera_id="b9", mode=footage_pb2.RECORDING_MODE_CONTINUOUS, keep_s=86_400)
        chief = center.platform.metadata(person("east", "administrator", name="East Chief"))
        await footage.SetRecordingPolicy(footage_pb2.SetRecordingPolicyRequest(policy=policy), metadata=chief)
        yield center, footage


async def test_a_device_that_roams_goes_on_without_a_gap_in_its_recording_and_nobody_else_restarts_it(
    recorded: tuple[Center, footage_pb2_grpc.FootageServiceStub], make_clip: Any, clip_track: Any
) -> None:
    center, footage = recorded
    begun = utc_now() - timedelta(seconds=1)
    asker = center.platform.metadata(person("east", "investigator", name="East Detective", purpose="robbery", case_number="E-1"))

    async def listed() -> footage_pb2.ListFootageResponse:
        request = footage_pb2.ListFootageRequest(camera_id="b9")
        request.starts_at.FromDatetime(begun)
        request.ends_at.FromDatetime(utc_now() + timedelta(hours=1))
        answer: footage_pb2.ListFootageResponse = await footage.ListFootage(request, metadata=asker)
        return answer

    async def segments(reach_s: float) -> list[tuple[float, float]]:
        """Begin and end of each, once one begins after this moment."""

        async def ask() -> list[tuple[float, float]] | None:
            found = sorted((one.started_at.ToNanoseconds() / 1e9, one.ended_at.ToNanoseconds() / 1e9) for one in (await listed()).segments)
            return found if found and found[-1][0] > reach_s else None

        answer: list[tuple[float, float]] = await poll(ask, deadline_s=30)
        return answer

    async def opened(offer: str) -> Any:
        request = pb.RelayPublisherRequest(camera_id="b9", publish_key="right-key", offer_sdp=offer, source_address="192.0.2.7")
        return await center.call(GATEWAY, "RelayPublisher", request)

    async with sending(clip_track(make_clip(frames=60, gop=15)), opened) as (connection, publication):
        assert publication.etag
        asked = {"camera_id": "b9", "publisher_id": publication.publisher_id}

        async def by_key(fragment: str, etag: str = "*", key: str = "right-key") -> Any:
            request = pb.RelayPublisherRequest(**asked, publish_key=key, sdp_fragment=fragment, etag=etag, only_check=True)
            return await center.call(GATEWAY, "RelayPublisher", request)

        async def patch(fragment: str) -> str:
            answer = await by_key(fragment)
            assert answer.etag != publication.etag
            return str(answer.sdp_fragment)

        await segments(time.time())
        for refused, error in ((by_key(RESTART, key="wrong-key"), Unauthenticated), (by_key("x"), InvalidInput)):
            with pytest.raises(error):
                await refused
        with pytest.raises(NotFound):
            # what a device sends is no person's
            await center.call(OFFICER, "UpdatePublisher", pb.UpdatePublisherRequest(**asked, etag="*", sdp_fragment=RESTART))
        assert (await by_key(CANDIDATE, publication.etag)).sdp_fragment == ""
        async with restarted(connection) as agent:
            roamed_s = time.time()
            await agent.connect(patch)
            with pytest.raises(Conflict):
                await by_key(CANDIDATE, publication.etag)
            after = await segments(roamed_s + 1)
            gaps = [round(later[0] - earlier[1], 3) for earlier, later in pairwise(after)]
            assert after[0][0] < roamed_s
            assert max(gaps) < 0.1, f"the recording has gaps: {gaps}"
            assert not [gap for gap in (await listed()).gaps if gap.started_at.ToNanoseconds() / 1e9 > after[0][0]]


async def test_a_person_restarts_what_that_person_sends(center: Center, make_clip: Any, clip_track: Any) -> None:
    body = Camera(camera_id="b8", agency_id="east", name="Phone 8", enabled=True, has_stream=True, published=True)
    await center.store("camera", "east", "b8", body)
    listed = pb.ListCameraHealthRequest()
    await center.until(OFFICER, "ListCameraHealth", listed, lambda answer: any(one.camera_id == "b8" for one in answer.cameras))

    async def opened(offer: str) -> Any:
        return await center.call(OFFICER, "OpenPublisher", pb.OpenPublisherRequest(camera_id="b8", offer_sdp=offer))

    async with sending(clip_track(make_clip(frames=60, gop=30)), opened) as (_, publication):
        request = pb.UpdatePublisherRequest(camera_id="b8", publisher_id=publication.publisher_id, etag="*", sdp_fragment=RESTART)
        with pytest.raises(NotFound):
            await center.call(person("east", "officer", name="Somebody Else"), "UpdatePublisher", request)
        answer = await center.call(OFFICER, "UpdatePublisher", request)
        assert f"a=ice-ufrag:{answer.etag}\r\n" in answer.sdp_fragment
        request.etag, request.sdp_fragment = publication.etag, CANDIDATE
        with pytest.raises(Conflict):
            await center.call(OFFICER, "UpdatePublisher", request)
