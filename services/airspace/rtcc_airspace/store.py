"""Tracks, their paths and the stays of drones in zones, in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.event.v1.event_pb2 import Event
from rtcc.geo.v1 import geo_pb2
from rtcc_airspace.domain.live import Head
from rtcc_airspace.domain.observations import (
    ACCURACY,
    ALTITUDE,
    COLUMNS,
    HEADING,
    HEIGHT,
    LATITUDE,
    LONGITUDE,
    OBSERVED_AT,
    SPEED,
    UNKNOWN_DM,
    UNKNOWN_HEADING_CDEG,
    UNKNOWN_SPEED_CMPS,
    Integers,
    Subject,
    identity_of,
)
from rtcc_airspace.domain.tracks import track_message
from rtcc_airspace.domain.visits import Visit
from rtcc_chassis.database import Database
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import event_subject

_PROGRESS = "tracks"
# a path keeps one point a slot (0002_points_by_slot.sql)
_AIRCRAFT_SLOT_US, _DRONE_SLOT_US = 10_000_000, 200_000
_POINT_COLUMNS = [OBSERVED_AT, LATITUDE, LONGITUDE, ALTITUDE, HEIGHT, HEADING, SPEED, ACCURACY]


@dataclass(frozen=True, slots=True)
class Stored:
    """A track as it was saved; `numbers`: 14 columns, empty without a fresh sighting."""

    head: Head
    numbers: tuple[int, ...]


class AirspaceStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def flying(self, scope: Scope) -> tuple[list[Stored], int]:
        """(tracks that haven't ended, stream sequence up to which they are complete; 0: nothing was saved yet)."""
        async with self._database.transaction(scope) as connection:
            sequence = await connection.fetchval("select stream_sequence from progress where name = $1", _PROGRESS)
            rows = await connection.fetch("select * from track where not ended and observed_us > 0")
        return [Stored(_head(row), tuple(row["numbers"])) for row in rows], int(sequence or 0)

    async def going_on(self, scope: Scope) -> list[Visit]:
        """Visits that had not ended."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select visit_id, agency_id, track_id, zone_id, entered_us from visit where left_at is null")
        nothing = np.zeros(COLUMNS, np.int64)
        return [
            Visit(row["visit_id"], row["agency_id"], row["track_id"], row["zone_id"], row["entered_us"], row["entered_us"], 0, nothing)
            for row in rows
        ]

    async def begin_visit(self, scope: Scope, visit: Visit, event: Event) -> bool:
        """The stay and its event in one transaction. False: it was told before."""
        async with self._database.transaction(scope) as connection:
            begun = await connection.fetchval(
                """insert into visit (visit_id, agency_id, track_id, zone_id, entered_us) values ($1, $2, $3, $4, $5)
                   on conflict do nothing returning true""",
                visit.visit_id,
                visit.agency_id,
                visit.track_id,
                visit.zone_id,
                visit.entered_at_us,
            )
            if begun:
                subject = event_subject(event.agency_id, event.kind)
                await self._outbox.add(connection, subject, event, message_id=event.event_id, agency_id=event.agency_id)
        return bool(begun)

    async def end_visits(self, scope: Scope, visits: Sequence[Visit]) -> None:
        """They are over; the same drone in the same zone is a new stay."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """update visit set left_at = now() from unnest($1::text[], $2::text[]) as gone(track_id, zone_id)
                   where visit.track_id = gone.track_id and visit.zone_id = gone.zone_id and left_at is null""",
                [visit.track_id for visit in visits],
                [visit.zone_id for visit in visits],
            )

    async def save(self, scope: Scope, batches: Sequence[tuple[pb.TrackBatch, Integers, bool]], stream_sequence: int) -> None:
        """Messages of TRACKS as (batch, its 14 columns, whether they came late). Saving one twice changes nothing."""
        async with self._database.transaction(scope) as connection:
            for batch, numbers, late in batches:
                if batch.heads:
                    await self._save_heads(connection, batch)
                if batch.track_ids:
                    await self._save_points(connection, batch, numbers, late)
            await connection.execute(
                """insert into progress (name, stream_sequence) values ($1, $2)
                   on conflict (name) do update set stream_sequence = excluded.stream_sequence, saved_at = now()""",
                _PROGRESS,
                stream_sequence,
            )

    async def _save_heads(self, connection: Any, batch: pb.TrackBatch) -> None:
        for head in batch.heads:
            await connection.execute(
                """insert into track (track_id, agency_id, key, kind, source_id, serial_number, identity, first_observed_us, zone_ids,
                                      ended)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                   on conflict (track_id) do update set kind = excluded.kind, source_id = excluded.source_id,
                       serial_number = excluded.serial_number, identity = excluded.identity, zone_ids = excluded.zone_ids,
                       ended = excluded.ended""",
                head.track_id, batch.agency_id, head.key, head.kind, head.source_id, head.identity.serial_number,
                head.identity.SerializeToString(), head.first_observed_at_us, list(head.zone_ids), head.ended,
            )  # fmt: skip

    async def _save_points(self, connection: Any, batch: pb.TrackBatch, numbers: Integers, late: bool) -> None:
        track_ids = list(batch.track_ids)
        await connection.execute(
            """insert into track_point (track_id, slot, agency_id, observed_us, latitude_e7, longitude_e7, altitude_dm, height_dm,
                                        heading_cdeg, speed_cmps, accuracy_dm)
               select point.track_id, observed / case when track.kind = $3 then $4::bigint else $5::bigint end,
                      $2, observed, latitude, longitude, altitude, height, heading, speed, accuracy
               from unnest($1::text[], $6::bigint[], $7::int[], $8::int[], $9::int[], $10::int[], $11::int[], $12::int[], $13::bigint[])
                    as point(track_id, observed, latitude, longitude, altitude, height, heading, speed, accuracy)
                    left join track on track.track_id = point.track_id
               on conflict do nothing""",
            track_ids,
            batch.agency_id,
            pb.TRACK_KIND_AIRCRAFT,
            _AIRCRAFT_SLOT_US,
            _DRONE_SLOT_US,
            *numbers[_POINT_COLUMNS].tolist(),
        )
        if late:
            return
        newest: dict[str, int] = {}
        for line in np.argsort(numbers[OBSERVED_AT], kind="stable").tolist():
            newest[track_ids[line]] = line
        lines = list(newest.values())
        await connection.executemany(
            "update track set observed_us = $2, numbers = $3 where track_id = $1 and observed_us < $2",
            [(track_ids[line], int(numbers[OBSERVED_AT, line]), numbers[:, line].tolist()) for line in lines],
        )

    async def search(
        self, scope: Scope, serial_number: str, from_us: int | None, until_us: int | None, limit: int, now: datetime
    ) -> list[pb.Track]:
        """Newest beginnings first."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select * from track where agency_id = $1 and observed_us > 0 and ($2 = '' or serial_number = $2)
                       and ($3::bigint is null or observed_us >= $3) and ($4::bigint is null or first_observed_us < $4)
                   order by first_observed_us desc limit $5""",
                scope.agency_id, serial_number, from_us, until_us, limit,
            )  # fmt: skip
        return [track_message(_head(row), row["numbers"], now) for row in rows]

    async def track(self, scope: Scope, track_id: str, now: datetime) -> pb.Track | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select * from track where track_id = $1 and observed_us > 0", track_id)
        return None if row is None else track_message(_head(row), row["numbers"], now)

    async def path(
        self, scope: Scope, track_id: str, from_us: int | None, until_us: int | None, limit: int
    ) -> tuple[list[pb.PathPoint], bool]:
        """Oldest first. Of a path that is too long each n-th point and the last one, and True."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """with path as (
                       select *, row_number() over (order by observed_us) as place, count(*) over () as points from track_point
                       where track_id = $1 and ($2::bigint is null or observed_us >= $2) and ($3::bigint is null or observed_us < $3))
                   select * from path where points <= $4 or (place - 1) % ceil(points::numeric / greatest($4 - 1, 1))::bigint = 0
                       or place = points
                   order by observed_us limit $4""",
                track_id, from_us, until_us, limit,
            )  # fmt: skip
        return [_point(row) for row in rows], bool(rows) and rows[0]["points"] > len(rows)

    async def forget(self, scope: Scope, before_us: int) -> int:
        """What is older than the history may be; how many points went. Visits go with their tracks."""
        async with self._database.transaction(scope) as connection:
            gone = await connection.fetchval(
                "with gone as (delete from track_point where observed_us < $1 returning 1) select count(*) from gone", before_us
            )
            await connection.execute(
                """delete from track where ended and observed_us < $1
                       and not exists (select from track_point p where p.track_id = track.track_id)""",
                before_us,
            )
            await connection.execute("delete from visit where left_at is not null and entered_us < $1", before_us)
        return int(gone)


def _head(row: Any) -> Head:
    identity = identity_of(pb.TrackIdentity.FromString(row["identity"]))
    subject = Subject(row["key"], row["kind"], identity, row["source_id"])
    return Head(row["track_id"], row["agency_id"], subject, row["first_observed_us"], tuple(row["zone_ids"]))


def _point(row: Any) -> pb.PathPoint:
    place = geo_pb2.Coordinate(latitude_deg=row["latitude_e7"] / 1e7, longitude_deg=row["longitude_e7"] / 1e7)
    point = pb.PathPoint(position=geo_pb2.Position(coordinate=place, accuracy_m=row["accuracy_dm"] / 10))
    if row["altitude_dm"] != UNKNOWN_DM:
        point.position.altitude_m = row["altitude_dm"] / 10
    if row["heading_cdeg"] != UNKNOWN_HEADING_CDEG:
        point.position.heading_deg = row["heading_cdeg"] / 100
    if row["speed_cmps"] != UNKNOWN_SPEED_CMPS:
        point.position.speed_mps = row["speed_cmps"] / 100
    if row["height_dm"] != UNKNOWN_DM:
        point.height_m = row["height_dm"] / 10
    point.observed_at.FromMicroseconds(row["observed_us"])
    return point
