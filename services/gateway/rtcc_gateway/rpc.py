"""AccountService: what administrators and the command line do with other people's accounts."""

from typing import Any

from rtcc.gateway.v1 import gateway_pb2 as pb
from rtcc.gateway.v1 import gateway_pb2_grpc
from rtcc.registry.v1.registry_pb2 import Person
from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.errors import NotFound, Refused
from rtcc_chassis.scope import Scope, current_scope
from rtcc_gateway.app import SignIn
from rtcc_gateway.domain import Session, normalise_login
from rtcc_gateway.enrolment import Enrolments
from rtcc_gateway.people import People
from rtcc_gateway.ports import SessionStore


class AccountRpc(gateway_pb2_grpc.AccountServiceServicer):
    """proto <-> use cases."""

    def __init__(
        self, access: Access, people: People, sign_in: SignIn, enrolments: Enrolments, store: SessionStore, origin: str, demo_possible: bool
    ) -> None:
        self._access = access
        self._people = people
        self._sign_in = sign_in
        self._enrolments = enrolments
        self._store = store
        self._origin = origin
        self._demo_possible = demo_possible

    async def CreateEnrolment(self, request: pb.CreateEnrolmentRequest, context: Any) -> pb.CreateEnrolmentResponse:
        """A link for a person of the caller's agency."""
        person = await self._person("account.enrol", request.person_id)
        await self._require_no_takeover(person)
        secret, expires_at = await self._enrolments.create(person)
        response = pb.CreateEnrolmentResponse(url=f"{self._origin}/enrol#{secret}")
        response.expires_at.FromDatetime(expires_at)
        return response

    async def _require_no_takeover(self, person: Person) -> None:
        """A new link replaces whatever the person signs in with: from outside of the agency only its first administrator gets one."""
        scope = current_scope()
        if scope.principal_kind != "person" or person.agency_id == scope.agency_id:
            return
        if (
            "administrator" not in person.roles
            or await self._sign_in.store.account(Scope.platform("gateway"), person.person_id) is not None
        ):
            raise Refused("account.enrol", "This person's own agency gives new enrolment links.")

    async def ReleaseLock(self, request: pb.ReleaseLockRequest, context: Any) -> pb.ReleaseLockResponse:
        """R2: sign-in is possible again."""
        person = await self._person("account.release", request.person_id)
        await self._sign_in.store.release(Scope.platform("gateway"), normalise_login(person.login))
        return pb.ReleaseLockResponse()

    async def ListSessions(self, request: pb.ListSessionsRequest, context: Any) -> pb.ListSessionsResponse:
        """Signed-in people of the caller's agency."""
        sessions = await self._store.sessions_of_agency(current_scope())
        now, policy = self._sign_in.clock(), self._sign_in.sessions.policy
        alive = [session for session in sessions if session.standing(now, policy) != "expired"]
        touched(*(f"session:{session.session_id}" for session in alive))
        return pb.ListSessionsResponse(sessions=[self._message(session) for session in alive])

    async def EndSession(self, request: pb.EndSessionRequest, context: Any) -> pb.EndSessionResponse:
        """Sign a browser out; its live socket ends at once."""
        scope = current_scope()
        session = await self._store.session(scope, request.session_id)
        if session is None:
            raise NotFound("session", request.session_id)
        self._access.require(scope, "session.end", Resource("session", session.session_id, session.agency_id))
        await self._sign_in.sessions.end(session.session_id, "signed_out")
        return pb.EndSessionResponse()

    async def CreateDemoLink(self, request: pb.CreateDemoLinkRequest, context: Any) -> pb.CreateDemoLinkResponse:
        """Only in a demo whose door is on loopback."""
        if not self._demo_possible:
            raise Refused("account.demo_link", "Demo links exist only when the installation was started as a demo and listens on loopback.")
        person = await self._person("account.demo_link", request.person_id)
        secret, expires_at = await self._sign_in.create_demo_link(person, request.next)
        response = pb.CreateDemoLinkResponse(url=f"{self._origin}/auth/demo/{secret}")
        response.expires_at.FromDatetime(expires_at)
        return response

    async def _person(self, action: str, person_id: str) -> Person:
        """A person on whom the caller may act; one of another agency looks like one that doesn't exist."""
        person = await self._people.appear(person_id)
        if person is None:
            raise NotFound("person", person_id)
        decision = self._access.decide(current_scope(), action, Resource("person", person_id, person.agency_id))
        if not decision.allowed:
            touched(f"person:{person_id}", owner_agency_id=person.agency_id)
            raise NotFound("person", person_id)
        touched(f"person:{person_id}", owner_agency_id=person.agency_id)
        return person

    def _message(self, session: Session) -> pb.Session:
        person = self._people.get(session.person_id)
        message = pb.Session(
            session_id=session.session_id,
            person_id=session.person_id,
            agency_id=session.agency_id,
            display_name=person.display_name if person is not None else "",
            source_address=session.source_address,
            user_agent=session.user_agent,
        )
        message.started_at.FromDatetime(session.started_at)
        message.last_seen_at.FromDatetime(session.last_seen_at)
        return message
