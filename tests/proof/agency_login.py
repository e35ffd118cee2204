"""An agency's own account on NATS, as its devices use it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from proof.platform import RunningPlatform, until


async def ignore(_: Exception) -> None:
    """Permission violations come here; the tests look at what arrived."""


@asynccontextmanager
async def connected(platform: RunningPlatform, agency_id: str) -> AsyncIterator[Client]:
    """As a device of the agency, with its account's password."""
    folder = platform.supervisor.installation.folder

    async def account() -> dict[str, str]:
        path = folder.agencies / f"{agency_id}.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    found = await until(account)
    client: Client | None = None

    async def reached() -> bool:
        nonlocal client
        try:
            client = await nats.connect(
                platform.environment["RTCC_NATS_URL"], user=found["user"], password=found["password"], error_cb=ignore,
                allow_reconnect=False, connect_timeout=5,
            )  # fmt: skip
        except (NatsError, OSError):
            return False
        return True

    # the server takes a new agency's account at its next reload
    await until(reached, deadline_s=60)
    assert client is not None
    try:
        yield client
    finally:
        await client.close()
