"""What one agency's consoles see: its feeds, its cameras, what others share with it, and its units. Shared by all its sockets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from rtcc.alerting.v1 import alerting_pb2
from rtcc.event.v1.event_pb2 import Event
from rtcc.exchange.v1 import exchange_pb2
from rtcc.geo.v1.geo_pb2 import BoundingBox
from rtcc.incidents.v1 import incidents_pb2
from rtcc.live.v1 import live_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Agreement, Camera, Unit
from rtcc.video.v1.video_pb2 import CameraHealth
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.directory import Mirror
from rtcc_chassis.sharing import grants_alert
from rtcc_gateway.live.book import Entry
from rtcc_gateway.live.feed import Feed
from rtcc_gateway.live.frames import cursor_text, frame
from rtcc_gateway.live.shares import SharedView, end_reason, shared_view
from rtcc_gateway.live.sky import SkyView
from rtcc_gateway.live.socket import LiveSocket
from rtcc_gateway.live.tracks import TrackTable
from rtcc_gateway.live.units import Mask, UnitTable, cell_box

FEED_KINDS = ("alerts", "shared_alerts", "calls", "incidents")
_WAIT_FOR_AGREEMENT_S = 10.0


def alert_entry(alert: alerting_pb2.Alert, sequence: int, payload: bytes | None = None, headers: Mapping[str, str] | None = None) -> Entry:
    """An alert as the book keeps it."""
    is_open = alert.state != alerting_pb2.ALERT_STATE_CLOSED
    return Entry(alert.alert_id, (alert.revision,), sequence, payload or alert.SerializeToString(), is_open, alert, headers=headers)


def shared_entry(
    shared: exchange_pb2.SharedAlert, sequence: int, payload: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Entry:
    """A shared alert: the grantee's acknowledgement changes it without a new revision of the alert."""
    revision = (shared.alert.revision, shared.acknowledged_at.ToMicroseconds(), shared.shared_at.ToMicroseconds())
    is_open = shared.alert.state != alerting_pb2.ALERT_STATE_CLOSED
    return Entry(
        shared.alert.alert_id, revision, sequence, payload or shared.SerializeToString(), is_open, shared,
        owner_agency_id=shared.alert.agency_id, agreement_id=shared.agreement_id, headers=headers,
    )  # fmt: skip


def call_entry(event: Event, sequence: int, payload: bytes | None = None, headers: Mapping[str, str] | None = None) -> Entry:
    """A call for service: the newest report of a call replaces the one before."""
    key = event.call_for_service.call_id or event.event_id
    is_open = event.call_for_service.status.lower() not in ("closed", "cancelled")
    revision = (event.received_at.ToMicroseconds(),)
    return Entry(key, revision, sequence, payload or event.SerializeToString(), is_open, event, headers=headers)


