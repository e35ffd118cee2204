"""WS-Discovery (OASIS, 2005/04 as ONVIF Core 7 asks): one probe into the network, answers for a while."""

import asyncio
import ipaddress
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from rtcc_video.onvif.markup import BadMarkup, Element, read_markup

_DEVICES_MOST: Final = 200
_DATAGRAM_MOST: Final = 32_768
_ANSWERS_MOST: Final = 2_000
_SCOPE: Final = "onvif://www.onvif.org/"


@dataclass(frozen=True, slots=True)
class Discovered:
    """A device that answered. `address`: its device service."""

    address: str
    name: str = ""
    hardware: str = ""
    location: str = ""


def probe(message_id: str) -> bytes:
    """The question for network video transmitters."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" '
        f'xmlns:n="http://www.onvif.org/ver10/network/wsdl"><e:Header><w:MessageID>{message_id}</w:MessageID>'
        '<w:To e:mustUnderstand="1">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>'
        '<w:Action e:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>'
        "<e:Body><d:Probe><d:Types>n:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"
    ).encode()


def read_matches(datagram: bytes, sender: str, message_id: str) -> list[Discovered]:
    """The devices in an answer; [] for anything else. A device speaks for itself alone: addresses of other hosts are left out."""
    try:
        root = read_markup(datagram)
    except BadMarkup:
        return []
    related = root.value("Header", "RelatesTo")
    matches = root.find("Body", "ProbeMatches")
    if matches is None or related != message_id:
        return []
    return [found for match in matches.all("ProbeMatch")[:8] if (found := _device(match, sender))]


def _device(match: Element, sender: str) -> Discovered | None:
    for address in match.value("XAddrs", limit=2048).split()[:8]:
        try:
            parts = urlsplit(address)
            usable = parts.scheme in ("http", "https") and parts.hostname == sender and parts.username is None and parts.port != 0
        except ValueError:
            continue
        if usable:
            scopes = match.value("Scopes", limit=4096).split()[:64]
            return Discovered(address, *(_scope(scopes, name) for name in ("name", "hardware", "location")))
    return None


def _scope(scopes: Sequence[str], name: str) -> str:
    found = next((scope.removeprefix(f"{_SCOPE}{name}/") for scope in scopes if scope.startswith(f"{_SCOPE}{name}/")), "")
    return "".join(letter if letter.isprintable() else "?" for letter in unquote(found))[:80]


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, message_id: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        self._message_id = message_id
        self._networks = networks
        self._left = _ANSWERS_MOST
        self.found: dict[str, Discovered] = {}

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._left -= 1
        if self._left < 0 or len(data) > _DATAGRAM_MOST or len(self.found) >= _DEVICES_MOST:
            return
        place = ipaddress.ip_address(address[0])
        if self._networks and not any(place in network for network in self._networks):
            return
        for device in read_matches(data, address[0], self._message_id):
            self.found[device.address] = device


async def discover(
    target: tuple[str, int], networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network], wait_s: float
) -> list[Discovered]:
    """Who answers within `wait_s`, by address. `target`: the multicast group 239.255.255.250:3702. Raises OSError without a network."""
    message_id = f"urn:uuid:{uuid.uuid4()}"
    listener = _Listener(message_id, networks)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: listener, local_addr=("0.0.0.0", 0))
    try:
        # twice, as UDP loses (WS-Discovery, 2.4)
        for _ in range(2):
            transport.sendto(probe(message_id), target)
            await asyncio.sleep(wait_s / 2)
    finally:
        transport.close()
    return sorted(listener.found.values(), key=lambda device: device.address)
