"""A gateway with real NATS, PostgreSQL and gRPC around it, and stand-ins for the services that it only forwards to."""

import dataclasses
import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import argon2
import pyotp
import pytest
import pytest_asyncio

from rtcc.airspace.v1 import airspace_pb2, airspace_pb2_grpc
from rtcc.alerting.v1 import alerting_pb2, alerting_pb2_grpc
from rtcc.exchange.v1 import exchange_pb2, exchange_pb2_grpc
from rtcc.incidents.v1 import incidents_pb2, incidents_pb2_grpc
from rtcc.intake.v1 import intake_pb2, intake_pb2_grpc
from rtcc.ledger.v1 import ledger_pb2
from rtcc.location.v1 import location_pb2, location_pb2_grpc
from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.video.v1 import video_pb2, video_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import Conflict, RtccError, Unavailable
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope, current_scope
from rtcc_chassis.streams import AUDIT, directory_subject
from rtcc_chassis.testing import TestPlatform, free_port, poll
from rtcc_gateway.service import serve
from rtcc_gateway.settings import GatewaySettings

PASSWORD = "correct horse battery staple"


@dataclass
class StandIns:
    """What the stand-in services answer, and what they were asked."""

    alerts: list[alerting_pb2.Alert] = field(default_factory=list)
    shared: list[exchange_pb2.SharedAlert] = field(default_factory=list)
    asked: list[tuple[str, Any, Scope]] = field(default_factory=list)
    fixes: list[location_pb2.SubmitFixesRequest] = field(default_factory=list)
    deliveries: list[intake_pb2.SubmitDeliveryRequest] = field(default_factory=list)
    tracks: list[airspace_pb2.Track] = field(default_factory=list)
    receptions: list[airspace_pb2.SubmitReceptionRequest] = field(default_factory=list)
    exchange_away: bool = False
    incidents: list[incidents_pb2.Incident] = field(default_factory=list)
    tips: list[incidents_pb2.SubmitTipRequest] = field(default_factory=list)
    tips_refused: RtccError | None = None


class _Alerting(alerting_pb2_grpc.AlertingServiceServicer):
    def __init__(self, state: StandIns) -> None:
        self.state = state

    async def ListAlerts(self, request: Any, context: Any) -> alerting_pb2.ListAlertsResponse:
        agency_id = current_scope().agency_id
        return alerting_pb2.ListAlertsResponse(alerts=[alert for alert in self.state.alerts if alert.agency_id == agency_id])

    async def AddHotListEntry(self, request: Any, context: Any) -> alerting_pb2.AddHotListEntryResponse:
        self.state.asked.append(("AddHotListEntry", request, current_scope()))
        return alerting_pb2.AddHotListEntryResponse(entry=request.entry)

    async def GetAlertImage(self, request: Any, context: Any) -> alerting_pb2.GetAlertImageResponse:
        return alerting_pb2.GetAlertImageResponse(jpeg=b"\xff\xd8picture")


class _Airspace(airspace_pb2_grpc.AirspaceServiceServicer):
    def __init__(self, state: StandIns) -> None:
        self.state = state

    async def ListTracks(self, request: Any, context: Any) -> airspace_pb2.ListTracksResponse:
        agency_id = current_scope().agency_id
        return airspace_pb2.ListTracksResponse(tracks=[track for track in self.state.tracks if track.agency_id == agency_id])

    async def SubmitReception(self, request: Any, context: Any) -> airspace_pb2.SubmitReceptionResponse:
        self.state.receptions.append(request)
        return airspace_pb2.SubmitReceptionResponse(accepted=2, rejected=1, reasons=["frames[0].mac: is missing"])


class _Exchange(exchange_pb2_grpc.ExchangeServiceServicer):
    def __init__(self, state: StandIns) -> None:
        self.state = state

    async def ListSharedAlerts(self, request: Any, context: Any) -> exchange_pb2.ListSharedAlertsResponse:
        if self.state.exchange_away:
            raise Unavailable("exchange")
        return exchange_pb2.ListSharedAlertsResponse(alerts=self.state.shared)


