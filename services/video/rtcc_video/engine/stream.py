"""One camera's live stream: access units in, packetised frames out to every viewer."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rtcc_video.engine.accelerator import Accelerator
from rtcc_video.engine.frames import Frame, Ring
from rtcc_video.engine.h264 import AccessUnit, ParameterSets, SequenceParameters, is_b_slice
from rtcc_video.engine.lanes import Lane, LaneKey, Lanes, Seat
from rtcc_video.engine.rtp import CLOCK_HZ, build_sender_report
from rtcc_video.engine.sound import LiveSound

# A source's clock may jump when it reconnects or loops; beyond this the time stamps continue by our own clock.
_JUMP_TICKS = 2 * CLOCK_HZ
_LONGEST_SILENCE_S = 3600.0
_RATE_WINDOW_S = 2.0


class UnforwardableVideo(Exception):
    """Video that WebRTC can't show as it is; the message says what to change at the camera."""


class StreamViewer(Protocol):
    """What a stream needs of a viewer."""

    def deliver(self, frame: Frame, stream: "LiveStream") -> None:
        """Takes the next frame of a stream that it is attached to."""
        ...

    def begin(self, group: list[Frame]) -> None:
        """Takes the group of pictures so far; empty when none is cached."""
        ...


# Told of every picture that is forwarded, in order, on the event loop: what records or analyses. Must be quick and not raise.
type Tap = Callable[[AccessUnit], None]


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bounds of one stream's memory. The group cache holds at most so many bytes and seconds; beyond it joiners wait."""

    group_bytes: int = 4_000_000
    group_s: float = 4.0


@dataclass(frozen=True, slots=True)
class KeyPicture:
    """The newest key picture of a stream with its parameter sets, and the clock's second at which it came."""

    unit: AccessUnit
    received_s: float


