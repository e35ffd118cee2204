"""What would change: two readings of one delivery, field by field."""

from collections.abc import Iterator

from google.protobuf.json_format import MessageToDict

from rtcc.event.v1 import event_pb2


def differences(before: event_pb2.Event | None, after: event_pb2.Event | None) -> list[tuple[str, str, str]]:
    """(field, before, after) of every leaf that differs; an event that is missing has no fields."""
    old, new = (dict(_leaves(_tree(event))) for event in (before, after))
    return [(name, old.get(name, ""), new.get(name, "")) for name in sorted({*old, *new}) if old.get(name, "") != new.get(name, "")]


def _tree(event: event_pb2.Event | None) -> object:
    return {} if event is None else MessageToDict(event, preserving_proto_field_name=True)


def _leaves(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{index}]")
    else:
        yield place, str(value)
