"""Sharing between two agencies over real NATS and PostgreSQL."""

import asyncio
import dataclasses
import os
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio
from nats.js.errors import NotFoundError

from rtcc.alerting.v1 import alerting_pb2, alerting_pb2_grpc
from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc.exchange.v1 import exchange_pb2_grpc
from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.clock import utc_now
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import NotFound, RtccError, from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import AUDIT, SHARED, StreamSpec, alert_subject, directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_exchange.app.reconciling import reconcile
from rtcc_exchange.events import SharedStream
from rtcc_exchange.service import serve
from rtcc_exchange.store import ExchangeStore

# how soon is judged where nothing else runs
SOAK = os.environ.get("RTCC_SOAK") == "1"
EAST = person("east", "operator", "supervisor", name="East Operator", principal_id="east-op")
WEST = person("west", "operator", "supervisor", name="West Operator")
NORTH = person("north", "operator", "supervisor", name="North Operator")


class Exchange:
    """Calls the service; writes directory and alerts as registry and alerting would."""

    def __init__(self, platform: TestPlatform, context: ServiceContext, clock: "MovableClock") -> None:
        self.platform = platform
        self.context = context
        self.clock = clock
        self._stub = context.channels.stub("exchange", exchange_pb2_grpc.ExchangeServiceStub)

    async def call(self, scope: Scope, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        try:
            return await getattr(self._stub, method)(request, metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def tell(self, type_name: str, agency_id: str, identifier: str, message: Any) -> None:
        """A directory entry, waited for in this process's mirror."""
        await self.context.bus.publish(
            directory_subject(type_name, agency_id, identifier), message, message_id=new_id(), agency_id=agency_id
        )
        mirror = self.context.directory.mirror(type_name, type(message))
        await poll(lambda: _holds(lambda: mirror.get(identifier) == message))

    async def raise_alert(self, alert: alerting_pb2.Alert) -> None:
        await self.context.bus.publish(
            alert_subject(alert.agency_id), alert, message_id=f"{alert.alert_id}.{alert.revision}", agency_id=alert.agency_id
        )

    async def stored(self, stream: StreamSpec, subject: str) -> list[bytes]:
        """The body of every message on a subject that nobody erased."""
        found: list[bytes] = []
        sequence = 1
        while True:
            try:
                message = await self.context.bus.jetstream.get_msg(stream.name, sequence, subject, next=True)
            except NotFoundError:
                return found
            found.append(message.data or b"")
            sequence = (message.seq or 0) + 1

    async def received(self, agency_id: str = "east") -> list[pb.SharedAlert]:
        return [pb.SharedAlert.FromString(body) for body in await self.stored(SHARED, f"shared.{agency_id}.alert")]

    async def nothing_left(self) -> bool:
        """Whether the stream holds no copy for the neighbour."""
        state = (await self.context.bus.jetstream.stream_info(SHARED.name, subjects_filter="shared.east.alert")).state
        return not state.subjects

    async def audit(self, agency_id: str) -> list[ledger_pb2.AuditEntry]:
        return [ledger_pb2.AuditEntry.FromString(body) for body in await self.stored(AUDIT, f"audit.{agency_id}")]

    async def wait_for(self, count: int, agency_id: str = "east") -> list[pb.SharedAlert]:
        async def enough() -> list[pb.SharedAlert]:
            found = await self.received(agency_id)
            return found if len(found) >= count else []

        return await poll(enough)


class MovableClock:
    """The time of the service, which may be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


class OpenAlerts(alerting_pb2_grpc.AlertingServiceServicer):
    """Alerting's half of a new subscription: what is open."""

    def __init__(self) -> None:
        self.open: list[alerting_pb2.Alert] = []

    async def ListAlerts(self, request: alerting_pb2.ListAlertsRequest, context: Any) -> alerting_pb2.ListAlertsResponse:
        return alerting_pb2.ListAlertsResponse(alerts=self.open)


@pytest_asyncio.fixture
async def alerting(small_platform: TestPlatform) -> OpenAlerts:
    servicer = OpenAlerts()
    context = await small_platform.context("alerting")
    context.rpc.add(alerting_pb2_grpc.add_AlertingServiceServicer_to_server, servicer)
    return servicer


@pytest_asyncio.fixture
async def exchange(small_platform: TestPlatform, alerting: OpenAlerts) -> AsyncIterator[Exchange]:
    clock = MovableClock()
    context = dataclasses.replace(await small_platform.context("exchange"), clock=clock)
    small_platform._contexts["exchange"] = context
    await small_platform.serve({"exchange": serve})
    exchange = Exchange(small_platform, context, clock)
    for camera_id in ("c1", "c2"):
        place = Coordinate(latitude_deg=60.17, longitude_deg=24.94)
        camera = registry_pb2.Camera(camera_id=camera_id, agency_id="west", name=camera_id, coordinate=place, enabled=True)
        await exchange.tell("camera", "west", camera_id, camera)
    yield exchange


def agreement(**terms: Any) -> registry_pb2.Agreement:
    return registry_pb2.Agreement(
        agreement_id=terms.pop("agreement_id", "a1"), grantor_agency_id="west", grantee_agency_id=terms.pop("grantee", "east"),
        status=registry_pb2.AGREEMENT_STATUS_ACTIVE, alert_kinds=["plate_hit"], camera_ids=["c1"], cameras_live=True, revision=1, **terms,
    )  # fmt: skip


def revoked(terms: registry_pb2.Agreement) -> registry_pb2.Agreement:
    ended = registry_pb2.Agreement()
    ended.CopyFrom(terms)
    ended.status, ended.revision = registry_pb2.AGREEMENT_STATUS_REVOKED, terms.revision + 1
    return ended


def alert(
    alert_id: str = "x1", revision: int = 1, state: Any = alerting_pb2.ALERT_STATE_NEW, kind: str = "plate_hit"
) -> alerting_pb2.Alert:
    made = alerting_pb2.Alert(alert_id=alert_id, agency_id="west", kind=kind, revision=revision, state=state, title="Stolen truck")
    made.context.cameras.add(camera_id="c1")
    made.context.cameras.add(camera_id="c2")
    made.context.units.add(unit_id="w1")
    return made


async def subscribed(exchange: Exchange, terms: registry_pb2.Agreement | None = None, scope: Scope = EAST) -> registry_pb2.Agreement:
    terms = terms or agreement()
    await exchange.tell("agreement", "west", terms.agreement_id, terms)
    made = (await exchange.call(scope, "CreateSubscription", agreement_id=terms.agreement_id)).subscription
    mirror = exchange.context.directory.mirror("subscription", pb.Subscription)
    await poll(lambda: _holds(lambda: mirror.get(made.subscription_id) is not None))
    return terms


async def test_an_alert_reaches_the_neighbour_once_per_revision_and_cut_to_the_grant(exchange: Exchange) -> None:  # R16
    await subscribed(exchange)
    for revision in (1, 1, 2):
        await exchange.raise_alert(alert(revision=revision))
    await exchange.raise_alert(alert("x2", kind="gunshot"))
    await exchange.raise_alert(alert("x3"))
    copies = await exchange.wait_for(2)
    newest = {copy.alert.alert_id: copy for copy in copies}
    assert [copy.alert.revision for copy in copies if copy.alert.alert_id == "x1"] in ([1, 2], [2])
    assert set(newest) == {"x1", "x3"}
    assert [choice.camera_id for choice in newest["x3"].alert.context.cameras] == ["c1"]
    assert not newest["x3"].alert.context.units
    listed = (await exchange.call(EAST, "ListSharedAlerts")).alerts
    assert {copy.alert.alert_id for copy in listed} == {"x1", "x3"}
    for stranger in (WEST, NORTH):
        assert not (await exchange.call(stranger, "ListSharedAlerts")).alerts
    told = [entry for entry in await exchange.audit("west") if entry.action == "alert.share" and "alert:x3" in entry.object_ids]
    assert [(entry.agreement_id, entry.owner_agency_id) for entry in told] == [("a1", "west")]


async def test_a_redelivered_alert_is_not_shared_again(exchange: Exchange) -> None:
    await subscribed(exchange)
    await exchange.raise_alert(alert())
    await exchange.wait_for(1)
    # beyond the duplicate window of the stream nothing but the table knows
    await exchange.context.bus.publish(alert_subject("west"), alert(), message_id=new_id(), agency_id="west")
    await exchange.raise_alert(alert("x2"))
    copies = await exchange.wait_for(2)
    assert sorted(copy.alert.alert_id for copy in copies) == ["x1", "x2"]


async def test_without_a_subscription_nothing_leaves(exchange: Exchange) -> None:
    await exchange.tell("agreement", "west", "a1", agreement())
    await exchange.raise_alert(alert())
    await subscribed(exchange, agreement(agreement_id="a2", grantee="north"), NORTH)
    await exchange.raise_alert(alert("x2"))
    await exchange.wait_for(1, "north")
    assert not await exchange.received("east")


async def test_only_the_grantee_subscribes_and_only_to_what_is_granted(exchange: Exchange) -> None:
    await exchange.tell("agreement", "west", "a1", agreement())
    for scope in (WEST, NORTH):
        with pytest.raises(NotFound):
            await exchange.call(scope, "CreateSubscription", agreement_id="a1")
    with pytest.raises(RtccError):
        await exchange.call(EAST, "CreateSubscription", agreement_id="a1", alert_kinds=["gunshot"])
    first = (await exchange.call(EAST, "CreateSubscription", agreement_id="a1")).subscription
    again = (await exchange.call(EAST, "CreateSubscription", agreement_id="a1")).subscription
    assert first == again
    for scope in (WEST, EAST):
        assert len((await exchange.call(scope, "ListSubscriptions")).subscriptions) == 1
    assert not (await exchange.call(NORTH, "ListSubscriptions")).subscriptions
    with pytest.raises(NotFound):
        await exchange.call(WEST, "DeleteSubscription", subscription_id=first.subscription_id)


async def test_a_new_subscriber_gets_what_is_open(exchange: Exchange, alerting: OpenAlerts) -> None:
    alerting.open = [alert("open-1"), alert("open-2", kind="gunshot")]
    await subscribed(exchange)
    assert [copy.alert.alert_id for copy in await exchange.wait_for(1)] == ["open-1"]


async def test_nothing_crosses_before_the_attestation_and_what_is_open_follows_it(exchange: Exchange, alerting: OpenAlerts) -> None:  # R20
    terms = await subscribed(exchange, agreement(attestation_required=True))
    await exchange.raise_alert(alert())
    alerting.open = [alert()]
    await subscribed(exchange, agreement(agreement_id="a2", grantee="north"), NORTH)
    await exchange.raise_alert(alert("x2"))
    await exchange.wait_for(2, "north")
    assert not await exchange.received()
    terms.attested_at.FromDatetime(utc_now())
    terms.revision = 2
    await exchange.tell("agreement", "west", "a1", terms)
    assert [copy.alert.alert_id for copy in await exchange.wait_for(1)] == ["x1"]


async def test_a_revocation_takes_back_within_a_second_and_nothing_comes_after(exchange: Exchange) -> None:
    terms = await subscribed(exchange)
    for number in range(20):
        await exchange.raise_alert(alert(f"x{number}"))
    await exchange.wait_for(20)
    await exchange.tell("agreement", "west", "a1", revoked(terms))
    started = time.monotonic()
    await poll(exchange.nothing_left)
    took_s = time.monotonic() - started
    print(f"taken back after {took_s:.2f} s")
    assert not SOAK or took_s < 1
    assert not (await exchange.call(EAST, "ListSharedAlerts")).alerts
    with pytest.raises(NotFound):
        await exchange.call(EAST, "AcknowledgeSharedAlert", alert_id="x1")

    async def ended() -> bool:
        # the copies leave the stream before the transaction that ends the subscription does
        return not (await exchange.call(EAST, "ListSubscriptions")).subscriptions

    await poll(ended)
    await exchange.raise_alert(alert("after"))
    await subscribed(exchange, agreement(agreement_id="a2", grantee="north"), NORTH)
    await exchange.raise_alert(alert("last"))
    await exchange.wait_for(1, "north")
    assert not await exchange.received()
    withdrawn = [entry for entry in await exchange.audit("east") if entry.action == "shared_alert.withdraw"]
    assert len(withdrawn) == 1 and len(withdrawn[0].object_ids) == 21


async def test_an_agreement_that_runs_out_ends_by_itself(exchange: Exchange) -> None:
    terms = agreement()
    terms.valid_until.FromDatetime(utc_now() + timedelta(minutes=5))
    await subscribed(exchange, terms)
    await exchange.raise_alert(alert())
    await exchange.wait_for(1)
    exchange.clock.ahead = timedelta(minutes=5)
    await poll(exchange.nothing_left)
    assert not (await exchange.call(EAST, "ListSharedAlerts")).alerts


async def test_narrowing_reaches_what_was_shared_before(exchange: Exchange) -> None:
    await subscribed(exchange)
    await exchange.raise_alert(alert())
    await exchange.wait_for(1)
    narrower = agreement(redactions=["hot_list_source"])
    narrower.revision = 2
    del narrower.camera_ids[:]
    await exchange.tell("agreement", "west", "a1", narrower)

    async def cut() -> bool:
        copies = await exchange.received()
        return len(copies) == 1 and not copies[0].alert.context.cameras

    await poll(cut)
    (listed,) = (await exchange.call(EAST, "ListSharedAlerts")).alerts
    assert not listed.alert.context.cameras


async def test_the_first_acknowledgement_wins_inside_the_grantee_and_the_grantor_is_told(exchange: Exchange) -> None:
    await subscribed(exchange)
    await exchange.raise_alert(alert())
    await exchange.wait_for(1)
    second = person("east", "operator", name="Second", principal_id="east-2")
    answers = await asyncio.gather(*(exchange.call(scope, "AcknowledgeSharedAlert", alert_id="x1") for scope in (EAST, second)))
    assert sorted(answer.won for answer in answers) == [False, True]
    (winner,) = {answer.alert.acknowledged_by for answer in answers}
    assert (await exchange.wait_for(2))[-1].acknowledged_by == winner

    async def told() -> bool:
        return bool(await exchange.stored(SHARED, "shared.west.acknowledged"))

    await poll(told)
    with pytest.raises(NotFound):
        await exchange.call(NORTH, "AcknowledgeSharedAlert", alert_id="x1")
    await exchange.raise_alert(alert(revision=2, state=alerting_pb2.ALERT_STATE_CLOSED))
    closed = (await exchange.wait_for(3))[-1]
    assert (closed.alert.state, closed.acknowledged_by) == (alerting_pb2.ALERT_STATE_CLOSED, winner)


async def test_cameras_granted_during_alerts_are_there_only_then(exchange: Exchange) -> None:
    await subscribed(exchange, agreement(cameras_only_during_alert=True))

    async def seen() -> list[str]:
        return [shared.camera.camera_id for shared in (await exchange.call(EAST, "ListSharedCameras")).cameras]

    assert await seen() == []
    await exchange.raise_alert(alert())
    await exchange.wait_for(1)
    assert await seen() == ["c1"]
    markers = exchange.context.directory.mirror("shared_alert", pb.SharedAlert)
    await poll(lambda: _holds(lambda: [marker.agreement_id for marker in markers.values()] == ["a1"]))
    await exchange.raise_alert(alert(revision=2, state=alerting_pb2.ALERT_STATE_CLOSED))
    await exchange.wait_for(2)
    assert await seen() == []
    await poll(lambda: _holds(lambda: not markers.values()))
    assert [shared.camera.camera_id for shared in (await exchange.call(WEST, "ListSharedCameras")).cameras] == []


async def test_unsubscribing_ends_the_share_and_subscribing_again_begins_anew(exchange: Exchange, alerting: OpenAlerts) -> None:
    await subscribed(exchange)
    alerting.open = [alert()]
    await exchange.raise_alert(alert())
    await exchange.wait_for(1)
    (mine,) = (await exchange.call(EAST, "ListSubscriptions")).subscriptions
    await exchange.call(EAST, "DeleteSubscription", subscription_id=mine.subscription_id)
    assert not await exchange.received()
    mirror = exchange.context.directory.mirror("subscription", pb.Subscription)
    await poll(lambda: _holds(lambda: mirror.get(mine.subscription_id) is None))
    await exchange.call(EAST, "CreateSubscription", agreement_id="a1")
    assert [copy.alert.alert_id for copy in await exchange.wait_for(1)] == ["x1"]


async def test_what_was_written_before_a_crash_is_sent_after_it(exchange: Exchange) -> None:
    await subscribed(exchange)
    store = ExchangeStore(exchange.context.database, outbox=None)  # type: ignore[arg-type] # only a delivery is written
    copy = pb.SharedAlert(agreement_id="a1", grantee_agency_id="east", alert=alert("lost"))
    async with store.work(Scope.platform("exchange")) as work:
        await work._add_delivery(copy, "shared.east.alert", "lost-1")
    assert [found.alert.alert_id for found in await exchange.wait_for(1)] == ["lost"]


async def test_a_directory_that_lost_its_memory_is_brought_in_line(exchange: Exchange) -> None:
    await subscribed(exchange)
    await exchange.raise_alert(alert())
    await exchange.wait_for(1)
    context = exchange.context
    subscriptions = context.directory.mirror("subscription", pb.Subscription)
    markers = context.directory.mirror("shared_alert", pb.SharedAlert)
    await poll(lambda: _holds(lambda: len(markers.values()) == 1))
    (subscription,) = subscriptions.values()
    for type_name, identifier in (("subscription", subscription.subscription_id), ("shared_alert", "a1_x1")):
        await context.bus.publish(directory_subject(type_name, "west", identifier), b"", message_id=new_id(), agency_id="west")
    await poll(lambda: _holds(lambda: not subscriptions.values() and not markers.values()))
    store = ExchangeStore(context.database, Outbox(context.database, context.bus))
    assert await reconcile(store, subscriptions, markers) == 2
    await poll(lambda: _holds(lambda: len(subscriptions.values()) == len(markers.values()) == 1))
    assert await reconcile(store, subscriptions, markers) == 0


async def test_closed_copies_and_sent_messages_are_let_go_by_age(exchange: Exchange) -> None:
    await subscribed(exchange)
    await exchange.raise_alert(alert("x1"))
    await exchange.raise_alert(alert("x2"))
    await exchange.wait_for(2)
    await exchange.raise_alert(alert("x1", revision=2, state=alerting_pb2.ALERT_STATE_CLOSED))
    await exchange.wait_for(3)
    store = ExchangeStore(exchange.context.database, Outbox(exchange.context.database, exchange.context.bus))

    async def all_sent() -> bool:
        # what stands in the stream is written down as sent a moment later
        async with store.work(Scope.platform("exchange")) as work:
            return not await work.waiting(10)

    await poll(all_sent)
    async with store.work(Scope.platform("exchange")) as work:
        await work.forget_older(utc_now() - timedelta(days=1))
        assert await work.agreements_in_use() == {"a1"}
        assert len(await work.newest_shared(10)) == 2
        await work.forget_older(utc_now() + timedelta(days=1))
        assert [copy.alert.alert_id for copy in await work.newest_shared(10)] == ["x2"]
        assert await work.sent_sequences("a1", None) == []


async def test_a_message_that_is_gone_already_is_taken_back_without_fuss(exchange: Exchange) -> None:
    stream = SharedStream(exchange.context.bus)
    receipt = await exchange.context.bus.publish("shared.east.alert", alert(), message_id=new_id(), agency_id="east")
    await stream.delete([receipt.sequence])
    await stream.delete([receipt.sequence, receipt.sequence + 5_000])


async def _holds(question: Any) -> bool:
    return bool(question())
