"""Fragmented MP4 of one H.264 track (ISO/IEC 14496-12 and -15): written from access units, and read back. Nothing is transcoded.

Its boxes serve `sound_fmp4` too, whose track goes beside this one.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine.h264 import NAL_PPS, NAL_SPS, SequenceParameters

TIMESCALE: Final = 90_000
_TRACK = 1
_KEY_SAMPLE = 0x02000000
_OTHER_SAMPLE = 0x01010000
MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_TRUN_FLAGS = 0x000701  # data offset; duration, size and flags of each sample
_SAMPLE = struct.Struct(">III")
_LARGEST_BOX = 64 * 1024 * 1024


class MalformedMp4(ValueError):
    """Bytes that aren't a segment of ours; the message says where."""


@dataclass(frozen=True, slots=True)
class Init:
    """An initialisation segment. `init_id` is the SHA-256 of its bytes in hex; `codec` as in RFC 6381."""

    init_id: str
    codec: str
    width_px: int
    height_px: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture: NAL units with four-byte lengths, and how long it stands, in ticks."""

    data: bytes
    duration: int
    key: bool


@dataclass(frozen=True, slots=True)
class Fragment:
    """A media segment read back: its first picture's decoding time in ticks, and its pictures."""

    decode_time: int
    samples: list[Sample]


def make_init(sps: bytes, pps: Sequence[bytes], sequence: SequenceParameters) -> Init:
    """The initialisation segment of a stream with these parameter sets."""
    width, height = sequence.width_px, sequence.height_px
    configuration = b"\x01" + sps[1:4] + b"\xff\xe1" + struct.pack(">H", len(sps)) + sps + bytes((len(pps),))
    configuration += b"".join(struct.pack(">H", len(one)) + one for one in pps)
    if sequence.profile_idc == 100:
        # high profile as cameras send it: 4:2:0, 8 bits (ISO/IEC 14496-15, 5.3.3.1)
        configuration += b"\xfd\xf8\xf8\x00"
    visual = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HHIIIH", width, height, 0x480000, 0x480000, 0, 1)
    visual += bytes(32) + struct.pack(">Hh", 24, -1)
    description = full_box(b"stsd", 0, 0, struct.pack(">I", 1) + box(b"avc1", visual + box(b"avcC", configuration)))
    header = full_box(
        b"tkhd", 0, 3, struct.pack(">IIIII", 0, 0, _TRACK, 0, 0) + bytes(16) + MATRIX + struct.pack(">II", width << 16, height << 16)
    )
    track = track_box(header, TIMESCALE, b"vide", b"camera", full_box(b"vmhd", 0, 1, bytes(8)), description)
    extends = full_box(b"trex", 0, 0, struct.pack(">IIIII", _TRACK, 1, 0, 0, 0))
    data = movie_boxes(TIMESCALE, (track,), (extends,))
    return Init(hashlib.sha256(data).hexdigest(), f"avc1.{sps[1:4].hex()}", width, height, data)


def track_box(header: bytes, timescale: int, kind: bytes, name: bytes, media_header: bytes, description: bytes) -> bytes:
    """A track without samples: its tkhd, and its media with the vmhd or smhd and the stsd that are given."""
    empty = b"".join(full_box(name, 0, 0, bytes(size)) for name, size in ((b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4)))
    references = box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1) + full_box(b"url ", 0, 1, b"")))
    media_information = box(b"minf", media_header + references + box(b"stbl", description + empty))
    handler = full_box(b"hdlr", 0, 0, bytes(4) + kind + bytes(12) + name + b"\0")
    times = full_box(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, timescale, 0, 0x55C4, 0))
    return box(b"trak", header + box(b"mdia", times + handler + media_information))


def movie_boxes(timescale: int, tracks: Sequence[bytes], extends: Sequence[bytes]) -> bytes:
    """An initialisation segment of these trak and trex boxes."""
    times = struct.pack(">IIIIIH", 0, 0, timescale, 0, 0x10000, 0x100)
    movie = full_box(b"mvhd", 0, 0, times + bytes(10) + MATRIX + bytes(24) + struct.pack(">I", len(tracks) + 1))
    return box(b"ftyp", b"iso6\0\0\0\1iso6mp41cmfc") + box(b"moov", movie + b"".join(tracks) + box(b"mvex", b"".join(extends)))


def parameter_sets(nals: Sequence[bytes]) -> tuple[bytes, tuple[bytes, ...]] | None:
    """The SPS and the PPSs of a key picture that has them."""
    sps = [nal for nal in nals if nal[0] & 0x1F == NAL_SPS]
    pps = tuple(nal for nal in nals if nal[0] & 0x1F == NAL_PPS)
    return (sps[0], pps) if sps and pps else None


