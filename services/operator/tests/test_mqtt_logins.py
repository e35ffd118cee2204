"""A source's login over MQTT in operator mode: its own subject, nothing else, and no longer than it is declared."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import aiomqtt
from nats.aio.msg import Msg

from rtcc_chassis.identifiers import new_id
from rtcc_chassis.testing import poll

from .conftest import Cluster, until

_ADDRESS = "mqtt.region.example:8883"


async def _declared(cluster: Cluster, *sources: str) -> None:
    spec = cluster.example(cluster.harbor)["spec"].get("bus", {})
    await cluster.api.apply(cluster.example(cluster.harbor, bus={**spec, "mqttSources": list(sources)}))
    await cluster.condition("agencies", cluster.harbor, "AsDeclared")


@asynccontextmanager
async def _panel(cluster: Cluster, source_id: str) -> AsyncIterator[aiomqtt.Client]:
    """A device with what its Secret holds."""
    login = cluster.secret(f"{cluster.harbor}-mqtt-{source_id}")
    named = {"username": login["username"], "password": login["password"], "identifier": f"panel-{new_id()}"}
    async with aiomqtt.Client("127.0.0.1", cluster.platform.mqtt_port, timeout=5, **named) as client:
        yield client


async def _let_in(cluster: Cluster, source_id: str) -> bool:
    with contextlib.suppress(aiomqtt.MqttError):
        async with _panel(cluster, source_id):
            return True
    return False


async def test_a_declared_source_speaks_for_itself_alone(cluster: Cluster) -> None:
    await cluster.start(nats_mqtt_address=_ADDRESS)
    own, colleague = new_id(), new_id()
    await _declared(cluster, own, colleague)
    assert cluster.secret(f"{cluster.harbor}-mqtt-{own}")["address"] == _ADDRESS
    await poll(lambda: _let_in(cluster, own))
    async with cluster.connected(cluster.keys / "registry.creds") as services:
        received: list[Msg] = []

        async def take(message: Msg) -> None:
            received.append(message)

        await services.subscribe(f"agency.{cluster.harbor}.>", cb=take)
        await services.flush()
        async with _panel(cluster, own) as client:
            heard: list[aiomqtt.Message] = []
            listening = asyncio.create_task(_hear(client, heard))
            with contextlib.suppress(aiomqtt.MqttError):
                # refused with the code 0x80, or granted for nothing
                await client.subscribe("#", timeout=2)

            async def told() -> bool:
                for topic in (
                    f"source/{colleague}/event",
                    "source/x",
                    f"source/{own}",
                    f"source/{own}/event",
                    f"source/{own}/event/panel-3",
                ):
                    await client.publish(topic, b"alarm", qos=1)
                return len({message.subject for message in received}) >= 2

            await until(told)
            await services.publish(f"shared.{cluster.harbor}.alert", b"for the agency's devices, not for panels")
            await services.flush()
            await client.publish(f"source/{own}/event", b"last", qos=1)

            async def last() -> bool:
                return any(message.data == b"last" for message in received)

            await until(last)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        assert heard == []
        subject = f"agency.{cluster.harbor}.source.{own}.event"
        assert {message.subject for message in received} == {subject, f"{subject}.panel-3"}


async def _hear(client: aiomqtt.Client, heard: list[aiomqtt.Message]) -> None:
    async for message in client.messages:
        heard.append(message)


async def test_a_source_that_leaves_the_list_is_cut_off_and_its_login_stays_void(cluster: Cluster) -> None:
    await cluster.start()
    gone, stays = new_id(), new_id()
    await _declared(cluster, gone, stays)
    for source_id in (gone, stays):
        await poll(partial(_let_in, cluster, source_id))
    async with _panel(cluster, gone) as client:
        await _declared(cluster, stays)

        async def cut() -> bool:
            try:
                await client.publish(f"source/{gone}/event", b"still there?", qos=1, timeout=30)
            except aiomqtt.MqttError:
                return True
            return False

        with contextlib.suppress(aiomqtt.MqttError):
            await until(cut)
    assert not await _let_in(cluster, gone)
    assert await _let_in(cluster, stays)
    resource = cluster.api.get("agencies", cluster.harbor)
    assert resource is not None and resource["status"]["mqttSources"] == sorted([gone, stays])
    # nor is it forgotten when the resource, and with it the status, was gone
    await cluster.api.remove("agencies", cluster.harbor)

    async def removed() -> bool:
        return cluster.api.get("agencies", cluster.harbor) is None

    await until(removed)
    await _declared(cluster, stays)
    await poll(lambda: _let_in(cluster, stays))
    assert not await _let_in(cluster, gone)
    # named again it is let in again, by the same password
    await _declared(cluster, gone, stays)
    await poll(lambda: _let_in(cluster, gone))


async def test_a_login_is_for_mqtt_alone(cluster: Cluster) -> None:
    await cluster.start()
    source_id = new_id()
    await _declared(cluster, source_id)
    await poll(lambda: _let_in(cluster, source_id))
    token = cluster.secret(f"{cluster.harbor}-mqtt-{source_id}")["password"]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(cluster.platform.nats_url.rpartition(":")[2]))
    try:
        await reader.readline()
        writer.write(b'CONNECT {"verbose":false,"jwt":"' + token.encode() + b'"}\r\nPING\r\n')
        async with asyncio.timeout(30):
            assert (await reader.readline()).startswith(b"-ERR 'Authorization Violation'")
    finally:
        writer.close()
