"""Incidents on real NATS, PostgreSQL and S3; the directory written as the registry would."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest_asyncio
from nats.js.errors import NotFoundError

from rtcc.alerting.v1 import alerting_pb2
from rtcc.event.v1 import event_pb2
from rtcc.geo.v1.geo_pb2 import Coordinate, Position
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc.incidents.v1.incidents_pb2_grpc import IncidentsServiceStub
from rtcc.registry.v1.registry_pb2 import Agency, Person, Unit
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import ALERTS, EVENTS, INCIDENTS, alert_subject, directory_subject, event_subject
from rtcc_chassis.testing import Servers, TestPlatform, person, poll, test_platform
from rtcc_incidents.service import serve

DISPATCHER = person("east", "dispatcher", name="Dina D")
OPERATOR = person("east", "operator", name="Olga O")
SUPERVISOR = person("east", "supervisor", name="Sven S")
OFFICER = person("east", "officer", name="Otto O")
NEIGHBOUR = person("west", "dispatcher", "supervisor", "operator", name="Wera W")
GATEWAY = Scope.platform("gateway")
HERE = (60.1841, 24.9501)


def position(latitude: float = HERE[0], longitude: float = HERE[1]) -> Position:
    return Position(coordinate=Coordinate(latitude_deg=latitude, longitude_deg=longitude), accuracy_m=15)


def call(
    call_id: str, status: str = "new", *, at: datetime | None = None, where: Position | None = None, event_id: str = "", **more: Any
) -> event_pb2.Event:
    """One report of a call for service."""
    labels = more.pop("labels", ())
    fields = {"call_type": "Burglary", "priority": 2, "address": "Fleminginkatu 12, Helsinki", "narrative": "glass breaking", **more}
    event = event_pb2.Event(
        event_id=event_id or new_id(), agency_id="east", source_id="cad", kind="call_for_service", labels=labels,
        call_for_service=event_pb2.CallForService(call_id=call_id, status=status, **fields),
    )  # fmt: skip
    event.position.CopyFrom(where or position())
    event.occurred_at.FromDatetime(at or datetime.now(UTC))
    event.received_at.FromDatetime(datetime.now(UTC))
    return event


def alert(where: Position | None = None, *, seconds_ago: float = 0.0, agency_id: str = "east", **more: Any) -> alerting_pb2.Alert:
    """A new gunshot alert."""
    fields = {"alert_id": new_id(), "kind": "gunshot", "severity": 1, "title": "Gunfire, 4 rounds", "revision": 1, **more}
    made = alerting_pb2.Alert(agency_id=agency_id, state=alerting_pb2.ALERT_STATE_NEW, **fields)
    made.position.CopyFrom(where or position())
    made.occurred_at.FromDatetime(datetime.now(UTC) - timedelta(seconds=seconds_ago))
    return made


@dataclass
class Incidents:
    """The running service as a test uses it. `published` grows with every message of incident.>."""

    platform: TestPlatform
    context: ServiceContext
    stub: Any
    published: list[pb.Incident] = field(default_factory=list)

    async def ask(self, method: str, scope: Scope, **fields: Any) -> Any:
        """The answer of a call; its error as the chassis has it."""
        request = getattr(pb, f"{method}Request")(**fields)
        try:
            return await getattr(self.stub, method)(request, metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            rebuilt = from_rpc(error)
            rebuilt.args = (rebuilt.message,)
            raise rebuilt from None

    async def publish(self, *messages: event_pb2.Event | alerting_pb2.Alert, message_id: str = "") -> None:
        """As intake and alerting do."""
        for message in messages:
            if isinstance(message, event_pb2.Event):
                subject, key = event_subject(message.agency_id, message.kind), message.event_id
            else:
                subject, key = alert_subject(message.agency_id), f"{message.alert_id}:{message.revision}"
            await self.context.bus.publish(subject, message, message_id=message_id or key, agency_id=message.agency_id)

    async def idle(self) -> bool:
        """Whether everything that was sent is handled and told."""
        for stream, durable in ((EVENTS, "incidents-events"), (ALERTS, "incidents-alerts")):
            try:
                info = await self.context.bus.jetstream.consumer_info(stream.name, durable)
            except NotFoundError:
                return False
            if info.num_pending or info.num_ack_pending:
                return False
        async with self.context.database.transaction(Scope.platform("incidents")) as connection:
            return not await connection.fetchval("select count(*) from rtcc_outbox")

    async def list_(self, scope: Scope = DISPATCHER, **fields: Any) -> list[pb.Incident]:
        return list((await self.ask("ListIncidents", scope, **fields)).incidents)

    async def of_call(self, call_id: str, ready: Callable[[pb.Incident], bool] = lambda _: True) -> pb.Incident:
        """The call's incident, once it is as asked."""

        async def look() -> list[pb.Incident]:
            found = await self.list_(include_closed=True)
            return [incident for incident in found if call_id in incident.call_ids and ready(incident)]

        return (await poll(look))[0]

    async def create(self, scope: Scope = DISPATCHER, **fields: Any) -> pb.Incident:
        answer = await self.ask("CreateIncident", scope, **{"kind": "Welfare check", "address": "Kaarlenkatu 3", **fields})
        return pb.Incident.FromString(answer.incident.SerializeToString())

    async def timeline(self, incident_id: str, scope: Scope = DISPATCHER, **fields: Any) -> list[pb.TimelineEntry]:
        return list((await self.ask("ListTimeline", scope, incident_id=incident_id, **fields)).entries)

    async def add(self, type_name: str, agency_id: str, identifier: str, message: Any) -> None:
        """Into the directory, seen by the service when it returns."""
        await self.context.bus.publish(
            directory_subject(type_name, agency_id, identifier), message, message_id=new_id(), agency_id=agency_id
        )
        mirror = self.context.directory.mirror(type_name, type(message))

        async def seen() -> bool:
            return mirror.get(identifier) == message

        await poll(seen)

    async def add_unit(self, unit_id: str, agency_id: str = "east") -> str:
        unit = Unit(unit_id=unit_id, agency_id=agency_id, call_sign=unit_id.upper(), kind="patrol", device_id=f"d-{unit_id}", enabled=True)
        await self.add("unit", agency_id, unit_id, unit)
        return unit_id

    async def rides_with(self, scope: Scope, unit_id: str) -> None:
        who = Person(person_id=scope.principal_id, agency_id=scope.agency_id, login="x", roles=sorted(scope.roles), enabled=True)
        who.unit_id = unit_id
        await self.add("person", scope.agency_id, scope.principal_id, who)

    async def dispatched(self, *unit_ids: str) -> pb.Incident:
        """A new incident with these units on it."""
        incident = await self.create()
        for unit_id in unit_ids:
            await self.add_unit(unit_id)
            answer = await self.ask("AssignUnit", DISPATCHER, incident_id=incident.incident_id, unit_id=unit_id)
            incident = answer.incident
        return incident


