"""A batch of events becomes new and changed alerts: matched as a whole, decided in order, written in one transaction."""

import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import Counter, Histogram

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.event.v1 import event_pb2
from rtcc_alerting import rules
from rtcc_alerting.domain import PLATE_HIT, State
from rtcc_alerting.hot_list_index import Candidate, HotListIndex
from rtcc_alerting.messages import mark_changed, state_of
from rtcc_alerting.rules import PlateMatch, WantedEntry
from rtcc_chassis.clock import Clock
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)
_RAISED = Counter("rtcc_alerting_raised_total", "Alerts raised.", ["kind"])
_JOINED = Counter("rtcc_alerting_joined_total", "Events that joined an open alert.", ["kind"])
_LATE = Counter("rtcc_alerting_late_total", "Events too old to raise an alert: archived only.", ["kind"])
_DELAY = Histogram(
    "rtcc_alerting_delay_seconds",
    "From receipt of the event to its alert being written.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event that may raise or change an alert. `candidates` are the entries that a plate read fits."""

    event: event_pb2.Event
    candidates: tuple[Candidate, ...] = ()
    match: PlateMatch | None = None

    @property
    def group_key(self) -> str:
        return rules.plate_group(self.match) if self.match else rules.gunshot_group(self.event)

    @property
    def closes(self) -> bool:
        return self.match is None and rules.closes_incident(self.event)


@dataclass(slots=True)
class Outcome:
    """What a batch did: alerts by id, in the order in which they were touched, and the group of each."""

    new: dict[str, pb.Alert] = field(default_factory=dict)
    changed: dict[str, pb.Alert] = field(default_factory=dict)
    group_of: dict[str, str] = field(default_factory=dict)

    def note(self, alert: pb.Alert, group_key: str, *, new: bool) -> None:
        if new:
            self.new[alert.alert_id] = alert
        elif alert.alert_id not in self.new:
            self.changed[alert.alert_id] = alert
        self.group_of[alert.alert_id] = group_key


class BatchTransaction(Protocol):
    """One transaction of the alert store; nothing is visible before it ends."""

    async def entries(self, entry_numbers: Sequence[int], now: datetime) -> dict[int, WantedEntry]:
        """Those that are enabled and not expired."""
        ...

    async def lock_groups(self, triggers: Sequence[Trigger]) -> None:
        """Another instance that handles the same group waits for us."""
        ...

    async def claim(self, triggers: Sequence[Trigger]) -> set[str]:
        """The ids of events that were not handled before, and are now."""
        ...

    async def newest_of_groups(self, triggers: Sequence[Trigger]) -> dict[tuple[str, str], pb.Alert]:
        """By (agency, group): the newest alert, open or closed."""
        ...

    async def closed_groups(self, triggers: Sequence[Trigger]) -> set[tuple[str, str]]:
        """Groups that their sensor network closed."""
        ...

    async def save(self, outcome: Outcome) -> None:
        """Write and publish."""
        ...


class BatchStore(Protocol):
    """Where alerts are kept."""

    def batch(self, scope: Scope) -> AbstractAsyncContextManager[BatchTransaction]: ...


class ContextSource(Protocol):
    """What an alert carries."""

    def build(self, alert: pb.Alert, now: datetime) -> pb.AlertContext: ...


class Engine:
    """Rules over batches. Idempotent: an event that comes again changes nothing."""

    def __init__(self, store: BatchStore, index: HotListIndex, context: ContextSource, clock: Clock) -> None:
        self._store = store
        self._index = index
        self._context = context
        self._clock = clock

    async def handle(self, scope: Scope, events: Sequence[event_pb2.Event]) -> Outcome:
        """`scope`: the platform's; each event stays with its own agency's lists and alerts."""
        now = self._clock()
        triggers = self._triggers(events, now)
        if not triggers:
            return Outcome()
        async with self._store.batch(scope) as transaction:
            triggers = await _with_entries(transaction, triggers, now)
            if not triggers:
                return Outcome()
            await transaction.lock_groups(triggers)
            fresh = await transaction.claim(triggers)
            newest = await transaction.newest_of_groups(triggers)
            closed = await transaction.closed_groups(triggers)
            outcome = self._decide([trigger for trigger in triggers if trigger.event.event_id in fresh], newest, closed, now)
            await transaction.save(outcome)
        self._measure(outcome)
        return outcome

    def _triggers(self, events: Sequence[event_pb2.Event], now: datetime) -> list[Trigger]:
        triggers: list[Trigger] = []
        reads: list[event_pb2.Event] = []
        for event in events:
            if event.HasField("gunshot"):
                triggers.append(Trigger(event))
            elif event.HasField("plate_read"):
                if rules.is_late(event, now):
                    _LATE.labels(event.kind).inc()
                elif event.plate_read.plate:
                    reads.append(event)
        found: dict[int, list[Candidate]] = {}
        for candidate in self._index.match([(event.agency_id, event.plate_read.plate) for event in reads]):
            found.setdefault(candidate.read, []).append(candidate)
        triggers.extend(Trigger(reads[position], tuple(candidates)) for position, candidates in found.items())
        triggers.sort(key=lambda trigger: (trigger.event.received_at.ToNanoseconds(), trigger.event.event_id))
        return triggers

    def _decide(
        self, triggers: Sequence[Trigger], newest: dict[tuple[str, str], pb.Alert], closed: set[tuple[str, str]], now: datetime
    ) -> Outcome:
        outcome = Outcome()
        touched: dict[str, bool] = {}
        for trigger in triggers:
            group = (trigger.event.agency_id, trigger.group_key)
            alert = newest.get(group)
            if trigger.match is not None:
                raised, moved = _apply_read(alert, trigger.event, trigger.match, now)
            else:
                raised, moved = _apply_gunshot(alert, trigger.event, now, was_closed=group in closed)
            if raised is None:
                continue
            newest[group] = raised
            outcome.note(raised, trigger.group_key, new=raised is not alert)
            (_RAISED if raised is not alert else _JOINED).labels(raised.kind).inc()
            touched[raised.alert_id] = touched.get(raised.alert_id, False) or moved
        for alert_id, moved in touched.items():
            alert = outcome.new.get(alert_id) or outcome.changed[alert_id]
            if moved:
                alert.context.CopyFrom(self._context.build(alert, now))
            if alert_id in outcome.changed:
                mark_changed(alert, now)
        return outcome

    def _measure(self, outcome: Outcome) -> None:
        now = self._clock()
        for alert in outcome.new.values():
            _DELAY.observe(max(0.0, (now - alert.received_at.ToDatetime(UTC)).total_seconds()))


async def _with_entries(transaction: BatchTransaction, triggers: Sequence[Trigger], now: datetime) -> list[Trigger]:
    """Plate triggers get their best entry that still stands; those without one go."""
    wanted = sorted({candidate.entry_number for trigger in triggers for candidate in trigger.candidates})
    entries = await transaction.entries(wanted, now) if wanted else {}
    kept = []
    for trigger in triggers:
        if not trigger.candidates:
            kept.append(trigger)
            continue
        matches = [
            PlateMatch(entries[candidate.entry_number], candidate.exact)
            for candidate in trigger.candidates
            if candidate.entry_number in entries and entries[candidate.entry_number].agency_id == trigger.event.agency_id
        ]
        match = rules.best_match(trigger.event, matches)
        if match is not None:
            kept.append(Trigger(trigger.event, trigger.candidates, match))
    return kept


def _apply_read(alert: pb.Alert | None, event: event_pb2.Event, match: PlateMatch, now: datetime) -> tuple[pb.Alert | None, bool]:
    """(the alert raised or joined, whether its place changed)."""
    if alert is not None and alert.kind == PLATE_HIT and state_of(alert) is not State.CLOSED and rules.joins(alert, event):
        return alert, rules.add_read(alert, event, match)
    return rules.raise_plate_hit(event, match, now), True


def _apply_gunshot(alert: pb.Alert | None, event: event_pb2.Event, now: datetime, *, was_closed: bool) -> tuple[pb.Alert | None, bool]:
    if alert is not None:
        if state_of(alert) is State.CLOSED:
            return None, False
        rules.change_gunshot(alert, event)
        return alert, True
    if was_closed or rules.closes_incident(event):
        return None, False
    if rules.is_late(event, now):
        _LATE.labels(event.kind).inc()
        return None, False
    return rules.raise_gunshot(event, now), True
