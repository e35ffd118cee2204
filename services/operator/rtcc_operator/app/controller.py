"""Lists, watches, and works on one resource at a time until it is as declared."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol

from prometheus_client import Counter, Gauge, Histogram

from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_chassis.telemetry import span
from rtcc_operator.app.agencies import Outcome, reason_of
from rtcc_operator.app.ports import Absent, Cluster, Outdated, Resource, WatchExpired
from rtcc_operator.app.work_queue import Key, WorkQueue
from rtcc_operator.domain.conditions import QUOTA, READY, Condition, merged, summary
from rtcc_operator.domain.resources import FINALIZER, KINDS, Meta
from rtcc_operator.settings import OperatorSettings

_LOG = logging.getLogger(__name__)
_RECONCILES = Counter("rtcc_operator_reconciles_total", "Looks at a resource by what became of it.", ["kind", "outcome"])
_SECONDS = Histogram("rtcc_operator_reconcile_seconds", "Time of one look at a resource.", ["kind"])
_WATCHES = Counter("rtcc_operator_watches_total", "Watches begun, by why.", ["kind", "reason"])
_RESOURCES = Gauge("rtcc_operator_resources", "Resources by whether they are as declared.", ["kind", "ready"])


class Reconciler(Protocol):
    """Of one kind."""

    async def bring_about(self, resource: Resource) -> Outcome: ...

    async def take_away(self, resource: Resource) -> str: ...


class Controller:
    """`reconcilers` by plural name."""

    def __init__(self, cluster: Cluster, reconcilers: Mapping[str, Reconciler], settings: OperatorSettings, clock: Clock) -> None:
        self._cluster = cluster
        self._reconcilers = reconcilers
        self._settings = settings
        self._clock = clock
        self._queue = WorkQueue(settings.back_off_first_s, settings.back_off_longest_s)
        self._known: dict[str, dict[str, Resource]] = {plural: {} for plural in reconcilers}

    async def run(self) -> None:
        """For ever; cancel to stop."""
        async with asyncio.TaskGroup() as group:
            for plural in self._reconcilers:
                group.create_task(self._follow(plural))
            for _ in range(self._settings.workers):
                group.create_task(self._work())
            group.create_task(self._look_again())

    async def _follow(self, plural: str) -> None:
        """List once, then watch from there; a lost connection goes on at its place, an expired place lists again."""
        version, reason, attempt = "", "start", 0
        while True:
            try:
                if not version:
                    version = await self._list(plural)
                _WATCHES.labels(KINDS[plural], reason).inc()
                async for change in self._cluster.watch(plural, version):
                    version, attempt = change.resource_version or version, 0
                    if change.type != "BOOKMARK":
                        self._noticed(plural, change.type, change.resource)
                reason = "resumed"
            except WatchExpired:
                version, reason = "", "expired"
            except RtccError as error:
                attempt, reason = attempt + 1, "failed"
                _LOG.warning("watching %s: %s", plural, error.message)
                await asyncio.sleep(min(30.0, 0.2 * 2**attempt))

    async def _list(self, plural: str) -> str:
        resources, version = await self._cluster.list_all(plural)
        self._known[plural] = {Meta.of(resource).name: resource for resource in resources}
        self._count(plural)
        for name in self._known[plural]:
            self._queue.add((plural, name))
        return version

    def _noticed(self, plural: str, type_: str, resource: Resource) -> None:
        meta, known = Meta.of(resource), self._known[plural]
        before = known.get(meta.name)
        if type_ == "DELETED":
            known.pop(meta.name, None)
        else:
            known[meta.name] = resource
        self._count(plural)
        # our own writes of the status come back as changes of nothing that we act on
        if type_ == "DELETED" or before is None or _acted_on(before) != _acted_on(resource):
            self._queue.add((plural, meta.name))
        if plural == "agencies" and "sharingagreements" in self._known and (before is None or _is_ready(before) != _is_ready(resource)):
            for name, agreement in self._known["sharingagreements"].items():
                spec = agreement.get("spec") or {}
                if meta.name in (spec.get("grantor"), spec.get("grantee")):
                    self._queue.add(("sharingagreements", name))

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync_s)
            for plural, resources in self._known.items():
                for name in resources:
                    self._queue.add((plural, name))

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            began = time.perf_counter()
            try:
                with span(f"reconcile {KINDS[key[0]]}"):
                    finished, outcome = await self._reconcile(key)
            except Outdated:
                finished, outcome = False, "outdated"
            except RtccError as error:
                finished, outcome = False, "failed"
                _LOG.warning("%s %s: %s", KINDS[key[0]], key[1], error.message)
            except Exception:
                # a mistake of ours about one resource must not end the care for the others
                finished, outcome = False, "crashed"
                _LOG.exception("%s %s", KINDS[key[0]], key[1])
            finally:
                _SECONDS.labels(KINDS[key[0]]).observe(time.perf_counter() - began)
            _RECONCILES.labels(KINDS[key[0]], outcome).inc()
            if finished:
                self._queue.done(key)
            else:
                wait_s = self._queue.failed(key)
                _LOG.info("%s %s is looked at again in %.1f s (%s)", KINDS[key[0]], key[1], wait_s, outcome)

    async def _reconcile(self, key: Key) -> tuple[bool, str]:
        """(whether nothing is left to do, in a word what happened)."""
        plural, name = key
        try:
            resource = await self._cluster.get(plural, name)
        except Absent:
            return True, "gone"
        meta = Meta.of(resource)
        if meta.deleting:
            return await self._take_away(plural, resource, meta)
        if FINALIZER not in meta.finalizers:
            resource = await self._cluster.set_finalizers(plural, resource, [*meta.finalizers, FINALIZER])
        outcome = await self._reconcilers[plural].bring_about(resource)
        await self._note(plural, resource, outcome)
        ready = summary(_deciding(outcome.conditions))
        return outcome.final or ready.holds, "ready" if ready.holds else "not_ready"

    async def _take_away(self, plural: str, resource: Resource, meta: Meta) -> tuple[bool, str]:
        if FINALIZER not in meta.finalizers:
            return True, "gone"
        try:
            told = await self._reconcilers[plural].take_away(resource)
        except RtccError as error:
            await self._cluster.tell(meta, "Warning", "NotTakenAway", error.message)
            await self._note(plural, resource, Outcome((Condition("TakenAway", "False", reason_of(error), error.message),), {}))
            return False, "failed"
        await self._cluster.tell(meta, "Normal", "TakenAway", told)
        kept = [finalizer for finalizer in meta.finalizers if finalizer != FINALIZER]
        await self._cluster.set_finalizers(plural, resource, kept)
        return True, "taken_away"

    async def _note(self, plural: str, resource: Resource, outcome: Outcome) -> None:
        """Write the status when it says something new, and an event when Ready changes."""
        meta, before = Meta.of(resource), resource.get("status") or {}
        ready = summary(_deciding(outcome.conditions))
        conditions = merged(before.get("conditions") or (), [ready, *outcome.conditions], meta.generation, self._clock())
        status: dict[str, Any] = {**before, **outcome.facts, "observedGeneration": meta.generation, "conditions": conditions}
        if outcome.applied:
            status["appliedGeneration"] = meta.generation
        if status == before:
            return
        await self._cluster.set_status(plural, resource, status)
        old: Mapping[str, Any] = next((entry for entry in before.get("conditions") or () if entry.get("type") == READY), {})
        if (old.get("status"), old.get("reason")) != (ready.state, ready.reason):
            await self._cluster.tell(meta, "Normal" if ready.holds else "Warning", ready.reason, ready.message)

    def _count(self, plural: str) -> None:
        ready = sum(_is_ready(resource) for resource in self._known[plural].values())
        _RESOURCES.labels(KINDS[plural], "true").set(ready)
        _RESOURCES.labels(KINDS[plural], "false").set(len(self._known[plural]) - ready)


def _deciding(conditions: tuple[Condition, ...]) -> list[Condition]:
    """A quota that the store can't keep is said and doesn't hold anybody up."""
    return [condition for condition in conditions if condition.type != QUOTA]


def _acted_on(resource: Resource) -> tuple[Any, ...]:
    meta = Meta.of(resource)
    return meta.uid, meta.generation, meta.deleting, meta.finalizers, dict(meta.annotations)


def _is_ready(resource: Resource) -> bool:
    conditions = (resource.get("status") or {}).get("conditions") or ()
    return any(entry.get("type") == READY and entry.get("status") == "True" for entry in conditions)
