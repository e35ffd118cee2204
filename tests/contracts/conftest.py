"""A signed-in browser with every right of one agency."""

from collections.abc import AsyncIterator

import aiohttp
import pytest_asyncio

from proof.platform import RunningPlatform
from proof.world import OWNER, ROLES, World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(platform: RunningPlatform, world: World) -> AsyncIterator[aiohttp.ClientSession]:
    person = await world.person(OWNER, *(role for role in ROLES if role != "platform_operator"))
    headers = {"Rtcc-Request": "1", "Rtcc-Purpose": "investigation", "Rtcc-Case-Number": "26-0001"}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers=headers) as client:
        await world.sign_in(client, person)
        yield client
