"""rtcc.identity.v1.IdentityService: messages to use cases and back."""

from typing import Any

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc.identity.v1 import identity_pb2_grpc
from rtcc_chassis.scope import current_scope
from rtcc_identity.app.arrival import ArrivalApp
from rtcc_identity.app.imports import ImportApp
from rtcc_identity.app.intelligence import IntelligenceApp
from rtcc_identity.app.records import RecordApp
from rtcc_identity.app.search import SearchApp


class IdentityServicer(identity_pb2_grpc.IdentityServiceServicer):
    """The gate has checked rights and purpose before; it audits after."""

    def __init__(
        self, search: SearchApp, records: RecordApp, arrival: ArrivalApp, imports: ImportApp, intelligence: IntelligenceApp
    ) -> None:
        self._search = search
        self._records = records
        self._arrival = arrival
        self._imports = imports
        self._intelligence = intelligence

    async def SearchPersonRecords(self, request: pb.SearchPersonRecordsRequest, context: Any) -> pb.SearchPersonRecordsResponse:
        return pb.SearchPersonRecordsResponse(hits=await self._search.persons(current_scope(), request))

    async def SearchVehicleRecords(self, request: pb.SearchVehicleRecordsRequest, context: Any) -> pb.SearchVehicleRecordsResponse:
        return pb.SearchVehicleRecordsResponse(hits=await self._search.vehicles(current_scope(), request))

    async def GetPersonRecord(self, request: pb.GetPersonRecordRequest, context: Any) -> pb.GetPersonRecordResponse:
        return await self._records.read_person(current_scope(), request.record_id)

    async def GetPersonPhoto(self, request: pb.GetPersonPhotoRequest, context: Any) -> pb.GetPersonPhotoResponse:
        return pb.GetPersonPhotoResponse(jpeg=await self._records.read_photo(current_scope(), request.record_id))

    async def SetPersonPhoto(self, request: pb.SetPersonPhotoRequest, context: Any) -> pb.SetPersonPhotoResponse:
        return pb.SetPersonPhotoResponse(record=await self._records.set_photo(current_scope(), request.record_id, request.jpeg))

    async def SaveRecord(self, request: pb.SaveRecordRequest, context: Any) -> pb.SaveRecordResponse:
        return pb.SaveRecordResponse(record=await self._records.save(current_scope(), request.record))

    async def RemoveRecord(self, request: pb.RemoveRecordRequest, context: Any) -> pb.RemoveRecordResponse:
        await self._records.remove(current_scope(), request.record_id, request.reason)
        return pb.RemoveRecordResponse()

    async def GetArrivalCard(self, request: pb.GetArrivalCardRequest, context: Any) -> pb.GetArrivalCardResponse:
        return await self._arrival.card(current_scope(), request)

    async def StartRecordImport(self, request: pb.StartRecordImportRequest, context: Any) -> pb.StartRecordImportResponse:
        return pb.StartRecordImportResponse(**{"import": await self._imports.start(current_scope(), request)})

    async def GetRecordImport(self, request: pb.GetRecordImportRequest, context: Any) -> pb.GetRecordImportResponse:
        return pb.GetRecordImportResponse(**{"import": await self._imports.get(current_scope(), request.import_id)})

    async def ListRecordImports(self, request: pb.ListRecordImportsRequest, context: Any) -> pb.ListRecordImportsResponse:
        return pb.ListRecordImportsResponse(imports=await self._imports.list_newest(current_scope(), request.limit))

    async def SaveIntelligence(self, request: pb.SaveIntelligenceRequest, context: Any) -> pb.SaveIntelligenceResponse:
        return pb.SaveIntelligenceResponse(intelligence=await self._intelligence.save(current_scope(), request.intelligence))

    async def ListIntelligence(self, request: pb.ListIntelligenceRequest, context: Any) -> pb.ListIntelligenceResponse:
        found = await self._intelligence.list_about(current_scope(), request.person_record_id)
        return pb.ListIntelligenceResponse(intelligence=found)

    async def ListDisseminations(self, request: pb.ListDisseminationsRequest, context: Any) -> pb.ListDisseminationsResponse:
        found = await self._intelligence.disseminations(current_scope(), request.intelligence_id)
        return pb.ListDisseminationsResponse(disseminations=found)
