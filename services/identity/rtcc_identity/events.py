"""Work that nobody calls for: intelligence whose time is over is purged, an index of older rules is made anew."""

import asyncio
import logging

from rtcc_chassis.access import Access, AuditDraft, Outcome
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope
from rtcc_identity.app.intelligence import PURGE_EVERY, IntelligenceStore
from rtcc_identity.app.ports import Records

_LOG = logging.getLogger(__name__)


async def purge_intelligence(store: IntelligenceStore, access: Access, clock: Clock) -> None:
    """28 CFR 23.20(h), for ever; each purge leaves its entry in the agency's log (R22)."""
    scope = Scope.platform("identity")
    while True:
        try:
            for intelligence_id, agency_id in (await store.overdue(scope, clock())).items():
                # the proof first: what went without one could never be shown
                await access.record(
                    AuditDraft(
                        action="intelligence.purge",
                        place="rtcc_identity",
                        outcome=Outcome.ALLOWED,
                        scope=Scope.service("identity", agency_id),
                        reason="not validated anew in time (28 CFR 23.20(h))",
                        object_ids=(f"intelligence:{intelligence_id}",),
                    )
                )
                await store.purge(scope, intelligence_id, clock())
        except RtccError as error:
            _LOG.warning("purge of intelligence: waiting, %s", error)
        await asyncio.sleep(PURGE_EVERY.total_seconds())


async def index_anew(records: Records, rows: int) -> None:
    """After an upgrade that changed how names are compared; until it is done, persons not reached yet are found by what is unchanged."""
    scope = Scope.platform("identity")
    while True:
        try:
            if not await records.index_anew(scope, rows):
                return
        except RtccError as error:
            _LOG.warning("index of persons: waiting, %s", error)
            await asyncio.sleep(2)
