"""How requests are written down: their fields, and who makes the things that these name."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from proof.platform import signed_headers
from proof.world import Source, World

Builder = Callable[[World, str], Awaitable[Message]]
"""Of a world and the agency whose thing it is about."""
Maker = Callable[[World, str], Awaitable[object]]
"""Makes a thing of an agency: `World.camera`. Answers its id, or several ids."""


def asks(request: Callable[..., Message], **fields: object) -> Builder:
    """Such a request. A field given as a maker holds what is then made of the agency."""

    async def build(world: World, agency_id: str) -> Message:
        return request(**{name: await made(world, agency_id) if callable(made) else made for name, made in fields.items()})

    return build


def asks_of(make: Maker, request: Callable[..., Message], *names: str, **fields: object) -> Builder:
    """Such a request about what `make` makes: its answers are the fields `names`, in order. "" leaves one out."""

    async def build(world: World, agency_id: str) -> Message:
        made = await make(world, agency_id)
        assert isinstance(made, tuple), "this makes one thing: use asks()"
        return request(**{name: part for name, part in zip(names, made, strict=True) if name}, **fields)

    return build


def signed_body(source: Source, body: dict[str, object]) -> dict[str, Any]:
    """The fields of a delivery of a source, signed as docs/integrators/webhooks.md tells."""
    encoded = json.dumps(body).encode()
    headers = signed_headers(source.secret, encoded)
    return {
        "source_id": source.source_id, "timestamp": headers["Rtcc-Timestamp"], "delivery_id": headers["Rtcc-Delivery"],
        "signature": headers["Rtcc-Signature"], "body": encoded,
    }  # fmt: skip
