"""The pull protocol of JetStream consumers (NATS ADR-9, ADR-37): one standing request, batches without added delay."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

_EXPIRES_S = 5.0


class PullEnded(Exception):
    """The consumer is gone or silent: it must be made or bound again."""


class PullRequest:
    """Keeps `capacity` messages requested and hands out whatever has come."""

    def __init__(self, client: Client, stream: str, consumer: str, capacity: int, inbox: str, queue: "asyncio.Queue[Msg]") -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._capacity = capacity
        self._inbox = inbox
        self._queue = queue
        self._outstanding = 0
        self._answered_at = time.monotonic()

    async def next_batch(self, limit: int) -> list[Msg]:
        """At least one message unless the wait of 5 s ran out (then none). Raises PullEnded when the server stopped answering."""
        if self._outstanding < max(1, self._capacity // 2):
            await self._request()
        deadline = time.monotonic() + _EXPIRES_S + 1
        while True:
            try:
                async with asyncio.timeout(max(0.01, deadline - time.monotonic())):
                    first = await self._queue.get()
            except TimeoutError:
                self._outstanding = 0
                if time.monotonic() - self._answered_at > 3 * _EXPIRES_S:
                    raise PullEnded("no answer from the server") from None
                return []
            batch = [first]
            while len(batch) < limit:
                try:
                    batch.append(self._queue.get_nowait())
                except asyncio.QueueEmpty:
                    break
            self._answered_at = time.monotonic()
            messages = [message for message in batch if self._is_data(message)]
            if messages:
                return messages
            if self._outstanding <= 0:
                return []

    def _is_data(self, message: Msg) -> bool:
        status = (message.headers or {}).get("Status") if not message.data else None
        if status is None:
            self._outstanding -= 1
            return True
        if status == "408" or status == "404":
            self._outstanding = 0
        elif status == "409":
            description = (message.headers or {}).get("Description", "")
            self._outstanding = 0
            if "Deleted" in description or "deleted" in description:
                raise PullEnded(description)
        elif status == "503":
            raise PullEnded("no such consumer")
        return False

    async def _request(self) -> None:
        request = {"batch": self._capacity, "expires": int(_EXPIRES_S * 1e9)}
        try:
            await self._client.publish(self._subject, json.dumps(request).encode(), reply=self._inbox)
        except (NatsError, OSError) as error:
            raise PullEnded(str(error)) from error
        self._outstanding = self._capacity


@asynccontextmanager
async def pulling(client: Client, stream: str, consumer: str, capacity: int) -> AsyncIterator[PullRequest]:
    """A standing pull on one consumer; its inbox is unsubscribed at the end."""
    queue: asyncio.Queue[Msg] = asyncio.Queue()

    async def enqueue(message: Msg) -> None:
        queue.put_nowait(message)

    inbox = client.new_inbox()
    # bounded by the capacity asked for: the server never sends more than was requested
    subscription = await client.subscribe(inbox, cb=enqueue, pending_msgs_limit=capacity * 4, pending_bytes_limit=-1)
    try:
        yield PullRequest(client, stream, consumer, capacity, inbox, queue)
    finally:
        with contextlib.suppress(NatsError, OSError):
            await subscription.unsubscribe()
