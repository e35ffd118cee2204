"""The pictures since the newest key picture, as access units again, for a relay that joins."""

from rtcc_video.engine.depacketizer import Depacketizer
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.rtp import RtpPacket
from rtcc_video.engine.stream import LiveStream

# what a joiner must decode at once: time stamps that end now, so that it doesn't lag behind by the group's length
_SQUEEZED_TICKS = 90
_PAYLOAD_TYPE = 96


def group_of(stream: LiveStream) -> list[AccessUnit]:
    """The cached group of a stream, with time stamps squeezed to end at its newest picture; empty when none is cached."""
    frames = stream.group
    depacketizer = Depacketizer(limit_bytes=1 + max((frame.octets for frame in frames), default=0))
    found: list[AccessUnit] = []
    sequence = 0
    for position, frame in enumerate(frames):
        ticks = stream.last_timestamp - (len(frames) - 1 - position) * _SQUEEZED_TICKS
        for number, payload in enumerate(frame.payloads):
            marker = number == len(frame.payloads) - 1
            units = depacketizer.push(RtpPacket(_PAYLOAD_TYPE, marker, sequence & 0xFFFF, position, 0, payload))
            found += [AccessUnit(unit.nals, ticks, unit.key) for unit in units]
            sequence += 1
    return found
