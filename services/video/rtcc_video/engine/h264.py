"""H.264 byte streams (ITU-T H.264 Annex B and clause 7): units, access units, and the parameter sets that describe them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

NAL_SLICE: Final = 1
NAL_IDR: Final = 5
NAL_SEI: Final = 6
NAL_SPS: Final = 7
NAL_PPS: Final = 8

# Types that a constrained-baseline, main or high decoder needs. Everything else (delimiter, filler, SEI, end of sequence,
# scalable and multi-view extensions) only costs bytes on the way to a browser.
FORWARDED: Final = frozenset({NAL_SLICE, 2, 3, 4, NAL_IDR, NAL_SPS, NAL_PPS})

_LONE_PICTURES = frozenset({NAL_SLICE, 2, NAL_IDR})
_START_CODE = b"\x00\x00\x01"
_B_SLICE_TYPES = frozenset({1, 6})
PROFILES_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


class MalformedBitstream(ValueError):
    """A unit that can't be read as H.264; `what` names the unit, `why` the rule it breaks."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"The H.264 {what} can't be read: {why}. Check that the camera sends H.264 (AVC), not H.265.")
        self.what = what
        self.why = why


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture: its NAL units in decoding order, without start codes.

    `timestamp` counts 90 kHz ticks of the source's clock, without wrap; only differences mean something. `captured_us` is the time of
    day by the source's own clock (Unix time in microseconds), on key pictures of sources that tell it.
    """

    nals: tuple[bytes, ...]
    timestamp: int
    key: bool
    captured_us: int | None = None

    def annex_b(self) -> bytes:
        """The same picture as an Annex B byte stream."""
        return b"".join(b"\x00\x00\x00\x01" + nal for nal in self.nals)


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """What the relay needs of a sequence parameter set. `reorder_frames` is None where the set doesn't say."""

    profile_idc: int
    constraint_flags: int
    level_idc: int
    width_px: int
    height_px: int
    reorder_frames: int | None

    @property
    def profile_level_id(self) -> str:
        """Six hex digits as in the SDP parameter of the same name (RFC 6184, 8.1)."""
        return f"{self.profile_idc:02x}{self.constraint_flags:02x}{self.level_idc:02x}"


def nal_type(nal: bytes) -> int:
    """The type of a non-empty NAL unit, 0 to 31."""
    return nal[0] & 0x1F


def split_annex_b(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream; bytes before the first start code are dropped, so are empty units."""
    nals: list[bytes] = []
    start = data.find(_START_CODE)
    while start >= 0:
        start += 3
        end = data.find(_START_CODE, start)
        nal = data[start : end if end >= 0 else len(data)].rstrip(b"\x00")
        if nal:
            nals.append(nal)
        start = end
    return nals


def make_access_unit(nals: Sequence[bytes], timestamp: int) -> AccessUnit | None:
    """An access unit of the units that a viewer needs, or None if there is no picture in it."""
    if len(nals) == 1 and nals[0] and nals[0][0] & 0x1F in _LONE_PICTURES:
        # as most pictures are
        return AccessUnit((nals[0],), timestamp, nals[0][0] & 0x1F == NAL_IDR)
    kept = tuple(nal for nal in nals if nal and nal[0] & 0x1F in FORWARDED)
    types = {nal[0] & 0x1F for nal in kept}
    if not types & {NAL_SLICE, 2, NAL_IDR}:
        return None
    return AccessUnit(kept, timestamp, NAL_IDR in types)


class BitReader:
    """Reads bits and Exp-Golomb codes (H.264, 9.1) of a raw byte sequence payload, emulation prevention already removed."""

    def __init__(self, payload: bytes, what: str) -> None:
        self._value = int.from_bytes(payload, "big")
        self._left = len(payload) * 8
        self._what = what

    def bits(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        if count > self._left:
            raise MalformedBitstream(self._what, "it ends before its last field")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def ue(self) -> int:
        """The next unsigned Exp-Golomb number."""
        rest = self._value & ((1 << self._left) - 1)
        zeros = self._left - rest.bit_length()
        if zeros > 32:
            raise MalformedBitstream(self._what, "a number is longer than 32 bits")
        self._left -= zeros
        return self.bits(zeros + 1) - 1

    def se(self) -> int:
        """The next signed Exp-Golomb number."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def is_b_slice(nal: bytes) -> bool:
    """Whether a slice unit holds bidirectional prediction (slice_type 1 or 6; H.264, 7.3.3)."""
    if len(nal) < 2 or nal[0] & 0x1F not in (NAL_SLICE, 2):
        return False
    reader = BitReader(nal[1:10], "slice header")
    try:
        reader.ue()
        return reader.ue() in _B_SLICE_TYPES
    except MalformedBitstream:
        return False


def parse_sps(nal: bytes) -> SequenceParameters:
    """Reads a sequence parameter set (H.264, 7.3.2.1.1 and E.1.1).

    Raises `MalformedBitstream`.
    """
    if len(nal) < 4 or nal[0] & 0x1F != NAL_SPS:
        raise MalformedBitstream("sequence parameter set", "it is shorter than its fixed part or not of type 7")
    if len(nal) > 1024:
        raise MalformedBitstream("sequence parameter set", f"it has {len(nal)} bytes, the limit is 1024")
    reader = BitReader(nal[1:].replace(b"\x00\x00\x03", b"\x00\x00"), "sequence parameter set")
    profile_idc, constraint_flags, level_idc = reader.bits(8), reader.bits(8), reader.bits(8)
    reader.ue()
    chroma_format_idc = read_chroma(reader) if profile_idc in PROFILES_WITH_CHROMA else 1
    reader.ue()
    order_count_type = _read_order_count(reader)
    reader.ue()
    reader.bits(1)
    width_mbs, height_units = reader.ue() + 1, reader.ue() + 1
    frame_mbs_only = reader.bits(1)
    if not frame_mbs_only:
        reader.bits(1)
    reader.bits(1)
    width_px, height_px = width_mbs * 16, height_units * 16 * (2 - frame_mbs_only)
    if reader.bits(1):
        left, right, top, bottom = reader.ue(), reader.ue(), reader.ue(), reader.ue()
        unit_x = 2 if chroma_format_idc in (1, 2) else 1
        unit_y = (2 if chroma_format_idc == 1 else 1) * (2 - frame_mbs_only)
        width_px -= (left + right) * unit_x
        height_px -= (top + bottom) * unit_y
    if not (0 < width_px <= 16384 and 0 < height_px <= 16384):
        raise MalformedBitstream("sequence parameter set", f"it claims a picture of {width_px} x {height_px}")
    # Constrained profiles and order count type 2 can't reorder at all (H.264, 8.2.1.3 and A.2.1).
    never_reorders = profile_idc == 66 or order_count_type == 2
    reorder_frames = 0 if never_reorders else _read_reorder_frames(reader)
    return SequenceParameters(profile_idc, constraint_flags, level_idc, width_px, height_px, reorder_frames)


def read_chroma(reader: BitReader) -> int:
    """The part of a sequence parameter set that only the higher profiles have; its chroma_format_idc."""
    chroma_format_idc = reader.ue()
    if chroma_format_idc == 3:
        reader.bits(1)
    reader.ue()
    reader.ue()
    reader.bits(1)
    if reader.bits(1):
        for index in range(8 if chroma_format_idc != 3 else 12):
            if reader.bits(1):
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return chroma_format_idc


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + reader.se()) & 0xFF
        last = following or last


