"""What ONVIF's two media services tell of a device's pictures: Media 1.0 (Profile S) and Media2 (Profile T), which alone knows H.265."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from rtcc_video.onvif.address import DeviceAddress
from rtcc_video.onvif.markup import Element

MEDIA: Final = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2: Final = "http://www.onvif.org/ver20/media/wsdl"
SCHEMA: Final = "http://www.onvif.org/ver10/schema"
PROFILES_MOST: Final = 32

# What is sent as GetProfiles: Media2 tells the configurations alone that it is asked for.
PROFILES_ASKED: Final = {MEDIA: "", MEDIA2: "<p:Type>VideoEncoder</p:Type><p:Type>PTZ</p:Type>"}


@dataclass(frozen=True, slots=True)
class Profile:
    """A media profile: 0 and "" where the device doesn't tell."""

    token: str
    name: str = ""
    codec: str = ""
    width_px: int = 0
    height_px: int = 0
    frames_per_second: float = 0.0
    kilobits_per_second: int = 0
    movable: bool = False
    stream_url: str = field(default="", repr=False)


def read_profiles(namespace: str, answer: Element) -> list[Profile]:
    """The profiles of a GetProfiles answer that can be named."""
    found = [_profile(namespace, element) for element in answer.all("Profiles")[:PROFILES_MOST]]
    return [profile for profile in found if profile.token]


def stream_asked(namespace: str, profile_token: str) -> str:
    """The body of GetStreamUri: RTSP, whose packets may come interleaved with it over TCP."""
    token = f"<p:ProfileToken>{text(profile_token)}</p:ProfileToken>"
    if namespace == MEDIA2:
        return f"<p:Protocol>RTSP</p:Protocol>{token}"
    return (
        f'<p:StreamSetup><t:Stream xmlns:t="{SCHEMA}">RTP-Unicast</t:Stream><t:Transport xmlns:t="{SCHEMA}">'
        f"<t:Protocol>RTSP</t:Protocol></t:Transport></p:StreamSetup>{token}"
    )


def read_stream_url(answer: Element, address: DeviceAddress) -> str:
    """The stream on the device itself, without an account: a device may tell another host, which nobody asked for."""
    uri = answer.anywhere("Uri")
    told = "" if uri is None else uri.text.strip()
    try:
        parts = urlsplit(told[:2048])
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("rtsp", "rtsps") or not told.isascii() or not told.isprintable() or " " in told:
        return ""
    host = f"[{address.host}]" if ":" in address.host else address.host
    authority = host if port is None else f"{host}:{port}"
    return f"{parts.scheme}://{authority}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def text(value: str) -> str:
    """Escaped for an element."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _profile(namespace: str, element: Element) -> Profile:
    token, name = element.attributes.get("token", "")[:64], element.value("Name", limit=64)
    if namespace == MEDIA2:
        encoder, moves = element.find("Configurations", "VideoEncoder"), element.find("Configurations", "PTZ")
    else:
        encoder, moves = element.find("VideoEncoderConfiguration"), element.find("PTZConfiguration")
    if encoder is None:
        return Profile(token, name, movable=moves is not None)
    return Profile(
        token,
        name,
        encoder.value("Encoding", limit=16).upper(),
        _whole(encoder.value("Resolution", "Width", limit=6)),
        _whole(encoder.value("Resolution", "Height", limit=6)),
        # a fraction in Media2: 29.97
        _rate(encoder.value("RateControl", "FrameRateLimit", limit=8)),
        _whole(encoder.value("RateControl", "BitrateLimit", limit=7)),
        moves is not None,
    )


def _whole(told: str) -> int:
    return int(told) if told.isascii() and told.isdecimal() else 0


def _rate(told: str) -> float:
    whole, _, fraction = told.partition(".")
    digits = whole + fraction
    return float(told) if whole and digits.isascii() and digits.isdecimal() else 0.0
