"""Our ICE-lite answer to a viewer's offer: its pictures, its sound where it may hear, and nothing else (RFC 8866, RFC 9143, RFC 9429)."""

from dataclasses import dataclass

from rtcc_video.engine.sdp import (
    AnswerParameters,
    H264Format,
    MediaSection,
    OfferedSound,
    ViewerOffer,
    bundles,
    candidate_lines,
    is_token,
)


@dataclass(frozen=True, slots=True)
class AnsweredSound:
    """The section that a viewer's sound goes to, and by which SSRC it comes."""

    section: OfferedSound
    ssrc: int


def build_answer(offer: ViewerOffer, chosen: H264Format, ours: AnswerParameters, sound: AnsweredSound | None = None) -> str:
    """One sending video track, with `sound` a sending audio track beside it, every other section refused; our own candidates, no others."""
    answered = {offer.mid, sound.section.mid} if sound is not None else {offer.mid}
    bundle = next((names for names in bundles(offer.description) if offer.mid in names), (offer.mid,))
    # in the offer's order: the first carries the transport for all
    mids = [mid for mid in dict.fromkeys(bundle) if mid in answered]
    lines = ["v=0", f"o=- {ours.session_id} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    if offer.bundled:
        lines.append(f"a=group:BUNDLE {' '.join(mids)}")
    lines.append("a=msid-semantic:WMS *")
    for index, media in enumerate(offer.description.media):
        if index == offer.video_index:
            lines += _section("video", chosen.payload_type, offer.mid, ours)
            lines += _video_lines(media, chosen, ours)
        elif sound is not None and index == sound.section.index:
            lines += _section("audio", sound.section.payload_type, sound.section.mid, ours)
            lines += _sound_lines(sound, ours)
        else:
            lines += _refusal(media)
            continue
        if media.first("rtcp-rsize") is not None:
            lines.append("a=rtcp-rsize")
        if (media.first("mid") or offer.mid) == mids[0]:
            lines += [*candidate_lines(ours.addresses, ours.port, ours.tcp), "a=end-of-candidates"]
    return "\r\n".join(lines) + "\r\n"


def _refusal(media: MediaSection) -> list[str]:
    lines = [f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}", "c=IN IP4 0.0.0.0", "a=inactive"]
    mid = media.first("mid")
    return [*lines, f"a=mid:{mid}"] if mid is not None and is_token(mid) else lines


def _section(kind: str, payload_type: int, mid: str, ours: AnswerParameters) -> list[str]:
    host = ours.addresses[0]
    return [
        f"m={kind} {ours.port} UDP/TLS/RTP/SAVPF {payload_type}",
        f"c=IN {'IP6' if ':' in host else 'IP4'} {host}",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        "a=sendonly",
        f"a=ice-ufrag:{ours.ice_ufrag}",
        f"a=ice-pwd:{ours.ice_pwd}",
        f"a=fingerprint:sha-256 {ours.fingerprint_sha256}",
        "a=setup:passive",
        "a=rtcp-mux",
    ]


def _video_lines(media: MediaSection, chosen: H264Format, ours: AnswerParameters) -> list[str]:
    number = chosen.payload_type
    return [
        f"a=rtpmap:{number} H264/90000",
        f"a=fmtp:{number} {chosen.parameters}",
        f"a=rtcp-fb:{number} nack",
        f"a=rtcp-fb:{number} nack pli",
        f"a=rtcp-fb:{number} ccm fir",
        *([f"a=rtcp-fb:{number} goog-remb"] if _offers_estimate(media, number) else []),
        f"a=ssrc:{ours.ssrc} cname:{ours.cname}",
        f"a=msid:{ours.cname} video",
    ]


def _sound_lines(sound: AnsweredSound, ours: AnswerParameters) -> list[str]:
    """Opus (RFC 7587, 7) in the same stream as the pictures, which browsers then keep in step by the sender reports' clocks."""
    number = sound.section.payload_type
    return [
        f"a=rtpmap:{number} opus/48000/2",
        f"a=fmtp:{number} minptime=10;useinbandfec=1",
        f"a=ssrc:{sound.ssrc} cname:{ours.cname}",
        f"a=msid:{ours.cname} sound",
    ]


def _offers_estimate(media: MediaSection, payload_type: int) -> bool:
    return any(line.split() in ([str(payload_type), "goog-remb"], ["*", "goog-remb"]) for line in media.all("rtcp-fb"))
