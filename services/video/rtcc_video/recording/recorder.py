"""One camera's recorder: taps its stream, cuts segments, and decides which of them are kept."""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from rtcc_chassis.identifiers import new_id
from rtcc_video.engine.h264 import AccessUnit, MalformedBitstream
from rtcc_video.engine.sound import SoundPacket
from rtcc_video.engine.stream import LiveStream
from rtcc_video.recording.domain import Gap, GapKind, Mode, RecorderState, RecordingPolicy, moment
from rtcc_video.recording.segmenter import RawSegment, Segmenter, SegmentLimits
from rtcc_video.recording.sound import SoundCutter
from rtcc_video.recording.trail import Trail

_log = logging.getLogger(__name__)

_SILENT_AFTER_S: Final = 4.0
_OFF: Final = "Recording of this camera is off by its policy."
_WAITS: Final = "Recorded on events alone, and no event named this camera."
_NO_PICTURES: Final = "The camera sent no pictures."


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both in microseconds: the time of day, and one that never jumps."""

    unix_us: Callable[[], int] = lambda: time.time_ns() // 1000
    monotonic_us: Callable[[], int] = lambda: time.monotonic_ns() // 1000


class CameraRecorder:
    """`keep(recorder, segment)` takes a segment that is to be kept, and calls `stored` or `lost` for it; `on_gap` is told of gaps.

    `trouble` names what the camera's feed suffers from now, "" when it is well.
    """

    def __init__(
        self,
        camera_id: str,
        agency_id: str,
        stream: LiveStream,
        limits: SegmentLimits,
        clocks: Clocks,
        keep: Callable[["CameraRecorder", RawSegment], None],
        on_gap: Callable[[Gap], None],
        trouble: Callable[[], str],
    ) -> None:
        self.camera_id = camera_id
        self.agency_id = agency_id
        self.stream = stream
        self.trail = Trail(agency_id, camera_id, on_gap, new_id)
        self.policy: RecordingPolicy | None = None
        self.failure = ""
        # segments on their way to the spool
        self.pending = 0
        self._clocks = clocks
        self._keep = keep
        self._trouble = trouble
        self._segmenter = Segmenter(limits, self._on_segment)
        self._before: deque[RawSegment] = deque()
        self._sound = SoundCutter()
        # attached to the stream's sound: the policy keeps it, and the agency allows it
        self.hears_sound = False
        self._wanted_until_us = 0
        self._heard_us = clocks.monotonic_us()
        self._attached = False
        self._ended: tuple[GapKind, str] | None = None

    @property
    def state(self) -> tuple[RecorderState, str]:
        """What it does now and, if it doesn't record, why."""
        if self._mode is Mode.OFF:
            return RecorderState.OFF, _OFF
        silent = self._clocks.monotonic_us() - self._heard_us > _SILENT_AFTER_S * 1_000_000
        if self.failure or silent:
            return RecorderState.FAILED, self.failure or self._trouble() or _NO_PICTURES
        return (RecorderState.RECORDING, "") if self._wanted else (RecorderState.WAITING, _WAITS)

    def follow(self, policy: RecordingPolicy | None) -> None:
        """The policy that counts now."""
        before = self._mode
        self.policy = policy
        self._listen()
        if self._mode is before and self._attached == (before is not Mode.OFF):
            return
        self._segmenter.finish()
        self._before.clear()
        if self._mode is Mode.OFF:
            self._detach()
        elif not self._attached:
            self.stream.patient_taps.append(self.take)
            self._attached = True
            self._heard_us = self._clocks.monotonic_us()

    def end(self, kind: GapKind, reason: str) -> None:
        """Stores what is there and stops."""
        self._segmenter.finish()
        self._detach()
        if self._mode is not Mode.OFF:
            self._ended = (kind, reason)
            self._tell_end()

    def wanted(self) -> None:
        """An event names this camera: what memory holds is kept, and so is what comes for a while."""
        if self.policy is None or self._mode is not Mode.ON_EVENT:
            return
        self._wanted_until_us = self._clocks.monotonic_us() + self.policy.post_roll_s * 1_000_000
        while self._before:
            self._give(self._before.popleft())

    def take(self, unit: AccessUnit) -> None:
        """The next picture of the stream; see `LiveStream.taps`."""
        monotonic_us = self._clocks.monotonic_us()
        self._heard_us = monotonic_us
        try:
            self._segmenter.take(unit, self._clocks.unix_us(), monotonic_us)
        except MalformedBitstream as error:
            _log.warning("camera %s: %s", self.camera_id, error)
            self._segmenter.drop()

    def hear(self, packet: SoundPacket) -> None:
        """The next packet of the stream's sound; see `SoundListener`."""
        self._sound.hear(packet, self._clocks.unix_us() - self._segmenter.behind_us)

    def end_sound(self) -> None:
        """The agency doesn't allow it any more: what isn't kept yet isn't kept."""
        self.hears_sound = False
        self._forget_sound()

    def look(self) -> None:
        """Once a second: a camera that fell silent, a policy that wants nothing."""
        if self.pending:
            return
        if self._mode is Mode.OFF:
            if self.trail.reached is not None or self.trail.open is not None:
                self.trail.missing(self._now(), GapKind.NOT_WANTED, _OFF)
        elif self._clocks.monotonic_us() - self._heard_us > _SILENT_AFTER_S * 1_000_000:
            self._segmenter.finish()
            if self._wanted and not self.failure:
                self.trail.missing(self._now(), GapKind.CAMERA, self._trouble() or _NO_PICTURES)
        elif not self._wanted:
            self.trail.missing(self._now(), GapKind.NOT_WANTED, _WAITS)

    def stored(self, raw: RawSegment) -> None:
        """It is in the spool: safe."""
        self.failure = ""
        reason = self._trouble() or "Pictures were missing in the camera's stream."
        step_s = raw.step_us / 1_000_000
        self.trail.recorded(moment(raw.started_us), moment(raw.ended_us), raw.continues, step_s, GapKind.CAMERA, reason)
        self.pending -= 1
        self._tell_end()

    def lost(self, raw: RawSegment, kind: GapKind, reason: str) -> None:
        """It couldn't be kept."""
        self.failure = reason
        self.trail.missing(moment(raw.started_us), kind, reason)
        self.pending -= 1
        self._tell_end()

    @property
    def _mode(self) -> Mode:
        return self.policy.mode if self.policy is not None else Mode.OFF

    @property
    def _wanted(self) -> bool:
        return self._mode is Mode.CONTINUOUS or (self._mode is Mode.ON_EVENT and self._clocks.monotonic_us() < self._wanted_until_us)

    def _listen(self) -> None:
        """Hears the sound where it is to be kept, once the agency allows it. What a changed policy doesn't keep is forgotten."""
        wanted = self.policy is not None and self._mode is not Mode.OFF and self.policy.keep_sound
        if wanted and not self.hears_sound:
            self.hears_sound = self.stream.sound.attach(self)
        elif not wanted and self.hears_sound:
            self._stop_hearing()
            self._forget_sound()

    def _stop_hearing(self) -> None:
        self.hears_sound = False
        self.stream.sound.detach(self)

    def _forget_sound(self) -> None:
        self._sound.forget()
        self._before = deque(replace(raw, sound=None) for raw in self._before)

    def _on_segment(self, raw: RawSegment) -> None:
        if self.hears_sound:
            raw = replace(raw, sound=self._sound.cut(raw.started_us, raw.ended_us))
        if self._wanted:
            self._give(raw)
        elif self._mode is Mode.ON_EVENT and self.policy is not None:
            self._before.append(raw)
            oldest_us = raw.ended_us - self.policy.pre_roll_s * 1_000_000
            while self._before and self._before[0].ended_us <= oldest_us:
                self._before.popleft()

    def _give(self, raw: RawSegment) -> None:
        self.pending += 1
        self._keep(self, raw)

    def _tell_end(self) -> None:
        if self._ended is not None and not self.pending:
            self.trail.missing(self._now(), *self._ended)

    def _detach(self) -> None:
        if self._attached:
            self._attached = False
            if self.take in self.stream.patient_taps:
                self.stream.patient_taps.remove(self.take)
        if self.hears_sound:
            self._stop_hearing()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clocks.unix_us() / 1_000_000, UTC)
