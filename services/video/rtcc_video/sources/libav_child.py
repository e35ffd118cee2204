"""Another process that opens a stream with libav, and turns it into H.264 without B-frames where it isn't that already.

It reads one line of JSON from standard input (url, options, transcode, kbps, height_px, sound) and writes the messages of `libav_messages`
to standard output. It ends with its standard input. What strangers send is decoded here and nowhere else: a crash costs one camera some
seconds, and nothing of ours is in this process's memory.
"""

import contextlib
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from rtcc_video.snapshot_child import die_with_parent
from rtcc_video.sources.libav_messages import HEAD, KIND_DATA, KIND_FAILED, KIND_INFO, KIND_UNIT, KIND_USAGE, UNIT_HEAD, USAGE, WANTED
from rtcc_video.sources.libav_sound import StreamSound

CLOCK: Final = Fraction(1, 90_000)
_READ_AHEAD_S: Final = 1.0
_LONGEST_WAIT_S: Final = 10.0
_LONGEST_STEP_TICKS: Final = 90_000
_MEMORY_LIMIT_BYTES: Final = 2 << 30
_USAGE_EVERY_S: Final = 1.0
_KEY_EVERY_S: Final = 2
# packets of data streams: a drone tells itself up to 30 times a second, in some hundred bytes
_METADATA_PER_S: Final = 40
_METADATA_BYTES_MOST: Final = 32_768
# the first that the libav at hand has; no B-frames, no picture held back
_ENCODERS: Final = {
    "libopenh264": {"profile": "constrained_baseline", "rc_mode": "bitrate", "allow_skip_frames": "1"},
    "libx264": {"profile": "baseline", "preset": "superfast", "tune": "zerolatency"},
}
_LONGEST_REASON: Final = 300


class _Unusable(Exception):
    """The stream can't be used; the message says why, without its address."""


def main() -> None:
    """See the module."""
    die_with_parent()
    request = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT_BYTES, _MEMORY_LIMIT_BYTES))
    os.nice(5)
    wanted = threading.Event()
    threading.Thread(target=_follow_parent, args=(wanted,), daemon=True).start()
    try:
        # a file goes round and round, as a clip of our own folder does; a live stream that ended is opened anew by the parent
        output = _Output(wanted)
        while _play(request, output):
            output.begin_anew()
    except _Unusable as error:
        _write(KIND_FAILED, json.dumps({"reason": str(error), "lasting": True}).encode())
    except (av.error.FFmpegError, OSError) as error:
        reason = f"The stream can't be opened or broke: {(getattr(error, 'strerror', '') or type(error).__name__)[:_LONGEST_REASON]}."
        _write(KIND_FAILED, json.dumps({"reason": reason, "lasting": False}).encode())
    except BrokenPipeError:
        pass
    # not by the interpreter's own end, which would wait for the thread that waits for the parent
    os._exit(0)


def _follow_parent(wanted: threading.Event) -> None:
    """Whether somebody hears the sound; and whatever libav waits for: when the parent goes, so do we."""
    with contextlib.suppress(OSError):
        while said := sys.stdin.buffer.read(1):
            (wanted.set if said == WANTED else wanted.clear)()
    os._exit(0)


def _write(kind: int, body: bytes) -> None:
    sys.stdout.buffer.write(HEAD.pack(kind, len(body)) + body)
    sys.stdout.buffer.flush()


def _play(request: dict[str, Any], output: "_Output") -> bool:
    """Plays until the end; whether it was a file, which may begin anew."""
    with av.open(request["url"], options=request["options"], timeout=(10.0, 10.0)) as container:
        if not container.streams.video:
            raise _Unusable("The stream has no video.")
        video = container.streams.video[0]
        name = video.codec_context.name
        transcode = bool(request["transcode"]) or name != "h264"
        sound = output.find_sound(container) if request["sound"] else None
        heard = sound.stream.codec_context.name if sound is not None else ""
        _write(KIND_INFO, json.dumps({"codec": name, "transcoded": transcode, "sound": heard}).encode())
        beside = _Beside(container, sound, output)
        units = _transcoded(container, video, beside, request) if transcode else _forwarded(container, video, beside)
        for timestamp, annex_b in units:
            output.write(timestamp, annex_b)
        return bool(container.duration)


def _forwarded(container: InputContainer, video: VideoStream, beside: "_Beside") -> Iterator[tuple[int, bytes]]:
    """Packets as they come, as Annex B."""
    to_annex_b = BitStreamFilterContext("h264_mp4toannexb", video)
    for packet in container.demux([video, *beside.streams]):
        if packet.size == 0:
            continue
        if packet.stream is not video:
            beside.take(packet)
            continue
        at = packet.pts if packet.pts is not None else packet.dts
        # read before the filter takes the packet over and empties it
        timestamp = round((at or 0) * (packet.time_base or CLOCK) / CLOCK)
        parts = [bytes(part) for part in to_annex_b.filter(packet)]
        if parts:
            yield timestamp, b"".join(parts)


