"""Two and three real relays: one pull of each camera, and what happens when one of them is killed, cut off or stopped."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, AGREEMENT_STATUS_REVOKED, Agreement
from rtcc.video.v1 import footage_pb2, hls_pb2, relay_pb2
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import InvalidInput, NotFound, Refused, RtccError, Unavailable
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import SOAK, Servers, person, poll, test_platform

from .relay_crew import CAMERAS, OPERATOR, Crew, crew_of

CHIEF = person("east", "administrator", name="Chief")
INVESTIGATOR = person("east", "investigator", "operator", name="Looker", purpose="theft", case_number="E-1")
SUPERVISOR = person("east", "supervisor", name="Boss")
TAKE = relay_pb2.TakeStreamRequest(camera_id="c1", stream_id="main", relay_id="0" * 16)
EAST = Scope.service("video", "east")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crew(servers: Servers, make_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crew]:
    """Two relays at least: who kills one starts another."""
    await servers.s3_endpoint()
    async with (
        test_platform(servers) as platform,
        crew_of(platform, make_clip(frames=30, gop=15), tmp_path_factory.mktemp("crew")) as found,
    ):
        await found.start(2)
        for camera_id in CAMERAS:
            await found.sessions(camera_id, 1)
        yield found


async def test_a_camera_is_pulled_once_and_seen_at_every_relay(crew: Crew) -> None:
    origin, edge = crew.origin("c1"), crew.edge("c1")
    async with crew.watching(origin, "c1") as near, crew.watching(edge, "c1") as far:
        await near.sees()
        await far.sees()
        assert far.width == 320
        await crew.sessions("c1", 1)
        for relay_id in (origin, edge):
            viewers = await crew.call(relay_id, SUPERVISOR, "ListViewers", pb.ListViewersRequest())
            assert sorted(viewer.viewer_id for viewer in viewers.viewers) == sorted([near.viewer_id, far.viewer_id])
            health = await crew.until(
                relay_id,
                OPERATOR,
                "ListCameraHealth",
                pb.ListCameraHealthRequest(),
                lambda answer: any(one.camera_id == "c1" and one.viewers == 2 for one in answer.cameras),
            )
            assert {one.camera_id for one in health.cameras} == {*CAMERAS, "body"}
            picture = await crew.call(relay_id, OPERATOR, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
            assert picture.jpeg.startswith(b"\xff\xd8")
        assert far.viewer_id.startswith(f"{edge}.")
        with pytest.raises(NotFound):
            await crew.call(origin, OPERATOR, "CloseViewer", pb.CloseViewerRequest(camera_id="c1", viewer_id=far.viewer_id))
        await crew.call(edge, OPERATOR, "CloseViewer", pb.CloseViewerRequest(camera_id="c1", viewer_id=far.viewer_id))
        # over HTTPS too, from the relay where the view was opened
        opened = await crew.call(edge, OPERATOR, "OpenHlsViewer", hls_pb2.OpenHlsViewerRequest(camera_id="c1"), "Hls")
        assert opened.viewer_id.startswith(f"{edge}.")
        wanted = hls_pb2.GetHlsPlaylistRequest(camera_id="c1", viewer_id=opened.viewer_id, hls_msn=1)
        assert b"#EXTINF" in (await crew.call(edge, OPERATOR, "GetHlsPlaylist", wanted, "Hls")).media
        with pytest.raises(NotFound):
            await crew.call(origin, OPERATOR, "GetHlsPlaylist", wanted, "Hls")
        await crew.call(edge, OPERATOR, "CloseViewer", pb.CloseViewerRequest(camera_id="c1", viewer_id=opened.viewer_id))
        await crew.sessions("c1", 1)


async def test_only_the_video_service_for_the_cameras_own_agency_takes_a_stream_and_only_from_its_origin(crew: Crew) -> None:
    origin, edge = crew.origin("c1"), crew.edge("c1")
    for scope in (Scope.service("video", "west"), Scope.service("exchange", "east"), OPERATOR):
        with pytest.raises(Refused):
            await crew.call(origin, scope, "TakeStream", TAKE, "Relay")
    with pytest.raises(Unavailable):
        await crew.call(edge, EAST, "TakeStream", TAKE, "Relay")
    with pytest.raises(InvalidInput):
        await crew.call(origin, EAST, "TakeStream", relay_pb2.TakeStreamRequest(camera_id="c1", relay_id="x" * 100), "Relay")
    with pytest.raises(NotFound):
        await crew.call(origin, EAST, "TakeStream", relay_pb2.TakeStreamRequest(camera_id="c1", stream_id="none", relay_id="x"), "Relay")
    answer = await crew.call(origin, EAST, "TakeStream", TAKE, "Relay")
    host, _, port = answer.cascade_address.rpartition(":")

    async def taken(first: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(first)
        try:
            async with asyncio.timeout(30):
                return await reader.read(100)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    assert await taken(b"\x00" * 32) == b""
    assert (await taken(answer.ticket))[:1] == b"\x01"
    assert await taken(answer.ticket) == b"", "a ticket is good for one connection"


async def test_a_revoked_agreement_ends_a_partners_view_at_any_relay_within_five_seconds(crew: Crew) -> None:
    partner = person("west", "operator", name="West Operator", purpose="stolen vehicle", case_number="W-1")
    agreement = Agreement(
        agreement_id="a1", grantor_agency_id="east", grantee_agency_id="west", status=AGREEMENT_STATUS_ACTIVE, camera_ids=["c1"],
        cameras_live=True,
    )  # fmt: skip
    await crew.put("agreement", "a1", agreement)
    async with crew.watching(crew.edge("c1"), "c1", partner) as far, crew.watching(crew.edge("c1"), "c1") as own:
        await far.sees()
        agreement.status = AGREEMENT_STATUS_REVOKED
        await crew.put("agreement", "a1", agreement)

        async def closed() -> bool:
            return far.connection.connectionState in ("closed", "failed")

        await poll(closed, deadline_s=5 if SOAK else 30)
        await own.sees()


async def test_who_publishes_to_any_relay_is_seen_at_every_relay(crew: Crew, make_clip: Any, clip_track: Any) -> None:
    hashed = crew.origin("body")
    other = next(relay_id for relay_id in crew.members.live() if relay_id != hashed)
    with pytest.raises(Unavailable):
        async with asyncio.timeout(30):
            await crew.call(hashed, OPERATOR, "GetSnapshot", pb.GetSnapshotRequest(camera_id="body"))
    async with crew.publishing(other, clip_track(make_clip(frames=60, gop=30))) as publisher:
        assert publisher.publisher_id.startswith(f"{other}.")
        async with crew.watching(hashed, "body") as far, crew.watching(other, "body") as near:
            await near.sees()
            await far.sees()
            # it comes back on another network, to another relay, before its old connection is known to be dead
            async with crew.publishing(hashed, clip_track(make_clip(frames=60, gop=30))):

                async def taken_over() -> bool:
                    first, second = crew.members.get(other), crew.members.get(hashed)
                    return first is not None and second is not None and (first.publishing, second.publishing) == (set(), {"body"})

                await poll(taken_over, deadline_s=30)
                await near.sees(30)
                await far.sees(30)


async def test_a_relay_that_stands_still_loses_its_cameras_and_gets_them_back(crew: Crew) -> None:
    origin = crew.origin("c2")
    other = crew.edge("c2")
    crew.kill(origin, signal.SIGSTOP)
    try:
        await crew.gone(origin)
        async with crew.watching(other, "c2") as viewer:
            await viewer.sees()
    finally:
        crew.kill(origin, signal.SIGCONT)

    async def back() -> bool:
        return crew.members.get(origin) is not None

    await poll(back, deadline_s=30)
    assert crew.origin("c2") == origin
    for camera_id in CAMERAS:
        await crew.sessions(camera_id, 1)


@contextlib.asynccontextmanager
async def forwarded(port: int) -> AsyncIterator[tuple[int, Callable[[], Awaitable[None]]]]:
    """A TCP port that leads to another one of this machine, and what cuts it: open connections break, new ones aren't taken."""
    writers: set[asyncio.StreamWriter] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.update((writer, far_writer))
        await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)

    async def cut() -> None:
        server.close()
        for writer in writers:
            writer.transport.abort()

    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        await cut()


