"""A WHIP publisher's offer (RFC 9725, 4.2) and our answer: ICE-lite, one video track to receive, Opus where sound is allowed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine.link import RemotePeer
from rtcc_video.engine.sdp import (
    H264Format,
    MediaSection,
    SessionDescription,
    UnusableOffer,
    candidate_lines,
    h264_formats,
    is_token,
    parse_session,
)

_PROTOCOLS: Final = frozenset({"UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF"})
_BASELINE: Final = "42"
# mono and its own repair of single losses (RFC 7587, 6.1)
_OPUS_PARAMETERS: Final = "minptime=10;useinbandfec=1;maxaveragebitrate=48000"


@dataclass(frozen=True, slots=True)
class OfferedSound:
    """The section of Opus that is taken."""

    index: int
    mid: str
    payload_type: int


@dataclass(frozen=True, slots=True)
class PublisherOffer:
    """What matters to a receiver of one video track. `formats`: preferred first. `sound`: None unless it is allowed and can be taken."""

    description: SessionDescription
    video_index: int
    mid: str
    remote: RemotePeer
    formats: tuple[H264Format, ...]
    bundled: bool
    sound: OfferedSound | None = None


@dataclass(frozen=True, slots=True)
class OurSide:
    """What of ours stands in the answer."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint_sha256: str
    addresses: Sequence[str]
    port: int
    tcp: bool


def parse_publisher_offer(text: str, *, sound_allowed: bool = False) -> PublisherOffer:
    """Raises `UnusableOffer`."""
    description = parse_session(text)
    index = next((i for i, media in enumerate(description.media) if media.kind == "video" and media.port != 0), None)
    if index is None:
        raise UnusableOffer("The offer has no active video section. Add a video track with direction sendonly.")
    video = description.media[index]
    if video.protocol not in _PROTOCOLS:
        raise UnusableOffer(f"The video section uses {video.protocol[:40]!r}; WebRTC needs UDP/TLS/RTP/SAVPF.")
    if video.first("recvonly") is not None or video.first("inactive") is not None:
        raise UnusableOffer("The offer doesn't send video; a publisher does: use direction sendonly.")
    formats = h264_formats(video)
    if not formats:
        raise UnusableOffer(
            "The offer has no H.264 with packetization-mode=1. Choose H.264 in the encoder's settings: nothing is transcoded."
        )
    mid = video.first("mid") or str(index)
    if not is_token(mid):
        raise UnusableOffer("The video section's a=mid isn't a plain token.")
    bundle = next((mids for mids in _bundles(description) if mid in mids), ())
    sound = _find_sound(description, bundle) if sound_allowed else None
    if sound is not None and any(one.payload_type == sound.payload_type for one in formats):
        sound = None
    # what is bundled goes the way of the first section that is taken (RFC 9143, 7.3)
    first = video
    if sound is not None and bundle.index(sound.mid) < bundle.index(mid):
        first = description.media[sound.index]
    remote = _remote(description, (first, video))
    return PublisherOffer(description, index, mid, remote, tuple(sorted(formats, key=_preference)), bool(bundle), sound)


def _bundles(description: SessionDescription) -> list[tuple[str, ...]]:
    return [tuple(group.split()[1:]) for group in description.session("group") if group.startswith("BUNDLE")]


def _find_sound(description: SessionDescription, bundle: Sequence[str]) -> OfferedSound | None:
    """The first section that sends Opus the same way as the pictures."""
    for index, media in enumerate(description.media):
        mid = media.first("mid") or ""
        if media.kind != "audio" or mid not in bundle or not is_token(mid) or media.protocol not in _PROTOCOLS:
            continue
        if (media.port == 0 and media.first("bundle-only") is None) or any(
            media.first(name) is not None for name in ("recvonly", "inactive")
        ):
            continue
        for number, _, encoding in (value.partition(" ") for value in media.all("rtpmap")):
            if encoding.strip().lower() == "opus/48000/2" and re.fullmatch(r"[0-9]{1,3}", number) and int(number) <= 127:
                return OfferedSound(index, mid, int(number))
    return None


def _preference(candidate: H264Format) -> tuple[bool, bool]:
    """Constrained baseline first: it can't hold B-frames, which browsers don't show over WebRTC."""
    profile = candidate.profile_level_id.lower()
    return not profile.startswith(_BASELINE), not int(profile[2:4], 16) & 0x40


