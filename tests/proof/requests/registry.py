"""Agencies, people, cameras, zones, sources, units and agreements."""

from proof.requests.building import Builder, asks
from proof.requests.intake import a_source
from proof.world import OWNER, PARTNER, World
from rtcc.geo.v1 import geo_pb2 as geo
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.identifiers import new_id

_PLACE = geo.Coordinate(latitude_deg=60.2, longitude_deg=24.95)
_source_id = a_source("gunshot")


async def person_id(world: World, agency_id: str) -> str:
    return (await world.person(agency_id, "operator")).person_id


async def unit_id(world: World, agency_id: str) -> str:
    return (await world.unit(agency_id)).unit_id


async def _person(world: World, agency_id: str) -> pb.Person:
    return pb.Person(
        person_id=await person_id(world, agency_id), agency_id=agency_id, login=f"taken-over-{new_id()[:13]}", display_name="Changed",
        roles=["operator"], enabled=True,
    )  # fmt: skip


async def _agency(world: World, agency_id: str) -> pb.Agency:
    return pb.Agency(agency_id=agency_id, name=agency_id.title(), time_zone="UTC", enabled=True)


async def _own_id(world: World, agency_id: str) -> str:
    return agency_id


async def _camera(world: World, agency_id: str) -> pb.Camera:
    return pb.Camera(
        camera_id=await world.camera(agency_id), agency_id=agency_id, name="Changed", kind=pb.CAMERA_KIND_STREET, coordinate=_PLACE,
        bearing_deg=10, field_of_view_deg=60, owner="changed", enabled=True,
    )  # fmt: skip


async def _zone(world: World, agency_id: str) -> pb.Zone:
    corners = [geo.Coordinate(latitude_deg=61 + y, longitude_deg=25 + x) for x, y in ((0, 0), (0.1, 0), (0.1, 0.1), (0, 0.1))]
    zone_id = await world.zone(agency_id)
    return pb.Zone(zone_id=zone_id, agency_id=agency_id, name="Changed", kind="district", area=geo.Polygon(corners=corners))


async def _source(world: World, agency_id: str) -> pb.Source:
    source_id = (await world.source(agency_id)).source_id
    return pb.Source(source_id=source_id, agency_id=agency_id, name="Taken over", adapter="gunshot", enabled=True)


async def _unit(world: World, agency_id: str) -> pb.Unit:
    unit = await world.unit(agency_id)
    return pb.Unit(unit_id=unit.unit_id, agency_id=agency_id, call_sign="CHANGED", kind="patrol", device_id=unit.device_id)


def _partner_of(agency_id: str) -> str:
    return PARTNER if agency_id != PARTNER else OWNER


async def _agreement_id(world: World, agency_id: str) -> str:
    return await world.agreement(agency_id, _partner_of(agency_id))


async def _agreement(world: World, agency_id: str, *, alert_kinds: tuple[str, ...] = ("gunshot",)) -> pb.Agreement:
    return pb.Agreement(
        agreement_id=await _agreement_id(world, agency_id), grantor_agency_id=agency_id, grantee_agency_id=_partner_of(agency_id),
        title="Changed", alert_kinds=alert_kinds,
    )  # fmt: skip


async def _narrower(world: World, agency_id: str) -> pb.Agreement:
    return await _agreement(world, agency_id, alert_kinds=())


async def _to_attest(world: World, agency_id: str) -> str:
    return await world.agreement(_partner_of(agency_id), agency_id, attestation_required=True)


REQUESTS: dict[str, Builder] = {
    "CreateAgency": asks(pb.CreateAgencyRequest, agency_id=_own_id, name="Taken over", time_zone="UTC"),
    "UpdateAgency": asks(pb.UpdateAgencyRequest, agency=_agency),
    "CreatePerson": asks(pb.CreatePersonRequest, person=_person),
    "SetPersonRoles": asks(pb.SetPersonRolesRequest, person_id=person_id, roles=["officer"]),
    "SetPersonEnabled": asks(pb.SetPersonEnabledRequest, person_id=person_id, enabled=False),
    "CreateCamera": asks(pb.CreateCameraRequest, camera=_camera),
    "UpdateCamera": asks(pb.UpdateCameraRequest, camera=_camera),
    "DeleteCamera": asks(pb.DeleteCameraRequest, camera_id=World.camera),
    "SetPublishKey": asks(pb.SetPublishKeyRequest, camera_id=World.published_camera),
    "GetCameraStream": asks(pb.GetCameraStreamRequest, camera_id=World.camera),
    "CreateZone": asks(pb.CreateZoneRequest, zone=_zone),
    "DeleteZone": asks(pb.DeleteZoneRequest, zone_id=World.zone),
    "CreateSource": asks(pb.CreateSourceRequest, source=_source),
    "SetSourceEnabled": asks(pb.SetSourceEnabledRequest, source_id=_source_id, enabled=False),
    "GetSourceSecret": asks(pb.GetSourceSecretRequest, source_id=_source_id),
    "CreateUnit": asks(pb.CreateUnitRequest, unit=_unit),
    "CreateAgreement": asks(pb.CreateAgreementRequest, agreement=_agreement),
    "NarrowAgreement": asks(pb.NarrowAgreementRequest, agreement=_narrower),
    "RevokeAgreement": asks(pb.RevokeAgreementRequest, agreement_id=_agreement_id, reason="over"),
    "AttestAgreement": asks(pb.AttestAgreementRequest, agreement_id=_to_attest, revision=1),
}
