"""A batch of events becomes new and changed alerts.

Most alerts are new ones in a group without an open alert: those are decided beforehand and written by one statement that checks just
that. Every other event is decided in a transaction, in order, beside what is stored.
"""

import logging
from collections import Counter as Counting
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import Counter, Histogram

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.event.v1 import event_pb2
from rtcc_alerting import escalation, rules
from rtcc_alerting.domain import PLATE_HIT, State
from rtcc_alerting.escalation import Patience
from rtcc_alerting.findings import Finding, Near, RuleSetting
from rtcc_alerting.hot_list_index import Candidate, HotListIndex
from rtcc_alerting.messages import mark_changed, state_of
from rtcc_alerting.rule_table import BY_EVENT
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
# how many groups are remembered as calm, and how long: a sensor that says "normal" each second costs one look a minute
_CALM_MOST, _CALM_S = 20_000, 60.0

Group = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event that may raise or change an alert: by a finding, or as a read of a wanted plate (`candidates`, then `match`)."""

    event: event_pb2.Event
    finding: Finding | None = None
    severity: int = 0
    candidates: tuple[Candidate, ...] = ()
    match: PlateMatch | None = None

    @property
    def group_key(self) -> str:
        return rules.plate_group(self.match) if self.match else self.finding.group if self.finding else ""

    @property
    def group(self) -> Group:
        return self.event.agency_id, self.group_key

    @property
    def near(self) -> Near | None:
        return self.finding.near if self.finding else None

    @property
    def final(self) -> bool:
        return self.finding is not None and self.finding.final

    @property
    def raises(self) -> bool:
        return self.finding is None or self.finding.raises

    @property
    def calms(self) -> bool:
        """Says that all is well again: of no matter where nothing is open."""
        return self.finding is not None and bool(self.finding.ends) and not self.finding.final


@dataclass(slots=True)
class Outcome:
    """What a batch did: alerts by id, in the order in which they were touched, the group of each, and groups that are told by another's
    alert (alert id by group)."""

    new: dict[str, pb.Alert] = field(default_factory=dict)
    changed: dict[str, pb.Alert] = field(default_factory=dict)
    group_of: dict[str, str] = field(default_factory=dict)
    aliases: dict[Group, str] = field(default_factory=dict)

    def note(self, alert: pb.Alert, group_key: str, *, new: bool) -> None:
        if new:
            self.new[alert.alert_id] = alert
            self.group_of[alert.alert_id] = group_key
        elif alert.alert_id not in self.new:
            self.changed[alert.alert_id] = alert


@dataclass(slots=True)
class Standing:
    """What is stored about the groups of a batch: the newest alert of each, open or closed, those that closed for good, and by agency
    the open alerts that an event of another group may join."""

    newest: dict[Group, pb.Alert]
    closed: set[Group]
    near: dict[str, list[pb.Alert]]


class BatchTransaction(Protocol):
    """One transaction of the alert store; nothing is visible before it ends."""

    async def lock_groups(self, triggers: Sequence[Trigger]) -> None:
        """Another instance that handles the same group waits for us."""
        ...

    async def claim(self, triggers: Sequence[Trigger]) -> set[str]:
        """The ids of events that were not handled before, and are now."""
        ...

    async def standing(self, triggers: Sequence[Trigger], now: datetime) -> Standing: ...

    async def save(self, outcome: Outcome) -> None:
        """Write and publish."""
        ...


class BatchStore(Protocol):
    """Where alerts are kept."""

    def batch(self, scope: Scope) -> AbstractAsyncContextManager[BatchTransaction]: ...

    async def entries(self, scope: Scope, entry_numbers: Sequence[int], now: datetime) -> dict[int, WantedEntry]:
        """Those that are enabled and not expired."""
        ...

    async def raise_fresh(self, scope: Scope, alerts: Sequence[tuple[Trigger, pb.Alert]]) -> tuple[set[str], set[str]]:
        """Write and publish those whose event is new and whose group has no open alert: (event ids that are done, alert ids raised)."""
        ...


class ContextSource(Protocol):
    """What an alert carries."""

    def build(self, alert: pb.Alert, now: datetime) -> pb.AlertContext: ...


class Settings(Protocol):
    """How agencies set the rules."""

    def of(self, agency_id: str, rule: str) -> RuleSetting: ...

    def inside(self, setting: RuleSetting, event: event_pb2.Event) -> bool:
        """Whether the event is in one of the setting's zones, or it has none."""
        ...


