"""What stood before a console came: asked of the services that own it, with the rights (and the audit entry) of who looks first."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from rtcc.airspace.v1 import airspace_pb2, airspace_pb2_grpc
from rtcc.alerting.v1 import alerting_pb2, alerting_pb2_grpc
from rtcc.exchange.v1 import exchange_pb2, exchange_pb2_grpc
from rtcc.incidents.v1 import incidents_pb2, incidents_pb2_grpc
from rtcc.intake.v1 import intake_pb2, intake_pb2_grpc
from rtcc.location.v1 import location_pb2, location_pb2_grpc
from rtcc.video.v1 import video_pb2, video_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError, from_rpc
from rtcc_gateway.live.book import Entry
from rtcc_gateway.live.socket import LiveSocket
from rtcc_gateway.live.tracks import TrackTable
from rtcc_gateway.live.units import UnitTable
from rtcc_gateway.live.view import AgencyView, alert_entry, call_entry, incident_entry, shared_entry

_LOG = logging.getLogger(__name__)
_SEED_LIMIT = 500
_SEED_TIMEOUT_S = 4.0
_SEED_AGAIN_S = 2.0


class Seeding:
    """Fills views, the unit table and the camera states; `changed` is called when something came late."""

    def __init__(
        self,
        ctx: ServiceContext,
        units: UnitTable,
        tracks: TrackTable,
        camera_states: dict[str, video_pb2.CameraHealth],
        changed: Callable[[], None],
    ) -> None:
        self._ctx = ctx
        self._units = units
        self._tracks = tracks
        self._camera_states = camera_states
        self._changed = changed

    async def fill(self, view: AgencyView, socket: LiveSocket) -> None:
        """Fill what nobody of this agency has looked at yet, with the rights (and the audit entry) of who looks first."""
        seeds = [self._seed_feed(view, socket, kind) for kind in view.feeds if kind in socket.feeds and not view.feeds[kind].seeded]
        if "positions" in socket.feeds:
            seeds.append(self._seed_positions(socket))
        if "tracks" in socket.feeds:
            seeds.append(self._seed_tracks(socket))
        if "camera_states" in socket.feeds:
            seeds.append(self._seed_camera_states(socket))
        await asyncio.gather(*seeds)
        view.evaluate()

    async def _seed_feed(self, view: AgencyView, socket: LiveSocket, kind: str) -> None:
        try:
            view.feeds[kind].seed(await self._stored(kind, socket))
        except RtccError as error:
            # one service that is away must not keep the others' news back
            _LOG.warning("what stands of %s comes later: %s", kind, error.message)
            self._ctx.lifecycle.spawn(self._seed_later(view, socket, kind), f"gateway seeds {kind}")

    async def _seed_later(self, view: AgencyView, socket: LiveSocket, kind: str) -> None:
        feed = view.feeds[kind]
        while not feed.seeded and not socket.closed:
            await asyncio.sleep(_SEED_AGAIN_S)
            try:
                entries = await self._stored(kind, socket)
            except RtccError:
                continue
            if not feed.seeded:
                feed.seeded = True
                for entry in entries:
                    feed.accept(entry)
                self._changed()

    async def _stored(self, kind: str, socket: LiveSocket) -> list[Entry]:
        """What stands at the service that owns it."""
        channels, limit = self._ctx.channels, _SEED_LIMIT
        if kind == "alerts":
            alerting: Any = channels.stub("alerting", alerting_pb2_grpc.AlertingServiceStub)
            answer = await self._ask(alerting.ListAlerts, alerting_pb2.ListAlertsRequest(limit=limit), socket)
            return [alert_entry(alert, 0) for alert in answer.alerts]
        if kind == "shared_alerts":
            exchange: Any = channels.stub("exchange", exchange_pb2_grpc.ExchangeServiceStub)
            answer = await self._ask(exchange.ListSharedAlerts, exchange_pb2.ListSharedAlertsRequest(limit=limit), socket)
            return [shared_entry(shared, 0) for shared in answer.alerts]
        if kind == "incidents":
            incidents: Any = channels.stub("incidents", incidents_pb2_grpc.IncidentsServiceStub)
            answer = await self._ask(incidents.ListIncidents, incidents_pb2.ListIncidentsRequest(limit=limit), socket)
            return [incident_entry(incident, 0) for incident in answer.incidents]
        intake: Any = channels.stub("intake", intake_pb2_grpc.IntakeServiceStub)
        answer = await self._ask(intake.ListCalls, intake_pb2.ListCallsRequest(limit=200), socket)
        return [call_entry(event, 0) for event in reversed(answer.calls)]

    async def _seed_positions(self, socket: LiveSocket) -> None:
        stub: Any = self._ctx.channels.stub("location", location_pb2_grpc.LocationServiceStub)
        try:
            answer = await self._ask(stub.ListPositions, location_pb2.ListPositionsRequest(), socket)
        except RtccError as error:
            # live fixes follow anyway within seconds: a map without old positions is better than none
            _LOG.warning("last known positions are missing: %s", error.message)
            return
        for position in answer.positions:
            self._units.seed(position)

    async def _seed_tracks(self, socket: LiveSocket) -> None:
        stub: Any = self._ctx.channels.stub("airspace", airspace_pb2_grpc.AirspaceServiceStub)
        try:
            answer = await self._ask(stub.ListTracks, airspace_pb2.ListTracksRequest(), socket)
        except RtccError as error:
            # what flies is told again within half a minute
            _LOG.warning("what is in the air comes later: %s", error.message)
            return
        for track in answer.tracks:
            self._tracks.seed(track)

    async def _seed_camera_states(self, socket: LiveSocket) -> None:
        stub: Any = self._ctx.channels.stub("video", video_pb2_grpc.VideoServiceStub)
        try:
            answer = await self._ask(stub.ListCameraHealth, video_pb2.ListCameraHealthRequest(), socket)
        except RtccError as error:
            _LOG.warning("camera health is missing: %s", error.message)
            return
        for state in answer.cameras:
            self._camera_states.setdefault(state.camera_id, state)

    async def _ask(self, method: Any, request: Message, socket: LiveSocket) -> Any:
        try:
            return await method(request, metadata=self._ctx.tokens.metadata(socket.scope), timeout=_SEED_TIMEOUT_S)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
