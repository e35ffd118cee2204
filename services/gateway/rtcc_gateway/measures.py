"""What is measured of sign-ins and sessions. Never who."""

import asyncio
import logging
from typing import Protocol

from prometheus_client import Counter, Gauge

from rtcc_chassis.errors import RtccError
from rtcc_chassis.measures import note_certificate
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)
_EVERY_S = 15.0

SIGN_INS = Counter("rtcc_gateway_sign_ins_total", "Tries to sign in.", ["how", "outcome"])
SESSIONS = Gauge("rtcc_gateway_sessions", "Signed-in browsers.", ["agency"])


class CountedSessions(Protocol):
    """The session store."""

    async def count_sessions(self, scope: Scope) -> dict[str, int]: ...


async def measure_sessions(store: CountedSessions, certificate_file: str) -> None:
    """For ever. Agencies whose last session ended go to 0."""
    seen: set[str] = set()
    while True:
        note_certificate("door", certificate_file)
        try:
            counts = await store.count_sessions(Scope.platform("gateway"))
        except RtccError as error:
            _LOG.info("can't count sessions: %s", error.message)
        else:
            seen |= set(counts)
            for agency_id in seen:
                SESSIONS.labels(agency_id).set(counts.get(agency_id, 0))
        await asyncio.sleep(_EVERY_S)
