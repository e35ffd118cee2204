"""Audit entries come from the AUDIT stream; the newest checkpoint of each log goes back to the bus, outside of our database."""

import asyncio
import logging
from collections.abc import Sequence

from prometheus_client import Gauge

from rtcc_chassis.bus import Bus, ConsumerSpec, Delivery, Outgoing
from rtcc_chassis.errors import RtccError
from rtcc_chassis.streams import AUDIT, directory_subject
from rtcc_ledger.app import LedgerApp
from rtcc_ledger.domain import SignedCheckpoint

DURABLE = "ledger"
CHECKPOINT_TYPE = "checkpoint"
NEWEST = "newest"
_MEASURE_EVERY_S = 10.0
_STUCK_AFTER_S = 60.0
_LOG = logging.getLogger(__name__)
WAITING = Gauge("rtcc_ledger_waiting_entries", "Audit entries that are durable in JetStream and not yet in the ledger (R11).")


def consumer_spec(batch_entries: int) -> ConsumerSpec:
    return ConsumerSpec(AUDIT, "ledger", DURABLE, ("audit.>",), batch=batch_entries)


class AuditConsumer:
    """Acknowledges a batch after its transaction; a batch that comes again is recognised by its entry ids."""

    def __init__(self, app: LedgerApp, bus: Bus) -> None:
        self._app = app
        self._bus = bus

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        checkpoints = await self._app.append([(delivery.agency_id, delivery.data) for delivery in deliveries])
        try:
            await self.publish(checkpoints)
        except RtccError as error:
            # the next batch publishes a newer one
            _LOG.warning("checkpoints not published: %s", error)

    async def publish(self, checkpoints: Sequence[SignedCheckpoint]) -> None:
        """Into the directory stream: who cuts the end off the database would have to cut it there too."""
        if checkpoints:
            await self._bus.publish_many(
                [
                    Outgoing(
                        directory_subject(CHECKPOINT_TYPE, one.agency_id, NEWEST),
                        one.to_message(),
                        f"checkpoint.{one.agency_id}.{one.number}",
                        one.agency_id,
                    )
                    for one in checkpoints
                ]
            )


async def watch_waiting(bus: Bus) -> None:
    """R11: the number of entries on their way, and an error in the log when they stop moving."""
    loop = asyncio.get_running_loop()
    moved_at, floor = loop.time(), -1
    while True:
        await asyncio.sleep(_MEASURE_EVERY_S)
        try:
            info = await bus.jetstream.consumer_info(AUDIT.name, DURABLE)
        except Exception as error:  # NATS is away: the consumer says so itself
            _LOG.info("can't measure waiting audit entries: %s", error)
            continue
        waiting = (info.num_pending or 0) + (info.num_ack_pending or 0)
        WAITING.set(waiting)
        acknowledged = info.ack_floor.stream_seq if info.ack_floor else 0
        if waiting == 0 or acknowledged != floor:
            moved_at, floor = loop.time(), acknowledged
        elif loop.time() - moved_at > _STUCK_AFTER_S:
            _LOG.error("%d audit entries have waited for %.0f s to enter the ledger: look at its database", waiting, loop.time() - moved_at)