async def test_a_relay_that_is_cut_off_from_nats_lets_go_of_its_cameras_and_records_no_more(crew: Crew) -> None:
    nats = urlsplit(crew.platform.nats_url)
    assert nats.port is not None
    async with forwarded(nats.port) as (port, cut):
        relay_id = (await crew.start(nats_url=f"nats://127.0.0.1:{port}"))[0]
        camera_id = await crew.camera_of(relay_id)
        policy = footage_pb2.RecordingPolicy(camera_id=camera_id, mode=footage_pb2.RECORDING_MODE_CONTINUOUS, keep_s=86_400)
        await crew.call(relay_id, CHIEF, "SetRecordingPolicy", footage_pb2.SetRecordingPolicyRequest(policy=policy), "Footage")
        await poll(lambda: recorded_from(crew, camera_id, 0.0), deadline_s=30)
        edge = crew.edge(camera_id)
        async with crew.watching(edge, camera_id) as elsewhere, crew.watching(relay_id, camera_id) as viewer:
            await elsewhere.sees()
            await viewer.sees()
            await cut()
            cut_s = time.monotonic()
            await crew.gone(relay_id)

            async def taken_over() -> bool:
                return await recorders(crew, camera_id) == [crew.origin(camera_id)]

            await poll(taken_over, deadline_s=40)
            # and the one that is cut off has let go
            await crew.sessions("spare", 1)
            let_go_s, let_go_at = time.monotonic() - cut_s, time.time()
            print(f"let go after {let_go_s:.1f} s")
            assert not SOAK or let_go_s < 12
            # who watches at either goes on: the one that is cut off takes the pictures from the other
            await viewer.sees(10)
            await elsewhere.sees(10)
            await crew.sessions("spare", 1)

            async def went_on() -> list[tuple[float, float]]:
                found = await recorded_from(crew, camera_id, let_go_at + 1.5)
                return found if len(found) >= 3 else []

            segments = await poll(went_on, deadline_s=30)
            assert all(later[0] > earlier[1] - 0.1 for earlier, later in pairwise(segments)), f"a moment was recorded twice: {segments}"
    await crew.register(camera_id, enabled=False)
    await crew.sessions("spare", 0)


