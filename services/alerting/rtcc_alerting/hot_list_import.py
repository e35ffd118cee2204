"""The extract of a state or national wanted-plates file as CSV (NCIC field codes): strict where it matters, every bad row reported."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time

from rtcc_alerting.plates import NotAPlate, normalise
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.identifiers import derived_id

MAXIMUM_BYTES = 64 * 1024 * 1024
MAXIMUM_ROWS = 3_000_000
MAXIMUM_PROBLEMS = 100
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


@dataclass(frozen=True, slots=True)
class ParsedList:
    """The good rows, how many were bad, and the first 100 problems with their lines."""

    entries: tuple[NewEntry, ...]
    rejected: int
    problems: tuple[str, ...]


class _BadRow(Exception):
    """Why one row is left out."""


def parse_csv(hot_list_id: str, content: bytes) -> ParsedList:
    """UTF-8 with a header line; columns of other names are ignored. Raises InvalidInput when the file as a whole can't be read."""
    if len(content) > MAXIMUM_BYTES:
        raise InvalidInput.one("csv", f"has {len(content)} bytes, at most {MAXIMUM_BYTES} are taken: split the list")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput.one("csv", f"is not UTF-8 at byte {error.start}") from error
    entries: dict[str, NewEntry] = {}
    problems: list[str] = []
    rejected = 0
    for line, row in _rows(text):
        try:
            entry = _entry(hot_list_id, row)
            if entry.entry_id in entries:
                raise _BadRow(f"{entry.plate} {entry.state} stands in an earlier line already")
        except _BadRow as error:
            rejected += 1
            if len(problems) < MAXIMUM_PROBLEMS:
                problems.append(f"line {line}: {error}")
            continue
        entries[entry.entry_id] = entry
    return ParsedList(tuple(entries.values()), rejected, tuple(problems))


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
        if "\0" in value or len(value) > 512:
            raise _BadRow(f"{name} holds a NUL or more than 512 characters")
    vehicle = " ".join(part for part in (row.get(name, "") for name in ("VCO", "VMA", "VMO", "LIY", "VIN")) if part)
    reason = row.get("REASON", "") or "wanted"
    source = " ".join(f"{name} {value}" for name in ("ORI", "NIC", "OCA") if (value := row.get(name, "")))
    return NewEntry(
        entry_id=derived_id("hot-list-entry", hot_list_id, plate, state, row.get("NIC", "")),
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
