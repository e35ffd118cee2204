"""Session descriptions: reading a browser's WHEP offer, writing our ICE-lite answer, reading a camera's description.

RFC 8866 (SDP), RFC 9429 (JSEP), RFC 8839 (ICE in SDP), RFC 6184, 8.2 (H.264 in SDP).
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_LIMIT_BYTES: Final = 64 * 1024
_LIMIT_SECTIONS: Final = 32
_BASELINE: Final = 66
# payload types of sound, some unassigned (RFC 3551, table 4)
_STATIC_SOUND: Final = frozenset(range(24))
# payload types that need no rtpmap (RFC 3551, table 5)
_STATIC_VIDEO: Final = {"26": "JPEG", "31": "H261", "32": "MPV", "33": "MP2T", "34": "H263"}
_TOKEN = re.compile(r"[A-Za-z0-9+/=_.\-]{1,256}")
_PROTOCOLS = frozenset({"UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF"})


class UnusableOffer(ValueError):
    """An offer (or a camera's description) that can't be answered; the message names the line and what is expected."""


class OtherCodec(UnusableOffer):
    """A camera's video that isn't H.264; `codec` as its description names it."""

    def __init__(self, codec: str) -> None:
        super().__init__(f"The camera offers {codec}; H.264 is needed. Choose H.264 (AVC) for this stream in the camera's settings.")
        self.codec = codec


@dataclass(frozen=True, slots=True)
class MediaSection:
    """One `m=` section; `attributes` keeps every `a=` line as (name, value) in order."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]

    def first(self, name: str) -> str | None:
        """The value of the first attribute of that name."""
        return next((value for key, value in self.attributes if key == name), None)

    def all(self, name: str) -> list[str]:
        """The values of every attribute of that name."""
        return [value for key, value in self.attributes if key == name]


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A parsed description: session-level attributes and media sections."""

    attributes: tuple[tuple[str, str], ...]
    media: tuple[MediaSection, ...]

    def session(self, name: str) -> list[str]:
        """The values of every session-level attribute of that name."""
        return [value for key, value in self.attributes if key == name]


@dataclass(frozen=True, slots=True)
class H264Format:
    """An H.264 payload type that the viewer can take."""

    payload_type: int
    profile_level_id: str
    parameters: str


@dataclass(frozen=True, slots=True)
class OfferedSound:
    """A section of an offer in which the viewer takes Opus, over the transport of its pictures."""

    index: int
    mid: str
    payload_type: int


@dataclass(frozen=True, slots=True)
class ViewerOffer:
    """What an offer says that matters to a sender of one video track."""

    description: SessionDescription
    video_index: int
    mid: str
    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    formats: tuple[H264Format, ...]
    bundled: bool
    # where the viewer would hear, if it offers to
    sound: "OfferedSound | None" = None

    def choose_format(self, profile_level_id: str | None) -> H264Format:
        """The format nearest to the source's profile; constrained baseline when the profile is unknown or not offered."""

        wanted = _profile_of(profile_level_id or "42e01f")

        def distance(candidate: H264Format) -> int:
            profile = _profile_of(candidate.profile_level_id)
            if profile == wanted:
                return 0
            if profile[0] == wanted[0]:
                return 1
            return {(_BASELINE, True): 2, (_BASELINE, False): 3}.get(profile, 4)

        return min(self.formats, key=distance)


def _profile_of(profile_level_id: str) -> tuple[int, bool]:
    """profile_idc, and for baseline whether constraint_set1 makes it the constrained one (RFC 6184, 8.1)."""
    profile_idc, constraints = int(profile_level_id[:2], 16), int(profile_level_id[2:4], 16)
    return profile_idc, profile_idc == _BASELINE and bool(constraints & 0x40)


@dataclass(frozen=True, slots=True)
class AnswerParameters:
    """Everything of ours that stands in an answer. `addresses` are the hosts announced, with one port for UDP and TCP."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint_sha256: str
    addresses: Sequence[str]
    port: int
    tcp: bool
    ssrc: int
    cname: str
    session_id: int = field(default=1)


def parse_session(text: str) -> SessionDescription:
    """Reads the lines of any SDP. Raises `UnusableOffer`."""
    if len(text) > _LIMIT_BYTES:
        raise UnusableOffer(f"The SDP has {len(text)} characters; at most {_LIMIT_BYTES} are read. Send fewer codecs or candidates.")
    session: list[tuple[str, str]] = []
    sections: list[tuple[tuple[str, int, str, tuple[str, ...]], list[tuple[str, str]]]] = []
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[0].startswith("v=0"):
        raise UnusableOffer("The SDP doesn't begin with v=0. Send a session description with content type application/sdp.")
    for line in lines:
        if line.startswith("m="):
            sections.append((_parse_media_line(line), []))
            if len(sections) > _LIMIT_SECTIONS:
                raise UnusableOffer(f"The SDP has more than {_LIMIT_SECTIONS} media sections.")
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            (sections[-1][1] if sections else session).append((name, value.strip()))
    return SessionDescription(
        tuple(session),
        tuple(MediaSection(*head, attributes=tuple(attributes)) for head, attributes in sections),
    )


def _parse_media_line(line: str) -> tuple[str, int, str, tuple[str, ...]]:
    parts = line[2:].split()
    port = parts[1].partition("/")[0] if len(parts) >= 4 else ""
    if not (port.isascii() and port.isdigit()):
        raise UnusableOffer(f"The media line {line[:80]!r} isn't 'm=<kind> <port> <protocol> <formats>'.")
    return parts[0], int(port[:6]), parts[2], tuple(parts[3:])


def parse_offer(text: str) -> ViewerOffer:
    """Reads a viewer's offer of one video track to receive. Raises `UnusableOffer`."""
    description = parse_session(text)
    index = next(
        (i for i, media in enumerate(description.media) if media.kind == "video" and media.first("inactive") is None and _is_open(media)),
        None,
    )
    if index is None:
        raise UnusableOffer("The offer has no active video section. Add a transceiver of kind video with direction recvonly.")
    video = description.media[index]
    if video.protocol not in _PROTOCOLS:
        raise UnusableOffer(f"The video section uses {video.protocol[:40]!r}; WebRTC needs UDP/TLS/RTP/SAVPF.")
    if video.first("sendonly") is not None:
        raise UnusableOffer("The offer only sends video; a viewer receives it: use direction recvonly.")
    ufrag, pwd = (video.first(name) or next(iter(description.session(name)), "") for name in ("ice-ufrag", "ice-pwd"))
    if not _TOKEN.fullmatch(ufrag) or not _TOKEN.fullmatch(pwd):
        raise UnusableOffer("The offer has no usable a=ice-ufrag and a=ice-pwd.")
    fingerprints = tuple(
        (algorithm.lower(), digest.strip().upper())
        for algorithm, _, digest in (value.partition(" ") for value in video.all("fingerprint") or description.session("fingerprint"))
    )
    if not any(algorithm == "sha-256" for algorithm, _ in fingerprints):
        raise UnusableOffer("The offer has no a=fingerprint:sha-256; without it the viewer can't be told from an impostor.")
    if (video.first("setup") or next(iter(description.session("setup")), "actpass")) == "passive":
        raise UnusableOffer("The offer demands to be the DTLS server (setup:passive); this relay is: offer setup:actpass.")
    mid = video.first("mid") or str(index)
    if not _TOKEN.fullmatch(mid):
        raise UnusableOffer("The video section's a=mid isn't a plain token.")
    formats = h264_formats(video)
    if not formats:
        raise UnusableOffer("The offer has no H.264 with packetization-mode=1. The camera sends H.264 and it isn't transcoded.")
    bundle = next((names for names in bundles(description) if mid in names), ())
    sound = _offered_sound(description, bundle, mid)
    return ViewerOffer(description, index, mid, ufrag, pwd, fingerprints, formats, bool(bundle), sound)


def bundles(description: SessionDescription) -> list[tuple[str, ...]]:
    """The sections that are to share a transport, by name (RFC 9143)."""
    groups = (group.split() for group in description.session("group"))
    return [tuple(names) for kind, *names in filter(None, groups) if kind == "BUNDLE"]


def _is_open(media: MediaSection) -> bool:
    """Port 0 refuses a section, unless it waits to be bundled (RFC 9143, 7.2.1)."""
    return media.port != 0 or media.first("bundle-only") is not None


def _offered_sound(description: SessionDescription, bundle: tuple[str, ...], video_mid: str) -> OfferedSound | None:
    """The first section that would take Opus beside the pictures; what can't be used is refused, and no reason to refuse the pictures."""
    for index, media in enumerate(description.media):
        mid = media.first("mid") or ""
        shared = mid in bundle and mid != video_mid and _TOKEN.fullmatch(mid) is not None
        if media.kind != "audio" or media.protocol not in _PROTOCOLS or not shared or not _is_open(media):
            continue
        if any(media.first(direction) is not None for direction in ("inactive", "sendonly")):
            continue
        for number, _, encoding in (mapping.partition(" ") for mapping in media.all("rtpmap")):
            if encoding.strip().lower() == "opus/48000/2" and re.fullmatch(r"[0-9]{1,3}", number) and int(number) <= 127:
                return OfferedSound(index, mid, int(number))
    return None


def is_token(text: str) -> bool:
    """Whether it may stand in an answer as it is."""
    return _TOKEN.fullmatch(text) is not None


def h264_formats(video: MediaSection) -> tuple[H264Format, ...]:
    """The H.264 payload types with packetization mode 1 of a section, in its order."""
    parameters = {number: rest for number, _, rest in (value.partition(" ") for value in video.all("fmtp"))}
    found: list[H264Format] = []
    for mapping in video.all("rtpmap"):
        number, _, encoding = mapping.partition(" ")
        if encoding.upper() != "H264/90000" or not re.fullmatch(r"[0-9]{1,3}", number) or int(number) > 127:
            continue
        settings = parse_format_parameters(parameters.get(number, ""))
        profile = settings.get("profile-level-id", "42000a")
        if settings.get("packetization-mode") == "1" and re.fullmatch(r"[0-9A-Fa-f]{6}", profile):
            found.append(H264Format(int(number), profile, parameters[number]))
    return tuple(found)


def parse_format_parameters(text: str) -> dict[str, str]:
    """`name=value` pairs of an `a=fmtp` line, names in lower case."""
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return {name.lower(): value for name, _, value in pairs if name}


def candidate_lines(addresses: Sequence[str], port: int, tcp: bool) -> list[str]:
    """Host candidates with one port for UDP and TCP, the first address preferred."""
    lines: list[str] = []
    for position, address in enumerate(addresses):
        # RFC 8445, 5.1.2.1: type preference 126 for host, local preference falling; TCP below every UDP (RFC 6544, 4.2).
        priority = (126 << 24) + ((65535 - position) << 8) + 255
        lines.append(f"a=candidate:{position + 1} 1 udp {priority} {address} {port} typ host")
        if tcp:
            tcp_priority = (90 << 24) + ((4 << 13) + 8191 - position << 8) + 255
            lines.append(f"a=candidate:{position + 101} 1 tcp {tcp_priority} {address} {port} typ host tcptype passive")
    return lines


@dataclass(frozen=True, slots=True)
class CameraTrack:
    """The H.264 track of a camera's description: where to SETUP it and the parameter sets that stand in it.

    `sound_types`: payload types of sound, which have no business among the pictures.
    """

    control: str
    payload_type: int
    parameter_sets: tuple[bytes, ...]
    sound_types: frozenset[int]


def find_camera_track(description: SessionDescription) -> CameraTrack:
    """The first H.264 video track. Raises `UnusableOffer` that names what the camera sends instead."""
    seen: list[str] = []
    for media in description.media:
        if media.kind != "video":
            continue
        for mapping in media.all("rtpmap"):
            number, _, encoding = mapping.partition(" ")
            seen.append(encoding.partition("/")[0][:20])
            if encoding.upper().startswith("H264/90000") and re.fullmatch(r"[0-9]{1,3}", number) and int(number) <= 127:
                sound_types = _sound_types(description) - {int(number)}
                return CameraTrack(media.first("control") or "", int(number), _sprop_parameter_sets(media, number), sound_types)
        seen += [_STATIC_VIDEO[number] for number in media.formats if number in _STATIC_VIDEO and not media.all("rtpmap")]
    if not seen:
        raise UnusableOffer("The camera offers no video. Choose another stream path.")
    raise OtherCodec(", ".join(seen))


def _sound_types(description: SessionDescription) -> frozenset[int]:
    """What the description's audio sections name, and the static ones (RFC 3551, table 4)."""
    named = (number for media in description.media if media.kind == "audio" for number in media.formats)
    return _STATIC_SOUND | {int(number) for number in named if re.fullmatch(r"[0-9]{1,3}", number)}


def _sprop_parameter_sets(media: MediaSection, number: str) -> tuple[bytes, ...]:
    for value in media.all("fmtp"):
        prefix, _, rest = value.partition(" ")
        if prefix == number:
            encoded = parse_format_parameters(rest).get("sprop-parameter-sets", "")
            try:
                return tuple(filter(None, (base64.b64decode(part + "=" * (-len(part) % 4)) for part in encoded.split(",")[:8])))
            except (binascii.Error, ValueError):
                return ()
    return ()
