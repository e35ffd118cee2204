"""The account resolver of nats-server (NATS documentation, "Account lookup using resolver"), through its system account."""

import asyncio
import json
from typing import Any

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from rtcc_chassis.errors import RtccError, Unavailable
from rtcc_chassis.settings import ChassisSettings

_TIMEOUT_S = 2.0


class RefusedAccount(RtccError):
    """The server has reasons not to take an account."""


class NatsResolver:
    """A connection in the system account, made on first use and kept."""

    def __init__(self, settings: ChassisSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def current(self, account: str) -> str:
        """ "" where no server holds it."""
        return (await self._ask(f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP", b"")).decode()

    async def push(self, token: str) -> None:
        answer = await self._ask("$SYS.REQ.CLAIMS.UPDATE", token.encode())
        try:
            told: dict[str, Any] = json.loads(answer)
        except ValueError as error:
            raise Unavailable("the account resolver", "it answered no JSON: is the resolver of type full?") from error
        if (told.get("data") or {}).get("code") != 200:
            raise RefusedAccount(f"The NATS server doesn't take the account: {(told.get('error') or {}).get('description', told)}.")

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _ask(self, subject: str, body: bytes) -> bytes:
        try:
            client = await self._connected()
            reply = await client.request(subject, body, timeout=_TIMEOUT_S)
        except (NatsError, OSError, TimeoutError) as error:
            raise Unavailable("the account resolver", f"no answer from NATS ({type(error).__name__})") from error
        return reply.data

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None or self._client.is_closed:
                options: dict[str, Any] = {
                    "servers": [self._settings.nats_url],
                    "name": "operator",
                    "user_credentials": self._settings.nats_credentials,
                    "max_reconnect_attempts": -1,
                    "reconnect_time_wait": 0.5,
                    "allow_reconnect": True,
                    "connect_timeout": 5,
                    "error_cb": _quiet,
                }
                if self._settings.nats_authority:
                    import ssl

                    options["tls"] = ssl.create_default_context(cafile=self._settings.nats_authority)
                async with asyncio.timeout(8):
                    self._client = await nats.connect(**options)
            return self._client


async def _quiet(error: Exception) -> None:
    """What matters comes as the error of a request."""
