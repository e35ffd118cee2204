"""Many packets taken in one call of the C helper (`intake.c`): datagrams read together, opened, and joined to NAL units.

Everything here has a way in Python that does the same packet by packet; the helper stops before whatever isn't exactly in its place.
"""

import ctypes
import os
import socket
import struct
from typing import Final

from rtcc_video.engine.accelerator import Accelerator, HelperUnavailable
from rtcc_video.engine.paths import Address

DATAGRAMS_MOST: Final = 64
ANY_TYPE: Final = 0x80
# "$", channel and length of RTSP, and what a reading of a connection may have left over
_INTERLEAVED_BYTES_MOST: Final = 160 * 1024
_ADDRESSES_KNOWN: Final = 1024

# `struct state` of intake.c: what is expected, and what came of it
_EXPECTED: Final = struct.Struct("=Q14I")
_NAL: Final = struct.Struct("=IIII")
_LENGTHS: Final = struct.Struct("=I")
# where what stands in `struct batch`
_ADDRESS_LENGTHS_AT: Final = 4 * DATAGRAMS_MOST
_ADDRESSES_AT: Final = 8 * DATAGRAMS_MOST
_ADDRESS_BYTES: Final = 128
_STATE_AT: Final = 136 * DATAGRAMS_MOST
_NALS_AT: Final = _STATE_AT + _EXPECTED.size


class Opener:
    """What the helper opens one sender's SRTP with (AES-128-GCM)."""

    def __init__(self, intake: "Intake", session_key: bytes, session_salt: bytes) -> None:
        self._intake = intake
        self.salt = session_salt
        self.cipher = intake.library.intake_cipher(session_key)
        if not self.cipher:
            raise HelperUnavailable("OpenSSL made no cipher")

    def __del__(self) -> None:
        if self.cipher:
            self._intake.library.intake_free(self.cipher)
            self.cipher = None


