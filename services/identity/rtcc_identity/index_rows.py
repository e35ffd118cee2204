"""What is stored beside a record so that it is found: index of persons, phones, places, whom it is about."""

from collections.abc import Sequence
from typing import Any

from rtcc_identity.domain.keys import key, keys_of_person
from rtcc_identity.domain.names import INDEX_VERSION, Name, sound
from rtcc_identity.domain.nicknames import formal_names
from rtcc_identity.domain.records import Prepared

INDEX_COLUMNS = ("record_number", "agency_id", "index_version", "keys", "surname", "given", "formal", "has_aliases", "birth", "names")


def index_row(record_number: int, agency_id: str, prepared: Prepared) -> tuple[Any, ...]:
    """A row of person_index, in the order of INDEX_COLUMNS."""
    main = prepared.names[0]
    formal = sorted(formal_names(main.first))
    return (
        record_number,
        agency_id,
        INDEX_VERSION,
        keys_of_person(prepared.names, prepared.birth),
        key(sound(main.joined_surname)),
        key(sound(main.first)),
        key("=" + formal[0]) if formal else 0,
        len(prepared.names) > 1,
        prepared.birth.number if prepared.birth else 0,
        written(prepared.names),
    )


def written(names: Sequence[Name]) -> str:
    """Names in one text: "john paul|smith;johnny|smith"."""
    return ";".join(f"{' '.join(name.given)}|{' '.join(name.surname)}" for name in names)


async def delete_side_rows(connection: Any, record_numbers: Sequence[int]) -> None:
    for table in ("person_index", "record_person", "record_phone", "record_place"):
        await connection.execute(f"delete from {table} where record_number = any($1::bigint[])", list(record_numbers))


async def insert_side_rows(connection: Any, agency_id: str, records: Sequence[tuple[int, Prepared]]) -> None:
    """One statement a table: PostgreSQL refuses COPY FROM under row-level security."""
    persons = [index_row(number, agency_id, prepared) for number, prepared in records if prepared.kind == "person"]
    await insert_index_rows(connection, persons)
    abouts = [
        (number, agency_id, person_record_id, prepared.kind)
        for number, prepared in records
        for person_record_id in dict.fromkeys(prepared.person_record_ids)
    ]
    if abouts:
        await connection.execute(
            """insert into record_person (record_number, agency_id, person_record_id, kind)
               select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[])""",
            *_columns(abouts),
        )
    phones = [(number, agency_id, phone) for number, prepared in records for phone in prepared.phones]
    if phones:
        await connection.execute(
            "insert into record_phone (record_number, agency_id, phone) select * from unnest($1::bigint[], $2::text[], $3::text[])",
            *_columns(phones),
        )
    places = [
        (
            number, agency_id, position, prepared.kind, place.tie, place.street, place.locality, place.cell, place.latitude_deg,
            place.longitude_deg,
        )
        for number, prepared in records
        for position, place in enumerate(prepared.places)
    ]  # fmt: skip
    if places:
        await connection.execute(
            """insert into record_place (record_number, agency_id, position, kind, tie, street, locality, cell, latitude_deg, longitude_deg)
               select * from unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
                                    $9::float8[], $10::float8[])""",
            *_columns(places),
        )


async def insert_index_rows(connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows as `index_row` makes them. One by one in a pipeline: an array of arrays of different lengths is no array in PostgreSQL."""
    if rows:
        await connection.executemany(
            f"insert into person_index ({', '.join(INDEX_COLUMNS)}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", rows
        )


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