def _read_order_count(reader: BitReader) -> int:
    order_count_type = reader.ue()
    if order_count_type == 0:
        reader.ue()
    elif order_count_type == 1:
        reader.bits(1)
        reader.se()
        reader.se()
        cycle = reader.ue()
        if cycle > 255:
            raise MalformedBitstream("sequence parameter set", "its order count cycle is longer than 255")
        for _ in range(cycle):
            reader.se()
    return order_count_type


def _read_reorder_frames(reader: BitReader) -> int | None:
    """max_num_reorder_frames of the usability information (E.1.1), or None where it isn't given."""
    if not reader.bits(1):
        return None
    if reader.bits(1) and reader.bits(8) == 255:
        reader.bits(32)
    if reader.bits(1):
        reader.bits(1)
    if reader.bits(1):
        reader.bits(4)
        if reader.bits(1):
            reader.bits(24)
    if reader.bits(1):
        reader.ue()
        reader.ue()
    if reader.bits(1):
        reader.bits(65)
    parameters_present = [_skip_hypothetical_decoder(reader) for _ in range(2)]
    if any(parameters_present):
        reader.bits(1)
    reader.bits(1)
    if not reader.bits(1):
        return None
    reader.bits(1)
    for _ in range(4):
        reader.ue()
    return reader.ue()


def _skip_hypothetical_decoder(reader: BitReader) -> bool:
    if not reader.bits(1):
        return False
    count = reader.ue() + 1
    if count > 32:
        raise MalformedBitstream("sequence parameter set", "it lists more than 32 buffer models")
    reader.bits(8)
    for _ in range(count):
        reader.ue()
        reader.ue()
        reader.bits(1)
    reader.bits(20)
    return True


class ParameterSets:
    """The newest SPS and PPS of a source; puts them before a key picture that came without.

    Many cameras announce them in the SDP alone; a viewer who joins later never sees that SDP.
    """

    def __init__(self, known: Iterable[bytes] = ()) -> None:
        self._sps: dict[bytes, bytes] = {}
        self._pps: dict[bytes, bytes] = {}
        self.sequence: SequenceParameters | None = None
        self.learn(known)

    def learn(self, nals: Iterable[bytes]) -> None:
        """Remembers the parameter sets among `nals`. Raises `MalformedBitstream` for an unreadable SPS."""
        for nal in nals:
            kind = nal[0] & 0x1F if nal else 0
            if kind == NAL_SPS:
                if self._sps.get(b"") != nal:
                    self.sequence = parse_sps(nal)
                    self._sps[b""] = nal
            elif kind == NAL_PPS and len(nal) > 1:
                self._pps[_pps_identity(nal)] = nal

    def complete(self, unit: AccessUnit) -> AccessUnit | None:
        """A key picture with its parameter sets in front; None if it can't be decoded because none are known yet."""
        if not unit.key:
            return unit
        types = [nal[0] & 0x1F for nal in unit.nals]
        if NAL_SPS in types and NAL_PPS in types:
            return unit
        if not self._sps or not self._pps:
            return None
        pictures = tuple(nal for nal, kind in zip(unit.nals, types, strict=True) if kind not in (NAL_SPS, NAL_PPS))
        return AccessUnit((*self._sps.values(), *self._pps.values(), *pictures), unit.timestamp, unit.key, unit.captured_us)


def _pps_identity(nal: bytes) -> bytes:
    """The Exp-Golomb number of a PPS, as a key; at most 256 exist, so the table stays bounded."""
    try:
        return (BitReader(nal[1:6], "picture parameter set").ue() & 0xFF).to_bytes(1, "big")
    except MalformedBitstream:
        return b"\x00"
