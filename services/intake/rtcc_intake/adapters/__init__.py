"""One adapter a source, one file each: a foreign body in, neutral events out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rtcc_intake.adapters import alarm, cap, cot, eido, gunshot, plate_read, sensor, tip
from rtcc_intake.document import Node, read_document
from rtcc_intake.domain import GTFS_REALTIME, MAPPED, NotUnderstood, ParsedEvent


@dataclass(frozen=True, slots=True)
class Adapter:
    """`name` is what a Source in the registry says; `kind` is the events' kind and the last token of their subject.

    `parse(body, received_at)` gives no event for traffic that tells nothing, and raises NotUnderstood.
    """

    name: str
    kind: str
    parse: Callable[[bytes, datetime], list[ParsedEvent]]


def _json(parse: Callable[[Node, datetime], ParsedEvent]) -> Callable[[bytes, datetime], list[ParsedEvent]]:
    def read(body: bytes, received_at: datetime) -> list[ParsedEvent]:
        return [parse(read_document(body), received_at)]

    return read


ADAPTERS: Mapping[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        Adapter("alarm", "alarm", _json(alarm.parse)),
        Adapter("cap", "warning", cap.parse),
        Adapter("cot", "marker", cot.parse),
        Adapter("eido", "call_for_service", _json(eido.parse)),
        Adapter("gunshot", "gunshot", _json(gunshot.parse)),
        Adapter("plate_read", "plate_read", _json(plate_read.parse)),
        Adapter("sensor", "measurement", _json(sensor.parse)),
        Adapter("tip", "tip", _json(tip.parse)),
    )
}


def is_ours(name: str) -> bool:
    """Whether intake takes what such a source says; receivers of drones and aircraft are airspace's."""
    return name in ADAPTERS or name in (MAPPED, GTFS_REALTIME)


def adapter_for(name: str) -> Adapter:
    """Raises NotUnderstood for an adapter this version doesn't have: the delivery waits for one that does."""
    adapter = ADAPTERS.get(name)
    if adapter is None:
        known = ", ".join(sorted([*ADAPTERS, MAPPED, GTFS_REALTIME]))
        raise NotUnderstood("source.adapter", f"there is no adapter {name!r} for what is delivered here; there are {known}")
    return adapter
