"""An H.264 clip in memory, ready to be sent as RTP over and over without touching its coded pictures (RFC 6184, packetization mode 1)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext

RTP_CLOCK_HZ = 90_000
PAYLOAD_LIMIT_BYTES = 1_400
START_CODE = b"\x00\x00\x00\x01"
SPS, PPS, AUD, IDR, FU_A = 7, 8, 9, 5, 28


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture: RTP payloads in order (the last carries the marker), its time in 90 kHz ticks from the clip's start."""

    ticks: int
    key: bool
    payloads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """A whole clip. It starts with a key frame; `ticks` is its length including the last frame's duration."""

    frames: tuple[Frame, ...]
    ticks: int
    sps: bytes
    pps: bytes
    width: int
    height: int
    frames_per_second: float

    def sdp(self, host: str) -> str:
        """The session description of a DESCRIBE answer (RFC 8866, RFC 6184 section 8.2)."""
        sets = ",".join(base64.b64encode(nal).decode() for nal in (self.sps, self.pps))
        lines = [
            "v=0",
            f"o=- 0 0 IN IP4 {host}",
            "s=Street camera",
            f"c=IN IP4 {host}",
            "t=0 0",
            "a=control:*",
            "m=video 0 RTP/AVP 96",
            f"a=rtpmap:96 H264/{RTP_CLOCK_HZ}",
            f"a=fmtp:96 packetization-mode=1;profile-level-id={self.sps[1:4].hex()};sprop-parameter-sets={sets}",
            f"a=framerate:{self.frames_per_second:.2f}",
            "a=control:trackID=0",
        ]
        return "\r\n".join([*lines, ""])


class UnusableClip(ValueError):
    """The file can't be sent as it is."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name}: {reason}. Encode it as H.264 without B-frames, starting with a key frame.")
        self.path = path
        self.reason = reason


def load_clip(path: Path) -> Clip:
    """Reads an MP4 or MKV file with H.264 video. Raises UnusableClip. Blocks on the disk: call it in a thread."""
    with av.open(str(path)) as container:
        if not container.streams.video or container.streams.video[0].codec_context.name != "h264":
            raise UnusableClip(path, "has no H.264 video")
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 25)
        to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        time_base = stream.time_base
        frames: list[Frame] = []
        sets: dict[int, bytes] = {}
        for packet in container.demux(stream):
            for unit in to_annex_b.filter(packet if packet.size else None):
                if unit.pts is None or unit.dts is None or time_base is None:
                    raise UnusableClip(path, "has pictures without a time")
                if unit.pts != unit.dts:
                    raise UnusableClip(path, "has B-frames")
                nals = split_annex_b(bytes(unit))
                sets.update({nal[0] & 31: nal for nal in nals if nal[0] & 31 in (SPS, PPS)})
                frames.append(_frame(round(unit.pts * time_base * RTP_CLOCK_HZ), nals))
        if not frames or not frames[0].key or len(sets) != 2:
            raise UnusableClip(path, "doesn't start with a key frame and its parameter sets")
        first = frames[0].ticks
        frames = [Frame(frame.ticks - first, frame.key, frame.payloads) for frame in frames]
        ticks = frames[-1].ticks + round(RTP_CLOCK_HZ / rate)
        context = stream.codec_context
        return Clip(tuple(frames), ticks, sets[SPS], sets[PPS], context.width, context.height, rate)


def split_annex_b(unit: bytes) -> list[bytes]:
    """The NAL units of an Annex B access unit (H.264 annex B), without start codes."""
    found: list[bytes] = []
    at = unit.find(b"\x00\x00\x01")
    while at >= 0:
        begin = at + 3
        at = unit.find(b"\x00\x00\x01", begin)
        nal = unit[begin : at if at >= 0 else len(unit)].rstrip(b"\x00") if at >= 0 else unit[begin:]
        if nal:
            found.append(nal)
    return found


def _frame(ticks: int, nals: list[bytes]) -> Frame:
    key = any(nal[0] & 31 == IDR for nal in nals)
    payloads = [payload for nal in nals if nal[0] & 31 != AUD for payload in packetise(nal)]
    return Frame(ticks, key, tuple(payloads))


def packetise(nal: bytes) -> list[bytes]:
    """RTP payloads of one NAL unit: itself, or FU-A fragments (RFC 6184 section 5.8)."""
    if len(nal) <= PAYLOAD_LIMIT_BYTES:
        return [nal]
    indicator, kind, body = (nal[0] & 0xE0) | FU_A, nal[0] & 31, nal[1:]
    step = PAYLOAD_LIMIT_BYTES - 2
    payloads = []
    for begin in range(0, len(body), step):
        flags = (0x80 if begin == 0 else 0) | (0x40 if begin + step >= len(body) else 0)
        payloads.append(bytes((indicator, flags | kind)) + body[begin : begin + step])
    return payloads
