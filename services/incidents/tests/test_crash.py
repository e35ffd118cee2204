"""`kill -9` of the service while calls stream in: each call has one incident, each report one entry, and no number is missing."""

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta

import grpc

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc.incidents.v1.incidents_pb2_grpc import IncidentsServiceStub
from rtcc.registry.v1.registry_pb2 import Agency
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import INCIDENTS, directory_subject, event_subject
from rtcc_chassis.testing import TestPlatform, free_port, poll

from .conftest import DISPATCHER, alert, call, position

CALLS, REPORTS, KILLS = 40, 3, 2


async def send(platform: TestPlatform, sent: list[int]) -> None:
    # now, not when this module was read: an alert joins a call of its last 120 s
    bus, began = (await platform.context("gateway")).bus, datetime.now(UTC)
    for report in range(REPORTS):
        for number in range(CALLS):
            where = position(60 + number / 50, 25)
            event = call(f"call-{number}", f"report {report}", at=began + timedelta(seconds=report), where=where)
            await bus.publish(event_subject("east", event.kind), event, message_id=event.event_id, agency_id="east")
            sent.append(number)
            await asyncio.sleep(0.005)
    for number in range(CALLS):
        hit = alert(position(60 + number / 50, 25), alert_id=f"alert-{number}")
        await bus.publish("alert.east", hit, message_id=hit.alert_id, agency_id="east")


async def test_what_was_reported_is_found_once_after_kill_9(small_platform: TestPlatform) -> None:
    bus = (await small_platform.context("gateway")).bus
    agency = Agency(agency_id="east", name="East", time_zone="UTC", enabled=True)
    await bus.publish(directory_subject("agency", "east", "east"), agency, message_id=new_id(), agency_id="east")
    port, sent = free_port(), list[int]()
    process = await small_platform.start_process("incidents", port)
    sending = asyncio.create_task(send(small_platform, sent))
    for kill in range(1, KILLS + 1):

        async def far_enough(count: int = kill * CALLS) -> bool:
            return len(sent) >= count

        await poll(far_enough, deadline_s=60)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process = await small_platform.start_process("incidents", port)
    await sending
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub, metadata = IncidentsServiceStub(channel), small_platform.metadata(DISPATCHER)

        async def complete() -> list[pb.Incident]:
            answer = await stub.ListIncidents(pb.ListIncidentsRequest(limit=500), metadata=metadata)
            found = list(answer.incidents)
            return found if len(found) == CALLS and all(one.timeline_entries == REPORTS + 1 for one in found) else []

        found = await poll(complete, deadline_s=60)
        assert sorted(int(incident.number[3:]) for incident in found) == list(range(1, CALLS + 1))
        assert sorted(call_id for incident in found for call_id in incident.call_ids) == sorted(f"call-{n}" for n in range(CALLS))
        assert all(list(incident.alert_ids) == [f"alert-{incident.call_ids[0].removeprefix('call-')}"] for incident in found)
        assert {incident.call_status for incident in found} == {f"report {REPORTS - 1}"}

    async def told() -> dict[str, list[int]]:
        revisions: dict[str, list[int]] = {}
        info = await bus.jetstream.stream_info(INCIDENTS.name)
        for sequence in range(1, info.state.last_seq + 1):
            message = pb.Incident.FromString((await bus.jetstream.get_msg(INCIDENTS.name, sequence)).data or b"")
            revisions.setdefault(message.incident_id, []).append(message.revision)
        return revisions

    async def newest_told() -> bool:
        # written with the change, sent a moment later
        newest = {incident_id: max(revisions) for incident_id, revisions in (await told()).items()}
        return newest == {incident.incident_id: incident.revision for incident in found}

    await poll(newest_told, deadline_s=60)
    assert await told() == {incident.incident_id: list(range(1, incident.revision + 1)) for incident in found}
