"""SRTP and SRTCP for one viewer (RFC 3711, RFC 7714).

The hot path, AES-128-GCM of RTP, is done here in one call a packet with the header and payload that all viewers share. AES-CM
and everything RTCP, which is rare, go through libsrtp.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pylibsrtp import Error as LibsrtpError
from pylibsrtp import Policy, Session

from rtcc_video.engine.frames import Run, ones

_LABEL_CIPHER: Final = 0
_LABEL_SALT: Final = 2


class SrtpFailed(Exception):
    """A packet that couldn't be protected, or that didn't authenticate: drop it."""


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """A DTLS-SRTP protection profile: its name for OpenSSL, number for libsrtp, and key and salt lengths in bytes."""

    name: bytes
    libsrtp_profile: int
    key_bytes: int
    salt_bytes: int

    @property
    def exported_bytes(self) -> int:
        """How much keying material DTLS must export (RFC 5764, 4.2)."""
        return 2 * (self.key_bytes + self.salt_bytes)


AEAD_AES_128_GCM: Final = SrtpProfile(b"SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12)
AES128_CM_SHA1_80: Final = SrtpProfile(b"SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14)
# In order of preference: GCM costs less than half.
PROFILES: Final = (AEAD_AES_128_GCM, AES128_CM_SHA1_80)


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master keys and salts of both directions as exported from DTLS; `local` is what this side sends with."""

    profile: SrtpProfile
    local_key: bytes
    local_salt: bytes
    remote_key: bytes
    remote_salt: bytes


def split_keying_material(profile: SrtpProfile, material: bytes, is_server: bool) -> SrtpKeys:
    """Cuts exported material into client key, server key, client salt, server salt (RFC 5764, 4.2)."""
    key, salt = profile.key_bytes, profile.salt_bytes
    client = (material[:key], material[2 * key : 2 * key + salt])
    server = (material[key : 2 * key], material[2 * key + salt : 2 * (key + salt)])
    local, remote = (server, client) if is_server else (client, server)
    return SrtpKeys(profile, local[0], local[1], remote[0], remote[1])


def derive_session_key(master_key: bytes, master_salt: bytes, label: int, length: int) -> bytes:
    """The AES-CM key derivation of RFC 3711, 4.3.3, with rate 0; a 96 bit GCM salt counts as padded (RFC 7714, 11)."""
    start = (int.from_bytes(master_salt.ljust(14, b"\x00"), "big") ^ (label << 48)) << 16
    stream = Cipher(algorithms.AES(master_key), modes.CTR(start.to_bytes(16, "big"))).encryptor()
    return stream.update(bytes(length))


