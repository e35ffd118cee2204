"""The whole service over real gRPC, NATS and PostgreSQL, with aiortc as the browser and a real RTSP camera."""

import dataclasses
from datetime import UTC, timedelta
from typing import Any

import pytest

from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc.ledger.v1.ledger_pb2 import OUTCOME_DENIED
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_REVOKED, Person
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import (
    Conflict,
    Exhausted,
    InvalidInput,
    NotFound,
    PurposeRequired,
    Refused,
    Unavailable,
)
from rtcc_chassis.testing import person, poll

from .center import OPERATOR, PARTNER, Center, closed, frames


async def test_an_operator_watches_an_own_camera_and_the_log_says_how_long(center: Center) -> None:
    async with center.watching(OPERATOR) as (connection, viewer_id):
        assert (await frames(connection)).width == 320
        viewers = await center.call(person("east", "supervisor", name="Boss"), "ListViewers", pb.ListViewersRequest())
        assert [(viewer.viewer_id, viewer.viewer_name, viewer.agreement_id) for viewer in viewers.viewers] == [
            (viewer_id, "East Operator", "")
        ]
        request = pb.CloseViewerRequest(camera_id="c1", viewer_id=viewer_id)
        with pytest.raises(NotFound):
            await center.call(person("east", "operator", name="Somebody Else"), "CloseViewer", request)
        await center.call(OPERATOR, "CloseViewer", request)
        await closed(connection)
        with pytest.raises(NotFound):
            await center.call(OPERATOR, "CloseViewer", request)
    opened = await center.audited("camera.view_live", agency_id="east")
    assert list(opened.object_ids) == ["camera:c1"]
    ended = await center.audited("camera.view_ended", agency_id="east")  # R9: object, session, bytes
    assert list(ended.object_ids) == ["camera:c1"]
    assert ended.bytes_out > 1000
    assert ended.session_id == "test-session"
    assert "client left" in ended.reason


