"""Where a device is asked and moved: addresses that hold an account, and are never repeated."""

from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from rtcc_video.sources.source import SourceFailed

_PATH: Final = "/onvif/device_service"
_LENGTH_MOST: Final = 2048
_SCHEMES: Final = {"http": False, "https": True, "onvif": False, "onvifs": True}


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """One service of a device. `profile`: the media profile that is moved."""

    host: str
    port: int
    encrypted: bool
    path: str = _PATH
    username: str = ""
    password: str = field(default="", repr=False)
    profile: str = ""

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.encrypted else 80) else f"{host}:{self.port}"

    def control_url(self, profile: str) -> str:
        """What moves this profile, without an account."""
        return f"{'onvifs' if self.encrypted else 'onvif'}://{self.authority}{self.path}?profile={quote(profile, safe='')}"

    def service(self, address: str) -> "DeviceAddress":
        """Another service of the same device. What a device says about its own host is not followed: it could name any other."""
        try:
            parts = urlsplit(address[:_LENGTH_MOST])
            port = parts.port
        except ValueError:
            return self
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.isascii() or not path.isprintable() or " " in path:
            return self
        if port is None or _SCHEMES.get(parts.scheme) is not self.encrypted:
            # behind another port than its own it tells the default one; and nobody's word leads out of TLS
            port = self.port
        return replace(self, port=port, path=path)


def parse_device_address(text: str, username: str = "", password: str = "") -> DeviceAddress:
    """Host, host:port, or a URL (http, https, onvif, onvifs), which may hold account and profile. Raises `SourceFailed`."""
    text = text.strip()
    problem = SourceFailed("The device's address must be a host, host:port, or http(s)://host:port/path.", lasting=True)
    if not text or len(text) > _LENGTH_MOST or not text.isascii() or not text.isprintable() or " " in text:
        raise problem
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in _SCHEMES or not host:
        raise problem
    encrypted = _SCHEMES[parts.scheme]
    return DeviceAddress(
        host,
        port if port is not None else (443 if encrypted else 80),
        encrypted,
        parts.path if parts.path not in ("", "/") else _PATH,
        unquote(parts.username or "") or username,
        unquote(parts.password or "") or password,
        parse_qs(parts.query).get("profile", [""])[0][:64],
    )
