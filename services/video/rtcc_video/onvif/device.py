"""One ONVIF device: what it is, its pictures (Media2 where it has that, else media service 1.0), and how it is moved (PTZ service 2.0)."""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

from rtcc_video.onvif.address import DeviceAddress
from rtcc_video.onvif.http import post
from rtcc_video.onvif.markup import Element
from rtcc_video.onvif.media import (
    MEDIA,
    MEDIA2,
    PROFILES_ASKED,
    SCHEMA,
    Profile,
    read_profiles,
    read_stream_url,
    stream_asked,
    text,
)
from rtcc_video.onvif.soap import DeviceRefuses, clock_offset, envelope, new_token, read_answer
from rtcc_video.sources.rtsp_messages import Authentication
from rtcc_video.sources.source import SourceFailed

DEVICE: Final = "http://www.onvif.org/ver10/device/wsdl"
PTZ: Final = "http://www.onvif.org/ver20/ptz/wsdl"
_PRESETS_MOST: Final = 64
_SERVICES_MOST: Final = 64
_CALL_S: Final = 6.0


@dataclass(frozen=True, slots=True)
class Reach:
    """Where devices may stand and how they are believed, as for cameras' streams. No networks: anywhere."""

    networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = ()
    verify_certificates: bool = True
    authority_file: Path | None = None

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.authority_file is not None:
            context.load_verify_locations(self.authority_file)
        if not self.verify_certificates:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    async def find(self, host: str, port: int) -> str:
        """The IP address to connect to, looked up once: what is checked is what is used. Raises `SourceFailed`."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
        except OSError as error:
            raise SourceFailed("The device's name isn't known to the network.", lasting=True) from error
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            place = ipaddress.ip_address(address.partition("%")[0])
            if self.networks and not any(place in network for network in self.networks):
                raise SourceFailed("The device stands outside the networks that camera_networks allows.", lasting=True)
        return addresses[0]


@dataclass(frozen=True, slots=True)
class Description:
    """What a device is."""

    manufacturer: str
    model: str
    firmware_version: str
    serial_number: str
    profiles: tuple[Profile, ...]


@dataclass(frozen=True, slots=True)
class Vector:
    """Speeds or a place in generic spaces."""

    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 0.0


class OnvifDevice:
    """`clock`: UTC now. Each call is bounded; raises `SourceFailed`, whose reason never repeats address or account."""

    def __init__(self, address: DeviceAddress, reach: Reach, clock: Callable[[], datetime]) -> None:
        self._address = address
        self._reach = reach
        self._clock = clock
        self._tls: ssl.SSLContext | None = None
        self._ip = ""
        self._offset: timedelta | None = None
        self._services: dict[str, DeviceAddress] = {DEVICE: address}
        self._http = Authentication(address.username, address.password)

    async def describe(self) -> Description:
        """Everything that choosing pictures needs."""
        told = await self._ask(DEVICE, "GetDeviceInformation")
        profiles = await self._profiles()
        return Description(
            told.value("Manufacturer", limit=80),
            told.value("Model", limit=80),
            told.value("FirmwareVersion", limit=80),
            told.value("SerialNumber", limit=80),
            tuple(profiles),
        )

    async def presets(self) -> list[tuple[str, str]]:
        """(token, name) of the places that the device remembers."""
        answer = await self._ask(PTZ, "GetPresets", self._token())
        found = [(preset.attributes.get("token", ""), preset.value("Name", limit=64)) for preset in answer.all("Preset")[:_PRESETS_MOST]]
        return [(token[:64], name or token[:64]) for token, name in found if token]

    async def move(self, speed: Vector, timeout_s: float) -> None:
        """Goes on until it is stopped, or `timeout_s` is over: the device's own watch over a lost connection."""
        body = f"{self._token()}<p:Velocity>{_vector(speed)}</p:Velocity><p:Timeout>PT{timeout_s:.0f}S</p:Timeout>"
        await self._ask(PTZ, "ContinuousMove", body)

    async def go_to(self, place: Vector) -> None:
        await self._ask(PTZ, "AbsoluteMove", f"{self._token()}<p:Position>{_vector(place)}</p:Position>")

    async def go_to_preset(self, token: str) -> None:
        await self._ask(PTZ, "GotoPreset", f"{self._token()}<p:PresetToken>{text(token)}</p:PresetToken>")

    async def set_preset(self, name: str, token: str = "") -> str:
        """Remembers where the device looks now, anew or, with a token, in place of what it remembered there. Returns the token."""
        known = f"<p:PresetToken>{text(token)}</p:PresetToken>" if token else ""
        answer = await self._ask(PTZ, "SetPreset", f"{self._token()}<p:PresetName>{text(name)}</p:PresetName>{known}")
        return answer.value("PresetToken", limit=64)

    async def remove_preset(self, token: str) -> None:
        await self._ask(PTZ, "RemovePreset", f"{self._token()}<p:PresetToken>{text(token)}</p:PresetToken>")

    async def stop(self) -> None:
        await self._ask(PTZ, "Stop", f"{self._token()}<p:PanTilt>true</p:PanTilt><p:Zoom>true</p:Zoom>")

    def _token(self) -> str:
        return f"<p:ProfileToken>{text(self._address.profile)}</p:ProfileToken>"

    async def _profiles(self) -> list[Profile]:
        """By Media2, which tells H.265 too, where the device has it and it tells something; else by the older service."""
        await self._find_media2()
        if MEDIA2 in self._services:
            try:
                found = await self._profiles_by(MEDIA2)
            except DeviceRefuses:
                found = []
            if found:
                return found
        return await self._profiles_by(MEDIA)

    async def _profiles_by(self, namespace: str) -> list[Profile]:
        profiles = read_profiles(namespace, await self._ask(namespace, "GetProfiles", PROFILES_ASKED[namespace]))
        return [await self._with_stream(namespace, profile) for profile in profiles]

    async def _with_stream(self, namespace: str, profile: Profile) -> Profile:
        try:
            answer = await self._ask(namespace, "GetStreamUri", stream_asked(namespace, profile.token))
        except DeviceRefuses:
            # this profile has none: others may
            return profile
        return replace(profile, stream_url=read_stream_url(answer, self._address))

    async def _ask(self, namespace: str, method: str, body: str = "") -> Element:
        """One call of one of the device's services."""
        if self._offset is None:
            self._offset = clock_offset(await self._exchange(DEVICE, "GetSystemDateAndTime", "", signed=False), self._clock())
        if namespace not in self._services:
            await self._find_services()
            if namespace not in self._services:
                raise DeviceRefuses("The device has no such service.", lasting=True)
        return await self._exchange(namespace, method, body, signed=True)

    async def _find_services(self) -> None:
        """GetCapabilities, which devices of every age know, tells where media and PTZ are."""
        answer = await self._exchange(DEVICE, "GetCapabilities", "<p:Category>All</p:Category>", signed=True)
        for namespace, name in ((MEDIA, "Media"), (PTZ, "PTZ")):
            address = answer.value("Capabilities", name, "XAddr", limit=2048)
            if address:
                self._services[namespace] = self._address.service(address)

    async def _find_media2(self) -> None:
        """GetServices alone tells of services that came after GetCapabilities; devices that are older than it refuse."""
        try:
            answer = await self._ask(DEVICE, "GetServices", "<p:IncludeCapability>false</p:IncludeCapability>")
        except DeviceRefuses:
            return
        for service in answer.all("Service")[:_SERVICES_MOST]:
            address = service.value("XAddr", limit=2048)
            if service.value("Namespace", limit=200) == MEDIA2 and address:
                self._services[MEDIA2] = self._address.service(address)

    async def _exchange(self, namespace: str, method: str, body: str, *, signed: bool) -> Element:
        self._ip = self._ip or await self._reach.find(self._address.host, self._address.port)
        address = self._services[namespace]
        for last in (False, True):
            account = (address.username, address.password) if signed else ("", "")
            security = new_token(*account, self._clock() + (self._offset or timedelta()))
            message = envelope(f'<p:{method} xmlns:p="{namespace}">{body}</p:{method}>', security)
            headers = self._http.header("POST", address.path) if signed else {}
            if address.encrypted and self._tls is None:
                self._tls = await asyncio.to_thread(self._reach.tls)
            response = await post(address, self._ip, self._tls, message, headers, _CALL_S)
            # some devices want HTTP's digest instead of the message's
            if response.status != 401 or last or not signed or not self._http.accept(response):
                break
        return read_answer(response.status, response.body, f"{method}Response")


def _vector(vector: Vector) -> str:
    pan_tilt = f'<t:PanTilt xmlns:t="{SCHEMA}" x={quoteattr(f"{vector.pan:.4f}")} y={quoteattr(f"{vector.tilt:.4f}")}/>'
    return pan_tilt + f'<t:Zoom xmlns:t="{SCHEMA}" x={quoteattr(f"{vector.zoom:.4f}")}/>'
