"""Keeps the in-memory index equal to the stored lists: at once after our own changes, within seconds after another instance's."""

import asyncio
import logging
from collections import defaultdict

from prometheus_client import Gauge

from rtcc_alerting.domain import HOT_LIST_STALE
from rtcc_alerting.engine import Settings
from rtcc_alerting.hot_list_index import HotListIndex
from rtcc_alerting.hot_list_store import HotListStore
from rtcc_alerting.measures import note_stale_lists
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)
_ENTRIES = Gauge("rtcc_alerting_hot_list_entries", "Wanted plates in the index of this process.")


class IndexKeeper:
    """Implements `app.IndexRefresh`."""

    def __init__(self, store: HotListStore, index: HotListIndex, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._index = index
        self._clock = clock
        self._scope = Scope.platform("alerting")
        self._loaded: dict[str, tuple[int, int]] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def load(self) -> None:
        """Everything that changed since the last time."""
        versions = await self._store.versions(self._scope)
        for agency_id, version in versions.items():
            if self._loaded.get(agency_id) != version:
                await self._load(agency_id, version)

    async def refresh(self, agency_id: str) -> None:
        """One agency, now."""
        versions = await self._store.versions(self._scope)
        await self._load(agency_id, versions.get(agency_id, (0, 0)))

    async def _load(self, agency_id: str, version: tuple[int, int]) -> None:
        # one load at a time, so that an older picture never replaces a newer one; the version was read before the entries,
        # so a change in between is seen by the next look
        async with self._locks[agency_id]:
            index = await self._store.load_index(self._scope, agency_id)
            self._index.replace(agency_id, index)
            self._loaded[agency_id] = version
        _ENTRIES.set(self._index.size())

    async def run(self, every_s: float) -> None:
        """For ever: follow other instances' changes and raise the alarm of stale lists (R24)."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.load()
                await self._store.raise_stale_alarms(
                    self._scope, self._clock(), lambda agency_id: self._settings.of(agency_id, HOT_LIST_STALE)
                )
                note_stale_lists(await self._store.stale_lists(self._scope, self._clock()))
            except RtccError as error:
                _LOG.warning("hot lists: waiting, %s", error)
