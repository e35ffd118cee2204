"""A mapping as it was declared, checked as a whole: every mistake is named with its place before the mapping is taken."""

import difflib
import math
import zoneinfo
from collections.abc import Mapping as Table
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_intake.mapping.targets import TARGETS, UNITS, Field, FieldType, Target

MAXIMUM_MAP_ENTRIES = 500
TIME_FORMATS = ("rfc3339", "unix_s", "unix_ms")
_VALUE_KEYS = ("path", "constant", "default", "map", "otherwise", "time", "time_zone", "unit", "from")
_TOP_KEYS = ("event", "each", "fields")
type Scalar = str | float | int | bool
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Value:
    """Where a field comes from. `tokens` None: it is `constant`."""

    tokens: tuple[str, ...] | None
    constant: Any = None
    default: Any = None
    translation: Table[str, Scalar] | None = None
    otherwise: Scalar | None = None
    time: str = "rfc3339"
    time_zone: str = ""
    unit: str = ""
    from_document: bool = False

    @property
    def place(self) -> str:
        """As JSON Pointer, for messages."""
        return "constant" if self.tokens is None else pointer(self.tokens)


@dataclass(frozen=True, slots=True)
class Mapping:
    """`each`: the list whose elements are one event each; None: the document is one event."""

    event: str
    fields: Table[str, Value]
    each: tuple[str, ...] | None = None

    @property
    def target(self) -> Target:
        return TARGETS[self.event]


class _Findings(list[Violation]):
    def add(self, place: str, reason: str) -> None:
        self.append(Violation(place, reason))


def checked_mapping(document: Table[str, Any]) -> Mapping:
    """Raises InvalidInput with a violation for each mistake; its field is the path in the mapping ("mapping.fields.type.map.BA")."""
    found = _Findings()
    for key in document:
        if key not in _TOP_KEYS:
            found.add(f"mapping.{key}", _unknown(key, _TOP_KEYS))
    event = document.get("event")
    target = TARGETS.get(event) if isinstance(event, str) else None
    if target is None:
        found.add("mapping.event", _unknown(event, tuple(TARGETS)) if event is not None else f"is missing: one of {', '.join(TARGETS)}")
        raise InvalidInput(found)
    each = None
    if "each" in document:
        each = _tokens(document["each"], "mapping.each", found)
    declared = document.get("fields")
    if not isinstance(declared, dict) or not declared:
        found.add("mapping.fields", "must be an object that names the fields of the event")
        raise InvalidInput(found)
    fields: dict[str, Value] = {}
    for name, spec in declared.items():
        place = f"mapping.fields.{name}"
        if name not in target.fields:
            found.add(place, f"{event} has no such field: {_unknown(name, tuple(target.fields))}")
            continue
        value = _value(spec, target.fields[name], place, found)
        if value is not None:
            fields[name] = value
    _check_complete(str(event), target, declared, found)
    if found:
        raise InvalidInput(found)
    return Mapping(str(event), fields, each)


def _check_complete(event: str, target: Target, declared: Table[str, Any], found: _Findings) -> None:
    for name, field in target.fields.items():
        if field.required and name not in declared:
            found.add(f"mapping.fields.{name}", f"is missing: a {event} can't be made without it")
    if ("lat" in declared) != ("lon" in declared):
        found.add("mapping.fields.lat", "lat and lon go together: map both or neither")


