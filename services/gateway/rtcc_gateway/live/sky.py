"""What one agency's consoles see in the air: its own tracks and those that partners share, where each console looks."""

import json
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import numpy as np
from google.protobuf.message import DecodeError

from rtcc.airspace.v1 import airspace_pb2
from rtcc.live.v1 import live_pb2 as pb
from rtcc_chassis.access import AuditDraft, Outcome
from rtcc_chassis.bus import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError
from rtcc_chassis.streams import TRACKS
from rtcc_gateway.live.feed import PLACE
from rtcc_gateway.live.frames import frame
from rtcc_gateway.live.socket import CLOSE_RESTART, LiveSocket
from rtcc_gateway.live.tracks import TrackTable
from rtcc_gateway.live.units import Mask, Rows, UnitShare, cell_box

_LOG = logging.getLogger(__name__)
_AUDIT_EVERY = timedelta(seconds=30)
_Encoded = dict[tuple[bytes, bool], tuple[bytes, Rows]]


class SkyView:
    """One an agency view; `tracks` is the installation's."""

    def __init__(self, agency_id: str, tracks: TrackTable) -> None:
        self._agency_id = agency_id
        self._tracks = tracks
        self._visible: Mask = np.zeros(0, bool)
        self._shared: Mask = np.zeros(0, bool)

    def send(self, sockets: Iterable[LiveSocket], shares: Sequence[UnitShare], now: datetime) -> list[LiveSocket]:
        """One tick: what moved or ended, to whoever looks there. The answer are sockets that got a whole picture, to be audited."""
        watching = [socket for socket in sockets if "tracks" in socket.feeds and socket.box is not None and not socket.closed]
        if not watching:
            return []
        before, (self._visible, self._shared) = self._visible, self._see(shares)
        hidden = before & ~self._visible[: len(before)]
        changed = self._tracks.changed()
        changed = changed[self._visible[changed]]
        encoded: _Encoded = {}
        pictures = []
        for socket in watching:
            # a track that was shared and is no more, or whose row is another's now
            if hidden.any() or socket.behind:
                socket.track_snapshot_due = True
            if socket.behind:
                continue
            snapshot = socket.track_snapshot_due
            if self._offer(socket, snapshot, changed, encoded, now) and snapshot:
                pictures.append(socket)
        return pictures

    def _offer(self, socket: LiveSocket, snapshot: bool, changed: Rows, encoded: _Encoded, now: datetime) -> bool:
        assert socket.box is not None
        box = cell_box(socket.box)
        key = (box.SerializeToString(), snapshot)
        if key not in encoded:
            rows = np.flatnonzero(self._visible) if snapshot else changed
            rows = rows[self._tracks.inside(rows, box)]
            body = self._tracks.columns(rows, self._shared, now, snapshot=snapshot) if snapshot or len(rows) else b""
            encoded[key] = (body, rows)
        body, rows = encoded[key]
        gone = [number for number in self._tracks.ended() if socket.tracks_named.pop(number, None) is not None]
        if not body and not gone:
            return False
        rest = pb.Tracks(gone_numbers=gone, views=self._tracks.views(rows, self._shared))
        for row, (number, revision) in zip(rows.tolist(), self._tracks.numbers_of(rows), strict=True):
            if socket.tracks_named.get(number) != revision:
                socket.tracks_named[number] = revision
                rest.names.append(self._tracks.name(row, shared=bool(self._shared[row])))
        socket.track_snapshot_due = False
        socket.send(frame("tracks", body + rest.SerializeToString(), now))
        return True

    def _see(self, shares: Sequence[UnitShare]) -> tuple[Mask, Mask]:
        own = self._tracks.of_agency(self._agency_id)
        shared = np.zeros(len(self._tracks), bool)
        for share in shares:
            shared |= self._tracks.shared(share)
        return own | shared, shared

    def drafts(self, socket: LiveSocket, shares: Sequence[UnitShare], now: datetime) -> list[AuditDraft]:
        """Who looked at which part of the sky, and in the owners' logs whose tracks were in it; at most twice a minute a socket."""
        box = socket.box
        if box is None or (socket.track_audit_at is not None and now - socket.track_audit_at < _AUDIT_EVERY):
            return []
        socket.track_audit_at = now
        corners = [round(value, 4) for value in (box.south_deg, box.west_deg, box.north_deg, box.east_deg)]
        drafts = [AuditDraft("track.list", PLACE, Outcome.ALLOWED, socket.scope, new_value=json.dumps(corners))]
        for share in shares:
            rows = np.flatnonzero(self._tracks.shared(share))
            rows = rows[self._tracks.inside(rows, cell_box(box))]
            heads = [head for row in rows.tolist() if (head := self._tracks.heads[row]) is not None]
            if heads:
                objects = tuple(f"track:{head.track_id}" for head in heads)
                drafts.append(
                    AuditDraft(
                        "track.list", PLACE, Outcome.ALLOWED, socket.scope, object_ids=objects, owner_agency_id=share.agency_id,
                        agreement_id=share.agreement_id,
                    )
                )  # fmt: skip
        return drafts


class Skies:
    """The stream of tracks into the table, and each tick's pictures with their audit entries. One a gateway."""

    def __init__(self, ctx: ServiceContext, tracks: TrackTable) -> None:
        self._ctx = ctx
        self._tracks = tracks
        self._tail = ctx.bus.tail(TRACKS, ["track.*"], self._on_tracks, start="new")

    async def run(self) -> None:
        """Follow the stream for ever."""
        await self._tail.run()

    def send(self, sky: SkyView, sockets: Iterable[LiveSocket], shares: Sequence[UnitShare], now: datetime) -> None:
        """One tick of one agency's view."""
        looking = sky.send(sockets, shares, now)
        drafts = [draft for socket in looking for draft in sky.drafts(socket, shares, now)]
        if drafts:
            self._ctx.lifecycle.spawn(self._record(drafts, looking), "gateway track audit")

    async def _record(self, drafts: Sequence[AuditDraft], looking: Sequence[LiveSocket]) -> None:
        try:
            await self._ctx.access.record_many(drafts)
        except RtccError:
            for socket in looking:
                # R11: no picture without its entry
                socket.end(CLOSE_RESTART, "the audit log is away")

    async def _on_tracks(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            try:
                batch = delivery.parse(airspace_pb2.TrackBatch)
            except DecodeError:
                _LOG.error("%s %d can't be read and was passed over", delivery.subject, delivery.sequence)
                continue
            if batch.agency_id == delivery.agency_id:
                self._tracks.apply(batch)
