"""The optional C helper (`fanout.c`, `intake.c`): compiled at first use where a compiler is, loaded without one where it was built before.

`python -m rtcc_video.engine.accelerator` builds it beside this module, for images that run without a compiler. Without the helper
everything works the same and costs about twice.
"""

import contextlib
import ctypes
import hashlib
import importlib.util
import logging
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rtcc_video.engine.frames import Frame
from rtcc_video.engine.packetizer import PAYLOAD_LIMIT_BYTES, RUN_LIMIT_PACKETS, runs
from rtcc_video.engine.rtp import build_rtp_header

_log = logging.getLogger(__name__)

_SOURCES: Final = (Path(__file__).with_name("fanout.c"), Path(__file__).with_name("intake.c"))
_COMPILERS: Final = ("cc", "gcc", "clang")
_COMPILE_LIMIT_S: Final = 30
_FLAGS: Final = ("-O2", "-shared", "-fPIC", "-std=gnu11")
_ADDRESS_BYTES: Final = 128
_FRAGMENTED_BYTES_MOST: Final = 256 * 1024
_FRAGMENTS_MOST: Final = 256

# number of runs, payloads, lengths, runs
type _Fragmented = tuple[int, ctypes.Array[ctypes.c_char], ctypes.Array[ctypes.c_uint32], ctypes.Array[ctypes.c_uint32]]


class HelperUnavailable(Exception):
    """The helper can't be used on this machine; the message says why."""


class NativeViewer(ctypes.Structure):
    """`struct viewer` of fanout.c."""

    _fields_ = (
        ("cipher", ctypes.c_void_p),
        ("salt", ctypes.c_uint8 * 12),
        ("address_bytes", ctypes.c_uint32),
        ("address", ctypes.c_uint8 * _ADDRESS_BYTES),
        ("dropped", ctypes.c_int32),
    )


class Accelerator:
    """The loaded helper. One per process; not thread safe, for it works in one scratch buffer."""

    def __init__(self, library: Path, cipher_library: Path) -> None:
        try:
            self._library = ctypes.CDLL(str(library))
        except OSError as error:
            raise HelperUnavailable(f"the helper can't be loaded: {error}") from error
        self._library.fanout_cipher.restype = ctypes.c_void_p
        self._library.fanout_free.argtypes = (ctypes.c_void_p,)
        for name in ("fanout_batch_bytes", "fanout_viewer_bytes"):
            getattr(self._library, name).restype = ctypes.c_size_t
        if self._library.fanout_viewer_bytes() != ctypes.sizeof(NativeViewer):
            raise HelperUnavailable("the helper was built for another layout")
        if self._library.fanout_open(str(cipher_library).encode()) != 0:
            raise HelperUnavailable(f"{cipher_library.name} doesn't offer OpenSSL's AES-GCM")
        # for what else is in it
        self.library, self.cipher_library = library, cipher_library
        self._send = self._library.fanout_send
        self._fragment = self._library.fanout_fragment
        # of the frame that is on its way
        self._payloads = ctypes.create_string_buffer(_FRAGMENTED_BYTES_MOST + 2 * _FRAGMENTS_MOST)
        self._lengths = (ctypes.c_uint32 * _FRAGMENTS_MOST)()
        self._runs = (ctypes.c_uint32 * (2 * _FRAGMENTS_MOST))()
        self._batch = ctypes.create_string_buffer(self._library.fanout_batch_bytes())

    def viewer(self, key: bytes, salt: bytes, address: bytes) -> NativeViewer:
        """A viewer's session key, salt and destination (a `sockaddr`); to be given back by `release`."""
        cipher = self._library.fanout_cipher(key)
        if not cipher:
            raise HelperUnavailable("OpenSSL made no cipher")
        made = NativeViewer(cipher=cipher, address_bytes=len(address))
        made.salt[:] = salt
        made.address[: len(address)] = address
        return made

    def release(self, viewer: NativeViewer) -> None:
        """Frees the viewer's cipher."""
        self._library.fanout_free(viewer.cipher)
        viewer.cipher = None

    def fragment(self, frame: Frame) -> _Fragmented | None:
        """The packets of a frame that is one slice, good until the next call; None for any other."""
        nal = frame.lone_nal
        if nal is None or len(nal) > _FRAGMENTED_BYTES_MOST or frame.count > _FRAGMENTS_MOST:
            return None
        count: int = self._fragment(
            nal,
            ctypes.c_size_t(len(nal)),
            ctypes.c_size_t(PAYLOAD_LIMIT_BYTES),
            RUN_LIMIT_PACKETS,
            self._payloads,
            self._lengths,
            self._runs,
        )
        return count, self._payloads, self._lengths, self._runs

    def send(
        self, fd: int, viewers: "ctypes.Array[ctypes._Pointer[NativeViewer]]", frame: "NativeFrame", offload: bool
    ) -> tuple[int, bool]:
        """Sends a picture to all viewers; how many packets were dropped, and whether segmentation is still taken."""
        flag = ctypes.c_int(1 if offload else 0)
        dropped: int = self._send(
            fd, viewers, len(viewers), frame.header, frame.payloads, frame.runs, frame.run_count, frame.lengths,
            ctypes.c_uint32(frame.ssrc), ctypes.c_uint64(frame.first_index), ctypes.byref(flag), self._batch,
        )  # fmt: skip
        return dropped, bool(flag.value)


