"""The directory: what registry decides, mirrored into every process. Subject directory.<type>.<agency>.<id>, empty body = deleted."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf.message import DecodeError, Message

from rtcc_chassis.bus import Bus
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.streams import DIRECTORY

_LOG = logging.getLogger(__name__)


class Mirror[M: Message]:
    """All current objects of one type. Reading is free; a change is seen within milliseconds."""

    def __init__(self, type_name: str, message_type: type[M], caught_up: Callable[[], Any]) -> None:
        self.type_name = type_name
        self._message_type = message_type
        self._caught_up = caught_up
        self._objects: dict[str, M] = {}
        self._by_agency: dict[str, dict[str, M]] = defaultdict(dict)
        self._callbacks: list[Callable[[str, M | None, M | None], None]] = []

    def get(self, identifier: str) -> M | None:
        return self._objects.get(identifier)

    def values(self) -> list[M]:
        return list(self._objects.values())

    def of_agency(self, agency_id: str) -> list[M]:
        return list(self._by_agency.get(agency_id, {}).values())

    def __iter__(self) -> Iterator[M]:
        return iter(self.values())

    def __len__(self) -> int:
        return len(self._objects)

    def on_change(self, callback: Callable[[str, M | None, M | None], None]) -> None:
        """`callback(id, old, new)` after each change, in the event loop; None stands for absent. Must be quick."""
        self._callbacks.append(callback)

    async def ready(self) -> None:
        """Wait until the mirror holds what stood in the directory when this process started."""
        await self._caught_up()

    def apply(self, agency_id: str, identifier: str, data: bytes) -> None:
        """One directory message. A body that is none is logged and ignored: the last good value stays."""
        old = self._objects.get(identifier)
        new: M | None = None
        if data:
            try:
                new = self._message_type.FromString(data)
            except DecodeError:
                _LOG.error("directory: %s %s can't be read", self.type_name, identifier)
                return
        if new is None:
            self._objects.pop(identifier, None)
            self._by_agency[agency_id].pop(identifier, None)
        else:
            self._objects[identifier] = new
            self._by_agency[agency_id][identifier] = new
        for callback in self._callbacks:
            try:
                callback(identifier, old, new)
            except Exception:
                _LOG.exception("directory: a callback for %s failed", self.type_name)


class Directory:
    """One reader of the stream for the whole process; ask for mirrors before `start`."""

    def __init__(self, bus: Bus) -> None:
        self._mirrors: dict[str, Mirror[Any]] = {}
        self._seen: dict[str, dict[tuple[str, str], bytes]] = defaultdict(dict)
        self._tail = bus.tail(DIRECTORY, ["directory.>"], self._on_batch, start="last_per_subject")

    def mirror[M: Message](self, type_name: str, message_type: type[M]) -> Mirror[M]:
        """The mirror of a type; the same object for every caller in the process."""
        mirror = self._mirrors.get(type_name)
        if mirror is None:
            mirror = self._mirrors[type_name] = Mirror(type_name, message_type, self._tail.caught_up)
            for (agency_id, identifier), data in self._seen.pop(type_name, {}).items():
                mirror.apply(agency_id, identifier, data)
        return mirror

    async def run(self) -> None:
        """Follow the directory for ever."""
        await self._tail.run()

    async def _on_batch(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            parts = delivery.subject.split(".", 3)
            if len(parts) != 4:
                continue
            _, type_name, agency_id, identifier = parts
            mirror = self._mirrors.get(type_name)
            if mirror is not None:
                mirror.apply(agency_id, identifier, delivery.data)
            else:
                # nobody asked for this type yet: kept so that a later mirror starts complete
                self._seen[type_name][agency_id, identifier] = delivery.data
