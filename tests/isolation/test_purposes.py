"""R21: purposes that an agency bars are refused to its own people and to partners, whatever an agreement says."""

from dataclasses import replace

import grpc
import pytest

from proof.platform import RunningPlatform, rule_named, until
from proof.requests import OFFER
from proof.world import ROLES, World
from rtcc.intake.v1 import intake_pb2
from rtcc.ledger.v1.ledger_pb2 import OUTCOME_DENIED
from rtcc.registry.v1 import registry_pb2
from rtcc.video.v1 import video_pb2
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope

BARRING, PARTNER = "delta", "cove"


@pytest.fixture(scope="module")
async def barring(world: World) -> World:
    """An agency that bars one purpose."""
    request = registry_pb2.CreateAgencyRequest(
        agency_id=BARRING, name="Delta Police", time_zone="UTC", barred_purposes=["Immigration enforcement"]
    )
    await world.platform.ask("CreateAgency", Scope.platform("standalone"), request)
    world.people[BARRING] = {role: await world.person(BARRING, role) for role in ROLES}
    return world


@pytest.mark.parametrize("purpose", ["Immigration enforcement", "immigration enforcement", " IMMIGRATION  enforcement "])
async def test_a_barred_purpose_is_refused_to_own_people_and_audited(platform: RunningPlatform, barring: World, purpose: str) -> None:
    asking = replace(barring.everything(BARRING), purpose=purpose, principal_id=f"attempt-{new_id()}")
    rule, request = rule_named("SearchPlateReads"), intake_pb2.SearchPlateReadsRequest(plate="ABC123")

    async def refused() -> bool:
        answer = await platform.call(rule, request, platform.metadata(asking))
        return answer.code is grpc.StatusCode.PERMISSION_DENIED

    await until(refused)
    entry = await platform.audit.find(lambda entry: entry.outcome == OUTCOME_DENIED, by=asking.principal_id)
    assert entry.purpose == purpose
    allowed = replace(asking, purpose="stolen vehicle")
    assert (await platform.call(rule, request, platform.metadata(allowed))).code is grpc.StatusCode.OK


async def test_a_barred_purpose_is_refused_to_a_partner_whatever_the_agreement_says(platform: RunningPlatform, barring: World) -> None:
    camera_id = await barring.camera(BARRING)
    await barring.agreement(BARRING, PARTNER, camera_ids=[camera_id], cameras_live=True)
    rule, request = rule_named("OpenViewer"), video_pb2.OpenViewerRequest(camera_id=camera_id, offer_sdp=OFFER)
    partner = barring.scope(PARTNER, "operator")

    async def granted() -> bool:
        # rights are decided first: that this camera doesn't answer is said to those alone who may see it, and soon it is known
        answer = await platform.call(rule, request, platform.metadata(partner))
        return answer.code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)

    await until(granted)
    barred = replace(partner, purpose="immigration enforcement")
    assert (await platform.call(rule, request, platform.metadata(barred))).code is grpc.StatusCode.PERMISSION_DENIED
    unreasoned = replace(partner, purpose=" ", case_number=" ")
    assert (await platform.call(rule, request, platform.metadata(unreasoned))).code is grpc.StatusCode.FAILED_PRECONDITION
    # both logs hold the refusal: whose camera it is, and whose person asked
    for agency_id in (BARRING, PARTNER):
        await platform.audit.find(
            lambda entry, log=agency_id: (  # type: ignore[misc] # the log of this round
                entry.agency_id == log and f"camera:{camera_id}" in entry.object_ids and "purpose-barred" in entry.policy_ids
            )
        )