def repeating(scope: Scope, key: str) -> Scope:
    """The same person sending a request with an idempotency key."""
    return replace(scope, idempotency_key=key)


@pytest_asyncio.fixture(scope="module")
async def served(servers: Servers) -> AsyncIterator[Incidents]:
    """One platform for the tests of a file."""
    await servers.s3_endpoint()
    async with test_platform(servers) as platform:
        await platform.serve({"incidents": serve})
        context = await platform.context("incidents")
        running = Incidents(platform, context, context.channels.stub("incidents", IncidentsServiceStub))
        context.lifecycle.spawn(context.bus.tail(INCIDENTS, ["incident.>"], _collector(running.published), start="all").run(), "test tail")
        for agency_id in ("east", "west"):
            agency = Agency(agency_id=agency_id, name=agency_id.title(), time_zone="Europe/Helsinki", enabled=True)
            await running.add("agency", agency_id, agency_id, agency)
        yield running


@pytest_asyncio.fixture
async def incidents(served: Incidents) -> Incidents:
    """The service without anything in it."""
    await poll(served.idle)
    async with served.context.database.transaction(Scope.platform("incidents")) as connection:
        await connection.execute(
            "truncate incident_number, incident, incident_call, unit_work, timeline_entry, incident_photo, known_alert, floor_plan, tip,"
            " tip_sender, tip_line"
        )
    served.published.clear()
    return served


def _collector(published: list[pb.Incident]) -> Callable[[Any], Awaitable[None]]:
    async def collect(deliveries: list[Delivery]) -> None:
        published.extend(delivery.parse(pb.Incident) for delivery in deliveries)

    return collect
