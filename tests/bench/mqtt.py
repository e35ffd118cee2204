"""`./rtcc bench mqtt`: what one MQTT device gets through, and how long its alarm takes.

The platform is the real one (supervisor, NATS with its MQTT listener, PostgreSQL, the core process). `acknowledged_per_s`: alarms that
one client publishes at QoS 1, 100 of them under way at a time, until each has its PUBACK. `events_per_s`: the same until all are
events in the stream EVENTS. `alarm_*_ms`: one alarm at a time, from its publish to the event at a reader of the stream. The client
shares the machine with the platform.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt

sys.path.insert(0, str(Path(__file__).parents[1]))
from proof.platform import RunningPlatform, running_platform, until
from proof.world import World, add_agency
from rtcc.event.v1 import event_pb2
from rtcc_chassis.bus import Delivery
from rtcc_chassis.streams import EVENTS

_AGENCY = "bench"
_UNDER_WAY = 100


def alarm(alarm_id: str) -> bytes:
    body = {"alarm_id": alarm_id, "type": "fire", "state": "active", "raised_at": datetime.now(UTC).isoformat(), "lat": 60.17, "lon": 24.94}
    return json.dumps(body).encode()


class Arrivals:
    """When each alarm was an event."""

    def __init__(self) -> None:
        self.at_s: dict[str, float] = {}

    async def note(self, deliveries: Sequence[Delivery]) -> None:
        now_s = time.perf_counter()
        for delivery in deliveries:
            self.at_s.setdefault(delivery.parse(event_pb2.Event).alarm.alarm_id, now_s)


async def measure(platform: RunningPlatform, messages: int, single: int) -> dict[str, Any]:
    world = World(platform)
    await add_agency(world, _AGENCY)
    source, arrivals = await world.source(_AGENCY, "alarm"), Arrivals()
    tail = platform.bus.tail(EVENTS, [f"event.{_AGENCY}.alarm"], arrivals.note, start="new")
    following = asyncio.create_task(tail.run())
    login = {"username": source.source_id, "password": source.secret}
    topic = f"source/{source.source_id}/event"

    async def open_client() -> aiomqtt.Client | None:
        try:
            port = platform.supervisor.installation.ports["mqtt"]
            client = aiomqtt.Client("127.0.0.1", port, **login, max_inflight_messages=_UNDER_WAY, max_queued_outgoing_messages=0)
            return await client.__aenter__()
        except aiomqtt.MqttError:
            return None

    client = await until(open_client)
    assert client is not None
    async with AsyncExitStack() as leaving:
        # before the gateway goes down: a connection that it closes would be an error that nobody waits for
        leaving.push_async_exit(client)
        client.pending_calls_threshold = _UNDER_WAY

        delays_ms = []
        for number in range(single):
            started_s = time.perf_counter()
            await client.publish(topic, alarm(f"single-{number}"), qos=1)
            await until(lambda number=number: _has(arrivals, f"single-{number}"), every_s=0.0005)
            delays_ms.append((arrivals.at_s[f"single-{number}"] - started_s) * 1000)
        room = asyncio.Semaphore(_UNDER_WAY)

        async def publish(number: int) -> None:
            async with room:
                await client.publish(topic, alarm(f"many-{number}"), qos=1, timeout=60)

        started_s = time.perf_counter()
        await asyncio.gather(*(publish(number) for number in range(messages)))
        acknowledged_s = time.perf_counter() - started_s
        await until(lambda: _has(arrivals, *(f"many-{number}" for number in range(messages))), every_s=0.05)
        events_s = max(arrivals.at_s.values()) - started_s
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return {
        "messages": messages,
        "acknowledged_per_s": round(messages / acknowledged_s),
        "events_per_s": round(messages / events_s),
        "alarm_p50_ms": round(statistics.median(delays_ms), 1),
        "alarm_p95_ms": round(statistics.quantiles(delays_ms, n=20)[-1], 1),
    }


async def _has(arrivals: Arrivals, *alarm_ids: str) -> bool:
    return all(alarm_id in arrivals.at_s for alarm_id in alarm_ids)


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with running_platform() as platform:
        return await measure(platform, options.messages, options.single)


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Called by `./rtcc bench mqtt`."""
    parser = argparse.ArgumentParser(prog="./rtcc bench mqtt")
    parser.add_argument("--messages", type=int, default=3_000)
    parser.add_argument("--single", type=int, default=100, help="alarms that are sent one at a time")
    return asyncio.run(_run(parser.parse_args(arguments)))
