"""Motion and changes of scene from what coded pictures cost. No I/O, no clock: times are arguments.

A picture that is predicted from the one before costs bits where something changed. Its size alone tells little: under a constant rate
the encoder answers motion with a coarser quantiser. Size times quantiser step (which doubles with every 6 of the quantiser) is what
encoders themselves take for the complexity of a picture, and stays put when they trade one for the other.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import Final

from rtcc_video.searching.slices import PictureFacts

STEP_US: Final = 1_000_000
HIGHEST: Final = 254
SCORE_PER_SPREAD: Final = 16

_WINDOW: Final = 90
_LEAST: Final = 12
# of seconds that look like motion every fourth is believed to be the new normal: what lasts for minutes is no event
_ADMITTED: Final = 4
_NORMAL_SPREADS: Final = 3.0
# of a logarithm: half a percent of complexity is never told from nothing
_LEAST_SPREAD: Final = 0.006
_MAD_TO_SPREAD: Final = 1.4826
# bits a macroblock at quantiser 26 that a still and clean picture is allowed
_FLOOR_BITS: Final = 0.04
_HEADER_BYTES: Final = 24
# a predicted picture that costs so much of an intra picture, and so many times the one before, has nothing in common with it:
# what drives into the picture comes slower
_SCENE_SHARE: Final = 0.35
_SCENE_RISE: Final = 3.0
_SCENE_EARLY_KEY: Final = 0.25
_SCENE_KEY: Final = 0.5
_SETTLED: Final = 60
_EARLY_KEY: Final = 0.75
# pictures after an intra picture cost more or less by their place behind it: what is usual is learnt for each place
_MOST_POSITIONS: Final = 300
_REMEMBERED: Final = 20
_MOST_RATIO: Final = 20.0
_STEPS: Final = tuple(2.0 ** ((quantiser - 26) / 6) for quantiser in range(52))


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a camera. `score`: 0 to 253, sixteenths of the usual spread above the usual; None: too little is known yet."""

    number: int
    score: int | None
    scene_change: bool


class Baseline:
    """Median and spread (by the median of absolute differences) of what seconds without motion cost, as it is lately."""

    def __init__(self) -> None:
        self._order: deque[float] = deque()
        self._sorted: list[float] = []
        self._loud = 0
        self._centre, self._spread = 0.0, 0.0

    def above(self, value: float) -> float | None:
        """How many spreads a second is above the usual; None while too little is known. Learns from it."""
        if len(self._sorted) < _LEAST:
            self._admit(value)
            return None
        found = (value - self._centre) / self._spread
        if found < _NORMAL_SPREADS:
            self._admit(value)
        else:
            self._loud += 1
            if self._loud % _ADMITTED == 0:
                self._admit(value)
        return found

    def forget(self) -> None:
        """Everything is new: the camera was turned, or day became night at once."""
        self._order.clear()
        self._sorted.clear()

    def _admit(self, value: float) -> None:
        self._order.append(value)
        insort(self._sorted, value)
        if len(self._order) > _WINDOW:
            oldest = self._order.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        ordered = self._sorted
        self._centre = ordered[len(ordered) // 2]
        apart = sorted(abs(one - self._centre) for one in ordered)
        self._spread = max(_LEAST_SPREAD, _MAD_TO_SPREAD * apart[len(apart) // 2])


class MotionMeter:
    """One camera. Pictures go in by `take`; seconds come out two behind, for each is smoothed with its neighbours."""

    def __init__(self) -> None:
        self._baseline = Baseline()
        self._usual_at: list[float] = []
        self._counted: list[int] = []
        self._second: int | None = None
        self._ratios: list[float] = []
        self._scene = False
        self._recent: deque[tuple[int, float | None]] = deque(maxlen=3)
        self._intra: float | None = None
        self._before = math.inf
        self._position = 0
        self._period = 0
        self._seen = 0

    def take(self, facts: PictureFacts | None, macroblocks: int, at_us: int) -> list[Second]:
        """The next picture, taken at Unix microseconds."""
        number = at_us // STEP_US
        done = self._close() if self._second is not None and number != self._second else []
        self._second = number
        if facts is None or macroblocks <= 0:
            return done
        size = max(0, facts.size_bytes - _HEADER_BYTES)
        cost = 8.0 * size * _STEPS[facts.quantiser] / macroblocks + _FLOOR_BITS
        if facts.intra:
            self._take_intra(cost)
        else:
            self._take_predicted(cost)
        return done

    def finish(self) -> list[Second]:
        """What is there: no picture follows soon."""
        done = [*self._close(), *self._judge_newest()]
        self._recent.clear()
        self._second = None
        return done

    def _close(self) -> list[Second]:
        """The second is complete: the one before it has both its neighbours."""
        number, ratios, scene = self._second, self._ratios, self._scene
        self._ratios, self._scene = [], False
        if number is None:
            return []
        if scene:
            done = [*self._judge_newest(), Second(number, HIGHEST - 1, True)]
            # what is usual has to be learnt anew
            self._baseline.forget()
            self._usual_at.clear()
            self._counted.clear()
            self._recent.clear()
            self._seen = 0
            return done
        value = sum(ratios) / len(ratios) if ratios else None
        self._recent.append((number, value))
        before = self._recent[-2] if len(self._recent) > 1 else None
        if before is None or before[1] is None:
            return []
        return self._judge(before[0], [one for _, one in self._recent if one is not None])

    def _judge_newest(self) -> list[Second]:
        """The newest second, though nothing follows it."""
        if not self._recent or self._recent[-1][1] is None:
            return []
        return self._judge(self._recent[-1][0], [one for _, one in list(self._recent)[-2:] if one is not None])

    def _judge(self, number: int, values: list[float]) -> list[Second]:
        above = self._baseline.above(sum(values) / len(values))
        return [Second(number, None if above is None else max(0, min(HIGHEST - 1, round(above * SCORE_PER_SPREAD))), False)]

    def _take_intra(self, cost: float) -> None:
        early = 0 < self._position < _EARLY_KEY * self._period
        if self._intra is not None and abs(math.log(cost / self._intra)) > (_SCENE_EARLY_KEY if early else _SCENE_KEY):
            self._scene = self._seen > _SETTLED
        if not early and self._position > 0:
            self._period = max(self._position, self._period - 1)
        self._intra, self._position = cost, 0

    def _take_predicted(self, cost: float) -> None:
        self._position += 1
        self._seen += 1
        if self._seen > _SETTLED and self._intra is not None and cost > _SCENE_SHARE * self._intra and cost > _SCENE_RISE * self._before:
            self._scene = True
        self._before = cost
        at = min(self._position, _MOST_POSITIONS) - 1
        while len(self._usual_at) <= at:
            self._usual_at.append(0.0)
            self._counted.append(0)
        usual, counted = self._usual_at[at], self._counted[at]
        if not counted:
            self._usual_at[at], self._counted[at] = cost, 1
            return
        ratio = cost / usual
        if self._position > 1 and counted > 2:
            self._ratios.append(min(ratio, _MOST_RATIO))
        self._usual_at[at] = usual * (1 + (max(0.4, min(ratio, 2.0)) - 1) / (counted + 1))
        self._counted[at] = min(counted + 1, _REMEMBERED)
