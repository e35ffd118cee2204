"""Which column of a CSV becomes which field, as its owner declares it; checked before the first row is read."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_identity.domain.dates import exists

MAXIMUM_COLUMNS = 200
LONGEST_VALUE = 4_000
LIST_FIELDS = frozenset({"phones", "alias_names", "cautions", "identifiers", "person_source_keys"})
DATE_FIELDS = frozenset({"birth_date", "issued_on", "expires_on", "arrested_on"})
TIME_FIELDS = frozenset({"occurred_at"})
# a format such as "M=male;F=female" translates what the source writes
WORD_FIELDS = frozenset({"sex", "severity", "status", "address_kind"})
_PLACE = ("address", "address_kind", "latitude", "longitude")

# kind -> its fields; those of REQUIRED must be mapped
FIELDS: Mapping[str, tuple[str, ...]] = {
    "person": (
        "source_key", "surname", "given_names", "full_name", "alias_names", "birth_date", "sex", "description", "phones", "cautions",
        "identifiers", *_PLACE,
    ),
    "vehicle": ("source_key", "plate", "state", "vin", "make", "model", "color", "year", "keeper_source_key", "cautions", *_PLACE),
    "warrant": (
        "source_key", "person_source_key", "number", "offence", "severity", "court", "issued_on", "expires_on", "status", "note",
    ),
    "arrest": ("source_key", "person_source_key", "number", "arrested_on", "charge", "disposition", "note", *_PLACE),
    "prior_call": ("source_key", "number", "occurred_at", "type", "outcome", "narrative", "person_source_keys", *_PLACE),
}  # fmt: skip
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "person": ("source_key",),
    "vehicle": ("source_key",),
    "warrant": ("source_key", "person_source_key", "offence"),
    "arrest": ("source_key", "person_source_key", "charge"),
    "prior_call": ("source_key", "occurred_at", "type"),
}

_PARTS = re.compile(r"YYYY|MM|DD|hh|mm|ss")
_PATTERN_OF = {"YYYY": r"(?P<Y>\d{4})", "MM": r"(?P<M>\d{1,2})", "DD": r"(?P<D>\d{1,2})", "hh": r"(?P<h>\d{1,2})", "mm": r"(?P<m>\d{2})",
               "ss": r"(?P<s>\d{2})"}  # fmt: skip


class BadValue(Exception):
    """Why one value is not taken."""


@dataclass(frozen=True, slots=True)
class Column:
    """One mapped column and how its text is read."""

    name: str
    field: str
    read: Callable[[str], str]
    separator: str = ";"


def checked_mapping(kind: str, mapping: Sequence[tuple[str, str, str]]) -> list[Column]:
    """`mapping`: (column, field, format). Raises InvalidInput with every fault."""
    wrong: list[Violation] = []
    if kind not in FIELDS:
        raise InvalidInput.one("kind", f"{kind[:40]!r} is not one of {', '.join(FIELDS)}")
    if not 1 <= len(mapping) <= MAXIMUM_COLUMNS:
        raise InvalidInput.one("mapping", f"maps 1 to {MAXIMUM_COLUMNS} columns")
    columns, taken = [], set()
    for position, (column, field, written) in enumerate(mapping):
        where = f"mapping[{position}]"
        if not column.strip() or len(column) > 200:
            wrong.append(Violation(f"{where}.column", "must name a column in at most 200 characters"))
        if field not in FIELDS[kind]:
            wrong.append(Violation(f"{where}.field", f"{field[:40]!r} is no field of a {kind}: {', '.join(FIELDS[kind])}"))
            continue
        if field in taken and field not in LIST_FIELDS:
            wrong.append(Violation(f"{where}.field", f"{field} is mapped twice"))
        taken.add(field)
        try:
            columns.append(Column(column.strip(), field, _reader(field, written), _separator(field, written)))
        except BadValue as error:
            wrong.append(Violation(f"{where}.format", str(error)))
    missing = [field for field in REQUIRED[kind] if field not in taken]
    if missing:
        wrong.append(Violation("mapping", f"a {kind} needs {', '.join(missing)}"))
    if kind == "person" and not taken & {"surname", "full_name"}:
        wrong.append(Violation("mapping", "a person needs surname or full_name"))
    if kind == "vehicle" and not taken & {"plate", "vin"}:
        wrong.append(Violation("mapping", "a vehicle needs plate or vin"))
    if wrong:
        raise InvalidInput(wrong)
    return columns


def _separator(field: str, written: str) -> str:
    if field not in LIST_FIELDS or not written:
        return ";"
    if len(written) != 1 or written.isalnum() or written.isspace():
        raise BadValue("of a list is its separator: one character that is neither letter, digit nor space")
    return written


def _reader(field: str, written: str) -> Callable[[str], str]:
    if len(written) > 200:
        raise BadValue("has more than 200 characters")
    if field in DATE_FIELDS:
        return _date_reader(written, partial=field == "birth_date")
    if field in TIME_FIELDS:
        return _time_reader(written)
    if field in WORD_FIELDS:
        return _word_reader(written)
    if written and field not in LIST_FIELDS:
        raise BadValue(f"{field} has no format: leave it empty")
    return str


def _word_reader(written: str) -> Callable[[str], str]:
    words: dict[str, str] = {}
    for pair in filter(None, written.split(";")):
        theirs, equals, ours = pair.partition("=")
        if not equals:
            raise BadValue(f"{pair[:40]!r} is not <theirs>=<ours>, such as M=male;F=female")
        words[theirs.strip().casefold()] = ours.strip()
    return lambda text: words.get(text.strip().casefold(), text.strip().lower())


def _compiled(written: str) -> re.Pattern[str]:
    pattern = "".join(_PATTERN_OF.get(part, re.escape(part)) for part in re.split(r"(YYYY|MM|DD|hh|mm|ss)", written))
    try:
        return re.compile(pattern + r"\Z")
    except re.error as error:
        raise BadValue("names a part twice") from error


def _date_reader(written: str, *, partial: bool) -> Callable[[str], str]:
    if not written:
        return str if partial else _iso_day
    if sorted(_PARTS.findall(written)) != ["DD", "MM", "YYYY"]:
        raise BadValue("of a date holds YYYY, MM and DD once each, such as DD.MM.YYYY")
    pattern = _compiled(written)

    def read(text: str) -> str:
        found = pattern.match(text)
        if found is None:
            raise BadValue(f"{text[:20]!r} is not written {written}")
        year, month, day = int(found["Y"]), int(found["M"]), int(found["D"])
        if partial and day == 0:
            # what isn't known is often written as zeros
            return f"{year:04}-{month:02}" if month else f"{year:04}"
        if year < 1 or not exists(year, month, day):
            raise BadValue(f"{text[:20]!r} is no day of the calendar")
        return f"{year:04}-{month:02}-{day:02}"

    return read


def _iso_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise BadValue(f"{text[:20]!r} is not a day such as 2026-03-14") from error


def _time_reader(written: str) -> Callable[[str], str]:
    """RFC 3339 by default; else a pattern and the IANA time zone that is meant: "DD.MM.YYYY hh:mm Europe/Helsinki"."""
    if not written:
        return _rfc_3339
    pattern_text, _, zone_name = written.rpartition(" ")
    if zone_name not in available_timezones():
        raise BadValue("of a time ends with its IANA time zone, such as DD.MM.YYYY hh:mm Europe/Helsinki")
    parts = sorted(_PARTS.findall(pattern_text))
    if parts not in (["DD", "MM", "YYYY", "hh", "mm"], ["DD", "MM", "YYYY", "hh", "mm", "ss"]):
        raise BadValue("of a time holds YYYY, MM, DD, hh, mm and perhaps ss once each")
    pattern, zone = _compiled(pattern_text), ZoneInfo(zone_name)

    def read(text: str) -> str:
        found = pattern.match(text)
        if found is None:
            raise BadValue(f"{text[:30]!r} is not written {pattern_text}")
        parts = found.groupdict()
        try:
            moment = datetime(
                int(parts["Y"]), int(parts["M"]), int(parts["D"]), int(parts["h"]), int(parts["m"]), int(parts.get("s") or 0), tzinfo=zone
            )
            return moment.astimezone(UTC).isoformat()
        except (ValueError, OverflowError) as error:
            raise BadValue(f"{text[:30]!r} is no time") from error

    return read


def _rfc_3339(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadValue(f"{text[:40]!r} is no RFC 3339 time") from error
    if moment.tzinfo is None:
        raise BadValue(f"{text[:40]!r} has no UTC offset")
    try:
        return moment.astimezone(UTC).isoformat()
    except OverflowError as error:
        raise BadValue(f"{text[:40]!r} is no time") from error
