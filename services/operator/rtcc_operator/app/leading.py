"""One leader at a time, decided by a Lease (coordination.k8s.io/v1, as client-go's leaderelection does it).

Clocks of machines differ, so a lease is old when *we* saw no change of it for its whole duration.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from prometheus_client import Gauge

from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_operator.app.ports import Cluster, LeaseRecord
from rtcc_operator.settings import OperatorSettings

_LOG = logging.getLogger(__name__)
LEADER = Gauge("rtcc_operator_leader", "1 while this process carries out resources.")


class Leading:
    """Runs `work` while we lead, cancels it when we don't any more, and stands for election again."""

    def __init__(self, cluster: Cluster, settings: OperatorSettings, identity: str, clock: Clock) -> None:
        self._cluster = cluster
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._seen: LeaseRecord | None = None
        self._seen_at = 0.0
        self.leading = asyncio.Event()

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """For ever; cancelled while leading, the lease is given back. An error of `work` is ours."""
        while True:
            await self._until_elected()
            _LOG.info("%s leads", self._identity)
            task = asyncio.ensure_future(work())
            renewing = asyncio.ensure_future(self._renew())
            self._set(True)
            try:
                await asyncio.wait([task, renewing], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._set(False)
                task.cancel()
                renewing.cancel()
                results = await asyncio.gather(task, renewing, return_exceptions=True)
                if not isinstance(results[1], RtccError):
                    await self._give_back()
            if isinstance(results[0], Exception):
                raise results[0]
            _LOG.warning("%s leads no more: the lease could not be renewed", self._identity)

    def _set(self, leading: bool) -> None:
        LEADER.set(1 if leading else 0)
        if leading:
            self.leading.set()
        else:
            self.leading.clear()

    async def _until_elected(self) -> None:
        while True:
            try:
                if await self._try():
                    return
            except RtccError as error:
                _LOG.info("the lease can't be had now: %s", error.message)
            # everybody at another moment
            await asyncio.sleep(self._settings.lease_retry_s * (1 + 0.2 * random.random()))

    async def _renew(self) -> None:
        """Until it could not be renewed within the deadline; then the last error."""
        renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(self._settings.lease_retry_s)
            try:
                async with asyncio.timeout(self._settings.lease_renew_deadline_s):
                    if not await self._try():
                        raise LostLease(self._identity)
                renewed_at = time.monotonic()
            except LostLease:
                raise
            except (RtccError, TimeoutError) as error:
                _LOG.warning("the lease could not be renewed: %s", error)
                if time.monotonic() - renewed_at > self._settings.lease_renew_deadline_s:
                    raise LostLease(self._identity) from error

    async def _try(self) -> bool:
        """Take or renew it. False while somebody else has it. Raises Outdated when another was faster."""
        now, found = self._clock(), await self._cluster.lease(self._settings.lease_name)
        if found is None:
            found = LeaseRecord("", self._settings.lease_duration_s, None, None, 0, "")
        if self._seen is None or self._seen.version != found.version:
            self._seen, self._seen_at = found, time.monotonic()
        ours = found.holder == self._identity
        if found.holder and not ours and time.monotonic() - self._seen_at < found.duration_s:
            return False
        wanted = replace(
            found,
            holder=self._identity,
            duration_s=self._settings.lease_duration_s,
            acquired_at=found.acquired_at if ours else now,
            renewed_at=now,
            transitions=found.transitions if ours or not found.version else found.transitions + 1,
        )
        self._seen, self._seen_at = await self._cluster.put_lease(self._settings.lease_name, wanted), time.monotonic()
        return True

    async def _give_back(self) -> None:
        """So that the next one needs not wait for its end."""
        try:
            found = await self._cluster.lease(self._settings.lease_name)
            if found is not None and found.holder == self._identity:
                await self._cluster.put_lease(self._settings.lease_name, replace(found, holder="", renewed_at=self._clock()))
        except RtccError as error:
            _LOG.info("the lease stays until its end: %s", error.message)


class LostLease(RtccError):
    """Somebody else may lead now."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"{identity} holds the lease no more.")
