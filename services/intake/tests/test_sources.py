"""Sources of every kind through the service as it runs: MQTT's stream, fetched buses, the connector kit."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from aiohttp import web
from google.transit.gtfs_realtime_pb2 import FeedMessage

from rtcc.event.v1 import event_pb2
from rtcc.intake.v1 import intake_pb2 as pb
from rtcc.location.v1 import location_pb2
from rtcc.location.v1.location_pb2_grpc import LocationServiceStub
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.testing import poll

from .conftest import ADMINISTRATOR, NEIGHBOUR, SUPERVISOR, Intake
from .test_cap import THUNDERSTORM
from .test_deliveries import code_of, newest_event
from .test_mapping import ALARMS


def alarm(alarm_id: str, **changed: Any) -> dict[str, Any]:
    return {"alarm_id": alarm_id, "type": "burglary", "state": "active", "raised_at": datetime.now(UTC).isoformat()} | changed


async def newest(intake: Intake, *kinds: str, scope: Any = SUPERVISOR) -> list[event_pb2.Event]:
    request = pb.ListNewestEventsRequest(kinds=kinds)
    return list((await intake.stub.ListNewestEvents(request, metadata=intake.as_(scope))).events)


async def until_newest(intake: Intake, kind: str, count: int) -> list[event_pb2.Event]:
    async def counted() -> bool:
        return len(await newest(intake, kind)) == count

    await poll(counted)
    return await newest(intake, kind)


# -- deliveries of the new kinds --------------------------------------------------------------------------------------


async def test_the_newest_state_of_each_thing_is_listed_until_it_is_over(intake: Intake) -> None:
    intake.source_id, intake.secret = await intake.source("alarm")
    for alarm_id in ("a1", "a2"):
        assert (await intake.submit(json.dumps(alarm(alarm_id)).encode())).outcome == pb.DELIVERY_OUTCOME_ACCEPTED
    assert {event.alarm.alarm_id for event in await until_newest(intake, "alarm", 2)} == {"a1", "a2"}
    await intake.submit(json.dumps(alarm("a1", state="restored")).encode())
    assert [event.alarm.alarm_id for event in await until_newest(intake, "alarm", 1)] == ["a2"]
    assert await newest(intake, scope=NEIGHBOUR) == []
    assert await code_of(intake.stub.ListNewestEvents(pb.ListNewestEventsRequest(kinds=["gunshot"]), metadata=intake.as_(SUPERVISOR))) is (
        grpc.StatusCode.INVALID_ARGUMENT
    )


async def test_the_same_alarm_in_two_deliveries_is_one_event_and_late_is_labelled(intake: Intake) -> None:
    intake.source_id, intake.secret = await intake.source("alarm")
    body = json.dumps(alarm("a1", raised_at=(datetime.now(UTC) - timedelta(minutes=6)).isoformat())).encode()
    first = await intake.submit(body)
    assert (await newest_event(intake)).late

    async def archived() -> bool:
        return len(await newest(intake, "alarm")) == 1

    await poll(archived)
    again = await intake.submit(body)
    assert (again.outcome, again.event_id) == (pb.DELIVERY_OUTCOME_DUPLICATE, first.event_id)
    await intake.submit(json.dumps(alarm("a2")).encode())
    assert not (await newest_event(intake)).late


async def test_a_warning_lives_through_its_updates_until_it_is_cancelled(intake: Intake) -> None:
    intake.source_id, intake.secret = await intake.source("cap")
    now = datetime.now(UTC).replace(microsecond=0)

    def message(identifier: str, message_type: str, *references: str) -> bytes:
        said = "".join(f"<references>{' '.join(references)}</references>" if references else "")
        xml = THUNDERSTORM.replace("KSTO1055887203", identifier).replace("<msgType>Alert", f"<msgType>{message_type}")
        xml = xml.replace("</scope>", f"</scope>{said}").replace("2003-06-17T14:57:00-07:00", now.isoformat())
        return xml.replace("2003-06-17T16:00:00-07:00", (now + timedelta(hours=1)).isoformat()).encode()

    def reference(identifier: str) -> str:
        return f"KSTO@NWS.NOAA.GOV,{identifier},{now.isoformat()}"

    await intake.submit(message("w1", "Alert"))
    await until_newest(intake, "warning", 1)
    await intake.submit(message("w2", "Update", reference("w1")))

    async def updated() -> bool:
        return [event.warning.identifier for event in await newest(intake, "warning")] == ["w2"]

    await poll(updated)
    # refers to the update alone, and still ends the whole warning
    await intake.submit(message("w3", "Cancel", reference("w2")))
    assert await until_newest(intake, "warning", 0) == []
    assert (await newest_event(intake)).warning.warning_id == "KSTO@NWS.NOAA.GOV,w1"


async def test_traffic_that_tells_nothing_is_accepted_without_an_event(intake: Intake) -> None:
    intake.source_id, intake.secret = await intake.source("cot")
    ping = '<event version="2.0" uid="p" type="t-x-c-t" how="m-g" time="x" start="x" stale="x"><point lat="0" lon="0"/></event>'
    answer = await intake.submit(ping.encode())
    assert (answer.outcome, answer.event_id) == (pb.DELIVERY_OUTCOME_ACCEPTED, "")
    assert await intake.stored_messages("EVENTS") == 0


# -- MQTT: what NATS makes of it --------------------------------------------------------------------------------------


async def test_what_came_by_mqtt_is_an_event_once_or_waits_in_the_quarantine(intake: Intake) -> None:
    source_id, _ = await intake.source("alarm")
    jetstream = intake.context.bus.jetstream

    async def publish(agency_id: str, source: str, body: bytes) -> None:
        await jetstream.publish(f"agency.{agency_id}.source.{source}.event", body)

    body = json.dumps(alarm("m1")).encode()
    await publish("east", source_id, body)
    await publish("east", source_id, body)
    await publish("east", source_id, b"not json")
    await publish("west", source_id, json.dumps(alarm("m2")).encode())
    await publish("east", "nobody", json.dumps(alarm("m3")).encode())

    async def done() -> bool:
        state = await jetstream.consumer_info("DEVICES", "intake-devices")
        return state.num_pending == 0 and state.num_ack_pending == 0

    await poll(done)
    assert [event.alarm.alarm_id for event in await until_newest(intake, "alarm", 1)] == ["m1"]
    assert await intake.stored_messages("EVENTS") == 1
    (entry,) = await intake.waiting()
    assert (entry.source_id, entry.excerpt) == (source_id, "not json")
    # R8: who tried for a source that isn't there, or is another agency's, stands in the log
    audit = (await jetstream.stream_info("AUDIT", subjects_filter="audit.>")).state.subjects or {}
    assert audit.get("audit.west", 0) >= 1


# -- buses --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def bus_feed(port: int, answer: Any) -> AsyncIterator[list[str]]:
    """A real HTTP server; `answer()` gives the bytes or a response. Yields the keys that were sent."""
    keys: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        keys.append(request.headers.get("x-api-key", ""))
        body = answer()
        return body if isinstance(body, web.StreamResponse) else web.Response(body=body, content_type="application/x-protobuf")

    application = web.Application()
    application.router.add_get("/vehicles", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield keys
    finally:
        await runner.cleanup()


def buses(*numbers: int) -> bytes:
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    for number in numbers:
        entity = message.entity.add(id=str(number))
        entity.vehicle.vehicle.id, entity.vehicle.trip.route_id = str(number), "550"
        entity.vehicle.timestamp = int(datetime.now(UTC).timestamp())
        entity.vehicle.position.latitude, entity.vehicle.position.longitude = 60.17, 24.94 + number / 1000
    return message.SerializeToString()


async def set_feed(intake: Intake, source_id: str, **changed: Any) -> pb.SourceFeed:
    values = {
        "url": f"http://127.0.0.1:{intake.feed_port}/vehicles",
        "every_s": 5,
        "header_name": "x-api-key",
        "header_value": "k1",
    } | changed
    request = pb.SetSourceFeedRequest(source_id=source_id, feed=pb.SourceFeed(**values))
    answer = await intake.stub.SetSourceFeed(request, metadata=intake.as_(ADMINISTRATOR))
    return pb.SourceFeed.FromString(answer.feed.SerializeToString())


async def feed_of(intake: Intake, source_id: str) -> pb.SourceFeed:
    answer = await intake.stub.GetSourceFeed(pb.GetSourceFeedRequest(source_id=source_id), metadata=intake.as_(ADMINISTRATOR))
    return pb.SourceFeed.FromString(answer.feed.SerializeToString())


async def test_buses_of_a_feed_become_live_positions_of_kind_transit(intake: Intake) -> None:
    source_id, _ = await intake.source("gtfs_realtime")
    stub: Any = intake.context.channels.stub("location", LocationServiceStub)

    async def positions(scope: Any = SUPERVISOR) -> list[location_pb2.UnitPosition]:
        answer = await stub.ListPositions(location_pb2.ListPositionsRequest(), metadata=intake.as_(scope))
        return list(answer.positions)

    async with bus_feed(intake.feed_port, lambda: buses(1200, 1201)) as keys:
        told = await set_feed(intake, source_id)
        assert (told.header_name, told.header_value) == ("x-api-key", "")

        async def both() -> bool:
            return len(await positions()) == 2

        await poll(both)

        async def noted() -> bool:
            # the positions go out before the fetch is written down
            feed = await feed_of(intake, source_id)
            return (feed.vehicles, feed.problem) == (2, "")

        await poll(noted)
    assert set(keys) == {"k1"}
    assert sorted(position.call_sign for position in await positions()) == ["550 1200", "550 1201"]
    assert {(position.kind, position.agency_id) for position in await positions()} == {("transit", "east")}
    assert await positions(NEIGHBOUR) == []
    near = location_pb2.FindNearestRequest()
    near.coordinate.latitude_deg, near.coordinate.longitude_deg = 60.17, 26.14
    # nobody dispatches a bus
    assert not (await stub.FindNearest(near, metadata=intake.as_(SUPERVISOR))).units


async def test_a_feed_that_is_none_says_so_and_waits_in_the_quarantine_once(intake: Intake) -> None:
    source_id, _ = await intake.source("gtfs_realtime")
    answers = iter(
        [b"<html>maintenance</html>", web.Response(status=503), web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})]
    )
    async with bus_feed(intake.feed_port, lambda: next(answers, b"\xff\xff")):
        for expected in ("is not a FeedMessage", "answered 503", "answered 302"):
            await set_feed(intake, source_id)

            async def told(expected: str = expected) -> bool:
                return expected in (await feed_of(intake, source_id)).problem

            await poll(told)
    (entry,) = await intake.waiting()
    assert entry.excerpt == "<html>maintenance</html>"


async def test_an_address_that_may_not_be_fetched_is_refused_or_not_knocked_at(intake: Intake) -> None:
    source_id, _ = await intake.source("gtfs_realtime")
    for url in ("", "vehicles", "ftp://example.org/x", "http://example.org/x", "https://user:word@example.org/x", "https://" + "x" * 1100):
        assert await code_of(set_feed(intake, source_id, url=url)) is grpc.StatusCode.INVALID_ARGUMENT
    for changed in ({"every_s": 4}, {"every_s": 3_601}, {"header_name": "x y"}, {"header_value": ""}, {"header_value": "a\r\nb: c"}):
        assert await code_of(set_feed(intake, source_id, **changed)) is grpc.StatusCode.INVALID_ARGUMENT
    for url in ("https://localhost:1/vehicles", "https://127.0.0.1:1/vehicles", "https://[::1]:1/vehicles"):
        await set_feed(intake, source_id, url=url)

        async def told() -> bool:
            return "private network" in (await feed_of(intake, source_id)).problem

        await poll(told)


# -- the connector kit --------------------------------------------------------------------------------------------------


async def set_mapping(intake: Intake, source_id: str, mapping: dict[str, Any], **more: Any) -> Any:
    request = pb.SetSourceMappingRequest(source_id=source_id, **more)
    request.mapping.update(mapping)
    return await intake.stub.SetSourceMapping(request, metadata=intake.as_(ADMINISTRATOR))


async def test_a_new_json_source_is_recorded_tried_mapped_and_replayed(intake: Intake) -> None:
    intake.source_id, intake.secret = source_id, _ = await intake.source("mapped")
    as_administrator = intake.as_(ADMINISTRATOR)
    started = await intake.stub.StartRecording(pb.StartRecordingRequest(source_id=source_id, count=2), metadata=as_administrator)
    assert started.recording == 2
    at = datetime.now(UTC).strftime("%d.%m.%Y %H:%M:%S")
    body = {"panel": {"serial": 1}, "events": [{"nr": 1, "code": 130, "restore": False, "at": at, "pos": [601699000, 249384000]}]}
    first = await intake.submit(json.dumps(body).encode())
    assert (first.outcome, first.reason[:8]) == (pb.DELIVERY_OUTCOME_QUARANTINED, "mapping:")
    for _ in range(2):
        await intake.submit(json.dumps(body | {"n": new_id()}).encode())
    mapping = {**ALARMS, "fields": {**ALARMS["fields"], "raised_at": {"path": "/at", "time": "%d.%m.%Y %H:%M:%S", "time_zone": "UTC"}}}

    state = await intake.stub.GetSourceMapping(pb.GetSourceMappingRequest(source_id=source_id), metadata=as_administrator)
    assert (state.recorded, state.recording, state.HasField("mapping")) == (2, 0, False)
    request = pb.TryMappingRequest(source_id=source_id)
    request.mapping.update(mapping)
    tried = await intake.stub.TryMapping(request, metadata=as_administrator)
    assert (tried.understood_before, tried.understood_after, tried.changed) == (0, 2, 2)
    assert tried.deliveries[0].after.alarm.alarm_type == "burglary"
    assert await intake.stored_messages("EVENTS") == 0, "a try publishes nothing"

    assert (await set_mapping(intake, source_id, mapping, dry_run=True)).mapping.revision == 0
    assert (await set_mapping(intake, source_id, mapping)).mapping.revision == 1
    replay = pb.ReplayQuarantinedRequest(quarantine_id=first.quarantine_id)
    assert (await intake.stub.ReplayQuarantined(replay, metadata=intake.as_(SUPERVISOR))).event_id
    assert (await newest_event(intake)).alarm.alarm_type == "burglary"

    # before a change goes live the bench shows what it would do to what was recorded
    mapping["fields"]["type"] = {"constant": "fire"}
    request = pb.TryMappingRequest(source_id=source_id)
    request.mapping.update(mapping)
    tried = await intake.stub.TryMapping(request, metadata=as_administrator)
    assert (tried.understood_before, tried.understood_after, tried.changed) == (2, 2, 2)
    assert [(c.field, c.before, c.after) for c in tried.deliveries[0].changes] == [("alarm.alarm_type", "burglary", "fire")]


async def test_a_mapping_is_the_agencys_administrators_and_refused_with_every_mistake(intake: Intake) -> None:
    assert await code_of(set_mapping(intake, intake.source_id, ALARMS)) is grpc.StatusCode.ABORTED
    assert await code_of(set_feed(intake, intake.source_id)) is grpc.StatusCode.ABORTED
    source_id, _ = await intake.source("mapped")
    for scope, code in ((NEIGHBOUR, grpc.StatusCode.NOT_FOUND), (SUPERVISOR, grpc.StatusCode.PERMISSION_DENIED)):
        metadata = intake.as_(scope)
        for call in (
            intake.stub.SetSourceMapping(pb.SetSourceMappingRequest(source_id=source_id), metadata=metadata),
            intake.stub.GetSourceMapping(pb.GetSourceMappingRequest(source_id=source_id), metadata=metadata),
            intake.stub.TryMapping(pb.TryMappingRequest(source_id=source_id), metadata=metadata),
            intake.stub.StartRecording(pb.StartRecordingRequest(source_id=source_id), metadata=metadata),
            intake.stub.GetSourceFeed(pb.GetSourceFeedRequest(source_id=source_id), metadata=metadata),
        ):
            assert await code_of(call) is code
    assert await code_of(set_mapping(intake, source_id, {"event": float("nan")})) is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await set_mapping(intake, source_id, {"event": "alarm", "fields": {"alarm_id": "id", "zoen": "/z"}})
    details = caught.value.details() or ""
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "mapping.fields.alarm_id" in details and "did you mean 'zone'?" in details and "mapping.fields.raised_at: is missing" in details
