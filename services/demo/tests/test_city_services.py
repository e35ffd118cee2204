"""The city's own services say what intake understands, and its buses keep to the streets."""

import asyncio
import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from rtcc.event.v1 import event_pb2
from rtcc_chassis.testing import free_port, poll
from rtcc_demo.city_services import (
    FEED_PATH,
    FLOOD_CYCLE_S,
    SITES,
    CityServices,
    alarm,
    cap_message,
    vehicle_feed,
    water_level,
)
from rtcc_demo.settings import CameraServer, FeederSettings, SourceKey
from rtcc_demo.world.buses import BUS_LIMIT_MPS, BUSES_PER_LINE, LINES, Buses
from rtcc_demo.world.city import EAST
from rtcc_demo.world.geometry import Metres, distance_m
from rtcc_demo.world.streets import Street, load_streets
from rtcc_demo.world.traffic import STEP_S
from rtcc_intake.adapters import adapter_for
from rtcc_intake.adapters.gtfs_realtime import read_feed


def away_m(street: Street, at: Metres) -> float:
    return min(distance_m(street.at(along), at) for along in range(0, int(street.length_m) + 2, 2))


def test_buses_drive_from_stop_to_stop_on_real_streets() -> None:
    graph = load_streets()
    buses = Buses(graph, 1)
    assert len(buses.buses) == len(LINES) * BUSES_PER_LINE
    first = {bus.number: bus.at for bus in buses.positions()}
    stops = {bus.number: bus.next_stop for bus in buses.buses}
    rested = set()
    for _ in range(int(900 / STEP_S)):
        buses.step()
        rested |= {bus.number for bus in buses.buses if bus.next_stop != stops[bus.number]}
    assert len(rested) == len(buses.buses), "each came to its stop and went on"
    for bus, position in zip(buses.buses, buses.positions(), strict=True):
        assert away_m(bus.mover.street, position.at) < 5
        assert 0 <= position.speed_mps <= BUS_LIMIT_MPS
    assert sum(distance_m(first[bus.number], bus.at) > 20 for bus in buses.positions()) > len(first) // 2


def test_the_feed_is_gtfs_realtime_that_intake_reads() -> None:
    now = datetime.now(UTC)
    read = read_feed(vehicle_feed(Buses(load_streets(), 1).positions(), int(now.timestamp())), now)
    assert (len(read.vehicles), read.refused) == (len(LINES) * BUSES_PER_LINE, 0)
    assert {vehicle.label.split()[0] for vehicle in read.vehicles} == set(LINES)


@pytest.mark.parametrize("number", range(len(SITES)))
def test_alarms_are_understood(number: int) -> None:
    for state in ("active", "restored"):
        (parsed,) = adapter_for("alarm").parse(json.dumps(alarm("a-1", number, state)).encode(), datetime.now(UTC))
        assert parsed.event.alarm.site_name == SITES[number][0]


def test_the_water_rises_and_falls_through_all_levels() -> None:
    levels = set()
    for second in range(0, int(FLOOD_CYCLE_S), 5):
        now_s = time.time() - second
        (parsed,) = adapter_for("sensor").parse(json.dumps(water_level(now_s)).encode(), datetime.now(UTC))
        levels.add(parsed.event.measurement.level)
    assert levels == {event_pb2.MEASUREMENT_LEVEL_NORMAL, event_pb2.MEASUREMENT_LEVEL_WARNING, event_pb2.MEASUREMENT_LEVEL_CRITICAL}


def test_the_warning_and_its_end_are_understood() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    (alert,) = adapter_for("cap").parse(cap_message("w1", "Alert", now, now), now)
    (cancel,) = adapter_for("cap").parse(cap_message("w1", "Cancel", now, now + timedelta(seconds=60)), now)
    assert alert.event.warning.warning_id == cancel.event.warning.warning_id
    assert len(alert.event.warning.areas[0].polygons[0].corners) == 4


async def test_the_feed_is_served_over_http() -> None:
    port = free_port()
    sources = (SourceKey(f"{EAST}-gtfs-realtime", EAST, "gtfs_realtime", "secret"),)
    settings = FeederSettings("http://127.0.0.1:9", "", CameraServer(0, "", ""), sources, (), bus_port=port)
    counts: Counter[str] = Counter()

    def no_lane(source: SourceKey) -> None:
        raise AssertionError(source)

    task = asyncio.create_task(CityServices(settings, counts, no_lane).run())  # type: ignore[arg-type] # buses need no lane
    try:
        async with aiohttp.ClientSession() as client:

            async def fetched() -> bytes:
                try:
                    async with client.get(f"http://127.0.0.1:{port}{FEED_PATH}") as answer:
                        return await answer.read()
                except aiohttp.ClientConnectionError:
                    return b""

            body = await poll(fetched)
        assert len(read_feed(body, datetime.now(UTC)).vehicles) == len(LINES) * BUSES_PER_LINE
        assert counts["bus feed"] == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
