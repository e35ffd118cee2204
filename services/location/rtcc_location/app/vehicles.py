"""Vehicles of public feeds: positions like any other, under a name of kind "transit" that location itself keeps in the directory."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from rtcc.location.v1 import location_pb2 as pb
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.clock import Clock
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import Exhausted, InvalidInput
from rtcc_chassis.identifiers import derived_id
from rtcc_location.app.names import TRANSIT
from rtcc_location.app.uplink import Taken, Uplink
from rtcc_location.domain.fixes import FIXED_AT, checked_of_many, microseconds
from rtcc_location.domain.live import LiveState

VEHICLES_PER_MESSAGE = 5_000
# of one agency that are known at a time; those that said nothing for a day make room
VEHICLES_PER_AGENCY = 20_000
FORGET_AFTER = timedelta(days=1)
_ID_LONGEST = 128
_LABEL_LONGEST = 40


class Directory(Protocol):
    """Where names are told to everybody."""

    async def tell(self, agency_id: str, changed: Sequence[registry_pb2.Unit], gone: Sequence[str]) -> None:
        """Durable when it returns."""


class Vehicles:
    """Takes the fetches of intake."""

    def __init__(self, names: Mirror[registry_pb2.Unit], live: LiveState, uplink: Uplink, directory: Directory, clock: Clock) -> None:
        self._names = names
        self._live = live
        self._uplink = uplink
        self._directory = directory
        self._clock = clock

    async def take(self, agency_id: str, source_id: str, vehicles: Sequence[pb.Vehicle]) -> Taken:
        """Check, name and store. Raises InvalidInput, Exhausted, Unavailable."""
        if len(vehicles) > VEHICLES_PER_MESSAGE:
            raise InvalidInput.one("vehicles", f"{len(vehicles)} in one message, at most {VEHICLES_PER_MESSAGE} are taken")
        named = [_named(agency_id, source_id, vehicle, index) for index, vehicle in enumerate(vehicles)]
        fixes = []
        for vehicle in vehicles:
            fix = pb.Fix()
            fix.CopyFrom(vehicle.fix)
            # a public feed calls for nobody's help
            fix.panic = False
            fixes.append(fix)
        checked = checked_of_many([unit.unit_id for unit in named], fixes, self._clock())
        good = set(checked.fixes.unit_ids)
        await self._name(agency_id, [unit for unit in named if unit.unit_id in good])
        await self._uplink.keep(agency_id, checked.fixes)
        return Taken(len(checked.fixes), checked.rejected, checked.reasons)

    async def _name(self, agency_id: str, units: Sequence[registry_pb2.Unit]) -> None:
        changed = {unit.unit_id: unit for unit in units if self._names.get(unit.unit_id) != unit}
        known = self._names.of_agency(agency_id)
        new = sum(1 for unit_id in changed if self._names.get(unit_id) is None)
        gone: list[str] = []
        if len(known) + new > VEHICLES_PER_AGENCY:
            gone = self._silent(known)
            if len(known) + new - len(gone) > VEHICLES_PER_AGENCY:
                raise Exhausted(f"the number of vehicles of {agency_id}", VEHICLES_PER_AGENCY)
        if changed or gone:
            await self._directory.tell(agency_id, list(changed.values()), [unit_id for unit_id in gone if unit_id not in changed])

    def _silent(self, known: Sequence[registry_pb2.Unit]) -> list[str]:
        oldest_us = microseconds(self._clock() - FORGET_AFTER)
        rows = self._live.rows_of([unit.unit_id for unit in known], [unit.agency_id for unit in known])
        fixed_at = self._live.column(FIXED_AT)[rows]
        return [unit.unit_id for unit, at in zip(known, fixed_at.tolist(), strict=True) if at < oldest_us]


def _named(agency_id: str, source_id: str, vehicle: pb.Vehicle, index: int) -> registry_pb2.Unit:
    if not 1 <= len(vehicle.vehicle_id) <= _ID_LONGEST:
        raise InvalidInput.one(f"vehicles[{index}].vehicle_id", f"must have 1 to {_ID_LONGEST} characters")
    return registry_pb2.Unit(
        unit_id=derived_id("vehicle", source_id, vehicle.vehicle_id),
        agency_id=agency_id,
        call_sign=(vehicle.label.strip() or vehicle.vehicle_id)[:_LABEL_LONGEST],
        kind=TRANSIT,
        enabled=True,
    )
