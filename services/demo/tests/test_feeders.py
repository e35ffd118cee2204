"""The devices' messages, checked by independent means: another signature implementation, the intake's own readers, a real HTTP server."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import io
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image

from rtcc_chassis.testing import free_port
from rtcc_demo.delivery import Fix, Hook, Lane, open_session
from rtcc_demo.feeders import Feeders
from rtcc_demo.messages import KNOTS_PER_MPS, Wording, encode_body, signature_headers
from rtcc_demo.render.plate_image import render_plate_image, render_vehicle_image
from rtcc_demo.settings import CameraServer, DeviceKey, FeederSettings, SourceKey, UnreadableSettings, load_settings, save_settings
from rtcc_demo.world.city import AGENCIES, load_cameras, units_of
from rtcc_demo.world.geometry import to_degrees
from rtcc_demo.world.plate_reading import PlateRead
from rtcc_demo.world.simulation import CallMessage, City, GunshotMessage, UnitFix
from rtcc_demo.world.vehicles import STOLEN_TRUCK
from rtcc_intake.adapters import eido, gunshot, plate_read
from rtcc_intake.document import Node

BEGAN_AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


async def eventually(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


@dataclass
class Door:
    """A gateway's HTTP door that keeps what it gets; `answers` are given first, then 202."""

    # one that stays ours while the door is closed
    port: int = field(default_factory=free_port)
    hooks: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    fixes: list[dict[str, str]] = field(default_factory=list)
    receptions: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)

    async def hook(self, request: web.Request) -> web.StreamResponse:
        if self.answers:
            return self.answers.pop(0)
        self.hooks.append((request.match_info["source_id"], dict(request.headers), await request.read()))
        return web.json_response({"outcome": "DELIVERY_OUTCOME_ACCEPTED"}, status=202)

    async def reception(self, request: web.Request) -> web.StreamResponse:
        self.receptions.append((request.match_info["source_id"], dict(request.headers), await request.read()))
        return web.json_response({"accepted": 1, "rejected": 0, "reasons": []}, status=202)

    async def osmand(self, request: web.Request) -> web.StreamResponse:
        self.fixes.append(dict(request.query))
        return web.json_response({"accepted": 1})

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/v1/hooks/{source_id}", self.hook)
        app.router.add_post("/v1/airspace/{source_id}", self.reception)
        app.router.add_get("/v1/osmand", self.osmand)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        try:
            yield
        finally:
            await runner.cleanup()


def settings_for(url: str) -> FeederSettings:
    sources = [
        SourceKey(f"{agency_id}-{adapter}", agency_id, adapter, f"key of {agency_id}")
        for agency_id in AGENCIES
        for adapter in ("plate_read", "gunshot", "eido", "remote_id", "adsb")
    ]
    devices = [DeviceKey(unit.unit_id, unit.device_id, f"key-{unit.device_id}") for agency_id in AGENCIES for unit in units_of(agency_id)]
    return FeederSettings(url, "clips", CameraServer(0, "relay", "secret"), tuple(sources), tuple(devices))


def some_read() -> PlateRead:
    camera = next(camera for camera in load_cameras() if camera.plate_reader)
    return PlateRead(7, camera, STOLEN_TRUCK, "ZB0-582", 0.71, (("ZB0-582", 0.71), ("ZBO-582", 0.29)), 12.5, camera.at, front=True)


def test_signature_matches_the_documented_example() -> None:
    body = b'{"read_id":"0001","plate":"ABC123","camera_id":"1"}'
    headers = signature_headers("rtcc-example-secret", "read-0001", body, 1767225600)
    assert headers["Rtcc-Signature"] == "v1=7958fd3b9858bcde9d0f377e70b18017bc3952df5b09ed7b105205589472aade"
    assert headers["Rtcc-Timestamp"] == "1767225600"
    assert headers["Rtcc-Delivery"] == "read-0001"


def test_the_intake_understands_a_plate_read() -> None:
    read = some_read()
    delivery_id, body = Wording(BEGAN_AT, "run").plate_read(read, render_plate_image(read))
    parsed = plate_read.parse(Node(json.loads(encode_body(body))), BEGAN_AT)
    assert parsed.event.plate_read.plate == "ZB0582"
    assert parsed.event.plate_read.camera_id == read.camera.camera_id
    assert parsed.event.plate_read.vehicle_make == "Iveco"
    assert parsed.event.occurred_at.ToDatetime(tzinfo=UTC) == datetime(2026, 3, 1, 10, 0, 12, 500_000, tzinfo=UTC)
    assert (parsed.event.position.coordinate.longitude_deg, parsed.event.position.coordinate.latitude_deg) == to_degrees(read.at)
    assert delivery_id == "run-read-7"


def test_the_intake_understands_every_stage_and_call_of_the_script() -> None:
    wording, city = Wording(BEGAN_AT, "run"), City(1, civil_vehicles=0)
    kinds: Counter[str] = Counter()
    deliveries = []
    while city.now_s < 900:
        for happening in city.step():
            if isinstance(happening, GunshotMessage):
                delivery_id, body = wording.gunshot(happening)
                event = gunshot.parse(Node(body), wording.moment(city.now_s)).event
                assert event.gunshot.error_radius_m == happening.error_radius_m
            elif isinstance(happening, CallMessage):
                delivery_id, body = wording.call(happening)
                event = eido.parse(Node(body), wording.moment(city.now_s)).event
                assert event.call_for_service.priority == happening.call.priority
                assert event.call_for_service.status == happening.status
                assert event.call_for_service.address == happening.call.address
                assert event.position.coordinate.longitude_deg == pytest.approx(happening.call.place[0])
                assert event.call_for_service.narrative.startswith(happening.call.narrative)
            else:
                continue
            kinds[event.kind] += 1
            deliveries.append(delivery_id)
    assert kinds == {"gunshot": 6, "call_for_service": kinds["call_for_service"]}
    assert kinds["call_for_service"] >= 24
    assert len(set(deliveries)) == len(deliveries)
    assert all(len(delivery_id) <= 128 for delivery_id in deliveries)


