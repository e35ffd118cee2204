"""Addresses alike though written differently; records refused with every fault; what a role sees is the table and nothing else."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.geometry import distance_m
from rtcc_chassis.sharing import PERSON_FIELDS
from rtcc_identity.domain.disclosure import DISCLOSURE, EVERYBODY, PERSON_FIELD_OF, Disclosure
from rtcc_identity.domain.places import address_key, cell_of, cells_around, phone_digits, same_locality
from rtcc_identity.domain.records import CAUTION_KINDS, plate_of, prepared

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "street"),
    [
        ("Mannerheimintie 12 A 4, 00100 Helsinki", "mannerheimintie 12"), ("mannerheimintie 12", "mannerheimintie 12"),
        ("12 Main Street Apt 4, Springfield", "main st 12"), ("12 MAIN ST, Springfield", "main st 12"),
        ("Iso Roobertinkatu 3", "iso roobertink 3"),
        ("1200 N. Lake Shore Drive #7", "n lake shore dr 1200"), ("Hauptstraße 5b", "hauptstr 5b"), ("Hauptstrasse 5b", "hauptstr 5b"),
        ("no number here", ""), ("", ""), ("17", ""),
    ],
)  # fmt: skip
def test_an_address_is_its_street_and_number(written: str, street: str) -> None:
    assert address_key(written)[0] == street


def test_a_locality_separates_streets_of_one_name_when_both_are_known() -> None:
    assert same_locality("00100 helsinki", "helsinki") and same_locality("", "turku") and not same_locality("helsinki", "turku")


@given(st.text(max_size=400))
def test_any_text_is_an_address_or_none(text: str) -> None:
    street, locality = address_key(text)
    assert len(street) <= 600 and (street or not locality)
    assert len(phone_digits(text)) <= 9


@pytest.mark.parametrize(
    ("a", "b"), [("+358 40 123 4567", "040-1234567"), ("(212) 555-0123", "+1 212 555 0123"), ("0401234567", "401234567")]
)
def test_a_phone_is_the_same_with_and_without_its_country(a: str, b: str) -> None:
    assert phone_digits(a) == phone_digits(b) != ""


@given(st.floats(-85, 85), st.floats(-179.9, 179.9), st.floats(0, 360), st.floats(0, 200))
def test_all_points_of_a_circle_lie_in_its_cells(latitude: float, longitude: float, bearing: float, radius: float) -> None:
    cells = set(cells_around(latitude, longitude, radius))
    north = radius * 0.999 * math.cos(math.radians(bearing)) / 111_195
    east = radius * 0.999 * math.sin(math.radians(bearing)) / (111_195 * math.cos(math.radians(latitude)))
    assert distance_m(latitude, longitude, latitude + north, longitude + east) <= radius * 1.001
    assert cell_of(latitude + north, longitude + east) in cells
    assert len(cells) <= 1_000


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (pb.Record(), {"record"}),
        (pb.Record(person=pb.PersonDetails()), {"person.names"}),
        (
            pb.Record(
                person=pb.PersonDetails(names=[pb.RecordName(surname="\0")], birth_date="x", sex="m", cautions=[pb.Caution(kind="?")])
            ),
            {"person.names[0].surname", "person.names[0]", "person.birth_date", "person.sex", "person.cautions[0].kind"},
        ),
        (pb.Record(vehicle=pb.VehicleDetails(make="Volvo", year=1800)), {"vehicle.plate", "vehicle.year"}),
        (pb.Record(warrant=pb.WarrantDetails(status="open")), {"warrant.person_record_id", "warrant.offence", "warrant.status"}),
        (pb.Record(arrest=pb.ArrestDetails(person_record_id="p", charge="theft", arrested_on="1.1.2020")), {"arrest.arrested_on"}),
        (pb.Record(prior_call=pb.PriorCallDetails()), {"prior_call.type", "prior_call.occurred_at"}),
    ],
    ids=("empty", "person", "person's fields", "vehicle", "warrant", "arrest", "prior call"),
)
def test_a_record_that_can_not_be_kept_is_refused_with_every_fault(record: pb.Record, fields: set[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        prepared(record, NOW)
    assert {violation.field for violation in refused.value.violations} == fields


def test_the_same_content_has_the_same_digest_whenever_it_came() -> None:
    record = pb.Record(record_id="v1", vehicle=pb.VehicleDetails(plate="abc 123"))
    first = prepared(record, NOW)
    record.changed_at.FromDatetime(NOW)
    assert prepared(record, NOW).digest == first.digest
    record.vehicle.color = "red"
    assert prepared(record, NOW).digest != first.digest
    assert first.record.vehicle.plate == plate_of("abc-123") == "ABC123"


def test_the_table_names_fields_of_the_contract_and_no_others() -> None:
    details = {
        "person": pb.PersonDetails, "vehicle": pb.VehicleDetails, "warrant": pb.WarrantDetails, "arrest": pb.ArrestDetails,
        "prior_call": pb.PriorCallDetails,
    }  # fmt: skip
    for kind, fields in DISCLOSURE.items():
        assert set(fields) == set(details[kind].DESCRIPTOR.fields_by_name), kind
        assert all(roles <= EVERYBODY for roles in fields.values())
    assert set(PERSON_FIELD_OF) == set(PERSON_FIELDS)
    for given_fields in PERSON_FIELD_OF.values():
        for kind, fields in given_fields.items():
            assert fields <= set(DISCLOSURE[kind])


roles = st.frozensets(st.sampled_from(sorted(EVERYBODY | {"auditor", "administrator", "nonsense"})))


@given(roles, st.none() | st.frozensets(st.sampled_from(PERSON_FIELDS)), st.sampled_from(sorted(DISCLOSURE)))
def test_a_cut_record_holds_what_the_table_gives_and_names_the_rest(
    held: frozenset[str], granted: frozenset[str] | None, kind: str
) -> None:
    disclosure = Disclosure(held, granted)
    record = _full(kind)
    cut = disclosure.cut(record)
    details = getattr(cut, kind)
    for field in details.DESCRIPTOR.fields:
        allowed = bool(held & DISCLOSURE[kind][field.name]) and (
            granted is None or any(field.name in PERSON_FIELD_OF[word].get(kind, ()) for word in granted)
        )
        shown = {one.name for one, _ in details.ListFields()}
        assert (field.name in shown) == allowed
        assert (field.name in cut.withheld) == (not allowed)
    assert record == _full(kind), "the original stays whole"


def test_a_patrol_officer_sees_less_than_an_investigator() -> None:
    for kind, fields in DISCLOSURE.items():
        assert all("investigator" in held for held in fields.values()), kind
    hidden = {(kind, field) for kind, fields in DISCLOSURE.items() for field, held in fields.items() if "officer" not in held}
    assert {("person", "phones"), ("person", "identifiers"), ("warrant", "note"), ("arrest", "charge")} <= hidden
    # what keeps an officer alive is never withheld
    assert not {("person", "cautions"), ("vehicle", "cautions"), ("warrant", "offence")} & hidden


def _full(kind: str) -> pb.Record:
    record = pb.Record(record_id="r1", agency_id="east", source="RMS", source_key="7")
    details = getattr(record, kind)
    for field in details.DESCRIPTOR.fields:
        if field.is_repeated and field.message_type is not None:
            getattr(details, field.name).add()
        elif field.is_repeated:
            getattr(details, field.name).append("x")
        elif field.message_type is not None:
            getattr(details, field.name).SetInParent()
        else:
            setattr(details, field.name, True if field.name == "has_photo" else 7 if field.name == "year" else "x")
    return record


def test_every_kind_of_caution_has_its_place_among_the_warnings() -> None:
    assert CAUTION_KINDS[0] == "armed" and CAUTION_KINDS[-1] == "other"
