"""Imports: a declared mapping, progress, the same file again changes nothing, every bad row named; hostile input is bounded."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.errors import InvalidInput, NotFound
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import poll
from rtcc_identity.app.imports import Import, ImportWorker
from rtcc_identity.domain.import_mapping import DATE_FIELDS, FIELDS, BadValue, checked_mapping
from rtcc_identity.domain.import_rows import Row, RowReader, check_file, record_id_of
from rtcc_identity.import_store import ImportStore

from .conftest import Identity

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PERSONS = (
    ("PID", "source_key", ""), ("Last", "surname", ""), ("First", "given_names", ""), ("AKA", "alias_names", "|"),
    ("Born", "birth_date", "DD.MM.YYYY"), ("Sex", "sex", "M=male;F=female"), ("Tel", "phones", ""), ("Mobile", "phones", ""),
    ("Warnings", "cautions", ""), ("Street", "address", ""), ("Lat", "latitude", ""), ("Lon", "longitude", ""),
)  # fmt: skip
HEADER = "PID,Last,First,AKA,Born,Sex,Tel,Mobile,Warnings,Street,Lat,Lon\n"
GOOD = '7,Laine,Eeva,"Lumi, Eva|Ewa",07.03.1984,F,09 1234567,0401234567,armed: rifle;bites,"Testikatu 5, Helsinki",60.17,24.94\n'


def mapping_of(columns: Any) -> list[pb.ColumnMapping]:
    return [pb.ColumnMapping(column=column, field=field, format=written) for column, field, written in columns]


def rows_of(kind: str, columns: Any, text: str, delimiter: str = ",", skip: int = 0) -> list[Row]:
    checked = checked_mapping(kind, columns)
    content = text.encode()
    check_file(content, delimiter, checked)
    return list(RowReader(kind, "RMS", "east", delimiter, checked, NOW).rows(content, skip))


async def imported(identity: Identity, csv: str, *, kind: str = "person", columns: Any = PERSONS, **more: Any) -> pb.RecordImport:
    """Started, and waited for."""
    request = pb.StartRecordImportRequest(
        kind=kind, source=more.pop("source", "RMS"), mapping=mapping_of(columns), csv=csv.encode(), **more
    )
    started = getattr(await identity.call("StartRecordImport", request, identity.supervisor), "import")

    async def ended() -> pb.RecordImport | None:
        answer = await identity.call("GetRecordImport", pb.GetRecordImportRequest(import_id=started.import_id), identity.supervisor)
        told: pb.RecordImport = getattr(answer, "import")
        return told if told.state in (pb.RECORD_IMPORT_STATE_DONE, pb.RECORD_IMPORT_STATE_FAILED) else None

    told = await poll(ended, deadline_s=40)
    assert told is not None
    return told


def test_a_row_becomes_a_person_by_the_declared_mapping() -> None:
    (row,) = rows_of("person", PERSONS, HEADER + GOOD)
    assert row.prepared is not None
    record = row.prepared.record
    person = record.person
    assert [(name.surname, name.given_names) for name in person.names] == [("Laine", "Eeva"), ("Lumi", "Eva"), ("Ewa", "")]
    assert (person.birth_date, person.sex, list(person.phones)) == ("1984-03-07", "female", ["09 1234567", "0401234567"])
    assert [(caution.kind, caution.note) for caution in person.cautions] == [("armed", "rifle"), ("other", "bites")]
    assert (person.addresses[0].text, person.addresses[0].coordinate.latitude_deg) == ("Testikatu 5, Helsinki", 60.17)
    assert record.record_id == record_id_of("east", "RMS", "person", "7")


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (",Laine,E,,,,,,,,,", "PID", "is empty"),
        ("8,,,,,,,,,,,", "Last", "are needed"),
        ("8,Laine,E,,7.3.84,,,,,,,", "Born", "not written DD.MM.YYYY"),
        ("8,Laine,E,,30.02.1984,,,,,,,", "Born", "no day of the calendar"),
        ("8,Laine,E,,,X,,,,,,", "Sex", "not one of"),
        ("8,Laine,E,,,,,,,Testikatu 1,north,24", "Lat", "no coordinate"),
        ("8,Laine,E,,,,,,,Testikatu 1,91,24", "Lat", "off the globe"),
        ("8,La\x01ine,E,,,,,,,,,", "Last", "control characters"),
        (f"8,{'x' * 5000},E,,,,,,,,,", "Last", "more than 4000"),
        ("7,Other,Person,,,,,,,,,", "PID", "earlier row"),
    ],
)
def test_a_bad_row_is_named_with_row_column_and_reason(line: str, column: str, reason: str) -> None:
    good, bad = rows_of("person", PERSONS, HEADER + GOOD + "\n" + line + "\n")
    assert good.prepared is not None and bad.prepared is None
    # the empty line counts
    assert bad.line == 4
    assert bad.column == column and reason in bad.reason


@pytest.mark.parametrize(
    ("kind", "columns", "line", "check"),
    [
        (
            "vehicle", [("k", "source_key", ""), ("p", "plate", ""), ("o", "keeper_source_key", ""), ("y", "year", "")], "1,abc-123,7,2019",
            lambda record: (record.vehicle.plate, record.vehicle.keeper_record_id, record.vehicle.year)
            == ("ABC123", record_id_of("east", "RMS", "person", "7"), 2019),
        ),
        (
            "warrant", [("k", "source_key", ""), ("p", "person_source_key", ""), ("o", "offence", ""), ("s", "severity", "F=felony")],
            "1,7,assault,F", lambda record: (record.warrant.status, record.warrant.severity) == ("active", "felony"),
        ),
        (
            "arrest", [("k", "source_key", ""), ("p", "person_source_key", ""), ("o", "charge", ""), ("d", "arrested_on", "MM/DD/YYYY")],
            "1,7,theft,3/14/2024", lambda record: record.arrest.arrested_on == "2024-03-14",
        ),
        (
            "prior_call",
            [
                ("k", "source_key", ""), ("t", "type", ""), ("w", "occurred_at", "DD.MM.YYYY hh:mm Europe/Helsinki"),
                ("p", "person_source_keys", "/"),
            ],
            "1,domestic,14.03.2024 02:30,7/8",
            lambda record: (record.prior_call.occurred_at.ToDatetime(), len(record.prior_call.person_record_ids))
            == (datetime(2024, 3, 14, 0, 30), 2),
        ),
    ],
)  # fmt: skip
def test_each_kind_is_read(kind: str, columns: Any, line: str, check: Any) -> None:
    (row,) = rows_of(kind, columns, ",".join(column for column, _, _ in columns) + "\n" + line + "\n")
    assert row.prepared is not None, row.reason
    assert check(row.prepared.record)


@pytest.mark.parametrize(
    ("kind", "columns", "reason"),
    [
        ("dog", [("a", "source_key", "")], "is not one of"),
        ("person", [], "maps 1 to"),
        ("person", [("a", "surname", "")], "needs source_key"),
        ("person", [("a", "source_key", "")], "needs surname or full_name"),
        ("person", [("a", "source_key", ""), ("b", "shoe_size", "")], "no field of a person"),
        ("person", [("a", "source_key", ""), ("b", "surname", ""), ("c", "surname", "")], "mapped twice"),
        ("person", [("a", "source_key", ""), ("b", "surname", ""), ("c", "birth_date", "DD.MM.YY")], "holds YYYY"),
        ("person", [("a", "source_key", ""), ("b", "surname", ""), ("c", "birth_date", "DD.MM.YYYY(")], ""),
        ("person", [("a", "source_key", ""), ("b", "surname", ""), ("c", "phones", "ab")], "separator"),
        ("person", [("a", "source_key", ""), ("b", "surname", ""), ("c", "sex", "M")], "<theirs>=<ours>"),
        ("person", [("a", "source_key", ""), ("b", "surname", "upper")], "has no format"),
        ("prior_call", [("a", "source_key", ""), ("b", "type", ""), ("c", "occurred_at", "DD.MM.YYYY hh:mm")], "time zone"),
    ],
)
def test_a_mapping_that_can_not_work_is_refused_before_a_row_is_read(kind: str, columns: Any, reason: str) -> None:
    if not reason:
        assert checked_mapping(kind, columns)
        return
    with pytest.raises(InvalidInput, match=reason):
        checked_mapping(kind, columns)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"PID,Last\n\xff", "UTF-8"),
        (b'"PID', "header"),
        (b"A,B\n1,2\n", "no column"),
        (b",".join([b"x"] * 201) + b"\n", "201 columns"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused_at_once(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        check_file(content, ",", checked_mapping("person", PERSONS))


def test_a_broken_quote_ends_the_reading_with_its_line() -> None:
    reader = rows_of_lazily(HEADER + GOOD + '8,"Laine,E\n' + GOOD)
    assert next(reader).prepared is not None
    with pytest.raises(InvalidInput, match="broken at line"):
        list(reader)


def rows_of_lazily(text: str) -> Iterator[Row]:
    return RowReader("person", "RMS", "east", ",", checked_mapping("person", PERSONS), NOW).rows(text.encode())


def test_what_was_dealt_with_before_is_skipped_and_still_known() -> None:
    text = HEADER + GOOD + "8,Salo,Aino,,,,,,,,,\n" + GOOD
    assert [row.prepared is not None for row in rows_of("person", PERSONS, text, skip=1)] == [True, False]


@given(st.text(max_size=300), st.sampled_from([",", ";", "\t", "|"]))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_row_by_row_or_refused(text: str, delimiter: str) -> None:
    content = (HEADER.replace(",", delimiter) + text).encode("utf-8", "surrogatepass")
    columns = checked_mapping("person", PERSONS)
    try:
        check_file(content, delimiter, columns)
        rows = list(RowReader("person", "RMS", "east", delimiter, columns, NOW).rows(content))
    except InvalidInput:
        return
    for row in rows:
        assert (row.prepared is None) == bool(row.reason)
        assert len(row.reason) <= 200
        if row.prepared is not None:
            assert row.prepared.record.source_key


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_file_or_refused(content: bytes) -> None:
    columns = checked_mapping("person", PERSONS)
    try:
        check_file(HEADER.encode() + content, ",", columns)
        list(RowReader("person", "RMS", "east", ",", columns, NOW).rows(HEADER.encode() + content))
    except InvalidInput:
        return


@given(st.sampled_from(sorted(FIELDS)), st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_format_is_understood_or_refused_and_never_breaks_on_a_value(kind: str, written: str, value: str) -> None:
    for field in sorted(set(FIELDS[kind]) & (DATE_FIELDS | {"occurred_at", "sex", "phones"})):
        needed = [
            (f"c{n}", name, "") for n, name in enumerate(FIELDS[kind]) if name != field and name in ("source_key", "surname", "plate")
        ]
        try:
            columns = checked_mapping(kind, [*needed, ("x", field, written), *_required(kind, field)])
        except InvalidInput:
            continue
        reader = next(column.read for column in columns if column.field == field)
        try:
            reader(value)
        except BadValue:
            continue


def _required(kind: str, field: str) -> list[tuple[str, str, str]]:
    names = {"warrant": ("person_source_key", "offence"), "arrest": ("person_source_key", "charge"), "prior_call": ("occurred_at", "type")}
    return [(f"r-{name}", name, "") for name in names.get(kind, ()) if name != field]


async def test_an_import_tells_how_it_went_and_repeating_it_changes_nothing(identity: Identity) -> None:
    csv = HEADER + GOOD + "8,Salo,Aino,,,,,,,,,\n9,,,,,,,,,,,\n"
    first = await imported(identity, csv)
    assert (first.state, first.rows_created, first.rows_rejected) == (pb.RECORD_IMPORT_STATE_DONE, 2, 1)
    assert [(one.row, bool(one.reason)) for one in first.rejected] == [(4, True)]
    assert first.bytes_read == first.bytes_total == len(csv.encode())
    (hit,) = await identity.search("Eva Laine", "1984-03-07")
    assert (hit.record.source, hit.record.source_key) == ("RMS", "7")
    again = await imported(identity, csv)
    assert (again.rows_created, again.rows_updated, again.rows_unchanged) == (0, 0, 2)
    changed = await imported(identity, csv.replace("Salo", "Saloinen"))
    assert (changed.rows_created, changed.rows_updated, changed.rows_unchanged) == (0, 1, 1)
    assert await identity.search("Aino Saloinen") and not [hit for hit in await identity.search("Aino Salo") if hit.score > 0.99]
    await identity.entry("record_import.start", identity.supervisor, "source:RMS")
    listed = await identity.call("ListRecordImports", pb.ListRecordImportsRequest(), identity.supervisor)
    assert [one.import_id for one in listed.imports] == [changed.import_id, again.import_id, first.import_id]


async def test_a_full_refresh_removes_what_the_extract_no_longer_holds_unless_a_row_was_rejected(identity: Identity) -> None:
    columns = [("k", "source_key", ""), ("p", "person_source_key", ""), ("o", "offence", "")]
    both, one, broken = "k,p,o\n1,7,assault\n2,7,theft\n", "k,p,o\n1,7,assault\n", "k,p,o\n1,7,assault\n3,,\n"
    await imported(identity, HEADER + GOOD)
    await imported(identity, both, kind="warrant", columns=columns, full_refresh=True)
    person = (await identity.search("Eeva Laine"))[0].record.record_id
    kept = await imported(identity, broken, kind="warrant", columns=columns, full_refresh=True)
    assert kept.rows_removed == 0 and len((await identity.read(person)).warrants) == 2
    gone = await imported(identity, one, kind="warrant", columns=columns, full_refresh=True)
    assert gone.rows_removed == 1 and [warrant.warrant.offence for warrant in (await identity.read(person)).warrants] == ["assault"]
    # another source's and another kind's records are not touched
    assert await identity.search("Eeva Laine")


async def test_a_file_that_breaks_in_the_middle_fails_with_the_line_and_keeps_what_came_before(identity: Identity) -> None:
    failed = await imported(identity, HEADER + GOOD + '8,"Laine,E\n')
    assert failed.state == pb.RECORD_IMPORT_STATE_FAILED and "line" in failed.failure
    assert await identity.search("Eeva Laine")


async def test_an_import_of_a_killed_process_goes_on_where_it_stood(identity: Identity) -> None:
    """The worker stops after its first batch, as by `kill -9`; another takes the import up when it was silent for long enough."""
    context = identity.running.context
    store, scope = ImportStore(context.database), Scope.service("identity", identity.east)
    csv = "k,s\n" + "".join(f"{number},Person{number}\n" for number in range(30))
    columns = [("k", "source_key", ""), ("s", "surname", "")]
    request = pb.StartRecordImportRequest(kind="person", source="RMS", mapping=mapping_of(columns), delimiter=",")
    told = pb.RecordImport(
        import_id=f"killed-{identity.number}", agency_id=identity.east, kind="person", source="RMS", state=pb.RECORD_IMPORT_STATE_RUNNING
    )
    key = f"identity/imports/{told.import_id}.csv"
    await context.objects.put(scope, identity.east, key, csv.encode(), "text/csv")
    checked = checked_mapping("person", columns)
    first = list(RowReader("person", "RMS", identity.east, ",", checked, NOW).rows(csv.encode()))[:10]
    told.started_at.FromDatetime(NOW - timedelta(days=1))
    async with context.database.transaction(scope) as connection:
        await connection.execute(
            """insert into record_import (import_id, agency_id, state, started_at, touched_at, object_key, request, body)
               values ($1, $2, 'running', $3, $3, $4, $5, $6)""",
            told.import_id, identity.east, NOW, key, request.SerializeToString(), told.SerializeToString(),
        )  # fmt: skip
    now = datetime.now(UTC)
    await store.store_rows(scope, [row.prepared for row in first if row.prepared is not None], told, now)
    # fresh: it is somebody's
    claimed = await store.claim(scope, now, now - timedelta(seconds=60))
    assert claimed is None
    claimed = await store.claim(scope, now, now + timedelta(seconds=1))
    assert claimed is not None and claimed.told.rows_created == 10
    await ImportWorker(store, context.objects, context.clock, rows=7).work_off(claimed)
    done = await store.get(scope, told.import_id)
    assert done is not None and (done.state, done.rows_created, done.rows_unchanged) == (pb.RECORD_IMPORT_STATE_DONE, 30, 0)


async def test_a_file_that_breaks_the_importer_fails_alone(identity: Identity) -> None:
    """What nobody foresaw ends one import, not the process that works them off."""

    class Broken(ImportStore):
        async def store_rows(self, *arguments: Any) -> Any:
            raise ZeroDivisionError

    context, scope = identity.running.context, Scope.service("identity", identity.east)
    request = pb.StartRecordImportRequest(
        kind="person", source="RMS", mapping=mapping_of([("k", "source_key", ""), ("s", "surname", "")]), delimiter=","
    )
    told = pb.RecordImport(import_id=f"broken-{identity.number}", agency_id=identity.east, kind="person", source="RMS")
    told.started_at.FromDatetime(NOW)
    key = f"identity/imports/{told.import_id}.csv"
    await context.objects.put(scope, identity.east, key, b"k,s\n1,Laine\n", "text/csv")
    async with context.database.transaction(scope) as connection:
        await connection.execute(
            """insert into record_import (import_id, agency_id, state, started_at, touched_at, object_key, request, body)
               values ($1, $2, 'running', now(), now() + interval '1 day', $3, '', $4)""",
            told.import_id, identity.east, key, told.SerializeToString(),
        )  # fmt: skip
    await ImportWorker(Broken(context.database), context.objects, context.clock, rows=7).work_off(Import(request, told, key))
    failed = await ImportStore(context.database).get(scope, told.import_id)
    assert failed is not None and (failed.state, "inside the platform" in failed.failure) == (pb.RECORD_IMPORT_STATE_FAILED, True)


async def test_more_waiting_imports_than_the_bound_are_refused(identity: Identity) -> None:
    store, scope = ImportStore(identity.running.context.database), identity.supervisor
    async with identity.running.context.database.transaction(scope) as connection:
        for number in range(10):
            told = pb.RecordImport(import_id=f"w{identity.number}-{number}", agency_id=identity.east)
            # far ahead of its turn, so that no worker takes it while the test looks
            await connection.execute(
                """insert into record_import (import_id, agency_id, state, started_at, touched_at, object_key, request, body)
                   values ($1, $2, 'running', now(), now() + interval '1 day', 'none', '', $3)""",
                told.import_id, identity.east, told.SerializeToString(),
            )  # fmt: skip
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await imported(identity, HEADER + GOOD)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(await store.list_newest(scope, 100)) == 10


async def test_another_agency_neither_sees_nor_reaches_an_import(identity: Identity) -> None:
    told = await imported(identity, HEADER + GOOD)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await identity.call("GetRecordImport", pb.GetRecordImportRequest(import_id=told.import_id), identity.neighbour)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert not (await identity.call("ListRecordImports", pb.ListRecordImportsRequest(), identity.neighbour)).imports
    assert await identity.search("Eeva Laine", scope=identity.neighbour) == []


async def test_the_file_is_gone_when_the_import_has_ended(identity: Identity) -> None:
    told = await imported(identity, HEADER + GOOD)
    scope = Scope.service("identity", identity.east)

    async def gone() -> bool:
        try:
            await identity.running.context.objects.get(scope, identity.east, f"identity/imports/{told.import_id}.csv")
        except NotFound:
            return True
        return False

    await poll(gone)
