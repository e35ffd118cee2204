"""JSON in and out of /auth: strict, small, and with the field named when something is wrong."""

import json
from datetime import datetime
from typing import Any

from aiohttp import web

from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_gateway.http.door import SMALL_BODY_BYTES, read_body

_TEXT_LIMIT = 4096


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises InvalidInput for anything else, duplicate keys and lone surrogates included."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise InvalidInput.one("", "the JSON is nested too deeply") from error
    except ValueError as error:
        raise InvalidInput.one("", f"the body is not valid JSON: {str(error)[:120]}") from error
    if not isinstance(value, dict):
        raise InvalidInput.one("", "the body must be a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


async def json_body(request: web.Request) -> "Fields":
    """The body of an /auth call; an empty one is an empty object."""
    body = await read_body(request, SMALL_BODY_BYTES)
    return Fields(parse_json(body) if body.strip() else {})


class Fields:
    """Typed access to an object's members."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def text(self, name: str, default: str | None = None) -> str:
        """A text of at most 4096 characters; without `default` it must be there."""
        value = self._values.get(name, default)
        if value is None:
            raise InvalidInput([Violation(name, "is missing")])
        if not isinstance(value, str) or len(value) > _TEXT_LIMIT:
            raise InvalidInput([Violation(name, f"must be a text of at most {_TEXT_LIMIT} characters")])
        return value

    def object(self, name: str) -> dict[str, Any]:
        """A nested object."""
        value = self._values.get(name)
        if not isinstance(value, dict):
            raise InvalidInput([Violation(name, "must be an object")])
        return value


def json_response(value: object, status: int = 200) -> web.Response:
    """Never cached: it is about one person."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8", headers={"Cache-Control": "no-store"})


def time_text(moment: datetime) -> str:
    """RFC 3339 with microseconds and offset (R10)."""
    return moment.isoformat(timespec="microseconds")
