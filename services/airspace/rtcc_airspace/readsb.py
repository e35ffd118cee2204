"""ADS-B receivers that are asked: readsb's aircraft.json over HTTP, each second."""

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus

import aiohttp

from rtcc_airspace.app.receiving import ADSB, Find, Receiving
from rtcc_airspace.domain.receptions import BODY_BYTES_MOST
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError, Unavailable

_LOG = logging.getLogger(__name__)
_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=3)
_LOG_EVERY = 60


class ReadsbPolls:
    """`receivers`: source id -> address of aircraft.json."""

    def __init__(self, receivers: Mapping[str, str], every_s: float, receiving: Receiving, find: Find, clock: Clock) -> None:
        self._receivers = receivers
        self._every_s = every_s
        self._receiving = receiving
        self._find = find
        self._clock = clock

    async def run(self) -> None:
        """All receivers, for ever. One that is away is asked again; the others go on."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as client, asyncio.TaskGroup() as group:
            for source_id, url in self._receivers.items():
                group.create_task(self._keep(client, source_id, url), name=f"readsb {source_id}")

    async def _keep(self, client: aiohttp.ClientSession, source_id: str, url: str) -> None:
        failed = 0
        while True:
            try:
                await self._ask(client, source_id, url)
                failed = 0
            except (aiohttp.ClientError, OSError, TimeoutError, RtccError) as error:
                if failed % _LOG_EVERY == 0:
                    _LOG.warning("receiver %s of source %s: %s", url, source_id, error)
                failed += 1
            await asyncio.sleep(self._every_s)

    async def _ask(self, client: aiohttp.ClientSession, source_id: str, url: str) -> None:
        source = self._find(source_id)
        if source is None or not source.enabled or source.adapter != ADSB:
            return
        # a receiver that sends us elsewhere would have us ask whom nobody chose
        async with client.get(url, allow_redirects=False) as response:
            if response.status != HTTPStatus.OK:
                raise Unavailable("the receiver", f"it answered {response.status}")
            # one byte too many is seen and refused; the rest is never read
            body = await response.content.read(BODY_BYTES_MOST + 1)
            while len(body) <= BODY_BYTES_MOST and (more := await response.content.read(BODY_BYTES_MOST + 1 - len(body))):
                body += more
        await self._receiving.take(source, body, self._clock())