class _Intake(intake_pb2_grpc.IntakeServiceServicer):
    def __init__(self, state: StandIns) -> None:
        self.state = state

    async def ListCalls(self, request: Any, context: Any) -> intake_pb2.ListCallsResponse:
        return intake_pb2.ListCallsResponse()

    async def SubmitDelivery(self, request: Any, context: Any) -> intake_pb2.SubmitDeliveryResponse:
        self.state.deliveries.append(request)
        return intake_pb2.SubmitDeliveryResponse(outcome=intake_pb2.DELIVERY_OUTCOME_ACCEPTED, event_id=new_id())


class _Incidents(incidents_pb2_grpc.IncidentsServiceServicer):
    def __init__(self, state: StandIns) -> None:
        self.state = state

    async def ListIncidents(self, request: Any, context: Any) -> incidents_pb2.ListIncidentsResponse:
        agency_id = current_scope().agency_id
        return incidents_pb2.ListIncidentsResponse(incidents=[found for found in self.state.incidents if found.agency_id == agency_id])

    async def GetFloorPlanImage(self, request: Any, context: Any) -> incidents_pb2.GetFloorPlanImageResponse:
        return incidents_pb2.GetFloorPlanImageResponse(image=b"picture", content_type=request.floor_plan_id.replace("-", "/"))

    async def SubmitTip(self, request: Any, context: Any) -> incidents_pb2.SubmitTipResponse:
        if self.state.tips_refused is not None:
            raise self.state.tips_refused
        self.state.tips.append(request)
        return incidents_pb2.SubmitTipResponse(tip_id="t1", reference_code="K7QM-2XPD")


class _Location(location_pb2_grpc.LocationServiceServicer):
    def __init__(self, state: StandIns) -> None:
        self.state = state

    async def ListPositions(self, request: Any, context: Any) -> location_pb2.ListPositionsResponse:
        return location_pb2.ListPositionsResponse()

    async def FindNearest(self, request: Any, context: Any) -> location_pb2.FindNearestResponse:
        self.state.asked.append(("FindNearest", request, current_scope()))
        return location_pb2.FindNearestResponse()

    async def SubmitFixes(self, request: Any, context: Any) -> location_pb2.SubmitFixesResponse:
        self.state.fixes.append(request)
        return location_pb2.SubmitFixesResponse(accepted=len(request.fixes))


class _Video(video_pb2_grpc.VideoServiceServicer):
    def __init__(self, state: StandIns) -> None:
        self.state = state

    async def ListCameraHealth(self, request: Any, context: Any) -> video_pb2.ListCameraHealthResponse:
        return video_pb2.ListCameraHealthResponse()

    async def OpenViewer(self, request: Any, context: Any) -> video_pb2.OpenViewerResponse:
        self.state.asked.append(("OpenViewer", request, current_scope()))
        servers = [
            video_pb2.IceServer(url="stun:turn.example:3478"),
            video_pb2.IceServer(url="turn:turn.example:3478?transport=udp", username="99:viewer-1", credential="c2VjcmV0"),
        ]
        return video_pb2.OpenViewerResponse(viewer_id="viewer-1", answer_sdp="v=0\r\n", etag="first", ice_servers=servers)

    async def UpdateViewer(self, request: Any, context: Any) -> video_pb2.UpdateViewerResponse:
        self.state.asked.append(("UpdateViewer", request, current_scope()))
        if request.etag not in ("first", "*"):
            raise Conflict("The ICE session was restarted meanwhile.")
        restarted = request.etag == "*"
        return video_pb2.UpdateViewerResponse(
            sdp_fragment="a=ice-ufrag:new1\r\n" if restarted else "", etag="second" if restarted else "first"
        )


