"""Records and their search index in PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.errors import Conflict
from rtcc_chassis.scope import Scope
from rtcc_identity.app.ports import Candidate, Found, Query, Saved, TiedPlace
from rtcc_identity.domain.names import INDEX_VERSION
from rtcc_identity.domain.records import Prepared, names_and_birth, warrant_in_force
from rtcc_identity.index_rows import delete_side_rows, index_row, insert_index_rows, insert_side_rows

# who matches best is among so many of the rough order, or nowhere
PREFILTER = 60
_RECORD = "record_id, record_number, agency_id, kind, changed_at, photo_object, body"


class RecordStore:
    """Every method sees only what its scope may see; `grantors` are agencies whose agreements give the caller's agency their persons."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def candidates(self, scope: Scope, query: Query, grantors: Sequence[str] = ()) -> list[Candidate]:
        """At most 60 persons that may be meant, roughly ordered. Through the function that filters by agency itself: `&&` can't use its
        index behind a row-level policy."""
        whole_date = bool(query.births)
        # with a whole date the weak keys are a last resort: without one they are asked as soon as the strong ones find hardly anybody
        rows = await self._search(scope, grantors, query, query.strong, [] if whole_date else query.weak)
        if not rows and whole_date and query.weak:
            rows = await self._search(scope, grantors, query, query.weak, [])
        return [Candidate(row["record_number"], row["agency_id"], row["names"], row["birth"]) for row in rows]

    async def _search(self, scope: Scope, grantors: Sequence[str], query: Query, strong: list[int], weak: list[int]) -> list[Any]:
        async with self._database.statement(scope) as connection:
            rows: list[Any] = await connection.fetch(
                "select record_number, agency_id, names, birth from search_persons($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                scope.agency_id,
                ",".join(grantors),
                strong,
                weak,
                query.surnames,
                query.givens,
                query.births,
                query.birth_low,
                query.birth_high,
                PREFILTER,
            )
        return rows

    async def index_rows(self, scope: Scope, record_numbers: Collection[int], grantors: Sequence[str] = ()) -> list[Candidate]:
        """Of persons found in another way."""
        async with self._database.transaction(scope, grantors) as connection:
            rows = await connection.fetch(
                "select record_number, agency_id, names, birth from person_index where record_number = any($1::bigint[])",
                list(record_numbers),
            )
        return [Candidate(row["record_number"], row["agency_id"], row["names"], row["birth"]) for row in rows]

    async def by_numbers(self, scope: Scope, record_numbers: Collection[int], grantors: Sequence[str] = ()) -> dict[int, Found]:
        async with self._database.transaction(scope, grantors) as connection:
            rows = await connection.fetch(f"select {_RECORD} from record where record_number = any($1::bigint[])", list(record_numbers))
        return {row["record_number"]: _found(row) for row in rows}

    async def by_ids(self, scope: Scope, record_ids: Collection[str], grantors: Sequence[str] = ()) -> dict[str, Found]:
        if not record_ids:
            return {}
        async with self._database.transaction(scope, grantors) as connection:
            rows = await connection.fetch(f"select {_RECORD} from record where record_id = any($1::text[])", list(record_ids))
        return {row["record_id"]: _found(row) for row in rows}

    async def by_phone(self, scope: Scope, phone: str, limit: int, grantors: Sequence[str] = ()) -> list[int]:
        """Record numbers of persons; `phone` as `phone_digits` gives it."""
        async with self._database.transaction(scope, grantors) as connection:
            rows = await connection.fetch(
                "select record_number from record_phone where agency_id = any($1::text[]) and phone = $2 order by record_number limit $3",
                [scope.agency_id, *grantors],
                phone,
                limit,
            )
        return [row["record_number"] for row in rows]

    async def by_place(self, scope: Scope, street: str, cells: Sequence[int], limit: int, grantors: Sequence[str] = ()) -> list[TiedPlace]:
        """Everything tied to that street and number, or to one of these cells; newest records first."""
        async with self._database.transaction(scope, grantors) as connection:
            rows = await connection.fetch(
                """select record_number, kind, tie, street, locality, latitude_deg, longitude_deg from record_place
                   where agency_id = any($1::text[]) and street = $2 and street <> ''
                   union
                   select record_number, kind, tie, street, locality, latitude_deg, longitude_deg from record_place
                   where agency_id = any($1::text[]) and cell = any($3::bigint[])
                   order by record_number desc limit $4""",
                [scope.agency_id, *grantors],
                street,
                list(cells),
                limit,
            )
        return [TiedPlace(**dict(row)) for row in rows]

    async def by_plate(self, scope: Scope, pattern: str, vin: str, limit: int, grantors: Sequence[str] = ()) -> list[Found]:
        """Vehicles. `pattern`: normalised, "?" for one character; `vin` counts when the pattern is empty."""
        prefix = pattern.split("?", 1)[0]
        # "~" sorts behind every character of a plate
        bounds = (pattern, pattern) if prefix == pattern else (prefix, prefix + "~")
        agencies = [scope.agency_id, *grantors]
        async with self._database.transaction(scope, grantors) as connection:
            if pattern:
                rows = await connection.fetch(
                    f"""select {_RECORD} from record where agency_id = any($1::text[]) and plate >= $2 and plate <= $3 and plate like $4
                        order by plate, record_number limit $5""",
                    agencies,
                    *bounds,
                    pattern.replace("?", "_"),
                    limit,
                )
            else:
                rows = await connection.fetch(
                    f"select {_RECORD} from record where agency_id = any($1::text[]) and vin = $2 order by record_number limit $3",
                    agencies,
                    vin,
                    limit,
                )
        return [_found(row) for row in rows]

    async def about(
        self, scope: Scope, person_record_ids: Collection[str], kinds: Collection[str], limit: int, grantors: Sequence[str] = ()
    ) -> dict[str, list[Found]]:
        """By person: vehicles, warrants, arrests, prior calls; active and newest first."""
        if not person_record_ids:
            return {}
        found: dict[str, list[Found]] = {}
        async with self._database.transaction(scope, grantors) as connection:
            rows = await connection.fetch(
                f"""select l.person_record_id, {", ".join("r." + name for name in _RECORD.split(", "))}
                    from record_person l join record r using (record_number)
                    where l.person_record_id = any($1::text[]) and l.kind = any($2::text[])
                    order by r.active desc, r.occurred_at desc nulls last, r.changed_at desc, r.record_number limit $3""",
                list(person_record_ids),
                list(kinds),
                limit,
            )
        for row in rows:
            found.setdefault(row["person_record_id"], []).append(_found(row))
        return found

    async def active_warrants(
        self, scope: Scope, person_record_ids: Collection[str], today: date, grantors: Sequence[str] = ()
    ) -> dict[str, list[Found]]:
        """By person; expired ones left out."""
        found = await self.about(scope, person_record_ids, ["warrant"], 1_000, grantors)
        active = {person: [one for one in warrants if warrant_in_force(one.record.warrant, today)] for person, warrants in found.items()}
        return {person: warrants for person, warrants in active.items() if warrants}

    async def put(self, scope: Scope, records: Sequence[Prepared], import_id: str = "") -> Saved:
        """Store a batch, each id once. What is stored in the same words already only gets the import's mark.

        Raises Conflict when an id belongs to another agency.
        """
        try:
            async with self._database.transaction(scope) as connection:
                return await put_records(connection, scope, records, import_id)
        except asyncpg.InsufficientPrivilegeError as error:
            # row-level security
            raise Conflict("An id among them is taken: leave record_id empty to get a new one.") from error

    async def set_photo(self, scope: Scope, record_id: str, photo_object: str, now: datetime) -> Found | None:
        """The record as it is afterwards; None: no such person of the own agency. "" removes the photo."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                f"""update record set photo_object = $2, changed_at = $3 where record_id = $1 and agency_id = $4 and kind = 'person'
                    returning {_RECORD}""",
                record_id,
                photo_object,
                now,
                scope.agency_id,
            )
        return None if row is None else _found(row)

    async def remove(self, scope: Scope, record_id: str) -> Found | None:
        """The record as it was; None: no such one of the own agency."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                f"delete from record where record_id = $1 and agency_id = $2 returning {_RECORD}", record_id, scope.agency_id
            )
            await connection.execute("delete from intelligence where person_record_id = $1 and agency_id = $2", record_id, scope.agency_id)
        return None if row is None else _found(row)

    async def index_anew(self, scope: Scope, rows: int) -> int:
        """Persons whose keys an older version of the rules made get today's; the answer is how many, 0: none is left."""
        async with self._database.transaction(scope) as connection:
            found = await connection.fetch(
                """select r.record_number, r.agency_id, r.body from person_index p join record r using (record_number)
                   where p.index_version <> $1 limit $2 for update of p skip locked""",
                INDEX_VERSION,
                rows,
            )
            numbers = [row["record_number"] for row in found]
            await connection.execute("delete from person_index where record_number = any($1::bigint[])", numbers)
            anew = [index_row(row["record_number"], row["agency_id"], names_and_birth(pb.Record.FromString(row["body"]))) for row in found]
            await insert_index_rows(connection, anew)
        return len(found)


