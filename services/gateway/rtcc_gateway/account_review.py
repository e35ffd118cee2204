"""R7: accounts that nobody used end by themselves, and once a year somebody goes through all of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from rtcc.registry.v1.registry_pb2 import Person
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, RtccError
from rtcc_chassis.scope import Scope
from rtcc_gateway.people import People

_LOG = logging.getLogger(__name__)
_YEAR = timedelta(days=365)
_SOON = timedelta(days=14)
_LONGEST_NOTE = 2000
_PLATFORM = Scope.platform("gateway")


@dataclass(frozen=True, slots=True)
class ReviewedAccount:
    """One line of the report. `used_at` None: never enrolled."""

    person: Person
    used_at: datetime | None
    ending_soon: bool


@dataclass(frozen=True, slots=True)
class AccountReview:
    """That somebody went through them."""

    reviewed_at: datetime
    reviewed_by: str
    reviewed_by_name: str
    note: str
    accounts: int
    enabled: int


class ReviewStore(Protocol):
    """Accounts by when they were used, and reviews."""

    async def used(self, scope: Scope) -> dict[str, datetime]:
        """By person, of the scope's agency."""

    async def idle_since(self, scope: Scope, floor: datetime) -> list[str]:
        """Persons whose account was last used before."""

    async def mark_used(self, scope: Scope, person_id: str, now: datetime) -> None: ...

    async def add_review(self, scope: Scope, review: AccountReview) -> None: ...

    async def reviews(self, scope: Scope) -> list[AccountReview]:
        """Newest first."""


Disable = Callable[[str], Awaitable[None]]


class AccountReviews:
    """`disable(person_id)`: the registry switches the account off, which ends its sessions and says so in the log."""

    def __init__(self, store: ReviewStore, people: People, clock: Clock, inactive_days: int, disable: Disable) -> None:
        self._store = store
        self._people = people
        self._clock = clock
        self._inactive = timedelta(days=inactive_days)
        self._disable = disable
        self._restarting: dict[asyncio.Task[None], str] = {}
        # switched on since the sweep began that is under way: what it read of them is older
        self._returned: set[str] = set()
        people.persons.on_change(self._on_change)

    async def report(self, scope: Scope) -> tuple[list[ReviewedAccount], list[AccountReview], bool]:
        """(accounts by login, reviews, whether one is due)."""
        now, used = self._clock(), await self._store.used(scope)
        persons = sorted(self._people.persons.of_agency(scope.agency_id), key=lambda person: person.login)
        touched(*(f"person:{person.person_id}" for person in persons))
        accounts = [ReviewedAccount(person, used.get(person.person_id), self._ends_soon(person, used, now)) for person in persons]
        reviews = await self._store.reviews(scope)
        return accounts, reviews, not reviews or now - reviews[0].reviewed_at > _YEAR

    async def complete(self, scope: Scope, note: str) -> AccountReview:
        note = note.strip()
        if not note or len(note) > _LONGEST_NOTE or not note.replace("\n", "").isprintable():
            raise InvalidInput.one("note", f"is needed, at most {_LONGEST_NOTE} printable characters: what was looked at and changed")
        persons = self._people.persons.of_agency(scope.agency_id)
        enabled = sum(person.enabled for person in persons)
        review = AccountReview(self._clock(), scope.principal_id, scope.display_name, note, len(persons), enabled)
        await self._store.add_review(scope, review)
        touched(f"agency:{scope.agency_id}", new_value=f'{{"accounts": {len(persons)}, "enabled": {enabled}}}')
        return review

    async def run(self, every_s: float) -> None:
        """For ever: end what nobody used."""
        while True:
            try:
                await self.end_idle()
            except RtccError as error:
                _LOG.warning("idle accounts: %s", error.message)
            await asyncio.sleep(every_s)

    async def end_idle(self) -> int:
        """How many were switched off (R7)."""
        ended = 0
        self._returned = set(self._restarting.values())
        for person_id in await self._store.idle_since(_PLATFORM, self._clock() - self._inactive):
            person = self._people.get(person_id)
            if person is not None and person.enabled and person_id not in self._returned:
                await self._disable(person_id)
                ended += 1
        if ended:
            _LOG.info("%d accounts ended that nobody used for %d days", ended, self._inactive.days)
        return ended

    def _ends_soon(self, person: Person, used: dict[str, datetime], now: datetime) -> bool:
        used_at = used.get(person.person_id)
        return person.enabled and used_at is not None and now - used_at > self._inactive - _SOON

    def _on_change(self, person_id: str, old: Person | None, new: Person | None) -> None:
        """Who is switched on again gets the full time: else the next sweep would undo it."""
        if old is None or new is None or old.enabled or not new.enabled:
            return
        task = asyncio.get_running_loop().create_task(self._restart(person_id))
        self._returned.add(person_id)
        self._restarting[task] = person_id
        task.add_done_callback(self._restarting.pop)

    async def _restart(self, person_id: str) -> None:
        try:
            await self._store.mark_used(_PLATFORM, person_id, self._clock())
        except RtccError as error:
            _LOG.warning("an account that was switched on keeps its old time of use: %s", error.message)
