"""Reads become hits: on real NATS and PostgreSQL, through the service as it runs."""

import asyncio
from datetime import datetime

import grpc
import pytest

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Zone
from rtcc_alerting.engine import Engine
from rtcc_alerting.escalation import Patience
from rtcc_alerting.hot_list_index import HotListIndex
from rtcc_alerting.hot_list_store import HotListStore
from rtcc_alerting.rule_book import RuleBook
from rtcc_alerting.rule_store import RuleStore
from rtcc_alerting.store import AlertStore
from rtcc_chassis.clock import utc_now
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import EVENTS
from rtcc_chassis.testing import poll

from .conftest import ADMINISTRATOR, NEIGHBOUR, OPERATOR, SECOND, Alerting, plate_read


class NoContext:
    """Stands where nothing but the decision is looked at."""

    def build(self, alert: pb.Alert, now: datetime) -> pb.AlertContext:
        return pb.AlertContext()


async def test_a_wanted_plate_raises_one_alert_with_its_entry(alerting: Alerting) -> None:
    await alerting.hot_list("Stolen", "ABC123", "XYZ789")
    await alerting.publish(plate_read("QQQ111"), plate_read("ABC123", state="FI"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert (alert.kind, alert.severity, alert.state, alert.signals) == ("plate_hit", 2, pb.ALERT_STATE_NEW, 1)
    assert alert.plate_match.listed_plate == "ABC123"
    assert alert.plate_match.match == pb.MATCH_KIND_EXACT
    assert alert.plate_match.hot_list_name == "Stolen"
    assert alert.title == "Plate hit ABC123 · stolen"
    assert alert.plate_match.HasField("entered_at")  # R24


async def test_a_misread_is_found_and_labelled_as_one(alerting: Alerting) -> None:
    await alerting.hot_list("Stolen", "ABC123")
    await alerting.publish(plate_read("A8C123"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert alert.plate_match.match == pb.MATCH_KIND_MISREAD_TOLERANT
    assert alert.severity == 3
    assert "hit" not in alert.title.lower()
    assert "ABC123" in alert.title and "A8C123" in alert.title


async def test_reads_within_a_minute_are_one_alert_and_later_ones_another(alerting: Alerting) -> None:
    await alerting.hot_list("Stolen", "ABC123")
    await alerting.publish(
        plate_read("A8C123", seconds_ago=200), plate_read("ABC123", seconds_ago=150), plate_read("ABC123", seconds_ago=100)
    )
    (alert,) = await alerting.until(lambda alerts: [a.signals for a in alerts] == [3])
    # the exact read has replaced the doubtful one
    assert alert.plate_match.match == pb.MATCH_KIND_EXACT
    assert alert.title.startswith("Plate hit")
    await alerting.publish(plate_read("ABC123", seconds_ago=5))
    assert len(await alerting.until(lambda alerts: len(alerts) == 2)) == 2
    revisions = [(a.alert_id, a.revision) for a in alerting.published]
    assert len(revisions) == len(set(revisions))


async def test_a_redelivered_event_raises_no_second_alert(alerting: Alerting) -> None:
    await alerting.hot_list("Stolen", "ABC123", "XYZ789")
    event = plate_read("ABC123", seconds_ago=100)
    # outside of the stream's duplicate window the same event would have another message id; the event's own id decides
    await alerting.publish(event, message_id="first")
    await alerting.until(lambda alerts: len(alerts) == 1)
    await alerting.publish(event, message_id="second")
    await alerting.publish(plate_read("XYZ789"))
    alerts = await alerting.until(lambda alerts: len(alerts) == 2)
    assert [alert.signals for alert in alerts] == [1, 1]


async def test_two_instances_with_the_same_reads_raise_one_alert(alerting: Alerting) -> None:
    await alerting.hot_list("Stolen", "ABC123", "XYZ789")
    database, clock, scope = alerting.context.database, utc_now, Scope.platform("alerting")
    outbox = Outbox(database, alerting.context.bus)
    index = HotListIndex()
    index.replace("east", await HotListStore(database, outbox).load_index(scope, "east"))
    book = RuleBook(RuleStore(database), alerting.context.directory.mirror("zone", Zone))
    engines = [Engine(AlertStore(database, outbox), index, NoContext(), book, clock, Patience()) for _ in range(2)]
    events = [plate_read(plate, seconds_ago=20 - number) for number in range(10) for plate in ("ABC123", "XYZ789")]
    # overlapping halves in opposite orders: what a redelivery to another instance looks like at its worst
    batches = [events[:14], events[6:][::-1], events[3:9], events]
    await asyncio.gather(*(engines[number % 2].handle(scope, batch) for number, batch in enumerate(batches)))
    alerts = await alerting.until(lambda alerts: len(alerts) == 2)
    assert sorted((alert.plate_match.listed_plate, alert.signals) for alert in alerts) == [("ABC123", 10), ("XYZ789", 10)]


async def test_a_late_read_is_archived_only(alerting: Alerting) -> None:
    await alerting.hot_list("Stolen", "ABC123", "XYZ789")
    await alerting.publish(plate_read("ABC123", seconds_ago=601), plate_read("XYZ789"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert alert.plate_match.listed_plate == "XYZ789"


async def test_another_agencys_list_does_not_match(alerting: Alerting) -> None:
    await alerting.hot_list("Theirs", "ABC123", scope=NEIGHBOUR)
    await alerting.hot_list("Ours", "XYZ789")
    await alerting.publish(plate_read("ABC123"), plate_read("XYZ789"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert alert.plate_match.listed_plate == "XYZ789"
    assert await alerting.list_(NEIGHBOUR) == []


async def test_switched_off_expired_and_removed_entries_do_not_match(alerting: Alerting) -> None:
    listed = await alerting.hot_list("Stolen", "ABC123")
    off = await alerting.hot_list("Off", "DEF456", enabled=False)
    metadata = alerting.as_(OPERATOR)
    request = pb.AddHotListEntryRequest(hot_list_id=listed.hot_list_id, entry=pb.HotListEntry(plate="ghi 789", reason="amber"))
    entry = (await alerting.stub.AddHotListEntry(request, metadata=metadata)).entry
    assert entry.entry_source == "Anna A"
    await alerting.import_(listed.hot_list_id, "JKL012")
    entries = (
        await alerting.stub.ListHotListEntries(pb.ListHotListEntriesRequest(hot_list_id=listed.hot_list_id), metadata=metadata)
    ).entries
    assert [item.plate for item in entries] == ["GHI789", "JKL012"]
    await alerting.stub.RemoveHotListEntry(
        pb.RemoveHotListEntryRequest(hot_list_id=listed.hot_list_id, entry_id=entry.entry_id), metadata=metadata
    )
    await alerting.publish(plate_read("ABC123"), plate_read("DEF456"), plate_read("GHI789"), plate_read("JKL012"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert alert.plate_match.listed_plate == "JKL012"
    switched_on = pb.HotList(hot_list_id=off.hot_list_id, name="Off", enabled=True)
    await alerting.stub.CreateHotList(pb.CreateHotListRequest(hot_list=switched_on), metadata=alerting.as_(ADMINISTRATOR))
    await alerting.publish(plate_read("DEF456"))
    await alerting.until(lambda alerts: len(alerts) == 2)


async def test_an_import_without_a_good_row_leaves_the_list_as_it_was(alerting: Alerting) -> None:
    listed = await alerting.hot_list("Stolen", "ABC123")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alerting.import_(listed.hot_list_id, "???")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await alerting.publish(plate_read("ABC123"))
    await alerting.until(lambda alerts: len(alerts) == 1)


async def test_of_two_people_at_once_one_has_the_alert(alerting: Alerting) -> None:
    await alerting.hot_list("Stolen", "ABC123")
    await alerting.publish(plate_read("ABC123"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    request = pb.AcknowledgeAlertRequest(alert_id=alert.alert_id)
    answers = await asyncio.gather(*(alerting.stub.AcknowledgeAlert(request, metadata=alerting.as_(who)) for who in (OPERATOR, SECOND)))
    assert sorted(answer.won for answer in answers) == [False, True]
    assert len({answer.alert.acknowledged_by_name for answer in answers}) == 1
    assert {answer.alert.revision for answer in answers} == {2}


async def test_a_hit_goes_through_its_life_with_confirmation(alerting: Alerting) -> None:  # R23
    await alerting.hot_list("Stolen", "ABC123")
    await alerting.publish(plate_read("ABC123"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    metadata, stub, identifier = alerting.as_(OPERATOR), alerting.stub, alert.alert_id
    await stub.AcknowledgeAlert(pb.AcknowledgeAlertRequest(alert_id=identifier), metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.StartAlert(pb.StartAlertRequest(alert_id=identifier), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.ABORTED
    confirm = pb.ConfirmPlateRequest(alert_id=identifier, disposition=pb.PLATE_DISPOSITION_CORRECT)
    await stub.ConfirmPlate(confirm, metadata=metadata)
    await stub.StartAlert(pb.StartAlertRequest(alert_id=identifier), metadata=metadata)
    close = pb.CloseAlertRequest(alert_id=identifier, outcome="resolved", note="recovered")
    closed = (await stub.CloseAlert(close, metadata=metadata)).alert
    assert (closed.state, closed.outcome, closed.revision) == (pb.ALERT_STATE_CLOSED, "resolved", 5)
    assert await alerting.list_() == []

    async def all_published() -> bool:
        return [a.revision for a in alerting.published] == [1, 2, 3, 4, 5]

    await poll(all_published)


async def test_a_neighbour_neither_sees_nor_touches_an_alert(alerting: Alerting) -> None:
    listed = await alerting.hot_list("Stolen", "ABC123")
    await alerting.publish(plate_read("ABC123"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    metadata = alerting.as_(NEIGHBOUR)
    calls = [
        (alerting.stub.GetAlert, pb.GetAlertRequest(alert_id=alert.alert_id)),
        (alerting.stub.AcknowledgeAlert, pb.AcknowledgeAlertRequest(alert_id=alert.alert_id)),
        (alerting.stub.CloseAlert, pb.CloseAlertRequest(alert_id=alert.alert_id, outcome="duplicate")),
        (alerting.stub.GetAlertImage, pb.GetAlertImageRequest(alert_id=alert.alert_id)),
        (alerting.stub.ImportHotList, pb.ImportHotListRequest(hot_list_id=listed.hot_list_id, csv=b"LIC\nAAA111\n")),
        (alerting.stub.ListHotListEntries, pb.ListHotListEntriesRequest(hot_list_id=listed.hot_list_id)),
        (
            alerting.stub.RemoveHotListEntry,
            pb.RemoveHotListEntryRequest(hot_list_id=listed.hot_list_id, entry_id=alert.plate_match.entry_id),
        ),
    ]
    for call, request in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request, metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND, call
    taken = pb.HotList(hot_list_id=listed.hot_list_id, name="Mine now", enabled=True)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alerting.stub.CreateHotList(pb.CreateHotListRequest(hot_list=taken), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert (await alerting.list_())[0].revision == 1


async def test_a_body_of_another_agency_than_its_subject_is_quarantined(alerting: Alerting) -> None:
    await alerting.hot_list("Stolen", "ABC123")
    await alerting.hot_list("Theirs", "ABC123", scope=NEIGHBOUR)
    forged = plate_read("ABC123", agency_id="west")
    bus = alerting.context.bus
    await bus.publish("event.east.plate_read", forged, message_id="forged", agency_id="east")
    await bus.publish("event.east.plate_read", b"\xff\xff\xff", message_id="broken", agency_id="east")
    await alerting.publish(plate_read("ABC123"))
    (alert,) = await alerting.until(lambda alerts: len(alerts) == 1)
    assert alert.agency_id == "east"
    assert await alerting.list_(NEIGHBOUR) == []

    async def quarantined() -> bool:
        return (await bus.jetstream.stream_info("QUARANTINE")).state.messages == 2

    await poll(quarantined)

    async def done_with() -> bool:
        # a message is put aside before the consumer is told to forget it
        return (await bus.jetstream.consumer_info(EVENTS.name, "alerting-rules")).num_ack_pending == 0

    await poll(done_with)