async def recorders(crew: Crew, camera_id: str) -> list[str]:
    """The relays that live and record the camera."""
    found = []
    for relay_id in crew.members.live():
        try:
            told = await crew.call(relay_id, EAST, "DescribeRelay", relay_pb2.DescribeRelayRequest(), "Relay")
        except RtccError:
            # it has ended, and NATS doesn't say so yet
            continue
        states = {one.camera_id: one.state for one in told.recordings}
        found += [relay_id] * (states.get(camera_id) == footage_pb2.RECORDING_STATE_RECORDING)
    return found


async def recorded_from(crew: Crew, camera_id: str, since: float) -> list[tuple[float, float]]:
    """Begin and end of what is kept, by whichever relay, as far as it begins after this moment."""
    request = footage_pb2.ListFootageRequest(camera_id=camera_id)
    request.starts_at.FromDatetime(utc_now() - timedelta(minutes=5))
    request.ends_at.FromDatetime(utc_now())
    answer = footage_pb2.ListFootageResponse()
    for relay_id in crew.members.live():
        # one that has ended and that NATS still names can't be asked
        with contextlib.suppress(RtccError):
            answer = await crew.call(relay_id, INVESTIGATOR, "ListFootage", request, "Footage")
            break
    moments = [(one.started_at.ToNanoseconds() / 1e9, one.ended_at.ToNanoseconds() / 1e9) for one in answer.segments]
    return sorted(moment for moment in moments if moment[0] > since)