def write_segment(number: int, decode_time: int, pictures: Sequence[tuple[Sequence[bytes], int, bool]]) -> bytes:
    """A media segment of (NAL units, duration in ticks, key) of each picture; parameter sets stand in the initialisation segment."""
    parts: list[bytes] = []
    rows = bytearray()
    total = 0
    for nals, duration, key in pictures:
        size = 0
        for nal in nals:
            if nal[0] & 0x1F not in (NAL_SPS, NAL_PPS):
                parts += (len(nal).to_bytes(4, "big"), nal)
                size += 4 + len(nal)
        rows += _SAMPLE.pack(duration, size, _KEY_SAMPLE if key else _OTHER_SAMPLE)
        total += size
    header = full_box(b"mfhd", 0, 0, struct.pack(">I", number & 0xFFFFFFFF))
    # default-base-is-moof
    track = full_box(b"tfhd", 0, 0x020000, struct.pack(">I", _TRACK)) + full_box(b"tfdt", 1, 0, struct.pack(">Q", decode_time))
    run_bytes = 12 + 8 + len(rows)
    moof_bytes = 8 + len(header) + 8 + len(track) + run_bytes
    run = full_box(b"trun", 0, _TRUN_FLAGS, struct.pack(">Ii", len(pictures), moof_bytes + 8) + rows)
    moof = box(b"moof", header + box(b"traf", track + run))
    return b"".join((box(b"styp", b"msdh\0\0\0\0msdhmsixcmfc"), moof, struct.pack(">I4s", total + 8, b"mdat"), *parts))


def read_segment(data: bytes) -> Fragment:
    """Reads a segment of `write_segment`. Raises `MalformedMp4`."""
    boxes = dict(boxes_of(data))
    moof, mdat = boxes.get(b"moof"), boxes.get(b"mdat")
    if moof is None or mdat is None:
        raise MalformedMp4("a segment has one moof and one mdat")
    track = {name: body for name, body in boxes_of(dict(boxes_of(moof)).get(b"traf", b""))}
    time, run = track.get(b"tfdt", b""), track.get(b"trun", b"")
    if len(time) != 12 or len(run) < 12 or int.from_bytes(run[:4], "big") != _TRUN_FLAGS:
        raise MalformedMp4("its track has no time or no run of samples as we write them")
    count = int.from_bytes(run[4:8], "big")
    if len(run) != 12 + count * _SAMPLE.size:
        raise MalformedMp4("its run of samples is cut off")
    samples, at = [], 0
    for duration, size, flags in _SAMPLE.iter_unpack(run[12:]):
        if at + size > len(mdat):
            raise MalformedMp4("its samples are longer than its data")
        samples.append(Sample(mdat[at : at + size], duration, flags == _KEY_SAMPLE))
        at += size
    return Fragment(int.from_bytes(time[4:], "big"), samples)


def annex_b(init: bytes, sample: bytes) -> bytes:
    """A sample as an Annex B byte stream behind the parameter sets of its initialisation segment. Raises `MalformedMp4`."""
    at = init.find(b"avcC")
    if at < 0 or len(init) < at + 12:
        raise MalformedMp4("the initialisation segment has no avcC")
    sets, offset = [], at + 9
    for count_mask in (0x1F, 0xFF):
        count, offset = init[offset] & count_mask, offset + 1
        for _ in range(count):
            size = int.from_bytes(init[offset : offset + 2], "big")
            sets.append(init[offset + 2 : offset + 2 + size])
            offset += 2 + size
            if offset >= len(init):
                raise MalformedMp4("the avcC is cut off")
    return b"".join(b"\0\0\0\1" + nal for nal in (*sets, *sample_nals(sample)))


def sample_nals(sample: bytes) -> list[bytes]:
    """The NAL units of a sample. Raises `MalformedMp4`."""
    nals, at = [], 0
    while at < len(sample):
        size = int.from_bytes(sample[at : at + 4], "big")
        if size == 0 or at + 4 + size > len(sample):
            raise MalformedMp4("a NAL unit is longer than its sample")
        nals.append(sample[at + 4 : at + 4 + size])
        at += 4 + size
    return nals


def boxes_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of each box. Raises `MalformedMp4`."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if not 8 <= size <= min(len(data) - at, _LARGEST_BOX):
            raise MalformedMp4(f"a box at byte {at} says that it has {size} bytes")
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def box(name: bytes, body: bytes) -> bytes:
    """A box (ISO/IEC 14496-12, 4.2)."""
    return struct.pack(">I4s", len(body) + 8, name) + body


def full_box(name: bytes, version: int, flags: int, body: bytes) -> bytes:
    """One with a version and flags."""
    return box(name, struct.pack(">I", version << 24 | flags) + body)
