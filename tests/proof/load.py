"""A steady load of deliveries by senders that keep each one until it was acknowledged, as docs/integrators/webhooks.md asks."""

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from proof.platform import signed_headers
from proof.world import TINY_JPEG, Source, gunshot, plate_read
from rtcc_chassis.identifiers import new_id

_RETRY_S = 0.25
# fewer than one search answers
READS_OF_A_PLATE = 400


@dataclass
class Load:
    """What was sent and acknowledged. `gunshots`: incident -> event id; `reads`: event id -> the plate that was read."""

    url: str
    shots: Source
    reader: Source
    camera_id: str
    # its reads are spread over as many plates as needed, each a suffix of this one, so that a search finds all of a plate
    plate: str
    gunshots: dict[str, str] = field(default_factory=dict)
    reads: dict[str, str] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    longest_wait_s: float = 0.0

    async def run(self, per_second: float, seconds: float, *, deadline_s: float, every: int = 5) -> None:
        """One delivery in `every` is a gunshot, the others are plate reads; each is acknowledged within the deadline."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as client, asyncio.TaskGroup() as tasks:
            started = time.monotonic()
            for number in range(int(per_second * seconds)):
                await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
                if number % every == 0:
                    tasks.create_task(self._shot(client, deadline_s))
                else:
                    tasks.create_task(self._read(client, f"{self.plate}{number // READS_OF_A_PLATE}", deadline_s))

    async def _shot(self, client: aiohttp.ClientSession, deadline_s: float) -> None:
        incident = f"GS-{new_id()}"
        self.gunshots[incident] = await self._until_acknowledged(client, self.shots, gunshot(incident), deadline_s)

    @property
    def plates(self) -> set[str]:
        return set(self.reads.values())

    async def _read(self, client: aiohttp.ClientSession, plate: str, deadline_s: float) -> None:
        # bytes after the end of the picture make each object another one
        image = base64.b64encode(TINY_JPEG + new_id().encode()).decode()
        event_id = await self._until_acknowledged(client, self.reader, plate_read(plate, self.camera_id, image=image), deadline_s)
        self.reads[event_id] = plate

    async def _until_acknowledged(self, client: aiohttp.ClientSession, source: Source, body: dict[str, object], deadline_s: float) -> str:
        data, delivery_id, began = json.dumps(body).encode(), new_id(), time.monotonic()
        while True:
            status, answer = await self._attempt(client, source, data, delivery_id)
            self.answers[status] += 1
            if status in (200, 202):
                self.longest_wait_s = max(self.longest_wait_s, time.monotonic() - began)
                assert answer.get("event_id"), answer
                return answer["event_id"]
            assert status in (0, 401, 429, 500, 502, 503), f"{status} {answer}"
            assert time.monotonic() - began < deadline_s, f"not acknowledged in {deadline_s} s: {status} {answer}"
            await asyncio.sleep(_RETRY_S)

    async def _attempt(self, client: aiohttp.ClientSession, source: Source, data: bytes, delivery_id: str) -> tuple[int, dict[str, str]]:
        headers = signed_headers(source.secret, data, delivery_id)
        try:
            async with client.post(f"{self.url}/v1/hooks/{source.source_id}", data=data, headers=headers) as response:
                return response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return 0, {}


async def under_load(load: Load, kill: Callable[[], None], *, per_second: float, seconds: float, deadline_s: float, every: int = 5) -> None:
    """Run the load and strike in its middle."""
    running = asyncio.create_task(load.run(per_second, seconds, deadline_s=deadline_s, every=every))
    await asyncio.sleep(seconds * 0.4)
    kill()
    await running
