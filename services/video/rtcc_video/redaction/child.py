"""Another process that decodes a clip, hides what a redaction says, and codes it anew.

It reads one line of JSON from standard input: `inputs` (files of fragmented MP4 whose times are Unix times), `output` (a file to write),
`starts_us` and `ends_us` (pictures outside are left out), `redaction`. It writes lines of JSON to standard output: `{"done": part}` now and
then, at the end `{"pictures": n, "encoder": name, "width_px": w, "height_px": h}` or `{"failed": reason}`. It ends with its standard input.
"""

import contextlib
import json
import os
import resource
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from rtcc_video.redaction.domain import redaction_from
from rtcc_video.redaction.obscuring import redact
from rtcc_video.snapshot_child import die_with_parent

_CLOCK: Final = Fraction(1, 90_000)
_MEMORY_LIMIT_BYTES: Final = 2 << 30
_FILE_LIMIT_BYTES: Final = 2 << 30
_LARGEST_PX: Final = 4096 * 2304
# the first that the libav at hand has; a copy for people's eyes
_ENCODERS: Final = {
    "libx264": {"preset": "veryfast", "crf": "20", "profile": "high"},
    "libopenh264": {"profile": "high", "rc_mode": "bitrate"},
}
_OTHER_BITS_PER_PIXEL: Final = 3
_TELL_EVERY_PICTURES: Final = 25


class _Unusable(Exception):
    """The clip can't be redacted; the message says why."""


def main() -> None:
    """See the module."""
    die_with_parent()
    request = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT_BYTES, _MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_LIMIT_BYTES, _FILE_LIMIT_BYTES))
    os.nice(10)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _tell(_make(request))
    except _Unusable as error:
        _tell({"failed": str(error)})
    except (av.error.FFmpegError, OSError, MemoryError) as error:
        _tell({"failed": f"the clip can't be read or written: {getattr(error, 'strerror', '') or type(error).__name__}"})
    # not by the interpreter's own end, which would wait for the thread that waits for the parent
    os._exit(0)


def _end_with_parent() -> None:
    with contextlib.suppress(OSError):
        sys.stdin.buffer.read()
    os._exit(0)


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


def _make(request: dict[str, Any]) -> dict[str, Any]:
    redaction, starts_us, ends_us = redaction_from(request["redaction"]), request["starts_us"], request["ends_us"]
    name = next((name for name in _ENCODERS if name in av.codecs_available), None)
    if name is None:
        raise _Unusable("the libav of this installation has no H.264 encoder")
    pictures, size, first_us = 0, (0, 0), 0
    with av.open(request["output"], "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: VideoStream | None = None
        for frame, at_us in _pictures(request["inputs"], starts_us, ends_us):
            width, height = frame.width & ~1, frame.height & ~1
            if stream is None:
                size, first_us, stream = (width, height), at_us, _stream(container, name, width, height)
            plain = frame.reformat(*size, format="yuv420p").to_ndarray().astype(np.uint8, copy=False)
            redact(plain, *size, redaction, at_us)
            # a new frame: nothing that stood beside the picture in the old one comes along
            hidden = av.VideoFrame.from_ndarray(plain, format="yuv420p")
            hidden.pts, hidden.time_base = round((at_us - first_us) * 9 / 100), _CLOCK
            container.mux(stream.encode(hidden))
            pictures += 1
            if pictures % _TELL_EVERY_PICTURES == 0:
                _tell({"done": min(1.0, max(0.0, (at_us - starts_us) / max(1, ends_us - starts_us)))})
        if stream is None:
            raise _Unusable("no picture of it lies between the marks")
        container.mux(stream.encode(None))
    return {"pictures": pictures, "encoder": name, "width_px": size[0], "height_px": size[1], "first_us": first_us}


def _pictures(inputs: list[str], starts_us: int, ends_us: int) -> Iterator[tuple[av.VideoFrame, int]]:
    last_us = -1
    for path in inputs:
        with av.open(path) as container:
            for frame in container.decode(container.streams.video[0]):
                if frame.width * frame.height > _LARGEST_PX:
                    raise _Unusable("its pictures are larger than 4096 x 2304")
                at_us = round(float(Fraction(frame.pts or 0) * (frame.time_base or _CLOCK) * 1_000_000))
                # where the server's clock stepped back, times begin anew: the later picture of a moment is left out
                if starts_us <= at_us <= ends_us and at_us > last_us:
                    last_us = at_us
                    yield frame, at_us


def _stream(container: OutputContainer, name: str, width: int, height: int) -> VideoStream:
    stream = container.add_stream(name, rate=30)
    if not isinstance(stream, VideoStream):
        raise _Unusable("the H.264 encoder of this installation's libav is none for video")
    stream.width, stream.height, stream.pix_fmt, stream.time_base = width, height, "yuv420p", _CLOCK
    stream.codec_context.time_base = _CLOCK
    stream.codec_context.thread_count = 1
    if name != "libx264":
        stream.bit_rate = width * height * _OTHER_BITS_PER_PIXEL
    stream.codec_context.options = _ENCODERS[name]
    return stream


if __name__ == "__main__":
    main()
