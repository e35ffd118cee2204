"""Webhooks and SMS gateways: one POST a message, signed as deliveries to us are (rtcc_chassis.signature)."""

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from rtcc_alerting.channels import Route, SendFailed
from rtcc_alerting.destinations import DestinationRefused, Destinations
from rtcc_alerting.notification import Message
from rtcc_chassis.clock import Clock
from rtcc_chassis.signature import sign

_TIMEOUT_S = 15.0
_LONGEST_WAIT_S = 3_600.0
# the receiver may take it later: timeout, conflict of two tries, too early, too many
_TRY_AGAIN = frozenset({408, 409, 425, 429})


class GuardedResolver(AbstractResolver):
    """What it answers is what is connected to."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=str(address), port=port, family=address_family, proto=0, flags=socket.AI_NUMERICHOST)
            for address_family, address in await self._destinations.resolve(host, port)
            if family in (socket.AF_UNSPEC, address_family)
        ]

    async def close(self) -> None:
        return


class WebhookChannel:
    """JSON with Rtcc-Timestamp, Rtcc-Delivery and Rtcc-Signature. A repeat has the same Rtcc-Delivery: the receiver drops what it has."""

    def __init__(self, destinations: Destinations, clock: Clock) -> None:
        self._destinations = destinations
        self._clock = clock

    async def send(self, route: Route, message: Message) -> str:
        if not route.signing_secret:
            raise SendFailed("the contact has no signing secret: make a new one", final=True)
        data = {"id": message.message_id, "subject": message.subject, "text": message.text, **message.data}
        body = json.dumps(data, ensure_ascii=False).encode()
        timestamp = str(int(self._clock().timestamp()))
        headers = {
            "Rtcc-Timestamp": timestamp,
            "Rtcc-Delivery": message.message_id,
            "Rtcc-Signature": sign(route.signing_secret, timestamp, message.message_id, body),
        }
        return await _post(self._destinations, route.contact.address, body, headers)


class SmsChannel:
    """{"id", "to", "from", "text"} to the agency's gateway, with its token and an Idempotency-Key."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations

    async def send(self, route: Route, message: Message) -> str:
        settings = route.settings
        if not settings.sms_url:
            raise SendFailed("the agency has set no SMS gateway")
        data = {"id": message.message_id, "to": route.contact.address, "from": settings.sms_sender, "text": message.short}
        headers = {"Idempotency-Key": message.message_id}
        if route.sms_token:
            headers["Authorization"] = f"Bearer {route.sms_token}"
        return await _post(self._destinations, settings.sms_url, json.dumps(data, ensure_ascii=False).encode(), headers)


async def _post(destinations: Destinations, url: str, body: bytes, headers: Mapping[str, str]) -> str:
    """ "HTTP 202" when it was taken. What the receiver writes is not kept: it is a stranger's word, or an inner system's."""
    try:
        destinations.check_literal(urlsplit(url).hostname or "")
        # no cookies, no proxies, no redirects: a message goes where its contact says and nowhere else
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(destinations), force_close=True, limit=4, ttl_dns_cache=None, use_dns_cache=False
        )
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as client,
            client.post(
                url,
                data=body,
                headers={"Content-Type": "application/json", "User-Agent": "OpenRTCC", **headers},
                allow_redirects=False,
            ) as answer,
        ):
            return _taken(answer.status, answer.headers)
    except DestinationRefused as error:
        raise SendFailed(error.message, final=True) from error
    except (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        raise SendFailed(f"no answer ({type(error).__name__})") from error


def _taken(status: int, headers: Mapping[str, Any]) -> str:
    if 200 <= status < 300:
        return f"HTTP {status}"
    wait = str(headers.get("Retry-After", ""))
    retry_after_s = min(float(wait), _LONGEST_WAIT_S) if wait.isascii() and wait.isdigit() else 0.0
    raise SendFailed(f"HTTP {status}", final=300 <= status < 500 and status not in _TRY_AGAIN, retry_after_s=retry_after_s)