async def test_a_view_is_updated_by_its_own_viewer_while_the_right_lasts(center: Center) -> None:
    restart = "a=ice-ufrag:Zz9c\r\na=ice-pwd:9mN6yDJrjHQ4sYbnQm3kQ1Aq\r\n"
    await center.grant()
    await center.until(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    async with center.watching(PARTNER) as (connection, viewer_id):
        await frames(connection)
        request = pb.UpdateViewerRequest(camera_id="c1", viewer_id=viewer_id, etag="*", sdp_fragment=restart)
        for stranger in (OPERATOR, person("west", "operator", name="Other", purpose="stolen vehicle", case_number="W-1")):
            with pytest.raises(NotFound):
                await center.call(stranger, "UpdateViewer", request)
        updated = await center.call(PARTNER, "UpdateViewer", request)
        assert f"a=ice-ufrag:{updated.etag}" in updated.sdp_fragment
        with pytest.raises(Conflict):
            await center.call(PARTNER, "UpdateViewer", pb.UpdateViewerRequest(camera_id="c1", viewer_id=viewer_id, etag="older"))
        with pytest.raises(InvalidInput):
            await center.call(
                PARTNER, "UpdateViewer", pb.UpdateViewerRequest(camera_id="c1", viewer_id=viewer_id, etag="*", sdp_fragment="x")
            )
        await frames(connection, 10)


async def test_no_answer_holds_the_cameras_account(center: Center) -> None:
    request = pb.ListCameraHealthRequest()
    health = await center.until(OPERATOR, "ListCameraHealth", request, lambda answer: any(c.reason for c in answer.cameras))
    assert "hidden-secret" not in str(health)
    assert {camera.camera_id for camera in health.cameras} == {"c1", "c2", "c3"}
    states = await center.until(
        OPERATOR, "ListCameraHealth", request, lambda a: [c.state for c in a.cameras if c.camera_id != "c3"] == [pb.CAMERA_STATE_LIVE] * 2
    )
    live = next(camera for camera in states.cameras if camera.camera_id == "c1")
    assert (live.width_px, live.height_px) == (320, 240)
    assert next(camera for camera in states.cameras if camera.camera_id == "c3").state == pb.CAMERA_STATE_FAILED
    with pytest.raises(Unavailable) as failure:
        await center.call(OPERATOR, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c3"))
    assert "can't be reached" in failure.value.message
    assert "hidden-secret" not in failure.value.message
    with pytest.raises(Unavailable) as failure:
        async with center.watching(OPERATOR, "c3"):
            pass
    assert "can't be reached" in failure.value.message


async def test_a_partner_sees_only_what_is_granted_and_only_with_a_purpose(center: Center) -> None:
    snapshot = pb.GetSnapshotRequest(camera_id="c1")
    with pytest.raises(Refused):
        await center.call(PARTNER, "GetSnapshot", snapshot)
    with pytest.raises(Refused):
        async with center.watching(PARTNER):
            pass
    refusal = await center.audited("camera.view_live", agency_id="east", outcome=OUTCOME_DENIED)  # R8: the owner sees who was turned away
    assert refusal.principal_agency_id == "west"
    assert not (await center.call(PARTNER, "ListCameraHealth", pb.ListCameraHealthRequest())).cameras
    await center.grant()
    await center.until(PARTNER, "GetSnapshot", snapshot)
    asked = utc_now()
    picture = await center.call(PARTNER, "GetSnapshot", snapshot)
    assert picture.jpeg.startswith(b"\xff\xd8")
    assert asked - timedelta(seconds=5) < picture.taken_at.ToDatetime(UTC) <= utc_now()
    with pytest.raises(PurposeRequired):  # R18, R21
        await center.call(person("west", "operator"), "GetSnapshot", snapshot)
    with pytest.raises(Refused):
        await center.call(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c2"))
    health = await center.until(PARTNER, "ListCameraHealth", pb.ListCameraHealthRequest(), lambda answer: len(answer.cameras))
    assert [camera.camera_id for camera in health.cameras] == ["c1"]
    assert not (await center.call(person("west", "supervisor"), "ListViewers", pb.ListViewersRequest())).viewers


async def test_a_revoked_agreement_ends_the_partners_view_within_five_seconds(center: Center) -> None:
    await center.grant()
    await center.until(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    async with center.watching(PARTNER) as (partner, _), center.watching(OPERATOR) as (own, _):
        await frames(partner)
        await frames(own)
        await center.grant(status=AGREEMENT_STATUS_REVOKED)
        revoked = utc_now()
        await closed(partner)
        ended_s = await center.ended_after_s(revoked, agency_id="east", agreement_id="a1")
        print(f"the partner's view ended {ended_s * 1000:.0f} ms after the directory took the revocation")
        assert ended_s < 5.0
        await frames(own, 10)
        with pytest.raises(Refused):
            async with center.watching(PARTNER):
                pass
    for log in ("east", "west"):
        ended = await center.audited("camera.view_ended", agency_id=log, agreement_id="a1")
        assert "right revoked" in ended.reason
        assert (ended.owner_agency_id, ended.principal_agency_id) == ("east", "west")


async def test_an_agreement_that_runs_out_or_loses_the_camera_ends_the_view(center: Center) -> None:
    for change in ("narrowed", "ended"):
        await center.grant()
        await center.until(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
        async with center.watching(PARTNER) as (partner, _):
            await frames(partner)
            agreement = await center.grant()
            if change == "narrowed":
                agreement.camera_ids[:] = ["c2"]
            else:
                agreement.valid_until.FromDatetime(utc_now() + timedelta(seconds=1))
            await center.store("agreement", "east", "a1", agreement)
            await closed(partner)


async def test_cameras_granted_during_an_alert_close_with_it(center: Center) -> None:
    await center.grant(cameras_only_during_alert=True)
    with pytest.raises(Refused):
        await center.call(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    await center.store("shared_alert", "east", "a1_alert-1", SharedAlert(agreement_id="a1", grantee_agency_id="west"))
    await center.until(PARTNER, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    async with center.watching(PARTNER) as (partner, _):
        await frames(partner)
        await center.store("shared_alert", "east", "a1_alert-1", None)
        await closed(partner)


async def test_a_disabled_person_and_a_removed_camera_lose_the_picture(center: Center) -> None:
    async with center.watching(OPERATOR) as (connection, _):
        await frames(connection)
        disabled = Person(person_id=OPERATOR.principal_id, agency_id="east", roles=["operator"], enabled=False)
        await center.store("person", "east", OPERATOR.principal_id, disabled)
        await closed(connection)
    other = person("east", "operator", name="Another")
    async with center.watching(other, "c2") as (connection, _):
        await frames(connection)
        await center.store("camera", "east", "c2", None)
        await closed(connection)
    with pytest.raises(NotFound):
        await center.call(other, "GetSnapshot", pb.GetSnapshotRequest(camera_id="c2"))


async def test_a_session_that_ends_or_locks_loses_its_pictures_and_no_other(center: Center) -> None:  # R3
    other = person("east", "operator", name="Another")
    other = dataclasses.replace(other, session_id="other-session")
    async with center.watching(OPERATOR) as (ending, _), center.watching(other) as (staying, _):
        await frames(ending)
        await center.context.bus.publish_core("gateway.session", b"not json")
        await center.context.bus.publish_core("gateway.session", b'{"session_id": "other-session", "reason": ""}')
        await center.context.bus.publish_core("gateway.session", b'{"session_id": "test-session", "reason": "locked"}')
        await closed(ending)
        await frames(staying, 10)


async def test_bad_requests_are_named_and_limits_hold(center: Center) -> None:
    with pytest.raises(InvalidInput) as failure:
        await center.call(OPERATOR, "OpenViewer", pb.OpenViewerRequest(camera_id="c1", offer_sdp="hello"))
    assert failure.value.violations[0].field == "offer_sdp"
    with pytest.raises(InvalidInput):
        await center.call(OPERATOR, "OpenViewer", pb.OpenViewerRequest(camera_id="c1", offer_sdp="v=0\r\n" + "a=x\r\n" * 20_000))
    with pytest.raises(NotFound):
        await center.call(OPERATOR, "GetSnapshot", pb.GetSnapshotRequest(camera_id="nowhere"))
    with pytest.raises(Refused):
        await center.call(person("east", "auditor"), "GetSnapshot", pb.GetSnapshotRequest(camera_id="c1"))
    async with center.watching(OPERATOR), center.watching(OPERATOR), center.watching(OPERATOR):
        with pytest.raises(Exhausted):
            async with center.watching(OPERATOR):
                pass


async def test_health_is_told_on_the_agencys_subject(center: Center) -> None:
    heard: list[pb.CameraHealth] = []

    async def on_health(message: Any) -> None:
        heard.append(pb.CameraHealth.FromString(message.data))

    await center.context.bus.subscribe_core("camera_health.east", on_health)

    async def told() -> bool:
        return any(health.camera_id == "c1" and health.viewers == 1 and health.state == pb.CAMERA_STATE_LIVE for health in heard)

    async with center.watching(OPERATOR) as (connection, _):
        await frames(connection)
        await poll(told)
