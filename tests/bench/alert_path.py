"""`./rtcc bench alert-path`: from an event's publish to the operator.

The platform is the real one (supervisor, NATS and PostgreSQL with their shipped settings, every service, TLS between them).
Events are plate reads published straight to the EVENTS stream, paced and acknowledged; `hit_ratio` of them are wanted plates,
each raising an alert of its own. Intake's HTTP half is left out.

`alert_*`: publish -> the alert on its NATS subject (alerting's part, with its database). `socket_*`: publish -> the alert in
the hands of a signed-in WebSocket client, with session, rights and the audit entry of the delivery in the path, at 1,000
events/s. `paint_*`: publish -> the frame that shows the alert's row was handed to the screen in headless Chromium (software GL),
at 100 events/s; `page_*`: the page's own part of it, and how long its main thread was busy for each alert. Sender, client and, for
paint, Chromium share the machine with the platform.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from alert_load import Load, Sent, percentile_ms, publish_load

from proof.platform import RunningPlatform, running_platform, until
from proof.world import World
from rtcc.alerting.v1 import alerting_pb2
from rtcc.live.v1 import live_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.bus import Delivery
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import ALERTS, alert_subject

_AGENCY = "bench"
_COMMAND_LINE = Scope.platform("standalone")
_LATE_S = 20.0
_FLAGS = (
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class Receiver:
    """A console's socket that notes when the first state of each event's alert came (`time.time()`), and every repeat."""

    def __init__(self) -> None:
        self.arrived_s: dict[str, float] = {}
        self.event_of_alert: dict[str, str] = {}
        self.revisions: set[tuple[str, int]] = set()
        self.repeats = 0

    def take(self, data: bytes) -> None:
        now = time.time()
        frame = live_pb2.ServerFrame.FromString(data)
        for alert in frame.alerts.alerts:
            self.arrived_s.setdefault(alert.event.event_id, now)
            self.event_of_alert[alert.alert_id] = alert.event.event_id
            self.repeats += (alert.alert_id, alert.revision) in self.revisions
            self.revisions.add((alert.alert_id, alert.revision))

    async def wait_for(self, wanted: int, deadline_s: float) -> None:
        """Until so many came or the deadline."""

        async def enough() -> bool:
            return len(self.arrived_s) >= wanted

        with contextlib.suppress(AssertionError):
            await until(enough, deadline_s=deadline_s)


@asynccontextmanager
async def receiving(world: World, person: registry_pb2.Person) -> AsyncIterator[Receiver]:
    """Signed in and past the snapshot."""
    receiver = Receiver()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        await world.sign_in(client, person)
        url = world.platform.url
        async with client.ws_connect(f"{url}/v1/live", protocols=("rtcc.live.v1",), origin=url, max_msg_size=0) as socket:
            await socket.send_bytes(live_pb2.ClientFrame(hello=live_pb2.Hello()).SerializeToString())
            # the last frame of the beginning carries the cursor
            while not live_pb2.ServerFrame.FromString(await socket.receive_bytes()).cursor:
                pass

            async def read() -> None:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        receiver.take(message.data)

            reading = asyncio.create_task(read())
            try:
                yield receiver
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def raised(platform: RunningPlatform) -> AsyncIterator[dict[str, float]]:
    """When the alert of each event was on its subject (`time.time()`): what is left is the gateway's part."""
    seen: dict[str, float] = {}

    async def take(deliveries: Sequence[Delivery]) -> None:
        now = time.time()
        for delivery in deliveries:
            seen.setdefault(delivery.parse(alerting_pb2.Alert).event.event_id, now)

    tail = platform.bus.tail(ALERTS, [alert_subject(_AGENCY)], take, start="new")
    reading = asyncio.create_task(tail.run())
    await tail.caught_up()
    try:
        yield seen
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _prepare(platform: RunningPlatform, load: Load) -> tuple[World, registry_pb2.Person]:
    """An agency, an operator, and a hot list of the wanted plates."""
    world = World(platform)
    agency = registry_pb2.CreateAgencyRequest(agency_id=_AGENCY, name="Bench Police", time_zone="UTC")
    await platform.ask("CreateAgency", _COMMAND_LINE, agency)
    for role in ("operator", "supervisor"):
        world.people.setdefault(_AGENCY, {})[role] = await world.person(_AGENCY, role)
    hot_list = await world.hot_list(_AGENCY)
    content = ("LIC,LIS\n" + "\n".join(f"{plate},FI" for plate in load.wanted_plates()) + "\n").encode()
    request = alerting_pb2.ImportHotListRequest(hot_list_id=hot_list, csv=content)
    answer = await platform.ask("ImportHotList", world.everything(_AGENCY), request)
    assert answer.accepted == len(load.wanted_plates()), answer
    # the matcher takes a new list over within a moment
    await asyncio.sleep(2)
    return world, world.people[_AGENCY]["operator"]