def test_fixes_are_osmand_queries_in_knots() -> None:
    unit = units_of(AGENCIES[0])[0]
    query = Wording(BEGAN_AT, "run").fix(UnitFix(unit, (10.0, 20.0), 90.0, 10.0, 5.0, 80.0, 3.0), "key")
    assert float(query["speed"]) == pytest.approx(10.0 * KNOTS_PER_MPS, abs=0.01) == pytest.approx(19.44, abs=0.01)
    assert query["timestamp"] == "2026-03-01T10:00:03.000+00:00"
    assert (query["id"], query["key"], query["bearing"]) == (unit.device_id, "key", "90.0")


async def test_all_devices_report_signed_and_in_order() -> None:
    door = Door()
    async with door.open():
        settings = settings_for(f"http://127.0.0.1:{door.port}")
        async with open_session(settings.gateway_url) as session:
            feeders = Feeders(settings, session, Wording(datetime.now(UTC), "run"))
            running = asyncio.create_task(feeders.run())
            feeders.feed(some_read())
            devices = {device.device_id for device in settings.devices}
            await eventually(lambda: len(door.hooks) >= 1 and devices <= {fix["id"] for fix in door.fixes})
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    source_id, headers, body = door.hooks[0]
    signed = f"{headers['Rtcc-Timestamp']}.{headers['Rtcc-Delivery']}.".encode() + body
    secret = next(source.secret for source in settings.sources if source.source_id == source_id)
    assert headers["Rtcc-Signature"] == "v1=" + hmac.digest(secret.encode(), signed, hashlib.sha256).hex()
    assert abs(int(headers["Rtcc-Timestamp"]) - time.time()) < 60
    with Image.open(io.BytesIO(base64.b64decode(json.loads(body)["image"]))) as image:
        assert image.format == "JPEG"
    for device in settings.devices:
        times = [fix["timestamp"] for fix in door.fixes if fix["id"] == device.device_id]
        assert times
        assert times == sorted(times)
        assert {fix["key"] for fix in door.fixes if fix["id"] == device.device_id} == {device.key}


async def in_lane(port: int, capacity: int, messages: list[Hook | Fix], then: Callable[[Counter[str]], Awaitable[None]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    async with open_session(f"http://127.0.0.1:{port}") as session:
        lane = Lane(session, "test", capacity, counts)
        for message in messages:
            lane.put(message)
        running = asyncio.create_task(lane.run())
        try:
            await then(counts)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    return counts


def hooks(count: int) -> list[Hook | Fix]:
    return [Hook("source", "key", f"d-{number}", b"{}") for number in range(count)]


async def test_messages_outlast_an_absent_gateway_in_order_and_once() -> None:
    door = Door()
    async with door.open():
        pass  # the port is now known, and nobody listens there

    async def gateway_comes_back(counts: Counter[str]) -> None:
        await asyncio.sleep(0.2)
        assert not counts
        async with door.open():
            await eventually(lambda: counts["hook"] == 5)

    await in_lane(door.port, 10, hooks(5), gateway_comes_back)
    assert [headers["Rtcc-Delivery"] for _, headers, _ in door.hooks] == [f"d-{number}" for number in range(5)]


async def test_the_oldest_are_dropped_when_the_door_stays_shut() -> None:
    door = Door()

    async def drain(counts: Counter[str]) -> None:
        async with door.open():
            await eventually(lambda: counts["hook"] == 3)

    async with door.open():
        pass
    counts = await in_lane(door.port, 3, hooks(8), drain)
    assert counts["dropped"] == 5
    assert [headers["Rtcc-Delivery"] for _, headers, _ in door.hooks] == ["d-5", "d-6", "d-7"]


async def test_busy_answers_are_repeated_and_refusals_are_not() -> None:
    door = Door(
        answers=[
            web.Response(status=503),
            web.Response(status=429, headers={"Retry-After": "1"}),
            web.Response(status=401, text="wrong key"),
        ]
    )
    async with door.open():

        async def wait(counts: Counter[str]) -> None:
            await eventually(lambda: counts["hook"] == 1 and counts["refused"] == 1)

        await in_lane(door.port, 10, hooks(2), wait)
    assert [headers["Rtcc-Delivery"] for _, headers, _ in door.hooks] == ["d-1"]


def test_evidence_pictures_show_the_vehicle_and_stay_small() -> None:
    front, rear = (render_vehicle_image(STOLEN_TRUCK, front=side, seed=1) for side in (True, False))
    other = render_vehicle_image(replace(STOLEN_TRUCK, plate="AEF-347"), front=True, seed=1)
    assert len({front, rear, other}) == 3
    assert render_vehicle_image(STOLEN_TRUCK, front=True, seed=1) == front
    for jpeg in (front, rear):
        assert 4_000 < len(jpeg) < 60_000
        with Image.open(io.BytesIO(jpeg)) as image:
            assert image.size == (480, 300)


def test_settings_survive_the_file_and_are_for_the_owner_alone(tmp_path: Path) -> None:
    settings = settings_for("http://127.0.0.1:1")
    save_settings(settings, tmp_path / "feeders.json")
    assert load_settings(tmp_path / "feeders.json") == settings
    assert (tmp_path / "feeders.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"gateway_url": 1}', "\x00"])
def test_broken_settings_say_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "feeders.json").write_text(text)
    with pytest.raises(UnreadableSettings, match="start the demo again"):
        load_settings(tmp_path / "feeders.json")
