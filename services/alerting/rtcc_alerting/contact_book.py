"""The contacts of every agency in memory, and the deliveries that alerts make of them."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.notification import reason_for
from rtcc_alerting.notification_store import NewDelivery, NotificationStore
from rtcc_alerting.rule_book import Zones, in_zones
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)


class ContactBook:
    """At once after our own changes, within seconds after another instance's."""

    def __init__(self, store: NotificationStore, zones: Zones, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._zones = zones
        self._clock = clock
        self._wake = wake
        self._scope = Scope.platform("alerting")
        self._version: tuple[int, int] | None = None
        self._contacts: Mapping[str, Sequence[pb.Contact]] = {}

    async def refresh(self) -> None:
        """Read what changed; cheap when nothing did."""
        version = await self._store.version(self._scope)
        if version != self._version:
            contacts: dict[str, list[pb.Contact]] = {}
            for contact in await self._store.contacts(self._scope):
                contacts.setdefault(contact.agency_id, []).append(contact)
            self._contacts, self._version = contacts, version

    async def run(self, every_s: float) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.refresh()
            except RtccError as error:
                _LOG.warning("contacts: waiting, %s", error)

    def tells(self, agency_id: str) -> bool:
        """Whether anybody of this agency is told of anything."""
        return agency_id in self._contacts

    async def tell(self, alerts: Sequence[pb.Alert]) -> None:
        """Makes the deliveries of these states of alerts; those that exist already stay as they are."""
        now = self._clock()
        deliveries = []
        for alert in alerts:
            coordinate = alert.position.coordinate if alert.position.HasField("coordinate") else None
            for contact in self._contacts.get(alert.agency_id, ()):
                inside = in_zones(self._zones, alert.agency_id, tuple(contact.zone_ids), coordinate)
                reason = reason_for(contact, alert, now, inside=inside)
                if reason:
                    identifier = derived_id("delivery", alert.alert_id, contact.contact_id, reason)
                    deliveries.append(NewDelivery(identifier, alert.agency_id, alert.alert_id, contact.contact_id, reason, alert.severity))
        if await self._store.add(self._scope, deliveries, now):
            self._wake()
