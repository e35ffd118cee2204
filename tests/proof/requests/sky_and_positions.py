"""What moves: devices and vehicles with their fixes, tracks in the air."""

from datetime import UTC, datetime

from google.protobuf.message import Message

from proof.requests.building import Builder, asks, asks_of, signed_body
from proof.requests.intake import a_source
from proof.requests.registry import unit_id
from proof.sky import remote_id
from proof.world import World, patiently
from rtcc.airspace.v1 import airspace_pb2 as airspace
from rtcc.geo.v1 import geo_pb2 as geo
from rtcc.location.v1 import location_pb2 as location


def _fix_now() -> location.Fix:
    fix = location.Fix(position=geo.Position(coordinate=geo.Coordinate(latitude_deg=60.2, longitude_deg=24.95)))
    fix.fixed_at.FromDatetime(datetime.now(UTC))
    return fix


async def _reception(world: World, agency_id: str) -> Message:
    source = await world.source(agency_id, "remote_id")
    return airspace.SubmitReceptionRequest(**signed_body(source, remote_id("MFG1F000000000000001", 60.17, 24.94)))


async def _fixes(world: World, agency_id: str) -> Message:
    unit, key = await world.unit_and_key(agency_id)
    return location.SubmitFixesRequest(device_id=unit.device_id, device_key=key, fixes=[_fix_now()])


async def _vehicles(world: World, agency_id: str) -> list[location.Vehicle]:
    return [location.Vehicle(vehicle_id="bus-1", label="550 1", fix=_fix_now())]


async def _known_unit(world: World, agency_id: str) -> str:
    """Of which location has learned from the directory."""
    request = location.GetTrailRequest(unit_id=await unit_id(world, agency_id))
    await patiently(lambda: world.platform.ask("GetTrail", world.everything(agency_id), request))
    return request.unit_id


REQUESTS: dict[str, Builder] = {
    "SubmitReception": _reception,
    "GetTrackPath": asks_of(World.track, airspace.GetTrackPathRequest, "track_id", ""),
    "SearchTracks": asks_of(World.track, airspace.SearchTracksRequest, "", "serial_number"),
    "SubmitFixes": _fixes,
    "SubmitVehicles": asks(location.SubmitVehiclesRequest, source_id=a_source("gtfs_realtime"), vehicles=_vehicles),
    "GetTrail": asks(location.GetTrailRequest, unit_id=_known_unit),
}
