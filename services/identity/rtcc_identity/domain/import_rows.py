"""A CSV file read row by row with its mapping: good rows become records, bad ones are named with row, column and reason."""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.identifiers import derived_id
from rtcc_identity.domain.import_mapping import LIST_FIELDS, LONGEST_VALUE, MAXIMUM_COLUMNS, BadValue, Column
from rtcc_identity.domain.records import CAUTION_KINDS, Prepared, prepared

MAXIMUM_BYTES = 64 * 1024 * 1024
MAXIMUM_ROWS = 3_000_000
MAXIMUM_REJECTED_LISTED = 200
DELIMITERS = (",", ";", "\t", "|")
_LONGEST_REASON = 200

Values = dict[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it came out: a record, or why not. `bytes_read`: how far into the file."""

    line: int
    bytes_read: int
    prepared: Prepared | None = None
    column: str = ""
    reason: str = ""


def record_id_of(agency_id: str, source: str, kind: str, source_key: str) -> str:
    """The same key of the same source is the same record, in tomorrow's extract too."""
    return derived_id(agency_id, "record", source, kind, source_key)


def check_file(content: bytes, delimiter: str, columns: Sequence[Column]) -> None:
    """Whether the file as a whole can be read and has the columns. Raises InvalidInput."""
    if not content:
        raise InvalidInput.one("csv", "is empty")
    if len(content) > MAXIMUM_BYTES:
        raise InvalidInput.one("csv", f"has {len(content)} bytes, at most {MAXIMUM_BYTES} are taken: split the file")
    if delimiter not in DELIMITERS:
        raise InvalidInput.one("delimiter", 'is one of ",", ";", tab and "|"')
    decoder, at = codecs.getincrementaldecoder("utf-8")(), 0
    try:
        for at in range(0, len(content), 1 << 20):
            decoder.decode(content[at : at + (1 << 20)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InvalidInput.one("csv", f"is not UTF-8 near byte {at + error.start}: export it as UTF-8") from error
    reader = csv.reader(_Lines(content), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise InvalidInput.one("csv", f"has a broken header: {error}") from error
    if len(header) > MAXIMUM_COLUMNS:
        raise InvalidInput.one("csv", f"has {len(header)} columns, at most {MAXIMUM_COLUMNS} are taken")
    missing = [column.name for column in columns if column.name not in header]
    if missing:
        raise InvalidInput.one("csv", f"has no column {', '.join(missing)[:200]}; there are {', '.join(header)[:300]}")


class _Lines(Iterator[str]):
    """The lines of a UTF-8 file, decoded one by one, counting bytes: a file of 64 MiB is never a text of 256."""

    def __init__(self, content: bytes) -> None:
        self._stream = io.BytesIO(content.removeprefix(codecs.BOM_UTF8))
        self.bytes_read = 0

    def __next__(self) -> str:
        line = self._stream.readline()
        if not line:
            raise StopIteration
        self.bytes_read = self._stream.tell()
        return line.decode("utf-8")


class RowReader:
    """Reads a file that `check_file` passed. Iterating gives a `Row` for each that isn't empty; raises InvalidInput when the rest can't be
    read (a broken quote)."""

    def __init__(self, kind: str, source: str, agency_id: str, delimiter: str, columns: Sequence[Column], now: datetime) -> None:
        self._kind = kind
        self._source = source
        self._agency_id = agency_id
        self._delimiter = delimiter
        self._columns = columns
        self._now = now

    def rows(self, content: bytes, skip: int = 0) -> Iterator[Row]:
        """`skip`: so many rows were dealt with before: their keys are remembered, they aren't given again."""
        lines = _Lines(content)
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        seen: set[int] = set()
        count = 0
        try:
            header = [name.strip() for name in next(reader, [])]
            places = [(header.index(column.name), column) for column in self._columns]
            before = reader.line_num
            for values in reader:
                started, before = before + 1, reader.line_num
                if not any(value.strip() for value in values):
                    continue
                if count >= MAXIMUM_ROWS:
                    raise InvalidInput.one("csv", f"has more than {MAXIMUM_ROWS} rows: split the file")
                row = self._row(started, lines.bytes_read, values, places, seen, parse=count >= skip)
                count += 1
                if count > skip:
                    yield row
        except csv.Error as error:
            raise InvalidInput.one("csv", f"is broken at line {reader.line_num}: {error}") from error

    def _row(
        self, line: int, bytes_read: int, values: list[str], places: Sequence[tuple[int, Column]], seen: set[int], *, parse: bool
    ) -> Row:
        column = ""
        try:
            found: Values = {}
            for place, mapped in places:
                column = mapped.name
                text = values[place].strip() if place < len(values) else ""
                if len(text) > LONGEST_VALUE:
                    raise BadValue(f"has more than {LONGEST_VALUE} characters")
                if text:
                    _put(found, mapped, text)
            column = next(mapped.name for _, mapped in places if mapped.field == "source_key")
            key = str(found.get("source_key", ""))
            if not key:
                raise BadValue("is empty: without its source key the row can't be found again")
            mark = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
            if mark in seen:
                raise BadValue(f"{key[:60]!r} stands in an earlier row already")
            seen.add(mark)
            if not parse:
                return Row(line, bytes_read)
            column = ""
            return Row(line, bytes_read, self._prepared(key, found))
        except BadValue as error:
            return Row(line, bytes_read, None, column, str(error)[:_LONGEST_REASON])
        except InvalidInput as error:
            first = error.violations[0]
            return Row(line, bytes_read, None, _column_of(first.field, self._columns), first.reason[:_LONGEST_REASON])

    def _prepared(self, key: str, found: Values) -> Prepared:
        record = pb.Record(
            record_id=record_id_of(self._agency_id, self._source, self._kind, key),
            agency_id=self._agency_id,
            source=self._source,
            source_key=key,
        )
        record.changed_at.FromDatetime(self._now)
        _BUILDERS[self._kind](record, found, self._person_id)
        return prepared(record, self._now)

    def _person_id(self, source_key: str) -> str:
        return record_id_of(self._agency_id, self._source, "person", source_key)


PersonId = Callable[[str], str]


def _put(found: Values, column: Column, text: str) -> None:
    if column.field in LIST_FIELDS:
        values = found.setdefault(column.field, [])
        assert isinstance(values, list)
        values += [part.strip() for part in text.split(column.separator) if part.strip()]
    else:
        found[column.field] = column.read(text)


def _text(found: Values, field: str) -> str:
    value = found.get(field, "")
    return value if isinstance(value, str) else ""


def _list(found: Values, field: str) -> list[str]:
    value = found.get(field, [])
    return value if isinstance(value, list) else []


def _person(record: pb.Record, found: Values, person_id: PersonId) -> None:
    person = record.person
    if full := _text(found, "full_name"):
        person.names.append(_name_of(full))
    if _text(found, "surname") or _text(found, "given_names"):
        person.names.insert(0, pb.RecordName(given_names=_text(found, "given_names"), surname=_text(found, "surname")))
    person.names.extend(_name_of(alias) for alias in _list(found, "alias_names"))
    for field in ("birth_date", "sex", "description"):
        setattr(person, field, _text(found, field))
    person.phones.extend(_list(found, "phones"))
    person.identifiers.extend(_list(found, "identifiers"))
    person.cautions.extend(_cautions(found))
    if (address := _address(found)) is not None:
        person.addresses.append(address)


def _vehicle(record: pb.Record, found: Values, person_id: PersonId) -> None:
    vehicle = record.vehicle
    for field in ("plate", "state", "vin", "make", "model", "color"):
        setattr(vehicle, field, _text(found, field))
    if year := _text(found, "year"):
        if not (year.isascii() and year.isdigit() and len(year) == 4):
            raise InvalidInput.one("year", f"{year[:20]!r} is no year")
        vehicle.year = int(year)
    if keeper := _text(found, "keeper_source_key"):
        vehicle.keeper_record_id = person_id(keeper)
    vehicle.cautions.extend(_cautions(found))
    if (address := _address(found)) is not None:
        vehicle.addresses.append(address)


def _warrant(record: pb.Record, found: Values, person_id: PersonId) -> None:
    warrant = record.warrant
    warrant.person_record_id = person_id(_text(found, "person_source_key")) if _text(found, "person_source_key") else ""
    for field in ("number", "offence", "severity", "court", "issued_on", "expires_on", "status", "note"):
        setattr(warrant, field, _text(found, field))


def _arrest(record: pb.Record, found: Values, person_id: PersonId) -> None:
    arrest = record.arrest
    arrest.person_record_id = person_id(_text(found, "person_source_key")) if _text(found, "person_source_key") else ""
    for field in ("number", "arrested_on", "charge", "disposition", "note"):
        setattr(arrest, field, _text(found, field))
    if (address := _address(found)) is not None:
        arrest.address.CopyFrom(address)


def _prior_call(record: pb.Record, found: Values, person_id: PersonId) -> None:
    call = record.prior_call
    for field in ("number", "type", "outcome", "narrative"):
        setattr(call, field, _text(found, field))
    if moment := _text(found, "occurred_at"):
        call.occurred_at.FromDatetime(datetime.fromisoformat(moment))
    call.person_record_ids.extend(person_id(key) for key in _list(found, "person_source_keys"))
    if (address := _address(found)) is not None:
        call.address.CopyFrom(address)


_BUILDERS = {"person": _person, "vehicle": _vehicle, "warrant": _warrant, "arrest": _arrest, "prior_call": _prior_call}


def _name_of(text: str) -> pb.RecordName:
    """ "Smith, John", or "John Smith" with the last word as the surname."""
    surname, comma, given = text.partition(",")
    if not comma:
        given, _, surname = text.rpartition(" ")
    return pb.RecordName(given_names=given.strip(), surname=surname.strip())


def _cautions(found: Values) -> list[pb.Caution]:
    """ "armed: rifle in the house" or a kind alone; another word is kept as the note of "other"."""
    cautions = []
    for text in _list(found, "cautions"):
        kind, _, note = text.partition(":")
        word = kind.strip().casefold().replace(" ", "_")
        known = word in CAUTION_KINDS
        cautions.append(pb.Caution(kind=word if known else "other", note=note.strip() if known else text))
    return cautions


def _address(found: Values) -> pb.Address | None:
    text, latitude, longitude = _text(found, "address"), _text(found, "latitude"), _text(found, "longitude")
    if not text and not (latitude and longitude):
        return None
    address = pb.Address(text=text, kind=_text(found, "address_kind"))
    if latitude and longitude:
        try:
            address.coordinate.latitude_deg, address.coordinate.longitude_deg = float(latitude), float(longitude)
        except ValueError as error:
            raise InvalidInput.one("coordinate", f"{latitude[:20]!r}, {longitude[:20]!r} is no coordinate in degrees") from error
    return address


_BEHIND = {
    "names": ("surname", "full_name", "given_names", "alias_names"),
    "addresses": ("address", "address_kind"),
    "coordinate": ("latitude", "longitude"),
    "latitude_deg": ("latitude",),
    "longitude_deg": ("longitude",),
    "kind": ("address_kind",),
    "person_record_id": ("person_source_key",),
    "keeper_record_id": ("keeper_source_key",),
    "person_record_ids": ("person_source_keys",),
}


def _column_of(violation: str, mapped: Sequence[Column]) -> str:
    """The column behind a path such as "person.addresses[0].coordinate.latitude_deg": by its last word that was mapped."""
    for word in reversed(violation.replace("[", ".").replace("]", "").split(".")):
        for field in (word, *_BEHIND.get(word, ())):
            for column in mapped:
                if column.field == field:
                    return column.name
    return violation