class RtpProtector(Protocol):
    """Protects packets of the shared stream for one viewer.

    The same packet number must always come with the same header and payload: GCM loses its authentication key otherwise.
    """

    def protect(self, run: Run, roll_over_base: int) -> list[bytes]:
        """Buffers whose concatenation is the packets in order, equally many for each packet.

        `roll_over_base` is what the stream's roll-over counter was when the viewer's was zero. Raises `SrtpFailed`.
        """
        ...

    def seal(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes:
        """One packet of another stream beside it; `index` is its extended number, which for this viewer began below 2^16 and is used once.

        Raises `SrtpFailed`.
        """
        ...

    @property
    def overhead_bytes(self) -> int:
        """Header and tag: what a packet has beyond its payload."""
        ...


class GcmProtector:
    """AES-128-GCM (RFC 7714): the nonce is the session salt exclusive-or SSRC, roll-over counter and sequence number."""

    overhead_bytes = 12 + 16

    def __init__(self, master_key: bytes, master_salt: bytes) -> None:
        self.session_key = derive_session_key(master_key, master_salt, _LABEL_CIPHER, 16)
        self.session_salt = derive_session_key(master_key, master_salt, _LABEL_SALT, 12)
        cipher = AESGCM(self.session_key)
        self.encrypt, self.encrypt_into = cipher.encrypt, cipher.encrypt_into
        self._salt = int.from_bytes(self.session_salt, "big")
        self._salts: dict[int, int] = {}

    def salts(self, count: int) -> int:
        """The session salt `count` times side by side."""
        found = self._salts.get(count)
        if found is None:
            found = self._salts[count] = self._salt * ones(count)
        return found

    def protect(self, run: Run, roll_over_base: int) -> list[bytes]:
        """See `RtpProtector.protect`: each packet is its header as given and its sealed payload. The list is the run's own."""
        nonces = split_nonces(self.salts(run.count) ^ run.numbers(roll_over_base), run.count)
        run.buffers[1::2] = map(self.encrypt, nonces, run.payloads, run.headers)
        return run.buffers

    def seal(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes:
        """See `RtpProtector.seal`."""
        nonce = (self._salt ^ (ssrc << 48 | index)).to_bytes(12, "big")
        return header + self.encrypt(nonce, payload, header)


def split_nonces(side_by_side: int, count: int) -> tuple[bytes, ...]:
    """The nonces of `count` packets from one number: a third of the cost of making them one by one."""
    return nonce_splitter(count)(side_by_side.to_bytes(12 * count, "big"))


@cache
def nonce_splitter(count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Cuts `12 * count` bytes into nonces."""
    return struct.Struct("12s" * count).unpack


class LibsrtpProtector:
    """AES-CM with HMAC-SHA1 through libsrtp, which keeps the roll-over counter itself."""

    overhead_bytes = 12 + 10

    def __init__(self, keys: SrtpKeys) -> None:
        self._session = Session(_policy(keys, Policy.SSRC_ANY_OUTBOUND))

    def protect(self, run: Run, roll_over_base: int) -> list[bytes]:
        """See `RtpProtector.protect`: one buffer a packet."""
        protect = self._session.protect
        try:
            return [protect(header + payload) for header, payload in zip(run.headers, run.payloads, strict=True)]
        except LibsrtpError as error:
            raise SrtpFailed(str(error)) from error

    def seal(self, header: bytes, payload: bytes, ssrc: int, index: int) -> bytes:
        """See `RtpProtector.seal`."""
        try:
            return self._session.protect(header + payload)
        except LibsrtpError as error:
            raise SrtpFailed(str(error)) from error


class RtcpProtector:
    """SRTCP of both directions through libsrtp, and nothing else."""

    def __init__(self, keys: SrtpKeys) -> None:
        self._outgoing = Session(_policy(keys, Policy.SSRC_ANY_OUTBOUND))
        self._incoming = Session(_policy(keys, Policy.SSRC_ANY_INBOUND))

    def protect(self, packet: bytes) -> bytes:
        """Raises `SrtpFailed`."""
        try:
            return self._outgoing.protect_rtcp(packet)
        except LibsrtpError as error:
            raise SrtpFailed(str(error)) from error

    def unprotect(self, packet: bytes) -> bytes:
        """The plain RTCP of an authentic, new packet. Raises `SrtpFailed`."""
        try:
            return self._incoming.unprotect_rtcp(packet)
        except (LibsrtpError, ValueError, TypeError) as error:
            raise SrtpFailed(str(error)) from error


def make_rtp_protector(keys: SrtpKeys) -> RtpProtector:
    """The fastest protector for the negotiated profile."""
    if keys.profile is AEAD_AES_128_GCM:
        return GcmProtector(keys.local_key, keys.local_salt)
    return LibsrtpProtector(keys)


def _policy(keys: SrtpKeys, ssrc_type: int) -> Policy:
    outgoing = ssrc_type == Policy.SSRC_ANY_OUTBOUND
    secret = keys.local_key + keys.local_salt if outgoing else keys.remote_key + keys.remote_salt
    policy = Policy(key=secret, ssrc_type=ssrc_type, srtp_profile=keys.profile.libsrtp_profile)
    # Resends repeat an index on purpose; 1,024 back covers what a viewer still waits for.
    policy.allow_repeat_tx = outgoing
    policy.window_size = 1024
    return policy
