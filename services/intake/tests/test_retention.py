"""R22: retention is data; holds stop deletion; each deletion leaves a proof. On real NATS, PostgreSQL and S3."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from rtcc.event.v1 import event_pb2
from rtcc.intake.v1 import retention_pb2 as pb
from rtcc.intake.v1.retention_pb2_grpc import RetentionServiceStub
from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import InvalidInput, NotFound, Refused, RtccError, from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.objects import Objects
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import AUDIT, EVENTS, directory_subject, event_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_intake.retention import DueEvent, RetentionRule, check_rule, proof_of, proves
from rtcc_intake.service import serve

CHIEF = person("east", "administrator", name="Chief")
SUPERVISOR = person("east", "supervisor", name="Supervisor")
NEIGHBOUR = person("west", "administrator", "supervisor", name="Neighbour")
INTAKE = Scope.platform("intake")
RULE = RetentionRule("", "plate_read", 180)


def leaf_of(event: event_pb2.Event) -> bytes:
    """Of an event in the proof of its deletion."""
    return hashlib.sha256(event.event_id.encode() + b"\x00" + event.SerializeToString()).digest()


class Archive:
    """The running service with events put before it as if they had come some time ago."""

    def __init__(self, platform: TestPlatform, context: ServiceContext) -> None:
        self.platform = platform
        self.context = context
        self._stub = context.channels.stub("intake", RetentionServiceStub)

    async def call(self, scope: Scope, method: str, **fields: Any) -> Any:
        try:
            return await getattr(self._stub, method)(getattr(pb, f"{method}Request")(**fields), metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def event(self, kind: str, age_s: float, *, plate: str = "", source_id: str = "reader", image: bytes = b"") -> event_pb2.Event:
        """Archived when it returns, and by then deleted again where a rule says so."""
        event = event_pb2.Event(event_id=new_id(), agency_id="east", source_id=source_id, kind=kind)
        if kind == "plate_read":
            event.plate_read.plate = plate
        if image:
            event.plate_read.image_object = f"plate-reads/{hashlib.sha256(image).hexdigest()}.jpg"
            await self.context.objects.put(INTAKE, "east", event.plate_read.image_object, image, "image/jpeg")
        then = datetime.now(UTC) - timedelta(seconds=age_s)
        event.occurred_at.FromDatetime(then)
        event.received_at.FromDatetime(then)
        await self.context.bus.publish(event_subject("east", kind), event, message_id=event.event_id, agency_id="east")

        async def archived() -> bool:
            # a sweep may take it before it is looked for: then its proof is there
            return event.event_id in await self.stored() or leaf_of(event) in await self.proved()

        await poll(archived)
        return event

    async def stored(self) -> set[str]:
        async with self.context.database.transaction(INTAKE) as connection:
            return {row["event_id"] for row in await connection.fetch("select event_id from event")}

    async def proved(self) -> bytes:
        """What the proofs of deletion hold, one leaf after the other."""
        async with self.context.database.transaction(INTAKE) as connection:
            return b"".join(row["leaves"] for row in await connection.fetch("select leaves from retention_deletion"))

    async def messages(self) -> int:
        return (await self.context.bus.jetstream.stream_info(EVENTS.name)).state.messages

    async def rule(self, keep_s: int, *, kind: str = "", source_id: str = "") -> None:
        await self.call(CHIEF, "SetRetentionRule", rule=pb.RetentionRule(kind=kind, source_id=source_id, keep_s=keep_s))

    async def gone(self, *events: event_pb2.Event) -> None:
        async def none_left() -> bool:
            return not {event.event_id for event in events} & await self.stored()

        await poll(none_left)

    async def swept_twice(self) -> None:
        """Whatever would be deleted by now is: an event made for it came and went."""
        for _ in range(2):
            await self.gone(await self.event("probe", 10_000))

    async def audit(self) -> list[ledger_pb2.AuditEntry]:
        entries: list[ledger_pb2.AuditEntry] = []

        async def take(deliveries: Any) -> None:
            entries.extend(delivery.parse(ledger_pb2.AuditEntry) for delivery in deliveries)

        tail = self.context.bus.tail(AUDIT, ["audit.east"], take, start="all")
        task = self.context.lifecycle.spawn(tail.run(), "test tail")
        await tail.caught_up()
        task.cancel()
        return entries


@pytest_asyncio.fixture
async def archive(small_platform: TestPlatform, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Archive]:
    monkeypatch.setenv("RTCC_INTAKE_RETENTION_SWEEP_S", "0.1")
    await small_platform.servers.s3_endpoint()
    context = await small_platform.context("intake")
    for source_id, agency_id in (("reader", "east"), ("other", "east"), ("theirs", "west")):
        source = registry_pb2.Source(source_id=source_id, agency_id=agency_id, name=source_id, adapter="plate_read", enabled=True)
        await context.bus.publish(directory_subject("source", agency_id, source_id), source, message_id=new_id(), agency_id=agency_id)
    await small_platform.serve({"intake": serve})
    archive = Archive(small_platform, context)
    await archive.rule(180, kind="probe")
    yield archive


async def test_what_is_due_goes_everywhere_and_leaves_a_proof(archive: Archive) -> None:  # R22
    old = [await archive.event("plate_read", 200, plate="ABC123", image=b"crop one"), await archive.event("plate_read", 400, plate="XYZ9")]
    young, other = await archive.event("plate_read", 100, plate="ABC123", image=b"crop two"), await archive.event("gunshot", 10_000)
    before = await archive.messages()
    await archive.rule(180, kind="plate_read")
    await archive.gone(*old)
    assert {young.event_id, other.event_id} <= await archive.stored()
    assert await archive.messages() == before - 2
    with pytest.raises(NotFound):
        await archive.context.objects.get(INTAKE, "east", old[0].plate_read.image_object)
    assert await archive.context.objects.get(INTAKE, "east", young.plate_read.image_object) == b"crop two"
    deletions = [one for one in (await archive.call(CHIEF, "ListDeletions")).deletions if one.rule.kind == "plate_read"]
    assert sum(one.events for one in deletions) == 2
    leaves = b"".join(one.leaves for one in deletions)
    for event in old:
        assert leaf_of(event) in leaves
    # the digest stands in the audit log, which nobody can change
    told = "".join(entry.new_value for entry in await archive.audit() if entry.action == "retention.delete")
    assert all(one.digest in told and one.digest == hashlib.sha256(one.leaves).hexdigest() for one in deletions)


async def test_the_most_specific_rule_decides(archive: Archive) -> None:  # R22
    await archive.rule(180, kind="plate_read")
    await archive.rule(86_400, source_id="other")
    await archive.rule(600, source_id="other", kind="plate_read")
    kept = await archive.event("plate_read", 300, plate="AAA111", source_id="other")
    by_kind = await archive.event("plate_read", 300, plate="AAA111")
    by_both = await archive.event("plate_read", 700, plate="AAA111", source_id="other")
    by_source = await archive.event("gunshot", 90_000, source_id="other")
    await archive.gone(by_kind, by_both, by_source)
    assert kept.event_id in await archive.stored()


async def test_a_hold_stops_deletion_until_it_is_released(archive: Archive) -> None:  # R22
    now = datetime.now(UTC)
    hold = pb.RetentionHold(reason="Case 26-0815, court order", plate="abc 123")
    hold.occurred_from.FromDatetime(now - timedelta(hours=1))
    placed = (await archive.call(SUPERVISOR, "PlaceHold", hold=hold)).hold
    assert placed.plate == "ABC123"
    held, free = await archive.event("plate_read", 1000, plate="ABC123"), await archive.event("plate_read", 1000, plate="XYZ9")
    before = await archive.event("plate_read", 7200, plate="ABC123")
    await archive.rule(180, kind="plate_read")
    await archive.gone(free, before)
    await archive.swept_twice()
    assert held.event_id in await archive.stored()
    released = (await archive.call(SUPERVISOR, "ReleaseHold", hold_id=placed.hold_id)).hold
    assert released.released_by == SUPERVISOR.principal_id
    await archive.gone(held)


async def test_a_picture_that_another_event_has_stays(archive: Archive) -> None:
    first, second = (
        await archive.event("plate_read", 1000, plate="A1", image=b"same"),
        await archive.event("plate_read", 10, plate="A1", image=b"same"),
    )
    await archive.rule(180, kind="plate_read")
    await archive.gone(first)
    assert await archive.context.objects.get(INTAKE, "east", second.plate_read.image_object) == b"same"


async def test_without_a_rule_nothing_is_deleted(archive: Archive) -> None:
    event = await archive.event("gunshot", 400_000_000)
    await archive.swept_twice()
    assert event.event_id in await archive.stored()
    await archive.rule(180, kind="plate_read")
    await archive.rule(0, kind="plate_read")
    rules = (await archive.call(CHIEF, "ListRetention")).rules
    assert [rule.kind for rule in rules] == ["probe"]


async def test_a_store_that_is_away_loses_neither_event_nor_proof(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise RtccError("the object store is away")

    monkeypatch.setattr(Objects, "delete", away)
    event = await archive.event("plate_read", 1000, plate="A1", image=b"crop")
    before = await archive.messages()
    await archive.rule(180, kind="plate_read")

    async def erased() -> bool:
        # the message went first; the event is still there to be found again
        return await archive.messages() < before

    await poll(erased)
    assert event.event_id in await archive.stored()
    monkeypatch.undo()
    await archive.gone(event)
    deletions = [one for one in (await archive.call(CHIEF, "ListDeletions")).deletions if one.rule.kind == "plate_read"]
    assert [one.events for one in deletions] == [1]


async def test_rules_and_holds_are_the_agencys_own(archive: Archive) -> None:
    with pytest.raises(NotFound):
        await archive.call(NEIGHBOUR, "SetRetentionRule", rule=pb.RetentionRule(source_id="reader", keep_s=180))
    with pytest.raises(NotFound):
        await archive.call(NEIGHBOUR, "PlaceHold", hold=pb.RetentionHold(reason="x", source_id="reader"))
    placed = (await archive.call(SUPERVISOR, "PlaceHold", hold=pb.RetentionHold(reason="x"))).hold
    with pytest.raises(NotFound):
        await archive.call(NEIGHBOUR, "ReleaseHold", hold_id=placed.hold_id)
    assert not (await archive.call(NEIGHBOUR, "ListRetention")).holds
    # who sets doesn't hold, who holds doesn't set
    with pytest.raises(Refused):
        await archive.call(SUPERVISOR, "SetRetentionRule", rule=pb.RetentionRule(keep_s=180))
    with pytest.raises(Refused):
        await archive.call(CHIEF, "PlaceHold", hold=pb.RetentionHold(reason="x"))


@pytest.mark.parametrize("keep_s", [1, 179, 315_576_001, 2**63])
def test_a_rule_outside_of_three_minutes_and_ten_years_is_refused(keep_s: int) -> None:
    with pytest.raises(InvalidInput):
        check_rule(RetentionRule("", "plate_read", keep_s))


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.binary(max_size=20)), min_size=1, max_size=8, unique_by=lambda pair: pair[0]))
def test_a_proof_shows_each_event_and_no_other(pairs: list[tuple[str, bytes]]) -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    events = [DueEvent(event_id, body, now, None, None, RULE) for event_id, body in pairs]
    proof = proof_of("d1", RULE, events, now)
    assert proof == proof_of("d1", RULE, reversed(events), now)
    assert all(proves(proof, event_id, body) for event_id, body in pairs)
    assert not proves(proof, "another", b"")
    assert not any(proves(proof, event_id, body + b"!") for event_id, body in pairs)
