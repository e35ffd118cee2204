"""The child process that looks at key pictures with the operator's model: pictures and model meet here, away from the relay.

Arguments: model file, its SHA-256, declaration file, memory limit in MiB. Standard output first answers once whether the model is loaded.
Standard input: length (4 bytes, big-endian), then an Annex B picture; standard output: status (1: 0 is JSON, 1 is a message), length (4),
body. JSON: a list of [label, score, left, top, width, height, colour], the box 0 to 1 of the picture. It ends with its standard input.
"""

import hashlib
import json
import os
import resource
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from rtcc_video.searching.model import ModelDeclaration, UnusableDeclaration, parse_declaration
from rtcc_video.snapshot_child import die_with_parent

_LENGTH = struct.Struct("!I")
_ANSWER = struct.Struct("!BI")
_LIMIT_BYTES = 16_000_000
_LARGEST_SIDE_PX = 8192
_MOST_FOUND = 100
_MOST_ROWS = 200_000
# colours are told apart in a part of the box where the thing itself is likely
_MIDDLE = 0.6
_LEAST_SHARE = 0.35

type Seen = list[list[str | float]]


class Session(Protocol):
    """The part of onnxruntime's session that is used."""

    def run(self, outputs: list[str], inputs: dict[str, Any]) -> list[Any]: ...


class Detector:
    """Runs the model on one picture after the other."""

    def __init__(self, session: Session, declaration: ModelDeclaration) -> None:
        self._session = session
        self._declaration = declaration

    def look(self, picture: bytes) -> Seen:
        """What the model sees, the surest first. Raises `ValueError` for what can't be decoded or understood."""
        declaration = self._declaration
        decoder = av.CodecContext.create("h264", "r")
        frames = decoder.decode(av.Packet(picture)) + decoder.decode(None)
        if not frames or not isinstance(frames[0], av.VideoFrame):
            raise ValueError("the key picture holds nothing that can be shown")
        frame = frames[0]
        if max(frame.width, frame.height) > _LARGEST_SIDE_PX:
            raise ValueError(f"the picture has {frame.width} x {frame.height}")
        image, across, down = _fit(frame, declaration)
        output = np.asarray(self._session.run([declaration.output_name], {declaration.input_name: _tensor(image, declaration)})[0])
        found: Seen = []
        for label, score, left, top, right, bottom in _read(output, declaration):
            # from the model's input to the picture, whose part of it is `across` wide and `down` high
            left, right = (min(max(one / across, 0.0), 1.0) for one in (left, right))
            top, bottom = (min(max(one / down, 0.0), 1.0) for one in (top, bottom))
            if right - left > 0.001 and bottom - top > 0.001:
                colour = _colour_of(image, left * across, top * down, right * across, bottom * down)
                found.append([label, round(score, 4), *(round(one, 5) for one in (left, top, right - left, bottom - top)), colour])
        return found


def _fit(frame: av.VideoFrame, declaration: ModelDeclaration) -> tuple[NDArray[np.uint8], float, float]:
    """The picture in the size of the model's input, and which part of its width and height it fills, from the top left."""
    width, height = declaration.width_px, declaration.height_px
    if declaration.letterbox:
        factor = min(width / frame.width, height / frame.height)
        width, height = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
    small: NDArray[np.uint8] = frame.reformat(width, height, format="rgb24").to_ndarray().astype(np.uint8, copy=False)
    if (width, height) == (declaration.width_px, declaration.height_px):
        return small, 1.0, 1.0
    image = np.full((declaration.height_px, declaration.width_px, 3), 114, np.uint8)
    image[:height, :width] = small
    return image, width / declaration.width_px, height / declaration.height_px


def _tensor(image: NDArray[np.uint8], declaration: ModelDeclaration) -> NDArray[Any]:
    ordered = image[:, :, ::-1] if declaration.blue_first else image
    tensor: NDArray[Any] = ordered
    if not declaration.whole_numbers:
        mean, deviation = (np.array(one, np.float32) for one in (declaration.mean, declaration.deviation))
        tensor = ((ordered.astype(np.float32) * declaration.scale - mean) / deviation).astype(np.float32)
    if declaration.channels_first:
        tensor = tensor.transpose(2, 0, 1)
    return np.ascontiguousarray(tensor[None])