def _cpu_s(supervisor_id: int) -> dict[str, float]:
    """CPU seconds used so far by each process of the platform; our own under "sender and client"."""
    used: dict[str, float] = {}
    own = psutil.Process(supervisor_id)
    for process in (own, *own.children(recursive=True)):
        try:
            times, command = process.cpu_times(), " ".join(process.cmdline())
        except psutil.Error:
            continue
        name = "sender and client" if process.pid == own.pid else _name(command)
        used[name] = used.get(name, 0.0) + times.user + times.system
    return used


def _name(command: str) -> str:
    if "rtcc_standalone.host" in command:
        return "core" if "registry" in command else command.rsplit(" ", 1)[-1]
    for word in ("nats-server", "postgres", "weed", "chrom"):
        if word in command:
            return word
    return "other"


async def _socket(rate: int, seconds: float, hit_ratio: float) -> dict[str, Any]:
    load = Load(_AGENCY, rate, seconds, hit_ratio)
    async with running_platform() as platform:
        world, operator = await _prepare(platform, load)
        async with receiving(world, operator) as receiver, raised(platform) as on_subject:
            await publish_load(platform.bus, Load(_AGENCY, 50, 2, 0.0), Sent())
            before, sent, started = _cpu_s(os.getpid()), Sent(), time.monotonic()
            await publish_load(platform.bus, load, sent)
            lasted_s = time.monotonic() - started
            after = _cpu_s(os.getpid())
            await receiver.wait_for(len(sent.at_s), _LATE_S)
        delays = [receiver.arrived_s[event_id] - at for event_id, at in sent.at_s.items() if event_id in receiver.arrived_s]
        assert delays, "no alert arrived at all: look at the platform's logs"
        engine = [on_subject[event_id] - at for event_id, at in sent.at_s.items() if event_id in on_subject]
        return {
            "alert_p50_ms": percentile_ms(engine, 50),
            "alert_p99_ms": percentile_ms(engine, 99),
            "socket_p50_ms": percentile_ms(delays, 50),
            "socket_p99_ms": percentile_ms(delays, 99),
            "socket_mean_ms": round(1000 * statistics.fmean(delays), 2),
            "socket_events_per_s": round(sent.events / lasted_s),
            "socket_events": sent.events,
            "socket_hit_ratio": hit_ratio,
            "socket_alerts": len(delays),
            "socket_missing": len(sent.at_s) - len(delays),
            "socket_repeats": receiver.repeats,
            "socket_sender_behind_ms": round(1000 * sent.behind_s, 1),
            "socket_cpu_share": {name: round((after[name] - before.get(name, 0.0)) / lasted_s, 2) for name in sorted(after)},
        }


