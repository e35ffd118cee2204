"""Accounts and sessions at the door, and the log of what they did."""

from proof.requests.building import Builder, asks
from proof.requests.registry import person_id
from proof.world import World
from rtcc.gateway.v1 import gateway_pb2 as gateway
from rtcc.ledger.v1 import ledger_pb2 as ledger


async def _supervisor(world: World, agency_id: str) -> str:
    return world.people[agency_id]["supervisor"].person_id


async def _seen_camera(world: World, agency_id: str) -> str:
    return f"camera:{await world.camera(agency_id)}"


REQUESTS: dict[str, Builder] = {
    "CreateEnrolment": asks(gateway.CreateEnrolmentRequest, person_id=person_id),
    "ReleaseLock": asks(gateway.ReleaseLockRequest, person_id=person_id),
    "EndSession": asks(gateway.EndSessionRequest, session_id=World.session),
    "CreateDemoLink": asks(gateway.CreateDemoLinkRequest, person_id=person_id, next="/map"),
    "ListEntries": asks(ledger.ListEntriesRequest, principal_id=_supervisor),
    "ListAccesses": asks(ledger.ListAccessesRequest, object_id=_seen_camera),
    "GetInclusionProof": asks(ledger.GetInclusionProofRequest, entry_id=World.audit_entry),
}
