"""What a city's own services tell: buses by GTFS-Realtime, an alarm panel and a water sensor over MQTT, a warning by CAP."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

import aiomqtt
from aiohttp import web

from rtcc_demo.delivery import Hook, Lane
from rtcc_demo.settings import FeederSettings, SourceKey
from rtcc_demo.world.buses import Buses, BusPosition
from rtcc_demo.world.geometry import to_degrees
from rtcc_demo.world.streets import load_streets
from rtcc_demo.world.traffic import STEP_S

log = logging.getLogger("rtcc_demo")

FEED_PATH = "/vehicle-positions.pb"
ALARM_EVERY_S = 240.0
FIRST_ALARM_S = 40.0
ALARM_LASTS_S = 90.0
MEASURE_EVERY_S = 15.0
FLOOD_CYCLE_S = 900.0
WARNING_EVERY_S = 1_200.0
WARNING_LASTS_S = 600.0
FIRST_WARNING_S = 60.0
MQTT_AGAIN_S = 5.0
SITES = (
    ("Corner shop Kruununhaka", "burglary", "Back door", 60.17281, 24.95562),
    ("Jeweller at the market", "robbery", "Counter button", 60.16802, 24.95301),
    ("Pharmacy Kaisaniemi", "panic", "Till 2", 60.17096, 24.94705),
    ("School on the hill", "fire", "Corridor 2B", 60.17371, 24.95811),
)
"""Invented premises: name, kind of alarm, zone, latitude, longitude."""


class CityServices:
    """Runs what the settings have a source for. `counts` is shared with the other feeders."""

    def __init__(self, settings: FeederSettings, counts: Counter[str], lane: Callable[[SourceKey], Lane]) -> None:
        self._settings = settings
        self._counts = counts
        self._sources = {source.adapter: source for source in settings.sources}
        self._lane = lane
        self._buses = Buses(load_streets(), settings.seed)
        self._run = f"{int(time.time()):x}"

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            if self._settings.bus_port and "gtfs_realtime" in self._sources:
                tasks.create_task(self._drive())
                tasks.create_task(self._serve_feed())
            if self._settings.mqtt_port:
                for adapter, work in (("alarm", self._alarms), ("sensor", self._measure)):
                    if adapter in self._sources:
                        tasks.create_task(self._over_mqtt(self._sources[adapter], work))
            if "cap" in self._sources:
                tasks.create_task(self._warn(self._sources["cap"]))

    # -- buses ---------------------------------------------------------------------------------------------------------

    async def _drive(self) -> None:
        while True:
            self._buses.step()
            await asyncio.sleep(STEP_S)

    async def _serve_feed(self) -> None:
        async def feed(request: web.Request) -> web.Response:
            self._counts["bus feed"] += 1
            return web.Response(body=vehicle_feed(self._buses.positions(), int(time.time())), content_type="application/x-protobuf")

        application = web.Application()
        application.router.add_get(FEED_PATH, feed)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._settings.bus_port).start()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    # -- MQTT ----------------------------------------------------------------------------------------------------------

    async def _over_mqtt(self, source: SourceKey, work: Callable[[aiomqtt.Client, str], Awaitable[None]]) -> None:
        """A device that comes back by itself; what it wanted to say meanwhile is lost, as with most of them."""
        while True:
            try:
                async with aiomqtt.Client(
                    "127.0.0.1", self._settings.mqtt_port, username=source.source_id, password=source.secret, identifier=source.source_id
                ) as client:
                    await work(client, f"source/{source.source_id}/event")
            except aiomqtt.MqttError as error:
                self._counts["mqtt broken"] += 1
                log.info("MQTT of %s: %s, trying again", source.source_id, error)
            await asyncio.sleep(MQTT_AGAIN_S)

    async def _alarms(self, client: aiomqtt.Client, topic: str) -> None:
        await asyncio.sleep(FIRST_ALARM_S)
        for number in _counted():
            for state, pause_s in (("active", ALARM_LASTS_S), ("restored", ALARM_EVERY_S - ALARM_LASTS_S)):
                await client.publish(topic, json.dumps(alarm(f"{self._run}-{number}", number, state)), qos=1)
                self._counts["alarm"] += 1
                await asyncio.sleep(pause_s)

    async def _measure(self, client: aiomqtt.Client, topic: str) -> None:
        while True:
            await client.publish(topic, json.dumps(water_level(time.time())), qos=1)
            self._counts["measurement"] += 1
            await asyncio.sleep(MEASURE_EVERY_S)

    # -- CAP -----------------------------------------------------------------------------------------------------------

    async def _warn(self, source: SourceKey) -> None:
        lane = self._lane(source)
        await asyncio.sleep(FIRST_WARNING_S)
        for number in _counted():
            sent_at = datetime.now(UTC).replace(microsecond=0)
            identifier = f"{self._run}-smoke-{number}"
            for message_type, pause_s in (("Alert", WARNING_LASTS_S), ("Cancel", WARNING_EVERY_S - WARNING_LASTS_S)):
                body = cap_message(identifier, message_type, sent_at, datetime.now(UTC).replace(microsecond=0))
                lane.put(Hook(source.source_id, source.secret, f"{identifier}-{message_type.lower()}", body))
                await asyncio.sleep(pause_s)


def _counted() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def vehicle_feed(positions: list[BusPosition], now_s: int) -> bytes:
    """A FeedMessage of GTFS-Realtime 2.0 with a VehiclePosition for each bus."""
    from google.transit.gtfs_realtime_pb2 import FeedMessage

    feed = FeedMessage()
    feed.header.gtfs_realtime_version = "2.0"
    feed.header.timestamp = now_s
    for bus in positions:
        vehicle = feed.entity.add(id=f"bus-{bus.number}").vehicle
        vehicle.vehicle.id, vehicle.vehicle.label, vehicle.trip.route_id = f"bus-{bus.number}", str(bus.number), bus.line
        vehicle.timestamp = now_s
        longitude, latitude = to_degrees(bus.at)
        vehicle.position.latitude, vehicle.position.longitude = latitude, longitude
        vehicle.position.bearing, vehicle.position.speed = bus.heading_deg % 360, bus.speed_mps
    return bytes(feed.SerializeToString())


def alarm(alarm_id: str, number: int, state: str) -> dict[str, object]:
    """The JSON of adapter `alarm` (docs/integrators/webhooks.md)."""
    site, kind, zone, latitude, longitude = SITES[number % len(SITES)]
    return {
        "alarm_id": alarm_id,
        "panel_id": f"panel-{number % len(SITES)}",
        "type": kind,
        "state": state,
        "raised_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "zone": zone,
        "site": site,
        "lat": latitude,
        "lon": longitude,
        "accuracy_m": 10,
    }


def water_level(now_s: float) -> dict[str, object]:
    """The JSON of adapter `sensor`: an underpass that fills and empties every quarter of an hour."""
    level_m = round(0.25 + 0.25 * math.sin(2 * math.pi * now_s / FLOOD_CYCLE_S), 3)
    return {
        "sensor_id": "water-03",
        "name": "Underpass Kaisaniemi",
        "quantity": "water_level",
        "value": level_m,
        "unit": "m",
        "level": "critical" if level_m > 0.48 else "warning" if level_m > 0.4 else "normal",
        "measured_at": datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds"),
        "lat": 60.17178,
        "lon": 24.94741,
        "accuracy_m": 5,
    }


def cap_message(identifier: str, message_type: str, first_sent_at: datetime, sent_at: datetime) -> bytes:
    """A CAP 1.2 message; `Cancel` refers to the alert of the same identifier that was sent first."""
    sender = "warnings@rescue.example"
    own = identifier if message_type == "Alert" else f"{identifier}-cancel"
    references = "" if message_type == "Alert" else f"<references>{sender},{identifier},{first_sent_at.isoformat()}</references>"
    info = (
        "<info><language>en-GB</language><category>Fire</category><event>Toxic smoke</event><responseType>Shelter</responseType>"
        "<urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>"
        f"<expires>{(sent_at + timedelta(seconds=WARNING_LASTS_S * 2)).isoformat()}</expires>"
        "<senderName>City rescue department (invented)</senderName>"
        "<headline>Stay indoors: smoke from a fire at the harbour</headline>"
        "<description>A boat burns at the east harbour.</description><instruction>Close windows and switch off ventilation.</instruction>"
        "<area><areaDesc>East harbour</areaDesc><polygon>60.1655,24.9580 60.1655,24.9700 60.1712,24.9700 60.1712,24.9580 60.1655,24.9580"
        "</polygon></area></info>"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
        f"<identifier>{escape(own)}</identifier><sender>{sender}</sender><sent>{sent_at.isoformat()}</sent><status>Actual</status>"
        f"<msgType>{message_type}</msgType><scope>Public</scope>{references}{info if message_type == 'Alert' else ''}</alert>"
    ).encode()
