"""SRTP of one sender, opened (RFC 3711, RFC 7714): what a publisher's packets go through first."""

import struct
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pylibsrtp import Error as LibsrtpError
from pylibsrtp import Policy, Session

from rtcc_video.engine.intake import Intake, Opener
from rtcc_video.engine.rtp import MalformedPacket, RtpPacket, parse_rtp
from rtcc_video.engine.srtp import AEAD_AES_128_GCM, SrtpFailed, SrtpKeys, derive_session_key

_HEADER = struct.Struct("!BBHII")
_LABEL_CIPHER: Final = 0
_LABEL_SALT: Final = 2
_WINDOW: Final = 1024
_WINDOW_MASK: Final = (1 << _WINDOW) - 1
_SENDERS_MOST: Final = 8


class Unprotector(Protocol):
    """Opens packets."""

    def open(self, data: bytes) -> RtpPacket:
        """The packet, authentic and new. Raises `SrtpFailed`, `MalformedPacket`."""
        ...

    def next_index(self, ssrc: int) -> int | None:
        """The number of the packet that follows the newest one of a sender, with its roll-over counter, for `take_together`; None: that
        isn't possible."""
        ...

    def take_together(self, intake: Intake, first: int, count: int, ssrc: int) -> int:
        """Has the helper take the packets that follow the newest one, of which it was told by `Intake.expect`; how many it took."""
        ...


@dataclass(slots=True)
class _Sender:
    """Where one SSRC stands: its highest index (roll-over counter << 16 | sequence), and which of the last 1,024 came."""

    highest: int
    seen: int = 1

    def index_of(self, sequence: int) -> int:
        """The index nearest to the highest one (RFC 3711, 3.3.1)."""
        index = (self.highest & ~0xFFFF) | sequence
        if index - self.highest > 0x8000:
            index -= 0x10000
        elif self.highest - index > 0x8000:
            index += 0x10000
        return index if index >= 0 else index + 0x10000

    def is_new(self, index: int) -> bool:
        behind = self.highest - index
        return behind < 0 or (behind < _WINDOW and not self.seen >> behind & 1)

    def mark(self, index: int) -> None:
        """Only what authenticated may move the window."""
        ahead = index - self.highest
        if ahead > 0:
            self.seen = ((self.seen << min(ahead, _WINDOW)) | 1) & _WINDOW_MASK
            self.highest = index
        else:
            self.seen |= 1 << -ahead

    def advance(self, count: int) -> None:
        """So many that follow the highest came, each authentic."""
        self.seen = ((self.seen << count) | (1 << count) - 1) & _WINDOW_MASK
        self.highest += count


class GcmUnprotector:
    """AES-128-GCM (RFC 7714): header and extension are authenticated, the payload is encrypted too."""

    def __init__(self, master_key: bytes, master_salt: bytes) -> None:
        self._key = derive_session_key(master_key, master_salt, _LABEL_CIPHER, 16)
        self._session_salt = derive_session_key(master_key, master_salt, _LABEL_SALT, 12)
        self._decrypt = AESGCM(self._key).decrypt
        self._salt = int.from_bytes(self._session_salt, "big")
        self._opener: Opener | None = None
        self._senders: dict[int, _Sender] = {}

    def open(self, data: bytes) -> RtpPacket:
        """See `Unprotector.open`."""
        if len(data) < 28 or data[0] >> 6 != 2:
            raise MalformedPacket("no RTP packet with a tag")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        offset = 12 + 4 * (first & 0x0F)
        if first & 0x10:
            offset += 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4], "big")
        if offset + 16 > len(data):
            raise MalformedPacket("RTP header is longer than the packet")
        sender = self._senders.get(ssrc)
        if sender is None:
            index = sequence
        elif sequence == (sender.highest + 1) & 0xFFFF:
            index = sender.highest + 1
        else:
            index = sender.index_of(sequence)
            if not sender.is_new(index):
                raise SrtpFailed("replayed")
        nonce = (self._salt ^ (ssrc << 48 | index)).to_bytes(12, "big")
        try:
            payload = self._decrypt(nonce, data[offset:], data[:offset])
        except InvalidTag as error:
            raise SrtpFailed("not authentic") from error
        if sender is None:
            if len(self._senders) >= _SENDERS_MOST:
                raise SrtpFailed(f"more than {_SENDERS_MOST} senders on one connection")
            self._senders[ssrc] = _Sender(index)
        else:
            sender.mark(index)
        if first & 0x20:
            if not payload or payload[-1] > len(payload):
                raise MalformedPacket("RTP padding is longer than the packet")
            payload = payload[: len(payload) - payload[-1]]
        return RtpPacket(second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, payload)

    def next_index(self, ssrc: int) -> int | None:
        """See `Unprotector.next_index`."""
        sender = self._senders.get(ssrc)
        return None if sender is None else sender.highest + 1

    def take_together(self, intake: Intake, first: int, count: int, ssrc: int) -> int:
        """See `Unprotector.take_together`."""
        if self._opener is None:
            self._opener = Opener(intake, self._key, self._session_salt)
        taken = intake.take_sealed(first, count, self._opener)
        self._senders[ssrc].advance(taken)
        return taken


class LibsrtpUnprotector:
    """AES-CM with HMAC-SHA1 through libsrtp, which keeps the windows itself."""

    def __init__(self, keys: SrtpKeys) -> None:
        policy = Policy(
            key=keys.remote_key + keys.remote_salt, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=keys.profile.libsrtp_profile
        )
        policy.window_size = _WINDOW
        self._session = Session(policy)

    def open(self, data: bytes) -> RtpPacket:
        """See `Unprotector.open`."""
        try:
            return parse_rtp(self._session.unprotect(data))
        except (LibsrtpError, ValueError, TypeError) as error:
            if isinstance(error, MalformedPacket):
                raise
            raise SrtpFailed(str(error)) from error

    def next_index(self, ssrc: int) -> int | None:
        """Never: the windows are libsrtp's."""
        return None

    def take_together(self, intake: Intake, first: int, count: int, ssrc: int) -> int:
        """None."""
        return 0


def make_unprotector(keys: SrtpKeys) -> Unprotector:
    """For the negotiated profile."""
    if keys.profile is AEAD_AES_128_GCM:
        return GcmUnprotector(keys.remote_key, keys.remote_salt)
    return LibsrtpUnprotector(keys)
