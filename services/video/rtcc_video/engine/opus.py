"""What an Opus packet says of itself (RFC 6716, 3), which is all that a relay needs to know of it."""

from typing import Final

CLOCK_HZ: Final = 48_000
# the longest packet (RFC 6716, 3.2.5) and the most that its frames may hold
_LONGEST_SAMPLES: Final = CLOCK_HZ * 120 // 1000
PACKET_LIMIT_BYTES: Final = 1_500

# samples of 48 kHz in a frame: 10, 20, 40, 60 ms of speech, 10, 20 ms of both, 2.5, 5, 10, 20 ms of music (RFC 6716, table 2)
_SILK: Final = (480, 960, 1920, 2880)
_HYBRID: Final = (480, 960)
_CELT: Final = (120, 240, 480, 960)
_FIRST_HYBRID: Final = 12
_FIRST_CELT: Final = 16


class MalformedSound(ValueError):
    """Bytes that are no Opus packet. Always safe to drop."""


def samples_of(packet: bytes) -> int:
    """How many samples of 48 kHz a packet holds. Raises `MalformedSound`."""
    if not packet:
        raise MalformedSound("an Opus packet without a byte")
    if len(packet) > PACKET_LIMIT_BYTES:
        raise MalformedSound(f"an Opus packet of {len(packet)} bytes, at most {PACKET_LIMIT_BYTES} are taken")
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < _FIRST_HYBRID:
        frame = _SILK[configuration & 3]
    elif configuration < _FIRST_CELT:
        frame = _HYBRID[configuration & 1]
    else:
        frame = _CELT[configuration & 3]
    if code < 3:
        return frame * min(code + 1, 2)
    if len(packet) < 2:
        raise MalformedSound("an Opus packet that is cut off before its count of frames")
    samples = frame * (packet[1] & 0x3F)
    if not 0 < samples <= _LONGEST_SAMPLES:
        raise MalformedSound(f"an Opus packet of {samples * 1000 // CLOCK_HZ} ms, where 2.5 to 120 are allowed")
    return samples


def is_stereo(packet: bytes) -> bool:
    """Whether it was coded with two channels; any receiver plays both kinds."""
    return bool(packet[:1]) and bool(packet[0] & 4)
