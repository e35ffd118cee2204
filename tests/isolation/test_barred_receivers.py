"""R19: what an agency bars from a receiver ends at once, in every service, whatever their agreement says."""

import time

import grpc

from proof.platform import RunningPlatform, rule_named, until
from proof.requests import OFFER
from proof.world import World, add_agency
from rtcc.exchange.v1 import exchange_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import video_pb2
from rtcc_chassis.testing import SOAK

BARRING, BARRED = "echo-north", "echo-south"


async def test_a_bar_takes_cameras_and_shared_alerts_from_the_receiver(platform: RunningPlatform, world: World) -> None:
    for agency_id in (BARRING, BARRED):
        await add_agency(world, agency_id)
    camera_id = await world.camera(BARRING)
    await world.agreement(BARRING, BARRED, camera_ids=[camera_id], cameras_live=True, alert_kinds=["gunshot"])
    rule, request = rule_named("OpenViewer"), video_pb2.OpenViewerRequest(camera_id=camera_id, offer_sdp=OFFER)
    partner = platform.metadata(world.scope(BARRED, "operator"))

    answers: list[object] = []

    async def seen() -> bool:
        answer = await platform.call(rule, request, partner)
        answers[:] = [answer]
        # rights are decided first: that this camera doesn't answer is said to those alone who may see it, and soon it is known
        return answer.code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)

    try:
        await until(seen, deadline_s=30)
    except AssertionError:
        raise AssertionError(answers) from None
    cameras, everything = exchange_pb2.ListSharedCamerasRequest(), world.everything(BARRED)

    async def shared() -> int:
        return len((await platform.ask("ListSharedCameras", everything, cameras)).cameras)

    assert await shared()
    agency = registry_pb2.Agency(
        agency_id=BARRING, name="Echo North", time_zone="UTC", enabled=True, jurisdiction="US-CA", barred_receivers=["federal"]
    )
    await platform.ask("UpdateAgency", world.scope(BARRED, "platform_operator"), registry_pb2.UpdateAgencyRequest(agency=agency))

    async def gone() -> bool:
        refused = (await platform.call(rule, request, partner)).code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND)
        return refused and not await shared()

    changed_s = time.monotonic()
    await until(gone)
    assert not SOAK or time.monotonic() - changed_s < 5
    for log in (BARRING, BARRED):
        await platform.audit.find(lambda entry, log=log: entry.agency_id == log and entry.action == "agreement.bar")  # type: ignore[misc] # the log of this round
