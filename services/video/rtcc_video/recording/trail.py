"""What one camera's recording has left behind: up to when it reaches, and the gap that is open. No I/O, no clock."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from rtcc_video.recording.domain import Gap, GapKind

# Cuts never fall closer together than this in a stream that loses nothing.
_SHORTEST_GAP: Final = timedelta(milliseconds=500)


class Trail:
    """Every change of a gap goes to `on_gap`, first when it opens, again when it ends. `new_id` makes ids."""

    def __init__(self, agency_id: str, camera_id: str, on_gap: Callable[[Gap], None], new_id: Callable[[], str]) -> None:
        self._agency_id = agency_id
        self._camera_id = camera_id
        self._on_gap = on_gap
        self._new_id = new_id
        self.reached: datetime | None = None
        self.open: Gap | None = None

    def resume(self, reached: datetime | None, opened: Gap | None) -> None:
        """Goes on where an earlier recorder stopped. One that said nothing and wrote no gap was lost."""
        self.reached, self.open = reached, opened
        if reached is not None and opened is None:
            self.missing(reached, GapKind.RECORDER_LOST, "The recorder ended without notice: it was killed, crashed, or lost its power.")

    def missing(self, since: datetime, kind: GapKind, reason: str) -> None:
        """Nothing is recorded since then. A gap that is open for another reason ends where this one begins."""
        start = since
        if self.open is not None:
            if self.open.kind is kind:
                return
            start = max(since, self.open.started_at)
            self._end(start)
        elif self.reached is not None and self.reached < since:
            start = self.reached
        self.open = Gap(self._new_id(), self._agency_id, self._camera_id, start, None, kind, reason)
        self._on_gap(self.open)

    def recorded(self, started: datetime, ended: datetime, continues: bool, step_s: float, kind: GapKind, reason: str) -> None:
        """A segment is safe. `kind` and `reason` explain a hole before it that nobody told of."""
        if self.open is not None:
            self._end(max(started, self.open.started_at))
        elif not continues and self.reached is not None and started - self.reached > _SHORTEST_GAP and not step_s:
            self._on_gap(Gap(self._new_id(), self._agency_id, self._camera_id, self.reached, started, kind, reason))
        if step_s:
            # the hole or the overlap that the step makes is no missing time
            before = self.reached if self.reached is not None and self.reached < started else started
            told = f"The server's clock was set {'forward' if step_s > 0 else 'back'} by {abs(step_s):.1f} s."
            self._on_gap(Gap(self._new_id(), self._agency_id, self._camera_id, before, started, GapKind.CLOCK_STEP, told))
        self.reached = ended

    def _end(self, at: datetime) -> None:
        if self.open is not None:
            self._on_gap(replace(self.open, ended_at=at))
            self.open = None
