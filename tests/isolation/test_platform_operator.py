"""Who runs the installation sets agencies up, and gets no account in one by doing so."""

from dataclasses import replace

import grpc

from proof.platform import RunningPlatform, rule_named
from proof.world import OWNER, STRANGER, World
from rtcc.gateway.v1 import gateway_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope

ENROL, CREATE = rule_named("CreateEnrolment"), rule_named("CreatePerson")


async def test_only_the_first_administrator_of_a_new_agency_is_made_from_outside(platform: RunningPlatform, world: World) -> None:
    agency_id = f"new-{new_id()[-8:]}"
    request = registry_pb2.CreateAgencyRequest(agency_id=agency_id, name="New Police", time_zone="UTC")
    await platform.ask("CreateAgency", Scope.platform("standalone"), request)
    operator = world.scope(STRANGER, "platform_operator")
    codes = []
    for roles in (["operator"], ["administrator"], ["administrator"], ["operator", "administrator"]):
        login = f"p-{new_id()[-10:]}"
        person = registry_pb2.Person(agency_id=agency_id, login=login, display_name="P", roles=roles)
        asking = replace(operator, idempotency_key=login)
        codes.append((await platform.call(CREATE, registry_pb2.CreatePersonRequest(person=person), platform.metadata(asking))).code)
    refused = grpc.StatusCode.PERMISSION_DENIED
    assert codes == [refused, grpc.StatusCode.OK, refused, refused]


async def test_nobody_is_taken_over_by_a_new_enrolment_link(platform: RunningPlatform, world: World) -> None:
    operator = platform.metadata(world.scope(STRANGER, "platform_operator"))
    request = gateway_pb2.CreateEnrolmentRequest(person_id=world.people[OWNER]["operator"].person_id)
    assert (await platform.call(ENROL, request, operator)).code is grpc.StatusCode.PERMISSION_DENIED
