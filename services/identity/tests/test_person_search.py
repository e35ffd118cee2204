"""Who is meant is found though misspelt; what the caller may not see is left out and named; what was asked stands in the log."""

from dataclasses import replace

import grpc
import pytest

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_REVOKED

from .conftest import Identity, a_person, at


@pytest.mark.parametrize(
    ("name", "birth_date", "reason"),
    [
        ("Robert Kallio-Virtanen", "1984-03-07", "the same name"),
        ("Robert Kalio-Virtanen", "1984-03-07", "one letter of the surname differs"),
        ("Bob Virtanen", "1984-03-07", "bob is used for robert"),
        ("Kallio-Virtanen Robert", "1984-07-03", "the parts in another order"),
        ("Virtanen, Robret", "1984", "one letter of the given name differs"),
        ("Robert Kallio", "1984-03-17", "part of the surname"),
        ("Rob Kaljo-Virtanen", "", "rob is used for robert"),
    ],
)
async def test_a_misspelt_person_is_found_with_the_reason(identity: Identity, name: str, birth_date: str, reason: str) -> None:
    wanted = await identity.save(a_person("Robert", "Kallio-Virtanen", "1984-03-07"))
    await identity.save(a_person("Roberta", "Kantola", "1951-12-30"))
    hits = await identity.search(name, birth_date)
    assert hits[0].record.record_id == wanted.record_id
    assert reason in hits[0].fields[0].reason


async def test_an_alias_is_found_and_said_to_be_one(identity: Identity) -> None:
    wanted = await identity.save(a_person("Mikael", "Salonen", "1990-01-02", names=[pb.RecordName(given_names="Dimitri", surname="Orlov")]))
    (hit,) = await identity.search("Dmitri Orlow", "1990-01-02")
    assert hit.record.record_id == wanted.record_id
    assert hit.fields[0].found == "Orlov, Dimitri (alias)"


async def test_a_phone_and_an_address_find_whom_no_name_does(identity: Identity) -> None:
    wanted = await identity.save(
        a_person("Eeva", "Laine", "1970", phones=["+358 40 123 4567"], addresses=[at("Mannerheimintie 12 A 4, 00100 Helsinki")])
    )
    for asked in ({"phone": "040 1234567"}, {"address": "mannerheimintie 12"}, {"phone": "0401234567", "name": "Eva Laine"}):
        assert [hit.record.record_id for hit in await identity.search(**asked)] == [wanted.record_id]
    assert await identity.search(phone="0409999999") == []
    assert await identity.search(address="Mannerheimintie 12, Turku") == []


async def test_what_is_asked_stands_in_the_log_with_purpose_and_case(identity: Identity) -> None:
    # R18
    wanted = await identity.save(a_person("Eeva", "Laine", "1970"))
    await identity.search("Eva Laine", "1970", scope=identity.officer)
    names = ("name:Eva Laine", "birth_date:1970", f"person_record:{wanted.record_id}")
    entry = await identity.entry("person_record.search", identity.officer, *names)
    assert (entry.purpose, entry.case_number) == ("investigation", "26-1")


async def test_a_role_sees_what_the_table_gives_it_and_hears_what_is_withheld(identity: Identity) -> None:
    saved = await identity.save(
        a_person(
            "Eeva", "Laine", "1970-05-05", phones=["+358401234567"], identifiers=["licence FI-1"], description="scar",
            cautions=[pb.Caution(kind="armed", note="rifle")],
        )
    )  # fmt: skip
    full = (await identity.search("Eeva Laine", scope=identity.investigator))[0].record
    assert (list(full.person.phones), list(full.person.identifiers), list(full.withheld)) == (["+358401234567"], ["licence FI-1"], [])
    street = (await identity.search("Eeva Laine", scope=identity.officer))[0].record
    assert (list(street.person.phones), list(street.person.identifiers)) == ([], [])
    assert list(street.withheld) == ["phones", "identifiers"]
    assert street.person.cautions[0].kind == "armed"
    dispatched = (await identity.call("GetPersonRecord", pb.GetPersonRecordRequest(record_id=saved.record_id), identity.dispatcher)).person
    assert list(dispatched.person.phones) == ["+358401234567"]
    assert list(dispatched.withheld) == ["identifiers", "has_photo"]


async def test_a_withheld_phone_is_not_told_by_the_reason_either(identity: Identity) -> None:
    await identity.save(a_person("Eeva", "Laine", phones=["+358 40 123 4567"]))
    (hit,) = await identity.search(phone="0401234567", scope=identity.officer)
    assert [(field.field, field.found, field.reason) for field in hit.fields] == [("phone", "", "")]


