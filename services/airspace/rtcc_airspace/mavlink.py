"""Own drones by MAVLink (https://mavlink.io): listens to their telemetry, sends them nothing but a ground station's heartbeat.

`mavsdk` carries a library of 19 MB: it is loaded only where a link is set.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_airspace.app.receiving import MAVLINK, Find, Receiving
from rtcc_airspace.domain.observations import (
    FLAGS,
    HEADING,
    HEIGHT,
    ON_GROUND,
    PILOT_LATITUDE,
    PILOT_LONGITUDE,
    PILOT_PLACE,
    SPEED,
    VERTICAL,
    Identity,
    Observations,
    Refusals,
    Subject,
    blank_row,
    microseconds,
)
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError

_LOG = logging.getLogger(__name__)
_LOOK_FOR_DRONES_S = 0.5
# vehicles tell up to 50 positions a second; the map needs no more than these
_SIGHTING_EVERY_S = 0.2
_AGAIN_S = 5.0
# slower than this a course over ground is noise
_COURSE_FROM_MPS = 0.5


@dataclass(slots=True)
class Telemetry:
    """The newest of what a drone tells besides its position."""

    north_mps: float = math.nan
    east_mps: float = math.nan
    down_mps: float = math.nan
    home: tuple[float, float] | None = None
    on_ground: bool = False


class MavlinkLinks:
    """`links`: source id -> connection URL of mavsdk, such as udpin://0.0.0.0:14550."""

    def __init__(self, links: Mapping[str, str], receiving: Receiving, find: Find, clock: Clock) -> None:
        self._links = links
        self._receiving = receiving
        self._find = find
        self._clock = clock

    async def run(self) -> None:
        """All links, for ever."""
        async with asyncio.TaskGroup() as group:
            for source_id, url in self._links.items():
                group.create_task(self._keep(source_id, url), name=f"mavlink {source_id}")

    async def _keep(self, source_id: str, url: str) -> None:
        while True:
            try:
                await self._listen(source_id, url)
            except RtccError as error:
                _LOG.warning("mavlink link of source %s: %s", source_id, error.message)
            except Exception as error:
                # the library has error classes of its own for a port that is taken or a device that is gone
                _LOG.warning("mavlink link %s of source %s failed, trying again: %s", url, source_id, error)
            await asyncio.sleep(_AGAIN_S)

    async def _listen(self, source_id: str, url: str) -> None:
        from mavsdk.asyncio import ComponentType, Configuration, Mavsdk
        from mavsdk.logging import log_subscribe

        log_subscribe(_log_as_ours)
        async with Mavsdk(Configuration.create_with_component_type(ComponentType.GROUND_STATION)) as library:
            await library.add_any_connection(url)
            followed: dict[int, asyncio.Task[None]] = {}
            try:
                while True:
                    for system in await library.get_systems():
                        number = await system.get_system_id()
                        if number not in followed and await system.has_autopilot():
                            followed[number] = asyncio.create_task(self._follow(source_id, number, system))
                    await asyncio.sleep(_LOOK_FOR_DRONES_S)
                    for number, task in list(followed.items()):
                        if task.done():
                            task.result()
                            del followed[number]
            finally:
                for task in followed.values():
                    task.cancel()
                await asyncio.gather(*followed.values(), return_exceptions=True)

    async def _follow(self, source_id: str, system_id: int, system: Any) -> None:
        from mavsdk.asyncio.plugins.telemetry import TelemetryAsync

        plugin, told = TelemetryAsync(system), Telemetry()
        helpers = [
            asyncio.create_task(_each(plugin.subscribe_velocity_ned(), lambda velocity: _take_velocity(told, velocity))),
            asyncio.create_task(_each(plugin.subscribe_home(), lambda home: _take_home(told, home))),
            asyncio.create_task(_each(plugin.subscribe_in_air(), lambda in_air: _take_in_air(told, in_air))),
        ]
        next_at = 0.0
        loop = asyncio.get_running_loop()
        try:
            async with contextlib.aclosing(plugin.subscribe_position()) as positions:
                async for position in positions:
                    if loop.time() < next_at:
                        continue
                    next_at = loop.time() + _SIGHTING_EVERY_S
                    await self._sighted(source_id, system_id, position, told)
        finally:
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _sighted(self, source_id: str, system_id: int, position: Any, told: Telemetry) -> None:
        source = self._find(source_id)
        if source is None or not source.enabled or source.adapter != MAVLINK:
            return
        observations = sighting(source_id, system_id, position, told, microseconds(self._clock()))
        if observations is not None:
            try:
                await self._receiving.take_sightings(source, observations, Refusals())
            except RtccError as error:
                # the next position comes in a moment
                _LOG.warning("a position of own drone %d: %s", system_id, error.message)


def sighting(source_id: str, system_id: int, position: Any, told: Telemetry, now_us: int) -> Observations | None:
    """None without a fix. MAVLink's altitude is above mean sea level, not the ellipsoid: only the height above home is told on."""
    places = (position.latitude_deg, position.longitude_deg)
    if not all(math.isfinite(value) for value in places) or places == (0, 0) or abs(places[0]) > 90 or abs(places[1]) > 180:
        return None
    row = blank_row(round(places[0] * 1e7), round(places[1] * 1e7), now_us, now_us)
    if math.isfinite(position.relative_altitude_m):
        row[HEIGHT] = round(position.relative_altitude_m * 10)
    if math.isfinite(told.north_mps) and math.isfinite(told.east_mps):
        speed = math.hypot(told.north_mps, told.east_mps)
        row[SPEED] = min(65_000, round(speed * 100))
        if speed >= _COURSE_FROM_MPS:
            row[HEADING] = round(math.degrees(math.atan2(told.east_mps, told.north_mps)) * 100) % 36_000
    if math.isfinite(told.down_mps):
        row[VERTICAL] = round(-told.down_mps * 100)
    if told.home is not None:
        row[PILOT_LATITUDE], row[PILOT_LONGITUDE] = (round(value * 1e7) for value in told.home)
        row[PILOT_PLACE] = pb.PILOT_PLACE_TAKE_OFF
    row[FLAGS] = ON_GROUND if told.on_ground else 0
    subject = Subject(
        f"own:{source_id}:{system_id}",
        pb.TRACK_KIND_OWN_DRONE,
        Identity(call_sign=f"drone {system_id}", aircraft_type="own drone"),
        source_id,
    )
    return Observations.of([subject.key], [row], {subject.key: subject})


def _log_as_ours(level: int, message: str, file: str | None, line: int) -> bool:
    """The library's words go into the service's log, not in colours to standard output; True: they are taken."""
    _LOG.log((logging.DEBUG, logging.DEBUG, logging.WARNING, logging.ERROR)[level], "mavsdk: %s", message)
    return True


async def _each(values: AsyncGenerator[Any, None], take: Callable[[Any], None]) -> None:
    async with contextlib.aclosing(values):
        async for value in values:
            take(value)


def _take_velocity(told: Telemetry, velocity: Any) -> None:
    told.north_mps, told.east_mps, told.down_mps = velocity.north_m_s, velocity.east_m_s, velocity.down_m_s


def _take_home(told: Telemetry, home: Any) -> None:
    if math.isfinite(home.latitude_deg) and math.isfinite(home.longitude_deg):
        told.home = (home.latitude_deg, home.longitude_deg)


def _take_in_air(told: Telemetry, in_air: bool) -> None:
    told.on_ground = not in_air