def _transcoded(container: InputContainer, video: VideoStream, beside: "_Beside", request: dict[str, Any]) -> Iterator[tuple[int, bytes]]:
    """Decoded and encoded anew, never larger than asked for, a key picture each two seconds."""
    video.thread_type = "SLICE"
    encoder: VideoCodecContext | None = None
    for packet in container.demux([video, *beside.streams]):
        if packet.stream is not video:
            beside.take(packet)
            continue
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            # damaged: the decoder goes on with the next key picture
            continue
        for frame in frames:
            if not isinstance(frame, av.VideoFrame):
                continue
            if encoder is None or (encoder.width, encoder.height) != _size(frame, request["height_px"]):
                encoder = _encoder(frame, video, request)
            at = frame.pts if frame.pts is not None else frame.dts
            timestamp = round((at or 0) * (frame.time_base or CLOCK) / CLOCK)
            plain = frame.reformat(width=encoder.width, height=encoder.height, format="yuv420p")
            plain.pts, plain.time_base = timestamp, CLOCK
            for coded in encoder.encode(plain):
                yield timestamp, bytes(coded)


def _size(frame: Any, height_limit_px: int) -> tuple[int, int]:
    height = min(frame.height, height_limit_px)
    return round(frame.width * height / frame.height) & ~1, height & ~1


def _encoder(frame: Any, video: VideoStream, request: dict[str, Any]) -> VideoCodecContext:
    name = next((name for name in _ENCODERS if name in av.codecs_available), None)
    if name is None:
        raise _Unusable("The libav of this installation has no H.264 encoder, so this stream can't be converted.")
    rate = video.average_rate or video.guessed_rate or Fraction(25)
    encoder = av.CodecContext.create(name, "w")
    if not isinstance(encoder, VideoCodecContext):
        raise _Unusable("The H.264 encoder of this installation's libav is none for video.")
    encoder.width, encoder.height = _size(frame, request["height_px"])
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = CLOCK
    frames_per_s = min(Fraction(rate.numerator, rate.denominator), Fraction(60))
    encoder.framerate = frames_per_s
    encoder.bit_rate = int(request["kbps"]) * 1000
    encoder.gop_size = max(1, round(frames_per_s * _KEY_EVERY_S))
    encoder.max_b_frames = 0
    encoder.thread_count = 1
    encoder.options = _ENCODERS[name]
    return encoder


class _Output:
    """Pictures with time stamps that rise through every turn of a file, at the pace of life, and what they cost."""

    def __init__(self, wanted: threading.Event) -> None:
        self._usage, self._pace = _Usage(), _Pace()
        self._wanted = wanted
        self._sound: StreamSound | None = None
        self.offset = 0
        self._last = 0
        self._step = 0

    def write(self, timestamp: int, annex_b: bytes) -> None:
        timestamp += self.offset
        if timestamp > self._last:
            self._step = timestamp - self._last
        self._last = timestamp
        self._pace.wait(timestamp)
        _write(KIND_UNIT, UNIT_HEAD.pack(timestamp) + annex_b)
        if self._usage.tell() and self._sound is not None:
            self._sound.tell()

    def find_sound(self, container: InputContainer) -> StreamSound | None:
        """The container's first stream of sound that can be read."""
        # libav has no decoder for some, and then no context
        stream = next((stream for stream in container.streams.audio if stream.codec_context is not None), None)
        self._sound = StreamSound(stream, self._wanted, _write) if stream is not None else None
        return self._sound

    def begin_anew(self) -> None:
        """The file is at its end: its first picture follows the last one."""
        self.offset = self._last + min(self._step, _LONGEST_STEP_TICKS)


class _Beside:
    """What a container holds beside the pictures: metadata, and sound if that was asked for."""

    def __init__(self, container: InputContainer, sound: StreamSound | None, output: _Output) -> None:
        self._sound = sound
        self._output = output
        self._metadata = _Metadata()
        self.streams: list[Any] = [stream for stream in container.streams if stream.type == "data"]
        if sound is not None:
            self.streams.append(sound.stream)

    def take(self, packet: Any) -> None:
        """One packet."""
        if self._sound is None or packet.stream is not self._sound.stream:
            self._metadata.pass_on(packet)
        else:
            self._sound.take(packet, self._output.offset)


class _Metadata:
    """Passes on what stands beside the pictures, never more than anybody needs of it."""

    def __init__(self) -> None:
        self._left = float(_METADATA_PER_S)
        self._counted_s = time.monotonic()

    def pass_on(self, packet: Any) -> None:
        now_s = time.monotonic()
        self._left = min(_METADATA_PER_S, self._left + (now_s - self._counted_s) * _METADATA_PER_S)
        self._counted_s = now_s
        if 0 < packet.size <= _METADATA_BYTES_MOST and self._left >= 1:
            self._left -= 1
            _write(KIND_DATA, bytes(packet))


class _Pace:
    """Lets files through at the speed of life, a second ahead; live streams are never ahead."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._first = 0

    def wait(self, timestamp: int) -> None:
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s, self._first = now_s, timestamp
        ahead_s = (timestamp - self._first) * float(CLOCK) - (now_s - self._began_s) - _READ_AHEAD_S
        if ahead_s > _LONGEST_WAIT_S or ahead_s < -_LONGEST_WAIT_S:
            # another clock, or a stream that stood still: from here on anew
            self._began_s, self._first = now_s, timestamp
        elif ahead_s > 0:
            time.sleep(ahead_s)


class _Usage:
    """Tells about once a second how much processor time this process has used."""

    def __init__(self) -> None:
        self._told_s = time.monotonic()

    def tell(self) -> bool:
        """Whether it did."""
        now_s = time.monotonic()
        if now_s - self._told_s < _USAGE_EVERY_S:
            return False
        self._told_s = now_s
        used = resource.getrusage(resource.RUSAGE_SELF)
        _write(KIND_USAGE, USAGE.pack(used.ru_utime + used.ru_stime))
        return True


if __name__ == "__main__":
    main()
