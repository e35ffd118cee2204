"""All live sockets of this gateway, the streams that feed them, and the agencies' views between the two."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web
from google.protobuf.message import DecodeError, Message
from nats.aio.msg import Msg
from prometheus_client import Gauge

from rtcc.alerting.v1 import alerting_pb2
from rtcc.event.v1.event_pb2 import Event
from rtcc.exchange.v1 import exchange_pb2
from rtcc.incidents.v1 import incidents_pb2
from rtcc.live.v1 import live_pb2 as pb
from rtcc.location.v1 import location_pb2
from rtcc.registry.v1.registry_pb2 import Agency, Agreement, Camera, Person, Unit
from rtcc.video.v1 import video_pb2
from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.bus import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError, Unauthenticated
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import ALERTS, EVENTS, INCIDENTS, POSITIONS, SHARED
from rtcc_chassis.tail import StreamTail
from rtcc_gateway.domain import Session
from rtcc_gateway.live.feed import PLACE
from rtcc_gateway.live.frames import frame
from rtcc_gateway.live.seeding import Seeding
from rtcc_gateway.live.sky import Skies
from rtcc_gateway.live.socket import CLOSE_IDLE, CLOSE_RESTART, LiveSocket
from rtcc_gateway.live.tracks import TrackTable
from rtcc_gateway.live.units import UnitTable
from rtcc_gateway.live.view import AgencyView, alert_entry, as_told_to, call_entry, incident_entry, shared_entry
from rtcc_gateway.people import People
from rtcc_gateway.sessions import Sessions
from rtcc_gateway.settings import GatewaySettings

_LOG = logging.getLogger(__name__)
SOCKETS = Gauge("rtcc_gateway_live_sockets", "Open live sockets.")
_CHECK_SESSIONS_S = 15.0
_EVALUATE_S = 1.0
_FORGET_VIEW = timedelta(minutes=10)
_POSITION_AUDIT_EVERY = timedelta(seconds=30)
_CATCH_UP_S = 10.0


class LiveHub:
    """One per gateway."""

    def __init__(self, ctx: ServiceContext, settings: GatewaySettings, sessions: Sessions, people: People) -> None:
        self._ctx = ctx
        self._settings = settings
        self._sessions = sessions
        self._people = people
        self._epoch = new_id()[-12:]
        self._cameras = ctx.directory.mirror("camera", Camera)
        self._agreements = ctx.directory.mirror("agreement", Agreement)
        self._unit_names = ctx.directory.mirror("unit", Unit)
        # vehicles of public feeds, named by location
        self._vehicle_names = ctx.directory.mirror("vehicle", Unit)
        self._open_shared = ctx.directory.mirror("shared_alert", exchange_pb2.SharedAlert)
        self.units = UnitTable()
        self.tracks = TrackTable()
        self.views: dict[str, AgencyView] = {}
        self.sockets: set[LiveSocket] = set()
        self._camera_states: dict[str, video_pb2.CameraHealth] = {}
        self._changed_states: set[str] = set()
        self._evaluate_due = asyncio.Event()
        self._seeding = Seeding(ctx, self.units, self.tracks, self._camera_states, self._evaluate_due.set)
        self._tasks: dict[AgencyView, list[asyncio.Task[None]]] = {}
        self._panic = asyncio.Event()
        self._tails: dict[str, StreamTail] = {
            "alerts": ctx.bus.tail(ALERTS, ["alert.*"], self._on_alerts, start="new"),
            "shared_alerts": ctx.bus.tail(SHARED, ["shared.*.alert"], self._on_shared, start="new"),
            "calls": ctx.bus.tail(EVENTS, ["event.*.call_for_service"], self._on_calls, start="new"),
            "incidents": ctx.bus.tail(INCIDENTS, ["incident.*"], self._on_incidents, start="new"),
        }
        self._positions = ctx.bus.tail(POSITIONS, ["position.*"], self._on_positions, start="new")
        self._skies = Skies(ctx, self.tracks)

    def start(self) -> None:
        """Follow the streams for the life of the process."""
        spawn = self._ctx.lifecycle.spawn
        for kind, tail in self._tails.items():
            spawn(tail.run(), f"gateway {kind}")
        spawn(self._positions.run(), "gateway positions")
        spawn(self._skies.run(), "gateway tracks")
        spawn(self._watch_camera_health(), "gateway camera health")
        spawn(self._tick(), "gateway position ticks")
        spawn(self._evaluate(), "gateway shares")
        spawn(self._check_sessions(), "gateway session checks")
        self._sessions.on_end(self._on_session_end)
        self._people.persons.on_change(self._on_person)
        self._people.agencies.on_change(self._on_agency)
        self._unit_names.on_change(self._on_name)
        self._vehicle_names.on_change(self._on_name)
        self._cameras.on_change(lambda *_: self._evaluate_due.set())
        self._open_shared.on_change(lambda *_: self._evaluate_due.set())
        self._agreements.on_change(self._on_agreement)

    async def stop(self) -> None:
        """Tell every client to come back elsewhere."""
        for socket in list(self.sockets):
            socket.end(CLOSE_RESTART, "restart")
        for tasks in self._tasks.values():
            for task in tasks:
                task.cancel()
        await asyncio.sleep(0.1)

    def sockets_of(self, session_id: str) -> int:
        """How many live sockets a session has."""
        return sum(1 for socket in self.sockets if socket.session_id == session_id)

    # -- joining -----------------------------------------------------------------------------------------------------

    async def view_for(self, socket: LiveSocket) -> AgencyView:
        """The agency's view, with the feeds that this socket needs filled."""
        for tail in self._tails.values():
            async with asyncio.timeout(_CATCH_UP_S):
                await tail.caught_up()
        view = self.views.get(socket.agency_id)
        if view is None:
            floors = {kind: tail.last_sequence for kind, tail in self._tails.items()}
            view = AgencyView(
                self._ctx,
                socket.agency_id,
                self._epoch,
                floors,
                self._cameras,
                self._agreements,
                self.units,
                self._unit_names,
                self._vehicle_names,
                self._open_shared,
                self.tracks,
            )
            self.views[socket.agency_id] = view
            self._tasks[view] = [self._ctx.lifecycle.spawn(feed.run(), f"live {kind}") for kind, feed in view.feeds.items()]
        view.empty_since = None
        await self._seeding.fill(view, socket)
        return view

    def join(self, socket: LiveSocket, view: AgencyView) -> None:
        """From now on it gets what happens."""
        self.sockets.add(socket)
        view.add(socket)
        SOCKETS.set(len(self.sockets))

    def leave(self, socket: LiveSocket) -> None:
        """It is gone."""
        self.sockets.discard(socket)
        SOCKETS.set(len(self.sockets))
        view = self.views.get(socket.agency_id)
        if view is not None:
            view.remove(socket)

    def camera_states_for(self, view: AgencyView, socket: LiveSocket) -> pb.CameraStates:
        """Health of every camera that this socket sees."""
        seen = [state for state in self._camera_states.values() if self._sees(view, socket, state.camera_id)]
        return pb.CameraStates(cameras=[as_told_to(view.agency_id, state) for state in seen])

    @staticmethod
    def _sees(view: AgencyView, socket: LiveSocket, camera_id: str) -> bool:
        own, shared = view.sees_camera(camera_id)
        return (own and "cameras" in socket.feeds) or (shared and "shared_cameras" in socket.feeds)

    # -- streams -----------------------------------------------------------------------------------------------------

    async def _on_alerts(self, deliveries: Sequence[Delivery]) -> None:
        for delivery, view, alert in self._parsed(deliveries, alerting_pb2.Alert):
            if alert.agency_id == view.agency_id:
                view.feeds["alerts"].accept(alert_entry(alert, delivery.sequence, delivery.data, delivery.headers))

    async def _on_shared(self, deliveries: Sequence[Delivery]) -> None:
        for delivery, view, shared in self._parsed(deliveries, exchange_pb2.SharedAlert):
            if shared.grantee_agency_id == view.agency_id:
                view.accept_shared(shared_entry(shared, delivery.sequence, delivery.data, delivery.headers))
                self._evaluate_due.set()

    async def _on_calls(self, deliveries: Sequence[Delivery]) -> None:
        for delivery, view, event in self._parsed(deliveries, Event):
            if event.agency_id == view.agency_id:
                view.feeds["calls"].accept(call_entry(event, delivery.sequence, delivery.data, delivery.headers))

    async def _on_incidents(self, deliveries: Sequence[Delivery]) -> None:
        for delivery, view, incident in self._parsed(deliveries, incidents_pb2.Incident):
            if incident.agency_id == view.agency_id:
                view.feeds["incidents"].accept(incident_entry(incident, delivery.sequence, delivery.data, delivery.headers))

    def _parsed(self, deliveries: Sequence[Delivery], message_type: type[Message]) -> Any:
        """Only for agencies that somebody looks at. The agency comes from the subject; the body must agree."""
        for delivery in deliveries:
            view = self.views.get(delivery.agency_id)
            if view is None:
                continue
            try:
                yield delivery, view, delivery.parse(message_type)
            except DecodeError:
                _LOG.error("%s %d can't be read and was passed over", delivery.subject, delivery.sequence)

    async def _on_positions(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            try:
                batch = delivery.parse(location_pb2.PositionBatch)
            except DecodeError:
                _LOG.error("%s %d can't be read and was passed over", delivery.subject, delivery.sequence)
                continue
            if batch.agency_id == delivery.agency_id and self.units.apply(batch):
                self._panic.set()

    def _on_name(self, unit_id: str, _old: Unit | None, _new: Unit | None) -> None:
        """A bus changes its route, and its first fix may come before its name: who was told a name is told again with the next fix."""
        number = self.units.number_of(unit_id)
        if number is not None:
            for socket in self.sockets:
                socket.named.discard(number)

    async def _watch_camera_health(self) -> None:
        async def hear(message: Msg) -> None:
            state = video_pb2.CameraHealth.FromString(message.data)
            if self._camera_states.get(state.camera_id) != state:
                self._camera_states[state.camera_id] = state
                self._changed_states.add(state.camera_id)

        await self._ctx.bus.subscribe_core("camera_health.*", hear)
        await self._ctx.lifecycle.stopping.wait()

    # -- ticks -------------------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._panic.wait(), self._settings.position_interval_s)
            self._panic.clear()
            now = self._ctx.clock()
            for view in list(self.views.values()):
                pictures = view.send_positions(now)
                due = [s for s in pictures if s.position_audit_at is None or now - s.position_audit_at >= _POSITION_AUDIT_EVERY]
                if due:
                    self._ctx.lifecycle.spawn(self._audit_pictures(view, due), "gateway position audit")
                self._skies.send(view.sky, view.sockets, view.shared.tracks, now)
            self.units.settle()
            self.tracks.settle()
            self._send_camera_states()

    async def _audit_pictures(self, view: AgencyView, sockets: Sequence[LiveSocket]) -> None:
        """Who looked at which part of the map, and whose units were in it."""
        now, drafts = self._ctx.clock(), []
        for socket in sockets:
            socket.position_audit_at = now
            seen = json.dumps([round(value, 4) for value in _corners(socket)])
            drafts.append(AuditDraft("position.list", PLACE, Outcome.ALLOWED, socket.scope, new_value=seen))
            for (owner, agreement_id), unit_ids in view.shared_units_in(socket).items():
                objects = tuple(f"unit:{unit_id}" for unit_id in unit_ids)
                drafts.append(
                    AuditDraft(
                        "position.list",
                        PLACE,
                        Outcome.ALLOWED,
                        socket.scope,
                        object_ids=objects,
                        owner_agency_id=owner,
                        agreement_id=agreement_id,
                    )
                )
        try:
            await self._ctx.access.record_many(drafts)
        except RtccError:
            for socket in sockets:
                # R11: no picture without its entry
                socket.end(CLOSE_RESTART, "the audit log is away")

    def _send_camera_states(self) -> None:
        changed, self._changed_states = self._changed_states, set()
        if not changed:
            return
        now = self._ctx.clock()
        for view in self.views.values():
            encoded: dict[frozenset[str], bytes] = {}
            for socket in view.sockets:
                if "camera_states" not in socket.feeds or socket.behind:
                    continue
                seen = frozenset(camera_id for camera_id in changed if self._sees(view, socket, camera_id))
                if seen and seen not in encoded:
                    body = pb.CameraStates(cameras=[as_told_to(view.agency_id, self._camera_states[one]) for one in sorted(seen)])
                    encoded[seen] = frame("camera_states", body.SerializeToString(), now)
                if seen:
                    socket.send(encoded[seen])

    async def _evaluate(self) -> None:
        """At once when something changed, and each second because grants begin and end by the clock."""
        while True:
            changed = True
            try:
                await asyncio.wait_for(self._evaluate_due.wait(), _EVALUATE_S)
            except TimeoutError:
                changed = False
            self._evaluate_due.clear()
            now = self._ctx.clock()
            for agency_id, view in list(self.views.items()):
                if view.empty_since is not None and now - view.empty_since > _FORGET_VIEW:
                    del self.views[agency_id]
                    for task in self._tasks.pop(view, []):
                        task.cancel()
                elif changed or view.clock_bound:
                    view.evaluate()

    def tell_relay_ending(self, relay_id: str, lost: bool) -> None:
        """Views at this relay of the video service are to be opened anew, elsewhere."""
        data = frame("relay_ending", pb.RelayEnding(relay_id=relay_id, lost=lost).SerializeToString(), self._ctx.clock())
        for socket in self.sockets:
            socket.send(data)

    # -- sessions ----------------------------------------------------------------------------------------------------

    def _on_session_end(self, session_id: str, reason: str) -> None:
        for socket in list(self.sockets):
            if socket.session_id == session_id:
                socket.end_session(reason, self._ctx.clock())

    def _on_person(self, person_id: str, old: Person | None, new: Person | None) -> None:
        if new is None or not new.enabled:
            self._ctx.lifecycle.spawn(self._end_person(person_id), "gateway ends a person's sessions")
        elif old is not None and (sorted(old.roles) != sorted(new.roles) or old.agency_id != new.agency_id):
            for socket in list(self.sockets):
                if socket.person_id == person_id:
                    socket.end(CLOSE_RESTART, "your roles changed")

    def _on_agency(self, agency_id: str, old: Agency | None, new: Agency | None) -> None:
        if new is not None and new.enabled:
            return
        for socket in list(self.sockets):
            if socket.agency_id == agency_id:
                socket.end_session("disabled", self._ctx.clock())

    async def _end_person(self, person_id: str) -> None:
        try:
            await self._sessions.end_all_of(person_id, "disabled")
        except RtccError as error:
            # each request looks at the person anyway
            _LOG.warning("a disabled person's sessions could not be ended: %s", error.message)
        for socket in list(self.sockets):
            if socket.person_id == person_id:
                socket.end_session("disabled", self._ctx.clock())

    def _on_agreement(self, agreement_id: str, old: Agreement | None, new: Agreement | None) -> None:
        changed = new or old
        for view in self.views.values():
            view.evaluate()
            if changed is not None:
                view.tell_agreement(changed)

    async def _check_sessions(self) -> None:
        """Sessions that ended, locked or idled without anybody telling us (R3, R4, R5)."""
        while True:
            await asyncio.sleep(_CHECK_SESSIONS_S)
            try:
                for session_id in {socket.session_id for socket in self.sockets}:
                    await self._check_session(session_id)
            except RtccError as error:
                _LOG.warning("sessions can't be checked: %s", error.message)

    async def _check_session(self, session_id: str) -> None:
        now = self._ctx.clock()
        session = await self._sessions.by_id(session_id)
        standing = "expired" if session is None else session.standing(now, self._sessions.policy)
        ended = session is not None and not self._still_active(session)
        idle = session is not None and not session.lock_exempt and now - session.active_at >= timedelta(seconds=self._settings.idle_drop_s)
        for socket in [socket for socket in self.sockets if socket.session_id == session_id]:
            if standing == "expired":
                socket.end_session("expired" if session is not None else "signed_out", now)
            elif ended:
                socket.end_session("disabled", now)
            elif idle:
                socket.end(CLOSE_IDLE, "idle")
            elif standing == "locked":
                socket.end_session("idle", now)

    def _still_active(self, session: Session) -> bool:
        """R7: also a temporary account that ends while its console is open."""
        try:
            self._sessions.person_of(session)
        except Unauthenticated:
            return False
        return True


def _corners(socket: LiveSocket) -> Sequence[float]:
    box = socket.box
    return (box.south_deg, box.west_deg, box.north_deg, box.east_deg) if box is not None else ()


HUB = web.AppKey("hub", LiveHub)
