"""Live tracks in the air of the whole installation in arrays, and their frames."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from rtcc.airspace.v1 import airspace_pb2
from rtcc.airspace.v1.drone_video_pb2 import CameraView
from rtcc.geo.v1.geo_pb2 import BoundingBox
from rtcc.live.v1 import live_pb2 as pb
from rtcc_gateway.live.units import Mask, Rows, UnitShare, in_box, polygon_mask

SHARED = 8
_GROW = 256
_UNKNOWN = -100_000
_UNKNOWN_HEADING_CDEG = 36_000
_UNKNOWN_SPEED_CMPS = 65_535
_COLUMNS = (
    "latitude_e7", "longitude_e7", "altitude_dm", "height_dm", "heading_cdeg", "speed_cmps", "pilot_latitude_e7", "pilot_longitude_e7",
    "pilot_place", "flags", "observed_at_us",
)  # fmt: skip
(
    LATITUDE, LONGITUDE, ALTITUDE, HEIGHT, HEADING, SPEED, PILOT_LATITUDE, PILOT_LONGITUDE, PILOT_PLACE, FLAGS, OBSERVED_AT,
    BEFORE_LATITUDE, BEFORE_LONGITUDE, NUMBER, REVISION,
) = range(15)  # fmt: skip
Numbers = NDArray[np.int64]


class TrackTable:
    """A row is a track's until it ends; its number is never another's. Late data never rewrites what is newer."""

    def __init__(self) -> None:
        self.heads: list[airspace_pb2.TrackHead | None] = []
        self.agency_ids: list[str] = []
        self._row_of: dict[str, int] = {}
        self._free: list[int] = []
        self._next_number = 1
        self._agency_codes: dict[str, int] = {}
        self._agency = np.full(_GROW, -1, np.int64)
        self._columns: Numbers = np.zeros((15, _GROW), np.int64)
        self._changed: Mask = np.zeros(_GROW, bool)
        self._ended: list[int] = []
        self._views: dict[int, CameraView] = {}

    def __len__(self) -> int:
        return len(self.heads)

    def apply(self, batch: airspace_pb2.TrackBatch) -> None:
        """Take a batch over. One whose columns don't fit together changes nothing."""
        columns = [np.array(getattr(batch, name), np.int64) for name in _COLUMNS]
        if any(len(column) != len(batch.track_ids) for column in columns):
            return
        for head in batch.heads:
            self._take_head(batch.agency_id, head)
        known = [(index, self._row_of[track_id]) for index, track_id in enumerate(batch.track_ids) if track_id in self._row_of]
        if not known:
            return
        lines, rows = (np.array(part, np.int64) for part in zip(*known, strict=True))
        told = np.array(columns)[:, lines]
        # several sightings of one track in a batch: the newest stays
        order = np.argsort(told[OBSERVED_AT], kind="stable")
        rows, told = rows[order], told[:, order]
        on_globe = (np.abs(told[LATITUDE]) <= 900_000_000) & (np.abs(told[LONGITUDE]) <= 1_800_000_000)
        fresh = (told[OBSERVED_AT] > self._columns[OBSERVED_AT, rows]) & on_globe & (self._agency[rows] == self._code(batch.agency_id))
        rows, told = rows[fresh], told[:, fresh]
        renamed = told[PILOT_PLACE] != self._columns[PILOT_PLACE, rows]
        self._columns[: len(_COLUMNS), rows] = told
        self._columns[REVISION, rows[renamed]] += 1
        self._changed[rows] = True
        moved = set(rows.tolist())
        for told_view in batch.views:
            row = self._row_of.get(told_view.track_id, -1)
            if row in moved:
                self._views[row] = told_view.view

    def seed(self, track: airspace_pb2.Track) -> None:
        """A track from the airspace service; a newer sighting stays."""
        head = airspace_pb2.TrackHead(
            track_id=track.track_id, kind=track.kind, identity=track.identity, source_id=track.source_id, zone_ids=track.zone_ids,
            first_observed_at_us=track.first_observed_at.ToMicroseconds(),
        )  # fmt: skip
        # what a partner was told of is less than what its owner's batches tell
        if not track.agreement_id or track.track_id not in self._row_of:
            self._take_head(track.agency_id, head)
        row, observed_at_us = self._row_of[track.track_id], track.observed_at.ToMicroseconds()
        if observed_at_us > self._columns[OBSERVED_AT, row]:
            self._columns[: len(_COLUMNS), row] = _seeded(track, observed_at_us)
            self._columns[REVISION, row] += 1
            self._changed[row] = True

    def changed(self) -> Rows:
        """Rows with news since the last `settle`."""
        return np.flatnonzero(self._changed[: len(self)])

    def ended(self) -> Sequence[int]:
        """Numbers of tracks that ended since the last `settle`."""
        return self._ended

    def settle(self) -> None:
        """The tick is over."""
        rows = self.changed()
        self._columns[BEFORE_LATITUDE, rows] = self._columns[LATITUDE, rows]
        self._columns[BEFORE_LONGITUDE, rows] = self._columns[LONGITUDE, rows]
        self._changed[rows] = False
        self._ended = []

    def of_agency(self, agency_id: str) -> Mask:
        """Which rows are that agency's own and have a place."""
        code = self._agency_codes.get(agency_id, -2)
        return np.asarray((self._agency[: len(self)] == code) & (self._columns[OBSERVED_AT, : len(self)] > 0))

    def shared(self, share: UnitShare) -> Mask:
        """Which rows an agreement shows now."""
        mask = self.of_agency(share.agency_id)
        if share.area.corners:
            mask = mask & polygon_mask(share.area, self._columns[LATITUDE, : len(self)] / 1e7, self._columns[LONGITUDE, : len(self)] / 1e7)
        return mask

    def inside(self, rows: Rows, box: BoundingBox) -> Mask:
        """Which of `rows` are in the box now or were at the last tick, or whose pilot is: both belong on the screen."""
        part = self._columns[:, rows]
        here = in_box(part[LATITUDE], part[LONGITUDE], box) | in_box(part[BEFORE_LATITUDE], part[BEFORE_LONGITUDE], box)
        pilot = (part[PILOT_PLACE] > 0) & in_box(part[PILOT_LATITUDE], part[PILOT_LONGITUDE], box)
        return np.asarray(here | pilot, bool)

    def numbers_of(self, rows: Rows) -> list[tuple[int, int]]:
        """(number, revision of the name) of each row."""
        return list(zip(self._columns[NUMBER, rows].tolist(), self._columns[REVISION, rows].tolist(), strict=True))

    def columns(self, rows: Rows, shared: Mask, now: datetime, *, snapshot: bool) -> bytes:
        """An encoded Tracks without names and without those that are gone; `shared` is over the whole table."""
        part = self._columns[:, rows]
        age_us = int(now.timestamp() * 1e6) - part[OBSERVED_AT]
        return pb.Tracks(
            snapshot=snapshot,
            track_numbers=part[NUMBER].tolist(),
            latitude_delta_e7=np.diff(part[LATITUDE], prepend=0).tolist(),
            longitude_delta_e7=np.diff(part[LONGITUDE], prepend=0).tolist(),
            heading_deg=np.where(part[HEADING] >= _UNKNOWN_HEADING_CDEG, 360, part[HEADING] // 100).tolist(),
            speed_cmps=part[SPEED].tolist(),
            altitude_dm=part[ALTITUDE].tolist(),
            height_dm=part[HEIGHT].tolist(),
            age_ds=np.clip(age_us // 100_000, 0, 2**32 - 1).tolist(),
            flags=(part[FLAGS] & ~SHARED | shared[rows] * SHARED).tolist(),
            pilot_latitude_e7=part[PILOT_LATITUDE].tolist(),
            pilot_longitude_e7=part[PILOT_LONGITUDE].tolist(),
        ).SerializeToString()

    def views(self, rows: Rows, shared: Mask) -> list[pb.TrackView]:
        """Where the cameras of some of these tracks look. What a drone films is its owner's own business: partners aren't told."""
        if not self._views:
            return []
        return [
            pb.TrackView(number=int(self._columns[NUMBER, row]), view=self._views[row])
            for row in rows.tolist()
            if row in self._views and not shared[row]
        ]

    def name(self, row: int, *, shared: bool) -> pb.TrackName:
        """What of a track its columns don't tell. A partner isn't told the owner's zones."""
        head = self.heads[row]
        assert head is not None
        name = pb.TrackName(
            number=int(self._columns[NUMBER, row]),
            track_id=head.track_id,
            agency_id=self.agency_ids[row],
            kind=head.kind,
            identity=head.identity,
            pilot_place=airspace_pb2.PilotPlace.ValueType(int(self._columns[PILOT_PLACE, row])),
            zone_ids=() if shared else head.zone_ids,
        )
        name.first_observed_at.FromMicroseconds(head.first_observed_at_us)
        return name

    def _take_head(self, agency_id: str, head: airspace_pb2.TrackHead) -> None:
        row = self._row_of.get(head.track_id)
        if row is not None and self.agency_ids[row] != agency_id:
            return
        if head.ended:
            if row is not None:
                self._end(row)
            return
        if row is None:
            row = self._begin(agency_id, head.track_id)
        if self.heads[row] != head:
            self.heads[row] = head
            self._columns[REVISION, row] += 1
            self._changed[row] = bool(self._columns[OBSERVED_AT, row])

    def _begin(self, agency_id: str, track_id: str) -> int:
        row = self._free.pop() if self._free else len(self.heads)
        if row == len(self.heads):
            self.heads.append(None)
            self.agency_ids.append("")
            if row >= len(self._agency):
                self._agency = np.concatenate([self._agency, np.full_like(self._agency, -1)])
                self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)], axis=1)
                self._changed = np.concatenate([self._changed, np.zeros_like(self._changed)])
        self._row_of[track_id] = row
        self.agency_ids[row] = agency_id
        self._agency[row] = self._agency_codes.setdefault(agency_id, len(self._agency_codes))
        self._columns[:, row] = 0
        self._columns[NUMBER, row] = self._next_number
        self._next_number += 1
        return row

    def _end(self, row: int) -> None:
        head = self.heads[row]
        assert head is not None
        del self._row_of[head.track_id]
        self._ended.append(int(self._columns[NUMBER, row]))
        self.heads[row] = None
        self._views.pop(row, None)
        self._agency[row] = -1
        self._columns[:, row] = 0
        self._changed[row] = False
        self._free.append(row)

    def _code(self, agency_id: str) -> int:
        return self._agency_codes.get(agency_id, -2)


def _seeded(track: airspace_pb2.Track, observed_at_us: int) -> list[int]:
    """The first 11 columns of a track."""
    place = track.position
    return [
        round(place.coordinate.latitude_deg * 1e7),
        round(place.coordinate.longitude_deg * 1e7),
        round(place.altitude_m * 10) if place.HasField("altitude_m") else _UNKNOWN,
        round(track.height_m * 10) if track.HasField("height_m") else _UNKNOWN,
        round(place.heading_deg * 100) if place.HasField("heading_deg") else _UNKNOWN_HEADING_CDEG,
        round(place.speed_mps * 100) if place.HasField("speed_mps") else _UNKNOWN_SPEED_CMPS,
        round(track.pilot.latitude_deg * 1e7),
        round(track.pilot.longitude_deg * 1e7),
        track.pilot_place,
        track.on_ground | track.emergency << 1 | bool(track.zone_ids) << 2,
        observed_at_us,
    ]
