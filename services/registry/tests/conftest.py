"""The registry over its real API, and who calls it."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest_asyncio

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc.registry.v1 import registry_pb2_grpc
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import from_rpc
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import AUDIT
from rtcc_chassis.testing import TestPlatform, person
from rtcc_registry.service import serve

OWNER = Scope.platform("standalone")
WEST = person("west", "administrator", name="West Admin", principal_id="west-admin")
EAST = person("east", "administrator", name="East Admin", principal_id="east-admin")


class Registry:
    """Calls the service as somebody; failures come back as our errors."""

    def __init__(self, platform: TestPlatform, context: ServiceContext) -> None:
        self.platform = platform
        self.context = context
        self._stub = context.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)

    async def call(self, scope: Scope, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        try:
            return await getattr(self._stub, method)(request, metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    def mirror(self, type_name: str, message_type: Any) -> Mirror[Any]:
        return self.context.directory.mirror(type_name, message_type)

    async def audit(self, agency_id: str) -> list[ledger_pb2.AuditEntry]:
        """What stands in an agency's log stream."""
        entries: list[ledger_pb2.AuditEntry] = []

        async def take(deliveries: Any) -> None:
            entries.extend(delivery.parse(ledger_pb2.AuditEntry) for delivery in deliveries if isinstance(delivery, Delivery))

        tail = self.context.bus.tail(AUDIT, [f"audit.{agency_id}"], take, start="all")
        task = self.context.lifecycle.spawn(tail.run(), "test tail")
        await tail.caught_up()
        task.cancel()
        return entries


@pytest_asyncio.fixture
async def registry(small_platform: TestPlatform) -> AsyncIterator[Registry]:
    await small_platform.serve({"registry": serve})
    registry = Registry(small_platform, await small_platform.context("registry"))
    for agency_id in ("west", "east"):
        await registry.call(OWNER, "CreateAgency", agency_id=agency_id, name=agency_id.title(), time_zone="Europe/Helsinki")
    yield registry


def camera(name: str, **more: Any) -> pb.Camera:
    place = Coordinate(latitude_deg=60.17, longitude_deg=24.94)
    return pb.Camera(name=name, kind=pb.CAMERA_KIND_STREET, coordinate=place, field_of_view_deg=90, range_m=80, **more)


async def present(mirror: Mirror[Any], identifier: str) -> bool:
    return mirror.get(identifier) is not None


async def holds(question: Any) -> bool:
    return bool(question())


async def equals(question: Any, expected: object) -> bool:
    return bool(await question() == expected)
