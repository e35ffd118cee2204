"""The live socket: what a person of one agency is sent never holds anything of another that was not granted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from proof.platform import RunningPlatform, until
from proof.requests import OF_A_THING
from proof.world import OWNER, PARTNER, STRANGER, World
from rtcc.exchange.v1 import exchange_pb2
from rtcc.geo.v1.geo_pb2 import BoundingBox
from rtcc.live.v1 import live_pb2 as live
from rtcc.registry.v1 import registry_pb2

WORLD_BOX = BoundingBox(south_deg=59, west_deg=23, north_deg=62, east_deg=27)


class Console:
    """One socket and all frames that came."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.frames: list[live.ServerFrame] = []
        self.raw = bytearray()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.raw += message.data
                self.frames.append(live.ServerFrame.FromString(message.data))

    async def first(self, kind: str, *, deadline_s: float = 15.0) -> live.ServerFrame:
        async def found() -> live.ServerFrame | None:
            return next((frame for frame in self.frames if frame.WhichOneof("body") == kind), None)

        frame = await until(found, deadline_s=deadline_s)
        assert frame is not None
        return frame

    async def alert(self, alert_id: str) -> None:
        async def found() -> bool:
            return any(alert.alert_id == alert_id for frame in self.frames for alert in frame.alerts.alerts)

        await until(found)

    async def text(self, text: str) -> None:
        """Until it stands in anything that was sent."""

        async def found() -> bool:
            return text.encode() in self.raw

        await until(found)

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


@asynccontextmanager
async def console(platform: RunningPlatform, world: World, person: registry_pb2.Person, hello: bool = True) -> AsyncIterator[Console]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        await world.sign_in(client, person)
        async with client.ws_connect(f"{platform.url}/v1/live", protocols=("rtcc.live.v1",), origin=platform.url) as socket:
            opened = Console(socket)
            try:
                if hello:
                    frame = live.ClientFrame(hello=live.Hello(viewport=live.Viewport(box=WORLD_BOX)))
                    await socket.send_bytes(frame.SerializeToString())
                yield opened
            finally:
                await opened.close()


async def test_a_stranger_is_sent_nothing_of_the_owner(platform: RunningPlatform, world: World) -> None:
    secrets = [await world.camera(OWNER), (await world.unit(OWNER)).unit_id, (await world.source(OWNER)).source_id]
    async with (
        console(platform, world, world.people[STRANGER]["supervisor"]) as stranger,
        console(platform, world, world.people[OWNER]["supervisor"]) as owner,
    ):
        await stranger.first("welcome")
        await owner.first("cameras")
        secrets += await world.track(OWNER)
        await owner.text(secrets[-1])
        secrets.append(await world.alert(OWNER))
        await owner.alert(secrets[-1])
        # afterwards one of the stranger's own: whatever of the owner's were on its way has arrived by then
        await stranger.alert(await world.alert(STRANGER))
    assert secrets[0].encode() in owner.raw and secrets[-1].encode() in owner.raw
    for secret in (*secrets, OWNER, "Anchor Police"):
        assert secret.encode() not in stranger.raw, secret


async def test_a_partner_is_sent_what_the_agreement_grants_and_nothing_else(platform: RunningPlatform, world: World) -> None:
    granted, kept = await world.camera(OWNER), await world.camera(OWNER)
    async with console(platform, world, world.people[PARTNER]["supervisor"]) as partner:
        await partner.first("welcome")
        agreement_id = await world.agreement(OWNER, PARTNER, alert_kinds=["gunshot"], camera_ids=[granted], cameras_live=True)

        async def arrived() -> bool:
            return granted.encode() in partner.raw

        await until(arrived)
        assert kept.encode() not in partner.raw
        request = registry_pb2.RevokeAgreementRequest(agreement_id=agreement_id, reason="over")
        await platform.ask("RevokeAgreement", world.everything(OWNER), request)

        async def told() -> bool:
            return any(frame.revoked.agreement_id == agreement_id for frame in partner.frames)

        await until(told)


@pytest.mark.parametrize("role", ["auditor", "platform_operator"])
async def test_who_may_not_watch_is_sent_nothing(platform: RunningPlatform, world: World, role: str) -> None:
    await world.camera(OWNER)
    async with console(platform, world, world.people[OWNER][role]) as watcher:

        async def closed() -> bool:
            return watcher.socket.closed

        await until(closed)
        assert watcher.socket.close_code == 4403
        assert not [frame for frame in watcher.frames if frame.WhichOneof("body") not in ("session_ending",)]


