"""Drones in zones become alarms, each stay once; tracks that fell silent end."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from prometheus_client import Counter, Gauge

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.event.v1.event_pb2 import Event
from rtcc_airspace.app.uplink import Publisher, Sighted, ZonesOf
from rtcc_airspace.domain.live import Head, LiveTracks
from rtcc_airspace.domain.observations import COLUMNS, OBSERVED_AT, PILOT_PLACE, microseconds
from rtcc_airspace.domain.tracks import alarm_event
from rtcc_airspace.domain.visits import Visit, Visits
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)
_TRACKS = Gauge("rtcc_airspace_tracks", "Tracks in the air now.")
_VISITS = Gauge("rtcc_airspace_visits", "Drones in zones now.")
_ALARMS = Counter("rtcc_airspace_alarms_total", "Drone alarms raised.")


class VisitStore(Protocol):
    """Where stays are durable; the alarm leaves with the row."""

    async def begin_visit(self, scope: Scope, visit: Visit, event: Event) -> bool:
        """False: this stay, or another of the same track in the same zone, was told before."""

    async def end_visits(self, scope: Scope, visits: Sequence[Visit]) -> None: ...


class Watch:
    """`run` looks each moment; `step` is one look."""

    def __init__(
        self,
        live: LiveTracks,
        visits: Visits,
        store: VisitStore,
        publisher: Publisher,
        zones_of: ZonesOf,
        clock: Clock,
        *,
        drone_silence_s: float,
        aircraft_silence_s: float,
    ) -> None:
        self._live = live
        self._visits = visits
        self._store = store
        self._publisher = publisher
        self._zones_of = zones_of
        self._clock = clock
        self._drone_silence_us = round(drone_silence_s * 1e6)
        self._aircraft_silence_us = round(aircraft_silence_s * 1e6)

    async def run(self, every_s: float) -> None:
        """For ever. What can't be stored now is tried again: an alarm is late then, never lost."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.step()
            except RtccError as error:
                _LOG.warning("airspace watch: waiting, %s", error.message)

    async def step(self) -> None:
        """Raise what is due, close what is over, end what is silent."""
        now_us = microseconds(self._clock())
        for visit in self._visits.due(now_us, self._told):
            await self._raise(visit)
        over = self._visits.over(self._last_seen_us)
        if over:
            await self._store.end_visits(Scope.platform("airspace"), over)
            self._visits.forget(over)
        await self._end_silent(now_us)
        _TRACKS.set(len(self._live))
        _VISITS.set(len(self._visits))

    def _told(self, track_id: str) -> bool:
        row = self._live.row_of(track_id)
        if row is None:
            return True
        identity = self._live.head(row).subject.identity
        named = identity.serial_number or identity.registration or identity.session_id
        return bool(named) and int(self._live.numbers[PILOT_PLACE, row]) != pb.PILOT_PLACE_UNSPECIFIED

    def _last_seen_us(self, track_id: str) -> int | None:
        row = self._live.row_of(track_id)
        return None if row is None else int(self._live.numbers[OBSERVED_AT, row])

    async def _raise(self, visit: Visit) -> None:
        row = self._live.row_of(visit.track_id)
        zone = next((zone for zone in self._zones_of(visit.agency_id) if zone.zone_id == visit.zone_id), None)
        if row is None or zone is None:
            # the zone was taken away within these seconds: nothing to tell any more
            self._visits.forget([visit])
            return
        event = alarm_event(visit, self._live.head(row), self._live.numbers[:, row], zone)
        begun = await self._store.begin_visit(Scope.service("airspace", visit.agency_id), visit, event)
        visit.raised = True
        if begun:
            _ALARMS.inc()
            _LOG.info("drone alarm %s", visit.visit_id)

    async def _end_silent(self, now_us: int) -> None:
        rows = self._live.silent(now_us, self._drone_silence_us, self._aircraft_silence_us)
        by_agency: dict[str, list[Head]] = {}
        heads = [self._live.head(row) for row in rows]
        for head in heads:
            by_agency.setdefault(head.agency_id, []).append(head)
        nothing = np.empty((COLUMNS, 0), np.int64)
        batches = [Sighted(agency_id, False, [], nothing, of_agency, ended=True) for agency_id, of_agency in by_agency.items()]
        if batches:
            await self._publisher.publish(batches)
        for head in heads:
            # meanwhile the stream's reader may have heard it from ourselves
            row = self._live.row_of(head.track_id)
            if row is not None:
                self._live.end(row)
