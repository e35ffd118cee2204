"""Small H.264 clips, encoded on the spot: a moving pattern that a decoder can be checked against."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_clip(
    path: Path,
    frames: int = 60,
    fps: int = 30,
    gop: int = 30,
    size: tuple[int, int] = (320, 240),
    b_frames: int = 0,
    bit_rate: int = 400_000,
    profile: str = "baseline",
) -> Path:
    """Encodes a clip with libx264; `b_frames` above 0 needs a profile other than baseline."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", bit_rate
        stream.time_base = Fraction(1, fps)
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.gop_size = gop
        stream.codec_context.options = {"profile": profile, "preset": "veryfast", "sc_threshold": "0", "keyint_min": str(gop)}
        if not b_frames:
            stream.codec_context.options |= {"tune": "zerolatency"}
        ramp = np.add.outer(np.arange(height), np.arange(width))
        noise = np.random.default_rng(7).integers(0, 40, (height, width))
        for index in range(frames):
            red = (ramp + index * 4) % 256
            picture = np.stack([red, np.full_like(red, index * 255 // frames), noise + (index * 13) % 200], axis=2).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path
