"""Gunshot stages change one alert; stale lists say so once."""

from datetime import timedelta

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.hot_list_store import HotListStore
from rtcc_chassis.clock import utc_now
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope

from .conftest import ADMINISTRATOR, OPERATOR, Alerting, gunshot


async def test_a_gunshot_is_severity_one_and_fireworks_lower_the_same_alert(alerting: Alerting) -> None:
    await alerting.publish(gunshot("g1", "new"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert (alert.severity, alert.title) == (1, "Gunshot · 4 rounds")
    await alerting.publish(gunshot("g1", "reclassified", "fireworks"))
    (changed,) = await alerting.until(lambda alerts: [a.revision for a in alerts] == [2])
    assert (changed.alert_id, changed.severity, changed.signals) == (alert.alert_id, 4, 2)
    await alerting.publish(gunshot("g1", "closed", "fireworks"))
    assert await alerting.until(lambda alerts: not alerts) == []
    (closed,) = await alerting.list_(include_closed=True)
    assert (closed.alert_id, closed.state, closed.outcome) == (alert.alert_id, pb.ALERT_STATE_CLOSED, "false_alarm")


async def test_stages_in_one_batch_end_as_the_last_one_says(alerting: Alerting) -> None:
    await alerting.publish(gunshot("g1", "new"), gunshot("g1", "reclassified", "other"), gunshot("g2", "new"))
    alerts = await alerting.until(lambda alerts: sorted(a.severity for a in alerts) == [1, 2])
    assert len(alerts) == 2


async def test_a_closed_incident_raises_nothing_even_when_its_first_stage_comes_last(alerting: Alerting) -> None:
    await alerting.publish(gunshot("g1", "closed"))
    await alerting.publish(gunshot("g1", "new"), gunshot("g2", "new"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert alert.event.gunshot.incident_id == "g2"


async def test_an_old_gunshot_raises_nothing_but_an_old_closing_closes(alerting: Alerting) -> None:
    await alerting.publish(gunshot("g1", "new", seconds_ago=601), gunshot("g2", "new", seconds_ago=400))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert alert.event.gunshot.incident_id == "g2"
    await alerting.publish(gunshot("g2", "closed", seconds_ago=700))
    await alerting.until(lambda alerts: not alerts)


async def test_what_a_person_works_on_is_not_closed_by_the_sensor_network(alerting: Alerting) -> None:
    await alerting.publish(gunshot("g1", "new"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    metadata = alerting.as_(OPERATOR)
    await alerting.stub.AcknowledgeAlert(pb.AcknowledgeAlertRequest(alert_id=alert.alert_id), metadata=metadata)
    await alerting.stub.StartAlert(pb.StartAlertRequest(alert_id=alert.alert_id), metadata=metadata)
    await alerting.publish(gunshot("g1", "closed"))
    (noted,) = await alerting.until(lambda alerts: [a.signals for a in alerts] == [2])
    assert (noted.state, noted.note) == (pb.ALERT_STATE_WORKING, "Closed by the sensor network as gunfire.")


async def test_a_stale_list_raises_one_alarm_and_its_refresh_closes_it(alerting: Alerting) -> None:  # R24
    listed = await alerting.hot_list("State file", "ABC123", stale_after_s=3600)
    context = alerting.context
    store = HotListStore(context.database, Outbox(context.database, context.bus))
    platform_scope, later = Scope.platform("alerting"), utc_now() + timedelta(seconds=3700)
    assert await store.raise_stale_alarms(platform_scope, utc_now()) == 0
    assert await store.raise_stale_alarms(platform_scope, later) == 1
    assert await store.raise_stale_alarms(platform_scope, later + timedelta(hours=1)) == 0
    (alarm,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert (alarm.kind, alarm.severity) == ("hot_list_stale", 3)
    assert "State file" in alarm.title
    await alerting.import_(listed.hot_list_id, "ABC123")
    await alerting.until(lambda alerts: not alerts)
    assert await store.raise_stale_alarms(platform_scope, utc_now()) == 0


async def test_lists_show_source_age_and_size(alerting: Alerting) -> None:  # R24
    await alerting.hot_list("State file", "ABC123", "DEF456", source="State police")
    (listed,) = (await alerting.stub.ListHotLists(pb.ListHotListsRequest(), metadata=alerting.as_(ADMINISTRATOR))).hot_lists
    assert (listed.name, listed.source, listed.entries, listed.stale, listed.stale_after_s) == (
        "State file",
        "State police",
        2,
        False,
        86_400,
    )
    assert listed.HasField("refreshed_at")


async def test_a_refresh_keeps_the_age_of_what_is_still_listed(alerting: Alerting) -> None:  # R24
    listed = await alerting.hot_list("State file", "ABC123", "DEF456")
    request = pb.ListHotListEntriesRequest(hot_list_id=listed.hot_list_id)
    before = (await alerting.stub.ListHotListEntries(request, metadata=alerting.as_(OPERATOR))).entries
    await alerting.import_(listed.hot_list_id, "ABC123", "GHI789")
    after = (await alerting.stub.ListHotListEntries(request, metadata=alerting.as_(OPERATOR))).entries
    assert [entry.plate for entry in after] == ["ABC123", "GHI789"]
    assert after[0].entry_id == before[0].entry_id
    assert after[0].entered_at == before[0].entered_at


async def test_an_entry_that_a_person_confirmed_survives_the_file_that_drops_it(alerting: Alerting) -> None:
    listed = await alerting.hot_list("State file", "ABC123", "DEF456")
    entry = pb.HotListEntry(plate="ABC123", state="FI", reason="seen again today")
    request = pb.AddHotListEntryRequest(hot_list_id=listed.hot_list_id, entry=entry)
    added = (await alerting.stub.AddHotListEntry(request, metadata=alerting.as_(OPERATOR))).entry
    await alerting.import_(listed.hot_list_id, "GHI789")
    listing = pb.ListHotListEntriesRequest(hot_list_id=listed.hot_list_id)
    kept = (await alerting.stub.ListHotListEntries(listing, metadata=alerting.as_(OPERATOR))).entries
    assert [(item.plate, item.entry_id) for item in kept] == [("ABC123", added.entry_id), ("GHI789", kept[1].entry_id)]
