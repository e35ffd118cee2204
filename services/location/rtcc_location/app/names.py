"""Who moves: the units of the registry, and the vehicles of public feeds, which have no place in it."""

from collections.abc import Callable

from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.directory import Mirror

TRANSIT = "transit"


class Names:
    """Both directories as one."""

    def __init__(self, units: Mirror[registry_pb2.Unit], vehicles: Mirror[registry_pb2.Unit]) -> None:
        self.units = units
        self.vehicles = vehicles

    def get(self, unit_id: str) -> registry_pb2.Unit | None:
        """The registry's word counts first."""
        return self.units.get(unit_id) or self.vehicles.get(unit_id)

    def on_change(self, callback: Callable[[str, registry_pb2.Unit | None, registry_pb2.Unit | None], None]) -> None:
        self.units.on_change(callback)
        self.vehicles.on_change(callback)
