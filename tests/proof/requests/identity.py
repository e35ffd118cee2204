"""Records of persons and vehicles, imports, intelligence."""

from proof.record_things import (
    RECORD_ADDRESS,
    intelligence,
    intelligence_about_a_person,
    person_record,
    person_with_photo,
    record_import,
    vehicle_record,
)
from proof.requests.building import Builder, asks, asks_of
from proof.world import TINY_JPEG, World
from rtcc.identity.v1 import identity_pb2 as pb


async def _record(world: World, agency_id: str) -> pb.Record:
    person = pb.PersonDetails(names=[pb.RecordName(given_names="Taken", surname="Over")])
    return pb.Record(record_id=await person_record(world, agency_id), person=person)


async def _inhabited_address(world: World, agency_id: str) -> str:
    await person_record(world, agency_id)
    return RECORD_ADDRESS


REQUESTS: dict[str, Builder] = {
    "GetPersonRecord": asks(pb.GetPersonRecordRequest, record_id=person_record),
    "GetPersonPhoto": asks(pb.GetPersonPhotoRequest, record_id=person_with_photo),
    "SetPersonPhoto": asks(pb.SetPersonPhotoRequest, record_id=person_record, jpeg=TINY_JPEG),
    "SaveRecord": asks(pb.SaveRecordRequest, record=_record),
    "RemoveRecord": asks(pb.RemoveRecordRequest, record_id=person_record, reason="expunged"),
    "SearchVehicleRecords": asks(pb.SearchVehicleRecordsRequest, plate=vehicle_record),
    "GetArrivalCard": asks(pb.GetArrivalCardRequest, address=_inhabited_address, incident_id="26-0001"),
    "GetRecordImport": asks(pb.GetRecordImportRequest, import_id=record_import),
    "SaveIntelligence": asks(pb.SaveIntelligenceRequest, intelligence=intelligence_about_a_person),
    "ListIntelligence": asks_of(intelligence, pb.ListIntelligenceRequest, "person_record_id", ""),
    "ListDisseminations": asks_of(intelligence, pb.ListDisseminationsRequest, "", "intelligence_id"),
}
