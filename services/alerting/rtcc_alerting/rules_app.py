"""How an agency sets the rules that raise its alerts."""

import json
import math
from collections.abc import Iterable
from typing import Protocol

from google.protobuf.json_format import MessageToDict

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.domain import MEASUREMENT
from rtcc_alerting.rule_book import Zones
from rtcc_alerting.rule_table import BY_NAME, DESCRIPTIONS, URGENT_TIPS
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, NotFound, Violation
from rtcc_chassis.scope import Scope

_MOST_WORDS, _WORD_CHARACTERS = 100, 64
_MOST_ZONES = 200
_MOST_THRESHOLDS = 50


class StoredRules(Protocol):
    async def put(self, scope: Scope, rule: pb.AlertRule) -> pb.AlertRule | None: ...

    async def of_agency(self, scope: Scope) -> dict[str, pb.AlertRule]: ...


class RuleRefresh(Protocol):
    """Returns when the next event is held against the change."""

    async def refresh(self) -> None: ...


class RulesApp:
    """Rules."""

    def __init__(self, store: StoredRules, book: RuleRefresh, zones: Zones, clock: Clock) -> None:
        self._store = store
        self._book = book
        self._zones = zones
        self._clock = clock

    async def list_rules(self, scope: Scope) -> list[pb.AlertRule]:
        """Every rule in the order of the table, as the caller's agency set it."""
        stored = await self._store.of_agency(scope)
        touched(*(f"alert_rule:{name}" for name in DESCRIPTIONS))
        return [described(stored.get(name) or delivered(name)) for name in DESCRIPTIONS]

    async def set_rule(self, scope: Scope, wanted: pb.SetAlertRuleRequest) -> pb.AlertRule:
        """From the next event on. Alerts that stand already stay as they are."""
        rule = self._checked(scope, wanted)
        rule.changed_by_name = scope.display_name
        rule.changed_at.FromDatetime(self._clock())
        before = await self._store.put(scope, rule)
        touched(f"alert_rule:{rule.rule}", old_value=_as_json(before or delivered(rule.rule)), new_value=_as_json(rule))
        await self._book.refresh()
        return described(rule)

    def _checked(self, scope: Scope, wanted: pb.SetAlertRuleRequest) -> pb.AlertRule:
        row = BY_NAME.get(wanted.rule)
        if row is None:
            raise NotFound("alert rule", wanted.rule[:64])
        require_zones(self._zones, scope.agency_id, wanted.zone_ids)
        words = list(dict.fromkeys(word.strip().lower() for word in wanted.words))
        violations = []
        if wanted.severity > 4:
            violations.append(Violation("severity", "is 1 (life), 2 (urgent), 3 (caution) or 4 (information); 0: as the rule finds it"))
        if wanted.severity and not row.severity_settable:
            violations.append(Violation("severity", "of plate hits is set at each hot list"))
        if words and not row.words_settable:
            violations.append(Violation("words", f"the rule {row.name} has no words to choose from"))
        if len(words) > _MOST_WORDS or any(not 1 <= len(word) <= _WORD_CHARACTERS or not word.isprintable() for word in words):
            violations.append(Violation("words", f"at most {_MOST_WORDS} words of 1 to {_WORD_CHARACTERS} characters"))
        violations += _threshold_violations(row.name, wanted.thresholds)
        if violations:
            raise InvalidInput(violations)
        rule = pb.AlertRule(rule=row.name, enabled=wanted.enabled, severity=wanted.severity, zone_ids=wanted.zone_ids, words=words)
        for threshold in wanted.thresholds:
            rule.thresholds.add().CopyFrom(threshold)
            rule.thresholds[-1].quantity = threshold.quantity.strip().lower()
        return rule


def require_zones(zones: Zones, agency_id: str, zone_ids: Iterable[str]) -> None:
    """Raises NotFound for a zone that isn't the agency's."""
    chosen = list(zone_ids)
    if len(chosen) > _MOST_ZONES:
        raise InvalidInput.one("zone_ids", f"at most {_MOST_ZONES} zones")
    for zone_id in chosen:
        zone = zones.get(zone_id)
        if zone is None or zone.agency_id != agency_id:
            raise NotFound("zone", zone_id[:64])


def delivered(name: str) -> pb.AlertRule:
    """As it is before anybody set it."""
    default = BY_NAME[name].default
    return pb.AlertRule(rule=name, enabled=default.enabled, severity=default.severity, words=sorted(default.words))


def described(rule: pb.AlertRule) -> pb.AlertRule:
    row = BY_NAME[rule.rule]
    rule.description = DESCRIPTIONS[rule.rule]
    if rule.rule == "tip" and not rule.words:
        rule.description += f" As delivered: {', '.join(sorted({word.replace('_', ' ') for word in URGENT_TIPS}))}."
    rule.severity_settable, rule.words_settable = row.severity_settable, row.words_settable
    return rule


def _threshold_violations(name: str, thresholds: Iterable[pb.Threshold]) -> list[Violation]:
    violations, chosen = [], list(thresholds)
    if chosen and name != MEASUREMENT:
        violations.append(Violation("thresholds", "only measurements have thresholds"))
    if len(chosen) > _MOST_THRESHOLDS:
        violations.append(Violation("thresholds", f"at most {_MOST_THRESHOLDS}"))
    for number, threshold in enumerate(chosen[:_MOST_THRESHOLDS]):
        place = f"thresholds[{number}]"
        if not 1 <= len(threshold.quantity.strip()) <= _WORD_CHARACTERS:
            violations.append(Violation(f"{place}.quantity", f"must have 1 to {_WORD_CHARACTERS} characters"))
        bounds = [getattr(threshold, side) for side in ("above", "below") if threshold.HasField(side)]
        if not bounds:
            violations.append(Violation(place, "needs a bound: above, below or both"))
        if not all(math.isfinite(bound) for bound in bounds):
            violations.append(Violation(place, "a bound must be a finite number"))
        if len(bounds) == 2 and threshold.above < threshold.below:
            violations.append(Violation(place, f"above {threshold.above:g} and below {threshold.below:g} hold every value"))
    return violations


def _as_json(rule: pb.AlertRule) -> str:
    return json.dumps(MessageToDict(rule, preserving_proto_field_name=True), ensure_ascii=False)
