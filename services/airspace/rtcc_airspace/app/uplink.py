"""Sightings in: gathered for at most 100 ms over all receivers, published acknowledged, and only then accepted and shown."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.airspace.v1.drone_video_pb2 import CameraView
from rtcc_airspace.domain.live import FRESH, JUMPED, LATE, Head, LiveTracks
from rtcc_airspace.domain.observations import (
    FLAGS,
    HEIGHT,
    IN_ZONE,
    LATITUDE,
    LONGITUDE,
    OBSERVED_AT,
    ON_GROUND,
    Flags,
    Integers,
    Observations,
    Refusals,
    microseconds,
)
from rtcc_airspace.domain.visits import Visits
from rtcc_airspace.domain.zones import AirZone
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Exhausted, RtccError

# readers that come later learn from this what a track is
_ANNOUNCE_EVERY_US = 30_000_000
ZonesOf = Callable[[str], Sequence[AirZone]]


@dataclass(frozen=True, slots=True)
class Sighted:
    """A message to be: `late` ones are history only. `heads` and `track_ids` as in `TrackBatch`; `zone_ids[track]` what changed;
    `views[track]` where its camera looks.
    """

    agency_id: str
    late: bool
    track_ids: list[str]
    numbers: Integers
    heads: list[Head]
    zone_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ended: bool = False
    views: Mapping[str, CameraView] = field(default_factory=dict)


class Publisher(Protocol):
    """Where batches become durable."""

    async def publish(self, batches: Sequence[Sighted]) -> None:
        """Durable when it returns; raises Unavailable or Exhausted."""


@dataclass(slots=True)
class _Waiting:
    agency_id: str
    observations: Observations
    refusals: Refusals
    durable: "asyncio.Future[None]"


@dataclass(slots=True)
class _Agency:
    """One agency's part of a flush."""

    agency_id: str
    observations: Observations
    rows: Integers
    verdict: Integers
    heads: list[Head | None]
    zone_ids: dict[str, tuple[str, ...]] = field(default_factory=dict)
    inside: list[tuple[AirZone, Flags]] = field(default_factory=list)


