"""`kill -9` of the exchange while alerts stream through it: each is shared, and none twice."""

import asyncio
from collections import Counter
from typing import Any

from rtcc.alerting.v1 import alerting_pb2
from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import SHARED, alert_subject, directory_subject
from rtcc_chassis.testing import TestPlatform, free_port, person, poll
from rtcc_exchange.store import ExchangeStore

ALERTS = 300
KILLS = 2


async def test_every_alert_crosses_exactly_once_whatever_is_killed(small_platform: TestPlatform) -> None:
    context = await small_platform.context("exchange")
    terms = registry_pb2.Agreement(
        agreement_id="a1", grantor_agency_id="west", grantee_agency_id="east", status=registry_pb2.AGREEMENT_STATUS_ACTIVE,
        alert_kinds=["plate_hit"], revision=1,
    )  # fmt: skip
    await context.bus.publish(directory_subject("agreement", "west", "a1"), terms, message_id=new_id(), agency_id="west")
    port = free_port()
    process = await small_platform.start_process("exchange", port)
    await _subscribe(small_platform, port)
    subscriptions = context.directory.mirror("subscription", pb.Subscription)
    await poll(lambda: _holds(lambda: len(subscriptions.values()) == 1))
    raising = asyncio.create_task(_raise_alerts(context))
    for number in range(1, KILLS + 1):
        await poll(lambda wanted=number: _shared_at_least(context, wanted * ALERTS // (KILLS + 2)), deadline_s=60)  # type: ignore[misc] # bound per round
        process.kill()
        process.wait()
        process = await small_platform.start_process("exchange", port)
    await raising
    await poll(lambda: _shared_at_least(context, ALERTS), deadline_s=60)
    counted = await _counted(context)
    assert set(counted) == {f"x{number}" for number in range(ALERTS)}
    assert {count for count in counted.values()} == {1}
    store = ExchangeStore(context.database, outbox=None)  # type: ignore[arg-type] # only read from

    async def nothing_waits() -> bool:
        async with store.work(Scope.platform("exchange")) as work:
            return not await work.waiting(10)

    # what was sent leaves the outbox after it is sent
    await poll(nothing_waits, deadline_s=60)


async def _subscribe(platform: TestPlatform, port: int) -> None:
    import grpc

    from rtcc.exchange.v1 import exchange_pb2_grpc

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = exchange_pb2_grpc.ExchangeServiceStub(channel)
        metadata = platform.metadata(person("east", "supervisor"))
        await stub.CreateSubscription(pb.CreateSubscriptionRequest(agreement_id="a1"), metadata=metadata, wait_for_ready=True, timeout=60)


async def _raise_alerts(context: Any) -> None:
    for number in range(ALERTS):
        alert = alerting_pb2.Alert(
            alert_id=f"x{number}", agency_id="west", kind="plate_hit", revision=1, state=alerting_pb2.ALERT_STATE_NEW
        )
        await context.bus.publish(alert_subject("west"), alert, message_id=alert.alert_id, agency_id="west")


async def _shared_at_least(context: Any, wanted: int) -> bool:
    state = (await context.bus.jetstream.stream_info(SHARED.name, subjects_filter="shared.east.alert")).state
    return (state.subjects or {}).get("shared.east.alert", 0) >= wanted


async def _counted(context: Any) -> Counter[str]:
    found: Counter[str] = Counter()

    async def take(deliveries: Any) -> None:
        found.update(delivery.parse(pb.SharedAlert).alert.alert_id for delivery in deliveries)

    tail = context.bus.tail(SHARED, ["shared.east.alert"], take, start="all")
    task = context.lifecycle.spawn(tail.run(), "test tail")
    await tail.caught_up()
    task.cancel()
    return found


async def _holds(question: Any) -> bool:
    return bool(question())
