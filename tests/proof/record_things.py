"""Persons, vehicles, imports and intelligence for the proofs: how one of each is made."""

import itertools

from proof.platform import until
from proof.world import TINY_JPEG, World
from rtcc.identity.v1 import identity_pb2 as pb

RECORD_ADDRESS = "Testikatu 5, 00100 Helsinki"
_NUMBERS = itertools.count(1)


async def person_record(world: World, agency_id: str, *, photo: bool = False) -> str:
    """A person who lives at RECORD_ADDRESS, with a warning."""
    number = next(_NUMBERS)
    person = pb.PersonDetails(
        names=[pb.RecordName(given_names="Proof", surname=f"Person {agency_id} {number}")],
        birth_date="1984-03-07",
        addresses=[pb.Address(text=RECORD_ADDRESS, kind="home")],
        cautions=[pb.Caution(kind="armed", note=f"note of {agency_id} {number}")],
    )
    record_id = await _saved(world, agency_id, pb.Record(person=person))
    if photo:
        request = pb.SetPersonPhotoRequest(record_id=record_id, jpeg=TINY_JPEG)
        await world.platform.ask("SetPersonPhoto", world.creating(agency_id), request)
    return record_id


async def person_with_photo(world: World, agency_id: str) -> str:
    return await person_record(world, agency_id, photo=True)


async def vehicle_record(world: World, agency_id: str) -> str:
    """Its plate."""
    plate = f"VEH{next(_NUMBERS):04}"
    vehicle = pb.VehicleDetails(plate=plate, state="FI", keeper_record_id=await person_record(world, agency_id))
    await _saved(world, agency_id, pb.Record(vehicle=vehicle))
    return plate


async def _saved(world: World, agency_id: str, record: pb.Record) -> str:
    answer = await world.platform.ask("SaveRecord", world.creating(agency_id), pb.SaveRecordRequest(record=record))
    return str(answer.record.record_id)


async def record_import(world: World, agency_id: str) -> str:
    """A finished one."""
    request = pb.StartRecordImportRequest(
        kind="person",
        source=f"extract {next(_NUMBERS)}",
        mapping=[pb.ColumnMapping(column=name, field=name) for name in ("source_key", "surname")],
        csv=b"source_key,surname\n1,Importperson\n",
    )
    started = await world.platform.ask("StartRecordImport", world.creating(agency_id), request)
    import_id = str(getattr(started, "import").import_id)

    async def done() -> bool:
        told = await world.platform.ask("GetRecordImport", world.everything(agency_id), pb.GetRecordImportRequest(import_id=import_id))
        return bool(getattr(told, "import").state == pb.RECORD_IMPORT_STATE_DONE)

    await until(done)
    return import_id


async def intelligence(world: World, agency_id: str) -> tuple[str, str]:
    """(person record, intelligence)"""
    about = await intelligence_about_a_person(world, agency_id)
    answer = await world.platform.ask("SaveIntelligence", world.creating(agency_id), pb.SaveIntelligenceRequest(intelligence=about))
    return about.person_record_id, str(answer.intelligence.intelligence_id)


async def intelligence_about_a_person(world: World, agency_id: str) -> pb.Intelligence:
    """With all that R25 asks for; not saved yet."""
    return pb.Intelligence(
        person_record_id=await person_record(world, agency_id),
        text="Met known dealers.",
        reasonable_suspicion="Seen handing over packages to known dealers on three evenings in March.",
        criminal_activity="drug trafficking",
        source_reliability="reliable",
        content_validity="probable",
    )
