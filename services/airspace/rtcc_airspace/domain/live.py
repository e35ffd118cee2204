"""What is in the air now: one row a track in numpy arrays, changed in whole batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_airspace.domain.observations import (
    COLUMNS,
    FRESH_MOST,
    LATITUDE,
    LONGITUDE,
    OBSERVED_AT,
    RECEIVED_AT,
    Integers,
    Observations,
    Subject,
)
from rtcc_airspace.domain.plausibility import AIRCRAFT_MOST_MPS, DRONE_MOST_MPS, jumps
from rtcc_chassis.identifiers import derived_id

_GROW = 256
_FRESH_US = FRESH_MOST.seconds * 1_000_000

FRESH, REPEATED, LATE, JUMPED = 0, 1, 2, 3
_PLACE = [LATITUDE, LONGITUDE, OBSERVED_AT]


@dataclass(slots=True, eq=False)
class Head:
    """What of a track doesn't change with each sighting. `announced_us`: when readers were last told; `heard_us`: when it last came in,
    however old it was then.
    """

    track_id: str
    agency_id: str
    subject: Subject
    first_observed_us: int
    zone_ids: tuple[str, ...] = ()
    announced_us: int = 0
    heard_us: int = 0


class LiveTracks:
    """`most`: tracks of one agency. A track's row is its own until the track ends; then another may get it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heads: list[Head | None] = []
        self._free: list[int] = []
        self._row_of_key: dict[tuple[str, str], int] = {}
        self._row_of_track: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self.numbers = np.zeros((COLUMNS, _GROW), np.int64)

    def __len__(self) -> int:
        """Tracks that are known, with a place or not yet."""
        return len(self._row_of_track)

    def head(self, row: int) -> Head:
        """Of a row that is in use."""
        head = self._heads[row]
        assert head is not None
        return head

    def head_or_none(self, row: int) -> Head | None:
        """None: the row is free."""
        return self._heads[row]

    def row_of(self, track_id: str) -> int | None:
        return self._row_of_track.get(track_id)

    def rows_in_use(self, agency_id: str = "") -> list[int]:
        """Rows of tracks that have a place, of one agency or of all."""
        placed = self.numbers[OBSERVED_AT]
        return [row for row in self._row_of_track.values() if placed[row] > 0 and (not agency_id or self.head(row).agency_id == agency_id)]

    def rows_of(self, agency_id: str, observations: Observations) -> Integers:
        """Row numbers; -1 where a new track would be one too many."""
        known: dict[str, int] = {}
        rows = np.empty(len(observations), np.int64)
        first, received_us = observations.numbers[OBSERVED_AT], observations.numbers[RECEIVED_AT]
        for index, key in enumerate(observations.keys):
            row = known.get(key)
            if row is None:
                row = self._row_of_key.get((agency_id, key), -2)
                if row == -2:
                    row = self._begin(agency_id, observations.subjects[key], int(first[index]))
                known[key] = row
                if row >= 0:
                    self.head(row).heard_us = int(received_us[index])
            rows[index] = row
        return rows

    def judged(self, observations: Observations, rows: Integers, now_us: int) -> Integers:
        """For each sighting FRESH, REPEATED, LATE or JUMPED against the state before the batch. Changes nothing; rows are >= 0."""
        numbers, count = observations.numbers, len(rows)
        at = numbers[OBSERVED_AT]
        before_at = self.numbers[OBSERVED_AT, rows]
        verdict = np.where(at > before_at, FRESH, np.where(at == before_at, REPEATED, LATE))
        verdict[(verdict == FRESH) & (at < now_us - _FRESH_US)] = LATE
        # the sighting before may stand in the same batch
        order = np.lexsort((np.arange(count), at, rows))
        places = numbers[_PLACE][:, order]
        before = self.numbers[_PLACE][:, rows[order]]
        follows = np.flatnonzero(np.append(False, rows[order][1:] == rows[order][:-1]))
        before[:, follows] = places[:, follows - 1]
        fastest_mps = np.array([self._fastest_mps(row) for row in rows[order].tolist()])
        jumped = jumps(places, before, fastest_mps)
        far = order[jumped]
        verdict[far[verdict[far] == FRESH]] = JUMPED
        return np.asarray(verdict, np.int64)

    def apply(self, observations: Observations, rows: Integers) -> Integers:
        """Take over what is newer; the rows that moved. Applying a batch twice, or an older one after it, changes nothing."""
        if not len(observations):
            return np.empty(0, np.int64)
        at = observations.numbers[OBSERVED_AT]
        order = np.lexsort((np.arange(len(rows)), at, rows))
        newest = order[np.append(rows[order][1:] != rows[order][:-1], True)]
        newest = newest[at[newest] > self.numbers[OBSERVED_AT, rows[newest]]]
        moved = np.asarray(rows[newest], np.int64)
        self.numbers[:, moved] = observations.numbers[:, newest]
        return moved

    def restore(self, agency_id: str, track_id: str, subject: Subject, first_observed_us: int, zone_ids: Sequence[str]) -> int:
        """The row of a track that another life of this service began; -1 when there are too many."""
        row = self._row_of_track.get(track_id)
        if row is None:
            known = self._row_of_key.get((agency_id, subject.key))
            if known is not None:
                # two processes began a track of one thing: the earlier one stays
                if self.head(known).first_observed_us <= first_observed_us:
                    return known
                self.end(known)
            row = self._begin(agency_id, subject, first_observed_us, track_id)
            if row < 0:
                return row
        head = self.head(row)
        head.subject, head.zone_ids = subject, tuple(zone_ids)
        return row

    def update_subjects(self, agency_id: str, subjects: Mapping[str, Subject]) -> list[int]:
        """Rows whose subject is told differently now; what was known and is not told any more stays."""
        changed = []
        for key, subject in subjects.items():
            row = self._row_of_key.get((agency_id, key))
            if row is None:
                continue
            head = self.head(row)
            merged = _merged(head.subject, subject)
            if merged != head.subject:
                head.subject = merged
                changed.append(row)
        return changed

    def silent(self, now_us: int, drone_silence_us: int, aircraft_silence_us: int) -> list[int]:
        """Rows of tracks that haven't been seen for too long."""
        rows = []
        for row in self._row_of_track.values():
            head = self.head(row)
            most_us = aircraft_silence_us if head.subject.kind == pb.TRACK_KIND_AIRCRAFT else drone_silence_us
            # one of which nothing but late sightings came is kept together while they come
            seen_us = int(self.numbers[OBSERVED_AT, row]) or head.heard_us or head.first_observed_us
            if now_us - seen_us > most_us:
                rows.append(row)
        return rows

    def end(self, row: int) -> None:
        """Forget a track; its row is free."""
        head = self.head(row)
        del self._row_of_track[head.track_id]
        self._row_of_key.pop((head.agency_id, head.subject.key), None)
        self._counts[head.agency_id] -= 1
        self._heads[row] = None
        self.numbers[:, row] = 0
        self._free.append(row)

    def _begin(self, agency_id: str, subject: Subject, first_observed_us: int, track_id: str = "") -> int:
        if self._counts.get(agency_id, 0) >= self._most:
            return -1
        row = self._free.pop() if self._free else len(self._heads)
        if row == len(self._heads):
            self._heads.append(None)
            if row >= self.numbers.shape[1]:
                self.numbers = np.concatenate([self.numbers, np.zeros_like(self.numbers)], axis=1)
        # derived: two processes that see the same beginning give the same id
        track_id = track_id or derived_id("track", agency_id, subject.key, str(first_observed_us))
        self._heads[row] = Head(track_id, agency_id, subject, first_observed_us)
        self._row_of_key[agency_id, subject.key] = row
        self._row_of_track[track_id] = row
        self._counts[agency_id] = self._counts.get(agency_id, 0) + 1
        return row

    def _fastest_mps(self, row: int) -> float:
        return AIRCRAFT_MOST_MPS if self.head(row).subject.kind == pb.TRACK_KIND_AIRCRAFT else DRONE_MOST_MPS


def _merged(old: Subject, new: Subject) -> Subject:
    """Of two receivers one may not have heard the operator's id yet."""
    if old.identity == new.identity and old.kind == new.kind:
        # which of several receivers heard it last is no news
        return old
    kept = type(new.identity)(*(told or known for told, known in zip(new.identity, old.identity, strict=True)))
    # an emergency that is over is not told any more
    kept = kept._replace(emergency=new.identity.emergency, squawk=new.identity.squawk)
    return Subject(new.key, new.kind, kept, new.source_id)
