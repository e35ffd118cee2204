"""A camera's ONVIF side (Profiles S and T): device, media, Media2 and PTZ services over SOAP 1.2, WS-UsernameToken or HTTP digest,
WS-Discovery.

`async with OnvifServer({"main": "rtsp://..."}, "admin", "secret") as device: device.address`. It moves as it is told: `pan`, `tilt`, `zoom`
follow the speeds that it was given until they are stopped or time out.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import web

from rtcc_demo.onvif_answers import (
    NAMESPACES,
    capabilities,
    date_and_time,
    fault,
    information,
    preset_set,
    presets,
    profiles,
    profiles2,
    services,
    stream_uri,
    stream_uri2,
)
from rtcc_demo.rtsp_messages import DigestCheck, Request

SERVICE_PATH = "/onvif/device_service"
_BODY_BYTES_MOST = 64 * 1024
_TOKEN_AGE = timedelta(seconds=30)
_PRESETS_MOST = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """One media profile. `url`: where RTSP plays it; its host may be anything, as behind address translation."""

    token: str
    url: str
    codec: str = "H264"
    width_px: int = 1280
    height_px: int = 720
    kbps: int = 2_000
    movable: bool = True


class OnvifServer:
    """`sign_in`: "token" or "digest". `clock_ahead_s`: how wrong the device's clock is. `media`: the newest of its media services; 1: it
    has Media 1.0 alone, 0: it is so old that it doesn't know GetServices. What is H.265 only Media2 shows.

    `host`: where it stands; `discovery_group`: a multicast group, as "239.255.255.250:3702", in which it listens for probes there.
    """

    def __init__(
        self,
        pictures: list[Picture],
        username: str,
        password: str,
        *,
        sign_in: str = "token",
        clock_ahead_s: float = 0.0,
        told_host: str = "",
        tls: ssl.SSLContext | None = None,
        media: int = 1,
        host: str = "127.0.0.1",
        discovery_group: str = "",
    ) -> None:
        self._media = media
        self._host = host
        self._group = discovery_group
        self._pictures = pictures
        self._username, self._password = username, password
        self._sign_in = sign_in
        self._ahead = timedelta(seconds=clock_ahead_s)
        self._told_host = told_host
        self._tls = tls
        self._digest = DigestCheck(username, password)
        self._nonces: set[str] = set()
        self._runner: web.AppRunner | None = None
        self._discovery: asyncio.DatagramTransport | None = None
        self._velocity = (0.0, 0.0, 0.0)
        self._moved_s = self._ends_s = 0.0
        self._place = [0.0, 0.0, 0.0]
        self.presets = {"1": "Gate", "2": "Yard & door"}
        self._preset_places = {"1": [0.1, 0.0, 0.0], "2": [0.2, 0.0, 0.0]}
        self.calls: list[str] = []
        self.address = ""
        self.discovery_port = 0

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_BODY_BYTES_MOST)
        app.router.add_post("/onvif/{service}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, 0, ssl_context=self._tls).start()
        self.address = f"{'https' if self._tls else 'http'}://{self._host}:{self._runner.addresses[0][1]}{SERVICE_PATH}"
        loop = asyncio.get_running_loop()
        if self._group:
            heard = _join(self._group, self._host)
            self._discovery, _ = await loop.create_datagram_endpoint(lambda: _Discovery(self), sock=heard)
        else:
            self._discovery, _ = await loop.create_datagram_endpoint(lambda: _Discovery(self), local_addr=(self._host, 0))
        self.discovery_port = self._discovery.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._discovery is not None:
            self._discovery.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def port(self) -> int:
        return int(self.address.split(":")[2].split("/")[0])

    @property
    def moving(self) -> bool:
        """Whether its motors run now."""
        return any(self._velocity) and asyncio.get_running_loop().time() < self._ends_s

    @property
    def place(self) -> tuple[float, float, float]:
        """Pan, tilt and zoom now."""
        self._advance()
        pan, tilt, zoom = self._place
        return pan, tilt, zoom

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            # our own tests' requests; a product wouldn't read strangers' XML with this parser
            root = ElementTree.fromstring(body)
            asked = root.find("s:Body", NAMESPACES)
            call = asked[0] if asked is not None and len(asked) else None
        except ElementTree.ParseError:
            call = None
        if call is None:
            return web.Response(status=400, text=fault("s:Sender", "", "the request isn't SOAP"))
        method = call.tag.rpartition("}")[2]
        self.calls.append(method)
        if method != "GetSystemDateAndTime":
            if self._sign_in == "digest":
                asked_for = Request(request.method, request.path, {"authorization": request.headers.get("Authorization", "")})
                if not self._digest.allows(asked_for):
                    return web.Response(status=401, headers={"WWW-Authenticate": self._digest.challenge})
            elif not self._signed(root):
                refused = fault("s:Sender", "ter:NotAuthorized", "Sender not authorized")
                return web.Response(status=400, text=refused, content_type="application/soap+xml")
        answer = self._answer(method, call)
        status = 200 if answer else 400
        text = answer or fault("s:Receiver", "ter:ActionNotSupported", f"{method} isn't known here")
        return web.Response(status=status, text=text, content_type="application/soap+xml")

    def _signed(self, root: ElementTree.Element) -> bool:
        """WSS UsernameToken Profile 1.0, 3.1: Base64(SHA-1(nonce + created + password)), each nonce once, not older than 30 s."""
        token = root.find("s:Header/wsse:Security/wsse:UsernameToken", NAMESPACES)
        if token is None:
            return False
        username, digest, nonce, created = (
            token.findtext(name, "", NAMESPACES) for name in ("wsse:Username", "wsse:Password", "wsse:Nonce", "wsu:Created")
        )
        try:
            age = abs(datetime.now(UTC) + self._ahead - datetime.fromisoformat(created))
        except (ValueError, TypeError):
            return False
        if username != self._username or nonce in self._nonces or age > _TOKEN_AGE:
            return False
        self._nonces.add(nonce)
        wanted = hashlib.sha1(base64.b64decode(nonce) + created.encode() + self._password.encode(), usedforsecurity=False).digest()
        return hmac.compare_digest(base64.b64encode(wanted), digest.encode())

    def _answer(self, method: str, call: ElementTree.Element) -> str:
        told = self._told_host or f"{self._host}:{self.port}"
        if self._media >= 2 and call.tag.startswith("{" + NAMESPACES["tr2"]):
            return self._answer_media2(method, call)
        chosen = call.findtext("trt:ProfileToken", "", NAMESPACES)
        # Media 1.0 has no word for H.265
        pictures = [picture for picture in self._pictures if picture.codec != "H265"]
        match method:
            case "GetServices" if self._media >= 1:
                return services(told, media2=self._media >= 2)
            case "GetSystemDateAndTime":
                return date_and_time(datetime.now(UTC) + self._ahead)
            case "GetDeviceInformation":
                return information()
            case "GetCapabilities":
                return capabilities(told)
            case "GetProfiles":
                return profiles(pictures)
            case "GetStreamUri":
                url = next((picture.url for picture in pictures if picture.token == chosen), "")
                return stream_uri(url) if url else fault("s:Sender", "ter:InvalidArgVal", "no such profile")
            case _:
                return self._move(method, call)

    def _answer_media2(self, method: str, call: ElementTree.Element) -> str:
        match method:
            case "GetProfiles":
                return profiles2(self._pictures, [asked.text or "" for asked in call.findall("tr2:Type", NAMESPACES)])
            case "GetStreamUri":
                if call.findtext("tr2:Protocol", "", NAMESPACES) not in ("RTSP", "RtspUnicast"):
                    return fault("s:Sender", "ter:InvalidArgVal", "the protocol isn't supported")
                chosen = call.findtext("tr2:ProfileToken", "", NAMESPACES)
                url = next((picture.url for picture in self._pictures if picture.token == chosen), "")
                return stream_uri2(url) if url else fault("s:Sender", "ter:InvalidArgVal", "no such profile")
            case _:
                return ""

    def _move(self, method: str, call: ElementTree.Element) -> str:
        token = call.findtext("tptz:ProfileToken", "", NAMESPACES)
        if not any(picture.token == token and picture.movable for picture in self._pictures):
            return fault("s:Sender", "ter:InvalidArgVal", "the profile can't be moved")
        self._advance()
        match method:
            case "ContinuousMove":
                self._velocity = _vector(call, "tptz:Velocity")
                seconds = re.fullmatch(r"PT([0-9.]+)S", call.findtext("tptz:Timeout", "PT10S", NAMESPACES))
                self._ends_s = self._moved_s + (float(seconds[1]) if seconds else 10.0)
            case "Stop":
                self._velocity = (0.0, 0.0, 0.0)
            case "AbsoluteMove":
                self._velocity, self._place = (0.0, 0.0, 0.0), list(_vector(call, "tptz:Position"))
            case "GetPresets":
                return presets(self.presets)
            case "GotoPreset":
                wanted = call.findtext("tptz:PresetToken", "", NAMESPACES)
                if wanted not in self.presets:
                    return fault("s:Sender", "ter:InvalidArgVal", "no such preset")
                self._velocity, self._place = (0.0, 0.0, 0.0), list(self._preset_places[wanted])
            case "SetPreset":
                return self._set_preset(call)
            case "RemovePreset":
                wanted = call.findtext("tptz:PresetToken", "", NAMESPACES)
                if self.presets.pop(wanted, None) is None:
                    return fault("s:Sender", "ter:InvalidArgVal", "no such preset")
                del self._preset_places[wanted]
            case _:
                return ""
        return f'<?xml version="1.0"?><s:Envelope {_declared()}><s:Body><tptz:{method}Response/></s:Body></s:Envelope>'

    def _set_preset(self, call: ElementTree.Element) -> str:
        """ONVIF PTZ, 5.6.1: a token that is named must be known; a name may stand once."""
        name, token = (call.findtext(f"tptz:{part}", "", NAMESPACES) for part in ("PresetName", "PresetToken"))
        if token and token not in self.presets:
            return fault("s:Sender", "ter:InvalidArgVal", "no such preset")
        if any(known == name and number != token for number, known in self.presets.items()):
            return fault("s:Sender", "ter:InvalidArgVal", "the name is taken already")
        if not token and len(self.presets) >= _PRESETS_MOST:
            return fault("s:Receiver", "ter:Action", "the device remembers no more places")
        token = token or str(max(map(int, self.presets), default=0) + 1)
        self.presets[token], self._preset_places[token] = name or self.presets.get(token, ""), list(self._place)
        return preset_set(token)

    def _advance(self) -> None:
        now_s = asyncio.get_running_loop().time()
        ran_s = max(0.0, min(now_s, self._ends_s) - self._moved_s)
        self._place = [place + speed * ran_s for place, speed in zip(self._place, self._velocity, strict=True)]
        self._moved_s = now_s
        if now_s >= self._ends_s:
            self._velocity = (0.0, 0.0, 0.0)


def _join(group: str, interface: str) -> socket.socket:
    """A socket in a multicast group, "address:port", at one interface. Raises OSError where the machine carries none."""
    address, _, port = group.rpartition(":")
    heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        heard.bind((address, int(port)))
        heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(address) + socket.inet_aton(interface))
    except OSError:
        heard.close()
        raise
    heard.setblocking(False)
    return heard


def _vector(call: ElementTree.Element, name: str) -> tuple[float, float, float]:
    pan_tilt, zoom = call.find(f"{name}/tt:PanTilt", NAMESPACES), call.find(f"{name}/tt:Zoom", NAMESPACES)
    told: Mapping[str, str] = pan_tilt.attrib if pan_tilt is not None else {}
    return float(told.get("x", 0)), float(told.get("y", 0)), float(zoom.attrib.get("x", 0)) if zoom is not None else 0.0


def _declared() -> str:
    return " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())


class _Discovery(asyncio.DatagramProtocol):
    """Answers probes (WS-Discovery 2005/04)."""

    def __init__(self, device: OnvifServer) -> None:
        self._device = device

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        asked = re.search(rb"MessageID>([^<]{1,100})<", data)
        if asked is None or b"Probe" not in data or not isinstance(self._transport, asyncio.DatagramTransport):
            return
        scopes = "onvif://www.onvif.org/name/Yard%20camera onvif://www.onvif.org/hardware/RT-1 onvif://www.onvif.org/location/Harbour"
        answer = (
            f'<?xml version="1.0"?><s:Envelope {_declared()}><s:Header>'
            f"<wsa:RelatesTo>{escape(asked[1].decode())}</wsa:RelatesTo></s:Header>"
            "<s:Body><d:ProbeMatches><d:ProbeMatch><d:Types>dn:NetworkVideoTransmitter</d:Types>"
            f"<d:Scopes>{scopes}</d:Scopes><d:XAddrs>http://10.255.255.1/onvif/device_service {self._device.address}</d:XAddrs>"
            "<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
        )
        self._transport.sendto(answer.encode(), address)
