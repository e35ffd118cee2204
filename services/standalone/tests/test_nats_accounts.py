"""Agencies on one nats-server: what each can publish, hear and not hear."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import StreamConfig

from rtcc_standalone.credentials import ensure_agency_password
from rtcc_standalone.supervisor import Supervisor

from .conftest import Until


async def answer(message: Msg) -> None:
    await message.respond(b"")


@asynccontextmanager
async def connected(supervisor: Supervisor, user: str, password: str, refusals: list[str] | None = None) -> AsyncIterator[Client]:
    async def note(error: Exception) -> None:
        if refusals is not None:
            refusals.append(str(error))

    url = f"nats://127.0.0.1:{supervisor.installation.ports['nats']}"
    client = await nats.connect(url, user=user, password=password, error_cb=note, max_reconnect_attempts=2, connect_timeout=10)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def platform(supervisor: Supervisor) -> AsyncIterator[Client]:
    async with connected(supervisor, "intake", supervisor.installation.credentials.nats["intake"]) as client:
        yield client


@pytest.fixture
async def agencies(servers: Supervisor, until: Until) -> dict[str, str]:
    """Two agencies; the supervisor has told nats-server."""
    passwords = {name: ensure_agency_password(servers.installation.folder, name) for name in ("harbor-east", "harbor-west")}

    async def linked() -> bool:
        try:
            for name, password in passwords.items():
                async with connected(servers, name, password) as device, platform(servers) as own:
                    listening = await own.subscribe(f"agency.{name}.source.link", cb=answer)
                    await own.flush()
                    await device.request("source.link", b"", timeout=1)
                    await listening.unsubscribe()
            return True
        except (nats.errors.Error, OSError):
            return False

    # what is published while nats-server takes its accounts anew may be lost
    await until(lambda: passwords.keys() <= servers.linked_agencies)
    await until(linked)
    return passwords


async def test_what_an_agency_publishes_is_acknowledged_by_the_platforms_stream(servers: Supervisor, agencies: dict[str, str]) -> None:
    async with platform(servers) as own, connected(servers, "harbor-east", agencies["harbor-east"]) as device:
        await own.jetstream().add_stream(StreamConfig(name="INBOUND", subjects=["agency.*.source.>"], max_bytes=1_000_000))
        answer = await device.request("source.plate.reader-7", b"read", timeout=30)
        assert json.loads(answer.data) == {"stream": "INBOUND", "seq": 1}
        stored = await own.jetstream().get_msg("INBOUND", 1)
        assert stored.subject == "agency.harbor-east.source.plate.reader-7"
        await own.jetstream().delete_stream("INBOUND")


async def test_agency_cannot_speak_as_another_agency(servers: Supervisor, agencies: dict[str, str], until: Until) -> None:
    refusals: list[str] = []
    async with platform(servers) as own, connected(servers, "harbor-west", agencies["harbor-west"], refusals) as device:
        heard: list[str] = []

        async def hear(message: Msg) -> None:
            heard.append(message.subject)

        await own.subscribe("agency.>", cb=hear)
        await own.flush()
        await device.publish("agency.harbor-east.source.plate", b"forged")
        await device.publish("event.harbor-east.plate_read", b"forged")
        await device.publish("source.plate", b"honest")
        await until(lambda: len(refusals) >= 2 and heard)
        assert heard == ["agency.harbor-west.source.plate"]
        assert all("permissions violation" in text.lower() for text in refusals)


async def test_shared_subjects_reach_the_grantee_alone(servers: Supervisor, agencies: dict[str, str], until: Until) -> None:
    async with (
        platform(servers) as own,
        connected(servers, "harbor-east", agencies["harbor-east"]) as east,
        connected(servers, "harbor-west", agencies["harbor-west"]) as west,
    ):
        heard: dict[str, list[str]] = {"east": [], "west": []}

        async def hear_east(message: Msg) -> None:
            heard["east"].append(message.subject)

        async def hear_west(message: Msg) -> None:
            heard["west"].append(message.subject)

        await east.subscribe("shared.>", cb=hear_east)
        await west.subscribe("shared.>", cb=hear_west)
        # an import takes effect a moment after its subscription: publish until the receiver has it
        while not heard["east"]:
            await own.publish("shared.harbor-east.alert", b"for east")
            await own.flush()
            await asyncio.sleep(0.01)
        await own.publish("shared.harbor-west.alert", b"for west")
        await until(lambda: heard["west"])
        assert set(heard["east"]) == {"shared.alert"}
        assert heard["west"] == ["shared.alert"]


@pytest.mark.parametrize(
    "subject", [">", "event.>", "alert.harbor-east", "audit.>", "shared", "agency.harbor-east.>", "$JS.>", "position.>"]
)
async def test_agency_cannot_subscribe_to_the_platforms_subjects(
    servers: Supervisor, agencies: dict[str, str], until: Until, subject: str
) -> None:
    refusals: list[str] = []
    async with connected(servers, "harbor-west", agencies["harbor-west"], refusals) as device:
        await device.subscribe(subject)
        await until(lambda: any("permissions violation" in text.lower() for text in refusals))


async def test_agency_cannot_ask_jetstream(servers: Supervisor, agencies: dict[str, str]) -> None:
    async with connected(servers, "harbor-east", agencies["harbor-east"]) as device:
        with pytest.raises((NoRespondersError, NatsTimeoutError)):
            await device.request("$JS.API.STREAM.NAMES", b"", timeout=0.5)


async def test_removed_agency_is_disconnected(servers: Supervisor, agencies: dict[str, str], until: Until) -> None:
    async with connected(servers, "harbor-west", agencies["harbor-west"]) as device:
        file = servers.installation.folder.agencies / "harbor-west.json"
        file.unlink()
        await until(lambda: not device.is_connected)
    ensure_agency_password(servers.installation.folder, "harbor-west")
