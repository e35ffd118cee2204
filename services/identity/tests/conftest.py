"""Identity on real NATS, PostgreSQL and S3: started once, each test in agencies of its own."""

import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
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
from rtcc_chassis.testing import Servers, TestPlatform, person, poll, test_platform
from rtcc_identity.service import serve

_NUMBERS = itertools.count(1)


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
class Running:
    """The service of the session. `audited` grows with every entry of the audit stream."""

    platform: TestPlatform
    context: ServiceContext
    stub: Any
    audited: list[AuditEntry]


@dataclass
class Identity:
    """The running service as one test uses it: two agencies that nobody else has, with a person a role."""

    running: Running
    number: int = field(default_factory=lambda: next(_NUMBERS))

    @property
    def east(self) -> str:
        return f"east-{self.number}"

    @property
    def west(self) -> str:
        return f"west-{self.number}"

    def scope(self, agency_id: str, *roles: str) -> Scope:
        name = f"{agency_id} {' '.join(roles)}"
        return person(agency_id, *roles, name=name, purpose="investigation", case_number="26-1")

    @property
    def officer(self) -> Scope:
        return self.scope(self.east, "officer")

    @property
    def dispatcher(self) -> Scope:
        return self.scope(self.east, "dispatcher")

    @property
    def investigator(self) -> Scope:
        return self.scope(self.east, "investigator")

    @property
    def supervisor(self) -> Scope:
        return self.scope(self.east, "supervisor")

    @property
    def neighbour(self) -> Scope:
        return self.scope(self.west, "investigator", "supervisor")

    async def call(self, method: str, request: Any, scope: Scope | None = None) -> Any:
        metadata = self.running.platform.metadata(scope or self.investigator)
        return await getattr(self.running.stub, method)(request, metadata=metadata)

    async def save(self, record: pb.Record, scope: Scope | None = None) -> pb.Record:
        saved: pb.Record = (await self.call("SaveRecord", pb.SaveRecordRequest(record=record), scope or self.supervisor)).record
        return saved

    async def search(self, name: str = "", birth_date: str = "", scope: Scope | None = None, **more: Any) -> list[pb.PersonHit]:
        request = pb.SearchPersonRecordsRequest(name=name, birth_date=birth_date, **more)
        return list((await self.call("SearchPersonRecords", request, scope)).hits)

    async def read(self, record_id: str, scope: Scope | None = None) -> pb.GetPersonRecordResponse:
        answer: pb.GetPersonRecordResponse = await self.call("GetPersonRecord", pb.GetPersonRecordRequest(record_id=record_id), scope)
        return answer

    async def agree(self, fields: Sequence[str], **more: Any) -> Agreement:
        """East grants west, as the registry would announce it; in force when this returns."""
        agreement = Agreement(
            agreement_id=f"a-{self.number}", grantor_agency_id=self.east, grantee_agency_id=self.west, status=AGREEMENT_STATUS_ACTIVE,
            person_fields=fields, **more,
        )  # fmt: skip
        await self.announce(agreement)
        return agreement

    async def announce(self, agreement: Agreement) -> None:
        context = self.running.context
        mirror = context.directory.mirror("agreement", Agreement)
        subject = directory_subject("agreement", agreement.grantor_agency_id, agreement.agreement_id)
        await context.bus.publish(subject, agreement, message_id=new_id(), agency_id=agreement.grantor_agency_id)

        async def arrived() -> bool:
            return mirror.get(agreement.agreement_id) == agreement

        await poll(arrived)

    async def entry(self, action: str, scope: Scope, *names: str, log: str = "") -> AuditEntry:
        """The newest audit entry of this person's act about all these, in the log of an agency (the own one)."""

        async def found() -> list[AuditEntry]:
            return [
                one
                for one in self.running.audited
                if (one.action, one.principal_id, one.agency_id) == (action, scope.principal_id, log or scope.agency_id)
                and set(names) <= set(one.object_ids)
            ]

        return (await poll(found))[-1]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(servers: Servers) -> AsyncIterator[Running]:
    async with test_platform(servers) as platform:
        await servers.s3_endpoint()
        await platform.serve({"identity": serve})
        context = await platform.context("identity")
        audited: list[AuditEntry] = []

        async def collect(deliveries: Sequence[Delivery]) -> None:
            audited.extend(delivery.parse(AuditEntry) for delivery in deliveries)

        context.lifecycle.spawn(context.bus.tail(AUDIT, ["audit.>"], collect, start="all").run(), "test tail")
        yield Running(platform, context, context.channels.stub("identity", IdentityServiceStub), audited)


@pytest_asyncio.fixture
async def identity(running: Running) -> Identity:
    return Identity(running)
