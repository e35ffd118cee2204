"""The extract of a state or national wanted-plates file as CSV (NCIC field codes): strict where it matters, every bad row reported."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from hashlib import blake2b

from rtcc_alerting.plates import NotAPlate, normalise
from rtcc_chassis.errors import InvalidInput

MAXIMUM_BYTES = 64 * 1024 * 1024
MAXIMUM_ROWS = 3_000_000
MAXIMUM_PROBLEMS = 100
CHUNK_ROWS = 20_000
COLUMNS = ("LIC", "LIS", "LIT", "LIY", "VIN", "VMA", "VMO", "VCO", "NIC", "ORI", "OCA", "REASON", "EXPIRES")


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One wanted plate. The id follows from list, plate, state and record number: the same row of tomorrow's file is the same entry."""

    entry_id: str
    plate: str
    state: str
    reason: str
    entry_source: str
    expires_at: datetime | None


class _BadRow(Exception):
    """Why one row is left out."""


class CsvImport:
    """Reads a file once, in chunks, so that a list of millions never stands in memory as objects.

    UTF-8 with a header line; columns of other names are ignored. Raises InvalidInput, at once or from `chunks`, when the file as a whole
    can't be read. `accepted`, `rejected` and `problems` (the first 100, with their lines) are complete when `chunks` ended.
    """

    def __init__(self, hot_list_id: str, content: bytes) -> None:
        if len(content) > MAXIMUM_BYTES:
            raise InvalidInput.one("csv", f"has {len(content)} bytes, at most {MAXIMUM_BYTES} are taken: split the list")
        try:
            self._text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput.one("csv", f"is not UTF-8 at byte {error.start}") from error
        self._hot_list_id = hot_list_id
        self.accepted = 0
        self.rejected = 0
        self.problems: list[str] = []

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[list[NewEntry]]:
        """Lists of at most `rows` good rows, no entry twice in all of them."""
        seen: set[int] = set()
        chunk: list[NewEntry] = []
        for line, row in _rows(self._text):
            try:
                entry = _entry(self._hot_list_id, row)
                # 64 of the id's 128 bits: small enough to keep for every row, and no two rows of a list share them by chance
                mark = int(entry.entry_id[:16], 16)
                if mark in seen:
                    raise _BadRow(f"{entry.plate} {entry.state} stands in an earlier line already")
            except _BadRow as error:
                self.rejected += 1
                if len(self.problems) < MAXIMUM_PROBLEMS:
                    self.problems.append(f"line {line}: {error}")
                continue
            seen.add(mark)
            chunk.append(entry)
            if len(chunk) == rows:
                self.accepted += len(chunk)
                yield chunk
                chunk = []
        if chunk:
            self.accepted += len(chunk)
            yield chunk


def entry_id_of(hot_list_id: str, plate: str, state: str, record_number: str = "") -> str:
    """The same plate, state and record of a list is the same entry, in tomorrow's file too: BLAKE2b-128 in hex."""
    return blake2b(f"{hot_list_id}\x1f{plate}\x1f{state}\x1f{record_number}".encode(), digest_size=16).hexdigest()


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise InvalidInput.one("csv", "is empty: the first line must name the columns, LIC among them")
        names = [name.strip().upper() for name in header]
        if "LIC" not in names:
            raise InvalidInput.one("csv", f"has no column LIC; there are {', '.join(names)[:200]}")
        for count, values in enumerate(reader):
            if count >= MAXIMUM_ROWS:
                raise InvalidInput.one("csv", f"has more than {MAXIMUM_ROWS} rows: split the list")
            if any(values):
                yield reader.line_num, dict(zip(names, (value.strip() for value in values), strict=False))
    except csv.Error as error:
        raise InvalidInput.one("csv", f"is broken at line {reader.line_num}: {error}") from error


def _entry(hot_list_id: str, row: dict[str, str]) -> NewEntry:
    try:
        plate = normalise(row.get("LIC", ""))
    except NotAPlate as error:
        raise _BadRow(error.message) from error
    state = row.get("LIS", "").upper()
    if len(state) > 8 or not state.isascii():
        raise _BadRow(f"LIS {state[:20]!r} is not a state: at most 8 characters")
    for name, value in row.items():
        if len(value) > 512 or "\0" in value:
            raise _BadRow(f"{name} holds a NUL or more than 512 characters")
    vehicle = " ".join([value for name in ("VCO", "VMA", "VMO", "LIY", "VIN") if (value := row.get(name, ""))])
    reason = row.get("REASON", "") or "wanted"
    source = " ".join([f"{name} {value}" for name in ("ORI", "NIC", "OCA") if (value := row.get(name, ""))])
    return NewEntry(
        entry_id=entry_id_of(hot_list_id, plate, state, row.get("NIC", "")),
        plate=plate,
        state=state,
        reason=f"{reason} ({vehicle})" if vehicle else reason,
        entry_source=source,
        expires_at=_expires(row.get("EXPIRES", "")),
    )


def _expires(text: str) -> datetime | None:
    if not text:
        return None
    try:
        if len(text) in (8, 10):
            # a date alone: to the end of that day, UTC
            return datetime.combine(datetime.fromisoformat(text).date(), time(23, 59, 59, 999_999), UTC)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _BadRow(f"EXPIRES {text[:40]!r} is neither a date (2026-12-31) nor an RFC 3339 time") from error
    if moment.tzinfo is None:
        raise _BadRow(f"EXPIRES {text[:40]!r} has no UTC offset")
    return moment.astimezone(UTC)
