"""Receivers that are asked, and own drones over MAVLink: against a small web server and a small copter that speaks the real dialect."""

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from pymavlink.dialects.v20 import common as mavlink

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_airspace.domain.observations import HEADING, HEIGHT, SPEED, UNKNOWN_HEADING_CDEG, UNKNOWN_SPEED_CMPS
from rtcc_airspace.mavlink import MavlinkLinks, Telemetry, sighting
from rtcc_airspace.readsb import ReadsbPolls
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.signed_sources import RegisteredSource
from rtcc_chassis.testing import free_port, poll

AIRCRAFT = {"hex": "461f30", "flight": "FIN1AB", "lat": 60.2, "lon": 24.9, "alt_geom": 3000}


class Recording:
    """What was taken; stands where Receiving stands, so that the link alone is tried."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.sightings: list[Any] = []

    async def take(self, source: RegisteredSource, body: bytes, received_at: Any) -> None:
        self.bodies.append(body)
        if body.startswith(b"broken"):
            raise InvalidInput.one("", "is not JSON")

    async def take_sightings(self, source: RegisteredSource, observations: Any, refusals: Any) -> None:
        self.sightings.append(observations)


@asynccontextmanager
async def serving(answers: list[web.Response]) -> AsyncIterator[str]:
    """A web server that gives these answers, the last one again and again."""

    async def answer(request: web.Request) -> web.Response:
        made = answers.pop(0) if len(answers) > 1 else answers[0]
        return web.Response(body=made.body, status=made.status, headers={"Location": made.headers.get("Location", "")})

    app = web.Application()
    app.router.add_get("/data/aircraft.json", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/data/aircraft.json"
    finally:
        await runner.cleanup()


async def test_a_readsb_receiver_is_asked_again_whatever_it_answers() -> None:
    recording = Recording()
    source = RegisteredSource("s1", "east", "adsb", True)
    elsewhere = web.Response(status=302, headers={"Location": "http://127.0.0.1:9/other"})
    answers = [
        web.Response(status=503),
        elsewhere,
        web.Response(body=b"broken"),
        web.Response(body=b"x" * 3_000_000),
        web.Response(body=b"good"),
    ]
    async with serving(answers) as url:
        polls = ReadsbPolls({"s1": url, "s2": "http://127.0.0.1:9/none"}, 0.01, recording, {"s1": source}.get, utc_now)  # type: ignore[arg-type] # only what a link needs
        running = asyncio.create_task(polls.run())

        async def good() -> bool:
            return b"good" in recording.bodies

        await poll(good)
        running.cancel()
    assert recording.bodies[0] == b"broken"
    # never more than is taken, plus the byte that shows it
    assert len(recording.bodies[1]) == 1024 * 1024 + 1


@pytest.mark.parametrize("source", [RegisteredSource("s1", "east", "adsb", False), RegisteredSource("s1", "east", "remote_id", True), None])
async def test_a_receiver_whose_source_is_off_is_not_asked(source: RegisteredSource | None) -> None:
    recording, other = Recording(), RegisteredSource("s2", "east", "adsb", True)
    async with serving([web.Response(body=b"off")]) as url, serving([web.Response(body=b"on")]) as other_url:
        receivers = {"s1": url, "s2": other_url}
        polls = ReadsbPolls(receivers, 0.01, recording, {"s1": source, "s2": other}.get, utc_now)  # type: ignore[arg-type] # only what a link needs
        running = asyncio.create_task(polls.run())

        async def other_was_asked() -> bool:
            return len(recording.bodies) >= 5

        await poll(other_was_asked)
        running.cancel()
    assert set(recording.bodies) == {b"on"}


class Copter:
    """A vehicle of 30 lines: heartbeats and positions in MAVLink 2, to one UDP port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._target = ("127.0.0.1", port)
        self._mavlink = mavlink.MAVLink(None, srcSystem=7, srcComponent=1)
        self.latitude_deg, self.longitude_deg, self.height_m = 60.17, 24.94, 30.0
        self._started = time.monotonic()

    async def fly(self) -> None:
        """North-east at about 5 m/s, for ever."""
        while True:
            self.latitude_deg += 3.2e-6
            self.longitude_deg += 6.4e-6
            self._tell()
            await asyncio.sleep(0.05)

    def _tell(self) -> None:
        boot_ms = int((time.monotonic() - self._started) * 1000)
        latitude, longitude = round(self.latitude_deg * 1e7), round(self.longitude_deg * 1e7)
        link = self._mavlink
        for message in (
            link.heartbeat_encode(mavlink.MAV_TYPE_QUADROTOR, mavlink.MAV_AUTOPILOT_PX4, 0x81, 0, mavlink.MAV_STATE_ACTIVE),
            link.global_position_int_encode(boot_ms, latitude, longitude, 45_000, round(self.height_m * 1000), 354, 354, -50, 4_500),
            link.home_position_encode(601_690_000, 249_390_000, 15_000, 0, 0, 0, [1, 0, 0, 0], 0, 0, 0),
            link.extended_sys_state_encode(0, mavlink.MAV_LANDED_STATE_IN_AIR),
        ):
            self._socket.sendto(message.pack(link), self._target)


