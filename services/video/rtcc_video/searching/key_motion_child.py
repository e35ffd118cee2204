"""The child process that compares key pictures of each camera: what changed in a few places, however much noise lies over everything.

Standard output first answers once that it is ready. Standard input: camera (8 bytes, big-endian), 1 when nothing before counts any more
(1 byte), length (4), Annex B picture. Standard output: status (1: 0 is a value of the picture before this one, 1 is that none can be told
yet, 2 that the picture can't be decoded), length (4), the value (8, a double).
"""

import math
import os
import struct
import sys
from collections import OrderedDict
from typing import BinaryIO, Final

import av
import numpy as np
from numpy.typing import NDArray

from rtcc_video.snapshot_child import die_with_parent

_REQUEST = struct.Struct("!QBI")
_ANSWER = struct.Struct("!BI")
_VALUE = struct.Struct("!d")
_LIMIT_BYTES: Final = 16_000_000
_LARGEST_SIDE_PX: Final = 8192
_MOST_CAMERAS: Final = 1000
_BLOCK_PX: Final = 16
# what moves covers a few blocks
_PLACES: Final = 6
_FLOOR: Final = 0.2

type Blocks = NDArray[np.float32]


class KeyPictures:
    """Of one camera: pictures in, values of the picture before out. A value is the logarithm of grey levels."""

    def __init__(self) -> None:
        self._before: list[Blocks] = []

    def take(self, blocks: Blocks) -> float | None:
        """How much the picture before differs from both its neighbours in the places where it differs most; None while one is missing."""
        if self._before and self._before[-1].shape != blocks.shape:
            self._before.clear()
        self._before = [*self._before[-2:], blocks]
        if len(self._before) < 3:
            return None
        first, middle, last = self._before
        # who is in the middle picture alone differs from both; light that changes everywhere is taken out
        apart = np.minimum(_apart(middle, first), _apart(middle, last)).ravel()
        count = min(_PLACES, apart.size)
        return math.log(float(np.partition(apart, -count)[-count:].mean()) + _FLOOR)


def _apart(one: Blocks, other: Blocks) -> Blocks:
    difference = one - other
    found: Blocks = np.abs(difference - np.median(difference))
    return found


def blocks_of(picture: bytes) -> Blocks:
    """Mean brightness of each block of 16 x 16. Raises `ValueError` or what libav raises."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    # edges between blocks don't matter for their means
    decoder.options = {"skip_loop_filter": "all"}
    frames = decoder.decode(av.Packet(picture)) + decoder.decode(None)
    if not frames or not isinstance(frames[0], av.VideoFrame):
        raise ValueError("the key picture holds nothing that can be shown")
    frame = frames[0]
    if max(frame.width, frame.height) > _LARGEST_SIDE_PX or frame.width < _BLOCK_PX or frame.height < _BLOCK_PX:
        raise ValueError(f"the picture has {frame.width} x {frame.height}")
    if not frame.format.name.startswith("yuv"):
        raise ValueError(f"the picture is {frame.format.name}")
    plane = frame.planes[0]
    luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    rows, columns = frame.height // _BLOCK_PX, frame.width // _BLOCK_PX
    cut = luma[: rows * _BLOCK_PX, : columns * _BLOCK_PX].reshape(rows, _BLOCK_PX, columns, _BLOCK_PX)
    found: Blocks = cut.mean(axis=(1, 3), dtype=np.float32)
    return found


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers until the requests end."""
    cameras: OrderedDict[int, KeyPictures] = OrderedDict()
    while len(head := requests.read(_REQUEST.size)) == _REQUEST.size:
        camera, anew, size = _REQUEST.unpack(head)
        if size > _LIMIT_BYTES:
            return
        picture = requests.read(size)
        if anew or camera not in cameras:
            cameras[camera] = KeyPictures()
            if len(cameras) > _MOST_CAMERAS:
                cameras.popitem(last=False)
        cameras.move_to_end(camera)
        try:
            value = cameras[camera].take(blocks_of(picture))
            status, body = (1, b"") if value is None else (0, _VALUE.pack(value))
        except (ValueError, av.error.FFmpegError):
            status, body = 2, b""
        answers.write(_ANSWER.pack(status, len(body)) + body)
        answers.flush()


if __name__ == "__main__":
    die_with_parent()
    # pictures that are watched and recorded go first
    os.nice(10)
    sys.stdout.buffer.write(_ANSWER.pack(0, 0))
    sys.stdout.buffer.flush()
    serve(sys.stdin.buffer, sys.stdout.buffer)
