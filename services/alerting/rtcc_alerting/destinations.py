"""Addresses that people type in and this platform connects to: never a way into the network behind it (OWASP, SSRF prevention).

A name is resolved once, every address is looked at, and the connection goes to the address that was looked at, so that a name can't
answer differently the second time. Only the operator of the installation allows private networks, by a setting.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urldefrag, urlsplit

from rtcc_chassis.errors import InvalidInput, RtccError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MOST_CHARACTERS = 2_000
_INSIDE = "is inside of a network that messages may not go to; the installation's operator can allow it"


class DestinationRefused(RtccError):
    """It leads to a network that messages may not go to."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host[:200]}: {reason}.")


class Destinations:
    """Which addresses may be connected to. `private_networks` ("10.1.0.0/16"): allowed besides the public internet, without TLS too."""

    def __init__(self, private_networks: Iterable[str] = ()) -> None:
        self._private: tuple[Network, ...] = tuple(ipaddress.ip_network(network) for network in private_networks)

    def is_private_allowed(self, address: Address) -> bool:
        """Whether the operator allowed it by name of its network."""
        return any(address in network for network in self._private if network.version == address.version)

    def allows(self, address: Address) -> bool:
        """Public unicast, or in an allowed network. An IPv4 address inside of an IPv6 one is looked at as what it is."""
        if isinstance(address, ipaddress.IPv6Address):
            inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
            if inner is not None:
                return self.allows(inner)
        return self.is_private_allowed(address) or (address.is_global and not address.is_multicast and not address.is_reserved)

    def is_private_host(self, host: str) -> bool:
        """Whether it is an address in a network that the operator allowed."""
        literal = _literal(host)
        return literal is not None and self.is_private_allowed(literal)

    async def resolve(self, host: str, port: int) -> list[tuple[socket.AddressFamily, Address]]:
        """Every address of the host, all allowed. Raises DestinationRefused; OSError when there is no such name."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses: list[tuple[socket.AddressFamily, Address]] = [
            (family, ipaddress.ip_address(str(place[0]).partition("%")[0])) for family, _, _, _, place in found
        ]
        if not addresses:
            raise DestinationRefused(host, "has no address")
        for _, address in addresses:
            if not self.allows(address):
                raise DestinationRefused(host, _INSIDE)
        return addresses

    async def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connected TCP socket to an allowed address. Raises DestinationRefused, OSError, TimeoutError."""
        async with asyncio.timeout(timeout_s):
            failure: OSError | None = None
            for family, address in await self.resolve(host, port):
                connection = socket.socket(family, socket.SOCK_STREAM)
                connection.setblocking(False)
                try:
                    await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
                    return connection
                except OSError as error:
                    connection.close()
                    failure = error
                except BaseException:
                    connection.close()
                    raise
            raise failure or OSError(f"no address of {host} answers")

    def checked_url(self, text: str, field: str) -> str:
        """A web address as it may be stored: https, or http into an allowed network given by its address. Raises InvalidInput."""
        try:
            url = urlsplit(text.strip())
            host, port = url.hostname, url.port
        except ValueError:
            raise InvalidInput.one(field, "is not a web address") from None
        if (
            len(text) > _MOST_CHARACTERS
            or not text.strip().isprintable()
            or url.scheme not in ("http", "https")
            or not host
            or port == 0
            or "@" in url.netloc
        ):
            raise InvalidInput.one(field, "must be an https address without user and password")
        literal = _literal(host)
        if literal is not None and not self.allows(literal):
            raise InvalidInput.one(field, _INSIDE)
        if url.scheme == "http" and not self.is_private_host(host):
            raise InvalidInput.one(field, "must be https: messages carry personal data")
        return urldefrag(url.geturl()).url

    def check_literal(self, host: str) -> None:
        """For clients that ask no resolver about an address. Raises DestinationRefused."""
        literal = _literal(host)
        if literal is not None and not self.allows(literal):
            raise DestinationRefused(host, _INSIDE)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