async def test_an_own_drone_is_followed_over_mavlink() -> None:
    recording, port = Recording(), free_port()
    source = RegisteredSource("s1", "east", "mavlink", True)
    links = MavlinkLinks({"s1": f"udpin://127.0.0.1:{port}"}, recording, {"s1": source}.get, utc_now)  # type: ignore[arg-type] # only what a link needs
    running = asyncio.create_task(links.run())
    flying = asyncio.create_task(Copter(port).fly())

    async def home_known() -> bool:
        return (
            bool(recording.sightings) and bool(recording.sightings[-1].numbers[9, 0]) and recording.sightings[-1].numbers[SPEED, 0] < 65_000
        )

    try:
        await poll(home_known, deadline_s=30)
    finally:
        for task in (running, flying):
            task.cancel()
        await asyncio.gather(running, flying, return_exceptions=True)
    seen = recording.sightings[-1]
    (subject,) = seen.subjects.values()
    assert (subject.key, subject.kind) == ("own:s1:7", pb.TRACK_KIND_OWN_DRONE)
    row = seen.numbers[:, 0].tolist()
    assert 601_700_000 < row[0] < 601_800_000 and row[HEIGHT] == 300
    assert row[SPEED] == pytest.approx(501, abs=2) and row[HEADING] == pytest.approx(4_500, abs=10)
    assert row[7:10] == [601_690_000, 249_390_000, pb.PILOT_PLACE_TAKE_OFF]
    # no more than the map needs, however fast the vehicle tells
    times = [sight.numbers[12, 0] for sight in recording.sightings]
    assert all(later - earlier >= 190_000 for earlier, later in pairwise(times))


def position(latitude_deg: float, longitude_deg: float, relative_altitude_m: float = math.nan) -> Any:
    return SimpleNamespace(latitude_deg=latitude_deg, longitude_deg=longitude_deg, relative_altitude_m=relative_altitude_m)


@pytest.mark.parametrize("place", [(0, 0), (math.nan, 24.0), (91.0, 24.0)])
def test_an_own_drone_without_a_fix_is_not_shown(place: tuple[float, float]) -> None:
    assert sighting("s1", 7, position(*place), Telemetry(), 1) is None


def test_what_an_own_drone_does_not_tell_stays_unknown() -> None:
    seen = sighting("s1", 7, position(60.0, 24.0), Telemetry(north_mps=0.1, east_mps=0.1), 1)
    assert seen is not None
    # slower than walking there is no course
    assert seen.numbers[[HEADING, SPEED], 0].tolist() == [UNKNOWN_HEADING_CDEG, 14]
    silent = sighting("s1", 7, position(60.0, 24.0), Telemetry(), 1)
    assert silent is not None and silent.numbers[SPEED, 0] == UNKNOWN_SPEED_CMPS
