"""HTTP <-> protobuf: the JSON mapping of ProtoJSON, query parameters by dotted field names, path segments as fields."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from rtcc_chassis.errors import InvalidInput
from rtcc_gateway.http.json_bodies import parse_json

_LARGE_BYTES = 64 * 1024
_DEPTH = 20
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_INTEGERS = frozenset({
    FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_FIXED64,
})  # fmt: skip


def request_message(
    message_type: type[Message], *, path_fields: Mapping[str, str], query: Sequence[tuple[str, str]], body: bytes, has_body: bool
) -> Message:
    """Build a request. Path wins over body; an unknown name is refused. Raises InvalidInput with the field named."""
    descriptor = cast(Descriptor, message_type.DESCRIPTOR)
    values: dict[str, Any] = {}
    if has_body:
        if query:
            raise InvalidInput.one(query[0][0], "this path takes its fields in the JSON body")
        values = parse_json(body) if body.strip() else {}
    else:
        for name, text in query:
            _put(descriptor, values, name, text, from_query=True)
    for name, text in path_fields.items():
        _put(descriptor, values, name, text, from_query=False)
    message = message_type()
    try:
        json_format.ParseDict(values, message, max_recursion_depth=_DEPTH)
    except json_format.ParseError as error:
        raise InvalidInput.one(_field_of(str(error)), str(error)[:300]) from error
    except (ValueError, TypeError, OverflowError, RecursionError, AttributeError, KeyError) as error:
        # json_format lets a few malformed values through to the message itself
        raise InvalidInput.one("", f"a value has the wrong type or range: {str(error)[:200]}") from error
    return message


def _put(descriptor: Descriptor, values: dict[str, Any], name: str, text: str, *, from_query: bool) -> None:
    parts = name.split(".")
    place: Any = values
    for index, part in enumerate(parts):
        field = descriptor.fields_by_name.get(part)
        if field is None:
            raise InvalidInput.one(name[:80], "there is no such field")
        last = index == len(parts) - 1
        if last:
            _set(field, place, part, _convert(field, name, text), from_query=from_query)
            return
        if field.type != FieldDescriptor.TYPE_MESSAGE or field.is_repeated:
            raise InvalidInput.one(name[:80], "there is no such field")
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise InvalidInput.one(part, "must be an object")
        descriptor = cast(Descriptor, field.message_type)


def _set(field: FieldDescriptor, place: dict[str, Any], part: str, value: Any, *, from_query: bool) -> None:
    if field.is_repeated:
        place.setdefault(part, []).append(value)
    elif from_query and part in place:
        raise InvalidInput.one(part, "is given twice")
    else:
        place.pop(field.json_name, None)
        place[part] = value


def _convert(field: FieldDescriptor, name: str, text: str) -> Any:
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text.lower() not in _TRUTH:
            raise InvalidInput.one(name, "must be true or false")
        return _TRUTH[text.lower()]
    if field.type in _INTEGERS:
        if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 20:
            raise InvalidInput.one(name, "must be a whole number")
        return int(text)
    return text


def _field_of(problem: str) -> str:
    """json_format names the field as `Failed to parse a.b field: ...` or `... has no field named "x" at "M.y"`."""
    for before, after in (("Failed to parse ", " field"), ('no field named "', '"')):
        if before in problem:
            return problem.split(before, 1)[1].split(after, 1)[0][:80]
    return ""


async def response_json(message: Message) -> bytes:
    """UTF-8 JSON; large answers are made off the event loop."""
    if message.ByteSize() > _LARGE_BYTES:
        return await asyncio.to_thread(_json, message)
    return _json(message)


def _json(message: Message) -> bytes:
    value = json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
