"""Everything that is audited, as it happens."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence

from rtcc.ledger.v1.ledger_pb2 import AuditEntry
from rtcc_chassis.bus import Bus
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.streams import AUDIT


class AuditWatch:
    """Follows the AUDIT stream from its beginning."""

    def __init__(self, bus: Bus) -> None:
        self.entries: list[AuditEntry] = []
        self._by_principal: defaultdict[str, list[AuditEntry]] = defaultdict(list)
        self._tail = bus.tail(AUDIT, ["audit.>"], self._take, start="all")
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        await self._tail.run()

    async def caught_up(self) -> None:
        await self._tail.caught_up()

    async def _take(self, deliveries: Sequence[Delivery]) -> None:
        async with self._changed:
            taken = [delivery.parse(AuditEntry) for delivery in deliveries]
            self.entries += taken
            for entry in taken:
                self._by_principal[entry.principal_id].append(entry)
            self._changed.notify_all()

    def by(self, principal_id: str) -> list[AuditEntry]:
        """What one principal did."""
        return list(self._by_principal[principal_id])

    async def find(
        self, wanted: Callable[[AuditEntry], bool], *, by: str | None = None, since: int = 0, deadline_s: float = 30.0
    ) -> AuditEntry:
        """The first entry that is wanted, waiting for it; AssertionError after the deadline.

        `by`: only what this principal did. Else `since`: only what came after so many `entries`. A proof's log grows to ten thousands.
        """
        looked_through, seen = (self.entries, since) if by is None else (self._by_principal[by], 0)
        try:
            async with asyncio.timeout(deadline_s), self._changed:
                while True:
                    for entry in looked_through[seen:]:
                        if wanted(entry):
                            return entry
                    seen = len(looked_through)
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not audited within {deadline_s} s ({len(looked_through)} entries seen)") from None