def incident_entry(
    incident: incidents_pb2.Incident, sequence: int, payload: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Entry:
    """An incident as the book keeps it."""
    is_open = incident.state != incidents_pb2.INCIDENT_STATE_CLOSED
    data = payload or incident.SerializeToString()
    return Entry(incident.incident_id, (incident.revision,), sequence, data, is_open, incident, headers=headers)


class AgencyView:
    """`floors`: the newest sequence of each stream when this view was made: from there on nothing is missed."""

    def __init__(
        self,
        ctx: ServiceContext,
        agency_id: str,
        epoch: str,
        floors: Mapping[str, int],
        cameras: Mirror[Camera],
        agreements: Mirror[Agreement],
        units: UnitTable,
        unit_names: Mirror[Unit],
        vehicle_names: Mirror[Unit],
        open_shared: Mirror[exchange_pb2.SharedAlert],
        tracks: TrackTable,
    ) -> None:
        self.agency_id = agency_id
        self.sockets: set[LiveSocket] = set()
        self.empty_since: datetime | None = None
        self._ctx = ctx
        self._epoch = epoch
        self._cameras = cameras
        self._agreements = agreements
        self._units = units
        self._unit_names = unit_names
        self._vehicle_names = vehicle_names
        self._open_shared = open_shared
        specs = (
            ("alerts", "alert.list", "alert"),
            ("shared_alerts", "shared_alert.list", "alert"),
            ("calls", "call.list", "call"),
            ("incidents", "incident.list", "incident"),
        )
        self.feeds = {kind: Feed(ctx, kind, action, word, floors[kind], self.cursor) for kind, action, word in specs}
        self.shared = SharedView()
        self.sky = SkyView(agency_id, tracks)
        self._own_cameras: dict[str, Camera] = {}
        self._waiting: list[tuple[datetime, Entry]] = []
        self._visible: Mask = np.zeros(0, bool)
        self._shared_units: Mask = np.zeros(0, bool)
        self.evaluate()

    def cursor(self) -> str:
        """What every viewer of this agency has been sent."""
        return cursor_text(self._epoch, (self.feeds[kind].sent_sequence for kind in FEED_KINDS))

    def head_cursor(self) -> str:
        """What a socket that starts now has been sent."""
        return cursor_text(self._epoch, (self.feeds[kind].book.head for kind in FEED_KINDS))

    def add(self, socket: LiveSocket) -> None:
        """From now on it gets what happens."""
        self.sockets.add(socket)
        for kind in FEED_KINDS:
            if kind in socket.feeds:
                socket.floors[kind] = self.feeds[kind].book.head
                self.feeds[kind].sockets.add(socket)

    def remove(self, socket: LiveSocket) -> None:
        self.sockets.discard(socket)
        for feed in self.feeds.values():
            feed.sockets.discard(socket)
        if not self.sockets:
            self.empty_since = self._ctx.clock()

    # -- shared by others --------------------------------------------------------------------------------------------

    def accept_shared(self, entry: Entry) -> None:
        """An alert of a partner: only while its agreement stands. One whose agreement isn't here yet waits for the directory."""
        if entry.agreement_id in self.shared.agreements:
            self.feeds["shared_alerts"].accept(entry)
        elif self._agreements.get(entry.agreement_id) is None:
            self._waiting.append((self._ctx.clock(), entry))
        else:
            self.evaluate()
            if entry.agreement_id in self.shared.agreements:
                self.feeds["shared_alerts"].accept(entry)

    def evaluate(self) -> None:
        """Look at cameras and agreements again, and tell every console what came and what must go now."""
        now, before = self._ctx.clock(), self.shared
        # the exchange's own word, as video reads it too: some agreements grant cameras only while an alert is open
        open_ids = frozenset(shared.agreement_id for shared in self._open_shared)
        cameras = {camera.camera_id: camera for camera in self._cameras}
        self.shared = shared_view(self._agreements, cameras, self.agency_id, now, open_ids)
        for agreement_id in before.agreements.keys() - self.shared.agreements.keys():
            self._end_grant(agreement_id, before, now)
        self._narrow(now)
        own = {camera_id: camera for camera_id, camera in cameras.items() if camera.agency_id == self.agency_id}
        self._tell_cameras(before, own, now)
        self._own_cameras = own
        waiting, self._waiting = self._waiting, []
        for since, entry in waiting:
            if entry.agreement_id in self.shared.agreements:
                self.feeds["shared_alerts"].accept(entry)
            elif (now - since).total_seconds() < _WAIT_FOR_AGREEMENT_S:
                self._waiting.append((since, entry))

    @property
    def clock_bound(self) -> bool:
        """Whether time alone can change what is shared, or something waits for the directory."""
        limited = (agreement.HasField("valid_from") or agreement.HasField("valid_until") for agreement in self._agreements)
        return bool(self._waiting) or any(limited)

    def _end_grant(self, agreement_id: str, before: SharedView, now: datetime) -> None:
        feed = self.feeds["shared_alerts"]
        alerts = [entry.key for entry in feed.book.where(lambda entry: entry.agreement_id == agreement_id)]
        feed.remove(alerts)
        cameras = [camera_id for camera_id, (_, given_by) in before.cameras.items() if given_by == agreement_id]
        revoked = pb.Revoked(
            agreement_id=agreement_id,
            camera_ids=[camera_id for camera_id in cameras if camera_id not in self.shared.cameras],
            alert_ids=alerts,
            reason=end_reason(self._agreements.get(agreement_id)),
        )
        self._send("revoked", revoked.SerializeToString(), now, {"shared_alerts", "shared_cameras", "positions", "tracks"})
        for socket in self.sockets:
            socket.position_snapshot_due = socket.track_snapshot_due = True

    def _narrow(self, now: datetime) -> None:
        """Alerts that an agreement covered when they came and no longer does."""
        feed = self.feeds["shared_alerts"]

        def uncovered(entry: Entry) -> bool:
            agreement = self.shared.agreements.get(entry.agreement_id)
            return agreement is not None and not grants_alert(agreement, entry.message.alert, now)

        for entry in feed.book.where(uncovered):
            feed.remove([entry.key])
            body = pb.Revoked(agreement_id=entry.agreement_id, alert_ids=[entry.key], reason="narrowed")
            self._send("revoked", body.SerializeToString(), now, {"shared_alerts"})

    def _tell_cameras(self, before: SharedView, own: dict[str, Camera], now: datetime) -> None:
        # the mirror keeps the same object while nothing changed: most comparisons end at identity
        known = self._own_cameras
        changed = [camera for camera_id, camera in own.items() if known.get(camera_id) is not camera and known.get(camera_id) != camera]
        removed = [camera_id for camera_id in self._own_cameras if camera_id not in own]
        if changed or removed:
            body = pb.Cameras(cameras=[without_address(camera) for camera in changed], removed_camera_ids=removed)
            self._send("cameras", body.SerializeToString(), now, {"cameras"})
        came = [
            exchange_pb2.SharedCamera(camera=without_address(camera), agreement_id=agreement_id)
            for camera_id, (camera, agreement_id) in self.shared.cameras.items()
            if before.cameras.get(camera_id) != (camera, agreement_id)
        ]
        gone = [camera_id for camera_id in before.cameras if camera_id not in self.shared.cameras]
        if came or gone:
            self._send("cameras", pb.Cameras(shared_cameras=came, removed_camera_ids=gone).SerializeToString(), now, {"shared_cameras"})

    def camera_snapshot(self, socket: LiveSocket) -> pb.Cameras:
        """All cameras that this socket may see."""
        body = pb.Cameras(snapshot=True)
        if "cameras" in socket.feeds:
            body.cameras.extend(without_address(camera) for camera in self._own_cameras.values())
        if "shared_cameras" in socket.feeds:
            body.shared_cameras.extend(
                exchange_pb2.SharedCamera(camera=without_address(camera), agreement_id=agreement_id)
                for camera, agreement_id in self.shared.cameras.values()
            )
        return body

    def agreements_of_agency(self) -> list[Agreement]:
        """Both sides."""
        return [agreement for agreement in self._agreements if self.agency_id in (agreement.grantor_agency_id, agreement.grantee_agency_id)]

    def tell_agreement(self, agreement: Agreement) -> None:
        """One was granted, narrowed or revoked (R31)."""
        if self.agency_id in (agreement.grantor_agency_id, agreement.grantee_agency_id):
            self._send("agreements", pb.Agreements(agreements=[agreement]).SerializeToString(), self._ctx.clock(), {"agreements"})

    def sees_camera(self, camera_id: str) -> tuple[bool, bool]:
        """(own, shared)."""
        return camera_id in self._own_cameras, camera_id in self.shared.cameras

    def _send(self, kind: str, body: bytes, now: datetime, feeds: set[str]) -> None:
        data: bytes | None = None
        for socket in self.sockets:
            if feeds & socket.feeds:
                data = data or frame(kind, body, now)
                socket.send(data)

    # -- units -------------------------------------------------------------------------------------------------------

    def send_positions(self, now: datetime) -> list[LiveSocket]:
        """One tick: what moved, to whoever looks there. The answer are sockets that got a whole picture (to be audited by the caller)."""
        watching = [socket for socket in self.sockets if "positions" in socket.feeds and socket.box is not None and not socket.closed]
        if not watching:
            return []
        before, (self._visible, self._shared_units) = self._visible, self._see()
        gone = before & ~self._visible[: len(before)]
        if gone.any():
            for socket in watching:
                socket.position_snapshot_due = True
        changed = self._units.changed()
        changed = changed[self._visible[changed]]
        encoded: dict[tuple[bytes, bool, int], tuple[bytes, list[int]]] = {}
        pictures = []
        for socket in watching:
            if socket.behind:
                socket.position_snapshot_due = True
                continue
            snapshot = socket.position_snapshot_due
            if self._offer(socket, snapshot, changed, encoded, now) and snapshot:
                pictures.append(socket)
        return pictures

    def _offer(
        self,
        socket: LiveSocket,
        snapshot: bool,
        changed: Any,
        encoded: dict[tuple[bytes, bool, int], tuple[bytes, list[int]]],
        now: datetime,
    ) -> bool:
        assert socket.box is not None
        box = cell_box(socket.box)
        own = self._own_row_outside(socket, box)
        key = (box.SerializeToString(), snapshot, own)
        if key not in encoded:
            rows = np.flatnonzero(self._visible) if snapshot else changed
            rows = rows[self._units.inside(rows, box) | (rows == own)]
            body = self._units.columns(rows, self._shared_units, now, snapshot=snapshot) if snapshot or len(rows) else b""
            encoded[key] = (body, rows.tolist())
        body, numbers = encoded[key]
        if not body:
            return False
        names = pb.Positions(units=[self._name(number) for number in numbers if number not in socket.named])
        socket.named.update(numbers)
        socket.position_snapshot_due = False
        socket.send(frame("positions", body + names.SerializeToString(), now))
        return True

    def _own_row_outside(self, socket: LiveSocket, box: BoundingBox) -> int:
        """The person's own unit where it isn't in the picture anyway (one encoding serves all who have none there); -1: none."""
        row = self._units.number_of(socket.unit_id) if socket.unit_id else None
        if row is None or row >= len(self._visible) or not self._visible[row] or self._units.inside(np.array([row]), box)[0]:
            return -1
        return row

    def _see(self) -> tuple[Mask, Mask]:
        own = self._units.of_agency(self.agency_id)
        shared = np.zeros(len(self._units), bool)
        for share in self.shared.units:
            shared |= self._units.shared(share)
        return own | shared, shared

    def shared_units_in(self, socket: LiveSocket) -> dict[tuple[str, str], list[str]]:
        """(owner, agreement) -> ids of the partners' units in a socket's picture, for the owners' logs."""
        found: dict[tuple[str, str], list[str]] = {}
        if socket.box is None:
            return found
        for share in self.shared.units:
            rows = np.flatnonzero(self._units.shared(share))
            rows = rows[self._units.inside(rows, cell_box(socket.box))]
            if len(rows):
                found[share.agency_id, share.agreement_id] = [self._units.unit_ids[row] for row in rows.tolist()]
        return found

    def _name(self, number: int) -> pb.UnitName:
        unit_id = self._units.unit_ids[number]
        unit = self._unit_names.get(unit_id) or self._vehicle_names.get(unit_id)
        return pb.UnitName(
            number=number,
            unit_id=unit_id,
            call_sign=unit.call_sign if unit is not None else unit_id,
            kind=unit.kind if unit is not None else "",
            agency_id=self._units.agency_ids[number],
        )


def as_told_to(agency_id: str, state: CameraHealth) -> CameraHealth:
    """A camera's health as an agency may have it: who moves the camera is the owner's own business, and partners hear nothing."""
    if state.agency_id == agency_id or not (state.controlled_by or state.sound_allowed or state.sound_reason):
        return state
    copy = CameraHealth()
    copy.CopyFrom(state)
    for field in ("controlled_by", "sound_allowed", "sound_reason", "sound_cores"):
        copy.ClearField(field)
    return copy


def without_address(camera: Camera) -> Camera:
    """Stream addresses hold passwords: they never leave, whatever the directory holds."""
    if not (camera.stream_url or camera.control_url or any(stream.stream_url for stream in camera.streams)):
        return camera
    copy = Camera()
    copy.CopyFrom(camera)
    copy.stream_url = copy.control_url = ""
    for stream in copy.streams:
        stream.stream_url = ""
    return copy