class Engine:
    """Rules over batches. Idempotent: an event that comes again changes nothing."""

    def __init__(
        self, store: BatchStore, index: HotListIndex, context: ContextSource, settings: Settings, clock: Clock, patience: Patience
    ) -> None:
        self._store = store
        self._index = index
        self._context = context
        self._settings = settings
        self._clock = clock
        self._patience = patience
        self._calm: dict[Group, float] = {}

    async def handle(self, scope: Scope, events: Sequence[event_pb2.Event]) -> Outcome:
        """`scope`: the platform's; each event stays with its own agency's lists, rules and alerts."""
        now = self._clock()
        triggers = await self._with_entries(scope, self._triggers(events, now), now)
        if not triggers:
            return Outcome()
        outcome = Outcome()
        rest = await self._raise_fresh(scope, triggers, now, outcome)
        if rest:
            await self._decide_together(scope, rest, now, outcome)
        self._note_calm(triggers, now)
        self._measure(outcome)
        return outcome

    # -- what may raise or change an alert -----------------------------------------------------------------------------

    def _triggers(self, events: Sequence[event_pb2.Event], now: datetime) -> list[Trigger]:
        triggers: list[Trigger] = []
        reads: list[event_pb2.Event] = []
        for event in events:
            rule = BY_EVENT.get(event.kind)
            if rule is None:
                continue
            setting = self._settings.of(event.agency_id, rule.name)
            if not setting.enabled or not self._settings.inside(setting, event):
                continue
            if rule.classify is None:
                if rules.is_late(event, now):
                    _LATE.labels(event.kind).inc()
                elif event.plate_read.plate:
                    reads.append(event)
                continue
            finding = rule.classify(event, setting)
            if finding is None:
                continue
            trigger = Trigger(event, finding, setting.severity or finding.severity)
            if not self._is_calm(trigger, now):
                triggers.append(trigger)
        found: dict[int, list[Candidate]] = {}
        for candidate in self._index.match([(event.agency_id, event.plate_read.plate) for event in reads]):
            found.setdefault(candidate.read, []).append(candidate)
        triggers.extend(Trigger(reads[position], candidates=tuple(candidates)) for position, candidates in found.items())
        triggers.sort(key=lambda trigger: (trigger.event.received_at.ToNanoseconds(), trigger.event.event_id))
        return triggers

    async def _with_entries(self, scope: Scope, triggers: Sequence[Trigger], now: datetime) -> list[Trigger]:
        """Plate triggers get their best entry that still stands; those without one go."""
        wanted = sorted({candidate.entry_number for trigger in triggers for candidate in trigger.candidates})
        entries = await self._store.entries(scope, wanted, now) if wanted else {}
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
                kept.append(Trigger(trigger.event, candidates=trigger.candidates, match=match))
        return kept

    def _is_calm(self, trigger: Trigger, now: datetime) -> bool:
        """Whether "back to normal" is no news: this process looked a moment ago and nothing was open, or was closed by the same."""
        return trigger.calms and now.timestamp() - self._calm.get(trigger.group, 0.0) < _CALM_S

    def _note_calm(self, triggers: Sequence[Trigger], now: datetime) -> None:
        """After the fact: what failed comes again and must be looked at again."""
        for trigger in triggers:
            if not trigger.calms:
                self._calm.pop(trigger.group, None)
            elif len(self._calm) < _CALM_MOST:
                self._calm[trigger.group] = now.timestamp()
            else:
                self._calm.clear()

    # -- the short way -------------------------------------------------------------------------------------------------

    async def _raise_fresh(self, scope: Scope, triggers: Sequence[Trigger], now: datetime, outcome: Outcome) -> list[Trigger]:
        """Raise what is plainly new; the answer is what must be looked at in order."""
        often = Counting(trigger.group for trigger in triggers)
        plain = [trigger for trigger in triggers if often[trigger.group] == 1 and self._is_plain(trigger, now)]
        if not plain:
            return list(triggers)
        drafts = [(trigger, self._raised(trigger, now)) for trigger in plain]
        done, raised = await self._store.raise_fresh(scope, drafts)
        for trigger, alert in drafts:
            if alert.alert_id in raised:
                outcome.note(alert, trigger.group_key, new=True)
                _RAISED.labels(alert.kind).inc()
        return [trigger for trigger in triggers if trigger.event.event_id not in done]

    def _is_plain(self, trigger: Trigger, now: datetime) -> bool:
        finding = trigger.finding
        return finding is None or (
            finding.raises and finding.near is None and not finding.once and not finding.ends and not rules.is_late(trigger.event, now)
        )

    def _raised(self, trigger: Trigger, now: datetime) -> pb.Alert:
        if trigger.match is not None:
            alert = rules.raise_plate_hit(trigger.event, trigger.match, now)
        else:
            assert trigger.finding is not None
            alert = rules.raise_finding(trigger.event, trigger.finding, trigger.severity, now)
        alert.context.CopyFrom(self._context.build(alert, now))
        escalation.plan(alert, self._patience, now)
        return alert

    # -- in order ------------------------------------------------------------------------------------------------------

    async def _decide_together(self, scope: Scope, triggers: Sequence[Trigger], now: datetime, outcome: Outcome) -> None:
        decided = Outcome()
        async with self._store.batch(scope) as transaction:
            await transaction.lock_groups(triggers)
            standing = await transaction.standing(triggers, now)
            relevant = _relevant(triggers, standing)
            fresh = await transaction.claim(relevant) if relevant else set()
            self._decide([trigger for trigger in relevant if trigger.event.event_id in fresh], standing, now, decided)
            await transaction.save(decided)
        outcome.new.update(decided.new)
        outcome.changed.update(decided.changed)
        outcome.group_of.update(decided.group_of)

    def _decide(self, triggers: Iterable[Trigger], standing: Standing, now: datetime, outcome: Outcome) -> None:
        moved: dict[str, bool] = {}
        for trigger in triggers:
            before = standing.newest.get(trigger.group)
            alert, has_moved = self._joined(trigger, before, standing, outcome)
            if alert is None and self._may_raise(trigger, before, standing, now):
                alert, has_moved = self._raised(trigger, now), False
                outcome.note(alert, trigger.group_key, new=True)
                _RAISED.labels(alert.kind).inc()
                if trigger.near is not None:
                    standing.near.setdefault(trigger.event.agency_id, []).append(alert)
            if alert is None:
                continue
            standing.newest[trigger.group] = alert
            moved[alert.alert_id] = moved.get(alert.alert_id, False) or has_moved
        for alert_id, has_moved in moved.items():
            alert = outcome.new.get(alert_id) or outcome.changed[alert_id]
            if has_moved:
                alert.context.CopyFrom(self._context.build(alert, now))
            if alert_id in outcome.changed:
                mark_changed(alert, now)
            escalation.plan(alert, self._patience, now)

    def _joined(self, trigger: Trigger, before: pb.Alert | None, standing: Standing, outcome: Outcome) -> tuple[pb.Alert | None, bool]:
        """(the open alert that it belongs to, whether that has moved); None: to none."""
        event, finding = trigger.event, trigger.finding
        alert, has_moved = None, False
        if before is not None and state_of(before) is not State.CLOSED:
            if trigger.match is not None and before.kind == PLATE_HIT and rules.joins(before, event):
                alert, has_moved = before, rules.add_read(before, event, trigger.match)
            elif finding is not None and finding.kind == before.kind and rules.joins_in_time(before, event, finding):
                alert, has_moved = before, rules.join_finding(before, event, finding, trigger.severity)
        elif before is None and finding is not None and finding.near is not None:
            neighbours = [near for near in standing.near.get(event.agency_id, ()) if rules.is_near(near, event, finding.near)]
            alert = max(neighbours, key=lambda near: near.occurred_at.ToNanoseconds(), default=None)
            if alert is not None:
                has_moved = rules.join_neighbour(alert, event, finding, trigger.severity)
                outcome.aliases[trigger.group] = alert.alert_id
        if alert is not None:
            outcome.note(alert, trigger.group_key, new=False)
            _JOINED.labels(alert.kind).inc()
        return alert, has_moved

    def _may_raise(self, trigger: Trigger, before: pb.Alert | None, standing: Standing, now: datetime) -> bool:
        finding = trigger.finding
        if finding is not None:
            told_by_another = before is not None and state_of(before) is not State.CLOSED and before.kind != finding.kind
            if told_by_another or not finding.raises or trigger.group in standing.closed or (finding.once and before is not None):
                return False
        if rules.is_late(trigger.event, now):
            _LATE.labels(trigger.event.kind).inc()
            return False
        return True

    def _measure(self, outcome: Outcome) -> None:
        now = self._clock()
        for alert in outcome.new.values():
            _DELAY.observe(max(0.0, (now - alert.received_at.ToDatetime(UTC)).total_seconds()))


def _relevant(triggers: Sequence[Trigger], standing: Standing) -> list[Trigger]:
    """Without those that only could have closed or changed what isn't open: they leave no trace, however many a sensor sends."""
    raising = {trigger.group for trigger in triggers if trigger.raises}
    still_open = {group for group, alert in standing.newest.items() if state_of(alert) is not State.CLOSED}
    return [trigger for trigger in triggers if trigger.raises or trigger.final or trigger.group in raising | still_open]
