"""An ONNX model of a few hundred bytes that sees red and blue places, written by hand (onnx.proto of the ONNX specification, IR version 8).

Input "picture": 1 x 3 x 64 x 64, red, green, blue, 0 to 1. Output "places": 1 x 6 x 16, for each cell of 16 x 16 its centre and size in
pixels, then how red and how blue it is.
"""

import hashlib
import json
import struct
from collections.abc import Sequence
from pathlib import Path

SIDE, CELL = 64, 16
_CELLS = SIDE // CELL
_FLOAT, _INT64 = 1, 7
_INT_ATTRIBUTE, _INTS_ATTRIBUTE = 2, 7
DECLARATION = {
    "input": {"name": "picture", "width_px": SIDE, "height_px": SIDE},
    "output": {"name": "places", "format": "yolo"},
    "labels": ["person", "vehicle"],
    "least_score": 0.5,
}


def tiny_model() -> bytes:
    """The file's bytes."""
    weights = []
    for kind in (0, 2):
        for channel in range(3):
            weights += [(24.0 if channel == kind else -24.0) / CELL**2] * CELL**2
    boxes: list[float] = []
    for part in range(4):
        for row in range(_CELLS):
            for column in range(_CELLS):
                boxes.append(((column, row)[part] + 0.5) * CELL if part < 2 else float(CELL))
    graph = b"".join(
        (
            _node("Conv", ["picture", "weights", "bias"], "cells", strides=[CELL, CELL], kernel_shape=[CELL, CELL]),
            _node("Sigmoid", ["cells"], "scores"),
            _node("Reshape", ["scores", "shape"], "rows"),
            _node("Concat", ["boxes", "rows"], "places", axis=1),
            _bytes(2, b"tiny"),
            _bytes(5, _floats("weights", [2, 3, CELL, CELL], weights)),
            _bytes(5, _floats("bias", [2], [-6.0, -6.0])),
            _bytes(5, _floats("boxes", [1, 4, _CELLS**2], boxes)),
            _bytes(5, _tensor("shape", [3], _INT64, struct.pack("<3q", 1, 2, _CELLS**2))),
            _bytes(11, _value("picture", [1, 3, SIDE, SIDE])),
            _bytes(12, _value("places", [1, 6, _CELLS**2])),
        )
    )
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13))


def detector_settings(folder: Path) -> dict[str, str]:
    """The settings of an installation that looks at its recordings with it; writes both files into the folder."""
    model, declaration = folder / "tiny.onnx", folder / "tiny.json"
    model.write_bytes(tiny_model())
    declaration.write_text(json.dumps(DECLARATION))
    return {
        "RTCC_VIDEO_DETECTOR_MODEL_FILE": str(model),
        "RTCC_VIDEO_DETECTOR_MODEL_SHA256": hashlib.sha256(tiny_model()).hexdigest(),
        "RTCC_VIDEO_DETECTOR_DECLARATION_FILE": str(declaration),
    }


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: int | list[int]) -> bytes:
    parts = [_bytes(1, name.encode()) for name in inputs] + [_bytes(2, output.encode()), _bytes(4, kind.encode())]
    for name, value in attributes.items():
        if isinstance(value, int):
            body = _number(3, value) + _number(20, _INT_ATTRIBUTE)
        else:
            body = b"".join(_number(8, one) for one in value) + _number(20, _INTS_ATTRIBUTE)
        parts.append(_bytes(5, _bytes(1, name.encode()) + body))
    return _bytes(1, b"".join(parts))


def _floats(name: str, shape: Sequence[int], values: Sequence[float]) -> bytes:
    return _tensor(name, shape, _FLOAT, struct.pack(f"<{len(values)}f", *values))


def _tensor(name: str, shape: Sequence[int], kind: int, data: bytes) -> bytes:
    return b"".join(_number(1, one) for one in shape) + _number(2, kind) + _bytes(8, name.encode()) + _bytes(9, data)


def _value(name: str, shape: Sequence[int]) -> bytes:
    dimensions = b"".join(_bytes(1, _number(1, one)) for one in shape)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, dimensions)))


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
