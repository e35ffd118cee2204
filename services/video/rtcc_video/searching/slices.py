"""What a coded picture says of itself before its first macroblock: kind, size and quantiser (ITU-T H.264, 7.3.2 and 7.3.3).

Macroblocks aren't read: their modes and vectors stand behind CAVLC or CABAC, and undoing that in Python costs more than decoding in C.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rtcc_video.engine.h264 import (
    NAL_IDR,
    NAL_PPS,
    NAL_SLICE,
    NAL_SPS,
    PROFILES_WITH_CHROMA,
    BitReader,
    MalformedBitstream,
    parse_sps,
    read_chroma,
)

_MOST_HEADER_BYTES: Final = 48
_MOST_LOOPS: Final = 66
_P, _B, _I, _SP, _SI = range(5)


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Of one picture: whether every slice is intra coded, bytes of its slices, quantiser of its first slice (0 to 51)."""

    intra: bool
    size_bytes: int
    quantiser: int


@dataclass(frozen=True, slots=True)
class _Sequence:
    frame_number_bits: int
    order_type: int
    order_bits: int
    order_delta_zero: bool
    frames_only: bool


@dataclass(frozen=True, slots=True)
class _Pictures:
    cabac: bool
    bottom_order: bool
    references: int
    weighted: bool
    weighted_b: int
    quantiser: int
    redundant: bool


