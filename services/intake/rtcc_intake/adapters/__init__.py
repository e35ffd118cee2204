"""One adapter a source, one file each: strict JSON in, the neutral Event out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rtcc_intake.adapters import eido, gunshot, plate_read
from rtcc_intake.document import Node
from rtcc_intake.domain import NotUnderstood, ParsedEvent


@dataclass(frozen=True, slots=True)
class Adapter:
    """`name` is what a Source in the registry says; `kind` is the event's kind and the last token of its subject."""

    name: str
    kind: str
    parse: Callable[[Node, datetime], ParsedEvent]


ADAPTERS: Mapping[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        Adapter("plate_read", "plate_read", plate_read.parse),
        Adapter("gunshot", "gunshot", gunshot.parse),
        Adapter("eido", "call_for_service", eido.parse),
    )
}


def adapter_for(name: str) -> Adapter:
    """Raises NotUnderstood for an adapter this version doesn't have: the delivery waits for one that does."""
    adapter = ADAPTERS.get(name)
    if adapter is None:
        raise NotUnderstood("source.adapter", f"there is no adapter {name!r} here; there are {', '.join(sorted(ADAPTERS))}")
    return adapter
