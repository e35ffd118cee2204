"""The invented registers: the same every time, tied to the addresses of the story, and nobody is in two places."""

import csv
import io
from datetime import UTC, datetime

import pytest

from rtcc_demo.world.city import AGENCIES, AREAS
from rtcc_demo.world.geometry import inside, to_metres
from rtcc_demo.world.residents import ADDRESSES, Extract, extracts_of, residents_of
from rtcc_demo.world.script import CALLS

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def rows_of(extract: Extract) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(extract.csv)))


@pytest.mark.parametrize("agency_id", AGENCIES)
def test_the_registers_are_the_same_every_time_and_refer_to_persons_that_are_there(agency_id: str) -> None:
    extracts = extracts_of(agency_id, NOW)
    assert extracts == extracts_of(agency_id, NOW)
    assert [extract.kind for extract in extracts] == ["person", "vehicle", "warrant", "arrest", "prior_call"]
    keys = {person.key for person in residents_of(agency_id)}
    assert len(keys) == len(residents_of(agency_id)) == 60
    persons, vehicles, warrants, arrests, calls = (rows_of(extract) for extract in extracts)
    assert {row["ID"] for row in persons} == keys
    assert {row["Keeper"] for row in vehicles} | {row["Person"] for row in [*warrants, *arrests]} <= keys
    assert {row["Persons"] for row in calls} <= {*keys, ""}
    assert len({row["Plate"] for row in vehicles}) == len(vehicles) == 30
    for extract in extracts:
        assert {column for column, _, _ in extract.columns} == set(rows_of(extract)[0])


@pytest.mark.parametrize("agency_id", AGENCIES)
def test_the_addresses_lie_in_the_agencys_area(agency_id: str) -> None:
    ring = [to_metres(*corner) for corner in AREAS[agency_id]]
    assert all(inside(to_metres(*place), ring) for _, place in ADDRESSES[agency_id])


@pytest.mark.parametrize("agency_id", AGENCIES)
def test_a_scripted_call_goes_to_people_with_warnings(agency_id: str) -> None:
    address, _ = ADDRESSES[agency_id][0]
    assert address in {call.address for call in CALLS if call.agency_id == agency_id}
    assert any(person.cautions and person.address.startswith(address) for person in residents_of(agency_id))