class SliceReader:
    """Knows one stream's newest parameter sets; pictures go through `read` in order."""

    def __init__(self) -> None:
        self._sets: dict[bytes, bytes] = {}
        self._sequence: _Sequence | None = None
        self._pictures: dict[int, _Pictures] = {}
        self.macroblocks = 0

    def read(self, nals: Sequence[bytes]) -> PictureFacts | None:
        """None while no parameter sets are known, and for a picture whose header can't be read or that nothing here can use."""
        size, intra, quantiser = 0, True, -1
        try:
            for nal in nals:
                kind = nal[0] & 0x1F
                if kind in (NAL_SPS, NAL_PPS):
                    self._learn(kind, nal)
                elif kind in (NAL_SLICE, NAL_IDR):
                    size += len(nal)
                    if kind == NAL_IDR and quantiser >= 0:
                        continue
                    slice_type, found = self._slice(nal, quantiser < 0)
                    intra = intra and slice_type == _I
                    quantiser = found if quantiser < 0 else quantiser
        except MalformedBitstream:
            return None
        return PictureFacts(intra, size, quantiser) if quantiser >= 0 else None

    def _learn(self, kind: int, nal: bytes) -> None:
        key = bytes([kind]) + (nal[1:3] if kind == NAL_PPS else b"")
        if self._sets.get(key) == nal:
            return
        if kind == NAL_SPS:
            shape = parse_sps(nal)
            self._sequence = _read_sequence(nal)
            self.macroblocks = ((shape.width_px + 15) // 16) * ((shape.height_px + 15) // 16)
            self._pictures.clear()
            self._sets.clear()
        else:
            number, pictures = _read_pictures(nal)
            self._pictures[number] = pictures
            if len(self._sets) > 300:
                self._sets.clear()
        self._sets[key] = nal

    def _slice(self, nal: bytes, whole: bool) -> tuple[int, int]:
        """Type and, where the `whole` header is wanted, quantiser."""
        head = nal[1:_MOST_HEADER_BYTES]
        if b"\0\0\3" in head:
            head = head.replace(b"\0\0\3", b"\0\0")
        reader = BitReader(head, "slice header")
        reader.ue()
        slice_type = reader.ue() % 5
        if not whole:
            return slice_type, 0
        sequence, pictures = self._sequence, self._pictures.get(reader.ue())
        if sequence is None or pictures is None:
            raise MalformedBitstream("slice header", "it names parameter sets that did not come")
        return slice_type, _quantiser(reader, nal, slice_type, sequence, pictures)


def _quantiser(reader: BitReader, nal: bytes, slice_type: int, sequence: _Sequence, pictures: _Pictures) -> int:
    idr = nal[0] & 0x1F == NAL_IDR
    reader.bits(sequence.frame_number_bits)
    field = not sequence.frames_only and reader.bits(1) == 1
    if field:
        reader.bits(1)
    if idr:
        reader.ue()
    if sequence.order_type == 0:
        reader.bits(sequence.order_bits)
        if pictures.bottom_order and not field:
            reader.se()
    elif sequence.order_type == 1 and not sequence.order_delta_zero:
        reader.se()
        if pictures.bottom_order and not field:
            reader.se()
    if pictures.redundant:
        reader.ue()
    if slice_type == _B:
        reader.bits(1)
    references = pictures.references
    if slice_type in (_P, _SP, _B) and reader.bits(1):
        references = reader.ue() + 1
        if slice_type == _B:
            reader.ue()
    for _ in range(2 if slice_type == _B else 1 if slice_type in (_P, _SP) else 0):
        _skip_list_changes(reader)
    if (pictures.weighted and slice_type in (_P, _SP)) or (pictures.weighted_b == 1 and slice_type == _B):
        if slice_type == _B:
            raise MalformedBitstream("slice header", "weighted bidirectional prediction isn't read here")
        _skip_weights(reader, references)
    if nal[0] & 0x60:
        _skip_marking(reader, idr)
    if pictures.cabac and slice_type not in (_I, _SI):
        reader.ue()
    found = pictures.quantiser + reader.se()
    if not 0 <= found <= 51:
        raise MalformedBitstream("slice header", f"its quantiser is {found}")
    return found


def _skip_list_changes(reader: BitReader) -> None:
    if not reader.bits(1):
        return
    for _ in range(_MOST_LOOPS):
        if reader.ue() == 3:
            return
        reader.ue()
    raise MalformedBitstream("slice header", "its list of references has no end")


def _skip_weights(reader: BitReader, references: int) -> None:
    if references > 32:
        raise MalformedBitstream("slice header", f"it has {references} references")
    reader.ue()
    reader.ue()
    for _ in range(references):
        if reader.bits(1):
            reader.se()
            reader.se()
        if reader.bits(1):
            for _ in range(4):
                reader.se()


def _skip_marking(reader: BitReader, idr: bool) -> None:
    if idr:
        reader.bits(2)
        return
    if not reader.bits(1):
        return
    for _ in range(_MOST_LOOPS):
        operation = reader.ue()
        if operation == 0:
            return
        reader.ue()
        if operation == 3:
            reader.ue()
    raise MalformedBitstream("slice header", "its marking of references has no end")


def _read_sequence(nal: bytes) -> _Sequence:
    reader = BitReader(nal[1:].replace(b"\0\0\3", b"\0\0"), "sequence parameter set")
    profile = reader.bits(8)
    reader.bits(16)
    reader.ue()
    if profile in PROFILES_WITH_CHROMA and read_chroma(reader) == 3:
        raise MalformedBitstream("sequence parameter set", "4:4:4 isn't read here")
    frame_number_bits = reader.ue() + 4
    order_type, order_bits, delta_zero = reader.ue(), 0, False
    if order_type == 0:
        order_bits = reader.ue() + 4
    elif order_type == 1:
        delta_zero = reader.bits(1) == 1
        reader.se()
        reader.se()
        for _ in range(min(reader.ue(), 256)):
            reader.se()
    reader.ue()
    reader.bits(1)
    reader.ue()
    reader.ue()
    if frame_number_bits > 16 or order_bits > 16:
        raise MalformedBitstream("sequence parameter set", "its counters are longer than 16 bits")
    return _Sequence(frame_number_bits, order_type, order_bits, delta_zero, reader.bits(1) == 1)


def _read_pictures(nal: bytes) -> tuple[int, _Pictures]:
    reader = BitReader(nal[1:64].replace(b"\0\0\3", b"\0\0"), "picture parameter set")
    number = reader.ue()
    reader.ue()
    cabac, bottom_order = reader.bits(1) == 1, reader.bits(1) == 1
    if reader.ue():
        raise MalformedBitstream("picture parameter set", "slice groups aren't read here")
    references = reader.ue() + 1
    reader.ue()
    weighted, weighted_b = reader.bits(1) == 1, reader.bits(2)
    quantiser = 26 + reader.se()
    reader.se()
    reader.se()
    reader.bits(2)
    return number, _Pictures(cabac, bottom_order, references, weighted, weighted_b, quantiser, reader.bits(1) == 1)
