"""A WHIP publisher's offer (RFC 9725, 4.2) and our answer: ICE-lite, one video track to receive, everything else refused."""

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


@dataclass(frozen=True, slots=True)
class PublisherOffer:
    """What matters to a receiver of one video track. `formats`: preferred first."""

    description: SessionDescription
    video_index: int
    mid: str
    remote: RemotePeer
    formats: tuple[H264Format, ...]
    bundled: bool


@dataclass(frozen=True, slots=True)
class OurSide:
    """What of ours stands in the answer."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint_sha256: str
    addresses: Sequence[str]
    port: int
    tcp: bool


def parse_publisher_offer(text: str) -> PublisherOffer:
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
    bundled = any(mid in group.split()[1:] for group in description.session("group") if group.startswith("BUNDLE"))
    return PublisherOffer(description, index, mid, _remote(description, video), tuple(sorted(formats, key=_preference)), bundled)


def _preference(candidate: H264Format) -> tuple[bool, bool]:
    """Constrained baseline first: it can't hold B-frames, which browsers don't show over WebRTC."""
    profile = candidate.profile_level_id.lower()
    return not profile.startswith(_BASELINE), not int(profile[2:4], 16) & 0x40


def _remote(description: SessionDescription, video: MediaSection) -> RemotePeer:
    def one(name: str) -> str:
        return video.first(name) or next(iter(description.session(name)), "")

    if not is_token(one("ice-ufrag")) or not is_token(one("ice-pwd")):
        raise UnusableOffer("The offer has no usable a=ice-ufrag and a=ice-pwd.")
    fingerprints = tuple(
        (algorithm.lower(), digest.strip().upper())
        for algorithm, _, digest in (value.partition(" ") for value in video.all("fingerprint") or description.session("fingerprint"))
    )
    if not any(algorithm == "sha-256" for algorithm, _ in fingerprints):
        raise UnusableOffer("The offer has no a=fingerprint:sha-256; without it the publisher can't be told from an impostor.")
    return RemotePeer(one("ice-ufrag"), fingerprints, is_dtls_server=one("setup") == "passive")


def build_publisher_answer(offer: PublisherOffer, ours: OurSide, session_id: int) -> str:
    """One receiving video track with all our candidates; further sections refused (RFC 9429, 5.3.1)."""
    lines = ["v=0", f"o=- {session_id} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    if offer.bundled:
        lines.append(f"a=group:BUNDLE {offer.mid}")
    for index, media in enumerate(offer.description.media):
        if index == offer.video_index:
            lines += _video_section(offer, ours)
        else:
            lines += [f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}", "c=IN IP4 0.0.0.0", "a=inactive"]
            mid = media.first("mid")
            if mid is not None and is_token(mid):
                lines.append(f"a=mid:{mid}")
    return "\r\n".join(lines) + "\r\n"


def _video_section(offer: PublisherOffer, ours: OurSide) -> list[str]:
    numbers = [str(one.payload_type) for one in offer.formats]
    host = ours.addresses[0]
    lines = [
        f"m=video {ours.port} UDP/TLS/RTP/SAVPF {' '.join(numbers)}",
        f"c=IN {'IP6' if ':' in host else 'IP4'} {host}",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=mid:{offer.mid}",
        "a=recvonly",
        f"a=ice-ufrag:{ours.ice_ufrag}",
        f"a=ice-pwd:{ours.ice_pwd}",
        f"a=fingerprint:sha-256 {ours.fingerprint_sha256}",
        f"a=setup:{'active' if offer.remote.is_dtls_server else 'passive'}",
        "a=rtcp-mux",
    ]
    if offer.description.media[offer.video_index].first("rtcp-rsize") is not None:
        lines.append("a=rtcp-rsize")
    for one in offer.formats:
        number = one.payload_type
        lines += [f"a=rtpmap:{number} H264/90000", f"a=fmtp:{number} {one.parameters}"]
        lines += [f"a=rtcp-fb:{number} {kind}" for kind in ("nack", "nack pli", "ccm fir", "goog-remb")]
    return [*lines, *candidate_lines(ours.addresses, ours.port, ours.tcp), "a=end-of-candidates"]
