"""Fixes in: gathered for at most 100 ms over all devices, published acknowledged, and only then accepted and shown."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import Counter

from rtcc.location.v1 import location_pb2 as pb
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Exhausted, InvalidInput, RtccError
from rtcc_location.domain.fixes import FIXES_PER_MESSAGE, Fixes, checked_fixes
from rtcc_location.domain.live import FRESH, LATE, LiveState

FIXES = Counter("rtcc_location_fixes_total", "Fixes of devices by what became of them.", ["outcome"])


class Publisher(Protocol):
    """Where batches become durable."""

    async def publish(self, fresh: dict[str, Fixes], late: dict[str, Fixes]) -> None:
        """Fixes by agency. Durable when it returns; raises Unavailable or Exhausted."""


class Quarantine(Protocol):
    """Where an operator sees what was refused."""

    async def refused(self, unit: registry_pb2.Unit, fixes: Sequence[pb.Fix], reasons: Sequence[str]) -> None:
        """Bounded: not every refusal of a broken device is kept."""


@dataclass(slots=True)
class Taken:
    """What a device is told. `reasons` of the refused ones."""

    accepted: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Waiting:
    agency_id: str
    fixes: Fixes
    durable: "asyncio.Future[None]"


class Uplink:
    """One per process; `run` gathers and publishes."""

    def __init__(
        self, live: LiveState, publisher: Publisher, quarantine: Quarantine, clock: Clock, *, batch_s: float, waiting_most: int
    ) -> None:
        self._live = live
        self._publisher = publisher
        self._quarantine = quarantine
        self._clock = clock
        self._batch_s = batch_s
        self._waiting_most = waiting_most
        self._waiting: list[_Waiting] = []
        self._waiting_fixes = 0
        self._arrived = asyncio.Event()
        self._urgent = asyncio.Event()

    async def take(self, unit: registry_pb2.Unit, fixes: Sequence[pb.Fix]) -> Taken:
        """Check a message's fixes and wait until the good ones are durable. Fixes that are known already count as accepted."""
        if len(fixes) > FIXES_PER_MESSAGE:
            raise InvalidInput.one("fixes", f"{len(fixes)} in one message, at most {FIXES_PER_MESSAGE} are taken: send several messages")
        checked = checked_fixes(unit.unit_id, fixes, self._clock())
        if len(checked.fixes):
            await self._durable(unit.agency_id, checked.fixes)
        if checked.refused:
            await self._quarantine.refused(unit, checked.refused, checked.reasons)
        FIXES.labels("accepted").inc(len(checked.fixes))
        FIXES.labels("refused").inc(checked.rejected)
        return Taken(len(checked.fixes), checked.rejected, checked.reasons)

    async def keep(self, agency_id: str, fixes: Fixes) -> None:
        """Wait until fixes that were checked already are durable."""
        if len(fixes):
            await self._durable(agency_id, fixes)

    async def _durable(self, agency_id: str, fixes: Fixes) -> None:
        if self._waiting_fixes + len(fixes) > self._waiting_most:
            raise Exhausted("the number of fixes that wait to be stored", self._waiting_most)
        waiting = _Waiting(agency_id, fixes, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._waiting_fixes += len(fixes)
        self._arrived.set()
        if fixes.panic.any():
            self._urgent.set()
        await waiting.durable

    async def run(self) -> None:
        """Publish what gathers, for ever. One batch is under way at a time, so order per unit is kept."""
        while True:
            await self._arrived.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._batch_s):
                    await self._urgent.wait()
            await self._flush()

    async def drain(self) -> None:
        """Publish what is waiting now, before the process ends."""
        await self._flush()

    async def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        self._waiting_fixes = 0
        self._arrived.clear()
        self._urgent.clear()
        if not batch:
            return
        try:
            await self._publish(batch)
        except RtccError as error:
            for waiting in batch:
                _resolve(waiting.durable, error)
        except BaseException as error:
            for waiting in batch:
                waiting.durable.cancel()
            raise error
        else:
            for waiting in batch:
                _resolve(waiting.durable, None)

    async def _publish(self, batch: Sequence[_Waiting]) -> None:
        by_agency: dict[str, list[Fixes]] = {}
        for waiting in batch:
            by_agency.setdefault(waiting.agency_id, []).append(waiting.fixes)
        fresh: dict[str, Fixes] = {}
        late: dict[str, Fixes] = {}
        applied = []
        for agency_id, parts in by_agency.items():
            fixes = Fixes.joined(parts)
            rows = self._live.rows_of(fixes.unit_ids, [agency_id] * len(fixes))
            verdict, panic_up = self._live.judged(fixes, rows)
            new = (verdict == FRESH).nonzero()[0]
            if len(new):
                pressed = fixes.panic[new]
                fresh[agency_id] = fixes.with_panic(panic_up).rows(new)
                applied.append((fresh[agency_id], rows[new], pressed))
            old = (verdict == LATE).nonzero()[0]
            if len(old):
                late[agency_id] = fixes.rows(old)
        if fresh or late:
            await self._publisher.publish(fresh, late)
        for fixes, rows, pressed in applied:
            self._live.apply(fixes, rows, pressed)


def _resolve(future: "asyncio.Future[None]", error: RtccError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
