"""Calls to the running platform in the name of the machine's owner (the service identity `standalone`)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rtcc.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from rtcc.geo.v1.geo_pb2 import Polygon
from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc_chassis.rpc import Channels
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import ChassisSettings
from rtcc_chassis.tokens import TokenIssuer
from rtcc_standalone.credentials import COMMAND_LINE
from rtcc_standalone.installation import Installation


@dataclass(frozen=True)
class PlatformClient:
    """The calls that the command line needs; each raises grpc.aio.AioRpcError with the service's own message."""

    channels: Channels
    tokens: TokenIssuer

    def metadata(self) -> tuple[tuple[str, str], ...]:
        return self.tokens.metadata(Scope.platform(COMMAND_LINE))

    async def agencies(self) -> list[registry_pb2.Agency]:
        stub = self.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
        return list((await stub.ListAgencies(registry_pb2.ListAgenciesRequest(), metadata=self.metadata())).agencies)

    async def create_agency(self, agency_id: str, name: str, time_zone: str, area: Polygon | None = None) -> registry_pb2.Agency:
        stub = self.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
        request = registry_pb2.CreateAgencyRequest(agency_id=agency_id, name=name, time_zone=time_zone, area=area)
        answer: registry_pb2.CreateAgencyResponse = await stub.CreateAgency(request, metadata=self.metadata())
        return answer.agency

    async def create_person(self, agency_id: str, login: str, display_name: str, roles: list[str]) -> registry_pb2.Person:
        stub = self.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
        person = registry_pb2.Person(agency_id=agency_id, login=login, display_name=display_name, roles=roles, enabled=True)
        answer: registry_pb2.CreatePersonResponse = await stub.CreatePerson(
            registry_pb2.CreatePersonRequest(person=person), metadata=self.metadata()
        )
        return answer.person

    async def people(self) -> list[registry_pb2.Person]:
        stub = self.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
        return list((await stub.ListPeople(registry_pb2.ListPeopleRequest(), metadata=self.metadata())).people)

    async def enrolment_link(self, person: registry_pb2.Person) -> str:
        """Where the person sets password and second factor: single use, 72 h."""
        stub = self.channels.stub("gateway", gateway_pb2_grpc.AccountServiceStub)
        request = gateway_pb2.CreateEnrolmentRequest(person_id=person.person_id)
        answer: gateway_pb2.CreateEnrolmentResponse = await stub.CreateEnrolment(request, metadata=self.metadata())
        return answer.url

    async def demo_link(self, person_id: str, next_path: str) -> str:
        """A one-time sign-in of the demo: loopback only, 10 minutes."""
        stub = self.channels.stub("gateway", gateway_pb2_grpc.AccountServiceStub)
        request = gateway_pb2.CreateDemoLinkRequest(person_id=person_id, next=next_path)
        answer: gateway_pb2.CreateDemoLinkResponse = await stub.CreateDemoLink(request, metadata=self.metadata())
        return answer.url


@asynccontextmanager
async def platform_client(installation: Installation) -> AsyncIterator[PlatformClient]:
    """Connected to the installation's services over TLS with its own authority."""
    environment = installation.environment()
    settings = ChassisSettings(
        database_url="",
        rpc_addresses=json.loads(environment["RTCC_RPC_ADDRESSES"]),
        tls_authority_file=environment["RTCC_TLS_AUTHORITY_FILE"],
    )
    channels = Channels(settings)
    try:
        yield PlatformClient(channels, TokenIssuer.from_file(COMMAND_LINE, installation.credentials.token_keys[COMMAND_LINE]))
    finally:
        await channels.close()
