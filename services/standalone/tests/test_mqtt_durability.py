"""What nats-server acknowledged to an MQTT device is in the platform's stream, even when it was killed the next moment."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from rtcc_chassis.streams import DEVICES
from rtcc_chassis.testing import free_port, poll
from rtcc_standalone.installation import find_programs
from rtcc_standalone.servers.nats import MqttListener, configuration_text

UNDER_WAY = 50
ENOUGH = 300


class Server:
    """The shipped configuration with one agency and one source, on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.mqtt_port = free_port(), free_port()
        self._configuration = folder / "nats.conf"
        listener = MqttListener("127.0.0.1", self.mqtt_port)
        self._configuration.write_text(
            configuration_text(self.port, listener, folder, 2**30, {"intake": "p"}, {"east": "e"}, {"east": {"panel": "secret"}})
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(find_programs()["nats-server"]), "-c", str(self._configuration)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[JetStreamContext]:
        async def ignore(_: Exception) -> None:
            """The server goes away in this test."""

        async def reached() -> nats.NATS | None:
            try:
                return await nats.connect(
                    f"nats://127.0.0.1:{self.port}", user="intake", password="p", allow_reconnect=False, connect_timeout=1, error_cb=ignore
                )
            except (NatsError, OSError, TimeoutError):
                return None

        client = await poll(reached)
        assert client is not None
        try:
            yield client.jetstream()
        finally:
            await client.close()


async def test_no_acknowledged_message_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    server, acknowledged = Server(tmp_path), set[str]()
    server.start()
    try:
        async with server.stream() as jetstream:
            await jetstream.add_stream(name=DEVICES.name, subjects=list(DEVICES.subjects))

        async def flood() -> None:
            login = {"username": "panel", "password": "secret"}
            async with aiomqtt.Client("127.0.0.1", server.mqtt_port, **login, max_inflight_messages=UNDER_WAY) as client:
                client.pending_calls_threshold = UNDER_WAY

                async def publish(lane: int) -> None:
                    number = 0
                    while True:
                        number += 1
                        await client.publish("source/panel/event", f"{lane}-{number}", qos=1, timeout=30)
                        acknowledged.add(f"{lane}-{number}")

                await asyncio.gather(*(publish(lane) for lane in range(UNDER_WAY)))

        flooding = asyncio.create_task(flood())

        async def enough() -> bool:
            return len(acknowledged) >= ENOUGH

        await poll(enough)
        server.kill()
        flooding.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
            await flooding
        server.start()
        async with server.stream() as jetstream:
            last = (await jetstream.stream_info(DEVICES.name)).state.last_seq
            stored = {((await jetstream.get_msg(DEVICES.name, sequence)).data or b"").decode() for sequence in range(1, last + 1)}
        assert acknowledged <= stored
    finally:
        server.kill()
