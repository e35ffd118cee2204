"""Who is meant is found though misspelt; what the caller may not see is left out and named; what was asked stands in the log."""

import pytest

from rtcc.identity.v1 import identity_pb2 as pb

from .conftest import DISPATCHER, INVESTIGATOR, NEIGHBOUR, OFFICER, SUPERVISOR, Identity, a_person, at


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
    await identity.search("Eva Laine", "1970", scope=OFFICER)
    entry = await identity.entry("person_record.search", OFFICER)
    assert {"name:Eva Laine", "birth_date:1970", f"person_record:{wanted.record_id}"} <= set(entry.object_ids)
    assert (entry.purpose, entry.case_number) == ("investigation", "26-1")


async def test_a_role_sees_what_the_table_gives_it_and_hears_what_is_withheld(identity: Identity) -> None:
    saved = await identity.save(
        a_person(
            "Eeva", "Laine", "1970-05-05", phones=["+358401234567"], identifiers=["licence FI-1"], description="scar",
            cautions=[pb.Caution(kind="armed", note="rifle")],
        )
    )  # fmt: skip
    full = (await identity.search("Eeva Laine", scope=INVESTIGATOR))[0].record
    assert (list(full.person.phones), list(full.person.identifiers), list(full.withheld)) == (["+358401234567"], ["licence FI-1"], [])
    street = (await identity.search("Eeva Laine", scope=OFFICER))[0].record
    assert (list(street.person.phones), list(street.person.identifiers)) == ([], [])
    assert list(street.withheld) == ["phones", "identifiers"]
    assert street.person.cautions[0].kind == "armed"
    dispatched = (await identity.call("GetPersonRecord", pb.GetPersonRecordRequest(record_id=saved.record_id), DISPATCHER)).person
    assert list(dispatched.person.phones) == ["+358401234567"]
    assert list(dispatched.withheld) == ["identifiers", "has_photo"]


async def test_a_withheld_phone_is_not_told_by_the_reason_either(identity: Identity) -> None:
    await identity.save(a_person("Eeva", "Laine", phones=["+358 40 123 4567"]))
    (hit,) = await identity.search(phone="0401234567", scope=OFFICER)
    assert [(field.field, field.found, field.reason) for field in hit.fields] == [("phone", "", "")]


async def test_a_neighbour_finds_nobody_without_an_agreement_and_only_its_fields_with_one(identity: Identity) -> None:
    # R16
    saved = await identity.save(
        a_person("Eeva", "Laine", "1970-05-05", phones=["+358401234567"], cautions=[pb.Caution(kind="armed")]), SUPERVISOR
    )
    assert await identity.search("Eeva Laine", scope=NEIGHBOUR) == []
    await identity.agree("east", "west", ["identity", "cautions"])
    (hit,) = await identity.search("Eva Laine", scope=NEIGHBOUR)
    assert (hit.record.record_id, hit.record.agreement_id) == (saved.record_id, "east-west")
    assert hit.record.person.cautions[0].kind == "armed"
    assert not hit.record.person.phones and "phones" in hit.record.withheld
    entry = await identity.entry("person_record.search", NEIGHBOUR)
    assert entry.agreement_id == "east-west" or "person_record:" + saved.record_id in entry.object_ids
