"""Sends a device's messages in order through the gateway's HTTP door, and outlasts its absence."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from dataclasses import dataclass

import aiohttp

from rtcc_demo.messages import signature_headers

log = logging.getLogger("rtcc_demo")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
TIMEOUT_S = 20.0
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Hook:
    """A signed delivery, by webhook or by a receiver's door. Signed at each try, since the time stamp may be a few minutes old at most."""

    source_id: str
    secret: str
    delivery_id: str
    body: bytes
    door: str = "hooks"

    def request(self) -> tuple[str, str, dict[str, str], dict[str, str], bytes]:
        headers = signature_headers(self.secret, self.delivery_id, self.body, int(time.time()))
        return "POST", f"/v1/{self.door}/{self.source_id}", {}, headers, self.body


@dataclass(frozen=True, slots=True)
class Fix:
    """A tracker's fix."""

    query: dict[str, str]

    def request(self) -> tuple[str, str, dict[str, str], dict[str, str], bytes]:
        return "GET", "/v1/osmand", self.query, {}, b""


Message = Hook | Fix


class Lane:
    """One sender with a bounded memory: messages go out one after the other, the oldest are dropped when the door stays shut too long."""

    def __init__(self, session: aiohttp.ClientSession, name: str, capacity: int, counts: Counter[str]) -> None:
        self._session = session
        self._name = name
        self._waiting: deque[Message] = deque(maxlen=capacity)
        self._arrived = asyncio.Event()
        self._counts = counts
        self._told_at_s = -60.0

    def put(self, message: Message) -> None:
        """Takes a message to send. Never blocks."""
        if len(self._waiting) == self._waiting.maxlen:
            self._counts["dropped"] += 1
        self._waiting.append(message)
        self._arrived.set()

    async def run(self) -> None:
        """Sends for ever; cancel to stop."""
        pause_s = 0.0
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            message = self._waiting[0]
            wait_s = await self._send(message)
            if wait_s is None:
                if self._waiting and self._waiting[0] is message:
                    self._waiting.popleft()
                pause_s = 0.0
                continue
            pause_s = max(wait_s, min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, pause_s * 2)))
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))

    async def _send(self, message: Message) -> float | None:
        """None when the message is settled, else the least pause in seconds before the next try."""
        method, path, query, headers, body = message.request()
        try:
            async with self._session.request(method, path, params=query, headers=headers, data=body or None) as answer:
                if answer.status in RETRIED:
                    self._tell(f"the gateway answered {answer.status}, trying again")
                    after = answer.headers.get("Retry-After", "")
                    return min(float(after), LONGEST_PAUSE_S) if after.isdecimal() else 0.0
                if answer.status >= 400:
                    self._counts["refused"] += 1
                    self._tell(f"refused with {answer.status}: {(await answer.text())[:300]}")
                elif isinstance(message, Hook) and "QUARANTINED" in (text := await answer.text()):
                    self._counts["quarantined"] += 1
                    self._tell(f"not understood: {text[:300]}")
                else:
                    self._counts[type(message).__name__.lower()] += 1
                return None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._tell(f"can't reach the gateway ({type(error).__name__}), trying again")
            return 0.0

    def _tell(self, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._told_at_s >= 60.0:
            self._told_at_s = now_s
            log.warning("%s: %s", self._name, text)


def open_session(gateway_url: str, certificate_authority: str = "") -> aiohttp.ClientSession:
    """A client of the gateway at `gateway_url` (origin, no path)."""
    connector: aiohttp.TCPConnector
    if certificate_authority:
        import ssl

        connector = aiohttp.TCPConnector(limit=32, ssl=ssl.create_default_context(cafile=certificate_authority))
    else:
        connector = aiohttp.TCPConnector(limit=32)
    return aiohttp.ClientSession(gateway_url, connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