class _Registry(registry_pb2_grpc.RegistryServiceServicer):
    def __init__(self, state: StandIns) -> None:
        self.state = state

    async def CreateCamera(self, request: Any, context: Any) -> registry_pb2.CreateCameraResponse:
        self.state.asked.append(("CreateCamera", request, current_scope()))
        return registry_pb2.CreateCameraResponse(camera=request.camera)

    async def ListAgencies(self, request: Any, context: Any) -> registry_pb2.ListAgenciesResponse:
        return registry_pb2.ListAgenciesResponse()

    async def CreateUnit(self, request: Any, context: Any) -> registry_pb2.CreateUnitResponse:
        return registry_pb2.CreateUnitResponse(unit=request.unit)


_STAND_INS = {
    "airspace": (airspace_pb2_grpc.add_AirspaceServiceServicer_to_server, _Airspace),
    "alerting": (alerting_pb2_grpc.add_AlertingServiceServicer_to_server, _Alerting),
    "exchange": (exchange_pb2_grpc.add_ExchangeServiceServicer_to_server, _Exchange),
    "incidents": (incidents_pb2_grpc.add_IncidentsServiceServicer_to_server, _Incidents),
    "intake": (intake_pb2_grpc.add_IntakeServiceServicer_to_server, _Intake),
    "location": (location_pb2_grpc.add_LocationServiceServicer_to_server, _Location),
    "video": (video_pb2_grpc.add_VideoServiceServicer_to_server, _Video),
    "registry": (registry_pb2_grpc.add_RegistryServiceServicer_to_server, _Registry),
}


class MovableClock:
    """The time of the gateway under test, which may be put forward, or stand still."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._stands_at: datetime | None = None

    def __call__(self) -> datetime:
        return (self._stands_at or datetime.now(UTC)) + self.ahead

    def stop(self) -> None:
        self._stands_at = datetime.now(UTC)


class Gateway:
    """The running gateway and what tests do with it."""

    def __init__(self, platform: TestPlatform, context: ServiceContext, port: int, state: StandIns, clock: MovableClock) -> None:
        self.platform = platform
        self.context = context
        self.port = port
        self.origin = f"http://localhost:{port}"
        self.services = state
        self.clock = clock
        # what units and tracks tell is counted in seconds from here, however late a test sends it
        self.began_us = int(datetime.now(UTC).timestamp()) * 1_000_000
        self.browsers: list[aiohttp.ClientSession] = []

    def browser(self, **headers: str) -> aiohttp.ClientSession:
        """A new browser with its own cookies; it sends what the console sends."""
        jar = aiohttp.CookieJar(unsafe=True)
        session = aiohttp.ClientSession(self.origin, cookie_jar=jar, headers={"Rtcc-Request": "1", "Origin": self.origin} | headers)
        self.browsers.append(session)
        return session

    async def put(self, kind: str, agency_id: str, identifier: str, message: Any) -> None:
        """Write to the directory as the registry does."""
        await self.context.bus.publish(directory_subject(kind, agency_id, identifier), message, message_id=new_id(), agency_id=agency_id)

    async def add_person(self, login: str, *roles: str, agency_id: str = "harbor", **more: Any) -> registry_pb2.Person:
        """A person as the directory holds it."""
        await self.put("agency", agency_id, agency_id, registry_pb2.Agency(agency_id=agency_id, name=agency_id.title(), enabled=True))
        values = {"person_id": f"person-{login}", "display_name": login.title(), "enabled": True} | more
        person = registry_pb2.Person(agency_id=agency_id, login=login, roles=roles, **values)
        await self.put("person", agency_id, person.person_id, person)
        mirror = self.context.directory.mirror("person", registry_pb2.Person)

        async def known() -> bool:
            return mirror.get(person.person_id) == person

        await poll(known)
        return person

    async def enrolment(self, person: registry_pb2.Person) -> str:
        """The token of a new enrolment link, made by the command line's identity."""
        from rtcc.gateway.v1 import gateway_pb2, gateway_pb2_grpc

        stub: Any = self.context.channels.stub("gateway", gateway_pb2_grpc.AccountServiceStub)
        metadata = self.platform.metadata(Scope.platform("standalone"))
        response = await stub.CreateEnrolment(gateway_pb2.CreateEnrolmentRequest(person_id=person.person_id), metadata=metadata)
        origin, _, token = response.url.partition("/enrol#")
        assert origin == self.origin
        return str(token)

    async def enrolled(self, login: str, *roles: str, **more: Any) -> tuple[aiohttp.ClientSession, "Secrets"]:
        """A person, enrolled with password and code, and the signed-in browser."""
        person = await self.add_person(login, *roles, **more)
        token = await self.enrolment(person)
        browser = self.browser()
        opened = await (await browser.post("/auth/enrol/start", json={"token": token})).json()
        secrets = Secrets(login, opened["totp"]["secret"], opened["banner"]["version"], self.clock)
        body = {"token": token, "password": PASSWORD, "code": secrets.code(), "banner_version": secrets.banner}
        answer = await browser.post("/auth/enrol/totp", json=body)
        assert answer.status == 200, await answer.text()
        return browser, secrets

    async def audit(self) -> list[ledger_pb2.AuditEntry]:
        """Everything that was recorded so far."""
        info = await self.context.bus.jetstream.stream_info(AUDIT.name)
        entries = []
        for sequence in range(max(1, info.state.first_seq), info.state.last_seq + 1):
            message = await self.context.bus.jetstream.get_msg(AUDIT.name, sequence)
            entries.append(ledger_pb2.AuditEntry.FromString(message.data or b""))
        return entries

    async def close(self) -> None:
        for browser in self.browsers:
            await browser.close()


