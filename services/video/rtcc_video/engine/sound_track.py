"""What a camera's description says of its microphone: Opus (RFC 7587), G.711 (RFC 3551), AAC (RFC 3640)."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from rtcc_video.engine.sdp import MediaSection, SessionDescription, parse_format_parameters

type SoundCodec = Literal["OPUS", "PCMU", "PCMA", "AAC"]

# payload types that need no rtpmap (RFC 3551, table 4)
_STATIC: Final = {"0": "PCMU/8000", "8": "PCMA/8000"}
_NAMES: Final[dict[str, SoundCodec]] = {"OPUS": "OPUS", "PCMU": "PCMU", "PCMA": "PCMA", "MPEG4-GENERIC": "AAC"}
_CLOCKS_HZ: Final[dict[SoundCodec, tuple[int, ...]]] = {
    "OPUS": (48_000,),
    "PCMU": (8_000, 16_000),
    "PCMA": (8_000, 16_000),
    # ISO/IEC 14496-3, table 1.16
    "AAC": (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
}
_CHANNELS_MOST: Final = 8
_CONFIG_MOST_BYTES: Final = 64
# field lengths of AU headers, in bits (RFC 3640, 3.3.5 and 3.3.6)
_MODES: Final = {"aac-hbr": (13, 3, 3), "aac-lbr": (6, 2, 2)}
# further fields of AU headers, and what stands behind them: no camera that was ever seen has them
_UNUSED_FIELDS: Final = ("ctsdeltalength", "dtsdeltalength", "randomaccessindication", "streamstateindication", "auxiliarydatasizelength")


@dataclass(frozen=True, slots=True)
class SoundKind:
    """How a source's sound is coded. `config`: the AudioSpecificConfig of AAC (ISO/IEC 14496-3, 1.6.2.1)."""

    codec: SoundCodec
    clock_hz: int = 48_000
    channels: int = 1
    config: bytes = b""


@dataclass(frozen=True, slots=True)
class UnitHeaders:
    """How many bits the fields of an AU header take (RFC 3640, 3.2.1.1)."""

    size_bits: int
    index_bits: int
    delta_bits: int


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """A track of sound: where to SETUP it, and how its packets are read. `headers`: of AAC."""

    control: str
    payload_type: int
    kind: SoundKind
    headers: UnitHeaders = field(default_factory=lambda: UnitHeaders(*_MODES["aac-hbr"]))


def find_sound_track(description: SessionDescription) -> tuple[SoundTrack | None, tuple[str, ...]]:
    """The first track of sound that can be used, and the names of those before it that can't."""
    unusable: list[str] = []
    for media in description.media:
        # "sendonly" is a loudspeaker's, by the client's eyes (ONVIF Streaming Specification, 5.3)
        if media.kind != "audio" or media.first("inactive") is not None or media.first("sendonly") is not None:
            continue
        for number, encoding in _encodings(media):
            track = _track(media, number, encoding) if media.protocol.upper().startswith("RTP/AVP") else None
            if track is not None:
                return track, tuple(unusable)
            unusable.append(re.sub(r"[^!-~]", "?", encoding.partition("/")[0][:20]))
    return None, tuple(unusable)


def _encodings(media: MediaSection) -> list[tuple[str, str]]:
    """(payload type, encoding) of a section, in its order."""
    mapped = {number: encoding.strip() for number, _, encoding in (value.partition(" ") for value in media.all("rtpmap"))}
    return [(number, mapped.get(number) or _STATIC.get(number, f"type {number}")) for number in media.formats[:32]]


def _track(media: MediaSection, number: str, encoding: str) -> SoundTrack | None:
    name, _, rest = encoding.partition("/")
    clock, _, channels = rest.partition("/")
    codec = _NAMES.get(name.strip().upper())
    if codec is None or not re.fullmatch(r"[0-9]{1,3}", number) or int(number) > 127 or not re.fullmatch(r"[0-9]{1,6}", clock):
        return None
    if int(clock) not in _CLOCKS_HZ[codec] or not re.fullmatch(r"[0-9]?", channels) or int(channels or 1) > _CHANNELS_MOST:
        return None
    kind = SoundKind(codec, int(clock), int(channels or 1) or 1)
    control = media.first("control") or ""
    if codec != "AAC":
        return SoundTrack(control, int(number), kind)
    return _aac_track(media, number, control, kind)


def _aac_track(media: MediaSection, number: str, control: str, kind: SoundKind) -> SoundTrack | None:
    found = (rest for prefix, _, rest in (value.partition(" ") for value in media.all("fmtp")) if prefix == number)
    parameters = parse_format_parameters(next(found, ""))
    usual = _MODES.get(parameters.get("mode", "").strip().lower())
    if usual is None or any(parameters.get(name, "0").strip() not in ("", "0") for name in _UNUSED_FIELDS):
        return None
    names = ("sizelength", "indexlength", "indexdeltalength")
    texts = [parameters.get(name, str(bits)).strip() for name, bits in zip(names, usual, strict=True)]
    if not all(re.fullmatch(r"[0-9]{1,2}", text) for text in texts):
        return None
    headers = UnitHeaders(*map(int, texts))
    if not 0 < headers.size_bits <= 16 or headers.index_bits > 16 or headers.delta_bits > 16:
        return None
    config = parameters.get("config", "").strip().strip('"')
    if config and not re.fullmatch(rf"(?:[0-9A-Fa-f]{{2}}){{2,{_CONFIG_MOST_BYTES}}}", config):
        return None
    written = bytes.fromhex(config) if config else _plain_config(kind)
    return SoundTrack(control, int(number), SoundKind("AAC", kind.clock_hz, kind.channels, written), headers)


def _plain_config(kind: SoundKind) -> bytes:
    """Of AAC-LC, for cameras that don't write theirs: object type 2, the place of the rate in its table, channels."""
    return (2 << 11 | _CLOCKS_HZ["AAC"].index(kind.clock_hz) << 7 | min(kind.channels, 7) << 3).to_bytes(2, "big")