async def test_an_administrator_sees_cameras_but_no_alerts_and_no_people_moving(platform: RunningPlatform, world: World) -> None:
    camera_id = await world.camera(OWNER)
    async with (
        console(platform, world, world.people[OWNER]["administrator"]) as administrator,
        console(platform, world, world.people[OWNER]["operator"]) as operator,
    ):
        await administrator.first("cameras")
        await operator.first("welcome")
        await operator.alert(await world.alert(OWNER))
        assert camera_id.encode() in administrator.raw
        kinds = {frame.WhichOneof("body") for frame in administrator.frames}
        assert kinds.isdisjoint({"alerts", "shared_alerts", "positions", "calls"})


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
async def test_a_page_of_another_site_gets_no_socket(platform: RunningPlatform, world: World, origin: str | None) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        await world.sign_in(client, world.people[OWNER]["operator"])
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{platform.url}/v1/live", protocols=("rtcc.live.v1",), origin=origin)
        assert refused.value.status == 403


async def test_nothing_is_sent_before_hello(platform: RunningPlatform, world: World) -> None:
    async with console(platform, world, world.people[OWNER]["operator"], hello=False) as silent:
        await silent.socket.send_bytes(live.ClientFrame(ping=live.Ping(client_time_us=1)).SerializeToString())

        async def closed() -> bool:
            return silent.socket.closed

        await until(closed)
        assert silent.socket.close_code == 4400
        assert silent.frames == []


@pytest.mark.parametrize(
    "frame", [b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05ab"], ids=["noise", "a length beyond the end", "cut off"]
)
async def test_a_frame_that_cant_be_read_ends_the_socket_and_no_other(platform: RunningPlatform, world: World, frame: bytes) -> None:
    async with (
        console(platform, world, world.people[OWNER]["operator"]) as broken,
        console(platform, world, world.people[OWNER]["dispatcher"]) as healthy,
    ):
        await broken.first("welcome")
        await healthy.first("welcome")
        await broken.socket.send_bytes(frame)

        async def closed() -> bool:
            return broken.socket.closed

        await until(closed)
        assert broken.socket.close_code == 4400
        await healthy.alert(await world.alert(OWNER))


async def test_a_frame_above_the_bound_ends_the_socket(platform: RunningPlatform, world: World) -> None:
    async with console(platform, world, world.people[OWNER]["operator"]) as large:
        await large.first("welcome")
        await large.socket.send_bytes(b"\x00" * (64 * 1024))

        async def closed() -> bool:
            return large.socket.closed

        await until(closed)
        assert large.socket.close_code in (1009, 4400)


async def test_text_is_refused(platform: RunningPlatform, world: World) -> None:
    async with console(platform, world, world.people[OWNER]["operator"]) as texting:
        await texting.first("welcome")
        await texting.socket.send_str('{"hello": {}}')

        async def closed() -> bool:
            return texting.socket.closed

        await until(closed)
        assert texting.socket.close_code == 4400


async def test_a_partners_acknowledgement_is_on_the_owners_console_and_on_no_copy(platform: RunningPlatform, world: World) -> None:
    request = await OF_A_THING["AcknowledgeSharedAlert"](world, OWNER)
    async with console(platform, world, world.people[PARTNER]["supervisor"]) as theirs:
        await theirs.first("welcome")
        await platform.ask("AcknowledgeSharedAlert", world.everything(OWNER), request)

        async def shown() -> list[str]:
            alerts = [alert for frame in theirs.frames for alert in frame.alerts.alerts if alert.alert_id == request.alert_id]
            return [one.agency_id for alert in alerts for one in alert.partner_acknowledgements]

        assert await until(shown) == [OWNER]
    copies = await platform.ask("ListSharedAlerts", world.everything(OWNER), exchange_pb2.ListSharedAlertsRequest(limit=500))
    (copy,) = [one for one in copies.alerts if one.alert.alert_id == request.alert_id]
    assert copy.acknowledged_by and not copy.alert.partner_acknowledgements and not copy.alert.HasField("escalation")
