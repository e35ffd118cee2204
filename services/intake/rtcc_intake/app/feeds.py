"""Feeds that are fetched: GTFS-Realtime vehicles on their way to the location service."""

import json
import re
from dataclasses import replace
from datetime import datetime

from prometheus_client import Counter
from yarl import URL

from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, RtccError, Violation
from rtcc_chassis.scope import Scope
from rtcc_chassis.signed_sources import RegisteredSource
from rtcc_intake.adapters.gtfs_realtime import read_feed
from rtcc_intake.app.ports import Feed, Sources, SourceStore, Vehicles
from rtcc_intake.domain import GTFS_REALTIME

_VEHICLES = Counter("rtcc_intake_vehicles_total", "Vehicle positions of public feeds.", ["outcome"])
_HEADER = re.compile(r"[A-Za-z0-9\-]{0,64}\Z")
_DEFAULT_EVERY_S = 15


class Feeds:
    """`plain_hosts`: "host:port" that may be fetched by plain http or stand at a private address."""

    def __init__(
        self, store: SourceStore, sources: Sources, vehicles: Vehicles, access: Access, clock: Clock, plain_hosts: frozenset[str]
    ) -> None:
        for outcome in ("accepted", "refused"):  # a series that isn't there yet can't be told from one that stopped
            _VEHICLES.labels(outcome)
        self._store = store
        self._sources = sources
        self._vehicles = vehicles
        self._access = access
        self._clock = clock
        self._plain_hosts = plain_hosts

    async def set_feed(self, scope: Scope, source_id: str, feed: Feed) -> Feed:
        """Fetched from now on. Raises InvalidInput, NotFound, Conflict."""
        source = self._own(scope, "source.set_feed", source_id)
        if source.adapter != GTFS_REALTIME:
            raise Conflict(f'The source is told, not fetched: only one with the adapter "{GTFS_REALTIME}" has a feed.')
        old = await self._store.feed(scope, source_id)
        every_s = feed.every_s or _DEFAULT_EVERY_S
        # an empty value keeps the stored one, unless the header itself changed
        kept = old.header_value if old is not None and old.header_name == feed.header_name and not feed.header_value else feed.header_value
        wanted = Feed(source_id, source.agency_id, feed.url.strip(), every_s, feed.header_name.strip(), kept)
        if violations := self._violations(wanted):
            raise InvalidInput(violations)
        await self._store.put_feed(scope, wanted, self._clock())
        touched(f"source:{source_id}", old_value=_told(old), new_value=_told(wanted))
        return replace(wanted, header_value="")

    async def feed(self, scope: Scope, source_id: str) -> Feed | None:
        self._own(scope, "source.read_feed", source_id)
        feed = await self._store.feed(scope, source_id)
        return replace(feed, header_value="") if feed is not None else None

    def _own(self, scope: Scope, action: str, source_id: str) -> RegisteredSource:
        source = self._sources.get(source_id)
        if source is None or source.agency_id != scope.agency_id:
            raise NotFound("source", source_id[:64])
        self._access.require(scope, action, Resource("source", source_id, source.agency_id))
        return source

    def _violations(self, feed: Feed) -> list[Violation]:
        found = []
        try:
            url = URL(feed.url)
        except ValueError:
            url = URL()
        if len(feed.url) > 1_024 or not url.host or url.scheme not in ("http", "https") or url.user or url.password:
            found.append(Violation("feed.url", "must be a https address without user and password, at most 1,024 characters"))
        elif url.scheme == "http" and f"{url.host}:{url.port}" not in self._plain_hosts:
            found.append(Violation("feed.url", f"is not https, and RTCC_INTAKE_FEED_HOSTS doesn't name {url.host}:{url.port}"))
        if not 5 <= feed.every_s <= 3_600:
            found.append(Violation("feed.every_s", "must be between 5 and 3600"))
        if not _HEADER.match(feed.header_name) or bool(feed.header_name) != bool(feed.header_value):
            found.append(Violation("feed.header_name", "a header has a name of letters, digits and '-', and a value"))
        if len(feed.header_value) > 1_024 or not feed.header_value.isprintable() or not feed.header_value.isascii():
            found.append(Violation("feed.header_value", "must be at most 1,024 printable ASCII characters"))
        return found

    async def take(self, source: RegisteredSource, body: bytes, received_at: datetime) -> tuple[int, str]:
        """(vehicles stored, why others were not) of one fetch. Raises NotUnderstood; Unavailable, Exhausted of the location service."""
        feed = read_feed(body, received_at)
        answer = await self._vehicles.submit(source, feed.vehicles) if feed.vehicles else None
        accepted = answer.accepted if answer is not None else 0
        refused = feed.refused + (answer.rejected if answer is not None else 0)
        _VEHICLES.labels("accepted").inc(accepted)
        _VEHICLES.labels("refused").inc(refused)
        reasons = [*feed.reasons, *(answer.reasons if answer is not None else ())]
        return accepted, f"{refused} vehicles refused: {reasons[0]}" if reasons else ""

    async def due(self, limit: int) -> list[tuple[RegisteredSource, Feed]]:
        """Feeds of enabled sources that this process shall fetch now."""
        claimed = await self._store.claim_feeds(Scope.platform("intake"), self._clock(), limit)
        pairs = ((self._sources.get(feed.source_id), feed) for feed in claimed)
        return [(source, feed) for source, feed in pairs if source is not None and source.enabled and source.agency_id == feed.agency_id]

    async def finished(self, feed: Feed, vehicles: int, problem: str) -> None:
        """Remember how a fetch went; a store that is away has other alarms."""
        try:
            done = replace(feed, fetched_at=self._clock(), vehicles=vehicles, problem=problem[:500])
            await self._store.feed_fetched(Scope.service("intake", feed.agency_id), done)
        except RtccError:
            return


def _told(feed: Feed | None) -> str:
    """For the audit log: without the header's value and what may be a key in the address."""
    if feed is None:
        return ""
    return json.dumps({"url": str(URL(feed.url).with_query(None)), "every_s": feed.every_s, "header_name": feed.header_name})