async def put_records(connection: Any, scope: Scope, records: Sequence[Prepared], import_id: str) -> Saved:
    """Part of the caller's transaction."""
    # one order for all: two writers of the same records wait for each other, never for ever
    records = sorted(records, key=lambda prepared: prepared.record.record_id)
    ids = [prepared.record.record_id for prepared in records]
    rows = await connection.fetch(
        """select record_id, digest, kind from record where record_id = any($1::text[]) and agency_id = $2 order by record_id
           for update""",
        ids,
        scope.agency_id,
    )
    known = {row["record_id"]: row for row in rows}
    for prepared in records:
        before = known.get(prepared.record.record_id)
        if before is not None and before["kind"] != prepared.kind:
            raise Conflict(f"{prepared.record.record_id} is a {before['kind']} already.")
    digests = {record_id: row["digest"] for record_id, row in known.items()}
    changed = [prepared for prepared in records if digests.get(prepared.record.record_id) != prepared.digest]
    unchanged = set(ids) - {prepared.record.record_id for prepared in changed}
    if unchanged and import_id:
        await connection.execute("update record set import_id = $2 where record_id = any($1::text[])", list(unchanged), import_id)
    if changed:
        numbers = await connection.fetch(
            """insert into record (record_id, agency_id, kind, source, source_key, import_id, plate, vin, active, occurred_at, digest,
                                   changed_at, body)
               select n.record_id, $1, n.kind, n.source, n.source_key, $2, n.plate, n.vin, n.active, n.occurred_at, n.digest, n.changed_at,
                      n.body
               from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[], $10::timestamptz[],
                           $11::bytea[], $12::timestamptz[], $13::bytea[])
                    as n(record_id, kind, source, source_key, plate, vin, active, occurred_at, digest, changed_at, body)
               on conflict (record_id) do update set source = excluded.source, source_key = excluded.source_key,
                   import_id = excluded.import_id, plate = excluded.plate, vin = excluded.vin, active = excluded.active,
                   occurred_at = excluded.occurred_at, digest = excluded.digest, changed_at = excluded.changed_at, body = excluded.body
               returning record_id, record_number""",
            scope.agency_id,
            import_id,
            [prepared.record.record_id for prepared in changed],
            [prepared.kind for prepared in changed],
            [prepared.record.source for prepared in changed],
            [prepared.record.source_key for prepared in changed],
            [prepared.plate for prepared in changed],
            [prepared.vin for prepared in changed],
            [prepared.active for prepared in changed],
            [prepared.occurred_at for prepared in changed],
            [prepared.digest for prepared in changed],
            [prepared.record.changed_at.ToDatetime(UTC) for prepared in changed],
            [prepared.record.SerializeToString() for prepared in changed],
        )
        number_of = {row["record_id"]: row["record_number"] for row in numbers}
        await delete_side_rows(connection, [number_of[record_id] for record_id in number_of if record_id in known])
        await insert_side_rows(connection, scope.agency_id, [(number_of[one.record.record_id], one) for one in changed])
    created = sum(prepared.record.record_id not in known for prepared in changed)
    return Saved(created, len(changed) - created, len(unchanged))


def _found(row: Any) -> Found:
    record = pb.Record.FromString(row["body"])
    record.changed_at.FromDatetime(row["changed_at"])
    if row["kind"] == "person":
        record.person.has_photo = bool(row["photo_object"])
    return Found(row["record_number"], record, row["photo_object"])
