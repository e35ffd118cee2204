"""Where a source gives its sound, whatever it is: Opus goes on as it is, the rest by a converter while somebody hears it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from rtcc_video.engine.sound import SoundIntake
from rtcc_video.engine.sound_track import SoundKind

# the most that 13 bits of an AU header say (RFC 3640, 3.3.6)
UNIT_LIMIT_BYTES: Final = 8_191
# what counts for each unit: the shortest Opus packet is 2.5 ms, an access unit of AAC has 1,024 samples
_OPUS_SAMPLES: Final = 120
_AAC_SAMPLES: Final = 1_024
# of the speed of life; AAC has kinds with half as many samples
_FASTEST: Final = 2.5
# what a connection that stood still may bring at once
_AHEAD_S: Final = 10.0
_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 30.0
_STEADY_AFTER_S: Final = 30.0
# a camera that broke off when it was asked for its sound is asked again in its first session after so long
_GIVEN_UP_S: Final = 600.0


@dataclass(slots=True)
class SoundReport:
    """What is known of a stream's sound: how the source codes it, why nobody can hear it, and the cores that its conversion takes."""

    codec: str = ""
    reason: str = ""
    cores: float = 0.0
    given_up_until_s: float = 0.0

    def give_up(self) -> None:
        """The pictures broke off when sound was asked for: for a while they are better off without."""
        self.reason = "The camera broke off when it was asked for its sound: it is asked again when it connects after ten minutes."
        self.given_up_until_s = time.monotonic() + _GIVEN_UP_S

    @property
    def given_up(self) -> bool:
        """Whether that is so now."""
        return time.monotonic() < self.given_up_until_s


class Conversion(Protocol):
    """Of one stream; see `sound_conversion`."""

    @property
    def ended(self) -> bool: ...

    def convert(self, unit: bytes, timestamp: int) -> None: ...

    def close(self) -> None: ...


class Converters(Protocol):
    """Who converts."""

    def open(self, kind: SoundKind, intake: SoundIntake, report: SoundReport) -> Conversion | None:
        """None: all are in use, and the report says so."""
        ...


@dataclass(frozen=True, slots=True)
class SoundWay:
    """What a source gets whose sound is allowed: made for one run of it."""

    intake: SoundIntake
    converters: Converters
    report: SoundReport

    def inlet(self, kind: SoundKind) -> "SoundInlet":
        """For the sound that the source turned out to have."""
        self.report.codec, self.report.reason = kind.codec, ""
        return SoundInlet(kind, self.intake, self.converters, self.report)

    def refuse(self, reason: str) -> None:
        """The source has none that can be used."""
        self.report.codec, self.report.reason = "", reason


class SoundInlet:
    """Takes a source's units of sound in their order. `clock` gives monotonic seconds."""

    def __init__(
        self, kind: SoundKind, intake: SoundIntake, converters: Converters, report: SoundReport, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kind = kind
        self._intake = intake
        self._converters = converters
        self._report = report
        self._clock = clock
        self._conversion: Conversion | None = None
        self._opened_s = self._retry_s = 0.0
        self._failures = 0
        self._left = kind.clock_hz * _AHEAD_S
        self._counted_s = clock()
        self.left_out = 0

    @property
    def clock_hz(self) -> int:
        """What time stamps count."""
        return self._kind.clock_hz

    def take(self, unit: bytes, timestamp: int) -> None:
        """An Opus packet, a stretch of G.711 or an access unit of AAC; `timestamp` counts the source's clock and never wraps."""
        if not unit or len(unit) > UNIT_LIMIT_BYTES or not self._is_in_time(unit):
            self.left_out += 1
        elif self._kind.codec == "OPUS":
            self._intake.give(unit, timestamp)
        elif self._intake.wanted:
            self._convert(unit, timestamp)

    def close(self) -> None:
        """The source ended."""
        if self._conversion is not None:
            self._conversion.close()
            self._conversion = None

    def _convert(self, unit: bytes, timestamp: int) -> None:
        conversion = self._conversion
        if conversion is None or conversion.ended:
            now_s = self._clock()
            if conversion is not None:
                self._conversion = None
                self._wait(now_s)
            if now_s < self._retry_s:
                return
            conversion = self._conversion = self._converters.open(self._kind, self._intake, self._report)
            self._opened_s = now_s
            if conversion is None:
                self._retry_s = now_s + _FIRST_RETRY_S
                return
        conversion.convert(unit, timestamp)

    def _wait(self, now_s: float) -> None:
        """After a conversion that ended: at once when nobody had heard it any more, else longer from time to time."""
        if not self._report.reason or now_s - self._opened_s > _STEADY_AFTER_S:
            self._failures = 0
        if self._report.reason:
            self._failures += 1
            self._retry_s = now_s + min(_FIRST_RETRY_S * 2 ** min(self._failures - 1, 8), _LONGEST_RETRY_S)

    def _is_in_time(self, unit: bytes) -> bool:
        """Whether it isn't more than the time that passes can hold: a source gone wild mustn't take what others need."""
        codec, now_s = self._kind.codec, self._clock()
        self._left = min(self._kind.clock_hz * _AHEAD_S, self._left + (now_s - self._counted_s) * self._kind.clock_hz * _FASTEST)
        self._counted_s = now_s
        samples = _OPUS_SAMPLES if codec == "OPUS" else _AAC_SAMPLES if codec == "AAC" else len(unit) // self._kind.channels
        if samples > self._left:
            return False
        self._left -= samples
        return True
