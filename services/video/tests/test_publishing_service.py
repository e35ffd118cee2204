"""Publishing over the whole service: real gRPC, NATS and PostgreSQL, aiortc as the device."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtcc.registry.v1.registry_pb2 import Camera, Person
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import (
    InvalidInput,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
)
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import person

from .center import OPERATOR, Center, Registry, closed, frames


@asynccontextmanager
async def sending(track: MediaStreamTrack, open_publisher: Any) -> AsyncIterator[tuple[RTCPeerConnection, Any]]:
    """aiortc publishes a track through `open_publisher(offer)`, which gives the answer."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver(track, direction="sendonly")
        await connection.setLocalDescription(await connection.createOffer())
        opened = await open_publisher(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(opened.answer_sdp, "answer"))
        yield connection, opened
    finally:
        await connection.close()


async def test_a_device_publishes_with_its_key_and_only_with_it(center: Center, make_clip: Any, clip_track: Any) -> None:
    gateway = Scope.platform("gateway")
    Registry.keys = {"b7": "right-key"}
    body = Camera(camera_id="b7", agency_id="east", name="Body 7", enabled=True, has_stream=True, published=True)
    await center.store("camera", "east", "b7", body)
    idle = pb.CAMERA_STATE_IDLE
    await center.until(
        OPERATOR,
        "ListCameraHealth",
        pb.ListCameraHealthRequest(),
        lambda a: any(c.camera_id == "b7" and c.state == idle for c in a.cameras),
    )
    with pytest.raises(Unavailable, match="Body 7 is not available"):
        await center.call(OPERATOR, "GetSnapshot", pb.GetSnapshotRequest(camera_id="b7"))

    def by_key(key: str, camera_id: str = "b7") -> Any:
        async def opened(offer: str) -> Any:
            request = pb.RelayPublisherRequest(camera_id=camera_id, publish_key=key, offer_sdp=offer, source_address="192.0.2.7")
            return await center.call(gateway, "RelayPublisher", request)

        return opened

    clip = make_clip(frames=60, gop=30)
    for key, camera_id in (("wrong-key", "b7"), ("", "b7"), ("right-key", "c1"), ("right-key", "nowhere")):
        with pytest.raises(Unauthenticated):
            async with sending(clip_track(clip), by_key(key, camera_id)):
                pass
    async with sending(clip_track(clip), by_key("right-key")) as (first, _), center.watching(OPERATOR, "b7") as (viewer, _):
        assert (await frames(viewer)).width == 320
        # the device came back by another network: the newest wins, whoever watches goes on
        async with sending(clip_track(clip), by_key("right-key")) as (second, opened):
            await closed(first)
            await frames(viewer, 10)
            with pytest.raises(NotFound):
                request = pb.RelayPublisherRequest(camera_id="b7", publish_key="right-key", publisher_id="another")
                await center.call(gateway, "RelayPublisher", request)
            # a new key ends who has the old one, without anybody touching the device
            Registry.keys = {"b7": "another-key"}
            body.publish_key_set_at.FromDatetime(utc_now())
            await center.store("camera", "east", "b7", body)
            await closed(second)
    ended = await center.audited("camera.publishing_ended", owner_agency_id="east")
    assert "by its key from 192.0.2.7" in ended.reason
    assert "right-key" not in str(center.audit)
    assert opened.publisher_id


async def test_an_officer_publishes_and_loses_it_with_the_right(center: Center, make_clip: Any, clip_track: Any) -> None:
    officer = person("east", "officer", name="Officer Seven")
    body = Camera(camera_id="b8", agency_id="east", name="Phone 8", enabled=True, has_stream=True, published=True)
    await center.store("camera", "east", "b8", body)
    await center.until(OPERATOR, "ListCameraHealth", pb.ListCameraHealthRequest(), lambda a: any(c.camera_id == "b8" for c in a.cameras))

    def as_person(scope: Scope, camera_id: str = "b8") -> Any:
        async def opened(offer: str) -> Any:
            return await center.call(scope, "OpenPublisher", pb.OpenPublisherRequest(camera_id=camera_id, offer_sdp=offer))

        return opened

    clip = make_clip(frames=60, gop=30)
    for scope, camera_id, error in (
        (person("east", "auditor"), "b8", Refused),
        (person("west", "officer", purpose="p", case_number="1"), "b8", Refused),
        (officer, "c1", InvalidInput),
    ):
        with pytest.raises(error):
            async with sending(clip_track(clip), as_person(scope, camera_id)):
                pass
    async with sending(clip_track(clip), as_person(officer)) as (connection, opened):
        async with center.watching(OPERATOR, "b8") as (viewer, _):
            await frames(viewer)
        with pytest.raises(NotFound):
            request = pb.ClosePublisherRequest(camera_id="b8", publisher_id=opened.publisher_id)
            await center.call(person("east", "officer", name="Somebody Else"), "ClosePublisher", request)
        await center.store(
            "person",
            "east",
            officer.principal_id,
            Person(person_id=officer.principal_id, agency_id="east", roles=["auditor"], enabled=True),
        )
        await closed(connection)
    assert "right revoked" in (await center.audited("camera.publishing_ended", principal_id=officer.principal_id)).reason
