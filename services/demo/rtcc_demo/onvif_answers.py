"""What an ONVIF device answers, as its WSDL says (ONVIF 2.0: device 1.0, media 1.0, PTZ 2.0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from rtcc_demo.onvif_server import Picture

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "tptz": "http://www.onvif.org/ver20/ptz/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
    "ter": "http://www.onvif.org/ver10/error",
    "dn": "http://www.onvif.org/ver10/network/wsdl",
    "d": "http://schemas.xmlsoap.org/ws/2005/04/discovery",
    "wsa": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "wsse": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "wsu": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
}
_SPACES = "http://www.onvif.org/ver10/tptz"


def _envelope(body: str) -> str:
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {declared}><s:Body>{body}</s:Body></s:Envelope>'


def fault(code: str, subcode: str, reason: str) -> str:
    inner = f"<s:Subcode><s:Value>{subcode}</s:Value></s:Subcode>" if subcode else ""
    return _envelope(
        f"<s:Fault><s:Code><s:Value>{code}</s:Value>{inner}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(reason)}</s:Text></s:Reason></s:Fault>'
    )


def date_and_time(now: datetime) -> str:
    return _envelope(
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
        "<tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime>"
        f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute><tt:Second>{now.second}</tt:Second></tt:Time>"
        f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day></tt:Date>"
        "</tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def information() -> str:
    return _envelope(
        "<tds:GetDeviceInformationResponse><tds:Manufacturer>Invented &amp; Sons</tds:Manufacturer><tds:Model>RT-1</tds:Model>"
        "<tds:FirmwareVersion>1.2.3</tds:FirmwareVersion><tds:SerialNumber>0042</tds:SerialNumber><tds:HardwareId>7</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>"
    )


def capabilities(host: str) -> str:
    return _envelope(
        "<tds:GetCapabilitiesResponse><tds:Capabilities>"
        f"<tt:Device><tt:XAddr>http://{host}/onvif/device_service</tt:XAddr></tt:Device>"
        f"<tt:Media><tt:XAddr>http://{host}/onvif/media_service</tt:XAddr><tt:StreamingCapabilities><tt:RTPMulticast>false</tt:RTPMulticast>"
        "<tt:RTP_TCP>true</tt:RTP_TCP><tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
        f"<tt:PTZ><tt:XAddr>http://{host}/onvif/ptz_service</tt:XAddr></tt:PTZ>"
        "</tds:Capabilities></tds:GetCapabilitiesResponse>"
    )


def services(host: str, *, media2: bool) -> str:
    listed = [("tds", "device_service", 2, 60), ("trt", "media_service", 2, 60), ("tptz", "ptz_service", 2, 60)]
    if media2:
        listed.append(("tr2", "media2_service", 2, 60))
    told = "".join(
        f"<tds:Service><tds:Namespace>{NAMESPACES[prefix]}</tds:Namespace><tds:XAddr>http://{host}/onvif/{path}</tds:XAddr>"
        f"<tds:Version><tt:Major>{major}</tt:Major><tt:Minor>{minor}</tt:Minor></tds:Version></tds:Service>"
        for prefix, path, major, minor in listed
    )
    return _envelope(f"<tds:GetServicesResponse>{told}</tds:GetServicesResponse>")


def profiles2(pictures: Sequence[Picture], asked: Sequence[str]) -> str:
    """Media2: of each profile only the configurations of the types that were asked for."""
    return _envelope(f"<tr2:GetProfilesResponse>{''.join(_profile2(picture, asked) for picture in pictures)}</tr2:GetProfilesResponse>")


def _profile2(picture: Picture, asked: Sequence[str]) -> str:
    wanted = {"VideoEncoder", "PTZ"} if "All" in asked else set(asked)
    encoder = (
        f'<tr2:VideoEncoder token={quoteattr("encoder-" + picture.token)} GovLength="50" Profile="Main"><tt:Name>encoder</tt:Name>'
        f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{picture.codec}</tt:Encoding><tt:Resolution><tt:Width>{picture.width_px}</tt:Width>"
        f'<tt:Height>{picture.height_px}</tt:Height></tt:Resolution><tt:RateControl ConstantBitRate="false">'
        f"<tt:FrameRateLimit>29.97</tt:FrameRateLimit><tt:BitrateLimit>{picture.kbps}</tt:BitrateLimit></tt:RateControl>"
        "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address><tt:Port>0</tt:Port>"
        "<tt:TTL>0</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast><tt:Quality>4</tt:Quality></tr2:VideoEncoder>"
    )
    moves = '<tr2:PTZ token="ptz"><tt:Name>ptz</tt:Name><tt:UseCount>1</tt:UseCount><tt:NodeToken>node</tt:NodeToken></tr2:PTZ>'
    inside = (encoder if "VideoEncoder" in wanted else "") + (moves if "PTZ" in wanted and picture.movable else "")
    configurations = f"<tr2:Configurations>{inside}</tr2:Configurations>" if inside else ""
    return (
        f'<tr2:Profiles token={quoteattr(picture.token)} fixed="true"><tr2:Name>{escape(picture.token)}</tr2:Name>{configurations}'
        "</tr2:Profiles>"
    )


def stream_uri2(url: str) -> str:
    return _envelope(f"<tr2:GetStreamUriResponse><tr2:Uri>{escape(url)}</tr2:Uri></tr2:GetStreamUriResponse>")


def preset_set(token: str) -> str:
    return _envelope(f"<tptz:SetPresetResponse><tptz:PresetToken>{escape(token)}</tptz:PresetToken></tptz:SetPresetResponse>")


def profiles(pictures: Sequence[Picture]) -> str:
    return _envelope(f"<trt:GetProfilesResponse>{''.join(map(_profile, pictures))}</trt:GetProfilesResponse>")


def _profile(picture: Picture) -> str:
    source = (
        '<tt:VideoSourceConfiguration token="source"><tt:Name>source</tt:Name>'
        "<tt:UseCount>1</tt:UseCount><tt:SourceToken>0</tt:SourceToken>"
        '<tt:Bounds x="0" y="0" width="1920" height="1080"/></tt:VideoSourceConfiguration>'
    )
    encoder = (
        f"<tt:VideoEncoderConfiguration token={quoteattr('encoder-' + picture.token)}><tt:Name>encoder</tt:Name>"
        "<tt:UseCount>1</tt:UseCount>"
        f"<tt:Encoding>{picture.codec}</tt:Encoding><tt:Resolution><tt:Width>{picture.width_px}</tt:Width><tt:Height>{picture.height_px}"
        "</tt:Height></tt:Resolution><tt:Quality>4</tt:Quality><tt:RateControl><tt:FrameRateLimit>25</tt:FrameRateLimit>"
        f"<tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>{picture.kbps}</tt:BitrateLimit></tt:RateControl>"
        "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address><tt:Port>0</tt:Port>"
        "<tt:TTL>0</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast><tt:SessionTimeout>PT60S</tt:SessionTimeout>"
        "</tt:VideoEncoderConfiguration>"
    )
    moves = (
        '<tt:PTZConfiguration token="ptz"><tt:Name>ptz</tt:Name><tt:UseCount>1</tt:UseCount><tt:NodeToken>node</tt:NodeToken>'
        f"<tt:DefaultContinuousPanTiltVelocitySpace>{_SPACES}/PanTiltSpaces/VelocityGenericSpace</tt:DefaultContinuousPanTiltVelocitySpace>"
        "<tt:DefaultPTZTimeout>PT10S</tt:DefaultPTZTimeout></tt:PTZConfiguration>"
    )
    return (
        f'<trt:Profiles token={quoteattr(picture.token)} fixed="true"><tt:Name>{escape(picture.token)}</tt:Name>{source}{encoder}'
        f"{moves if picture.movable else ''}</trt:Profiles>"
    )


def stream_uri(url: str) -> str:
    return _envelope(
        f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{escape(url)}</tt:Uri><tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
        "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout></trt:MediaUri></trt:GetStreamUriResponse>"
    )


def presets(known: Mapping[str, str]) -> str:
    listed = "".join(
        f"<tptz:Preset token={quoteattr(token)}><tt:Name>{escape(name)}</tt:Name></tptz:Preset>" for token, name in known.items()
    )
    return _envelope(f"<tptz:GetPresetsResponse>{listed}</tptz:GetPresetsResponse>")