def _remote(description: SessionDescription, sections: Sequence[MediaSection]) -> RemotePeer:
    """By the first section that says it, or the session."""

    def one(name: str) -> str:
        return next(filter(None, (media.first(name) for media in sections)), "") or next(iter(description.session(name)), "")

    if not is_token(one("ice-ufrag")) or not is_token(one("ice-pwd")):
        raise UnusableOffer("The offer has no usable a=ice-ufrag and a=ice-pwd.")
    said = next(filter(None, (media.all("fingerprint") for media in sections)), [])
    fingerprints = tuple(
        (algorithm.lower(), digest.strip().upper())
        for algorithm, _, digest in (value.partition(" ") for value in said or description.session("fingerprint"))
    )
    if not any(algorithm == "sha-256" for algorithm, _ in fingerprints):
        raise UnusableOffer("The offer has no a=fingerprint:sha-256; without it the publisher can't be told from an impostor.")
    return RemotePeer(one("ice-ufrag"), fingerprints, is_dtls_server=one("setup") == "passive")


def build_publisher_answer(offer: PublisherOffer, ours: OurSide, session_id: int) -> str:
    """One receiving video track, and one of sound if the offer has it, with all our candidates; the rest refused (RFC 9429, 5.3.1)."""
    lines = ["v=0", f"o=- {session_id} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    if offer.bundled:
        taken = [offer.mid, offer.sound.mid] if offer.sound is not None else [offer.mid]
        bundle = next(mids for mids in _bundles(offer.description) if offer.mid in mids)
        lines.append(f"a=group:BUNDLE {' '.join(sorted(taken, key=bundle.index))}")
    for index, media in enumerate(offer.description.media):
        if index == offer.video_index:
            lines += _video_section(offer, ours)
        elif offer.sound is not None and index == offer.sound.index:
            lines += _sound_section(offer, offer.sound, ours)
        else:
            lines += [f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}", "c=IN IP4 0.0.0.0", "a=inactive"]
            mid = media.first("mid")
            if mid is not None and is_token(mid):
                lines.append(f"a=mid:{mid}")
    return "\r\n".join(lines) + "\r\n"


def _video_section(offer: PublisherOffer, ours: OurSide) -> list[str]:
    numbers = [str(one.payload_type) for one in offer.formats]
    lines = _section(offer, "video", " ".join(numbers), offer.mid, ours)
    if offer.description.media[offer.video_index].first("rtcp-rsize") is not None:
        lines.append("a=rtcp-rsize")
    for one in offer.formats:
        number = one.payload_type
        lines += [f"a=rtpmap:{number} H264/90000", f"a=fmtp:{number} {one.parameters}"]
        lines += [f"a=rtcp-fb:{number} {kind}" for kind in ("nack", "nack pli", "ccm fir", "goog-remb")]
    return [*lines, *candidate_lines(ours.addresses, ours.port, ours.tcp), "a=end-of-candidates"]


def _sound_section(offer: PublisherOffer, sound: OfferedSound, ours: OurSide) -> list[str]:
    number = sound.payload_type
    lines = _section(offer, "audio", str(number), sound.mid, ours)
    lines += [f"a=rtpmap:{number} opus/48000/2", f"a=fmtp:{number} {_OPUS_PARAMETERS}"]
    return [*lines, *candidate_lines(ours.addresses, ours.port, ours.tcp), "a=end-of-candidates"]


def _section(offer: PublisherOffer, kind: str, numbers: str, mid: str, ours: OurSide) -> list[str]:
    host = ours.addresses[0]
    return [
        f"m={kind} {ours.port} UDP/TLS/RTP/SAVPF {numbers}",
        f"c=IN {'IP6' if ':' in host else 'IP4'} {host}",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        "a=recvonly",
        f"a=ice-ufrag:{ours.ice_ufrag}",
        f"a=ice-pwd:{ours.ice_pwd}",
        f"a=fingerprint:sha-256 {ours.fingerprint_sha256}",
        f"a=setup:{'active' if offer.remote.is_dtls_server else 'passive'}",
        "a=rtcp-mux",
    ]