async def test_a_neighbour_finds_nobody_without_an_agreement_and_only_its_fields_with_one(identity: Identity) -> None:
    # R16
    details = a_person("Eeva", "Laine", "1970-05-05", phones=["+358401234567"], cautions=[pb.Caution(kind="armed")])
    saved = await identity.save(details)
    neighbour = identity.neighbour
    assert await identity.search("Eeva Laine", scope=neighbour) == []
    await identity.agree(["identity", "cautions"])
    (hit,) = await identity.search("Eva Laine", scope=neighbour)
    assert (hit.record.record_id, hit.record.agreement_id) == (saved.record_id, f"a-{identity.number}")
    assert hit.record.person.cautions[0].kind == "armed"
    assert not hit.record.person.phones and "phones" in hit.record.withheld
    # what isn't granted isn't searched by either
    assert await identity.search(phone="0401234567", scope=neighbour) == []
    # the owner reads who saw what of it, under which agreement
    entry = await identity.entry("person_record.search", neighbour, log=identity.east)
    assert (entry.agreement_id, list(entry.object_ids)) == (f"a-{identity.number}", [f"person_record:{saved.record_id}"])


async def test_an_end_of_the_agreement_ends_it_at_once(identity: Identity) -> None:
    saved = await identity.save(a_person("Eeva", "Laine", "1970-05-05"))
    agreement = await identity.agree(["identity"])
    assert (await identity.read(saved.record_id, identity.neighbour)).person.agreement_id == agreement.agreement_id
    agreement.status = AGREEMENT_STATUS_REVOKED
    await identity.announce(agreement)
    assert await identity.search("Eeva Laine", scope=identity.neighbour) == []
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await identity.read(saved.record_id, identity.neighbour)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("changes", [{"purposes": ["pursuit"]}, {"attestation_required": True}], ids=str)
async def test_an_agreement_for_another_purpose_or_unsigned_gives_nothing(identity: Identity, changes: dict[str, object]) -> None:
    # R20
    await identity.save(a_person("Eeva", "Laine", "1970-05-05"))
    await identity.agree(["identity"], **changes)
    assert await identity.search("Eeva Laine", scope=identity.neighbour) == []


async def test_a_plate_finds_the_vehicle_its_keeper_and_the_keepers_warrants(identity: Identity) -> None:
    keeper = await identity.save(a_person("Eeva", "Laine", "1970-05-05"))
    vehicle = pb.VehicleDetails(plate="abc-123", state="fi", vin="YV1AB0000A1234567", make="Volvo", keeper_record_id=keeper.record_id)
    await identity.save(pb.Record(vehicle=vehicle))
    for status, expires in (("active", ""), ("active", "2020-01-01"), ("served", "")):
        warrant = pb.WarrantDetails(person_record_id=keeper.record_id, offence="assault", status=status, expires_on=expires)
        await identity.save(pb.Record(warrant=warrant))
    for asked in ({"plate": "ABC 123"}, {"plate": "a?c1??"}, {"vin": "yv1ab0000a1234567"}, {"plate": "ABC123", "state": "FI"}):
        (hit,) = (await identity.call("SearchVehicleRecords", pb.SearchVehicleRecordsRequest(**asked))).hits
        assert (hit.record.vehicle.plate, hit.record.vehicle.keeper_name, hit.keeper_warrants) == ("ABC123", "Laine, Eeva", 1)
    nothing = await identity.call("SearchVehicleRecords", pb.SearchVehicleRecordsRequest(plate="ABC123", state="SE"))
    assert not nothing.hits
    await identity.entry("vehicle_record.search", identity.investigator, "plate:ABC123")  # R18


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("SearchPersonRecords", pb.SearchPersonRecordsRequest()),
        ("SearchPersonRecords", pb.SearchPersonRecordsRequest(name="x" * 121)),
        ("SearchPersonRecords", pb.SearchPersonRecordsRequest(name="Laine", birth_date="1984-02-30")),
        ("SearchPersonRecords", pb.SearchPersonRecordsRequest(name="Laine", birth_date="7.3.1984")),
        ("SearchPersonRecords", pb.SearchPersonRecordsRequest(name="Laine", birth_date="1984", age_years=40)),
        ("SearchPersonRecords", pb.SearchPersonRecordsRequest(phone="12")),
        ("SearchPersonRecords", pb.SearchPersonRecordsRequest(address="Mannerheimintie")),
        ("SearchVehicleRecords", pb.SearchVehicleRecordsRequest()),
        ("SearchVehicleRecords", pb.SearchVehicleRecordsRequest(plate="??")),
        ("GetArrivalCard", pb.GetArrivalCardRequest(address="nowhere")),
        ("GetArrivalCard", pb.GetArrivalCardRequest(address="Testikatu 1", radius_m=500)),
    ],
    ids=str,
)
async def test_a_question_that_can_not_be_answered_is_refused_with_the_reason(identity: Identity, method: str, request_: object) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await identity.call(method, request_)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT and refused.value.details()


async def test_no_purpose_no_answer(identity: Identity) -> None:
    # R18
    for missing in ({"purpose": ""}, {"case_number": " "}):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await identity.search("Laine", scope=replace(identity.investigator, **missing))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
