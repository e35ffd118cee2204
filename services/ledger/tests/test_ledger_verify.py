"""Verification from outside of the service, as `./rtcc ledger verify` does it."""

import pytest

from rtcc.ledger.v1 import ledger_pb2 as pb
from rtcc.ledger.v1 import ledger_pb2_grpc
from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import audit_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_ledger.events import DURABLE
from rtcc_ledger.merkle import Frontier
from rtcc_ledger.note import MalformedCheckpoint, signed_note
from rtcc_ledger.service import serve
from rtcc_ledger.verify import verify_installation


async def environment(platform: TestPlatform) -> dict[str, str]:
    settings = await platform.settings("ledger")
    return {
        "RTCC_LEDGER_DATABASE_URL": settings.database_url,
        "RTCC_NATS_URL": settings.nats_url,
        "RTCC_LEDGER_TOKEN_KEY_FILE": str(settings.token_key_file),
        "RTCC_TOKEN_TRUST_FILE": str(settings.token_trust_file),
    }


async def fill(platform: TestPlatform, count: int) -> None:
    await platform.serve({"ledger": serve})
    context = await platform.context("ledger")
    for number in range(count):
        await context.access.record(
            AuditDraft("alert.read", "/test", Outcome.ALLOWED, person("espoo", "operator"), object_ids=(f"alert:a{number}",))
        )

    async def consumed() -> bool:
        info = await context.bus.jetstream.consumer_info("AUDIT", DURABLE)
        return info.num_pending == 0 and info.num_ack_pending == 0

    await poll(consumed)


async def test_a_whole_installation_is_verified_with_the_bus(small_platform: TestPlatform) -> None:
    await fill(small_platform, 12)
    reports = {report.agency_id: report for report in await verify_installation(await environment(small_platform))}
    assert reports["espoo"].intact, reports["espoo"].problems
    assert reports["espoo"].tree_size == 12


async def test_an_entry_that_never_entered_the_log_is_found(small_platform: TestPlatform) -> None:
    # R11: completeness
    await fill(small_platform, 3)
    context = await small_platform.context("ledger")
    entry = pb.AuditEntry(entry_id=new_id(), agency_id="espoo", action="alert.list")
    receipt = await context.bus.publish(audit_subject("espoo"), entry, message_id=new_id(), agency_id="espoo")

    async def acknowledged() -> bool:
        info = await context.bus.jetstream.consumer_info("AUDIT", DURABLE)
        return bool(info.ack_floor and info.ack_floor.stream_seq >= receipt.sequence)

    await poll(acknowledged)
    import asyncpg

    settings = await small_platform.settings("ledger")
    owner = await asyncpg.connect(settings.database_url.replace("rtcc_ledger", "postgres"), server_settings={"search_path": "ledger"})
    await owner.execute("set session_replication_role = replica")
    await owner.execute("delete from ledger_entry where entry_id = $1", entry.entry_id)
    await owner.close()
    problems = [problem.what for report in await verify_installation(await environment(small_platform)) for problem in report.problems]
    assert any(entry.entry_id in problem and "never entered" in problem for problem in problems)


async def test_a_kept_note_is_compared_and_a_forged_one_refused(small_platform: TestPlatform) -> None:
    await fill(small_platform, 5)
    stub = (await small_platform.context("ledger")).channels.stub("ledger", ledger_pb2_grpc.LedgerServiceStub)
    answer = await stub.GetCheckpoint(pb.GetCheckpointRequest(), metadata=small_platform.metadata(person("espoo", "auditor")))
    checkpoint = answer.checkpoint
    note = signed_note(checkpoint.note, "openrtcc", checkpoint.key_id, checkpoint.signature)
    reports = await verify_installation(await environment(small_platform), [note])
    assert all(report.intact for report in reports)
    forged = signed_note(checkpoint.note.replace("\n5\n", "\n4\n"), "openrtcc", checkpoint.key_id, checkpoint.signature)
    with pytest.raises(MalformedCheckpoint):
        await verify_installation(await environment(small_platform), [forged])


async def test_the_end_cut_off_with_everything_we_hold_is_found_by_what_the_bus_keeps(small_platform: TestPlatform) -> None:
    # R12
    await fill(small_platform, 6)
    context = await small_platform.context("ledger")
    async with context.database.transaction(Scope.platform("ledger")) as connection:
        row = await connection.fetchrow("select tree_size, number from ledger_checkpoint where agency_id = 'espoo' order by number limit 1")
    import asyncpg

    settings = await small_platform.settings("ledger")
    owner = await asyncpg.connect(settings.database_url.replace("rtcc_ledger", "postgres"), server_settings={"search_path": "ledger"})
    await owner.execute("set session_replication_role = replica")
    for table, column in (("entry", "leaf_index"), ("object", "leaf_index"), ("node", "last_leaf")):
        await owner.execute(f"delete from ledger_{table} where agency_id = 'espoo' and {column} >= $1", row["tree_size"])
    await owner.execute("delete from ledger_checkpoint where agency_id = 'espoo' and number > $1", row["number"])
    leaves = await owner.fetch("select leaf_hash from ledger_entry where agency_id = 'espoo' order by leaf_index")
    frontier, _ = Frontier().append(leaf["leaf_hash"] for leaf in leaves)
    await owner.execute(
        "update ledger_tree set size = $1, frontier = $2, root_hash = $3, checkpoints = $4 where agency_id = 'espoo'",
        frontier.size,
        frontier.to_bytes(),
        frontier.root(),
        row["number"],
    )
    await owner.close()
    problems = [problem.what for report in await verify_installation(await environment(small_platform)) for problem in report.problems]
    assert any("cut off" in problem for problem in problems), problems


async def test_without_the_bus_the_database_is_verified_alone(small_platform: TestPlatform) -> None:
    await fill(small_platform, 2)
    alone = {**await environment(small_platform), "RTCC_NATS_URL": "nats://127.0.0.1:9"}
    assert all(report.intact for report in await verify_installation(alone))