def _read(output: NDArray[Any], declaration: ModelDeclaration) -> list[tuple[str, float, float, float, float, float]]:
    """(label, score, left, top, right, bottom), 0 to 1 of the model's input. Raises `ValueError` for another shape."""
    table = output.reshape(output.shape[-2:]) if output.ndim > 2 and output.size == output.shape[-1] * output.shape[-2] else output
    if table.ndim != 2:
        raise ValueError(f"the output has the shape {output.shape}: of one picture two dimensions are expected")
    if declaration.output_format == "yolo":
        rows = table.T.astype(np.float64)
        if rows.shape[1] != 4 + len(declaration.labels):
            raise ValueError(
                f"the output has {rows.shape[1]} values a place, 4 and one for each of {len(declaration.labels)} labels are due"
            )
        kinds, scores = rows[:, 4:].argmax(axis=1), rows[:, 4:].max(axis=1, initial=0)
        centre, half = rows[:, :2], rows[:, 2:4] / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1)
    else:
        rows = table.astype(np.float64)
        if rows.shape[1] != 6:
            raise ValueError(f"the output has {rows.shape[1]} values a row: left, top, right, bottom, score, class are expected")
        boxes, scores, kinds = rows[:, :4], rows[:, 4], np.clip(np.nan_to_num(rows[:, 5], nan=-1), -1, 1e6).astype(np.int64)
    if len(rows) > _MOST_ROWS:
        raise ValueError(f"the output has {len(rows)} rows")
    if not declaration.normalised:
        boxes = boxes / np.array([declaration.width_px, declaration.height_px] * 2)
    sound = np.isfinite(boxes).all(axis=1) & (scores >= declaration.least_score) & (scores <= 1.0001)
    sound &= (kinds >= 0) & (kinds < len(declaration.labels))
    order = np.flatnonzero(sound)
    order = order[np.argsort(-scores[order], kind="stable")][: 20 * _MOST_FOUND]
    kept: list[int] = []
    for index in order:
        label = declaration.labels[kinds[index]]
        same = [other for other in kept if declaration.labels[kinds[other]] == label]
        if label and all(_overlap(boxes[index], boxes[other]) <= declaration.overlap for other in same):
            kept.append(int(index))
            if len(kept) == _MOST_FOUND:
                break
    found = []
    for one in kept:
        left, top, right, bottom = map(float, boxes[one])
        found.append((declaration.labels[kinds[one]], min(1.0, float(scores[one])), left, top, right, bottom))
    return found


def _overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Intersection over union."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = (first[2] - first[0]) * (first[3] - first[1]) + (second[2] - second[0]) * (second[3] - second[1])
    return float(width * height / (areas - width * height))


def _colour_of(image: NDArray[np.uint8], left: float, top: float, right: float, bottom: float) -> str:
    rows, columns = image.shape[:2]
    x, y = (left + right) / 2 * columns, (top + bottom) / 2 * rows
    half_x, half_y = (right - left) * columns * _MIDDLE / 2, (bottom - top) * rows * _MIDDLE / 2
    part = image[max(0, int(y - half_y)) : int(y + half_y) + 1, max(0, int(x - half_x)) : int(x + half_x) + 1]
    return dominant_colour(part)


def dominant_colour(part: NDArray[np.uint8]) -> str:
    """The name of the colour that most of an RGB picture has, "" when none prevails. At night all is grey or black."""
    pixels = part.reshape(-1, 3).astype(np.float64)
    if not len(pixels):
        return ""
    high, low = pixels.max(axis=1), pixels.min(axis=1)
    spread = high - low
    red, green, blue = pixels.T
    safe = np.where(spread == 0, 1, spread)
    hue = np.where(high == red, (green - blue) / safe % 6, np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4)) * 60
    names = np.full(len(pixels), "grey", dtype="<U8")
    coloured = (spread > 0.28 * high) & (high > 50)
    for limit, name in ((360, "red"), (330, "purple"), (255, "blue"), (175, "green"), (70, "yellow"), (45, "orange"), (18, "red")):
        names[coloured & (hue < limit)] = name
    names[coloured & (hue >= 12) & (hue < 48) & (high < 150)] = "brown"
    names[~coloured & (high < 60)] = "black"
    names[~coloured & (low > 185)] = "white"
    found, counts = np.unique(names, return_counts=True)
    best = int(counts.argmax())
    return str(found[best]) if counts[best] >= _LEAST_SHARE * len(pixels) else ""


def load(model_file: Path, sha256: str, declaration: ModelDeclaration) -> Detector:
    """Raises `ValueError` or what onnxruntime raises: the bytes that are loaded are the bytes that were checked."""
    import onnxruntime

    data = model_file.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("the model isn't the one whose SHA-256 is configured")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # memory goes back between pictures: this process waits most of the time
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()], [one.name for one in session.get_outputs()]
    if declaration.input_name not in names[0] or declaration.output_name not in names[1]:
        raise ValueError(f"the model's inputs are {names[0]} and its outputs {names[1]}: the declaration names others")
    return Detector(session, declaration)


def serve(detector: Detector, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers until the requests end."""
    while len(head := requests.read(_LENGTH.size)) == _LENGTH.size:
        (size,) = _LENGTH.unpack(head)
        if size > _LIMIT_BYTES:
            return
        picture = requests.read(size)
        try:
            status, body = 0, json.dumps(detector.look(picture)).encode()
        except (ValueError, av.error.FFmpegError) as error:
            status, body = 1, str(error).encode()
        answers.write(_ANSWER.pack(status, len(body)) + body)
        answers.flush()


def main(model_file: str, sha256: str, declaration_file: str, memory_limit_mb: str) -> int:
    """Loads, says so, serves."""
    limit = int(memory_limit_mb) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    # pictures that are watched and recorded go first
    os.nice(10)
    try:
        declaration = parse_declaration(Path(declaration_file).read_text(encoding="utf-8"))
        detector = load(Path(model_file), sha256, declaration)
        status, body = 0, b""
    except (OSError, UnusableDeclaration, ImportError) as error:
        status, body = 1, str(error).encode()
    except Exception as error:  # onnxruntime has a class for each of its failures, with no common one but this
        status, body = 1, f"the model can't be loaded: {error}".encode()
    sys.stdout.buffer.write(_ANSWER.pack(status, len(body)) + body)
    sys.stdout.buffer.flush()
    if status:
        return 1
    serve(detector, sys.stdin.buffer, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    die_with_parent()
    sys.exit(main(*sys.argv[1:5]))
