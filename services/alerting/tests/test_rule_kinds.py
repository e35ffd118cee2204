"""Events of every kind become alerts as the table says, grouped, and as the agency set it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.event.v1 import event_pb2
from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc.registry.v1.registry_pb2 import Camera, Zone
from rtcc.video.v1 import video_pb2
from rtcc_alerting.engine import Standing, Trigger
from rtcc_alerting.store import AlertBatch
from rtcc_chassis.errors import Unavailable
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import directory_subject, position_subject
from rtcc_chassis.testing import poll

from .conftest import NEIGHBOUR, OPERATOR, Alerting, gunshot

HERE = (60.17, 24.94)


def event(
    kind: str, *, place: tuple[float, float] | None = HERE, seconds_ago: float = 0.0, agency_id: str = "east", **body: Any
) -> event_pb2.Event:
    """`body`: the fields of the body of this kind."""
    message = event_pb2.Event(event_id=new_id(), agency_id=agency_id, source_id="source", kind=kind)
    getattr(message, kind).MergeFrom(type(getattr(message, kind))(**body))
    getattr(message, kind).SetInParent()
    if place is not None:
        message.position.coordinate.latitude_deg, message.position.coordinate.longitude_deg = place
    now = datetime.now(UTC)
    message.occurred_at.FromDatetime(now - timedelta(seconds=seconds_ago))
    message.received_at.FromDatetime(now)
    return message


def shots_call(call_id: str, *, place: tuple[float, float] = HERE, seconds_ago: float = 0.0, status: str = "new") -> event_pb2.Event:
    return event(
        "call_for_service", place=place, seconds_ago=seconds_ago, call_id=call_id, call_type="SHOTS FIRED", status=status,
        address="Main 1", narrative="I heard three shots", caller_number="+358401234567",
    )  # fmt: skip


async def put_zone(alerting: Alerting, zone_id: str, south: float, north: float, agency_id: str = "east") -> None:
    corners = [
        Coordinate(latitude_deg=latitude, longitude_deg=longitude)
        for latitude, longitude in ((south, 24), (south, 25), (north, 25), (north, 24))
    ]
    zone = Zone(zone_id=zone_id, agency_id=agency_id, name=zone_id, area=Polygon(corners=corners))
    await alerting.context.bus.publish(directory_subject("zone", agency_id, zone_id), zone, message_id=new_id(), agency_id=agency_id)
    mirror = alerting.context.directory.mirror("zone", Zone)

    async def known() -> bool:
        return mirror.get(zone_id) is not None

    await poll(known)


async def set_rule(alerting: Alerting, rule: str, **fields: Any) -> pb.AlertRule:
    request = pb.SetAlertRuleRequest(rule=rule, enabled=fields.pop("enabled", True), **fields)
    answer = await alerting.stub.SetAlertRule(request, metadata=alerting.as_(OPERATOR))
    return pb.AlertRule.FromString(answer.rule.SerializeToString())


async def test_every_kind_of_event_raises_its_alert_with_its_severity(alerting: Alerting) -> None:
    identity = {"manufacturer": "DJI", "model": "Mini 4", "serial_number": "1581F45T7221K00B"}
    await alerting.publish(
        event("alarm", alarm_id="a1", alarm_type="panic", state=event_pb2.ALARM_STATE_ACTIVE, site_name="Bank", zone="Counter"),
        event("alarm", alarm_id="a2", alarm_type="burglary", state=event_pb2.ALARM_STATE_ACTIVE, site_name="School"),
        event("alarm", alarm_id="a3", alarm_type="panic", state=event_pb2.ALARM_STATE_TEST, site_name="Test"),
        event(
            "warning", warning_id="w1", sender="met", status="Actual", message_type=event_pb2.WARNING_MESSAGE_TYPE_ALERT,
            urgency="Immediate", severity="Extreme", certainty="Observed", headline="Tornado",
        ),
        event("warning", warning_id="w2", sender="met", status="Exercise", urgency="Immediate", severity="Extreme"),
        event("measurement", sensor_id="s1", sensor_name="Basement", quantity="smoke", value=3, level=event_pb2.MEASUREMENT_LEVEL_CRITICAL),
        event("measurement", sensor_id="s2", quantity="smoke", value=0, level=event_pb2.MEASUREMENT_LEVEL_NORMAL),
        event("tip", reference_code="T-1", category="Threat", text="he has a gun", contact="me@example.org", photo_object="p.jpg"),
        event("tip", reference_code="T-2", category="parking", text="a car"),
        event("drone_alarm", track_id="t", visit_id="v", zone_id="z", zone_name="Stadium", identity=identity),
        event("marker", uid="tak-1", call_sign="4A12", emergency="911 Alert"),
        event("marker", uid="tak-2", call_sign="4A13"),
    )  # fmt: skip
    alerts = await alerting.until(lambda alerts: len(alerts) == 7)
    assert {(alert.kind, alert.severity, alert.title) for alert in alerts} == {
        ("alarm", 1, "Panic alarm · Bank · Counter"),
        ("alarm", 2, "Burglar alarm · School"),
        ("warning", 1, "Tornado"),
        ("measurement", 2, "Basement · smoke 3"),
        ("tip", 2, "Urgent tip: threat · T-1"),
        ("drone", 2, "Drone in Stadium · DJI Mini 4 · 1581F45T7221K00B"),
        ("officer_emergency", 1, "Officer emergency · 4A12 · 911 Alert"),
    }
    tip = next(alert for alert in alerts if alert.kind == "tip")
    # who may read alerts need not be allowed to read tips
    assert (tip.event.tip.text, tip.event.tip.contact, tip.event.tip.photo_object) == ("", "", "")


async def test_stages_of_an_alarm_are_one_alert_and_its_end_is_told(alerting: Alerting) -> None:
    fields = {"alarm_id": "a1", "alarm_type": "burglary", "site_name": "School"}
    await alerting.publish(event("alarm", state=event_pb2.ALARM_STATE_ACTIVE, **fields))
    await alerting.until(lambda alerts: len(alerts) == 1)
    await alerting.publish(event("alarm", state=event_pb2.ALARM_STATE_RESTORED, **fields))
    (alert,) = await alerting.until(lambda alerts: [a.signals for a in alerts] == [2])
    assert alert.title.endswith("restored") and alert.state == pb.ALERT_STATE_NEW
    await alerting.publish(
        event("alarm", state=event_pb2.ALARM_STATE_RESTORED, **fields | {"alarm_id": "nothing before"}), gunshot("g", "new")
    )
    alerts = await alerting.until(lambda alerts: len(alerts) == 2)
    assert {a.kind for a in alerts} == {"alarm", "gunshot"}


async def test_a_measurement_back_to_normal_closes_and_a_new_breach_raises_anew(alerting: Alerting) -> None:
    await set_rule(alerting, "measurement", thresholds=[pb.Threshold(quantity="Water_Level", above=2.0)])
    for value in (1.0, 2.5, 2.6):
        await alerting.publish(event("measurement", sensor_id="s", sensor_name="Gauge", quantity="water_level", value=value, unit="m"))
    (alert,) = await alerting.until(lambda alerts: [a.signals for a in alerts] == [2])
    assert (alert.title, alert.severity) == ("Gauge · water level 2.6 m", 3)
    await alerting.publish(event("measurement", sensor_id="s", quantity="water_level", value=1.9, unit="m"))
    await alerting.until(lambda alerts: not alerts)
    (closed,) = await alerting.list_(include_closed=True)
    assert (closed.outcome, closed.note) == ("resolved", "Back to normal: water level 1.9 m.")
    await alerting.publish(event("measurement", sensor_id="s", quantity="water_level", value=3.0, unit="m"))
    await alerting.until(lambda alerts: len(alerts) == 1)


async def test_a_cancelled_warning_closes_and_a_later_update_stays_quiet(alerting: Alerting) -> None:
    fields = {"warning_id": "w", "sender": "met", "status": "Actual", "urgency": "Expected", "severity": "Severe", "event_name": "Flood"}
    await alerting.publish(event("warning", message_type=event_pb2.WARNING_MESSAGE_TYPE_ALERT, **fields))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert (alert.severity, alert.title) == (3, "Flood")
    await alerting.publish(event("warning", message_type=event_pb2.WARNING_MESSAGE_TYPE_CANCEL, **fields))
    await alerting.until(lambda alerts: not alerts)
    await alerting.publish(event("warning", message_type=event_pb2.WARNING_MESSAGE_TYPE_UPDATE, **fields), gunshot("g", "new"))
    (other,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert other.kind == "gunshot"


@pytest.mark.parametrize("sensor_first", [True, False])
async def test_a_gunshot_and_a_call_nearby_are_one_alert_whichever_comes_first(alerting: Alerting, sensor_first: bool) -> None:
    first, second = gunshot("g1", "new"), shots_call("c1", place=(60.1712, 24.94))
    if not sensor_first:
        first, second = second, first
    await alerting.publish(first)
    (before,) = await alerting.until(lambda alerts: len(alerts) == 1)
    await alerting.publish(second)
    (alert,) = await alerting.until(lambda alerts: [a.signals for a in alerts] == [2])
    assert (alert.alert_id, alert.kind, alert.severity, alert.title) == (before.alert_id, "gunshot", 1, "Gunshot · 4 rounds")
    # what an agreement on gunshots shares holds nothing of the caller
    assert alert.event.HasField("gunshot")
    assert [(joined.kind, joined.title) for joined in alert.joined_events] == [
        ("call_for_service", "Shots fired, told by a caller · Main 1")
    ]
    # later stages of both find the same alert
    await alerting.publish(shots_call("c1", status="closed"), gunshot("g1", "reclassified", "other"))
    (after,) = await alerting.until(lambda alerts: [a.severity for a in alerts] == [2])
    assert (after.alert_id, after.signals) == (before.alert_id, 3)


async def test_too_far_or_too_late_is_another_alert_and_two_callers_are_one(alerting: Alerting) -> None:
    await alerting.publish(gunshot("g1", "new"))
    await alerting.publish(
        shots_call("far", place=(60.1722, 24.94)), shots_call("earlier", seconds_ago=125), shots_call("far again", place=(60.1723, 24.94))
    )
    alerts = await alerting.until(lambda alerts: len(alerts) == 3 and sum(a.signals for a in alerts) == 4)
    assert sorted((a.kind, a.signals) for a in alerts) == [("gunshot", 1), ("shots_fired_call", 1), ("shots_fired_call", 2)]
    # who may read alerts need not know who called
    assert all(not a.event.call_for_service.caller_number for a in alerts)


async def test_a_press_of_the_panic_button_is_one_alert_however_many_fixes_say_so(alerting: Alerting) -> None:
    bus, now_us = alerting.context.bus, int(datetime.now(UTC).timestamp() * 1e6)

    async def fixes(second: int, *, panic: bool) -> None:
        batch = PositionBatch(
            agency_id="east", unit_ids=["calm", "unit-1"], latitude_e7=[601700000] * 2, longitude_e7=[249400000] * 2,
            heading_cdeg=[36000] * 2, speed_cmps=[0] * 2, accuracy_dm=[0] * 2, fixed_at_us=[now_us + second * 1_000_000] * 2,
            received_at_us=[now_us] * 2, panic=[False, panic],
        )  # fmt: skip
        await bus.publish(position_subject("east"), batch, message_id=new_id(), agency_id="east")

    for second in range(3):
        await fixes(second, panic=True)
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert (alert.kind, alert.severity, alert.title, alert.signals) == ("officer_emergency", 1, "Officer emergency · unit-1", 1)
    assert round(alert.position.coordinate.latitude_deg, 4) == 60.17
    await fixes(3, panic=False)
    await fixes(4, panic=True)
    await alerting.until(lambda alerts: [a.signals for a in alerts] == [2])


async def test_a_camera_that_stays_down_is_told_and_closed_when_it_sends_again(alerting: Alerting) -> None:
    bus = alerting.context.bus
    camera = Camera(camera_id="c1", agency_id="east", name="Market", enabled=True, coordinate=Coordinate(latitude_deg=60, longitude_deg=24))
    await bus.publish(directory_subject("camera", "east", "c1"), camera, message_id=new_id(), agency_id="east")
    mirror = alerting.context.directory.mirror("camera", Camera)

    async def known() -> bool:
        return mirror.get("c1") is not None

    await poll(known)

    async def report(state: video_pb2.CameraState.ValueType) -> bool:
        await bus.publish_core(
            "camera_health.east", video_pb2.CameraHealth(camera_id="c1", agency_id="east", state=state, reason="no answer")
        )
        # another agency can't speak for it
        await bus.publish_core(
            "camera_health.west", video_pb2.CameraHealth(camera_id="c1", agency_id="west", state=video_pb2.CAMERA_STATE_LIVE)
        )
        return bool(await alerting.list_())

    # the service was started with 0.3 s instead of a minute
    await poll(lambda: report(video_pb2.CAMERA_STATE_FAILED), every_s=0.1)
    (alert,) = await alerting.list_()
    assert (alert.kind, alert.severity, alert.title) == ("camera_down", 4, "Camera Market is down · no answer")

    async def over() -> bool:
        return not await report(video_pb2.CAMERA_STATE_LIVE)

    await poll(over, every_s=0.1)


async def test_an_agency_switches_off_and_bounds_its_own_rules_only(alerting: Alerting) -> None:
    await put_zone(alerting, "north", 60.5, 61.0)
    await set_rule(alerting, "alarm", words=["panic"], severity=2, zone_ids=["north"])
    await set_rule(alerting, "gunshot", enabled=False)
    fields = {"alarm_type": "panic", "state": event_pb2.ALARM_STATE_ACTIVE}
    await alerting.publish(
        event("alarm", alarm_id="a1", **fields),
        event("alarm", alarm_id="a2", place=None, **fields),
        event("alarm", alarm_id="a3", place=(60.7, 24.5), **fields | {"alarm_type": "fire"}),
        event("alarm", alarm_id="a4", place=(60.7, 24.5), **fields),
        event("alarm", alarm_id="w1", agency_id="west", **fields | {"alarm_type": "fire"}),
        gunshot("g1", "new"),
        event("tip", category="threat"),
    )
    alerts = await alerting.until(lambda alerts: len(alerts) == 2)
    assert sorted((alert.kind, alert.severity) for alert in alerts) == [("alarm", 2), ("tip", 2)]
    assert next(alert for alert in alerts if alert.kind == "alarm").event.alarm.alarm_id == "a4"

    async def neighbours() -> bool:
        return [alert.severity for alert in await alerting.list_(NEIGHBOUR)] == [2]

    await poll(neighbours)


async def test_rules_are_listed_as_set_with_who_set_them(alerting: Alerting) -> None:
    async def listed(scope: Scope) -> list[pb.AlertRule]:
        answer = await alerting.stub.ListAlertRules(pb.ListAlertRulesRequest(), metadata=alerting.as_(scope))
        return list(answer.rules)

    before = await listed(OPERATOR)
    assert [rule.rule for rule in before][:4] == ["plate_hit", "gunshot", "shots_fired_call", "alarm"]
    assert all(rule.enabled and rule.description and not rule.HasField("changed_at") for rule in before)
    await set_rule(alerting, "drone", enabled=False)
    after = {
        rule.rule: rule for rule in (await alerting.stub.ListAlertRules(pb.ListAlertRulesRequest(), metadata=alerting.as_(OPERATOR))).rules
    }
    assert (after["drone"].enabled, after["drone"].changed_by_name) == (False, "Anna A")
    assert all(rule.enabled for rule in await listed(NEIGHBOUR))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"rule": "nonsense"}, grpc.StatusCode.NOT_FOUND),
        ({"rule": "alarm", "zone_ids": ["theirs"]}, grpc.StatusCode.NOT_FOUND),
        ({"rule": "plate_hit", "severity": 1}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"rule": "drone", "words": ["x"]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"rule": "alarm", "severity": 5}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"rule": "alarm", "words": [""]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"rule": "alarm", "thresholds": [pb.Threshold(quantity="x", above=1)]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"rule": "measurement", "thresholds": [pb.Threshold(quantity="x")]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"rule": "measurement", "thresholds": [pb.Threshold(quantity="x", above=float("nan"))]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"rule": "measurement", "thresholds": [pb.Threshold(quantity="x", above=1, below=2)]}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_a_setting_that_makes_no_sense_is_refused(alerting: Alerting, fields: dict[str, Any], code: grpc.StatusCode) -> None:
    await put_zone(alerting, "theirs", 60, 61, agency_id="west")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alerting.stub.SetAlertRule(pb.SetAlertRuleRequest(**fields), metadata=alerting.as_(OPERATOR))
    assert caught.value.code() is code


async def test_sensors_that_are_well_leave_no_trace(alerting: Alerting) -> None:
    normal = [event("measurement", sensor_id=f"s{n % 3}", quantity="smoke", level=event_pb2.MEASUREMENT_LEVEL_NORMAL) for n in range(30)]
    await alerting.publish(*normal, gunshot("g", "new"))
    await alerting.until(lambda alerts: len(alerts) == 1)
    async with alerting.context.database.transaction(Scope.platform("alerting")) as connection:
        assert await connection.fetchval("select count(*) from handled_event") == 1


async def test_a_return_to_normal_whose_database_was_away_closes_when_it_is_back(
    alerting: Alerting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await alerting.publish(event("measurement", sensor_id="s", quantity="smoke", level=event_pb2.MEASUREMENT_LEVEL_CRITICAL))
    await alerting.until(lambda alerts: len(alerts) == 1)
    real, failed = AlertBatch.standing, []

    async def away(self: AlertBatch, triggers: Sequence[Trigger], now: datetime) -> Standing:
        if len(failed) < 2:
            failed.append(now)
            raise Unavailable("PostgreSQL")
        return await real(self, triggers, now)

    monkeypatch.setattr(AlertBatch, "standing", away)
    await alerting.publish(event("measurement", sensor_id="s", quantity="smoke", level=event_pb2.MEASUREMENT_LEVEL_NORMAL))
    await alerting.until(lambda alerts: not alerts)
    assert len(failed) == 2
