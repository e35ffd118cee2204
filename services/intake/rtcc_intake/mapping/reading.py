"""A document read by a mapping: values by JSON Pointer, translated, and then checked by the neutral reader like any other."""

import math
import re
import zoneinfo
from datetime import UTC, datetime
from typing import Any

from rtcc_intake.document import Node
from rtcc_intake.domain import NotUnderstood, ParsedEvent
from rtcc_intake.mapping.declaration import Mapping, Value, pointer
from rtcc_intake.mapping.targets import UNITS, Field, FieldType

MAXIMUM_EVENTS = 500
_NUMBER = re.compile(r"[+-]?\d{1,20}([.,]\d{1,20})?([eE][+-]?\d{1,3})?\Z")


def read_mapped(mapping: Mapping, document: Node, received_at: datetime) -> list[ParsedEvent]:
    """All events of the document, or NotUnderstood with the JSON Pointer of what is wrong: half a document is never taken."""
    if mapping.each is None:
        return [_event(mapping, document.value, document.value, "", received_at)]
    elements = _found(document.value, mapping.each)
    place = pointer(mapping.each) or "document"
    if elements is None:
        raise NotUnderstood(place, "is missing: the mapping takes one event of each of its elements")
    if not isinstance(elements, list):
        raise NotUnderstood(place, "must be a list: the mapping takes one event of each of its elements")
    if len(elements) > MAXIMUM_EVENTS:
        raise NotUnderstood(place, f"has {len(elements)} elements, at most {MAXIMUM_EVENTS} are taken")
    root = pointer(mapping.each)
    return [_event(mapping, document.value, element, f"{root}/{index}", received_at) for index, element in enumerate(elements)]


def _event(mapping: Mapping, document: Any, element: Any, root: str, received_at: datetime) -> ParsedEvent:
    neutral: dict[str, Any] = {}
    places: dict[str, str] = {}
    for name, value in mapping.fields.items():
        places[name] = value.place if value.tokens is None else ("" if value.from_document else root) + value.place
        found = value.constant if value.tokens is None else _found(document if value.from_document else element, value.tokens)
        translated = _translated(value, mapping.target.fields[name], found, f"{places[name]} ({name})")
        if translated is None:
            continue
        *parents, last = name.split(".")
        inner = neutral
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = translated
        if value.unit and mapping.target.fields[name].unit == "*":
            neutral.setdefault("unit", UNITS[value.unit][0])
    try:
        return mapping.target.parse(Node(neutral), received_at)
    except NotUnderstood as error:
        raise NotUnderstood(f"{places.get(error.place, root or 'document')} ({error.place})", error.reason) from error


def _found(value: Any, tokens: tuple[str, ...]) -> Any:
    """RFC 6901, section 4; None where there is nothing."""
    for token in tokens:
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list) and token.isascii() and token.isdigit() and len(token) < 7 and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value


def _translated(value: Value, field: Field, found: Any, place: str) -> Any:
    if value.translation is not None and found is not None:
        key = _word(found, place)
        if key not in value.translation and value.otherwise is None:
            raise NotUnderstood(place, f'{key[:40]!r} is not in "map", and there is no "otherwise"')
        return value.translation.get(key, value.otherwise)
    if found is None or found == "":
        found = value.default
        if found is None:
            return None
    if field.type is FieldType.TIME:
        return _time(value, found, place)
    if field.type is FieldType.NUMBER:
        number = _number(found, place)
        _, factor, offset = UNITS[value.unit] if value.unit else ("", 1.0, 0.0)
        return number * factor + offset if value.unit else number
    return _word(found, place)


def _word(value: Any, place: str) -> str:
    """Text; numbers and truth values as JSON writes them, for sources whose ids and codes are numbers."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise NotUnderstood(place, "must be text or a number, is a list or an object")


def _number(value: Any, place: str) -> float:
    if isinstance(value, str) and _NUMBER.match(value.strip()):
        # a decimal comma, as in half of Europe's exports
        value = float(value.strip().replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or not math.isfinite(value):
        raise NotUnderstood(place, f"{str(value)[:40]!r} is not a number")
    return value


def _time(value: Value, found: Any, place: str) -> str:
    try:
        if value.time == "rfc3339":
            return _word(found, place)
        if value.time in ("unix_s", "unix_ms"):
            seconds = _number(found, place) / (1000 if value.time == "unix_ms" else 1)
            return datetime.fromtimestamp(seconds, UTC).isoformat()
        moment = datetime.strptime(_word(found, place), value.time)
        zone = zoneinfo.ZoneInfo(value.time_zone) if value.time_zone else None
        return (moment.replace(tzinfo=zone) if zone is not None else moment).astimezone(UTC).isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise NotUnderstood(place, f"{str(found)[:40]!r} is not a time written as {value.time}") from error
