"""A JSON body read strictly: every value is asked for by type and bounds, and what is wrong names its place."""

import base64
import binascii
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from rtcc.geo.v1 import geo_pb2
from rtcc_intake.domain import NotUnderstood

MAXIMUM_DEPTH = 32
MAXIMUM_VALUES = 20_000

# RFC 3339 section 5.6; the offset is required, a local time without one is nobody's time.
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the document and where it stands ("vehicle.make", "candidates[2].plate")."""

    value: Any
    place: str = ""

    def _wrong(self, reason: str) -> NotUnderstood:
        return NotUnderstood(self.place or "document", reason)

    @property
    def present(self) -> bool:
        return self.value is not None

    def child(self, name: str) -> "Node":
        """A member of an object; a missing one is a Node that is not present."""
        place = f"{self.place}.{name}" if self.place else name
        if self.value is None:
            return Node(None, place)
        if not isinstance(self.value, dict):
            raise self._wrong(f"must be an object, is {_kind(self.value)}")
        return Node(self.value.get(name), place)

    def items(self, maximum: int) -> Iterator["Node"]:
        """The elements of a list; missing: none."""
        if self.value is None:
            return
        if not isinstance(self.value, list):
            raise self._wrong(f"must be a list, is {_kind(self.value)}")
        if len(self.value) > maximum:
            raise self._wrong(f"has {len(self.value)} elements, at most {maximum} are taken")
        for index, value in enumerate(self.value):
            yield Node(value, f"{self.place}[{index}]")

    def text(self, maximum: int, *, required: bool = False) -> str:
        """Trimmed text; missing: ""."""
        if self.value is None:
            if required:
                raise self._wrong("is missing")
            return ""
        if not isinstance(self.value, str):
            raise self._wrong(f"must be text, is {_kind(self.value)}")
        text = self.value.strip()
        if len(text) > maximum:
            raise self._wrong(f"has {len(text)} characters, at most {maximum} are taken")
        if _CONTROL.search(text):
            raise self._wrong("holds control characters")
        if required and not text:
            raise self._wrong("is empty")
        return text

    def choice(self, options: tuple[str, ...]) -> str:
        """One of the words given, in any case."""
        word = self.text(64, required=True).lower()
        if word not in options:
            raise self._wrong(f"{word[:40]!r} is not one of {', '.join(options)}")
        return word

    def number(self, minimum: float, maximum: float, *, required: bool = False, default: float = 0.0) -> float:
        """A finite number within bounds, both included."""
        if self.value is None:
            if required:
                raise self._wrong("is missing")
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self._wrong(f"must be a number, is {_kind(self.value)}")
        if not math.isfinite(self.value) or not minimum <= self.value <= maximum:
            raise self._wrong(f"{self.value!r} is not between {minimum:g} and {maximum:g}")
        return float(self.value)

    def count(self, maximum: int) -> int:
        """A whole number from 0; missing: 0."""
        number = self.number(0, maximum)
        if number != int(number):
            raise self._wrong(f"{self.value!r} is not a whole number")
        return int(number)

    def time(self) -> datetime:
        """RFC 3339 with an offset, from the year 2000 on; UTC in the answer."""
        text = self.text(40, required=True)
        if not _RFC3339.match(text):
            raise self._wrong(f"{text!r} is not an RFC 3339 time with an offset, such as 2026-03-01T12:00:00.250+02:00")
        try:
            moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self._wrong(f"{text!r} is not a time: {error}") from error
        if moment < _EARLIEST:
            raise self._wrong(f"{text!r} lies before {_EARLIEST.year}: the device has lost its clock")
        return moment

    def jpeg(self, maximum_bytes: int) -> bytes:
        """A base64 JPEG; missing: b""."""
        if self.value is None or self.value == "":
            return b""
        if not isinstance(self.value, str):
            raise self._wrong(f"must be base64 text, is {_kind(self.value)}")
        if len(self.value) > maximum_bytes * 4 // 3 + 8:
            raise self._wrong(f"is larger than {maximum_bytes} bytes")
        try:
            image = base64.b64decode(self.value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise self._wrong(f"is not base64: {error}") from error
        if len(image) > maximum_bytes:
            raise self._wrong(f"is larger than {maximum_bytes} bytes")
        if not image.startswith(b"\xff\xd8\xff"):
            raise self._wrong("is not a JPEG")
        return image


def read_document(body: bytes) -> Node:
    """The JSON object in `body` (RFC 8259, UTF-8 without NaN or lone surrogates), at most 32 levels deep and 20,000 values large."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotUnderstood(_json_place(body, error), f"is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise NotUnderstood("document", f"is nested deeper than {MAXIMUM_DEPTH} levels") from error
    if not isinstance(value, dict):
        raise NotUnderstood("document", f"must be an object, is {_kind(value)}")
    _check_bounds(value)
    return Node(value)


def _json_place(body: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as unicode_error:
        return f"byte {unicode_error.start}"
    return f"line {error.lineno} column {error.colno}"


def _check_bounds(root: Any) -> None:
    level, depth, values = [root], 0, 0
    while level:
        depth += 1
        values += len(level)
        if depth > MAXIMUM_DEPTH:
            raise NotUnderstood("document", f"is nested deeper than {MAXIMUM_DEPTH} levels")
        if values > MAXIMUM_VALUES:
            raise NotUnderstood("document", f"holds more than {MAXIMUM_VALUES} values")
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
        level = deeper


def read_coordinate(latitude: Node, longitude: Node) -> geo_pb2.Coordinate | None:
    """WGS 84 degrees; None when neither is given. 0,0 is what devices send that don't know, so it is refused."""
    if not latitude.present and not longitude.present:
        return None
    latitude_deg = latitude.number(-90, 90, required=True)
    longitude_deg = longitude.number(-180, 180, required=True)
    if latitude_deg == 0 and longitude_deg == 0:
        raise NotUnderstood(latitude.place, "0,0 means an unknown position: leave both out, or send the real one")
    return geo_pb2.Coordinate(latitude_deg=latitude_deg, longitude_deg=longitude_deg)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}.get(
        type(value), "unknown"
    )
