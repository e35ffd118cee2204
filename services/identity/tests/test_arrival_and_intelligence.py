"""Before arrival: warnings first. Intelligence: nothing without its reasonable suspicion, no answer without a record of it (R25)."""

import time
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.errors import NotFound
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import poll
from rtcc_identity.events import purge_intelligence
from rtcc_identity.intelligence_store import PostgresIntelligence
from rtcc_identity.store import RecordStore

from .conftest import Identity, a_person, at

HOUSE = (60.1702, 24.9401)


def card_of(address: str = "", *, here: tuple[float, float] | None = None, radius_m: float = 0.0) -> pb.GetArrivalCardRequest:
    request = pb.GetArrivalCardRequest(address=address, radius_m=radius_m, incident_id="26-0077")
    if here is not None:
        request.coordinate.latitude_deg, request.coordinate.longitude_deg = here
    return request


async def a_house(identity: Identity) -> dict[str, str]:
    """Two who live there, one with a warrant and a car; a car kept there by somebody else; two calls; the house next door."""
    home = at("Testikatu 5 B 12, 00100 Helsinki", *HOUSE)
    quiet = await identity.save(a_person("Aino", "Salo", "1950", addresses=[home]))
    wanted = await identity.save(
        a_person(
            "Rauno", "Raju", "1984-03-07", addresses=[home],
            cautions=[pb.Caution(kind="medical", note="diabetic"), pb.Caution(kind="armed", note="hunting rifles")],
        )
    )  # fmt: skip
    await identity.save(
        pb.Record(warrant=pb.WarrantDetails(person_record_id=wanted.record_id, offence="assault", severity="felony", note="informant"))
    )
    await identity.save(pb.Record(warrant=pb.WarrantDetails(person_record_id=wanted.record_id, offence="theft", status="served")))
    car = await identity.save(pb.Record(vehicle=pb.VehicleDetails(plate="RAJ-1", keeper_record_id=wanted.record_id)))
    keeper = await identity.save(a_person("Outi", "Muu", "1990"))
    guest = await identity.save(
        pb.Record(
            vehicle=pb.VehicleDetails(
                plate="MUU-2", keeper_record_id=keeper.record_id, addresses=[home], cautions=[pb.Caution(kind="dog", note="in the back")]
            )
        )
    )
    for number, days in (("old", 400), ("new", 3)):
        call = pb.PriorCallDetails(number=number, type="domestic", address=home, narrative="shouting", person_record_ids=[wanted.record_id])
        call.occurred_at.FromDatetime(datetime.now(UTC) - timedelta(days=days))
        await identity.save(pb.Record(prior_call=call))
    await identity.save(a_person("Naapuri", "Naapurinen", "1960", addresses=[at("Testikatu 7, 00100 Helsinki", 60.1712, 24.9401)]))
    await identity.save(a_person("Kaima", "Kaimanen", "1960", addresses=[at("Testikatu 5, 20100 Turku", 60.45, 22.26)]))
    return {
        "quiet": quiet.record_id,
        "wanted": wanted.record_id,
        "keeper": keeper.record_id,
        "car": car.record_id,
        "guest": guest.record_id,
    }


@pytest.mark.parametrize(
    "asked",
    [card_of("Testikatu 5, 00100 Helsinki"), card_of(here=HOUSE), card_of("testikatu 5", here=HOUSE), card_of(here=(60.1703, 24.9402))],
    ids=["address", "coordinate", "both", "the pavement"],
)
async def test_the_card_holds_who_and_what_is_tied_to_the_place_warnings_first(identity: Identity, asked: pb.GetArrivalCardRequest) -> None:
    house = await a_house(identity)
    card = await identity.call("GetArrivalCard", asked, identity.officer)
    assert [(warning.kind, warning.text) for warning in card.warnings] == [
        ("armed", "armed: hunting rifles"),
        ("warrant", "warrant: assault (felony)"),
        ("medical", "medical: diabetic"),
        ("dog", "dog: in the back"),
    ]
    assert card.warnings[0].about == "Raju, Rauno"
    ties = {one.person.record_id: one.tie for one in card.persons}
    assert ties == {house["wanted"]: "home", house["quiet"]: "home", house["keeper"]: "keeper of MUU2"}
    assert card.persons[0].person.record_id == house["wanted"]
    assert [warrant.warrant.offence for warrant in card.persons[0].warrants] == ["assault"]
    assert {one.record_id for one in card.vehicles} == {house["car"], house["guest"]}
    assert [call.prior_call.number for call in card.prior_calls] == ["new", "old"]
    # the officer's table: no narrative, no informant
    assert not card.prior_calls[0].prior_call.narrative and not card.persons[0].warrants[0].warrant.note
    assert set(card.withheld) == {"arrest", "intelligence"}
    await identity.entry("arrival_card.read", identity.officer, "incident:26-0077", f"person_record:{house['wanted']}")


