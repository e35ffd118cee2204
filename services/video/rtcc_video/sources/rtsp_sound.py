"""The second track of an RTSP session: a camera's sound, in channels or ports of its own beside those of its pictures."""

import re
import time
from collections.abc import Callable
from typing import Final

from rtcc_video.engine.rtp import MalformedPacket, parse_rtp
from rtcc_video.engine.sdp import SessionDescription
from rtcc_video.engine.sound_track import SoundTrack, find_sound_track
from rtcc_video.sources.rtsp_messages import RtspResponse
from rtcc_video.sources.rtsp_udp import UdpPair
from rtcc_video.sources.sound_inlet import SoundWay
from rtcc_video.sources.sound_receiver import SoundReceiver

_ASKED_CHANNEL: Final = 2
OVER_TCP: Final = f"RTP/AVP/TCP;unicast;interleaved={_ASKED_CHANNEL}-{_ASKED_CHANNEL + 1}"


class RtspSound:
    """Of one session. `way`: where its sound goes."""

    def __init__(self, way: SoundWay) -> None:
        self._way = way
        self._receiver: SoundReceiver | None = None
        self._channel: int | None = None
        # whether the camera was asked for it and hasn't begun to play yet
        self.asked = False
        self.udp: UdpPair | None = None

    def find(self, description: SessionDescription) -> SoundTrack | None:
        """The track to SETUP."""
        if self._way.report.given_up:
            return None
        track, unusable = find_sound_track(description)
        if track is None and unusable:
            others = ", ".join(unusable[:4])
            self._way.refuse(f"The camera's sound is {others}. Choose Opus, G.711 or AAC in its audio settings.")
        elif track is None:
            self._way.refuse("The camera offers no sound. Switch its microphone on, or choose a stream that has it.")
        return track

    def begin(self, track: SoundTrack, response: RtspResponse, video_channel: int) -> bool:
        """The camera's answer to SETUP; whether its sound is taken."""
        if response.status >= 300:
            if self.udp is not None:
                self.udp.close()
                self.udp = None
            self._way.refuse(f"The camera refuses to send its sound beside its pictures (SETUP: {response.status}).")
            return False
        if self.udp is None:
            found = re.search(r"interleaved\s*=\s*([0-9]{1,3})", response.first("transport") or "")
            channel = min(int(found[1]), 254) if found else _ASKED_CHANNEL
            if abs(channel - video_channel) < 2:
                self._way.refuse("The camera sends its sound among its pictures, where it can't be told apart.")
                return False
            self._channel = channel
        self._receiver = SoundReceiver(track, self._way.inlet(track.kind))
        return True

    def take(self, channel: int, data: bytes) -> None:
        """What came in a channel that isn't the pictures'."""
        if channel == self._channel:
            self.on_packet(data)

    def on_packet(self, data: bytes) -> None:
        """A packet of the track."""
        if self._receiver is None:
            return
        try:
            packet = parse_rtp(data)
        except MalformedPacket:
            return
        self._receiver.push(packet, time.monotonic())

    def on_datagram(self, count: Callable[[int], None]) -> Callable[[bytes], None]:
        """What takes the packets of a pair of ports; `count` is told of each one's size."""

        def take(data: bytes) -> None:
            count(len(data))
            self.on_packet(data)

        return take

    def on_failure(self) -> None:
        """The session broke: if that was between asking for sound and playing, next time it is left out."""
        if self.asked:
            self._way.report.give_up()

    def rest(self) -> None:
        """See `UdpPair`."""
        if self.udp is not None:
            self.udp.rest()

    def report(self, own_ssrc: int) -> None:
        """See `UdpPair`."""
        if self.udp is not None:
            self.udp.report(own_ssrc)

    def close(self) -> None:
        """The session ends."""
        if self.udp is not None:
            self.udp.close()
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None
