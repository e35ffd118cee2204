"""The child process that decodes key pictures: camera bytes reach a decoder only here, away from the relay.

Standard input: length (4 bytes, big-endian), wanted width (2), then the Annex B picture. Standard output: status (1: 0 is JPEG,
1 is a message), length (4), body. It ends with its standard input.
"""

import ctypes
import io
import signal
import struct
import sys
from typing import BinaryIO

import av

_REQUEST = struct.Struct("!IH")
_ANSWER = struct.Struct("!BI")
_LIMIT_BYTES = 16_000_000
_PDEATHSIG = 1


def decode_to_jpeg(picture: bytes, width_px: int) -> bytes:
    """The first picture of an Annex B byte stream as JPEG, at most `width_px` wide. Raises `ValueError`."""
    decoder = av.CodecContext.create("h264", "r")
    frames = decoder.decode(av.Packet(picture)) + decoder.decode(None)
    if not frames:
        raise ValueError("the key picture holds nothing that can be shown")
    frame = frames[0]
    if not isinstance(frame, av.VideoFrame):
        raise ValueError("the decoder gave no picture")
    width = min(width_px, frame.width) & ~1
    height = max(2, round(frame.height * width / frame.width) & ~1)
    encoder = av.CodecContext.create("mjpeg", "w")
    if not isinstance(encoder, av.VideoCodecContext):
        raise ValueError("no JPEG encoder")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = encoder.framerate = 1
    encoder.options = {"qmin": "3", "qmax": "6"}
    small = frame.reformat(width, height, format="yuvj420p")
    small.pts = 0
    buffer = io.BytesIO()
    for packet in (*encoder.encode(small), *encoder.encode(None)):
        buffer.write(bytes(packet))
    return buffer.getvalue()


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers until the requests end."""
    while len(head := requests.read(_REQUEST.size)) == _REQUEST.size:
        size, width_px = _REQUEST.unpack(head)
        if size > _LIMIT_BYTES:
            return
        picture = requests.read(size)
        try:
            status, body = 0, decode_to_jpeg(picture, width_px)
        except (ValueError, av.error.FFmpegError) as error:
            status, body = 1, str(error).encode()
        answers.write(_ANSWER.pack(status, len(body)) + body)
        answers.flush()


def die_with_parent() -> None:
    """Asks the kernel to end this process with its parent, even amid a picture that never gets decoded (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent()
    serve(sys.stdin.buffer, sys.stdout.buffer)