class Uplink:
    """One per process; `run` gathers and publishes."""

    def __init__(
        self, live: LiveTracks, visits: Visits, publisher: Publisher, zones_of: ZonesOf, clock: Clock, *, batch_s: float, waiting_most: int
    ) -> None:
        self._live = live
        self._visits = visits
        self._publisher = publisher
        self._zones_of = zones_of
        self._clock = clock
        self._batch_s = batch_s
        self._waiting_most = waiting_most
        self._waiting: list[_Waiting] = []
        self._waiting_rows = 0
        self._arrived = asyncio.Event()

    async def take(self, agency_id: str, observations: Observations, refusals: Refusals) -> None:
        """Until the sightings are durable. What isn't believed is added to `refusals`."""
        if not len(observations):
            return
        if self._waiting_rows + len(observations) > self._waiting_most:
            raise Exhausted("the number of sightings that wait to be stored", self._waiting_most)
        waiting = _Waiting(agency_id, observations, refusals, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._waiting_rows += len(observations)
        self._arrived.set()
        await waiting.durable

    async def run(self) -> None:
        """Publish what gathers, for ever. One batch is under way at a time, so order per track is kept."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(self._batch_s)
            await self.flush()

    async def flush(self) -> None:
        """Publish what is waiting now."""
        batch, self._waiting = self._waiting, []
        self._waiting_rows = 0
        self._arrived.clear()
        if not batch:
            return
        try:
            await self._publish(batch)
        except RtccError as error:
            for waiting in batch:
                _resolve(waiting.durable, error)
        except BaseException:
            for waiting in batch:
                waiting.durable.cancel()
            raise
        else:
            for waiting in batch:
                _resolve(waiting.durable, None)

    async def _publish(self, batch: Sequence[_Waiting]) -> None:
        now_us = microseconds(self._clock())
        by_agency: dict[str, list[_Waiting]] = {}
        for waiting in batch:
            by_agency.setdefault(waiting.agency_id, []).append(waiting)
        parts = [self._judge(agency_id, waiting, now_us) for agency_id, waiting in by_agency.items()]
        messages = [message for part in parts for message in self._messages(part, now_us)]
        if messages:
            await self._publisher.publish(messages)
        for message in messages:
            # readers of the live state don't hear what is late
            if not message.late:
                for head in message.heads:
                    head.announced_us = now_us
        for part in parts:
            self._apply(part, now_us)

    def _judge(self, agency_id: str, waiting: Sequence[_Waiting], now_us: int) -> _Agency:
        observations = Observations.joined([part.observations for part in waiting])
        rows = self._live.rows_of(agency_id, observations)
        for row in self._live.update_subjects(agency_id, observations.subjects):
            self._live.head(row).announced_us = 0
        fits = rows >= 0
        verdict = np.full(len(rows), -1, np.int64)
        verdict[fits] = self._live.judged(observations.rows(np.flatnonzero(fits)), rows[fits], now_us)
        start = 0
        for part in waiting:
            end = start + len(part.observations)
            for what, reason in ((-1, "more tracks than may be kept at once"), (JUMPED, "farther from its last place than anything flies")):
                lines = np.flatnonzero(verdict[start:end] == what)
                if len(lines):
                    part.refusals.add(f"{part.observations.keys[int(lines[0])]}: {reason}", len(lines))
            start = end
        heads = [self._live.head(row) if row >= 0 else None for row in rows.tolist()]
        judged = _Agency(agency_id, observations, rows, verdict, heads)
        self._look_at_zones(judged)
        return judged

    def _look_at_zones(self, part: _Agency) -> None:
        zones = self._zones_of(part.agency_id)
        fresh = np.flatnonzero(part.verdict == FRESH)
        numbers = part.observations.numbers
        drones = np.array([self._live.head(row).subject.kind != pb.TRACK_KIND_AIRCRAFT for row in part.rows[fresh].tolist()], bool)
        if not len(fresh) or not drones.any():
            return
        lines = fresh[drones]
        flying = numbers[FLAGS, lines] & ON_GROUND == 0
        inside_any = np.zeros(len(lines), bool)
        for zone in zones:
            inside = zone.contains(numbers[LATITUDE, lines], numbers[LONGITUDE, lines], numbers[HEIGHT, lines]) & flying
            if inside.any():
                part.inside.append((zone, inside))
            inside_any |= inside
        numbers[FLAGS, lines] = np.where(inside_any, numbers[FLAGS, lines] | IN_ZONE, numbers[FLAGS, lines] & ~IN_ZONE)
        order = lines[np.argsort(numbers[OBSERVED_AT, lines], kind="stable")]
        newest = {int(part.rows[line]): int(line) for line in order.tolist()}
        position = {int(line): index for index, line in enumerate(lines.tolist())}
        for row, line in newest.items():
            head = self._live.head(row)
            zone_ids = tuple(zone.zone_id for zone, inside in part.inside if inside[position[line]])
            if zone_ids != head.zone_ids:
                part.zone_ids[head.track_id] = zone_ids
        part.inside = [(zone, _spread(inside, lines, len(part.verdict))) for zone, inside in part.inside]

    def _messages(self, part: _Agency, now_us: int) -> list[Sighted]:
        messages = []
        for late, what in ((False, FRESH), (True, LATE)):
            lines = np.flatnonzero(part.verdict == what)
            if not len(lines):
                continue
            rows = part.rows[lines].tolist()
            heads = [self._live.head(row) for row in rows]
            told = {
                head.track_id: head for head in heads if head.track_id in part.zone_ids or now_us - head.announced_us > _ANNOUNCE_EVERY_US
            }
            track_ids = [head.track_id for head in heads]
            numbers = part.observations.numbers[:, lines]
            told_views = {} if late else part.observations.views
            views = {head.track_id: told_views[head.subject.key] for head in heads if head.subject.key in told_views}
            messages.append(Sighted(part.agency_id, late, track_ids, numbers, list(told.values()), part.zone_ids, views=views))
        return messages

    def _apply(self, part: _Agency, now_us: int) -> None:
        # a track may have ended while the batch was published, and its row may be another's
        alive = np.array([row >= 0 and head is self._live.head_or_none(row) for row, head in zip(part.rows, part.heads, strict=True)], bool)
        fresh = np.flatnonzero((part.verdict == FRESH) & alive)
        self._live.apply(part.observations.rows(fresh), part.rows[fresh])
        for track_id, zone_ids in part.zone_ids.items():
            row = self._live.row_of(track_id)
            if row is not None:
                self._live.head(row).zone_ids = zone_ids
        numbers = part.observations.numbers
        for zone, inside in part.inside:
            for line in np.flatnonzero(inside & alive).tolist():
                head = self._live.head(int(part.rows[line]))
                if head.subject.kind == pb.TRACK_KIND_DRONE:
                    seen_us = int(numbers[OBSERVED_AT, line])
                    self._visits.seen(part.agency_id, head.track_id, (zone.zone_id,), numbers[:, line], seen_us, now_us)


def _spread(inside: Flags, lines: Integers, count: int) -> Flags:
    wide: Flags = np.zeros(count, bool)
    wide[lines] = inside
    return wide


def _resolve(future: "asyncio.Future[None]", error: RtccError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
