"""Fetches the feeds that are due, over https from public addresses."""

import asyncio
import ipaddress
import logging
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_chassis.signed_sources import RegisteredSource
from rtcc_intake.adapters.gtfs_realtime import MAXIMUM_FEED_BYTES
from rtcc_intake.app.deliveries import IntakeApp
from rtcc_intake.app.feeds import Feeds
from rtcc_intake.app.ports import Feed

_LOG = logging.getLogger(__name__)
_EVERY_S = 1.0
_TIMEOUT_S = 20.0
_AT_ONCE = 8


class PrivateAddressError(OSError):
    """A feed's name leads into a private network: an agency's administrator may not make us knock there."""


class PublicResolver(AbstractResolver):
    """Only addresses of the public Internet, except for hosts ("host:port") that the installation names."""

    def __init__(self, plain_hosts: frozenset[str]) -> None:
        self._plain_hosts = plain_hosts
        self._resolver = DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            require_public(result["host"], f"{host}:{port}", self._plain_hosts)
        return found

    async def close(self) -> None:
        await self._resolver.close()


def require_public(address: str, host_and_port: str, plain_hosts: frozenset[str]) -> None:
    """Raises PrivateAddressError."""
    if host_and_port not in plain_hosts and not ipaddress.ip_address(address).is_global:
        raise PrivateAddressError(f"{host_and_port} is in a private network, and RTCC_INTAKE_FEED_HOSTS doesn't name it")


class FeedFetcher:
    """One per process; several processes share the work, since each feed is claimed."""

    def __init__(self, app: IntakeApp, feeds: Feeds, clock: Clock, plain_hosts: frozenset[str]) -> None:
        self._app = app
        self._feeds = feeds
        self._clock = clock
        self._plain_hosts = plain_hosts

    async def run(self) -> None:
        """For ever."""
        connector = aiohttp.TCPConnector(resolver=PublicResolver(self._plain_hosts), limit=_AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers={"User-Agent": "OpenRTCC"}) as session:
            while True:
                try:
                    due = await self._feeds.due(_AT_ONCE)
                except RtccError as error:
                    _LOG.warning("feeds wait: %s", error.message)
                    due = []
                await asyncio.gather(*(self._fetch(session, source, feed) for source, feed in due))
                await asyncio.sleep(_EVERY_S)

    async def _fetch(self, session: aiohttp.ClientSession, source: RegisteredSource, feed: Feed) -> None:
        vehicles, problem = 0, ""
        try:
            body = await self._body(session, feed)
            vehicles, problem = await self._app.take_feed(source, body, self._clock())
        except RtccError as error:
            problem = error.message
        except TimeoutError:
            problem = f"no answer within {_TIMEOUT_S:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # aiohttp wraps what the resolver said
            problem = str(getattr(error, "os_error", None) or error) or type(error).__name__
        if problem:
            _LOG.info("feed of source %s: %s", source.source_id, problem)
        await self._feeds.finished(feed, vehicles, problem)

    async def _body(self, session: aiohttp.ClientSession, feed: Feed) -> bytes:
        url = URL(feed.url)
        try:
            # an address in place of a name never meets the resolver
            require_public(str(ipaddress.ip_address(url.host or "")), f"{url.host}:{url.port}", self._plain_hosts)
        except PrivateAddressError:
            raise
        except ValueError:
            pass
        headers = {feed.header_name: feed.header_value} if feed.header_name else {}
        # a redirect could lead to where the address itself may not
        async with session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise aiohttp.ClientPayloadError(f"answered {response.status}")
            body = b""
            async for chunk in response.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > MAXIMUM_FEED_BYTES:
                    raise aiohttp.ClientPayloadError(f"is larger than {MAXIMUM_FEED_BYTES} bytes")
        return body
