"""Runs the simulated city on the wall clock and lets its devices report."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp

from rtcc_demo.city_services import CityServices
from rtcc_demo.delivery import Fix, Hook, Lane, open_session
from rtcc_demo.messages import Wording, encode_body
from rtcc_demo.render.plate_image import render_plate_image
from rtcc_demo.settings import Adapter, FeederSettings
from rtcc_demo.tip_form import TipTellers
from rtcc_demo.world.plate_reading import PlateRead
from rtcc_demo.world.simulation import CallMessage, City, GunshotMessage, Happening, TipTold, UnitFix
from rtcc_demo.world.sky import AircraftSeen, DroneFix
from rtcc_demo.world.traffic import STEP_S

log = logging.getLogger("rtcc_demo")

FIX_LANES = 6
FIXES_KEPT = 1_200
DELIVERIES_KEPT = 500
LONGEST_CATCH_UP_S = 3.0
REPORT_INTERVAL_S = 60.0


class Feeders:
    """All devices of the demo but the cameras' streams. Several units share a lane: each unit's fixes stay in order."""

    def __init__(self, settings: FeederSettings, session: aiohttp.ClientSession, wording: Wording) -> None:
        self.counts: Counter[str] = Counter()
        self._reads: asyncio.Queue[PlateRead] = asyncio.Queue()
        self._city = City(settings.seed, settings.civil_vehicles)
        self._wording = wording
        self._fix_interval_s = settings.fix_interval_s
        self._last_fix_s: dict[str, float] = {}
        self._sources = {(source.agency_id, source.adapter): source for source in settings.sources}
        self._hooks = {
            source.source_id: Lane(session, f"{source.adapter} of {source.agency_id}", DELIVERIES_KEPT, self.counts)
            for source in settings.sources
        }
        self._services = CityServices(settings, self.counts, lambda source: self._hooks[source.source_id])
        self._tips = TipTellers(session, self.counts)
        self._keys = {device.device_id: device.key for device in settings.devices}
        self._fix_lanes = [Lane(session, f"trackers {number}", FIXES_KEPT, self.counts) for number in range(FIX_LANES)]
        self._lane_of = {device.device_id: self._fix_lanes[index % FIX_LANES] for index, device in enumerate(settings.devices)}

    async def run(self) -> None:
        """Feeds until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for lane in [*self._hooks.values(), *self._fix_lanes]:
                tasks.create_task(lane.run())
            tasks.create_task(self._tips.run())
            tasks.create_task(self._services.run())
            tasks.create_task(self._report())
            tasks.create_task(self._draw_reads())
            async for step_late_s in _beats(STEP_S):
                if step_late_s:
                    self._wording.shift(step_late_s)
                for happening in self._city.step():
                    self.feed(happening)

    def feed(self, happening: Happening) -> None:
        """Lets the device concerned report a happening."""
        match happening:
            case UnitFix():
                self._feed_fix(happening)
            case PlateRead():
                self._reads.put_nowait(happening)
            case GunshotMessage():
                self._deliver(happening.agency_id, "gunshot", self._wording.gunshot(happening))
            case DroneFix():
                self._deliver(happening.agency_id, "remote_id", self._wording.drone(happening), door="airspace")
            case AircraftSeen():
                self._deliver(happening.agency_id, "adsb", self._wording.aircraft(happening), door="airspace")
            case TipTold():
                self._tips.put(happening)
            case CallMessage():
                self._deliver(happening.agency_id, "eido", self._wording.call(happening))

    def _feed_fix(self, fix: UnitFix) -> None:
        device_id = fix.unit.device_id
        key = self._keys.get(device_id)
        if key is None or fix.fixed_s - self._last_fix_s.get(device_id, -1e9) < self._fix_interval_s - 0.01:
            return
        self._last_fix_s[device_id] = fix.fixed_s
        self._lane_of[device_id].put(Fix(self._wording.fix(fix, key)))

    def _deliver(self, agency_id: str, adapter: Adapter, message: tuple[str, dict[str, object]], door: str = "hooks") -> None:
        source = self._sources.get((agency_id, adapter))
        if source:
            delivery_id, body = message
            self._hooks[source.source_id].put(Hook(source.source_id, source.secret, delivery_id, encode_body(body), door))

    async def _draw_reads(self) -> None:
        """Adds the evidence pictures, in a thread: drawing one takes longer than a picture of a stream may be late."""
        while True:
            read = await self._reads.get()
            jpeg = await asyncio.to_thread(render_plate_image, read)
            self._deliver(read.camera.agency_id, "plate_read", self._wording.plate_read(read, jpeg))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            log.info("sent so far: %s", ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items())) or "nothing")


async def _beats(interval_s: float) -> AsyncIterator[float]:
    """One beat each interval by the wall clock. Yields how many seconds were skipped: after a long stop, time isn't made up for."""
    next_s = time.monotonic()
    while True:
        next_s += interval_s
        late_s = time.monotonic() - next_s
        skipped_s = late_s if late_s > LONGEST_CATCH_UP_S else 0.0
        next_s += skipped_s
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        yield skipped_s


@contextlib.asynccontextmanager
async def open_feeders(settings: FeederSettings) -> AsyncIterator[Feeders]:
    """Feeders with a client session of their own."""
    began_at = datetime.now(UTC)
    async with open_session(settings.gateway_url, settings.certificate_authority) as session:
        yield Feeders(settings, session, Wording(began_at, f"{int(began_at.timestamp()):x}"))
