"""The contract's methods: message in, use case, message out."""

from typing import Any

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc.registry.v1 import registry_pb2_grpc
from rtcc_chassis.scope import current_scope
from rtcc_registry.app.agencies import Agencies
from rtcc_registry.app.agreements import Agreements
from rtcc_registry.app.cameras import Cameras
from rtcc_registry.app.equipment import Equipment
from rtcc_registry.app.people import People


class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """Identity, rights and audit are the gate's work; the scope comes from it."""

    def __init__(self, people: People, agencies: Agencies, cameras: Cameras, equipment: Equipment, agreements: Agreements) -> None:
        self._people = people
        self._agencies = agencies
        self._cameras = cameras
        self._equipment = equipment
        self._agreements = agreements

    async def CreateAgency(self, request: pb.CreateAgencyRequest, context: Any) -> pb.CreateAgencyResponse:
        agency = pb.Agency(
            agency_id=request.agency_id,
            name=request.name,
            time_zone=request.time_zone,
            barred_purposes=request.barred_purposes,
            jurisdiction=request.jurisdiction,
            barred_receivers=request.barred_receivers,
        )
        if request.HasField("area"):
            agency.area.CopyFrom(request.area)
        return pb.CreateAgencyResponse(agency=await self._people.create_agency(current_scope(), agency))

    async def UpdateAgency(self, request: pb.UpdateAgencyRequest, context: Any) -> pb.UpdateAgencyResponse:
        return pb.UpdateAgencyResponse(agency=await self._agencies.update(current_scope(), request.agency))

    async def ListAgencies(self, request: pb.ListAgenciesRequest, context: Any) -> pb.ListAgenciesResponse:
        return pb.ListAgenciesResponse(agencies=await self._people.list_agencies(current_scope()))

    async def CreatePerson(self, request: pb.CreatePersonRequest, context: Any) -> pb.CreatePersonResponse:
        return pb.CreatePersonResponse(person=await self._people.create_person(current_scope(), request.person))

    async def ListPeople(self, request: pb.ListPeopleRequest, context: Any) -> pb.ListPeopleResponse:
        return pb.ListPeopleResponse(people=await self._people.list_people(current_scope()))

    async def SetPersonRoles(self, request: pb.SetPersonRolesRequest, context: Any) -> pb.SetPersonRolesResponse:
        person = await self._people.set_roles(current_scope(), request.person_id, list(request.roles))
        return pb.SetPersonRolesResponse(person=person)

    async def SetPersonEnabled(self, request: pb.SetPersonEnabledRequest, context: Any) -> pb.SetPersonEnabledResponse:
        person = await self._people.set_enabled(current_scope(), request.person_id, request.enabled)
        return pb.SetPersonEnabledResponse(person=person)

    async def CreateCamera(self, request: pb.CreateCameraRequest, context: Any) -> pb.CreateCameraResponse:
        return pb.CreateCameraResponse(camera=await self._cameras.create(current_scope(), request.camera))

    async def UpdateCamera(self, request: pb.UpdateCameraRequest, context: Any) -> pb.UpdateCameraResponse:
        return pb.UpdateCameraResponse(camera=await self._cameras.update(current_scope(), request.camera))

    async def DeleteCamera(self, request: pb.DeleteCameraRequest, context: Any) -> pb.DeleteCameraResponse:
        await self._cameras.delete(current_scope(), request.camera_id)
        return pb.DeleteCameraResponse()

    async def ListCameras(self, request: pb.ListCamerasRequest, context: Any) -> pb.ListCamerasResponse:
        box = request.box if request.HasField("box") else None
        return pb.ListCamerasResponse(cameras=await self._cameras.list_all(current_scope(), box))

    async def ImportCameras(self, request: pb.ImportCamerasRequest, context: Any) -> pb.ImportCamerasResponse:
        created, updated, problems = await self._cameras.import_cameras(
            current_scope(), request.format, request.content, dry_run=request.dry_run
        )
        return pb.ImportCamerasResponse(created=created, updated=updated, problems=problems)

    async def RankCameras(self, request: pb.RankCamerasRequest, context: Any) -> pb.RankCamerasResponse:
        coordinate = request.coordinate if request.HasField("coordinate") else None
        best = await self._cameras.rank(current_scope(), coordinate, request.limit)
        return pb.RankCamerasResponse(
            cameras=[
                pb.RankedCamera(
                    camera=choice.camera, distance_m=choice.distance_m, in_view=choice.in_view, agreement_id=choice.agreement_id
                )
                for choice in best
            ]
        )

    async def GetCameraStream(self, request: pb.GetCameraStreamRequest, context: Any) -> pb.GetCameraStreamResponse:
        return await self._cameras.stream_addresses(current_scope(), request.camera_id)

    async def SetPublishKey(self, request: pb.SetPublishKeyRequest, context: Any) -> pb.SetPublishKeyResponse:
        key = await self._cameras.set_publish_key(current_scope(), request.camera_id, remove=request.remove)
        return pb.SetPublishKeyResponse(publish_key=key)

    async def CreateZone(self, request: pb.CreateZoneRequest, context: Any) -> pb.CreateZoneResponse:
        return pb.CreateZoneResponse(zone=await self._equipment.create_zone(current_scope(), request.zone))

    async def ListZones(self, request: pb.ListZonesRequest, context: Any) -> pb.ListZonesResponse:
        return pb.ListZonesResponse(zones=await self._equipment.list_zones(current_scope()))

    async def DeleteZone(self, request: pb.DeleteZoneRequest, context: Any) -> pb.DeleteZoneResponse:
        await self._equipment.delete_zone(current_scope(), request.zone_id)
        return pb.DeleteZoneResponse()

    async def CreateSource(self, request: pb.CreateSourceRequest, context: Any) -> pb.CreateSourceResponse:
        source, secret = await self._equipment.create_source(current_scope(), request.source)
        return pb.CreateSourceResponse(source=source, secret=secret)

    async def ListSources(self, request: pb.ListSourcesRequest, context: Any) -> pb.ListSourcesResponse:
        return pb.ListSourcesResponse(sources=await self._equipment.list_sources(current_scope()))

    async def SetSourceEnabled(self, request: pb.SetSourceEnabledRequest, context: Any) -> pb.SetSourceEnabledResponse:
        source = await self._equipment.set_source_enabled(current_scope(), request.source_id, request.enabled)
        return pb.SetSourceEnabledResponse(source=source)

    async def GetSourceSecret(self, request: pb.GetSourceSecretRequest, context: Any) -> pb.GetSourceSecretResponse:
        return pb.GetSourceSecretResponse(secret=await self._equipment.source_secret(current_scope(), request.source_id))

    async def CreateUnit(self, request: pb.CreateUnitRequest, context: Any) -> pb.CreateUnitResponse:
        unit, device_key = await self._equipment.create_unit(current_scope(), request.unit)
        return pb.CreateUnitResponse(unit=unit, device_key=device_key)

    async def ListUnits(self, request: pb.ListUnitsRequest, context: Any) -> pb.ListUnitsResponse:
        return pb.ListUnitsResponse(units=await self._equipment.list_units(current_scope()))

    async def CreateAgreement(self, request: pb.CreateAgreementRequest, context: Any) -> pb.CreateAgreementResponse:
        return pb.CreateAgreementResponse(agreement=await self._agreements.grant(current_scope(), request.agreement))

    async def NarrowAgreement(self, request: pb.NarrowAgreementRequest, context: Any) -> pb.NarrowAgreementResponse:
        return pb.NarrowAgreementResponse(agreement=await self._agreements.narrow(current_scope(), request.agreement))

    async def RevokeAgreement(self, request: pb.RevokeAgreementRequest, context: Any) -> pb.RevokeAgreementResponse:
        return pb.RevokeAgreementResponse(agreement=await self._agreements.revoke(current_scope(), request.agreement_id, request.reason))

    async def AttestAgreement(self, request: pb.AttestAgreementRequest, context: Any) -> pb.AttestAgreementResponse:
        agreement = await self._agreements.attest(current_scope(), request.agreement_id, request.revision)
        return pb.AttestAgreementResponse(agreement=agreement)

    async def ListAgreements(self, request: pb.ListAgreementsRequest, context: Any) -> pb.ListAgreementsResponse:
        listed = await self._agreements.list_all(current_scope(), include_changes=request.include_changes)
        return pb.ListAgreementsResponse(
            agreements=[pb.ListedAgreement(agreement=agreement, changes=changes) for agreement, changes in listed]
        )
