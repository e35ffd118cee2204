"""What is in the sky and what was there, as far as the asking agency may see it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.geo.v1 import geo_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_airspace.domain.live import LiveTracks
from rtcc_airspace.domain.observations import LATITUDE, LONGITUDE, microseconds
from rtcc_airspace.domain.tracks import coordinate, track_message
from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import InvalidInput, NotFound
from rtcc_chassis.scope import Scope
from rtcc_chassis.sharing import tracks_grant

SEARCH_DEFAULT, SEARCH_MOST = 100, 500
PATH_DEFAULT, PATH_MOST = 1_000, 5_000
SERIAL_MOST = 20


class History(Protocol):
    """What was stored of an agency's tracks."""

    async def search(
        self, scope: Scope, serial_number: str, from_us: int | None, until_us: int | None, limit: int, now: datetime
    ) -> list[pb.Track]: ...

    async def track(self, scope: Scope, track_id: str, now: datetime) -> pb.Track | None: ...

    async def path(
        self, scope: Scope, track_id: str, from_us: int | None, until_us: int | None, limit: int
    ) -> tuple[list[pb.PathPoint], bool]: ...


class Sky:
    """Live answers come from memory, past ones from the tables."""

    def __init__(
        self, live: LiveTracks, history: History, agreements: Mirror[registry_pb2.Agreement], access: Access, clock: Clock
    ) -> None:
        self._live = live
        self._history = history
        self._agreements = agreements
        self._access = access
        self._clock = clock

    def tracks(self, scope: Scope, box: geo_pb2.BoundingBox | None) -> list[pb.Track]:
        """Every visible track with the age of its newest sighting; west > east means a box across the antimeridian."""
        now = self._clock()
        seen: dict[int, str] = dict.fromkeys(self._live.rows_in_use(scope.agency_id), "")
        for row, agreement_id in self._shared_rows(scope, now):
            seen.setdefault(row, agreement_id)
        answer = []
        for row, agreement_id in seen.items():
            track = track_message(self._live.head(row), self._live.numbers[:, row], now, agreement_id)
            if agreement_id:
                # zones are the owner's own business
                del track.zone_ids[:]
            if box is None or _inside(track.position.coordinate, box):
                touched(f"track:{track.track_id}", owner_agency_id=track.agency_id, agreement_id=agreement_id)
                answer.append(track)
        return answer

    async def search(
        self, scope: Scope, serial_number: str, since: Timestamp | None, until: Timestamp | None, limit: int
    ) -> list[pb.Track]:
        """Stored tracks, newest first. The audit entry holds what was searched for and what was found."""
        if len(serial_number) > SERIAL_MOST:
            raise InvalidInput.one("serial_number", f"has {len(serial_number)} characters, a serial number has at most {SERIAL_MOST}")
        if limit > SEARCH_MOST:
            raise InvalidInput.one("limit", f"at most {SEARCH_MOST} tracks are named")
        from_us, until_us = _window(since, until)
        tracks = await self._history.search(scope, serial_number, from_us, until_us, limit or SEARCH_DEFAULT, self._clock())
        touched(*(f"track:{track.track_id}" for track in tracks))
        return tracks

    async def path(
        self, scope: Scope, track_id: str, since: Timestamp | None, until: Timestamp | None, limit: int
    ) -> tuple[pb.Track, list[pb.PathPoint], bool]:
        """The track, where it was, and whether the path was thinned. Raises NotFound for another agency's too."""
        if limit > PATH_MOST:
            raise InvalidInput.one("limit", f"at most {PATH_MOST} points are told")
        from_us, until_us = _window(since, until)
        track = await self._history.track(scope, track_id, self._clock())
        if track is None:
            raise NotFound("track", track_id)
        self._access.require(scope, "track.read_path", Resource("track", track_id, track.agency_id))
        points, thinned = await self._history.path(scope, track_id, from_us, until_us, limit or PATH_DEFAULT)
        return track, points, thinned

    def _shared_rows(self, scope: Scope, now: datetime) -> Iterator[tuple[int, str]]:
        """(row, agreement) of partners' tracks: decided by the agreement where the track is now, and by policy for this caller."""
        for agreement in self._agreements.values():
            if agreement.grantee_agency_id != scope.agency_id or not agreement.tracks:
                continue
            for row in self._live.rows_in_use(agreement.grantor_agency_id):
                place = coordinate(int(self._live.numbers[LATITUDE, row]), int(self._live.numbers[LONGITUDE, row]))
                grant = tracks_grant([agreement], agreement.grantor_agency_id, scope.agency_id, place, now)
                if grant is None:
                    continue
                resource = Resource("track", "", agreement.grantor_agency_id, grant)
                if not self._access.decide(scope, "track.list", resource).allowed:
                    break
                yield row, agreement.agreement_id


def _inside(place: geo_pb2.Coordinate, box: geo_pb2.BoundingBox) -> bool:
    if not box.south_deg <= place.latitude_deg <= box.north_deg:
        return False
    if box.west_deg <= box.east_deg:
        return box.west_deg <= place.longitude_deg <= box.east_deg
    return place.longitude_deg >= box.west_deg or place.longitude_deg <= box.east_deg


def _window(since: Timestamp | None, until: Timestamp | None) -> tuple[int | None, int | None]:
    ends = []
    for name, stamp in (("from", since), ("until", until)):
        try:
            ends.append(None if stamp is None else microseconds(stamp.ToDatetime(UTC)))
        except (ValueError, OverflowError) as error:
            raise InvalidInput.one(name, "is no time") from error
    from_us, until_us = ends
    if from_us is not None and until_us is not None and from_us >= until_us:
        raise InvalidInput.one("until", "must be later than from")
    return from_us, until_us
