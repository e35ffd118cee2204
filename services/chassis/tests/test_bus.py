"""The bus on a real server: acknowledged, idempotent, resumable, poison-proof."""

import asyncio
import os
import signal
from collections.abc import Sequence

import pytest

from rtcc.registry.v1.registry_pb2 import Agency
from rtcc_chassis.bus import Outgoing, PublishReceipt
from rtcc_chassis.consumer import ConsumerSpec, Delivery
from rtcc_chassis.errors import Unavailable
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import EVENTS, QUARANTINE
from rtcc_chassis.testing import TestPlatform, poll


async def test_a_repeated_message_id_is_stored_once(small_platform: TestPlatform) -> None:
    bus = (await small_platform.context("intake")).bus
    first = await bus.publish("event.a.x", b"1", message_id="m1", agency_id="a")
    again = await bus.publish("event.a.x", b"1", message_id="m1", agency_id="a")
    assert not first.duplicate
    assert again.duplicate
    assert again.sequence == first.sequence


async def test_consumer_resumes_where_it_was(small_platform: TestPlatform) -> None:
    bus = (await small_platform.context("intake")).bus
    spec = ConsumerSpec(EVENTS, "intake", "resumes", ("event.>",), batch=10)
    seen: list[bytes] = []

    async def handle(batch: Sequence[Delivery]) -> None:
        seen.extend(delivery.data for delivery in batch)

    async def has(count: int) -> bool:
        return len(seen) >= count

    for number in range(25):
        await bus.publish("event.a.x", str(number).encode(), message_id=f"r{number}", agency_id="a")
    task = asyncio.create_task(bus.consume(spec, handle))
    await poll(lambda: has(25))

    async def acknowledged() -> bool:
        # after they were handled: what isn't comes again
        return (await bus.jetstream.consumer_info(EVENTS.name, "resumes")).num_ack_pending == 0

    await poll(acknowledged)
    task.cancel()
    await bus.publish("event.a.x", b"25", message_id="r25", agency_id="a")
    task = asyncio.create_task(bus.consume(spec, handle))
    await poll(lambda: has(26), deadline_s=40)
    task.cancel()
    assert seen == [str(number).encode() for number in range(26)]


async def test_a_tail_catches_up_though_messages_vanish_while_it_reads(small_platform: TestPlatform) -> None:
    bus = (await small_platform.context("intake")).bus
    await bus.publish_many([Outgoing("event.a.x", b"x", f"v{number}", "a") for number in range(1_500)])
    erased = False

    async def handle(batch: Sequence[Delivery]) -> None:
        nonlocal erased
        if not erased:
            erased = True
            await bus.jetstream.purge_stream(EVENTS.name)
            await bus.publish("event.a.x", b"new", message_id="new", agency_id="a")

    tail = bus.tail(EVENTS, ["event.>"], handle, start="all")
    task = asyncio.create_task(tail.run())
    async with asyncio.timeout(60):
        await tail.caught_up()
    task.cancel()


async def test_poison_goes_to_the_quarantine_and_the_rest_goes_on(small_platform: TestPlatform) -> None:
    bus = (await small_platform.context("intake")).bus
    good: list[bytes] = []
    quarantined: list[Delivery] = []

    async def handle(batch: Sequence[Delivery]) -> None:
        if any(delivery.data == b"poison" for delivery in batch):
            raise ValueError("can't be read")
        good.extend(delivery.data for delivery in batch)

    async def collect(batch: Sequence[Delivery]) -> None:
        quarantined.extend(batch)

    for index, body in enumerate((b"a", b"poison", b"b")):
        await bus.publish("event.a.x", body, message_id=f"p{index}", agency_id="a")
    tasks = [
        asyncio.create_task(bus.consume(ConsumerSpec(EVENTS, "intake", "poison", ("event.>",)), handle)),
        asyncio.create_task(bus.tail(QUARANTINE, ["quarantine.>"], collect, start="all").run()),
    ]

    async def done() -> bool:
        return len(good) == 2 and bool(quarantined)

    await poll(done)
    for task in tasks:
        task.cancel()
    assert sorted(good) == [b"a", b"b"]
    assert quarantined[0].data == b"poison"
    assert quarantined[0].headers["rtcc-original-subject"] == "event.a.x"
    assert "can't be read" in quarantined[0].headers["rtcc-reason"]


