"""Alerting on real NATS and PostgreSQL, with the little it needs around it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.alerting.v1.alerting_pb2_grpc import AlertingServiceStub
from rtcc.event.v1 import event_pb2
from rtcc_alerting.service import serve
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import ALERTS, event_subject
from rtcc_chassis.testing import TestPlatform, person, poll

OPERATOR = person("east", "operator", "supervisor", name="Anna A", purpose="investigation", case_number="26-1")
SECOND = person("east", "operator", name="Bert B")
ADMINISTRATOR = person("east", "administrator", "supervisor", name="Cleo C", purpose="upkeep", case_number="none")
NEIGHBOUR = person("west", "operator", "supervisor", "administrator", name="Dora D", purpose="investigation", case_number="26-2")


def plate_read(plate: str, *, agency_id: str = "east", seconds_ago: float = 0.0, state: str = "", **more: Any) -> event_pb2.Event:
    event = event_pb2.Event(
        event_id=more.pop("event_id", None) or new_id(),
        agency_id=agency_id,
        source_id="reader",
        kind="plate_read",
        plate_read=event_pb2.PlateRead(plate=plate, state=state, confidence=0.9, camera_id="c1", **more),
    )
    event.position.coordinate.latitude_deg, event.position.coordinate.longitude_deg = 60.17, 24.94
    _at(event, seconds_ago)
    return event


def gunshot(incident_id: str, stage: str, classification: str = "gunfire", *, seconds_ago: float = 0.0) -> event_pb2.Event:
    stages = {
        "new": event_pb2.GUNSHOT_STAGE_NEW,
        "reclassified": event_pb2.GUNSHOT_STAGE_RECLASSIFIED,
        "closed": event_pb2.GUNSHOT_STAGE_CLOSED,
    }
    shot = event_pb2.Gunshot(incident_id=incident_id, stage=stages[stage], classification=classification, rounds=4)
    event = event_pb2.Event(event_id=new_id(), agency_id="east", source_id="sensors", kind="gunshot", gunshot=shot)
    event.position.coordinate.latitude_deg, event.position.coordinate.longitude_deg = 60.17, 24.94
    _at(event, seconds_ago)
    return event


def _at(event: event_pb2.Event, seconds_ago: float) -> None:
    now = datetime.now(UTC)
    event.occurred_at.FromDatetime(now - timedelta(seconds=seconds_ago))
    event.received_at.FromDatetime(now)


@dataclass
class Alerting:
    """The running service as a test uses it. `published` grows with every message of alert.>."""

    platform: TestPlatform
    context: ServiceContext
    stub: Any
    published: list[pb.Alert]

    def as_(self, scope: Scope) -> tuple[tuple[str, str], ...]:
        return self.platform.metadata(scope)

    async def publish(self, *events: event_pb2.Event, message_id: str = "") -> None:
        for event in events:
            await self.context.bus.publish(
                event_subject(event.agency_id, event.kind), event, message_id=message_id or event.event_id, agency_id=event.agency_id
            )

    async def list_(self, scope: Scope = OPERATOR, *, include_closed: bool = False) -> list[pb.Alert]:
        answer = await self.stub.ListAlerts(pb.ListAlertsRequest(include_closed=include_closed), metadata=self.as_(scope))
        return list(answer.alerts)

    async def until(self, question: Callable[[list[pb.Alert]], bool], *, include_closed: bool = False) -> list[pb.Alert]:
        """The list of alerts, once it is as asked."""

        async def ask() -> list[list[pb.Alert]]:
            alerts = await self.list_(include_closed=include_closed)
            return [alerts] if question(alerts) else []

        return (await poll(ask))[0]

    async def hot_list(self, name: str = "Stolen", *plates: str, scope: Scope = ADMINISTRATOR, **more: Any) -> pb.HotList:
        wanted = pb.HotList(name=name, enabled=more.pop("enabled", True), severity=more.pop("severity", 2), **more)
        created = (await self.stub.CreateHotList(pb.CreateHotListRequest(hot_list=wanted), metadata=self.as_(scope))).hot_list
        if plates:
            await self.import_(created.hot_list_id, *plates, scope=scope)
        return pb.HotList.FromString(created.SerializeToString())

    async def import_(self, hot_list_id: str, *plates: str, scope: Scope = ADMINISTRATOR) -> pb.ImportHotListResponse:
        content = "LIC,LIS,REASON\n" + "".join(f"{plate},FI,stolen\n" for plate in plates)
        request = pb.ImportHotListRequest(hot_list_id=hot_list_id, csv=content.encode())
        answer = await self.stub.ImportHotList(request, metadata=self.as_(scope))
        return pb.ImportHotListResponse.FromString(answer.SerializeToString())


@pytest.fixture
def alerting_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's patience with cameras, shortened so that a test can wait for its end, and messages allowed to this machine.

    Nothing is escalated while a slow machine works: who wants that takes `short_patience`, too.
    """
    settings = {
        "SUPERVISORS_AFTER_S": "43200",
        "EVERY_DESK_AFTER_S": "86400",
        "ESCALATION_CHECK_S": "60",
        "CAMERA_DOWN_AFTER_S": "0.3",
        "NOTIFICATION_NETWORKS": "127.0.0.0/8",
        "DELIVERY_LEASE_S": "3",
        "CONSOLE_ORIGIN": "https://rtcc.example.org",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"RTCC_ALERTING_{name}", value)


@pytest.fixture
def short_patience(alerting_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody takes is escalated after 2 s, and again after 4 s."""
    monkeypatch.setenv("RTCC_ALERTING_SUPERVISORS_AFTER_S", "2")
    monkeypatch.setenv("RTCC_ALERTING_EVERY_DESK_AFTER_S", "4")


@pytest_asyncio.fixture
async def alerting(small_platform: TestPlatform, alerting_environment: None) -> Alerting:
    await small_platform.servers.s3_endpoint()
    await small_platform.serve({"alerting": serve})
    context = await small_platform.context("alerting")
    published: list[pb.Alert] = []
    context.lifecycle.spawn(context.bus.tail(ALERTS, ["alert.>"], _collector(published), start="all").run(), "test tail")
    return Alerting(small_platform, context, context.channels.stub("alerting", AlertingServiceStub), published)


def _collector(published: list[pb.Alert]) -> Callable[[Any], Awaitable[None]]:
    async def collect(deliveries: list[Delivery]) -> None:
        published.extend(delivery.parse(pb.Alert) for delivery in deliveries)

    return collect
