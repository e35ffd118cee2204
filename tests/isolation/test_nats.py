"""NATS as devices and neighbours meet it: own account, own subjects, nothing of the platform's."""

import asyncio
import contextlib
import json

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from proof.agency_login import connected, ignore
from proof.platform import RunningPlatform, signed_headers, until
from proof.sky import remote_id
from proof.world import OWNER, STRANGER, World, gunshot
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import ALL, audit_subject


@pytest.mark.parametrize("login", [{}, {"user": "gateway", "password": "guess"}, {"user": OWNER, "password": ""}, {"token": "x"}])
async def test_nobody_connects(platform: RunningPlatform, login: dict[str, str]) -> None:
    with pytest.raises((NatsError, OSError, TimeoutError)):
        async with asyncio.timeout(30):
            await nats.connect(platform.environment["RTCC_NATS_URL"], error_cb=ignore, allow_reconnect=False, connect_timeout=20, **login)


async def test_an_agency_hears_nothing_that_was_not_shared_with_it(platform: RunningPlatform, world: World) -> None:
    heard: list[Msg] = []

    async def listen(message: Msg) -> None:
        heard.append(message)

    subjects = [subject for spec in ALL for subject in spec.subjects]
    subjects += [">", "*", "*.*", f"event.{OWNER}.>", f"agency.{OWNER}.>", f"shared.{OWNER}.>", f"shared.{STRANGER}.>", "$SYS.>", "$JS.>"]
    async with connected(platform, STRANGER) as stranger:
        for subject in subjects:
            await stranger.subscribe(subject, cb=listen)
        await stranger.flush()
        await world.alert(OWNER)
        await world.camera(OWNER)
        await stranger.flush()
        await asyncio.wait_for(stranger.flush(), 30)
    assert [(message.subject, message.data[:40]) for message in heard] == []


async def test_an_agency_writes_into_nothing_of_the_platform(platform: RunningPlatform, world: World) -> None:
    before = {spec.name: (await platform.bus.jetstream.stream_info(spec.name)).state.last_seq for spec in ALL}
    forged = f"forged-{new_id()}"
    async with connected(platform, STRANGER) as stranger:
        for subject in (
            f"event.{OWNER}.gunshot", f"event.{STRANGER}.gunshot", f"alert.{STRANGER}", f"position.{STRANGER}", f"shared.{OWNER}.alert",
            f"incident.{STRANGER}",
            f"directory.camera.{STRANGER}.x", f"track.{STRANGER}", f"quarantine.{STRANGER}", audit_subject(STRANGER), audit_subject(OWNER),
            f"agency.{OWNER}.source.x", "agency.>",
        ):  # fmt: skip
            await stranger.publish(subject, forged.encode())
        await stranger.flush()
    # the platform itself goes on writing meanwhile: what counts is that none of it is the stranger's
    for spec in ALL:
        last = (await platform.bus.jetstream.stream_info(spec.name)).state.last_seq
        for sequence in range(before[spec.name] + 1, last + 1):
            with contextlib.suppress(NotFoundError):  # replaced by a newer one of its subject
                assert forged.encode() not in ((await platform.bus.jetstream.get_msg(spec.name, sequence)).data or b"")


async def test_an_agency_manages_no_stream(platform: RunningPlatform, world: World) -> None:
    async with connected(platform, STRANGER) as stranger:
        for subject in ("$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.MSG.GET.AUDIT", "$JS.API.CONSUMER.CREATE.EVENTS"):
            with pytest.raises((NatsError, asyncio.TimeoutError)):
                await stranger.request(subject, b"{}", timeout=0.5)


async def test_a_device_delivers_for_its_own_agency_only(platform: RunningPlatform, world: World) -> None:
    source = await world.source(OWNER)
    body = json.dumps(gunshot(f"GS-{new_id()}")).encode()

    async def attempt(client: Client) -> dict[str, object]:
        headers = {name: value for name, value in signed_headers(source.secret, body).items() if name.startswith("Rtcc-")}
        try:
            answer = await client.request(f"source.{source.source_id}", body, timeout=2, headers=headers)
        except (TimeoutError, NatsError):
            return {}
        decoded: dict[str, object] = json.loads(answer.data)
        return decoded

    async with connected(platform, STRANGER) as stranger:
        # right secret, wrong account
        answer = await attempt(stranger)
        assert "event_id" not in answer or not answer["event_id"], answer
    async with connected(platform, OWNER) as owner:

        async def accepted() -> bool:
            return (await attempt(owner)).get("status") in (200, 202)

        await until(accepted)


async def test_a_receiver_delivers_for_its_own_agency_only(platform: RunningPlatform, world: World) -> None:
    source, serial_number = await world.source(OWNER, "remote_id"), f"MFG1F{new_id()[-12:]}"
    body = json.dumps(remote_id(serial_number, 60.17, 24.94)).encode()

    async def attempt(client: Client) -> dict[str, object]:
        headers = {name: value for name, value in signed_headers(source.secret, body).items() if name.startswith("Rtcc-")}
        try:
            answer = await client.request(f"source.{source.source_id}", body, timeout=2, headers=headers)
        except (TimeoutError, NatsError):
            return {}
        decoded: dict[str, object] = json.loads(answer.data)
        return decoded

    async def accepted(client: Client) -> bool:
        return (await attempt(client)).get("status") == 202

    async with connected(platform, OWNER) as owner:
        await until(lambda: accepted(owner))
    async with connected(platform, STRANGER) as stranger:
        # right secret, wrong account
        assert (await attempt(stranger)).get("status") == 401