async def test_an_outage_behind_a_consumer_is_waited_out_not_quarantined(small_platform: TestPlatform) -> None:
    bus = (await small_platform.context("intake")).bus
    attempts = 0

    async def handle(batch: Sequence[Delivery]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 5:
            raise Unavailable("PostgreSQL")

    await bus.publish("event.a.x", b"1", message_id="o1", agency_id="a")
    task = asyncio.create_task(bus.consume(ConsumerSpec(EVENTS, "intake", "outage", ("event.>",)), handle))

    async def handled() -> bool:
        return attempts >= 5

    await poll(handled)
    info = await bus.jetstream.stream_info("QUARANTINE")
    task.cancel()
    assert info.state.messages == 0


async def test_directory_mirrors_current_values_and_deletions(small_platform: TestPlatform) -> None:
    ctx = await small_platform.context("registry")
    for revision, name in enumerate(("Old", "New")):
        await ctx.bus.publish("directory.agency.a.a", Agency(agency_id="a", name=name), message_id=f"d{revision}", agency_id="a")
    mirror = ctx.directory.mirror("agency", Agency)

    async def named_new() -> bool:
        agency = mirror.get("a")
        return agency is not None and agency.name == "New"

    await poll(named_new)
    await ctx.bus.publish("directory.agency.a.a", b"", message_id="d3", agency_id="a")

    async def gone() -> bool:
        return mirror.get("a") is None

    await poll(gone)
    assert mirror.of_agency("a") == []


async def test_outbox_publishes_what_committed_and_nothing_else(small_platform: TestPlatform) -> None:
    ctx = await small_platform.context("registry")
    folder = small_platform.folder / "migrations"
    folder.mkdir()
    (folder / "0001_outbox.sql").write_text("select rtcc_create_outbox();")
    assert await ctx.database.migrate(folder) == 1
    assert await ctx.database.migrate(folder) == 0
    outbox = Outbox(ctx.database, ctx.bus)
    task = asyncio.create_task(outbox.run())
    scope = Scope.service("registry", "a")
    async with ctx.database.transaction(scope) as connection:
        await outbox.add(connection, "event.a.x", b"kept", message_id="k1", agency_id="a")
    try:
        async with ctx.database.transaction(scope) as connection:
            await outbox.add(connection, "event.a.x", b"rolled back", message_id="k2", agency_id="a")
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass

    async def stored() -> int:
        return int((await ctx.bus.jetstream.stream_info("EVENTS")).state.messages)

    await poll(stored)
    async with ctx.database.transaction(scope) as connection:
        await outbox.add(connection, "event.a.x", b"second", message_id="k3", agency_id="a")

    async def both() -> bool:
        return await stored() == 2

    await poll(both)
    task.cancel()
    assert (await ctx.bus.jetstream.get_msg("EVENTS", 2)).data == b"second"


async def test_a_scope_sees_only_its_agency(small_platform: TestPlatform) -> None:
    ctx = await small_platform.context("registry")
    folder = small_platform.folder / "migrations"
    folder.mkdir()
    (folder / "0001_thing.sql").write_text("create table thing (agency_id text not null, name text); select rtcc_protect('thing');")
    await ctx.database.migrate(folder)
    for agency in ("a", "b"):
        async with ctx.database.transaction(Scope.service("registry", agency)) as connection:
            await connection.execute("insert into thing values ($1, $1)", agency)
    async with ctx.database.transaction(Scope.service("registry", "a")) as connection:
        assert [row["name"] for row in await connection.fetch("select name from thing")] == ["a"]
    async with ctx.database.transaction(Scope.platform("registry")) as connection:
        assert len(await connection.fetch("select name from thing")) == 2


async def test_publishing_to_a_dead_server_is_unavailable_not_lost_silently(small_platform: TestPlatform) -> None:
    bus = (await small_platform.context("intake")).bus
    os.killpg(small_platform.nats_process.pid, signal.SIGKILL)
    try:
        await bus.publish("event.a.x", b"1", message_id="n1", agency_id="a")
        raise AssertionError("published to a dead server")
    except Unavailable as error:
        assert "not available" in error.message


async def test_an_outbox_forgets_what_it_published_and_a_later_life_finds_what_the_first_left(small_platform: TestPlatform) -> None:
    ctx = await small_platform.context("registry")
    folder = small_platform.folder / "migrations"
    folder.mkdir()
    (folder / "0001_outbox.sql").write_text("select rtcc_create_outbox();")
    await ctx.database.migrate(folder)
    first, scope = Outbox(ctx.database, ctx.bus), Scope.service("registry", "a")

    async def write(outbox: Outbox, *names: str) -> None:
        async with ctx.database.transaction(scope) as connection:
            for name in names:
                await outbox.add(connection, "event.a.x", name.encode(), message_id=name, agency_id="a")

    async def rows() -> int:
        async with ctx.database.transaction(Scope.platform("registry")) as connection:
            return int(await connection.fetchval("select count(*) from rtcc_outbox"))

    async def published() -> list[bytes]:
        messages = (await ctx.bus.jetstream.stream_info("EVENTS")).state.messages
        return [(await ctx.bus.jetstream.get_msg("EVENTS", number)).data or b"" for number in range(1, messages + 1)]

    async def gone() -> bool:
        return await rows() == 0

    # written by a life that died before it published: nobody's memory holds them
    await write(first, "one", "two")
    assert await rows() == 2
    second = Outbox(ctx.database, ctx.bus)
    running = asyncio.create_task(second.run())
    await poll(gone)
    await write(second, "three")
    await write(second, *(f"more {number}" for number in range(20)))
    await poll(gone)
    assert await published() == [b"one", b"two", b"three", *(f"more {number}".encode() for number in range(20))]
    # what another instance wrote and never published is taken over after a moment
    await write(first, "orphan")
    await poll(gone)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await published())[-1] == b"orphan"


async def test_an_outbox_keeps_its_order_while_nats_is_away(small_platform: TestPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = await small_platform.context("registry")
    folder = small_platform.folder / "migrations"
    folder.mkdir()
    (folder / "0001_outbox.sql").write_text("select rtcc_create_outbox();")
    await ctx.database.migrate(folder)
    outbox, scope, real = Outbox(ctx.database, ctx.bus), Scope.service("registry", "a"), ctx.bus.publish_many
    refused: list[int] = []

    async def refuse(messages: Sequence[Outgoing]) -> list[PublishReceipt]:
        if len(refused) < 2:
            refused.append(len(messages))
            raise Unavailable("NATS")
        return await real(messages)

    monkeypatch.setattr(ctx.bus, "publish_many", refuse)
    running = asyncio.create_task(outbox.run())
    for number in range(5):
        async with ctx.database.transaction(scope) as connection:
            await outbox.add(connection, "event.a.x", str(number).encode(), message_id=str(number), agency_id="a")

    async def all_stored() -> bool:
        return (await ctx.bus.jetstream.stream_info("EVENTS")).state.messages == 5

    await poll(all_stored)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    bodies = [(await ctx.bus.jetstream.get_msg("EVENTS", number)).data for number in range(1, 6)]
    assert bodies == [b"0", b"1", b"2", b"3", b"4"]
