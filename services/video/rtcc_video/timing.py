"""A camera's time stamps, made fit to be forwarded: rising, and at the pace of real time."""

from typing import Final

from rtcc_video.engine.rtp import CLOCK_HZ

# beyond this a step is no step but another clock
_LONGEST_STEP_TICKS: Final = 10 * CLOCK_HZ
_SHORTEST_STEP_TICKS: Final = CLOCK_HZ // 1000
_WINDOW_S: Final = 5.0
_WINDOWS_OFF: Final = 3
# a joiner's burst or a network's hiccup spoils a window; a clock that is off spoils each
_SLOWEST_PACE: Final = 0.8
_FASTEST_PACE: Final = 1.25


class SourceClock:
    """Repairs time stamps that stand still, go back or jump, and gives up on a clock that doesn't run at 90 kHz.

    An honest camera's stamps pass unchanged. A wrong one's pictures are stamped by when they come: a viewer's jitter buffer would
    otherwise grow without end or run dry. Times are monotonic seconds and 90 kHz ticks without wrap. One object for each start of a source.
    """

    def __init__(self) -> None:
        self._source: int | None = None
        self._output = 0
        self._now_s = 0.0
        self._window_s = 0.0
        self._window_ticks = 0
        self._windows_off = 0
        # whether pictures are stamped by their arrival from now on
        self.by_arrival = False
        self.repaired = 0

    def stamp(self, source: int, now_s: float) -> int:
        """The time stamp to use for a picture that came now."""
        if self._source is None:
            self._source, self._output = source, source
            self._now_s = self._window_s = now_s
            return source
        elapsed_s = max(0.0, now_s - self._now_s)
        step = source - self._source
        sound = _SHORTEST_STEP_TICKS <= step <= _LONGEST_STEP_TICKS
        self._source, self._now_s = source, now_s
        if sound and not self.by_arrival:
            self._watch_pace(step, now_s)
        if self.by_arrival or not sound:
            self.repaired += 1
            step = max(_SHORTEST_STEP_TICKS, round(elapsed_s * CLOCK_HZ))
        self._output += step
        return self._output

    def _watch_pace(self, step: int, now_s: float) -> None:
        self._window_ticks += step
        elapsed_s = now_s - self._window_s
        if elapsed_s < _WINDOW_S:
            return
        pace = self._window_ticks / (elapsed_s * CLOCK_HZ)
        self._windows_off = 0 if _SLOWEST_PACE <= pace <= _FASTEST_PACE else self._windows_off + 1
        self.by_arrival = self._windows_off >= _WINDOWS_OFF
        self._window_s, self._window_ticks = now_s, 0
