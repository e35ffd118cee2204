"""Severity 1 that nobody takes is escalated, each level once, whatever crashes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc_alerting.escalation import Patience, escalate, next_at, plan
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.testing import TestPlatform, poll

from .conftest import OPERATOR, Alerting, gunshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_supervisors_after_thirty_seconds_and_every_desk_after_sixty() -> None:
    alert, patience = pb.Alert(severity=1, state=pb.ALERT_STATE_NEW), Patience()
    plan(alert, patience, NOW)
    assert not escalate(alert, patience, _after(29.9))
    assert escalate(alert, patience, _after(30)) and alert.escalation.level == 1
    plan(alert, patience, _after(31))
    assert not escalate(alert, patience, _after(59.9))
    assert escalate(alert, patience, _after(60)) and alert.escalation.level == 2
    plan(alert, patience, _after(61))
    assert next_at(alert) is None and not escalate(alert, patience, _after(3600))


def test_an_acknowledged_alert_is_not_escalated_and_keeps_what_was() -> None:
    alert, patience = pb.Alert(severity=1, state=pb.ALERT_STATE_NEW), Patience()
    plan(alert, patience, NOW)
    escalate(alert, patience, _after(30))
    alert.state = pb.ALERT_STATE_ACKNOWLEDGED
    plan(alert, patience, _after(31))
    assert (alert.escalation.level, next_at(alert)) == (1, None)
    assert not escalate(alert, patience, _after(90))


@given(st.lists(st.tuples(st.floats(0, 50), st.sampled_from(["look", "worse", "better", "taken"])), max_size=20))
def test_the_level_never_falls_and_nothing_waits_on_a_calm_alert(steps: list[tuple[float, str]]) -> None:
    alert, patience, at, level = pb.Alert(severity=2, state=pb.ALERT_STATE_NEW), Patience(), 0.0, 0
    for seconds, step in steps:
        at += seconds
        if step == "worse":
            alert.severity = 1
        elif step == "better":
            alert.severity = 3
        elif step == "taken":
            alert.state = pb.ALERT_STATE_ACKNOWLEDGED
        plan(alert, patience, _after(at))
        escalate(alert, patience, _after(at))
        assert 0 <= level <= alert.escalation.level <= 2
        level = alert.escalation.level
        assert (next_at(alert) is not None) == (alert.severity == 1 and alert.state == pb.ALERT_STATE_NEW and level < 2)


async def _taken_at_once(alerting: Alerting, incident_id: str) -> pb.Alert:
    """A gunshot that is acknowledged before its time is over; on a slow machine not the first one."""
    await alerting.publish(gunshot(incident_id, "new"))
    found = await alerting.until(lambda alerts: any(one.event.gunshot.incident_id == incident_id for one in alerts))
    alert_id = next(one.alert_id for one in found if one.event.gunshot.incident_id == incident_id)
    answer = await alerting.stub.AcknowledgeAlert(pb.AcknowledgeAlertRequest(alert_id=alert_id), metadata=alerting.as_(OPERATOR))
    alert = pb.Alert.FromString(answer.alert.SerializeToString())
    return alert if not alert.escalation.level else await _taken_at_once(alerting, f"{incident_id} again")


@pytest.mark.usefixtures("short_patience")
async def test_timers_escalate_what_nobody_takes_and_spare_what_somebody_did(alerting: Alerting) -> None:
    # the service's sweep comes each 60 s: what comes in time comes from the timers
    await alerting.publish(gunshot("g1", "new"))
    (alert,) = await alerting.until(lambda alerts: [one.escalation.level for one in alerts] == [2])
    taken = await _taken_at_once(alerting, "g2")

    async def timers_are_gone() -> bool:
        info = await alerting.context.bus.jetstream.stream_info("TIMERS", subjects_filter="timer.wait.>")
        return not info.state.subjects

    await poll(timers_are_gone)
    levels = {a.alert_id: a.escalation.level for a in await alerting.list_()}
    assert (levels[alert.alert_id], levels[taken.alert_id]) == (2, 0)

    async def told() -> bool:
        published = [one for one in alerting.published if one.alert_id == alert.alert_id]
        assert all(one.escalation.HasField("next_at") for one in published[:2])
        return [(one.revision, one.escalation.level) for one in published] == [(1, 0), (2, 1), (3, 2)]

    await poll(told)


async def test_a_partners_acknowledgement_is_shown_on_our_alert_once(alerting: Alerting) -> None:
    await alerting.publish(gunshot("g1", "new"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    notice = SharedAlert(alert=alert, agreement_id="agreement", grantee_agency_id="west", acknowledged_by_name="Dora D")
    notice.acknowledged_at.FromDatetime(datetime.now(UTC))
    bus = alerting.context.bus
    for subject in ("shared.east.acknowledged", "shared.east.acknowledged", "shared.west.acknowledged"):
        # the last one: an agency can't speak of an alert that isn't its own
        await bus.publish(subject, notice, message_id=new_id(), agency_id="west")
    (after,) = await alerting.until(lambda alerts: bool(alerts and alerts[0].partner_acknowledgements))
    assert [(p.agency_id, p.person_name, p.agreement_id) for p in after.partner_acknowledgements] == [("west", "Dora D", "agreement")]
    assert after.state == pb.ALERT_STATE_NEW

    async def handled() -> bool:
        info = await bus.jetstream.consumer_info("SHARED", "alerting-partners")
        return info.num_pending == 0 and info.num_ack_pending == 0

    await poll(handled)
    assert len((await alerting.list_())[0].partner_acknowledgements) == 1


@pytest.mark.usefixtures("short_patience")
async def test_what_fell_due_while_the_service_was_dead_is_escalated_by_the_next_life(small_platform: TestPlatform) -> None:
    from rtcc_chassis.streams import event_subject
    from rtcc_chassis.testing import free_port

    await small_platform.servers.s3_endpoint()
    context = await small_platform.context("alerting")
    first = await small_platform.start_process("alerting", free_port())
    event = gunshot("g1", "new")
    await context.bus.publish(event_subject("east", "gunshot"), event, message_id=event.event_id, agency_id="east")
    seen: list[pb.Alert] = []

    async def collect(deliveries: list) -> None:  # type: ignore[type-arg] # deliveries of the bus
        seen.extend(delivery.parse(pb.Alert) for delivery in deliveries)

    from rtcc_chassis.streams import ALERTS

    context.lifecycle.spawn(context.bus.tail(ALERTS, ["alert.>"], collect, start="all").run(), "test tail")

    async def raised() -> bool:
        return bool(seen)

    await poll(raised, deadline_s=30)
    first.kill()
    first.wait()
    # the timer fires while nobody is there to hear it
    second = await small_platform.start_process("alerting", free_port())

    async def every_desk() -> bool:
        return seen[-1].escalation.level == 2

    await poll(every_desk, deadline_s=30)
    second.kill()
    assert [alert.revision for alert in seen] == list(range(1, len(seen) + 1))
