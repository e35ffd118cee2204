"""The registry and the gateway's accounts over gRPC, in the controller's own name."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import grpc

from rtcc.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc.registry.v1 import registry_pb2_grpc
from rtcc_chassis.errors import from_rpc
from rtcc_chassis.rpc import Channels
from rtcc_chassis.scope import Scope
from rtcc_chassis.tokens import TokenIssuer

_TIMEOUT_S = 10.0


class RegistryClient:
    """Every answer that isn't one is raised as the error that the service raised."""

    def __init__(self, channels: Channels, tokens: TokenIssuer) -> None:
        self._stub = channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
        self._accounts = channels.stub("gateway", gateway_pb2_grpc.AccountServiceStub)
        self._tokens = tokens
        self._scope = Scope.platform("operator")

    async def _call(self, method: Callable[..., Any], request: Any, scope: Scope | None = None) -> Any:
        try:
            return await method(request, metadata=self._tokens.metadata(scope or self._scope), timeout=_TIMEOUT_S, wait_for_ready=False)
        except grpc.RpcError as error:
            raise from_rpc(error) from error

    async def agency(self, agency_id: str) -> pb.Agency | None:
        answer = await self._call(self._stub.ListAgencies, pb.ListAgenciesRequest())
        return next((agency for agency in answer.agencies if agency.agency_id == agency_id), None)

    async def create_agency(self, agency: pb.Agency) -> None:
        request = pb.CreateAgencyRequest(
            agency_id=agency.agency_id,
            name=agency.name,
            time_zone=agency.time_zone,
            barred_purposes=agency.barred_purposes,
            jurisdiction=agency.jurisdiction,
            barred_receivers=agency.barred_receivers,
        )
        if agency.HasField("area"):
            request.area.CopyFrom(agency.area)
        await self._call(self._stub.CreateAgency, request)

    async def update_agency(self, agency: pb.Agency) -> None:
        await self._call(self._stub.UpdateAgency, pb.UpdateAgencyRequest(agency=agency))

    async def person(self, login: str) -> pb.Person | None:
        answer = await self._call(self._stub.ListPeople, pb.ListPeopleRequest())
        return next((person for person in answer.people if person.login == login.lower()), None)

    async def create_person(self, person: pb.Person, idempotency_key: str) -> pb.Person:
        scope = replace(self._scope, idempotency_key=idempotency_key)
        made: pb.Person = (await self._call(self._stub.CreatePerson, pb.CreatePersonRequest(person=person), scope)).person
        return made

    async def enrolment_link(self, person_id: str) -> tuple[str, datetime]:
        answer = await self._call(self._accounts.CreateEnrolment, gateway_pb2.CreateEnrolmentRequest(person_id=person_id))
        return answer.url, answer.expires_at.ToDatetime(tzinfo=UTC)

    async def agreements(self) -> list[pb.Agreement]:
        answer = await self._call(self._stub.ListAgreements, pb.ListAgreementsRequest())
        return [listed.agreement for listed in answer.agreements]

    async def grant(self, agreement: pb.Agreement) -> pb.Agreement:
        granted: pb.Agreement = (await self._call(self._stub.CreateAgreement, pb.CreateAgreementRequest(agreement=agreement))).agreement
        return granted

    async def narrow(self, agreement: pb.Agreement) -> pb.Agreement:
        narrowed: pb.Agreement = (await self._call(self._stub.NarrowAgreement, pb.NarrowAgreementRequest(agreement=agreement))).agreement
        return narrowed

    async def revoke(self, agreement_id: str, reason: str) -> None:
        await self._call(self._stub.RevokeAgreement, pb.RevokeAgreementRequest(agreement_id=agreement_id, reason=reason))
