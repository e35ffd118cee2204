"""Airspace on real NATS and PostgreSQL, with the directory as the registry would fill it."""

import base64
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest_asyncio

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.airspace.v1.airspace_pb2_grpc import AirspaceServiceStub
from rtcc.event.v1.event_pb2 import Event
from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon
from rtcc.registry.v1 import registry_pb2
from rtcc.registry.v1.registry_pb2_grpc import RegistryServiceStub
from rtcc_airspace.domain.carriers import write_element
from rtcc_airspace.domain.messages import BasicId, Location, Message, OperatorId, SelfId, System, pack_of
from rtcc_airspace.service import serve
from rtcc_chassis.clock import utc_now
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.signature import sign
from rtcc_chassis.streams import EVENTS, StreamSpec
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_registry.service import serve as serve_registry

EAST = person("east", "operator", purpose="investigation", case_number="26-1")
WEST = person("west", "operator", purpose="investigation", case_number="26-2")
ADMINISTRATOR = person("east", "administrator", "supervisor")
NEIGHBOUR = person("west", "administrator", "supervisor")
OWNER = Scope.platform("standalone")
GATEWAY = Scope.platform("gateway")
SERIAL = "RTCCF00000000000042"
RECEIVER = (60.17, 24.94)


@dataclass
class Drone:
    """A drone as its transmitter tells it. Moves when a test says so."""

    serial: str = SERIAL
    latitude_deg: float = 60.17
    longitude_deg: float = 24.94
    height_m: float | None = 50.0
    pilot: tuple[float, float] | None = (60.168, 24.938)
    pilot_place: int = 0
    status: int = 2
    mac: str = "60:60:1f:00:00:01"

    def messages(self, at: datetime) -> list[Message]:
        tenths = round((at.minute * 60 + at.second + at.microsecond / 1e6) * 10) % 36_000
        told: list[Message] = [
            BasicId(1, 2, self.serial),
            Location(
                self.status, self.latitude_deg, self.longitude_deg, direction_deg=90, speed_mps=5.0, vertical_mps=0.5, altitude_m=80.0,
                height_m=self.height_m, horizontal_accuracy=10, tenths=tenths,
            ),
            SelfId(0, "Roof inspection"),
            OperatorId(0, "FIN87astrdge12k8"),
        ]  # fmt: skip
        if self.pilot is not None:
            told.append(System(self.pilot_place, *self.pilot))
        return told

    def frame(self, at: datetime | None = None, messages: Sequence[Message] | None = None, **more: Any) -> dict[str, Any]:
        at = at or utc_now()
        data = write_element(pack_of(messages or self.messages(at)), 0)
        return {"at": at.isoformat(), "carrier": "wifi_beacon", "mac": self.mac, "data": base64.b64encode(data).decode(), **more}


def document(*frames: dict[str, Any], receiver: tuple[float, float] | None = RECEIVER) -> bytes:
    body: dict[str, Any] = {"frames": list(frames)}
    if receiver is not None:
        body["receiver"] = {"lat": receiver[0], "lon": receiver[1]}
    return json.dumps(body).encode()


@dataclass
class Airspace:
    """The running service as a test uses it. `sources[adapter]` is (id, secret) of a source of "east"."""

    platform: TestPlatform
    context: ServiceContext
    stub: Any
    registry: Any
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)

    def signed(self, body: bytes, adapter: str = "remote_id", **changes: Any) -> pb.SubmitReceptionRequest:
        source_id, secret = self.sources[adapter]
        values = {"source_id": source_id, "timestamp": str(int(time.time())), "delivery_id": new_id(), "body": body} | changes
        values.setdefault("signature", sign(secret, values["timestamp"], values["delivery_id"], body))
        return pb.SubmitReceptionRequest(**values)

    async def submit(self, body: bytes, adapter: str = "remote_id", scope: Scope = GATEWAY, **changes: Any) -> pb.SubmitReceptionResponse:
        return await self.ask(self.stub.SubmitReception, self.signed(body, adapter, **changes), scope)

    async def tracks(self, scope: Scope = EAST, **fields: Any) -> list[pb.Track]:
        return list((await self.ask(self.stub.ListTracks, pb.ListTracksRequest(**fields), scope)).tracks)

    async def ask(self, method: Any, request: Any, scope: Scope) -> Any:
        try:
            return await method(request, metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def source(self, adapter: str, scope: Scope = ADMINISTRATOR) -> tuple[str, str]:
        wanted = registry_pb2.Source(name=f"a {adapter} receiver {new_id()[:8]}", adapter=adapter, enabled=True)
        created = await self.ask(self.registry.CreateSource, registry_pb2.CreateSourceRequest(source=wanted), scope)
        await self.mirrored("source", registry_pb2.Source, created.source.source_id)
        return created.source.source_id, created.secret

    async def zone(self, south: float, west: float, north: float, east: float, **fields: Any) -> str:
        corners = [Coordinate(latitude_deg=y, longitude_deg=x) for y, x in ((south, west), (south, east), (north, east), (north, west))]
        zone = registry_pb2.Zone(name=f"Zone {new_id()[:8]}", kind="air", area=Polygon(corners=corners), **fields)
        created = await self.ask(self.registry.CreateZone, registry_pb2.CreateZoneRequest(zone=zone), ADMINISTRATOR)
        await self.mirrored("zone", registry_pb2.Zone, created.zone.zone_id)
        return str(created.zone.zone_id)

    async def mirrored(self, type_name: str, message_type: Any, identifier: str) -> None:
        mirror = self.context.directory.mirror(type_name, message_type)

        async def there() -> bool:
            return mirror.get(identifier) is not None

        await poll(there)

    async def stored(self, stream: StreamSpec, subject: str, message_type: Any) -> list[Any]:
        """Every message on a subject, in order."""
        found: list[Any] = []

        async def take(deliveries: Any) -> None:
            found.extend(delivery.parse(message_type) for delivery in deliveries)

        tail = self.context.bus.tail(stream, [subject], take, start="all")
        task = self.context.lifecycle.spawn(tail.run(), "test tail")
        await tail.caught_up()
        task.cancel()
        return found

    async def alarms(self, agency_id: str = "east") -> list[Event]:
        return await self.stored(EVENTS, f"event.{agency_id}.drone_alarm", Event)

    async def alarm_count(self, count: int) -> list[Event]:
        found: list[Event] = []

        async def enough() -> bool:
            found[:] = await self.alarms()
            return len(found) >= count

        await poll(enough)
        assert len(found) == count
        return found


@pytest_asyncio.fixture
async def airspace(small_platform: TestPlatform) -> AsyncIterator[Airspace]:
    await small_platform.serve({"registry": serve_registry, "airspace": serve})
    context = await small_platform.context("airspace")
    running = Airspace(
        small_platform,
        context,
        context.channels.stub("airspace", AirspaceServiceStub),
        context.channels.stub("registry", RegistryServiceStub),
    )
    for agency_id in ("east", "west"):
        request = registry_pb2.CreateAgencyRequest(agency_id=agency_id, name=agency_id.title())
        await running.ask(running.registry.CreateAgency, request, OWNER)
    for adapter in ("remote_id", "adsb"):
        running.sources[adapter] = await running.source(adapter)
    yield running


def later(seconds: float) -> datetime:
    return utc_now() + timedelta(seconds=seconds)