class NativeFrame:
    """A frame as `fanout_send` reads it, for one payload type and roll-over base. To be sent before the next is made."""

    __slots__ = ("first_index", "header", "lengths", "payloads", "run_count", "runs", "ssrc")

    def __init__(self, frame: Frame, payload_type: int, roll_over_base: int, accelerator: Accelerator) -> None:
        # of the first packet: the helper counts on from there, and sets the marker on the last
        self.header = build_rtp_header(payload_type, False, frame.first_index, frame.timestamp, frame.ssrc)
        self.ssrc = frame.ssrc
        self.first_index = frame.first_index - (roll_over_base << 16)
        self.payloads: bytes | ctypes.Array[ctypes.c_char]
        self.lengths: bytes | ctypes.Array[ctypes.c_uint32]
        self.runs: bytes | ctypes.Array[ctypes.c_uint32]
        fragmented = accelerator.fragment(frame)
        if fragmented is not None:
            self.run_count, self.payloads, self.lengths, self.runs = fragmented
            return
        payloads = frame.payloads
        bounds = runs(payloads)
        self.payloads = b"".join(payloads)
        self.runs = struct.pack(f"={2 * len(bounds)}I", *(number for start, stop, size in bounds for number in (stop - start, size)))
        self.run_count = len(bounds)
        self.lengths = struct.pack(f"={frame.count}I", *map(len, payloads))


def socket_address(family: int, address: Sequence[str | int]) -> bytes:
    """`address`, as Python's sockets give it, as the kernel's `sockaddr_in` or `sockaddr_in6`."""
    host, port = str(address[0]), int(address[1])
    head = struct.pack("=H", family) + struct.pack("!H", port)
    if family == socket.AF_INET:
        return head + socket.inet_aton(host) + bytes(8)
    flow, scope = (int(address[2]), int(address[3])) if len(address) == 4 else (0, 0)
    return head + struct.pack("!I", flow) + socket.inet_pton(socket.AF_INET6, host.partition("%")[0]) + struct.pack("=I", scope)


def load(folder: Path | None = None) -> Accelerator:
    """The helper, built first if need be, in `folder` (default: the user's cache). Raises `HelperUnavailable`."""
    if sys.platform != "linux":
        raise HelperUnavailable("it sends in ways that only Linux knows")
    beside = _SOURCES[0].with_name(_file_name())
    return Accelerator(beside if beside.is_file() else _build_once(folder or _cache_folder()), _cipher_library())


def build(target: Path) -> None:
    """Compiles the helper to `target`, all or nothing. Raises `HelperUnavailable`."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise HelperUnavailable("there is no C compiler")
    handle, scratch = tempfile.mkstemp(dir=target.parent, suffix=".so")
    os.close(handle)
    try:
        command = [compiler, *_FLAGS, "-o", scratch, *map(str, _SOURCES), "-ldl"]
        subprocess.run(command, check=True, capture_output=True, timeout=_COMPILE_LIMIT_S)
        os.chmod(scratch, 0o755)
        os.replace(scratch, target)
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or b""
        raise HelperUnavailable(f"{compiler} failed: {output.decode(errors='replace')[:400] or error}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch)


def _build_once(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = folder.stat()
    except OSError as error:
        raise HelperUnavailable(f"there is no folder for it: {error}") from error
    # Whoever may write there decides what this process runs.
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise HelperUnavailable(f"{folder} belongs to somebody else or others may write to it")
    target = folder / _file_name()
    if not target.is_file():
        build(target)
    return target


def _cache_folder() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(named) if named else Path.home() / ".cache") / "openrtcc"
    except RuntimeError as error:
        # A container's nobody has no home.
        raise HelperUnavailable("this process's user has no home folder") from error


def _file_name() -> str:
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES)).hexdigest()
    return f"fanout-{platform.machine()}-{digest[:16]}.so"


def _cipher_library() -> Path:
    """pylibsrtp's own module: it holds a whole OpenSSL, and this process has it loaded."""
    spec = importlib.util.find_spec("pylibsrtp._binding")
    if spec is None or spec.origin is None:
        raise HelperUnavailable("pylibsrtp's module isn't where it should be")
    return Path(spec.origin)


if __name__ == "__main__":
    build(_SOURCES[0].with_name(_file_name()))
