"""The running ledger: entries come from the bus, are answered to who may ask, and are proved."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
import pytest
import pytest_asyncio

from rtcc.ledger.v1 import ledger_pb2 as pb
from rtcc.ledger.v1 import ledger_pb2_grpc
from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import audit_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_ledger.events import DURABLE
from rtcc_ledger.merkle import inclusion_holds, leaf_hash
from rtcc_ledger.note import CheckpointVerifier
from rtcc_ledger.service import checkpoint_signer, serve
from rtcc_ledger.settings import LedgerSettings


@pytest_asyncio.fixture
async def platform(small_platform: TestPlatform) -> AsyncIterator[TestPlatform]:
    await small_platform.serve({"ledger": serve})
    yield small_platform


async def stub(platform: TestPlatform) -> ledger_pb2_grpc.LedgerServiceStub:
    return (await platform.context("ledger")).channels.stub("ledger", ledger_pb2_grpc.LedgerServiceStub)


async def record(platform: TestPlatform, **values: object) -> None:
    fields: dict[str, object] = {
        "action": "camera.view_live",
        "place": "/rtcc.video.v1.VideoService/OpenViewer",
        "outcome": Outcome.ALLOWED,
        "scope": person("espoo", "operator", name="Aino"),
        "object_ids": ("camera:c1",),
        **values,
    }
    await (await platform.context("ledger")).access.record(AuditDraft(**fields))  # type: ignore[arg-type] # fields by name


async def entries(platform: TestPlatform, asking: Scope, **request: object) -> list[pb.StoredEntry]:
    answer = await (await stub(platform)).ListEntries(pb.ListEntriesRequest(**request), metadata=platform.metadata(asking))  # type: ignore[arg-type] # fields of the message
    return list(answer.entries)


async def until_stored(platform: TestPlatform, agency_id: str, count: int) -> None:
    database = (await platform.context("ledger")).database

    async def stored() -> bool:
        async with database.transaction(Scope.service("ledger", agency_id)) as connection:
            return bool(await connection.fetchval("select count(*) from ledger_entry") >= count)

    await poll(stored)


async def test_what_was_recorded_is_listed_newest_first_and_paged(platform: TestPlatform) -> None:
    # R8, R9
    for number in range(5):
        await record(platform, object_ids=(f"camera:c{number}",))
    await until_stored(platform, "espoo", 5)
    auditor = person("espoo", "auditor")
    page = await entries(platform, auditor, limit=2, action="camera.view_live")
    assert [list(one.entry.object_ids) for one in page] == [["camera:c4"], ["camera:c3"]]
    older = await entries(platform, auditor, limit=2, action="camera.view_live", before_leaf=page[-1].leaf_index)
    assert [list(one.entry.object_ids) for one in older] == [["camera:c2"], ["camera:c1"]]


async def test_text_search_finds_names_purposes_and_objects_and_takes_no_patterns(platform: TestPlatform) -> None:
    await record(platform, scope=person("espoo", "operator", name="Aino", purpose="Pursuit 100%", case_number="26-7"))
    await record(platform, object_ids=("camera:other",))
    await until_stored(platform, "espoo", 2)
    auditor = person("espoo", "auditor")
    assert len(await entries(platform, auditor, text="pursuit 100%")) == 1
    assert len(await entries(platform, auditor, text="CAMERA:OTHER")) == 1
    assert await entries(platform, auditor, text="pur%it") == []


async def test_who_saw_a_camera_includes_the_partner_who_saw_it(platform: TestPlatform) -> None:
    partner = person("vantaa", "operator", name="Partner", purpose="pursuit", case_number="26-1")
    await record(platform)
    await record(platform, scope=partner, owner_agency_id="espoo", agreement_id="agreement-1")
    await record(platform, object_ids=("camera:c2",))
    await until_stored(platform, "espoo", 3)
    await until_stored(platform, "vantaa", 1)
    ledger = await stub(platform)
    request = pb.ListAccessesRequest(object_id="camera:c1")
    seen = await ledger.ListAccesses(request, metadata=platform.metadata(person("espoo", "auditor")))
    assert [(one.entry.principal_name, one.entry.agreement_id) for one in seen.entries] == [("Partner", "agreement-1"), ("Aino", "")]
    # the partner's own log tells only what its own people did
    theirs = await ledger.ListAccesses(request, metadata=platform.metadata(person("vantaa", "auditor")))
    assert [one.entry.principal_name for one in theirs.entries] == ["Partner"]


async def test_an_object_without_its_kind_is_refused_with_an_example(platform: TestPlatform) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (await stub(platform)).ListAccesses(
            pb.ListAccessesRequest(object_id="c1"), metadata=platform.metadata(person("espoo", "auditor"))
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "camera:c1" in (refused.value.details() or "")


@pytest.mark.parametrize("role", ["operator", "officer", "administrator", "platform_operator"])
async def test_the_audited_do_not_read_the_log(platform: TestPlatform, role: str) -> None:
    # R12
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await entries(platform, person("espoo", role))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_everybody_reads_the_own_entries_and_only_those(platform: TestPlatform) -> None:
    aino, eero = person("espoo", "operator", name="Aino"), person("espoo", "officer", name="Eero")
    await record(platform, scope=aino)
    await record(platform, scope=eero)
    await until_stored(platform, "espoo", 2)
    answer = await (await stub(platform)).ListOwnEntries(pb.ListOwnEntriesRequest(), metadata=platform.metadata(aino))
    assert {one.entry.principal_name for one in answer.entries} == {"Aino"}


async def test_reading_the_log_stands_in_the_log(platform: TestPlatform) -> None:
    # R8: any touch of the log
    auditor = person("espoo", "auditor", name="Aune")
    await record(platform)
    await until_stored(platform, "espoo", 1)
    await entries(platform, auditor)
    await until_stored(platform, "espoo", 2)
    newest = (await entries(platform, auditor))[0].entry
    assert (newest.action, newest.principal_name, list(newest.object_ids)) == ("audit.read", "Aune", ["audit:0-0"])


async def test_an_inclusion_proof_holds_without_our_help(platform: TestPlatform) -> None:
    # R12
    for _ in range(11):
        await record(platform)
    await until_stored(platform, "espoo", 11)
    ledger, auditor = await stub(platform), platform.metadata(person("espoo", "auditor"))
    context = await platform.context("ledger")
    signer = checkpoint_signer(LedgerSettings(), context.settings)
    for one in (await ledger.ListEntries(pb.ListEntriesRequest(action="camera.view_live"), metadata=auditor)).entries:
        proof = await ledger.GetInclusionProof(pb.GetInclusionProofRequest(entry_id=one.entry.entry_id), metadata=auditor)
        checkpoint, stored = proof.checkpoint, proof.entry
        assert CheckpointVerifier("openrtcc", [signer.public_key]).holds(checkpoint.note, checkpoint.signature, checkpoint.key_id)
        assert checkpoint.note.startswith("openrtcc/espoo\n")
        assert leaf_hash(stored.entry.SerializeToString()) == stored.leaf_hash
        assert inclusion_holds(stored.leaf_hash, stored.leaf_index, checkpoint.tree_size, list(proof.hashes), checkpoint.root_hash)


async def test_an_entry_of_another_agency_is_not_proved(platform: TestPlatform) -> None:
    await record(platform)
    await record(platform, scope=person("vantaa", "operator"))
    await until_stored(platform, "espoo", 1)
    (own,) = await entries(platform, person("espoo", "auditor"), action="camera.view_live")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (await stub(platform)).GetInclusionProof(
            pb.GetInclusionProofRequest(entry_id=own.entry.entry_id), metadata=platform.metadata(person("vantaa", "auditor"))
        )
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_entry_that_comes_twice_is_stored_once(platform: TestPlatform) -> None:
    bus = (await platform.context("ledger")).bus
    entry = pb.AuditEntry(entry_id=new_id(), agency_id="espoo", action="alert.list")
    entry.recorded_at.FromDatetime(datetime.now(UTC))
    for attempt in range(3):
        # different message ids: JetStream's own duplicate window must not be what saves us
        await bus.publish(audit_subject("espoo"), entry, message_id=f"{entry.entry_id}-{attempt}", agency_id="espoo")
    await record(platform)
    await until_stored(platform, "espoo", 2)
    listed = await entries(platform, person("espoo", "auditor"), action="alert.list")
    assert [one.entry.entry_id for one in listed] == [entry.entry_id]


async def test_bytes_that_are_no_entry_are_kept_and_break_nothing(platform: TestPlatform) -> None:
    bus = (await platform.context("ledger")).bus
    await bus.publish(audit_subject("espoo"), b"\xff\xfe not protobuf", message_id=new_id(), agency_id="espoo")
    await bus.publish(audit_subject("espoo"), b"", message_id=new_id(), agency_id="espoo")
    await record(platform)
    await until_stored(platform, "espoo", 3)
    assert len(await entries(platform, person("espoo", "auditor"), action="unreadable")) == 2
    answer = await (await stub(platform)).VerifyLedger(pb.VerifyLedgerRequest(), metadata=platform.metadata(person("espoo", "auditor")))
    assert answer.intact


async def test_verification_holds_and_counts(platform: TestPlatform) -> None:
    # R12
    for _ in range(20):
        await record(platform)
    await until_stored(platform, "espoo", 20)
    answer = await (await stub(platform)).VerifyLedger(pb.VerifyLedgerRequest(), metadata=platform.metadata(person("espoo", "supervisor")))
    assert answer.intact, answer.problems
    assert answer.tree_size >= 20
    assert 1 <= answer.checkpoints <= answer.tree_size
    assert len(answer.root_hash) == 32


async def test_an_empty_log_is_intact_and_has_no_checkpoint(platform: TestPlatform) -> None:
    auditor = platform.metadata(person("quiet", "auditor"))
    assert (await (await stub(platform)).VerifyLedger(pb.VerifyLedgerRequest(), metadata=auditor)).intact
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await (await stub(platform)).GetCheckpoint(pb.GetCheckpointRequest(), metadata=platform.metadata(person("silent", "auditor")))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_waiting_entries_enter_after_an_outage_of_the_database(platform: TestPlatform) -> None:
    # R11: recovers by itself, complete
    context = await platform.context("ledger")
    port = await platform.servers.postgres_port()
    import asyncpg

    administrator = await asyncpg.connect(f"postgresql://postgres:{platform.servers.password}@127.0.0.1:{port}/postgres")
    try:
        await administrator.execute(f"alter database {platform.database} allow_connections false")
        await administrator.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", platform.database)
        for _ in range(10):
            await record(platform)
        await administrator.execute(f"alter database {platform.database} allow_connections true")
    finally:
        await administrator.close()
    await until_stored(platform, "espoo", 10)
    info = await context.bus.jetstream.consumer_info("AUDIT", DURABLE)
    assert info.num_pending == 0


async def test_no_answer_is_given_while_the_log_is_away(platform: TestPlatform) -> None:
    # R11
    await record(platform)
    await until_stored(platform, "espoo", 1)
    await (await platform.context("ledger")).bus.jetstream.delete_stream("AUDIT")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await entries(platform, person("espoo", "auditor"))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "audit log" in (refused.value.details() or "")
