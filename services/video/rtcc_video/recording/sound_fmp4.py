"""Fragmented MP4 of one Opus track (Encapsulation of Opus in ISO Base Media File Format, 4.3): written from packets, and read back.

Sound is stored beside the pictures, in objects of its own (0014). Its track has another number than theirs, so that one file can join both
without a changed byte.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine.opus import CLOCK_HZ
from rtcc_video.recording.fmp4 import MATRIX, Init, MalformedMp4, box, boxes_of, full_box, movie_boxes, track_box

CODEC: Final = "opus"
MEDIA_TYPE: Final = "audio/mp4"
_TRACK: Final = 2
_CHANNELS: Final = 2
_INDEPENDENT: Final = 0x02000000
# data offset; duration and size of each sample
_RUN_FLAGS: Final = 0x000301
_SAMPLE = struct.Struct(">II")
# what a decoder needs to have heard before it is exact (RFC 7845, 4.2)
_CONVERGES_SAMPLES: Final = CLOCK_HZ * 80 // 1000
# 20 ms of silence in one channel, as encoders code it
_SILENT: Final = bytes((0xF8, 0xFF, 0xFE))
_SILENT_SAMPLES: Final = CLOCK_HZ * 20 // 1000
# a description of this fragment, not of the initialisation segment (ISO/IEC 14496-12, 8.9.4)
_FIRST_OF_FRAGMENT: Final = 0x10001


@dataclass(frozen=True, slots=True)
class SoundFragment:
    """A fragment read back: its first packet's time in samples of 48 kHz, and each packet with its duration."""

    decode_time: int
    packets: list[tuple[bytes, int]]


def sound_init() -> bytes:
    """The initialisation segment of every sound: two channels, to which any Opus packet is decoded.

    No pre-skip: a recording begins amid a stream, there is no priming of an encoder to cut away, and nothing that was heard is left out.
    """
    return movie_boxes(CLOCK_HZ, (_track(),), (_extends(),))


def init_with_sound(init: Init) -> bytes:
    """That of a file with both: `init`'s pictures and a track of sound. Raises `MalformedMp4`."""
    movie = dict(boxes_of(init.data)).get(b"moov", b"")
    found = dict(boxes_of(movie))
    if b"trak" not in found or b"mvex" not in found or len(found.get(b"mvhd", b"")) != 100:
        raise MalformedMp4("an initialisation segment has a moov with one track")
    timescale = int.from_bytes(found[b"mvhd"][12:16], "big")
    return movie_boxes(timescale, (box(b"trak", found[b"trak"]), _track()), (found[b"mvex"], _extends()))


def write_sound(number: int, decode_time: int, packets: Sequence[tuple[bytes, int]]) -> bytes:
    """A media segment of (Opus packet, duration in samples of 48 kHz)."""
    rows = b"".join(_SAMPLE.pack(duration, len(payload)) for payload, duration in packets)
    header = full_box(b"mfhd", 0, 0, struct.pack(">I", number & 0xFFFFFFFF))
    # default-base-is-moof
    track = full_box(b"tfhd", 0, 0x020000, struct.pack(">I", _TRACK)) + full_box(b"tfdt", 1, 0, struct.pack(">Q", decode_time))
    roll = -(-_CONVERGES_SAMPLES // min(duration for _, duration in packets))
    groups = full_box(b"sgpd", 1, 0, struct.pack(">4sIIh", b"roll", 2, 1, -roll))
    groups += full_box(b"sbgp", 0, 0, struct.pack(">4sIII", b"roll", 1, len(packets), _FIRST_OF_FRAGMENT))
    moof_bytes = 8 + len(header) + 8 + len(track) + 12 + 8 + len(rows) + len(groups)
    run = full_box(b"trun", 0, _RUN_FLAGS, struct.pack(">Ii", len(packets), moof_bytes + 8) + rows)
    moof = box(b"moof", header + box(b"traf", track + run + groups))
    return box(b"styp", b"msdh\0\0\0\0msdhmsixcmfc") + moof + box(b"mdat", b"".join(payload for payload, _ in packets))


def write_silence(decode_time: int, samples: int) -> bytes:
    """A media segment of silence that long, for players: nobody recorded it."""
    whole, rest = divmod(samples, _SILENT_SAMPLES)
    durations = [_SILENT_SAMPLES] * whole + ([rest] if rest or not whole else [])
    return write_sound(1, decode_time, [(_SILENT, max(1, duration)) for duration in durations])


def read_sound(data: bytes) -> SoundFragment:
    """Reads a segment of `write_sound`. Raises `MalformedMp4`."""
    found = dict(boxes_of(data))
    track = dict(boxes_of(dict(boxes_of(found.get(b"moof", b""))).get(b"traf", b"")))
    media, time, run = found.get(b"mdat", b""), track.get(b"tfdt", b""), track.get(b"trun", b"")
    if len(time) != 12 or len(run) < 12 or int.from_bytes(run[:4], "big") != _RUN_FLAGS:
        raise MalformedMp4("its track has no time or no run of packets as we write them")
    if len(run) != 12 + int.from_bytes(run[4:8], "big") * _SAMPLE.size:
        raise MalformedMp4("its run of packets is cut off")
    packets, at = [], 0
    for duration, size in _SAMPLE.iter_unpack(run[12:]):
        packets.append((media[at : at + size], duration))
        at += size
    if at != len(media):
        raise MalformedMp4("its packets don't have the length of its data")
    return SoundFragment(int.from_bytes(time[4:], "big"), packets)


def _track() -> bytes:
    header = full_box(b"tkhd", 0, 3, struct.pack(">IIIII", 0, 0, _TRACK, 0, 0) + bytes(12) + b"\1\0\0\0" + MATRIX + bytes(8))
    # version, channels, pre-skip, rate of what was coded, gain, mapping family 0: one or two channels
    opus = box(b"dOps", struct.pack(">BBHIhB", 0, _CHANNELS, 0, CLOCK_HZ, 0, 0))
    entry = bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHHHI", _CHANNELS, 16, 0, 0, CLOCK_HZ << 16)
    description = full_box(b"stsd", 0, 0, struct.pack(">I", 1) + box(b"Opus", entry + opus))
    return track_box(header, CLOCK_HZ, b"soun", b"microphone", full_box(b"smhd", 0, 0, bytes(4)), description)


def _extends() -> bytes:
    return full_box(b"trex", 0, 0, struct.pack(">IIIII", _TRACK, 1, 0, 0, _INDEPENDENT))
