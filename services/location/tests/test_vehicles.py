"""Vehicles of public feeds: named, bounded, kept apart by agency, and gone when they were silent for a day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rtcc.location.v1 import location_pb2 as pb
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import Exhausted, InvalidInput
from rtcc_location.app import vehicles as vehicles_module
from rtcc_location.app.vehicles import VEHICLES_PER_MESSAGE, Vehicles
from rtcc_location.domain.fixes import Fixes
from rtcc_location.domain.live import LiveState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


async def _caught_up() -> None:
    return


class Told:
    """The directory and the live state behind it, without the bus between."""

    def __init__(self) -> None:
        self.names = Mirror("vehicle", registry_pb2.Unit, _caught_up)
        self.live = LiveState()
        self.now = NOW
        self.messages = 0
        uplink: Any = self
        self.vehicles = Vehicles(self.names, self.live, uplink, self, lambda: self.now)

    async def tell(self, agency_id: str, changed: Any, gone: Any) -> None:
        self.messages += 1
        for unit in changed:
            self.names.apply(agency_id, unit.unit_id, unit.SerializeToString())
        for unit_id in gone:
            self.names.apply(agency_id, unit_id, b"")

    async def keep(self, agency_id: str, fixes: Fixes) -> None:
        self.live.apply(fixes, self.live.rows_of(fixes.unit_ids, [agency_id] * len(fixes)))

    async def take(self, *vehicles: pb.Vehicle, agency_id: str = "east", source_id: str = "s1") -> Any:
        return await self.vehicles.take(agency_id, source_id, vehicles)


def bus(number: int, label: str = "", at: datetime = NOW, latitude: float = 60.17) -> pb.Vehicle:
    vehicle = pb.Vehicle(vehicle_id=f"bus-{number}", label=label)
    vehicle.fix.fixed_at.FromDatetime(at)
    vehicle.fix.position.coordinate.latitude_deg, vehicle.fix.position.coordinate.longitude_deg = latitude, 24.94
    return vehicle


async def test_a_bus_gets_its_name_once_and_a_new_one_when_its_route_changes() -> None:
    told = Told()
    assert (await told.take(bus(1, "550"), bus(2))).accepted == 2
    assert sorted(unit.call_sign for unit in told.names) == ["550", "bus-2"]
    assert {(unit.kind, unit.agency_id, unit.enabled) for unit in told.names} == {("transit", "east", True)}
    told.now += timedelta(seconds=5)
    await told.take(bus(1, "550", told.now), bus(2, "", told.now))
    assert told.messages == 1
    await told.take(bus(1, "17", told.now))
    assert sorted(unit.call_sign for unit in told.names) == ["17", "bus-2"]


async def test_the_same_number_of_two_sources_is_two_vehicles() -> None:
    told = Told()
    await told.take(bus(1))
    await told.take(bus(1), source_id="s2")
    await told.take(bus(1), agency_id="west", source_id="s3")
    assert len(told.names) == 3
    assert len(told.names.of_agency("west")) == 1


async def test_a_bad_fix_is_refused_with_its_reason_and_leaves_no_name() -> None:
    told = Told()
    taken = await told.take(bus(1), bus(2, latitude=91), bus(3, at=NOW + timedelta(minutes=5)))
    assert (taken.accepted, taken.rejected) == (1, 2)
    assert taken.reasons[0].startswith("fixes[1]") and "off the globe" in taken.reasons[0]
    assert [unit.call_sign for unit in told.names] == ["bus-1"]


async def test_a_feed_calls_for_nobodys_help() -> None:
    told = Told()
    vehicle = bus(1)
    vehicle.fix.panic = True
    await told.take(vehicle)
    assert not told.live.panic.any()


async def test_vehicles_are_bounded_and_silent_ones_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vehicles_module, "VEHICLES_PER_AGENCY", 3)
    told = Told()
    await told.take(bus(1), bus(2), bus(3))
    with pytest.raises(Exhausted):
        await told.take(bus(4))
    told.now += timedelta(hours=25)
    await told.take(bus(3, at=told.now))
    await told.take(bus(4, at=told.now), bus(5, at=told.now))
    assert sorted(unit.call_sign for unit in told.names) == ["bus-3", "bus-4", "bus-5"]
    for vehicles in ([bus(1)] * (VEHICLES_PER_MESSAGE + 1), [pb.Vehicle()]):
        with pytest.raises(InvalidInput):
            await told.take(*vehicles)