async def test_a_card_of_a_place_nobody_is_tied_to_is_empty(identity: Identity) -> None:
    card = await identity.call("GetArrivalCard", card_of("Tyhjäkatu 1"), identity.officer)
    assert (card.place, len(card.persons), len(card.warnings)) == ("tyhjak 1", 0, 0)


async def test_a_card_is_small_and_fast_where_hundreds_are_tied(identity: Identity) -> None:
    home = at("Iso talo 1, Helsinki", *HOUSE)
    columns = ("source_key", "surname", "address")
    csv = ",".join(columns) + "\n" + "".join(f'{number},Asukas{number},"{home.text}"\n' for number in range(120))
    request = pb.StartRecordImportRequest(
        kind="person", source="RMS", mapping=[pb.ColumnMapping(column=name, field=name) for name in columns], csv=csv.encode()
    )
    await identity.call("StartRecordImport", request, identity.supervisor)

    async def all_there() -> bool:
        card = await identity.call("GetArrivalCard", card_of(home.text), identity.officer)
        return len(card.persons) + card.more_persons == 120

    await poll(all_there, deadline_s=40)
    times = []
    for _ in range(5):
        began = time.monotonic()
        card = await identity.call("GetArrivalCard", card_of(home.text), identity.officer)
        times.append(time.monotonic() - began)
    assert (len(card.persons), card.more_persons) == (20, 100)
    assert card.ByteSize() < 64 * 1024
    # 20 ms on a quiet machine
    assert min(times) < 1.0


async def test_a_neighbours_persons_stand_on_the_card_under_an_agreement_and_its_calls_never(identity: Identity) -> None:
    # R16
    await a_house(identity)
    before = await identity.call("GetArrivalCard", card_of(here=HOUSE), identity.neighbour)
    assert not before.persons and not before.vehicles
    # who may not know the addresses isn't told who lives at one
    await identity.agree(["identity", "cautions", "warrants"])
    assert not (await identity.call("GetArrivalCard", card_of(here=HOUSE), identity.neighbour)).persons
    await identity.agree(["identity", "cautions", "warrants", "addresses"])
    card = await identity.call("GetArrivalCard", card_of(here=HOUSE), identity.neighbour)
    assert {warning.kind for warning in card.warnings} == {"armed", "warrant", "medical"}
    assert {one.person.agreement_id for one in card.persons} == {f"a-{identity.number}"}
    assert not card.vehicles and not card.prior_calls


def intelligence(person_record_id: str, **changed: object) -> pb.Intelligence:
    made = pb.Intelligence(
        person_record_id=person_record_id,
        text="Sells from the back of the shop.",
        reasonable_suspicion="Three controlled purchases in February, documented in case 26-114.",
        criminal_activity="drug trafficking",
        source_reliability="reliable",
        content_validity="confirmed",
    )
    for name, value in changed.items():
        setattr(made, name, value)
    return made


async def saved(identity: Identity, made: pb.Intelligence, scope: Scope | None = None) -> pb.Intelligence:
    answer = await identity.call("SaveIntelligence", pb.SaveIntelligenceRequest(intelligence=made), scope)
    kept: pb.Intelligence = answer.intelligence
    return kept


