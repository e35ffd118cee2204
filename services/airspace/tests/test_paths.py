"""Where tracks were: kept, thinned, bounded, asked for with a reason."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import InvalidInput, NotFound, PurposeRequired
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import person, poll

from .conftest import EAST, SERIAL, WEST, Airspace, Drone, document


async def test_paths_and_ended_tracks_need_a_reason_and_stay_inside_the_agency(airspace: Airspace) -> None:
    # R18
    drone, start = Drone(), utc_now() - timedelta(seconds=30)
    for step in range(12):
        drone.latitude_deg += 1e-4
        await airspace.submit(document(drone.frame(start + timedelta(seconds=step))))
    (track,) = await airspace.tracks()

    async def path(scope: Scope, **fields: Any) -> pb.GetTrackPathResponse:
        request = pb.GetTrackPathRequest(track_id=track.track_id, **fields)
        answer: pb.GetTrackPathResponse = await airspace.ask(airspace.stub.GetTrackPath, request, scope)
        return answer

    async def whole() -> bool:
        try:
            return len((await path(EAST)).points) == 12
        except NotFound:
            return False

    await poll(whole)
    answer = await path(EAST)
    latitudes = [point.position.coordinate.latitude_deg for point in answer.points]
    assert latitudes == sorted(latitudes) and not answer.thinned and answer.track.identity.serial_number == SERIAL
    thin = await path(EAST, limit=5)
    assert thin.thinned and len(thin.points) <= 5
    assert (thin.points[0], thin.points[-1]) == (answer.points[0], answer.points[-1])
    with pytest.raises(NotFound):
        await path(WEST)
    with pytest.raises(PurposeRequired):
        await path(person("east", "operator"))
    with pytest.raises(InvalidInput):
        await path(EAST, limit=5_001)

    async def search(scope: Scope, **fields: Any) -> list[str]:
        answer = await airspace.ask(airspace.stub.SearchTracks, pb.SearchTracksRequest(**fields), scope)
        return [found.track_id for found in answer.tracks]

    assert await search(EAST, serial_number=SERIAL) == [track.track_id]
    assert await search(EAST, serial_number="other") == []
    assert await search(WEST) == []
    early = pb.SearchTracksRequest(until=stamp(start - timedelta(hours=1)))
    assert list((await airspace.ask(airspace.stub.SearchTracks, early, EAST)).tracks) == []
    with pytest.raises(PurposeRequired):
        await search(person("east", "operator"))


async def test_paths_of_aircraft_keep_a_point_each_ten_seconds(airspace: Airspace) -> None:
    now = int(utc_now().timestamp()) // 10 * 10
    for second in range(30, 5, -5):
        craft = {"hex": "461f30", "lat": 60.2 - second * 1e-4, "lon": 24.9, "alt_geom": 3000}
        await airspace.submit(json.dumps({"now": now - second, "aircraft": [craft]}).encode(), "adsb")
    (track,) = await airspace.tracks()
    request = pb.GetTrackPathRequest(track_id=track.track_id)

    async def ages() -> list[int]:
        try:
            points = (await airspace.ask(airspace.stub.GetTrackPath, request, EAST)).points
        except NotFound:
            return []
        return [now - round(point.observed_at.ToDatetime(UTC).timestamp()) for point in points]

    async def whole() -> bool:
        return len(await ages()) >= 3

    await poll(whole)
    assert await ages() == [30, 20, 10]


def stamp(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made
