"""Stays of drones in zones: one begins when a drone comes in, and ends when it was out for long enough or its track ended.

A drone that hovers at the border, where satellite positions wander, stays one visit.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rtcc_airspace.domain.observations import Integers
from rtcc_chassis.identifiers import derived_id

# Pilot and serial number are broadcast at least every 3 s (F3411-22a, table 3): the alarm waits that long for them.
DETAILS_WAIT_US = 3_000_000
LEAVE_US = 30_000_000


@dataclass(slots=True, eq=False)
class Visit:
    """`entered`: the 14 numbers of the sighting that began it. `raised`: whether the alarm is durable."""

    visit_id: str
    agency_id: str
    track_id: str
    zone_id: str
    entered_at_us: int
    last_inside_us: int
    due_at_us: int
    entered: Integers
    raised: bool = False


class Visits:
    """All visits that go on."""

    def __init__(self) -> None:
        self._visits: dict[tuple[str, str], Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    def restore(self, visit: Visit) -> None:
        """One that was stored: its alarm was raised before."""
        visit.raised = True
        self._keep(visit)

    def seen(self, agency_id: str, track_id: str, zone_ids: Iterable[str], sighting: Integers, observed_at_us: int, now_us: int) -> None:
        """A drone was seen in these zones."""
        for zone_id in zone_ids:
            visit = self._visits.get((track_id, zone_id))
            if visit is not None:
                visit.last_inside_us = max(visit.last_inside_us, observed_at_us)
                continue
            visit_id = derived_id("drone_visit", track_id, zone_id, str(observed_at_us))
            self._keep(
                Visit(visit_id, agency_id, track_id, zone_id, observed_at_us, observed_at_us, now_us + DETAILS_WAIT_US, np.array(sighting))
            )

    def due(self, now_us: int, is_told: Callable[[str], bool]) -> list[Visit]:
        """Those whose alarm must be raised now. `is_told(track_id)`: whether nothing more is to be waited for."""
        return [visit for visit in self._visits.values() if not visit.raised and (now_us >= visit.due_at_us or is_told(visit.track_id))]

    def over(self, last_seen_us: Callable[[str], int | None]) -> list[Visit]:
        """Those that ended. `last_seen_us(track_id)`: the newest sighting; None: the track ended."""
        ended = []
        for visit in self._visits.values():
            seen_us = last_seen_us(visit.track_id)
            if visit.raised and (seen_us is None or seen_us - visit.last_inside_us > LEAVE_US):
                ended.append(visit)
        return ended

    def forget(self, visits: Sequence[Visit]) -> None:
        for visit in visits:
            self._visits.pop((visit.track_id, visit.zone_id), None)

    def _keep(self, visit: Visit) -> None:
        self._visits[visit.track_id, visit.zone_id] = visit
