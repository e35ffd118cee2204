"""A signed-in console's live socket, with everything that came over it kept as bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from proof.world import World
from rtcc.live.v1 import live_pb2
from rtcc.registry.v1 import registry_pb2


class LiveWatch:
    """`frames` as parsed, `received` as they came."""

    def __init__(self) -> None:
        self.frames: list[live_pb2.ServerFrame] = []
        self.received: list[bytes] = []

    def saw(self, text: str) -> bool:
        """Whether a text stood in any frame."""
        return any(text.encode() in data for data in self.received)

    def shared_alerts(self) -> list[tuple[str, int, str]]:
        """(alert id, revision, who of ours acknowledged it) of every shared alert delivered, in order, repeats included."""
        return [
            (shared.alert.alert_id, shared.alert.revision, shared.acknowledged_by)
            for frame in self.frames
            for shared in frame.shared_alerts.alerts
        ]

    def alerts(self) -> list[tuple[str, int]]:
        """(alert id, revision) of every own alert delivered."""
        return [(alert.alert_id, alert.revision) for frame in self.frames for alert in frame.alerts.alerts]


@asynccontextmanager
async def live_watch(world: World, person: registry_pb2.Person) -> AsyncIterator[LiveWatch]:
    """Signed in as `person`, looking at the whole city."""
    watch = LiveWatch()
    async with world.platform.http(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        await world.sign_in(client, person)
        url = f"{world.platform.url}/v1/live"
        async with client.ws_connect(url, protocols=("rtcc.live.v1",), origin=world.platform.url, max_msg_size=0) as socket:
            hello = live_pb2.ClientFrame()
            box = hello.hello.viewport.box
            box.south_deg, box.west_deg, box.north_deg, box.east_deg = 59, 23, 62, 27
            await socket.send_bytes(hello.SerializeToString())

            async def read() -> None:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        watch.received.append(message.data)
                        watch.frames.append(live_pb2.ServerFrame.FromString(message.data))

            reading = asyncio.create_task(read())
            try:
                yield watch
            finally:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
