"""The queue of weeks that somebody must look at (R13)."""

import asyncio
import logging
from datetime import datetime
from typing import Protocol

from prometheus_client import Gauge

from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import NotFound, RtccError
from rtcc_chassis.scope import Scope
from rtcc_ledger.app import page_size
from rtcc_ledger.reviews import WEEK, Flagged, Review, Week, check_note, week_start

_LOG = logging.getLogger(__name__)
_LISTED, _MOST_LISTED = 26, 104
_COUNT_EVERY_S = 30.0
_COUNTED_WEEKS = 12
_OVERDUE = Gauge("rtcc_ledger_overdue_reviews", "Weeks of the log that ended more than a week ago and nobody looked at (R13).", ["agency"])


class Store(Protocol):
    """Weeks and looks."""

    async def weeks(self, scope: Scope, since: datetime, until: datetime) -> list[Week]: ...

    async def flagged(self, scope: Scope, starts_at: datetime, before_leaf: int, limit: int) -> list[Flagged]: ...

    async def flagged_of(self, scope: Scope, starts_at: datetime, principal_id: str) -> int: ...

    async def add(self, scope: Scope, starts_at: datetime, review: Review) -> None: ...

    async def overdue(self, scope: Scope, now: datetime, weeks: int) -> dict[str, int]: ...


class Reviews:
    """`scope.agency_id` names the log."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def list_weeks(self, scope: Scope, limit: int) -> list[Week]:
        now = self._clock()
        until = week_start_of(now)
        return await self._store.weeks(scope, until - min(limit or _LISTED, _MOST_LISTED) * WEEK, until)

    async def look(self, scope: Scope, name: str, before_leaf: int, limit: int) -> tuple[Week, list[Flagged]]:
        """The week in numbers, and what merits a look. NotFound where nothing was recorded."""
        week = await self._week(scope, name)
        found = await self._store.flagged(scope, week.starts_at, before_leaf or 2**62, page_size(limit))
        if found:
            touched(f"audit:{found[-1].leaf.leaf_index}-{found[0].leaf.leaf_index}")
        return week, found

    async def complete(self, scope: Scope, name: str, note: str, findings: bool) -> Week:
        """Kept beside what was said before."""
        note = check_note(note)
        week = await self._week(scope, name)
        own = await self._store.flagged_of(scope, week.starts_at, scope.principal_id)
        review = Review(self._clock(), scope.principal_id, scope.display_name, note, findings, own)
        await self._store.add(scope, week.starts_at, review)
        touched(f"review:{name}")
        return await self._week(scope, name)

    async def _week(self, scope: Scope, name: str) -> Week:
        starts_at = week_start(name, self._clock())
        found = await self._store.weeks(scope, starts_at, starts_at + WEEK)
        if not found:
            raise NotFound("week of the log", name)
        return found[0]

    async def run(self) -> None:
        """For ever: count what is overdue."""
        while True:
            try:
                for agency_id, count in (await self._store.overdue(Scope.platform("ledger"), self._clock(), _COUNTED_WEEKS)).items():
                    _OVERDUE.labels(agency_id).set(count)
            except RtccError as error:
                _LOG.info("overdue reviews can't be counted now: %s", error.message)
            await asyncio.sleep(_COUNT_EVERY_S)


def week_start_of(now: datetime) -> datetime:
    """The Monday of the week that `now` is in."""
    year, week, _ = now.isocalendar()
    return datetime.fromisocalendar(year, week, 1).replace(tzinfo=now.tzinfo)