async def test_a_killed_origins_camera_is_seen_again_within_three_seconds_and_recorded_by_another_relay(crew: Crew) -> None:
    await crew.start()
    await crew.sessions("c3", 1)
    policy = footage_pb2.RecordingPolicy(camera_id="c3", mode=footage_pb2.RECORDING_MODE_CONTINUOUS, keep_s=86_400)
    await crew.call(crew.edge("c3"), CHIEF, "SetRecordingPolicy", footage_pb2.SetRecordingPolicyRequest(policy=policy), "Footage")

    async def begun() -> bool:
        return len(await recorded_from(crew, "c3", 0.0)) >= 2

    await poll(begun, deadline_s=30)
    origin = crew.origin("c3")

    async def by_the_origin_alone() -> bool:
        return await recorders(crew, "c3") == [origin]

    await poll(by_the_origin_alone, deadline_s=30)
    listed = await crew.call(crew.edge("c3"), INVESTIGATOR, "ListRecording", footage_pb2.ListRecordingRequest(), "Footage")
    assert {one.camera_id: one.state for one in listed.cameras}["c3"] == footage_pb2.RECORDING_STATE_RECORDING
    edge = crew.edge("c3")
    async with crew.watching(edge, "c3") as viewer:
        await viewer.sees()
        crew.kill(origin)
        killed_s, killed_at = time.monotonic(), time.time()
        await crew.gone(origin)
        lost_s = time.monotonic()
        # a viewer that was at the lost relay comes to another one
        async with crew.watching(edge, "c3", person("east", "operator", name="Another")) as moved:
            await moved.sees(1)
            moved_s = moved.arrivals[0] - killed_s
        await viewer.sees(1)
        stayed_s = next(moment for moment in viewer.arrivals if moment > lost_s) - killed_s
        print(f"lost after {lost_s - killed_s:.2f} s; pictures for who stayed after {stayed_s:.2f} s, for who moved after {moved_s:.2f} s")
        assert not SOAK or max(stayed_s, moved_s) < 3.0
    for camera_id in CAMERAS:
        await crew.sessions(camera_id, 1)

    async def went_on() -> list[tuple[float, float]]:
        found = await recorded_from(crew, "c3", 0.0)
        return found if sum(started > killed_at for started, _ in found) >= 2 else []

    segments = await poll(went_on, deadline_s=30)
    assert all(later[0] > earlier[1] - 0.1 for earlier, later in pairwise(segments)), (
        f"a moment was recorded twice: {segments}, killed at {killed_at}"
    )

    async def by_one() -> bool:
        return len(await recorders(crew, "c3")) == 1

    await poll(by_one, deadline_s=30)


async def test_a_stopped_relay_gives_up_its_cameras_and_no_picture_is_missed(crew: Crew) -> None:
    await crew.start()
    origin = crew.origin("c1")
    process, other = crew.processes[origin], crew.edge("c1")
    async with crew.watching(origin, "c1") as viewer, crew.watching(other, "c1") as elsewhere:
        await viewer.sees()
        await elsewhere.sees()
        stopped_s = time.monotonic()
        crew.kill(origin, signal.SIGTERM)

        async def drains() -> bool:
            relay = crew.members.get(origin)
            return relay is not None and relay.draining

        await poll(drains, deadline_s=20)
        # as the console does: a new view beside the old one, which is let go when the new one has a picture
        async with crew.watching(crew.origin("c1"), "c1") as moved:
            await moved.sees(1)
            # the old view goes on until the new one has a picture
            await viewer.sees(1)
            with contextlib.suppress(RtccError):
                await crew.call(origin, OPERATOR, "CloseViewer", pb.CloseViewerRequest(camera_id="c1", viewer_id=viewer.viewer_id))
            await moved.sees(10)
            await elsewhere.sees(10)
            gap_s = elsewhere.longest_gap_s(stopped_s)
            print(f"who watched at another relay missed {gap_s:.2f} s at most")
            assert not SOAK or gap_s < 1.0

        async def ended() -> bool:
            return process.poll() is not None

        await poll(ended, deadline_s=60)
        assert process.returncode == 0
        await crew.gone(origin)
        for camera_id in CAMERAS:
            await crew.sessions(camera_id, 1)