class LiveStream:
    """The shared half of a relay: one RTP identity, one ring, one cached group of pictures, many viewers.

    `clock` gives monotonic seconds. Not thread safe: everything runs on the event loop.
    """

    def __init__(self, limits: StreamLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._viewers: dict[int, StreamViewer] = {}
        self.taps: list[Tap] = []
        # the same for those to whom some hundredths of a second don't matter
        self.patient_taps: list[Tap] = []
        # Those who don't sit in a lane.
        self._apart: dict[int, StreamViewer] = {}
        self._lanes = Lanes()
        self._parameter_sets = ParameterSets()
        self._group: list[Frame] = []
        self._group_bytes = 0
        self._group_started_s = 0.0
        self._offset: int | None = None
        self._last_timestamp = secrets.randbits(31)
        self._last_source_timestamp = 0
        self.ring = Ring()
        self.ring.next_index = secrets.randbits(14)
        self.ssrc = secrets.randbits(31) | 1
        self.cname = secrets.token_hex(8)
        # what the camera's microphone hears: nothing unless it is allowed
        self.sound = LiveSound(clock)
        # The same camera in fewer bits, for viewers with thin links: asked when one wants it, so that it can connect first.
        self.smaller: Callable[[], LiveStream | None] | None = None
        self.key_picture: KeyPicture | None = None
        self.first_key_picture = asyncio.Event()
        self.last_unit_s: float | None = None
        self.frames_total = 0
        self.octets_total = 0
        self.packets_total = 0
        self.undecodable_units = 0
        self._rate_bps = 0.0
        self._rate_since = (0.0, 0)

    @property
    def sequence_parameters(self) -> SequenceParameters | None:
        """Size, profile and level of what is forwarded, once known."""
        return self._parameter_sets.sequence

    def learn_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        """Takes parameter sets that came beside the stream (SDP, container). Raises `MalformedBitstream`."""
        self._parameter_sets.learn(nals)

    @property
    def watched(self) -> bool:
        """Whether anybody takes its pictures or its sound: viewers, recorders, other relays."""
        return bool(self._viewers or self.taps or self.patient_taps or self.sound.listeners)

    @property
    def watched_live(self) -> bool:
        """Whether somebody waits for each picture."""
        return bool(self._viewers or self.taps)

    @property
    def viewers(self) -> int:
        """How many viewers take its pictures."""
        return len(self._viewers)

    def rest(self) -> None:
        """The source is switched off: no joiner and no still may get pictures from before."""
        self.restart_clock()
        self.key_picture = None
        self.first_key_picture.clear()

    def restart_clock(self) -> None:
        """The source begins anew: its next time stamp continues ours, and pictures before it are no reference."""
        self._offset = None
        self._forget_group()

    def publish(self, unit: AccessUnit) -> None:
        """Forwards a picture to all viewers. Raises `UnforwardableVideo`, `MalformedBitstream`."""
        if unit.key:
            self._parameter_sets.learn(unit.nals)
        complete = self._parameter_sets.complete(unit)
        if complete is None:
            self.undecodable_units += 1
            return
        self._refuse_reordering(complete)
        now_s = self._clock()
        frame = Frame.of(complete, self.ring.next_index, self._output_timestamp(complete.timestamp, now_s), self.ssrc)
        self.ring.add(frame, now_s)
        self._cache(frame, now_s)
        if complete.key:
            self.key_picture = KeyPicture(complete, now_s)
            self.first_key_picture.set()
        self.last_unit_s = now_s
        self.frames_total += 1
        self.octets_total += frame.octets
        self.packets_total += frame.count
        self._measure_rate(now_s)
        self._lanes.send(frame)
        for viewer in tuple(self._apart.values()):
            viewer.deliver(frame, self)
        frame.forget_runs()
        for taps in (self.taps, self.patient_taps):
            for tap in taps:
                tap(complete)

    def attach(self, viewer: StreamViewer, from_now: bool = False) -> None:
        """Adds a viewer, who gets the group so far at once (unless it wants to begin from now) and every frame from now on."""
        self._viewers[id(viewer)] = self._apart[id(viewer)] = viewer
        if not from_now:
            viewer.begin(self._group)

    def detach(self, viewer: StreamViewer) -> None:
        """Removes a viewer; unknown ones are ignored."""
        self._viewers.pop(id(viewer), None)
        self._apart.pop(id(viewer), None)

    def enter_lane(self, viewer: StreamViewer, key: LaneKey, accelerator: Accelerator | None, seat: Seat) -> Lane:
        """From the next frame on the viewer is served in a lane, and no more asked itself."""
        self._apart.pop(id(viewer), None)
        return self._lanes.enter(key, accelerator, seat)

    def leave_lane(self, viewer: StreamViewer) -> None:
        """From the next frame on the viewer is asked itself again, if it is still attached."""
        if id(viewer) in self._viewers:
            self._apart[id(viewer)] = viewer

    @property
    def bits_per_s(self) -> float:
        """What the stream carried lately, over about two seconds."""
        return self._rate_bps

    @property
    def last_timestamp(self) -> int:
        """The time stamp of the newest frame."""
        return self._last_timestamp

    @property
    def group(self) -> list[Frame]:
        """The pictures since the newest key picture, or nothing when they exceed the cache."""
        return self._group

    def sender_report(self, unix_s: float, ssrc: int | None = None, ticks: int = 0) -> bytes | None:
        """The RTCP sender report of this moment, before encryption; None before the first picture.

        `ssrc` and `ticks`: for a viewer who knows the stream by another name and with time stamps so much lower.
        """
        if self.last_unit_s is None:
            return None
        elapsed = min(self._clock() - self.last_unit_s, _LONGEST_SILENCE_S)
        timestamp = self._last_timestamp + int(elapsed * CLOCK_HZ) - ticks
        return build_sender_report(
            self.ssrc if ssrc is None else ssrc, unix_s, timestamp, self.packets_total, self.octets_total, self.cname
        )

    def _measure_rate(self, now_s: float) -> None:
        since_s, octets = self._rate_since
        elapsed_s = now_s - since_s
        if elapsed_s >= _RATE_WINDOW_S:
            if elapsed_s < 3 * _RATE_WINDOW_S:
                self._rate_bps = (self.octets_total - octets) * 8 / elapsed_s
            self._rate_since = (now_s, self.octets_total)

    def _refuse_reordering(self, unit: AccessUnit) -> None:
        parameters = self._parameter_sets.sequence
        if parameters is None or parameters.reorder_frames == 0 or unit.key:
            return
        if any(is_b_slice(nal) for nal in unit.nals[:1]):
            raise UnforwardableVideo(
                "The stream has B-frames, which browsers can't show over WebRTC. Set the camera's H.264 profile to baseline, or switch "
                "B-frames off in its encoder settings."
            )

    def _output_timestamp(self, source_timestamp: int, now_s: float) -> int:
        if self._offset is not None and 0 <= source_timestamp - self._last_source_timestamp <= _JUMP_TICKS:
            output = source_timestamp + self._offset
        else:
            silence_s = min(now_s - self.last_unit_s, _LONGEST_SILENCE_S) if self.last_unit_s is not None else 0.0
            output = self._last_timestamp + max(1, int(silence_s * CLOCK_HZ))
            self._offset = output - source_timestamp
        self._last_source_timestamp = source_timestamp
        self._last_timestamp = output
        return output

    def _cache(self, frame: Frame, now_s: float) -> None:
        if frame.key:
            self._group = [frame]
            self._group_bytes = frame.octets
            self._group_started_s = now_s
        elif self._group:
            self._group_bytes += frame.octets
            if self._group_bytes > self._limits.group_bytes or now_s - self._group_started_s > self._limits.group_s:
                self._forget_group()
            else:
                self._group.append(frame)

    def _forget_group(self) -> None:
        self._group = []
        self._group_bytes = 0
