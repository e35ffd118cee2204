"""Passers-by who use the public tip form as anybody's browser does: open the page, type for a while, send."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter

import aiohttp

from rtcc_demo.world.simulation import TipTold

log = logging.getLogger("rtcc_demo")

TYPING_S = 4.0
TRIES = 5
PAUSE_S = 15.0
_FORM_KEY = re.compile(r'name="form" value="([^"]+)"')


class TipTellers:
    """One after the other; what can't be told after some tries is forgotten, as people do."""

    def __init__(self, session: aiohttp.ClientSession, counts: Counter[str], typing_s: float = TYPING_S) -> None:
        self._session = session
        self._counts = counts
        self._typing_s = typing_s
        self._waiting: asyncio.Queue[TipTold] = asyncio.Queue()

    def put(self, tip: TipTold) -> None:
        self._waiting.put_nowait(tip)

    async def run(self) -> None:
        """For ever; cancel to stop."""
        while True:
            tip = await self._waiting.get()
            for _ in range(TRIES):
                if await self._told(tip):
                    break
                await asyncio.sleep(PAUSE_S)

    async def _told(self, tip: TipTold) -> bool:
        """Whether the tip is settled: taken, or refused for good."""
        path = f"/tips/{tip.agency_id}"
        try:
            async with self._session.get(path) as page:
                found = _FORM_KEY.search(await page.text())
            if found is None:
                # the line is closed, or the platform is still starting
                return page.status == 404
            await asyncio.sleep(self._typing_s)
            form = {"form": found[1], "category": tip.category, "text": tip.text, "address": tip.address, "website": ""}
            if tip.place is not None:
                form |= {"lon": str(tip.place[0]), "lat": str(tip.place[1])}
            async with self._session.post(path, data=form) as answer:
                if answer.status == 200:
                    self._counts["tip"] += 1
                    return True
                log.warning("a tip to %s was answered with %d", tip.agency_id, answer.status)
                return answer.status in (400, 404, 413, 429)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("the tip form can't be reached (%s), trying again", type(error).__name__)
            return False