async def _paint(rate: int, seconds: float, hit_ratio: float) -> dict[str, Any]:
    from playwright.async_api import async_playwright

    from rtcc_standalone.development.chromium import find_chromium

    executable = find_chromium()
    if executable is None:
        return {"paint": "skipped: no Chromium on this machine"}
    load = Load(_AGENCY, rate, seconds, hit_ratio)
    async with running_platform() as platform, async_playwright() as playwright:
        world, operator = await _prepare(platform, load)
        browser = await playwright.chromium.launch(executable_path=str(executable), args=list(_FLAGS))
        try:
            page = await _console(await browser.new_context(viewport={"width": 1600, "height": 1000}), world, operator)
            async with receiving(world, operator) as receiver:
                # the browser counts from the moment that it is asked to, for this session alone
                counting = await page.context.new_cdp_session(page)
                await counting.send("Performance.enable")
                busy_before_s = await _main_thread_busy_s(counting)
                before, sent, started = _cpu_s(os.getpid()), Sent(), time.monotonic()
                await publish_load(platform.bus, load, sent)
                lasted_s = time.monotonic() - started
                after = _cpu_s(os.getpid())
                await receiver.wait_for(len(sent.at_s), _LATE_S)
                probe = await _painted(page, len(sent.at_s))
                received: dict[str, float] = await page.evaluate("window.__rtcc.received")
                busy_s = await _main_thread_busy_s(counting) - busy_before_s
        finally:
            await browser.close()
    delays = [
        at_ms / 1000 - sent.at_s[event_id]
        for alert_id, at_ms in probe.items()
        if (event_id := receiver.event_of_alert.get(alert_id, "")) in sent.at_s
    ]
    assert delays, "the console painted no alert: look at the platform's logs"
    return {
        "paint_p50_ms": percentile_ms(delays, 50),
        "paint_p99_ms": percentile_ms(delays, 99),
        # the page's own part: from the worker having the alert to the frame
        "page_p50_ms": percentile_ms([(at_ms - received[alert_id]) / 1000 for alert_id, at_ms in probe.items()], 50),
        "page_p99_ms": percentile_ms([(at_ms - received[alert_id]) / 1000 for alert_id, at_ms in probe.items()], 99),
        "page_main_thread_ms_per_alert": round(1000 * busy_s / max(1, len(probe)), 1),
        "paint_events_per_s": round(sent.events / lasted_s),
        "paint_hit_ratio": hit_ratio,
        "paint_alerts_raised": len(sent.at_s),
        "paint_alerts_painted": len(delays),
        "paint_cpu_share": {name: round((after[name] - before.get(name, 0.0)) / lasted_s, 2) for name in sorted(after)},
    }


async def _console(context: Any, world: World, operator: registry_pb2.Person) -> Any:
    """A signed-in console on its alert list, with the console's own paint probe switched on."""
    from rtcc.gateway.v1 import gateway_pb2

    await context.add_init_script("window.__rtcc = { received: {}, painted: {} }")
    page = await context.new_page()
    request = gateway_pb2.CreateDemoLinkRequest(person_id=operator.person_id, next="/alerts")
    answer = await world.platform.ask("CreateDemoLink", Scope.service("standalone", _AGENCY), request)
    await page.goto(answer.url)
    await page.locator('[data-testid="link-state"][data-state="live"]').wait_for(timeout=60_000)
    # the first paint is over
    await asyncio.sleep(2)
    return page


async def _main_thread_busy_s(counting: Any) -> float:
    """Seconds in which the page's main thread had work (Chrome DevTools Protocol, Performance.getMetrics, TaskDuration)."""
    metrics = (await counting.send("Performance.getMetrics"))["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


async def _painted(page: Any, wanted: int) -> dict[str, float]:
    """Epoch milliseconds by alert id; waits until nothing new is painted for a second."""
    seen: dict[str, float] = {}
    ends = time.monotonic() + _LATE_S
    while time.monotonic() < ends:
        now: dict[str, float] = await page.evaluate("window.__rtcc.painted")
        if len(now) >= wanted or (now and len(now) == len(seen)):
            return now
        seen = now
        await asyncio.sleep(1)
    return seen


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Both halves, each on a platform of its own; `--only socket|paint` for one."""
    parser = argparse.ArgumentParser(prog="bench alert-path")
    parser.add_argument("--only", choices=("socket", "paint"), help="one half")
    parser.add_argument("--rate", type=int, default=1000, help="events per second of the socket half")
    parser.add_argument("--paint-rate", type=int, default=100, help="events per second of the paint half")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--hit-ratio", type=float, default=0.1, help="how many of the events raise an alert")
    options = parser.parse_args(argv)
    figures: dict[str, Any] = {"path": "EVENTS stream -> alerting -> gateway", "cores": os.cpu_count()}
    if options.only != "paint":
        figures |= asyncio.run(_socket(options.rate, options.seconds, options.hit_ratio))
    if options.only != "socket":
        figures |= asyncio.run(_paint(options.paint_rate, options.seconds, options.hit_ratio))
    return figures