class Intake:
    """The loaded helper with buffers for datagrams of at most `datagram_bytes`. Not thread safe: what a call found is good until the next.

    `expect` says what the next packet must be; one of the `take` functions takes packets for as long as each is the expected one; then
    `taken` counts them, `octets` with headers and `payload_octets` without, and `open`, `size` and `timestamp` are where the picture is.
    """

    def __init__(self, accelerator: Accelerator, datagram_bytes: int) -> None:
        # it keeps the interpreter's lock: a call takes microseconds, and to get the lock back from a busy thread takes longer
        self.library = library = ctypes.PyDLL(str(accelerator.library))
        library.intake_batch_bytes.restype = ctypes.c_size_t
        library.intake_cipher.restype = ctypes.c_void_p
        library.intake_free.argtypes = (ctypes.c_void_p,)
        if library.intake_open(str(accelerator.cipher_library).encode()) != 0:
            raise HelperUnavailable(f"{accelerator.cipher_library.name} doesn't offer OpenSSL's AES-GCM")
        self._slots = ctypes.create_string_buffer(DATAGRAMS_MOST * datagram_bytes)
        self._joined = ctypes.create_string_buffer(max(DATAGRAMS_MOST * datagram_bytes, _INTERLEAVED_BYTES_MOST))
        self._batch = ctypes.create_string_buffer(library.intake_batch_bytes())
        self._datagram_bytes = datagram_bytes
        self._slot_bytes, self._joined_bytes, self._batch_bytes = map(_bytes_of, (self._slots, self._joined, self._batch))
        self._addresses: dict[bytes, Address] = {}
        size, pointer, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_uint
        self._receive, self._plain = library.intake_receive, library.intake_plain
        self._sealed, self._interleaved = library.intake_sealed, library.intake_interleaved
        self._receive.argtypes = (pointer, ctypes.c_int)
        self._plain.argtypes = (pointer, number, number)
        self._sealed.argtypes = (pointer, number, number, pointer, ctypes.c_char_p)
        self._interleaved.argtypes = (pointer, ctypes.c_char_p, size, size, ctypes.c_uint32)
        self._interleaved.restype = size
        self._plain.restype = self._sealed.restype = None
        self._at = ctypes.addressof(self._batch)
        library.intake_prepare.argtypes = (pointer, pointer, size, pointer, size)
        slots, joined = ctypes.addressof(self._slots), ctypes.addressof(self._joined)
        library.intake_prepare(self._at, slots, datagram_bytes, joined, len(self._joined))
        self.taken = self.octets = self.payload_octets = self.size = self.timestamp = 0
        self.open = False
        self._found = (0, 0, 0)

    def receive(self, descriptor: int) -> int:
        """How many datagrams were there, without waiting. Raises `OSError`, also for an ICMP answer to what was sent before."""
        count: int = self._receive(self._at, descriptor)
        if count < 0:
            raise OSError(-count, os.strerror(-count))
        return count

    def datagram(self, which: int) -> bytes:
        """One of those that were received."""
        start = which * self._datagram_bytes
        return self._slot_bytes[start : start + _LENGTHS.unpack_from(self._batch, 4 * which)[0]].tobytes()

    def address(self, which: int) -> Address:
        """Where it came from, as `recvfrom` gives it."""
        start = _ADDRESSES_AT + _ADDRESS_BYTES * which
        raw = self._batch_bytes[start : start + _LENGTHS.unpack_from(self._batch, _ADDRESS_LENGTHS_AT + 4 * which)[0]].tobytes()
        found = self._addresses.get(raw)
        if found is None:
            if len(self._addresses) >= _ADDRESSES_KNOWN:
                self._addresses.clear()
            found = self._addresses[raw] = _read_address(raw)
        return found

    def expect(self, index: int, ssrc: int, payload_type: int, limit: int, timestamp: int | None, nal: int | None, size: int) -> None:
        """`index`: number of the next packet, with the roll-over counter above for SRTP. `timestamp`: of the picture that has begun, `size`
        its payload bytes so far, `nal` the first byte of its NAL unit that waits for more fragments."""
        begun, is_open, stamp = timestamp is not None, nal is not None, (timestamp or 0) & 0xFFFFFFFF
        _EXPECTED.pack_into(
            self._batch, _STATE_AT, index, ssrc, payload_type, limit, stamp, begun, is_open, nal or 0, size, 0, 0, 0, 0, 0, 0
        )  # fmt: skip

    def take_plain(self, first: int, count: int) -> int:
        """Takes RTP from datagram `first` of `count` on, all from one address."""
        self._plain(self._at, first, count)
        return self._look()

    def take_sealed(self, first: int, count: int, opener: Opener) -> int:
        """Takes SRTP from datagram `first` of `count` on, all from one address; each is authentic before anything is made of it."""
        self._sealed(self._at, first, count, opener.cipher, opener.salt)
        return self._look()

    def take_interleaved(self, buffer: bytes, at: int, mark: int) -> int:
        """Takes packets of an RTSP connection from `buffer[at:]`; where it stopped."""
        at = self._interleaved(self._at, buffer, len(buffer), at, mark)
        self._look()
        return at

    @property
    def full(self) -> bool:
        """Whether it stopped for want of room, and more may be taken after this."""
        return self._found[2] >= DATAGRAMS_MOST

    def nals(self) -> list[tuple[bytes, int, bool]]:
        """The NAL units that were completed: each with its time stamp, and whether it ends the picture. The first one lacks its beginning
        if one was waiting."""
        joined, unpack, batch = self._joined_bytes, _NAL.unpack_from, self._batch
        found = []
        for at in range(_NALS_AT, _NALS_AT + _NAL.size * self._found[2], _NAL.size):
            start, end, timestamp, marker = unpack(batch, at)
            found.append((joined[start:end].tobytes(), timestamp, bool(marker)))
        return found

    def rest(self) -> bytes:
        """What was taken of the NAL unit that waits for more."""
        used, start, _ = self._found
        return self._joined_bytes[start:used].tobytes()

    def _look(self) -> int:
        (
            _, _, _, _, self.timestamp, _, is_open, _, self.size, self.taken, self.octets, self.payload_octets, used, start, count,
        ) = _EXPECTED.unpack_from(self._batch, _STATE_AT)  # fmt: skip
        self.open, self._found = bool(is_open), (used, start, count)
        return self.taken


def _bytes_of(buffer: "ctypes.Array[ctypes.c_char]") -> memoryview:
    return memoryview(buffer).cast("B")


def _read_address(raw: bytes) -> Address:
    """A `sockaddr_in` or `sockaddr_in6` as Python's sockets give it; of nothing else ("" for a kernel that names none)."""
    family = struct.unpack_from("=H", raw)[0] if len(raw) >= 2 else 0
    if family == socket.AF_INET and len(raw) >= 8:
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET6 and len(raw) >= 28:
        flow, scope = int.from_bytes(raw[4:8], "big"), struct.unpack_from("=I", raw, 24)[0]
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), int.from_bytes(raw[2:4], "big"), flow, scope
    return "", 0
