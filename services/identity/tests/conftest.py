"""Identity on real NATS, PostgreSQL and S3, with the little it needs around it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest_asyncio

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc.identity.v1.identity_pb2_grpc import IdentityServiceStub
from rtcc.ledger.v1.ledger_pb2 import AuditEntry
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agreement
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import AUDIT, directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_identity.service import serve

REASON = {"purpose": "investigation", "case_number": "26-1"}
OFFICER = person("east", "officer", name="Olli Officer", **REASON)
INVESTIGATOR = person("east", "investigator", name="Inka Investigator", **REASON)
SUPERVISOR = person("east", "supervisor", name="Sanna Supervisor", **REASON)
DISPATCHER = person("east", "dispatcher", name="Dani Dispatcher", **REASON)
NEIGHBOUR = person("west", "investigator", "supervisor", name="Nina Neighbour", **REASON)


def a_person(given_names: str, surname: str, birth_date: str = "", **more: Any) -> pb.Record:
    details = pb.PersonDetails(birth_date=birth_date, **more)
    details.names.insert(0, pb.RecordName(given_names=given_names, surname=surname))
    return pb.Record(person=details)


def at(text: str, latitude: float = 0.0, longitude: float = 0.0, kind: str = "home") -> pb.Address:
    address = pb.Address(text=text, kind=kind)
    if latitude or longitude:
        address.coordinate.latitude_deg, address.coordinate.longitude_deg = latitude, longitude
    return address


@dataclass
class Identity:
    """The running service as a test uses it. `audited` grows with every entry of the audit stream."""

    platform: TestPlatform
    context: ServiceContext
    stub: Any
    audited: list[AuditEntry]

    async def call(self, method: str, request: Any, scope: Scope = INVESTIGATOR) -> Any:
        answer = await getattr(self.stub, method)(request, metadata=self.platform.metadata(scope))
        # the answer is a message of the same class; a copy keeps it from the channel's arena
        return type(answer).FromString(answer.SerializeToString())

    async def save(self, record: pb.Record, scope: Scope = SUPERVISOR) -> pb.Record:
        saved: pb.Record = (await self.call("SaveRecord", pb.SaveRecordRequest(record=record), scope)).record
        return saved

    async def search(self, name: str = "", birth_date: str = "", scope: Scope = INVESTIGATOR, **more: Any) -> list[pb.PersonHit]:
        request = pb.SearchPersonRecordsRequest(name=name, birth_date=birth_date, **more)
        return list((await self.call("SearchPersonRecords", request, scope)).hits)

    async def agree(self, grantor: str, grantee: str, fields: Sequence[str], **more: Any) -> None:
        """An agreement in the directory, as the registry would announce it; visible when this returns."""
        agreement = Agreement(
            agreement_id=f"{grantor}-{grantee}", grantor_agency_id=grantor, grantee_agency_id=grantee, status=AGREEMENT_STATUS_ACTIVE,
            person_fields=fields, **more,
        )  # fmt: skip
        await self.announce(agreement)

    async def announce(self, agreement: Agreement) -> None:
        mirror = self.context.directory.mirror("agreement", Agreement)
        subject = directory_subject("agreement", agreement.grantor_agency_id, agreement.agreement_id)
        await self.context.bus.publish(subject, agreement, message_id=new_id(), agency_id=agreement.grantor_agency_id)

        async def arrived() -> bool:
            return agreement in list(mirror.values())

        await poll(arrived)

    async def entry(self, action: str, scope: Scope) -> AuditEntry:
        """The newest audit entry of this person's act."""

        async def found() -> list[AuditEntry]:
            return [one for one in self.audited if one.action == action and one.principal_id == scope.principal_id]

        return (await poll(found))[-1]


@pytest_asyncio.fixture
async def identity(small_platform: TestPlatform) -> Identity:
    await small_platform.servers.s3_endpoint()
    await small_platform.serve({"identity": serve})
    context = await small_platform.context("identity")
    audited: list[AuditEntry] = []

    async def collect(deliveries: list[Delivery]) -> None:
        audited.extend(delivery.parse(AuditEntry) for delivery in deliveries)

    context.lifecycle.spawn(context.bus.tail(AUDIT, ["audit.>"], collect, start="all").run(), "test tail")
    await asyncio.sleep(0)
    return Identity(small_platform, context, context.channels.stub("identity", IdentityServiceStub), audited)
