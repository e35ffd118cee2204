"""Where a unit went: recorded from the position stream, told to who gives a purpose."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from rtcc.location.v1 import location_pb2 as pb
from rtcc_chassis.access import Access, AuditDraft, Outcome, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, NotFound, RtccError
from rtcc_chassis.scope import Scope
from rtcc_location.app.names import Names
from rtcc_location.app.whereabouts import Whereabouts
from rtcc_location.domain.fixes import UNKNOWN_HEADING_CDEG, UNKNOWN_SPEED_CMPS, Fixes, microseconds
from rtcc_location.domain.trail import MINUTE_US, Trail, by_unit_and_minute, merged, thinned

LONGEST = timedelta(hours=24)
POINTS_DEFAULT, POINTS_MOST = 1_000, 5_000
# fixes that may wait to be written: at 1 Hz a minute of a thousand units
WAITING_MOST = 60_000
_LOG = logging.getLogger(__name__)

Minutes = Mapping[tuple[str, str, int], Trail]


class TrailStore(Protocol):
    """Where packed minutes are kept."""

    async def merge(self, scope: Scope, minutes: Minutes, sequence: int) -> None:
        """Add to what is stored of each (agency, unit, minute), and note up to which message of the stream that is."""
        ...

    async def read(self, scope: Scope, unit_id: str, from_minute: int, until_minute: int) -> list[Trail]: ...

    async def expire(self, scope: Scope, before_minute: int) -> dict[str, int]:
        """How many minutes of each agency were older and are gone."""
        ...


class TrailRecorder:
    """Gathers what the stream brings and writes it every few seconds, so that a unit's minute isn't written anew with each fix.

    Nothing is lost between: what isn't written yet is read from the stream again, and a fix that is there already stays one.
    """

    def __init__(self, store: TrailStore) -> None:
        self._store = store
        self._waiting: dict[tuple[str, str, int], list[Trail]] = {}
        self._saving: dict[tuple[str, str, int], list[Trail]] = {}
        self._waiting_fixes = 0
        self._sequence = 0
        self._writing = asyncio.Lock()

    async def take(self, agency_id: str, fixes: Fixes, sequence: int) -> None:
        """Fixes of one message of the stream."""
        for (unit_id, minute), trail in by_unit_and_minute(fixes).items():
            self._waiting.setdefault((agency_id, unit_id, minute), []).append(trail)
        self._waiting_fixes += len(fixes)
        self._sequence = sequence
        while self._waiting_fixes >= WAITING_MOST:
            # the stream waits for the table: it holds a day
            try:
                await self.save()
            except RtccError as error:
                _LOG.warning("trails: waiting, %s", error.message)
                await asyncio.sleep(1)

    def waiting(self, agency_id: str, unit_id: str) -> list[Trail]:
        """What isn't in the table yet."""
        return [
            trail
            for minutes in (self._saving, self._waiting)
            for (agency, unit, _), parts in minutes.items()
            if (agency, unit) == (agency_id, unit_id)
            for trail in parts
        ]

    async def run(self, every_s: float) -> None:
        """For ever. A save that fails is repeated with all that came since."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.save()
            except RtccError as error:
                _LOG.warning("trails: %s", error.message)

    async def save(self) -> None:
        """Everything that waits, in one transaction."""
        async with self._writing:
            if not self._waiting:
                return
            self._saving, self._waiting, self._waiting_fixes = self._waiting, {}, 0
            try:
                minutes = {key: merged(*parts) for key, parts in self._saving.items()}
                await self._store.merge(Scope.platform("location"), minutes, self._sequence)
            except BaseException:
                for key, parts in self._saving.items():
                    self._waiting[key] = [*parts, *self._waiting.get(key, ())]
                    self._waiting_fixes += sum(map(len, parts))
                raise
            finally:
                self._saving = {}


class Trails:
    """The question."""

    def __init__(
        self,
        store: TrailStore,
        recorder: TrailRecorder,
        whereabouts: Whereabouts,
        units: Names,
        access: Access,
        clock: Clock,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._whereabouts = whereabouts
        self._units = units
        self._access = access
        self._clock = clock

    async def trail(self, scope: Scope, request: pb.GetTrailRequest) -> pb.GetTrailResponse:
        """Of a unit of the caller's own agency, a switched-off one too, or of a vehicle of its feeds. Raises NotFound, InvalidInput."""
        if request.limit > POINTS_MOST or request.limit == 1:
            raise InvalidInput.one("limit", f"2 to {POINTS_MOST} points are told")
        from_us, until_us = self._window(request)
        unit = self._units.get(request.unit_id)
        if unit is None or unit.agency_id != scope.agency_id:
            raise NotFound("unit", request.unit_id)
        self._access.require(scope, "position.trail", Resource("position", unit.unit_id, unit.agency_id))
        stored = await self._store.read(scope, unit.unit_id, from_us // MINUTE_US, until_us // MINUTE_US)
        waiting = self._recorder.waiting(unit.agency_id, unit.unit_id)
        whole = merged(Trail.empty(), *stored, *waiting).between(from_us, until_us)
        answer = pb.GetTrailResponse(stored=len(whole), points=_points(thinned(whole, request.limit or POINTS_DEFAULT)))
        last = self._whereabouts.last_of(unit.unit_id)
        if last is not None:
            answer.last.CopyFrom(last)
        touched(f"unit:{unit.unit_id}", owner_agency_id=unit.agency_id)
        return answer

    def _window(self, request: pb.GetTrailRequest) -> tuple[int, int]:
        now = self._clock()
        try:
            until = request.until.ToDatetime(UTC) if request.HasField("until") else now
            start: datetime = getattr(request, "from").ToDatetime(UTC) if request.HasField("from") else until - LONGEST
        except (ValueError, OverflowError) as error:
            raise InvalidInput.one("from", "is no time") from error
        if not start < until:
            raise InvalidInput.one("from", "must be before until")
        if until - start > LONGEST:
            raise InvalidInput.one("from", "lies more than 24 hours before until: ask for one day after the other")
        return microseconds(start), microseconds(until)


def _points(trail: Trail) -> list[pb.TrailPoint]:
    points = []
    for row, panic in zip(trail.numbers.T.tolist(), trail.panic.tolist(), strict=True):
        fixed_at_us, latitude_e7, longitude_e7, heading_cdeg, speed_cmps, accuracy_dm = row
        point = pb.TrailPoint(panic=panic)
        point.fixed_at.FromMicroseconds(fixed_at_us)
        point.position.coordinate.latitude_deg, point.position.coordinate.longitude_deg = latitude_e7 / 1e7, longitude_e7 / 1e7
        point.position.accuracy_m = accuracy_dm / 10
        if heading_cdeg != UNKNOWN_HEADING_CDEG:
            point.position.heading_deg = heading_cdeg / 100
        if speed_cmps != UNKNOWN_SPEED_CMPS:
            point.position.speed_mps = speed_cmps / 100
        points.append(point)
    return points


async def expire(store: TrailStore, access: Access, clock: Clock, days: float) -> None:
    """For ever, every hour. Each deletion stands in the log of the agency whose trails they were (R22)."""
    scope = Scope.platform("location")
    while True:
        before = clock() - timedelta(days=days)
        try:
            gone = await store.expire(scope, microseconds(before) // MINUTE_US)
            for agency_id, minutes in gone.items():
                reason = f"{minutes} unit-minutes before {before.isoformat(timespec='minutes')}, kept for {days:g} days"
                draft = AuditDraft(
                    "position.trail_expire", "location retention", Outcome.ALLOWED, Scope.service("location", agency_id), reason
                )
                await access.record(draft)
        except RtccError as error:
            _LOG.warning("old trails stay a while: %s", error.message)
        await asyncio.sleep(3600)
