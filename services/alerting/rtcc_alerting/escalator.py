"""Severity 1 that nobody takes, and neighbours who take notice: changes of an alert that no person of its agency makes."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from prometheus_client import Counter

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc_alerting.escalation import EVERY_DESK, Patience, escalate
from rtcc_alerting.messages import mark_changed
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope

_LOG = logging.getLogger(__name__)
_ESCALATED = Counter("rtcc_alerting_escalated_total", "Escalations of alerts that nobody acknowledged in time.", ["level"])
_SWEEP_AT_ONCE = 200
_MOST_PARTNERS = 50


class Alerts(Protocol):
    async def change_alert(self, scope: Scope, alert_id: str, change: Callable[[pb.Alert], bool]) -> pb.Alert | None: ...

    async def due_escalations(self, scope: Scope, now: datetime, limit: int) -> list[str]: ...


class Escalator:
    """Idempotent: a level that was reached is not reached again, whoever asks (the timer's message, the sweep, another instance)."""

    def __init__(self, alerts: Alerts, clock: Clock, patience: Patience) -> None:
        for level in range(1, EVERY_DESK + 1):  # a series that isn't there yet can't be told from one that stopped
            _ESCALATED.labels(str(level))
        self._alerts = alerts
        self._clock = clock
        self._patience = patience
        self._scope = Scope.platform("alerting")

    async def look_at(self, alert_ids: Iterable[str]) -> None:
        """Escalate those that are due."""
        for alert_id in alert_ids:
            await self._alerts.change_alert(self._scope, alert_id, self._change)

    def _change(self, alert: pb.Alert) -> bool:
        now = self._clock()
        if not escalate(alert, self._patience, now):
            return False
        mark_changed(alert, now)
        _ESCALATED.labels(str(alert.escalation.level)).inc()
        return True

    async def sweep(self) -> None:
        """Everything that is due: the timers' backstop, and what fell due while this service was away."""
        while True:
            due = await self._alerts.due_escalations(self._scope, self._clock(), _SWEEP_AT_ONCE)
            await self.look_at(due)
            if len(due) < _SWEEP_AT_ONCE:
                return

    async def run(self, every_s: float) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self.sweep()
            except RtccError as error:
                _LOG.warning("escalations: waiting, %s", error)
            await asyncio.sleep(every_s)


class PartnerNotices:
    """What neighbours made of our alerts."""

    def __init__(self, alerts: Alerts, clock: Clock) -> None:
        self._alerts = alerts
        self._clock = clock

    async def acknowledged(self, grantor_agency_id: str, shared: SharedAlert) -> None:
        """A partner has taken notice of its copy: the alert says so, its state stays ours."""

        def change(alert: pb.Alert) -> bool:
            if alert.agency_id != grantor_agency_id or len(alert.partner_acknowledgements) >= _MOST_PARTNERS:
                return False
            if any(known.agency_id == shared.grantee_agency_id for known in alert.partner_acknowledgements):
                return False
            alert.partner_acknowledgements.add(
                agency_id=shared.grantee_agency_id,
                person_name=shared.acknowledged_by_name,
                acknowledged_at=shared.acknowledged_at,
                agreement_id=shared.agreement_id,
            )
            mark_changed(alert, self._clock())
            return True

        await self._alerts.change_alert(Scope.service("alerting", grantor_agency_id), shared.alert.alert_id, change)