@pytest.mark.parametrize(
    "fault",
    [
        {"reasonable_suspicion": ""}, {"reasonable_suspicion": "looks shady"}, {"criminal_activity": ""}, {"text": " "},
        {"source_reliability": "a friend"}, {"content_validity": ""},
    ],
    ids=str,
)  # fmt: skip
async def test_intelligence_without_its_documented_reasonable_suspicion_is_refused(identity: Identity, fault: dict[str, object]) -> None:
    # R25
    person = await identity.save(a_person("Kim", "Kauppias"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await saved(identity, intelligence(person.record_id, **fault))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_each_answer_is_logged_as_a_dissemination_with_who_why_and_when(identity: Identity) -> None:
    # R25
    person = await identity.save(a_person("Kim", "Kauppias"))
    kept = await saved(identity, intelligence(person.record_id))
    assert kept.submitted_by == identity.investigator.display_name and kept.review_by.ToDatetime() > datetime(2027, 1, 1)
    listed = await identity.call("ListIntelligence", pb.ListIntelligenceRequest(person_record_id=person.record_id))
    assert [one.text for one in listed.intelligence] == ["Sells from the back of the shop."]
    request = pb.ListDisseminationsRequest(intelligence_id=kept.intelligence_id)
    (told,) = (await identity.call("ListDisseminations", request, identity.supervisor)).disseminations
    assert (told.principal_id, told.purpose, told.case_number) == (identity.investigator.principal_id, "investigation", "26-1")
    assert abs(told.disseminated_at.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_intelligence_is_for_investigators_of_the_own_agency_alone(identity: Identity) -> None:
    person = await identity.save(a_person("Kim", "Kauppias"))
    await saved(identity, intelligence(person.record_id))
    await identity.agree(["identity", "description", "cautions", "warrants", "addresses", "phones", "photo", "vehicles"])
    request = pb.ListIntelligenceRequest(person_record_id=person.record_id)
    for scope, code in (
        (identity.officer, "PERMISSION_DENIED"),
        (identity.supervisor, "PERMISSION_DENIED"),
        (identity.neighbour, "NOT_FOUND"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await identity.call("ListIntelligence", request, scope)
        assert refused.value.code().name == code
    assert "intelligence" in (await identity.read(person.record_id, identity.officer)).withheld
    assert "intelligence" not in (await identity.read(person.record_id)).withheld


async def test_what_was_not_validated_in_time_is_purged_with_a_proof_and_its_log_stays(identity: Identity) -> None:
    # R22
    person = await identity.save(a_person("Kim", "Kauppias"))
    kept = await saved(identity, intelligence(person.record_id))
    await identity.call("ListIntelligence", pb.ListIntelligenceRequest(person_record_id=person.record_id))
    context = identity.running.context
    later = datetime.now(UTC) + timedelta(days=6 * 365)
    task = context.lifecycle.spawn(purge_intelligence(PostgresIntelligence(context.database), context.access, lambda: later), "test purge")

    async def purged() -> bool:
        return any(
            one.action == "intelligence.purge" and f"intelligence:{kept.intelligence_id}" in one.object_ids
            for one in identity.running.audited
        )

    await poll(purged)

    async def gone() -> bool:
        request = pb.ListIntelligenceRequest(person_record_id=person.record_id)
        return not (await identity.call("ListIntelligence", request)).intelligence

    await poll(gone)
    task.cancel()
    told = await identity.call(
        "ListDisseminations", pb.ListDisseminationsRequest(intelligence_id=kept.intelligence_id), identity.supervisor
    )
    assert told.disseminations


async def test_a_photo_is_kept_shown_by_role_and_removed(identity: Identity) -> None:
    person = await identity.save(a_person("Kim", "Kauppias"))
    jpeg = b"\xff\xd8\xff\xe0" + bytes(100)
    changed = await identity.call("SetPersonPhoto", pb.SetPersonPhotoRequest(record_id=person.record_id, jpeg=jpeg), identity.supervisor)
    assert changed.record.person.has_photo
    asked = pb.GetPersonPhotoRequest(record_id=person.record_id)
    assert (await identity.call("GetPersonPhoto", asked, identity.officer)).jpeg == jpeg
    # saving the record again keeps the photo
    await identity.save(pb.Record(record_id=person.record_id, person=pb.PersonDetails(names=[pb.RecordName(surname="Kauppias")])))
    assert (await identity.read(person.record_id)).person.person.has_photo
    for scope in (identity.dispatcher, identity.neighbour):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await identity.call("GetPersonPhoto", asked, scope)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    await identity.call("SetPersonPhoto", pb.SetPersonPhotoRequest(record_id=person.record_id), identity.supervisor)
    assert not (await identity.read(person.record_id)).person.person.has_photo
    with pytest.raises(grpc.aio.AioRpcError):
        await identity.call("SetPersonPhoto", pb.SetPersonPhotoRequest(record_id=person.record_id, jpeg=b"GIF89a"), identity.supervisor)


async def test_a_removed_record_is_in_no_search_and_the_log_says_why_without_its_content(identity: Identity) -> None:
    person = await identity.save(a_person("Kim", "Kauppias", addresses=[at("Testikatu 9", *HOUSE)], phones=["0401112222"]))
    jpeg = b"\xff\xd8\xff\xe0"
    await identity.call("SetPersonPhoto", pb.SetPersonPhotoRequest(record_id=person.record_id, jpeg=jpeg), identity.supervisor)
    await saved(identity, intelligence(person.record_id))
    own = Scope.service("identity", identity.east)
    stored = await RecordStore(identity.running.context.database).by_ids(own, [person.record_id])
    await identity.call("RemoveRecord", pb.RemoveRecordRequest(record_id=person.record_id, reason="expunged by court"), identity.supervisor)
    with pytest.raises(NotFound):
        await identity.running.context.objects.get(own, identity.east, stored[person.record_id].photo_object)
    async with identity.running.context.database.transaction(own) as connection:
        assert await connection.fetchval("select count(*) from intelligence where person_record_id = $1", person.record_id) == 0
    assert not await identity.search("Kim Kauppias") and not await identity.search(phone="0401112222")
    assert not (await identity.call("GetArrivalCard", card_of(here=HOUSE))).persons
    entry = await identity.entry("record.remove", identity.supervisor)
    assert "expunged by court" in entry.new_value and "Kauppias" not in entry.new_value + entry.old_value


async def test_an_id_to_save_under_is_an_own_records_of_the_same_kind(identity: Identity) -> None:
    person = await identity.save(a_person("Kim", "Kauppias"))
    stolen = a_person("Kim", "Kaapattu")
    stolen.record_id = person.record_id
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await identity.save(stolen, identity.neighbour)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await identity.save(pb.Record(record_id=person.record_id, vehicle=pb.VehicleDetails(plate="ABC1")))
    assert refused.value.code() is grpc.StatusCode.ABORTED
    assert (await identity.read(person.record_id)).person.person.names[0].surname == "Kauppias"
