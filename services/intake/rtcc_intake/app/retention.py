"""Setting retention, holding what a case needs, and deleting what is due with a proof (R22)."""

import json
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby
from typing import Protocol

from prometheus_client import Counter

from rtcc_chassis.access import Access, AuditDraft, Outcome, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, NotFound
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.retention import new_hold_id, sweep
from rtcc_chassis.scope import Scope
from rtcc_intake.app.ports import Sources
from rtcc_intake.domain import NotUnderstood, normalise_plate
from rtcc_intake.retention import Deletion, DueEvent, RetentionHold, RetentionRule, check_hold, check_rule, proof_of

_BATCH = 500
_MOST_LISTED = 500
_DELETED = Counter("rtcc_intake_deleted_events_total", "Events deleted because their time was over (R22).", ["agency"])


class Batch(Protocol):
    """One transaction in which events are deleted."""

    async def due(self, now: datetime, limit: int) -> list[DueEvent]: ...

    async def images_of_others(self, images: Sequence[str], event_ids: Sequence[str]) -> set[str]: ...

    async def delete(self, events: Sequence[DueEvent], proofs: Sequence[Deletion]) -> None: ...


class Store(Protocol):
    """Rules, holds and proofs."""

    async def rules(self, scope: Scope) -> list[RetentionRule]: ...

    async def put_rule(self, scope: Scope, rule: RetentionRule) -> RetentionRule | None: ...

    async def holds(self, scope: Scope, *, released: bool) -> list[RetentionHold]: ...

    async def add_hold(self, scope: Scope, hold: RetentionHold) -> RetentionHold: ...

    async def release_hold(self, scope: Scope, hold_id: str, now: datetime) -> RetentionHold | None: ...

    async def deletions(self, scope: Scope, limit: int) -> list[Deletion]: ...

    async def agencies_with_rules(self, scope: Scope) -> list[str]: ...

    def deleting(self, scope: Scope) -> AbstractAsyncContextManager[Batch]: ...


class Leftovers(Protocol):
    """What an event leaves outside of the archive. Removing it again is harmless."""

    async def erase_messages(self, sequences: Collection[int]) -> None: ...

    async def remove_image(self, scope: Scope, agency_id: str, key: str) -> None: ...


class Retention:
    """Rules and holds are an agency's own; the sweep works for one agency at a time."""

    def __init__(self, store: Store, sources: Sources, leftovers: Leftovers, access: Access, clock: Clock) -> None:
        self._store = store
        self._sources = sources
        self._leftovers = leftovers
        self._access = access
        self._clock = clock

    async def list_all(self, scope: Scope, *, released: bool) -> tuple[list[RetentionRule], list[RetentionHold]]:
        rules, holds = await self._store.rules(scope), await self._store.holds(scope, released=released)
        touched(*(f"retention:{hold.hold_id}" for hold in holds))
        return rules, holds

    async def set_rule(self, scope: Scope, rule: RetentionRule) -> RetentionRule:
        """`keep_s` 0: no rule any more, so nothing of it is deleted."""
        check_rule(rule)
        self._require_own(scope, rule.source_id)
        wanted = replace(rule, changed_at=self._clock(), changed_by=scope.principal_id)
        before = await self._store.put_rule(scope, wanted)
        touched(f"source:{rule.source_id}" if rule.source_id else "", old_value=_json(before), new_value=_json(wanted))
        return wanted

    async def place_hold(self, scope: Scope, hold: RetentionHold) -> RetentionHold:
        """In force before the answer: what a sweep hasn't deleted until now stays."""
        identifier = new_hold_id("hold", scope, hold.hold_id)
        wanted = replace(
            hold,
            hold_id=identifier,
            reason=hold.reason.strip(),
            plate=_plate(hold.plate),
            placed_at=self._clock(),
            placed_by=scope.principal_id,
        )
        check_hold(wanted)
        self._require_own(scope, hold.source_id)
        stored = await self._store.add_hold(scope, wanted)
        touched(f"retention:{stored.hold_id}", new_value=_json(stored))
        return stored

    async def release_hold(self, scope: Scope, hold_id: str) -> RetentionHold:
        stored = await self._store.release_hold(scope, hold_id, self._clock())
        if stored is None:
            raise NotFound("hold", hold_id)
        touched(f"retention:{hold_id}", new_value=_json(stored))
        return stored

    async def deletions(self, scope: Scope, limit: int) -> list[Deletion]:
        found = await self._store.deletions(scope, min(limit or 50, _MOST_LISTED))
        touched(*(f"deletion:{one.deletion_id}" for one in found))
        return found

    async def run(self, every_s: float) -> None:
        """For ever: delete what is due."""
        await sweep(every_s, lambda: self._store.agencies_with_rules(Scope.platform("intake")), self.delete_due, _BATCH)

    async def delete_due(self, agency_id: str) -> int:
        """One batch; how many events are gone.

        The message in the stream and the picture go first: after a crash in between the event is found again and the rest follows.
        The audit entry is durable before the transaction ends.
        """
        scope, now = Scope.service("intake", agency_id), self._clock()
        async with self._store.deleting(scope) as batch:
            events = await batch.due(now, _BATCH)
            if not events:
                return 0
            await self._leftovers.erase_messages([event.stream_sequence for event in events if event.stream_sequence is not None])
            images = sorted({event.image_object for event in events if event.image_object})
            kept = await batch.images_of_others(images, [event.event_id for event in events]) if images else set()
            for key in images:
                if key not in kept:
                    await self._leftovers.remove_image(scope, agency_id, key)
            ordered = sorted(events, key=_rule_of)
            proofs = [proof_of(new_id(), found[0].rule, found, now) for found in (list(same) for _, same in groupby(ordered, _rule_of))]
            await batch.delete(events, proofs)
            await self._access.record_many([_entry(scope, one) for one in proofs])
        _DELETED.labels(agency_id).inc(len(events))
        return len(events)

    def _require_own(self, scope: Scope, source_id: str) -> None:
        if not source_id:
            return
        source = self._sources.get(source_id)
        if source is None or source.agency_id != scope.agency_id:
            raise NotFound("source", source_id)


def _plate(text: str) -> str:
    try:
        return normalise_plate(text) if text else ""
    except NotUnderstood as error:
        raise InvalidInput.one("hold.plate", error.reason) from error


def _rule_of(event: DueEvent) -> tuple[str, str]:
    return event.rule.source_id, event.rule.kind


def _entry(scope: Scope, deletion: Deletion) -> AuditDraft:
    told = {
        "digest": deletion.digest,
        "events": deletion.events,
        "keep_s": deletion.rule.keep_s,
        "kind": deletion.rule.kind,
        "source_id": deletion.rule.source_id,
        "newest_received_at": deletion.newest_received_at.isoformat(),
    }
    return AuditDraft(
        action="retention.delete",
        place="intake: retention",
        outcome=Outcome.ALLOWED,
        scope=scope,
        reason=f"{deletion.events} events older than their rule allows (R22)",
        object_ids=(f"deletion:{deletion.deletion_id}",),
        owner_agency_id=scope.agency_id,
        new_value=json.dumps(told, sort_keys=True),
        occurred_at=deletion.deleted_at,
    )


def _json(value: RetentionRule | RetentionHold | None) -> str:
    return json.dumps(asdict(value), sort_keys=True, default=str, ensure_ascii=False) if value is not None else ""
