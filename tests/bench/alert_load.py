"""A bounded load of events, and the engine's half of the alert path: publish -> alert on its subject.

`publish_load` is what `alert_path.py` sends with; run alone (`./rtcc bench alert_load`) it measures alerting by itself on real
NATS and PostgreSQL: the time from the publish of an event to the message of its alert at a subscriber of `alert.>`.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil

from rtcc.event.v1.event_pb2 import Event, PlateRead
from rtcc_chassis.bus import Bus, Outgoing
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import event_subject

TICK_S = 0.01
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Load:
    """`hit_ratio` of the events are reads of wanted plates, each of another plate, so that each raises an alert of its own."""

    agency_id: str
    rate_per_s: int
    seconds: float
    hit_ratio: float = 1.0
    latitude_deg: float = 60.1699
    longitude_deg: float = 24.9384
    camera_id: str = "bench-camera"

    @property
    def events(self) -> int:
        return int(self.rate_per_s * self.seconds)

    def is_hit(self, number: int) -> bool:
        """Spread evenly over the load."""
        return int((number + 1) * self.hit_ratio) > int(number * self.hit_ratio)

    def wanted_plates(self) -> list[str]:
        """What must stand in an enabled hot list of the agency before the load starts."""
        return [plate(number) for number in range(self.events) if self.is_hit(number)]

    def event(self, number: int) -> Event:
        read = PlateRead(
            plate=plate(number) if self.is_hit(number) else f"X{number % 10_000_000:07}", confidence=0.9, camera_id=self.camera_id
        )
        event = Event(event_id=new_id(), agency_id=self.agency_id, source_id="bench", kind="plate_read", plate_read=read)
        event.position.coordinate.latitude_deg, event.position.coordinate.longitude_deg = self.latitude_deg, self.longitude_deg
        now = datetime.now(UTC)
        event.occurred_at.FromDatetime(now)
        event.received_at.FromDatetime(now)
        return event


@dataclass(slots=True)
class Sent:
    """When each hit was handed to NATS (`time.time()`), and how far the sender fell behind its own schedule."""

    at_s: dict[str, float] = field(default_factory=dict)
    events: int = 0
    behind_s: float = 0.0


def plate(number: int) -> str:
    """Different for each number, six letters that nothing is mistaken for."""
    letters = "ACEFHJKLMNPRTUVWXY"
    text = ""
    for _ in range(6):
        number, rest = divmod(number, len(letters))
        text += letters[rest]
    return text


async def publish_load(bus: Bus, load: Load, sent: Sent) -> None:
    """Straight to EVENTS, paced in ticks of 10 ms, acknowledged; at most one second of messages is in flight, then it slows down."""
    in_flight: set[asyncio.Task[Any]] = set()
    started = time.monotonic()
    number = 0
    while number < load.events:
        due = min(load.events, int((time.monotonic() - started) * load.rate_per_s) + 1)
        if due > number:
            events = [load.event(position) for position in range(number, due)]
            now = time.time()
            sent.at_s.update(
                (event.event_id, now) for event, position in zip(events, range(number, due), strict=True) if load.is_hit(position)
            )
            messages = [Outgoing(event_subject(event.agency_id, event.kind), event, event.event_id, event.agency_id) for event in events]
            task = asyncio.create_task(bus.publish_many(messages))
            in_flight.add(task)
            task.add_done_callback(in_flight.discard)
            number = sent.events = due
        while len(in_flight) > 1 / TICK_S:
            await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(max(0.0, TICK_S - (time.monotonic() - started) % TICK_S))
        sent.behind_s = max(sent.behind_s, (time.monotonic() - started) - number / load.rate_per_s)
    await asyncio.gather(*in_flight)


def percentile_ms(delays_s: Sequence[float], percent: float) -> float:
    """In milliseconds, rounded to hundredths."""
    ordered = sorted(delays_s)
    return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 2)


async def _measure(load: Load, list_size: int) -> dict[str, Any]:
    from rtcc.alerting.v1 import alerting_pb2 as pb
    from rtcc.alerting.v1.alerting_pb2_grpc import AlertingServiceStub
    from rtcc_alerting.service import serve
    from rtcc_chassis.consumer import Delivery
    from rtcc_chassis.streams import ALERTS
    from rtcc_chassis.testing import Servers, person, poll, test_platform

    servers, arrived = Servers(), dict[str, float]()

    async def collect(deliveries: Sequence[Delivery]) -> None:
        now = time.time()
        for delivery in deliveries:
            arrived.setdefault(delivery.parse(pb.Alert).event.event_id, now)

    try:
        async with test_platform(servers) as platform:
            await platform.serve({"alerting": serve})
            context = await platform.context("alerting")
            stub: Any = context.channels.stub("alerting", AlertingServiceStub)
            metadata = platform.metadata(person(load.agency_id, "administrator"))
            created = await stub.CreateHotList(pb.CreateHotListRequest(hot_list=pb.HotList(name="bench", enabled=True)), metadata=metadata)
            filler = (f"9{number:08}" for number in range(max(0, list_size - load.events)))
            content = "LIC\n" + "\n".join([*load.wanted_plates(), *filler]) + "\n"
            request = pb.ImportHotListRequest(hot_list_id=created.hot_list.hot_list_id, csv=content.encode())
            imported = time.monotonic()
            await stub.ImportHotList(request, metadata=metadata, timeout=120)
            import_s = time.monotonic() - imported
            context.lifecycle.spawn(context.bus.tail(ALERTS, ["alert.>"], collect, start="all").run(), "bench tail")
            publisher = await Bus.connect(await platform.settings("alerting"), "bench")
            sent, cpu = Sent(), cpu_s()
            await publish_load(publisher, load, sent)

            async def all_arrived() -> bool:
                return len(arrived) >= len(sent.at_s)

            await poll(all_arrived, deadline_s=60)
            after = cpu_s()
            await publisher.drain()
    finally:
        servers.stop()
    delays = [arrived[event_id] - at for event_id, at in sent.at_s.items()]
    return {
        "rate_per_s": load.rate_per_s,
        "events": sent.events,
        "alerts": len(delays),
        "alert_p50_ms": percentile_ms(delays, 50),
        "alert_p99_ms": percentile_ms(delays, 99),
        "alert_mean_ms": round(1000 * statistics.fmean(delays), 2),
        "sender_behind_ms": round(1000 * sent.behind_s, 1),
        "cpu_us_per_event": {name: round(1e6 * (after[name] - cpu.get(name, 0.0)) / sent.events) for name in sorted(after)},
        "hot_list_entries": list_size,
        "import_s": round(import_s, 2),
    }


def cpu_s() -> dict[str, float]:
    """CPU seconds used so far: by this process (service, sender, subscriber), and by the servers that it started."""
    used: dict[str, float] = {}
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        try:
            times, name = process.cpu_times(), process.name()
        except psutil.Error:
            continue
        name = "service" if process.pid == own.pid else "nats" if "nats" in name else "postgres" if "postgres" in name else "other"
        used[name] = used.get(name, 0.0) + times.user + times.system
    return used


def run(argv: Sequence[str]) -> dict[str, Any]:
    """The engine alone; NATS and PostgreSQL (fsync off) are processes of their own, service, sender and subscriber share this one."""
    parser = argparse.ArgumentParser(prog="bench alert_load")
    parser.add_argument("--rate", type=int, default=1000, help="events per second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--hit-ratio", type=float, default=0.1, help="how many of the events raise an alert")
    parser.add_argument("--list-size", type=int, default=100_000, help="wanted plates")
    options = parser.parse_args(argv)
    load = Load("bench", options.rate, options.seconds, options.hit_ratio)
    return asyncio.run(_measure(load, options.list_size))


if __name__ == "__main__":
    import sys

    print(run(sys.argv[1:]))
