"""Messages inside the platform that a consumer can't handle: put aside where an operator sees them, and the stream goes on."""

import pytest

from proof.platform import RunningPlatform, until
from proof.world import OWNER, World
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import audit_subject, event_subject


@pytest.mark.parametrize("body", [b"\xff" * 32, b"", b"\x0a\xff\xff\xff\x7fab"], ids=["noise", "empty", "cut off"])
async def test_a_poisoned_event_stops_nobody(platform: RunningPlatform, world: World, body: bytes) -> None:
    await world.gunshot_source(OWNER)
    receipt = await platform.bus.publish(event_subject(OWNER, "gunshot"), body, message_id=new_id(), agency_id=OWNER)
    assert receipt.sequence
    await world.alert(OWNER)
    if body:
        # an empty protobuf is a message: nothing to put aside
        async def put_aside() -> bool:
            return any(entry.service not in ("", "intake") for entry in await world.quarantine(OWNER))

        await until(put_aside, deadline_s=30)


async def test_a_poisoned_audit_message_stays_in_the_log_and_stops_nobody(platform: RunningPlatform, world: World) -> None:
    await platform.bus.publish(audit_subject(OWNER), b"\xff" * 32, message_id=new_id(), agency_id=OWNER)

    async def kept() -> bool:
        from rtcc.ledger.v1 import ledger_pb2

        request = ledger_pb2.ListEntriesRequest(action="unreadable", limit=1)
        return bool((await platform.ask("ListEntries", world.everything(OWNER), request)).entries)

    await until(kept)
    assert (await platform.ask("VerifyLedger", world.everything(OWNER))).intact