@dataclass
class Secrets:
    """What an enrolled person knows and has. A code works once, so each is taken from the next time step."""

    login: str
    totp: str
    banner: str
    clock: MovableClock

    def code(self) -> str:
        return pyotp.TOTP(self.totp).at(self.clock())

    def next_code(self) -> str:
        """The code of the next step: the current one may have been used."""
        return pyotp.TOTP(self.totp).at(self.clock() + timedelta(seconds=30))


async def start_gateway(platform: TestPlatform, mode: str = "production", **settings: Any) -> Gateway:
    """Serve the gateway and its stand-ins."""
    port, state, clock = free_port(), StandIns(), MovableClock()
    context = await platform.context("gateway", mode=mode)
    context = dataclasses.replace(context, clock=clock)
    platform._contexts["gateway"] = context

    async def stand_in(ctx: ServiceContext, add: Any, servicer: Any) -> None:
        ctx.rpc.add(add, servicer(state))
        ctx.lifecycle.ready()
        await ctx.lifecycle.stopping.wait()

    services: dict[str, Any] = {name: functools.partial(stand_in, add=add, servicer=kind) for name, (add, kind) in _STAND_INS.items()}
    options = {"listen": f"127.0.0.1:{port}"} | settings
    services["gateway"] = functools.partial(serve, settings=GatewaySettings(**options))
    await platform.serve(services)
    return Gateway(platform, context, port, state, clock)


@pytest.fixture(autouse=True)
def light_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id that takes 1 ms instead of 120; what an installation uses is proved in test_rules.py."""
    light = functools.partial(argon2.PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("rtcc_gateway.credentials.PasswordHasher", light)


@pytest_asyncio.fixture
async def gateway(small_platform: TestPlatform) -> AsyncIterator[Gateway]:
    """A production-mode gateway on loopback."""
    started = await start_gateway(small_platform)
    yield started
    await started.close()


@pytest_asyncio.fixture
async def demo_gateway(small_platform: TestPlatform) -> AsyncIterator[Gateway]:
    """A demo installation's gateway."""
    started = await start_gateway(small_platform, mode="demo")
    yield started
    await started.close()