def pointer(tokens: tuple[str, ...]) -> str:
    """RFC 6901 text of the tokens."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def _tokens(text: Any, place: str, found: _Findings) -> tuple[str, ...] | None:
    if not isinstance(text, str) or len(text) > 512 or (text and not text.startswith("/")):
        found.add(place, f'{str(text)[:60]!r} is not a JSON Pointer (RFC 6901): write it as "/alarm/id" or "/list/0/id"')
        return None
    parts = tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:])
    if len(parts) > 32:
        found.add(place, "goes deeper than 32 levels")
        return None
    return parts


def _value(spec: Any, field: Field, place: str, found: _Findings) -> Value | None:
    before = len(found)
    if isinstance(spec, str):
        tokens = _tokens(spec, place, found)
        return Value(tokens) if len(found) == before else None
    if not isinstance(spec, dict):
        found.add(place, 'must be a JSON Pointer such as "/alarm/id", or an object with "path" or "constant"')
        return None
    for key in spec:
        if key not in _VALUE_KEYS:
            found.add(f"{place}.{key}", _unknown(key, _VALUE_KEYS))
    if ("path" in spec) == ("constant" in spec):
        found.add(place, 'must have either "path" or "constant"')
        return None
    tokens = _tokens(spec["path"], f"{place}.path", found) if "path" in spec else None
    if "constant" in spec:
        for key in ("default", "map", "otherwise", "from", "unit"):
            if key in spec:
                found.add(f"{place}.{key}", "makes no sense beside a constant")
    for key in ("constant", "default", "otherwise"):
        if key in spec:
            _check_scalar(spec[key], field, f"{place}.{key}", found)
    translation = _translation(spec.get("map", _MISSING), field, f"{place}.map", found)
    if "otherwise" in spec and translation is None:
        found.add(f"{place}.otherwise", 'is for values that "map" doesn\'t name: there is no "map"')
    time, time_zone = _time(spec, field, place, found)
    if spec.get("from", "element") not in ("element", "document"):
        found.add(f"{place}.from", 'must be "element" or "document"')
    unit = _unit(spec, field, place, found)
    if len(found) > before:
        return None
    return Value(
        tokens, spec.get("constant"), spec.get("default"), translation, spec.get("otherwise"), time, time_zone, unit,
        spec.get("from") == "document",
    )  # fmt: skip


def _translation(table: Any, field: Field, place: str, found: _Findings) -> dict[str, Scalar] | None:
    if table is _MISSING:
        return None
    if not isinstance(table, dict) or not 1 <= len(table) <= MAXIMUM_MAP_ENTRIES:
        found.add(place, f"must be an object of 1 to {MAXIMUM_MAP_ENTRIES} values and what they mean")
        return None
    for key, meaning in table.items():
        _check_scalar(meaning, field, f"{place}.{key}", found)
    return dict(table)


def _check_scalar(value: Any, field: Field, place: str, found: _Findings) -> None:
    if not isinstance(value, str | int | float | bool):
        found.add(place, "must be text, a number, true or false")
    elif field.type is FieldType.CHOICE and value not in field.choices:
        found.add(place, _unknown(value, field.choices))
    elif field.type is FieldType.NUMBER and (isinstance(value, bool | str) or not math.isfinite(value)):
        found.add(place, f"{value!r} is not a number")


def _time(spec: Table[str, Any], field: Field, place: str, found: _Findings) -> tuple[str, str]:
    if field.type is not FieldType.TIME:
        for key in ("time", "time_zone"):
            if key in spec:
                found.add(f"{place}.{key}", "is for times, and this field is none")
        return "rfc3339", ""
    time, zone = spec.get("time", "rfc3339"), spec.get("time_zone", "")
    if not isinstance(time, str) or not (time in TIME_FORMATS or ("%" in time and len(time) <= 64)):
        found.add(f"{place}.time", f"must be one of {', '.join(TIME_FORMATS)}, or a format such as %d.%m.%Y %H:%M:%S")
        return "rfc3339", ""
    if zone and (not isinstance(zone, str) or zone not in _zones()):
        found.add(f"{place}.time_zone", f"{str(zone)[:60]!r} is not a time zone of the IANA list, such as Europe/Helsinki")
        return time, ""
    if time in TIME_FORMATS:
        if zone:
            found.add(f"{place}.time_zone", f"{time} says its own offset")
        return time, ""
    try:
        said = datetime.strptime(datetime(2026, 3, 1, 12).strftime(time), time)
    except ValueError as error:
        found.add(f"{place}.time", f"{time!r} can't be read back: {error}")
        return time, str(zone)
    if said.year != 2026 or said.month != 3 or said.day != 1:
        found.add(f"{place}.time", f"{time!r} leaves out the year, the month or the day")
    if not zone and "%z" not in time:
        found.add(f"{place}.time_zone", f"is missing: {time!r} has no offset, so whose time is it?")
    return time, str(zone)


def _zones() -> set[str]:
    return zoneinfo.available_timezones()


def _unit(spec: Table[str, Any], field: Field, place: str, found: _Findings) -> str:
    unit = spec.get("unit", "")
    if not unit:
        return ""
    if field.type is not FieldType.NUMBER or not field.unit:
        found.add(f"{place}.unit", "this field has no unit")
        return ""
    fitting = tuple(name for name, (into, _, _) in UNITS.items() if field.unit in ("*", into))
    if unit not in fitting:
        found.add(f"{place}.unit", _unknown(unit, fitting))
        return ""
    return str(unit)


def _unknown(word: object, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(word), known, 1, 0.6)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{str(word)[:40]!r} is not known{meant}: one of {', '.join(known)}"