class Device:
    """A body camera that connects anew whenever its session ends, by way of a gateway: never to a relay that drains."""

    def __init__(self, crew: Crew, make_track: Callable[[], Any], first: str) -> None:
        self.sessions: list[tuple[str, float]] = []
        self._crew, self._make_track, self._next = crew, make_track, first

    async def run(self) -> None:
        while True:
            async with self._crew.publishing(self._next, self._make_track()) as publisher:
                self.sessions.append((self._next, time.monotonic()))

                async def ended(connection: Any = publisher.connection) -> bool:
                    return connection.connectionState in ("closed", "failed")

                await poll(ended, deadline_s=120)
            ready = [relay_id for relay_id, relay in self._crew.members.live().items() if not relay.draining]
            self._next = ready[0]


async def test_a_relay_that_drains_serves_who_sends_until_viewers_have_moved(crew: Crew, make_clip: Any, clip_track: Any) -> None:
    draining = (await crew.start())[0]
    process, clip = crew.processes[draining], make_clip(frames=60, gop=30)
    device = Device(crew, lambda: clip_track(clip), draining)
    sending = asyncio.create_task(device.run())
    try:
        far_id = next(relay_id for relay_id in crew.members.live() if relay_id != draining)
        async with crew.watching(far_id, "body") as far, crew.watching(draining, "body") as near:
            await near.sees()
            await far.sees()
            crew.kill(draining, signal.SIGTERM)

            async def drains() -> bool:
                relay = crew.members.get(draining)
                return relay is not None and relay.draining

            await poll(drains, deadline_s=20)
            drained_s = time.monotonic()
            # who watches there moves as the console does, beside the old view, and misses nothing
            async with crew.watching(far_id, "body") as moved:
                await moved.sees(1)
                await near.sees(1)
                await far.sees(1)
                assert not SOAK or max(near.longest_gap_s(drained_s), far.longest_gap_s(drained_s)) < 1.0
                assert len(device.sessions) == 1
                with contextlib.suppress(RtccError):
                    request = pb.CloseViewerRequest(camera_id="body", viewer_id=near.viewer_id)
                    await crew.call(draining, OPERATOR, "CloseViewer", request)

                async def came_again() -> bool:
                    return len(device.sessions) == 2

                await poll(came_again, deadline_s=60)
                await moved.sees(30)
                await far.sees(30)
                assert device.sessions[1][0] != draining
                gap_s = max(moved.longest_gap_s(drained_s), far.longest_gap_s(drained_s))
                print(f"while its device connected anew, {gap_s:.2f} s without a new picture")
                assert not SOAK or gap_s < 3.0

        async def ended() -> bool:
            return process.poll() is not None

        await poll(ended, deadline_s=60)
        assert process.returncode == 0
        assert len(device.sessions) == 2
        await crew.gone(draining)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_a_relay_that_is_cut_off_costs_its_cameras_one_more_session_and_no_picture(crew: Crew) -> None:
    # it lives, as NATS says, and can't be reached
    cut = (await crew.start(video_relay_address="127.0.0.77"))[0]
    camera_id = await crew.camera_of(cut)
    edge = crew.edge(camera_id)
    async with crew.watching(edge, camera_id) as viewer:
        await viewer.sees()
        await crew.sessions("spare", 2)
    # every relay that lives forgets a camera that is switched off, whoever took it
    await crew.register(camera_id, enabled=False)

    def gone(answer: Any) -> bool:
        return camera_id not in {one.camera_id for one in answer.cameras}

    await crew.until(edge, OPERATOR, "ListCameraHealth", pb.ListCameraHealthRequest(), gone)
    await crew.sessions("spare", 0)
