"""MQTT as panels and sensors meet it: a source's own login, its own topics, nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiomqtt
import pytest

from proof.agency_login import connected
from proof.platform import RunningPlatform, until
from proof.world import OWNER, STRANGER, Source, World
from rtcc.event.v1 import event_pb2
from rtcc.intake.v1 import intake_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.identifiers import new_id


def alarm(alarm_id: str) -> bytes:
    body = {"alarm_id": alarm_id, "type": "panic", "state": "active", "raised_at": datetime.now(UTC).isoformat()}
    return json.dumps(body).encode()


@asynccontextmanager
async def panel(platform: RunningPlatform, source: Source, **changed: str) -> AsyncIterator[aiomqtt.Client]:
    """Signed in as a device of the source would."""
    login = {"username": source.source_id, "password": source.secret, "identifier": f"panel-{new_id()}"} | changed
    async with aiomqtt.Client("127.0.0.1", platform.supervisor.installation.ports["mqtt"], timeout=5, **login) as client:
        yield client


async def until_let_in(platform: RunningPlatform, source: Source) -> None:
    """The server takes a new login at its next reload; who comes during one may wait in vain, and comes again."""

    async def let_in() -> bool:
        try:
            async with panel(platform, source):
                return True
        except aiomqtt.MqttError:
            return False

    await until(let_in, deadline_s=60)


async def alarms(world: World, agency_id: str) -> set[str]:
    answer = await world.platform.ask("ListNewestEvents", world.everything(agency_id), intake_pb2.ListNewestEventsRequest(limit=500))
    events: list[event_pb2.Event] = list(answer.events)
    return {event.alarm.alarm_id for event in events}


async def test_a_panel_delivers_for_itself_and_nobody_else(platform: RunningPlatform, world: World) -> None:
    own, colleague, stranger = await world.source(OWNER, "alarm"), await world.source(OWNER, "alarm"), await world.source(STRANGER, "alarm")
    for source in (own, colleague, stranger):
        await until_let_in(platform, source)
    alarm_id, forged = f"A-{new_id()}", f"forged-{new_id()}"

    async with panel(platform, own) as client:
        # MQTT 3.1.1 has no word for "not allowed": what goes elsewhere is acknowledged and thrown away (section 3.3.5)
        for topic in (
            f"source/{colleague.source_id}/event", f"source/{stranger.source_id}/event", f"source/{own.source_id}",
            f"source/{own.source_id}/airspace", f"agency/{STRANGER}/source/{stranger.source_id}/event", f"event/{OWNER}/alarm",
            f"alert/{OWNER}", f"audit/{OWNER}", f"directory/source/{OWNER}/x", f"position/{OWNER}", f"shared/{STRANGER}/alert",
        ):  # fmt: skip
            await client.publish(topic, alarm(forged), qos=0)
        # once: what was acknowledged is an event
        await client.publish(f"source/{own.source_id}/event", alarm(alarm_id), qos=1)

    async def told() -> bool:
        return alarm_id in await alarms(world, OWNER)

    await until(told)
    for agency_id in (OWNER, STRANGER):
        assert forged not in await alarms(world, agency_id)
    assert alarm_id not in await alarms(world, STRANGER)
    for entry in [*await world.quarantine(OWNER), *await world.quarantine(STRANGER)]:
        assert forged not in entry.excerpt


@pytest.mark.parametrize(
    "changed", [{"password": "guess"}, {"password": ""}, {"username": OWNER}, {"username": "intake"}, {"username": "nobody"}], ids=str
)
async def test_nobody_connects_by_mqtt(platform: RunningPlatform, world: World, changed: dict[str, str]) -> None:
    source = await world.gunshot_source(OWNER)
    await until_let_in(platform, source)
    with pytest.raises(aiomqtt.MqttError):
        async with panel(platform, source, **changed):
            raise AssertionError("let in")


async def test_a_panel_hears_nothing(platform: RunningPlatform, world: World) -> None:
    source = await world.gunshot_source(OWNER)
    await until_let_in(platform, source)
    heard: list[aiomqtt.Message] = []
    async with panel(platform, source) as client:

        async def listen() -> None:
            async for message in client.messages:
                heard.append(message)

        task = asyncio.create_task(listen())
        for topic in ("#", "source/#", f"shared/{OWNER}/#", f"event/{OWNER}/#", "$MQTT/#", "$SYS/#"):
            # refused with the code 0x80, which the client turns into an error, or granted for nothing
            try:
                await client.subscribe(topic, timeout=2)
            except aiomqtt.MqttError:
                continue
        await world.alert(OWNER)
        await world.alarm(OWNER)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [str(message.topic) for message in heard] == []


async def test_the_agencys_own_login_speaks_for_no_panel(platform: RunningPlatform, world: World) -> None:
    source, forged = await world.source(OWNER, "alarm"), f"forged-{new_id()}"
    await until_let_in(platform, source)
    async with connected(platform, OWNER) as client:
        await client.publish(f"source.{source.source_id}.event", alarm(forged))
        await client.flush()
    own = f"A-{new_id()}"
    async with panel(platform, source) as device:
        await device.publish(f"source/{source.source_id}/event/panel-1", alarm(own), qos=1)

    async def told() -> bool:
        return own in await alarms(world, OWNER)

    await until(told)
    assert forged not in await alarms(world, OWNER)


async def test_a_source_that_is_switched_off_is_out(platform: RunningPlatform, world: World) -> None:
    source = await world.source(OWNER, "alarm")
    await until_let_in(platform, source)
    request = registry_pb2.SetSourceEnabledRequest(source_id=source.source_id, enabled=False)
    await world.platform.ask("SetSourceEnabled", world.everything(OWNER), request)

    async def out() -> bool:
        try:
            async with panel(platform, source):
                return False
        except aiomqtt.MqttError:
            return True

    await until(out, deadline_s=60, every_s=0.3)
