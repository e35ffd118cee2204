"""What is measured of sources and of what waits for an operator."""

import asyncio
import logging
from datetime import datetime
from typing import Protocol

from prometheus_client import Gauge, Histogram

from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)
_EVERY_S = 15.0

LAST_DELIVERY = Gauge(
    "rtcc_intake_last_delivery_timestamp_seconds", "When a source of this kind last delivered, Unix time.", ["agency", "adapter"]
)
DELAY = Histogram(
    "rtcc_intake_event_delay_seconds",
    "From an event's own time to its receipt.",
    ["adapter"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
)
QUARANTINE = Gauge("rtcc_intake_quarantine_entries", "Deliveries and messages that wait for an operator.", ["agency"])


class WaitingEntries(Protocol):
    """The quarantine's size."""

    async def count_waiting(self, scope: Scope) -> dict[str, int]:
        """By agency, those that ever had an entry included."""
        ...


def note_delay(adapter: str, occurred_at: datetime, received_at: datetime) -> None:
    """Of one event that was taken."""
    DELAY.labels(adapter).observe(max(0.0, (received_at - occurred_at).total_seconds()))


async def measure_quarantine(store: WaitingEntries) -> None:
    """For ever."""
    while True:
        try:
            for agency_id, count in (await store.count_waiting(Scope.platform("intake"))).items():
                QUARANTINE.labels(agency_id).set(count)
        except RtccError as error:
            _LOG.info("can't measure the quarantine: %s", error.message)
        await asyncio.sleep(_EVERY_S)
