"""Who may hear: the owner's own desk where sound is allowed, nobody else; and what ends it while the pictures go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtcc.ledger.v1.ledger_pb2 import OUTCOME_DENIED
from rtcc.registry.v1.registry_pb2 import Person
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.errors import Conflict, NotFound, Refused
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import person, poll

from .center import OPERATOR, PARTNER, Center, frames


@asynccontextmanager
async def hearing(
    center: Center, scope: Scope, *, sound: bool = False
) -> AsyncIterator[tuple[RTCPeerConnection, pb.SetViewerSoundRequest]]:
    """A view of c1 whose offer takes sound too, and how to switch that on."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver("video", direction="recvonly")
        connection.addTransceiver("audio", direction="recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        request = pb.OpenViewerRequest(camera_id="c1", offer_sdp=connection.localDescription.sdp, sound=sound)
        opened = await center.call(scope, "OpenViewer", request)
        assert "m=audio 0 " not in opened.answer_sdp
        await connection.setRemoteDescription(RTCSessionDescription(opened.answer_sdp, "answer"))
        yield connection, pb.SetViewerSoundRequest(camera_id="c1", viewer_id=opened.viewer_id, on=True)
        # one that hasn't connected yet can't say goodbye by itself
        await center.call(scope, "CloseViewer", pb.CloseViewerRequest(camera_id="c1", viewer_id=opened.viewer_id))
    finally:
        await connection.close()


async def allowed(center: Center) -> None:
    await center.allow_sound()
    await center.until(
        OPERATOR, "ListCameraHealth", pb.ListCameraHealthRequest(), lambda answer: any(c.sound_allowed for c in answer.cameras)
    )


async def until_heard(center: Center, heard: bool) -> None:
    """Waits until somebody, or nobody, hears one of the agency's cameras."""
    supervisor = person("east", "supervisor")
    await center.until(
        supervisor,
        "ListViewers",
        pb.ListViewersRequest(),
        lambda answer: any(viewer.sound for viewer in answer.viewers) == heard,
        deadline_s=30,
    )


async def test_nobody_hears_where_sound_is_not_allowed(center: Center) -> None:
    async with center.watching(OPERATOR) as (connection, viewer_id):
        request = pb.SetViewerSoundRequest(camera_id="c1", viewer_id=viewer_id, on=True)
        with pytest.raises(Conflict, match="can't be heard"):
            await center.call(OPERATOR, "SetViewerSound", request)
        # and a view that was opened before stays as it is when sound is allowed
        await allowed(center)
        with pytest.raises(Conflict, match="Open it anew"):
            await center.call(OPERATOR, "SetViewerSound", request)
        await frames(connection)
        with pytest.raises(NotFound):
            await center.call(replace(OPERATOR, principal_id="another"), "SetViewerSound", request)
        with pytest.raises(Conflict):
            async with center.watching(OPERATOR, sound=True):
                pass
    await until_heard(center, False)


async def test_the_desk_hears_and_the_log_says_so(center: Center) -> None:
    await allowed(center)
    for role in ("operator", "supervisor", "dispatcher"):
        scope = person("east", role)
        async with hearing(center, scope) as (_, request):
            await until_heard(center, False)
            await center.call(scope, "SetViewerSound", request)
            await until_heard(center, True)
            entry = await center.audited("camera.listen", agency_id="east", principal_id=scope.principal_id)
            assert entry.new_value == '{"sound":true}' and "camera:c1" in entry.object_ids
    async with hearing(center, OPERATOR, sound=True) as (connection, _):
        await until_heard(center, True)
        async with asyncio.timeout(30):
            for _ in range(50):
                await connection.getReceivers()[1].track.recv()

    async def written() -> bool:
        return any(entry.action == "camera.view_ended" and "; heard for " in entry.reason for entry in center.audit)

    await poll(written, deadline_s=30)


@pytest.mark.parametrize("role", ["officer", "investigator"])
async def test_who_may_see_may_not_therefore_hear(center: Center, role: str) -> None:
    await allowed(center)
    scope = person("east", role)
    async with center.watching(scope) as (_, viewer_id):
        with pytest.raises(Refused):
            await center.call(scope, "SetViewerSound", pb.SetViewerSoundRequest(camera_id="c1", viewer_id=viewer_id, on=True))
    with pytest.raises(Refused):
        async with center.watching(scope, sound=True):
            pass


async def test_a_partner_sees_and_hears_nothing(center: Center) -> None:
    await allowed(center)
    await center.grant()
    await center.until(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    with pytest.raises(Refused):
        async with center.watching(PARTNER, sound=True):
            pass
    async with center.watching(PARTNER) as (connection, viewer_id):
        with pytest.raises(Refused):
            await center.call(PARTNER, "SetViewerSound", pb.SetViewerSoundRequest(camera_id="c1", viewer_id=viewer_id, on=True))
        refusal = await center.audited("camera.listen", agency_id="east", outcome=OUTCOME_DENIED)
        assert refusal.principal_agency_id == "west"
        await frames(connection)
    (health,) = (await center.call(PARTNER, "ListCameraHealth", pb.ListCameraHealthRequest())).cameras
    assert not health.sound_allowed


async def test_a_right_that_ends_takes_the_sound_and_leaves_the_pictures(center: Center) -> None:
    await allowed(center)
    officer = Person(person_id=OPERATOR.principal_id, agency_id="east", roles=["officer"], enabled=True)
    operator = Person(person_id=OPERATOR.principal_id, agency_id="east", roles=["operator"], enabled=True)
    async with hearing(center, OPERATOR) as (connection, request):
        await center.call(OPERATOR, "SetViewerSound", request)
        await until_heard(center, True)
        # how the page learns that its sound is off, though its pictures go on
        shown = pb.UpdateViewerRequest(camera_id="c1", viewer_id=request.viewer_id, shown_width_px=640)
        assert (await center.call(OPERATOR, "UpdateViewer", shown)).hears
        await center.store("person", "east", OPERATOR.principal_id, officer)
        await until_heard(center, False)
        assert not (await center.call(OPERATOR, "UpdateViewer", shown)).hears
        await frames(connection, 20)
        await center.store("person", "east", OPERATOR.principal_id, operator)
        await center.until(OPERATOR, "SetViewerSound", request, lambda answer: answer is not None)
        await until_heard(center, True)
        # the agency takes it back
        await center.allow_sound(agency=False)
        await until_heard(center, False)
        await frames(connection, 20)
        with pytest.raises(Conflict):
            await center.call(OPERATOR, "SetViewerSound", request)
