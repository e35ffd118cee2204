"""A delivery is an event once, or a quarantine entry, or refused; through the service as it runs."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from rtcc.event.v1 import event_pb2
from rtcc.intake.v1 import intake_pb2 as pb
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.scope import Scope
from rtcc_chassis.signature import sign
from rtcc_chassis.testing import poll

from .conftest import ADMINISTRATOR, NEIGHBOUR, SUPERVISOR, Intake, read_body

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 10


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    code = caught.value.code()
    assert isinstance(code, grpc.StatusCode)
    return code


async def newest_event(intake: Intake) -> event_pb2.Event:
    message = await intake.context.bus.jetstream.get_last_msg("EVENTS", "event.>")
    return event_pb2.Event.FromString(message.data or b"")


async def test_a_delivery_is_durable_when_it_is_answered_and_once_however_often_it_is_sent(intake: Intake) -> None:
    body = read_body()
    first = await intake.submit(body, "d1")
    assert first.outcome == pb.DELIVERY_OUTCOME_ACCEPTED
    assert await intake.stored_messages("EVENTS") == 1
    again = await intake.submit(body, "d1")
    assert (again.outcome, again.event_id) == (pb.DELIVERY_OUTCOME_DUPLICATE, first.event_id)
    assert await intake.stored_messages("EVENTS") == 1
    event = await newest_event(intake)
    assert (event.event_id, event.agency_id, event.source_id, event.kind) == (first.event_id, "east", intake.source_id, "plate_read")
    assert abs(event.received_at.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(seconds=30)


async def test_a_repeat_that_the_stream_has_forgotten_is_known_from_the_archive(intake: Intake) -> None:
    body = read_body(captured_at=(datetime.now(UTC) - timedelta(minutes=30)).isoformat())
    first = await intake.submit(body, "d1")
    assert first.outcome == pb.DELIVERY_OUTCOME_ACCEPTED

    async def archived() -> bool:
        return await intake.search("ABC123") == ["ABC123"]

    await poll(archived)
    await intake.context.bus.jetstream.purge_stream("EVENTS")
    assert (await intake.submit(body, "d1")).outcome == pb.DELIVERY_OUTCOME_DUPLICATE
    assert await intake.stored_messages("EVENTS") == 0


async def test_the_image_is_stored_before_the_event_under_its_digest(intake: Intake) -> None:
    await intake.submit(read_body(image=base64.b64encode(JPEG).decode()))
    event = await newest_event(intake)
    stored = await intake.context.objects.get(Scope.service("intake", "east"), "east", event.plate_read.image_object)
    assert stored == JPEG


async def test_wrong_signature_old_time_unknown_and_disabled_sources_are_refused_and_not_stored(intake: Intake) -> None:
    body = read_body()
    old = str(int(time.time()) - 301)
    refused = [
        intake.submit(body, signature="v1=" + "0" * 64),
        intake.submit(body, signature=""),
        intake.submit(body, timestamp=old, signature=sign(intake.secret, old, "d", body), delivery_id="d"),
        intake.submit(body, source_id="nobody"),
    ]
    for call in refused:
        assert await code_of(call) is grpc.StatusCode.UNAUTHENTICATED
    disable = registry_pb2.SetSourceEnabledRequest(source_id=intake.source_id, enabled=False)
    await intake.registry.SetSourceEnabled(disable, metadata=intake.as_(ADMINISTRATOR))

    async def disabled() -> bool:
        source = intake.context.directory.mirror("source", registry_pb2.Source).get(intake.source_id)
        return source is not None and not source.enabled

    await poll(disabled)
    assert await code_of(intake.submit(body)) is grpc.StatusCode.UNAUTHENTICATED
    assert await intake.stored_messages("EVENTS") == 0
    assert await intake.waiting() == []
    # R8: each try stands in the log of the agency whose source was named
    audit = (await intake.context.bus.jetstream.stream_info("AUDIT", subjects_filter="audit.east")).state
    assert (audit.subjects or {}).get("audit.east", 0) >= 4


async def test_misformed_requests_are_refused_with_the_field(intake: Intake) -> None:
    for request in (
        intake.submit(read_body(), "a.b"),
        intake.submit(read_body(), "x" * 129),
        intake.submit(b"x" * (1024 * 1024 + 1)),
        intake.submit(read_body(), source_id="../x"),
    ):
        assert await code_of(request) is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_is_not_understood_waits_with_its_reason_and_is_not_sent_again(intake: Intake) -> None:
    answer = await intake.submit(b'{"plate": "AB\xff"}', "d1")
    assert answer.outcome == pb.DELIVERY_OUTCOME_QUARANTINED
    assert "byte 13" in answer.reason
    again = await intake.submit(b'{"plate": "AB\xff"}', "d1")
    assert again.quarantine_id == answer.quarantine_id
    (entry,) = await intake.waiting()
    assert (entry.quarantine_id, entry.place, entry.service, entry.size_bytes) == (answer.quarantine_id, "byte 13", "intake", 16)
    assert entry.excerpt == '{"plate": "AB\\xff"}'
    assert await intake.waiting(NEIGHBOUR) == []
    assert await intake.stored_messages("EVENTS") == 0


async def test_a_future_read_is_replayed_when_its_time_has_come(intake: Intake) -> None:
    # ahead of our clock by more than is allowed
    ahead = datetime.now(UTC) + timedelta(minutes=30)
    answer = await intake.submit(read_body(captured_at=ahead.isoformat()), "d1")
    assert answer.outcome == pb.DELIVERY_OUTCOME_QUARANTINED
    request = pb.ReplayQuarantinedRequest(quarantine_id=answer.quarantine_id)
    still = await intake.stub.ReplayQuarantined(request, metadata=intake.as_(SUPERVISOR))
    assert (still.event_id, still.entry.status, still.entry.attempts) == ("", pb.QUARANTINE_STATUS_WAITING, 1)
    intake.clock.ahead = timedelta(minutes=26)
    event_id = (await intake.stub.ReplayQuarantined(request, metadata=intake.as_(SUPERVISOR))).event_id
    assert event_id
    assert (await newest_event(intake)).event_id == event_id
    assert await intake.waiting() == []
    assert await code_of(intake.stub.ReplayQuarantined(request, metadata=intake.as_(SUPERVISOR))) is grpc.StatusCode.ABORTED


async def test_a_discarded_entry_keeps_reason_and_never_comes_back(intake: Intake) -> None:
    answer = await intake.submit(b"{}", "d1")
    metadata = intake.as_(SUPERVISOR)
    request = pb.DiscardQuarantinedRequest(quarantine_id=answer.quarantine_id)
    assert await code_of(intake.stub.DiscardQuarantined(request, metadata=metadata)) is grpc.StatusCode.INVALID_ARGUMENT
    request.reason = "test of the installer"
    discarded = await intake.stub.DiscardQuarantined(request, metadata=metadata)
    assert discarded.entry.status == pb.QUARANTINE_STATUS_DISCARDED
    listing = pb.ListQuarantineRequest(status=pb.QUARANTINE_STATUS_DISCARDED)
    assert len((await intake.stub.ListQuarantine(listing, metadata=metadata)).entries) == 1
    neighbour = intake.stub.DiscardQuarantined(request, metadata=intake.as_(NEIGHBOUR))
    assert await code_of(neighbour) is grpc.StatusCode.NOT_FOUND


async def test_a_message_that_a_consumer_gave_up_on_joins_the_list_and_is_replayed_to_its_subject(intake: Intake) -> None:
    bus = intake.context.bus
    await bus.publish("event.east.plate_read", b"\xff\xff", message_id="broken", agency_id="east")

    async def listed() -> list[pb.QuarantineEntry]:
        return await intake.waiting()

    (entry,) = await poll(listed)
    assert (entry.service, entry.place, entry.agency_id) == ("intake", "intake-archive", "east")
    before = await intake.stored_messages("EVENTS")
    request = pb.ReplayQuarantinedRequest(quarantine_id=entry.quarantine_id)
    answer = await intake.stub.ReplayQuarantined(request, metadata=intake.as_(SUPERVISOR))
    assert answer.entry.status == pb.QUARANTINE_STATUS_REPLAYED
    assert await intake.stored_messages("EVENTS") == before + 1


async def test_a_read_without_position_takes_its_cameras(intake: Intake) -> None:
    answer = await intake.submit(read_body(lat=None, lon=None, camera_id="lamp-post"))
    assert (answer.outcome, answer.reason[:4]) == (pb.DELIVERY_OUTCOME_QUARANTINED, "lat:")
    camera = registry_pb2.Camera(
        name="Lamp post", kind=registry_pb2.CAMERA_KIND_PLATE_READER, bearing_deg=90, field_of_view_deg=60, enabled=True
    )
    camera.coordinate.latitude_deg, camera.coordinate.longitude_deg = 60.25, 24.75
    created = (
        await intake.registry.CreateCamera(registry_pb2.CreateCameraRequest(camera=camera), metadata=intake.as_(ADMINISTRATOR))
    ).camera

    async def accepted() -> bool:
        result = await intake.submit(read_body(lat=None, lon=None, camera_id=created.camera_id))
        return result.outcome == pb.DELIVERY_OUTCOME_ACCEPTED

    await poll(accepted)
    assert (await newest_event(intake)).position.coordinate.latitude_deg == 60.25


async def test_plates_are_searched_by_pattern_within_the_agency_and_with_purpose(intake: Intake) -> None:
    for plate in ("ABC123", "ABC124", "XBC123", "ABC12"):
        await intake.submit(read_body(plate))

    async def archived() -> bool:
        return len(await intake.search("?BC12?")) == 3

    await poll(archived)
    assert await intake.search("abc-123") == ["ABC123"]
    assert sorted(await intake.search("ABC12?")) == ["ABC123", "ABC124"]
    assert sorted(await intake.search("?BC123")) == ["ABC123", "XBC123"]
    assert await intake.search("ABC12?", NEIGHBOUR) == []
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    request = pb.SearchPlateReadsRequest(plate="ABC12?")
    getattr(request, "from").FromDatetime(tomorrow)
    assert not (await intake.stub.SearchPlateReads(request, metadata=intake.as_(SUPERVISOR))).reads
    nameless = Scope(**{name: getattr(SUPERVISOR, name) for name in ("agency_id", "principal_id", "principal_kind", "roles")})
    assert await code_of(intake.search("ABC123", nameless)) is grpc.StatusCode.FAILED_PRECONDITION  # R18
    for too_wide in ("??????", "A?????", ""):
        assert await code_of(intake.search(too_wide)) is grpc.StatusCode.INVALID_ARGUMENT


async def test_calls_show_their_newest_state(intake: Intake) -> None:
    intake.source_id, intake.secret = await intake.source("eido")
    for minutes_ago, status in ((3, "Received"), (1, "OnScene"), (2, "Dispatched")):
        body = {
            "$id": "urn:x:1",
            "issuingElementIdentification": "cad.example",
            "lastUpdateTimeStamp": (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat(),
            "incidentComponent": {
                "incidentTrackingIdentifier": "26-1",
                "incidentTypeCommonRegistryText": "Robbery",
                "incidentStatusCommonRegistryText": [status],
            },
        }
        await intake.submit(json.dumps(body).encode())

    async def newest() -> bool:
        calls = (await intake.stub.ListCalls(pb.ListCallsRequest(), metadata=intake.as_(SUPERVISOR))).calls
        return [call.call_for_service.status for call in calls] == ["OnScene"]

    await poll(newest)
    assert not (await intake.stub.ListCalls(pb.ListCallsRequest(), metadata=intake.as_(NEIGHBOUR))).calls


async def test_a_device_on_nats_gets_the_same_answers_and_can_not_speak_for_another_agency(intake: Intake) -> None:
    client = intake.context.bus.client

    async def ask(subject: str, body: bytes, secret: str) -> dict[str, Any]:
        timestamp = str(int(time.time()))
        headers = {"Rtcc-Timestamp": timestamp, "Rtcc-Delivery": "n1", "Rtcc-Signature": sign(secret, timestamp, "n1", body)}
        return dict(json.loads((await client.request(subject, body, timeout=30, headers=headers)).data))

    body = read_body()
    own, other = f"agency.east.source.{intake.source_id}", f"agency.west.source.{intake.source_id}"
    assert (await ask(own, body, intake.secret))["outcome"] == "DELIVERY_OUTCOME_ACCEPTED"
    assert (await ask(own, body, intake.secret))["outcome"] == "DELIVERY_OUTCOME_DUPLICATE"
    assert (await ask(other, body, intake.secret))["status"] == 401
    assert (await ask(own, body, "guess"))["status"] == 401


async def test_a_plate_search_uses_the_index_under_row_level_security(intake: Intake) -> None:
    async with intake.context.database.transaction(SUPERVISOR) as connection:
        await connection.execute("set local enable_seqscan = off")
        plan = "\n".join(
            row[0]
            for row in await connection.fetch(
                """explain select body from event where agency_id = 'east' and plate >= 'ABC' and plate <= 'ABC~' and plate like 'ABC__'
                   order by occurred_at desc limit 10"""
            )
        )
    assert "event_plate" in plan
    assert "(plate >= 'ABC'" in plan


async def test_a_receiver_of_drones_on_nats_is_left_to_airspace(intake: Intake) -> None:
    source_id, secret = await intake.source("remote_id")
    body = b'{"frames": []}'
    timestamp = str(int(time.time()))
    headers = {"Rtcc-Timestamp": timestamp, "Rtcc-Delivery": "d1", "Rtcc-Signature": sign(secret, timestamp, "d1", body)}
    with pytest.raises(TimeoutError):
        await intake.context.bus.client.request(f"agency.east.source.{source_id}", body, timeout=0.5, headers=headers)
    assert await intake.waiting() == []
